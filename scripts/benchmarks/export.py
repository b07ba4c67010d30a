"""CPU time (with starting up) and peak memory of `vidseg export`, each format in a process of its own.

    uv run --extra parquet python -m scripts.benchmarks.export             # 10,000 frames of 1280×720, 8 objects
    uv run --extra parquet python -m scripts.benchmarks.export --frames 1000

The long tracks file is made for it. Formats that write images or polygons take every tenth frame, of a clip that is as
long. Before that, how well polygons stand for the masks of the samples. Nothing here is a test.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import av
import click
import cv2
import numpy as np
from pycocotools import mask as coco

from scripts.common import SAMPLES
from vidseg.exporters.polygons import centre_polygon, edge_polygons
from vidseg.tracks.file import FORMAT, VERSION, read_tracks
from vidseg.tracks.rle import encode_mask

WIDTH, HEIGHT, OBJECTS, LOOP = 1280, 720, 8, 250  # after LOOP frames everything comes again
RUNS = (  # format, further arguments
    ("coco", {}),
    ("labels", {"every": 10}),
    ("youtube-vis", {}),
    ("mot", {}),
    ("mots", {}),
    ("csv", {}),
    ("parquet", {}),
    ("davis", {"every": 10}),
    ("coco", {"every": 10, "images": True}),
    ("yolo-seg", {"every": 10}),
)
RUN = (
    "import json, sys, time, vidseg\n"
    "tracks, kind, output, options = sys.argv[1:]\n"
    "vidseg.export(tracks, kind, output, **json.loads(options))\n"
    "seconds = time.process_time()\n"
    "peak = next(int(line.split()[1]) for line in open('/proc/self/status') if line.startswith('VmHWM'))\n"
    "print(json.dumps([seconds, peak / 1024]))\n"
)


@click.command()
@click.option("--frames", default=10_000, show_default=True)
def main(frames: int) -> None:
    """Print a line a format."""
    for sample in ("park", "street"):
        polygons(SAMPLES / f"{sample}.truth.jsonl")
    with tempfile.TemporaryDirectory() as folder:
        tracks = Path(folder, "long.tracks.jsonl")
        make_clip(Path(folder, "long.mp4"), frames)
        make_tracks(tracks, frames)
        click.echo(
            f"{frames} frames of {WIDTH}×{HEIGHT}, {OBJECTS} objects, {os.cpu_count()} cores; "
            f"tracks {tracks.stat().st_size / 1e6:.0f} MB"
        )
        for number, (kind, options) in enumerate(RUNS):
            output = Path(folder, f"out{number}.{kind}")
            arguments = [sys.executable, "-c", RUN, tracks, kind, output, json.dumps(options)]
            seconds, peak = json.loads(subprocess.run(arguments, check=True, capture_output=True, text=True).stdout)
            files = [file for file in Path(folder).glob(f"out{number}*/**/*") if file.is_file()]
            files += [output] * output.is_file()
            size = sum(file.stat().st_size for file in files) / 1e6
            flags = (f"--{name}" if value is True else f"--{name} {value}" for name, value in options.items())
            what = " ".join([kind, *flags])
            click.echo(f"{what:28} {seconds:6.1f} s of CPU  peak {peak:5.0f} MiB  wrote {size:6.1f} MB")


def polygons(tracks: Path) -> None:
    """How far the polygons of yolo-seg and labels are from the masks, on all frames of a tracks file."""
    scores: tuple[list[float], list[float]] = ([], [])
    points = [0, 0]
    for record in read_tracks(tracks).records():
        for found in record.objects:
            mask = found.crop()
            one, parts = centre_polygon(mask), edge_polygons(mask)
            codes = coco.frPyObjects([part.ravel().tolist() for part in parts], *mask.shape)
            for kind, filled in enumerate(
                (cv2.fillPoly(np.zeros(mask.shape, np.uint8), [one], 1), coco.decode(coco.merge(codes)))
            ):
                inside = np.asarray(filled, bool)
                scores[kind].append((inside & mask).sum() / (inside | mask).sum())
            points[0] += len(one)
            points[1] += sum(map(len, parts))
    for name, values, count in zip(("yolo-seg", "labels"), scores, points):
        low = sum(value < 0.97 for value in values)
        click.echo(
            f"{tracks.name}, {len(values)} masks as polygons of {name}: IoU {np.mean(values):.4f}, {low} of them below "
            f"0.97, worst {min(values):.3f}, {count / len(values):.0f} points each"
        )


def make_tracks(path: Path, frames: int) -> None:
    """Rough blobs on their ways, some with a hole or in two parts. Only LOOP frames are drawn; then they come again."""
    random = np.random.default_rng(0)
    # One blob an object: a circle whose radius wavers, 60 to 150 pixels
    angles = np.linspace(0, 2 * np.pi, 90, endpoint=False)
    shapes = [random.uniform(60, 150) * (1 + 0.15 * random.standard_normal(90).cumsum() / 9) for _ in range(OBJECTS)]
    header = {
        "format": FORMAT,
        "version": VERSION,
        "clip": "long.mp4",
        "width": WIDTH,
        "height": HEIGHT,
        "frame_rate": "25",
        "time_base": "1/12800",
        "prompts": ["dog", "red ball"],
        "models": {},
        "vidseg": "",
    }
    loop = []
    for step in range(min(LOOP, frames)):
        objects = []
        for number, radii in enumerate(shapes):
            turn = 2 * np.pi * (step / LOOP + number / OBJECTS)
            middle = np.array([WIDTH / 2 + 480 * np.cos(turn), HEIGHT / 2 + 240 * np.sin(turn)])
            outline = middle + radii[:, None] * np.stack([np.cos(angles + turn), np.sin(angles + turn)], axis=1)
            mask = blob(outline, middle, number)
            x, y, w, h = cv2.boundingRect(mask)
            label, box = header["prompts"][number % 2], [x, y, x + w, y + h]
            objects.append({"id": number + 1, "label": label, "score": 0.9, "box": box, "mask": encode_mask(mask)})
        loop.append(json.dumps(objects))
    with open(path, "w", encoding="utf-8") as file:
        file.write(json.dumps(header) + "\n")
        for index in range(frames):
            file.write(f'{{"frame": {index}, "time": {index / 25}, "objects": {loop[index % len(loop)]}}}\n')


def blob(outline: np.ndarray, middle: np.ndarray, number: int) -> np.ndarray:
    """The mask [HEIGHT, WIDTH] uint8 of an outline [n, 2]; every second has a hole, every fourth is cut in two."""
    mask = cv2.fillPoly(np.zeros((HEIGHT, WIDTH), np.uint8), [outline.round().astype(np.int32)], 1)
    if number % 2:
        cv2.circle(mask, middle.astype(int).tolist(), 20, 0, -1)
    if number % 4 == 3:
        cv2.line(mask, (middle - 200).astype(int).tolist(), (middle + 200).astype(int).tolist(), 0, 5)
    return mask


def make_clip(path: Path, frames: int) -> None:
    """A clip whose first LOOP frames are encoded once, and their packets are written again and again."""
    random, packets = np.random.default_rng(0), []
    ground = random.integers(0, 255, (HEIGHT // 16, WIDTH // 16 + LOOP, 3), np.uint8)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=25, options={"preset": "ultrafast", "tune": "zerolatency", "crf": "23"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for step in range(min(LOOP, frames)):
            picture = ground[:, step : step + WIDTH // 16].repeat(16, axis=0).repeat(16, axis=1)
            packets += stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24"))
        packets += stream.encode(None)
        tick = packets[1].pts - packets[0].pts
        data = [(bytes(packet), packet.is_keyframe, packet.time_base) for packet in packets]
        for index in range(frames):
            content, key, base = data[index % len(data)]
            packet = av.Packet(content)
            packet.stream, packet.time_base, packet.is_keyframe = stream, base, key
            packet.pts = packet.dts = index * tick
            out.mux(packet)


if __name__ == "__main__":
    main()
