"""How fast `vidseg render` is, and what its time goes to. Makes its own clip and tracks.

    uv run python -m scripts.benchmarks.render
    uv run python -m scripts.benchmarks.render --style blur-background,contour,label --size 3840x2160 --frames 60

Each part is run by itself and timed by the processor time of all its threads, which other work on the machine hardly
changes. The whole command is timed by the clock and by processor time, start-up included.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import click
import cv2
import numpy as np
import supervision as sv

from scripts.common import cores
from vidseg.io.clip import Clip, ClipInfo
from vidseg.io.writer import VideoWriter
from vidseg.rendering.annotators import OverlayAnnotator
from vidseg.rendering.options import DEFAULT_STYLES, STYLES
from vidseg.tracks.file import TracksWriter, header_of, read_tracks
from vidseg.tracks.frame import TrackedFrame

RATE = Fraction(30)


def make(folder: Path, width: int, height: int, frames: int, objects: int) -> tuple[Path, Path]:
    """A clip of shapes that cross a picture with some texture, and its tracks."""
    rng = np.random.default_rng(0)
    scene = cv2.resize(
        rng.integers(0, 255, (height // 40, width // 40, 3), np.uint8),
        (width + frames, height),
        interpolation=cv2.INTER_CUBIC,
    )
    scene = cv2.add(scene, rng.integers(0, 8, scene.shape, np.uint8))
    starts, speeds = rng.random((objects, 2)), rng.random((objects, 2)) / 100
    clip, tracks = folder / "clip.mp4", folder / "clip.tracks.jsonl"
    info = ClipInfo(str(clip), width, height, RATE, 1 / RATE, frames, None, False)
    header = header_of(clip, width, height, RATE, 1 / RATE, ["shape"], {})
    with VideoWriter(clip, info) as video, TracksWriter(tracks, header) as lines:
        for index in range(frames):
            image = np.ascontiguousarray(scene[:, index : index + width])
            masks = np.zeros((objects, height, width), np.uint8)
            for number, mask in enumerate(masks):
                place = np.abs((starts[number] + index * speeds[number]) % 2 - 1) * 0.7 + 0.15  # to and fro
                x, y = (place * (width, height)).astype(int).tolist()
                cv2.ellipse(mask, (x, y), (width // 10, height // 8), 3 * index, 0, 360, 1, -1)
                cv2.circle(mask, (x, y - height // 8), height // 14, 1, -1)
                image[mask > 0] = image[mask > 0] // 2 + np.uint8(20 * number)
            boxes = [cv2.boundingRect(mask) for mask in masks]
            found = sv.Detections(
                xyxy=np.array([(x, y, x + w, y + h) for x, y, w, h in boxes], np.float32),
                mask=masks.astype(bool),
                confidence=np.full(objects, 0.9, np.float32),
                tracker_id=np.arange(1, objects + 1),
                data={"class_name": np.array(["shape"] * objects)},
            )
            video.write(image, index)
            lines.write(TrackedFrame(index, float(index / RATE), None, found))
    return clip, tracks


def parts(clip: Path, tracks: Path, styles: list[str], target: Path) -> dict[str, float]:
    """Milliseconds of processor time a frame of each part."""
    spent = {"decode": 0.0, "masks from run lengths": 0.0, "draw": 0.0, "encode": 0.0}
    reader, annotator, frames = Clip(clip), OverlayAnnotator(styles), 0
    images, records = reader.frames(), iter(read_tracks(tracks))
    last = time.process_time()

    def took(part: str) -> None:
        nonlocal last
        now = time.process_time()
        spent[part] += now - last
        last = now

    with VideoWriter(target, replace(reader.info)) as writer:
        while (frame := next(images, None)) is not None:
            took("decode")
            record = next(records)
            took("masks from run lengths")
            record.image = frame.image
            picture = annotator.annotate(record)
            took("draw")
            writer.write(picture, frame.pts)
            took("encode")
            frames += 1
        writer.close()
        took("encode")
    return {part: 1000 * seconds / frames for part, seconds in spent.items()}


def whole(clip: Path, tracks: Path, style: str, target: Path) -> tuple[float, float, float]:
    """Seconds by the clock, seconds of processor time, and peak memory in MiB of `vidseg render`."""
    program = Path(sys.executable).with_name("vidseg")
    command = [program, "render", clip, tracks, "--style", style, "--output", target]
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, after.ru_maxrss / 1024


@click.command()
@click.option("--size", default="1280x720", show_default=True)
@click.option("--frames", default=300, show_default=True)
@click.option("--objects", default=4, show_default=True)
@click.option("--style", default=",".join(DEFAULT_STYLES), show_default=True, help=f"Of {', '.join(STYLES)}.")
def main(size: str, frames: int, objects: int, style: str) -> None:
    """Frames/s of `vidseg render`, and processor time by part."""
    width, height = map(int, size.split("x"))
    click.echo(f"{cores()}, other work on it: {os.getloadavg()[0]:.1f} (load average)")
    click.echo(f"{frames} frames of {width}×{height}, {objects} objects, {style}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clip, tracks = make(folder, width, height, frames, objects)
        figures = parts(clip, tracks, style.split(","), folder / "parts.mp4")
        for part, milliseconds in figures.items():
            click.echo(f"  {part:<24}{milliseconds:6.1f} ms of processor time a frame")
        total = sum(figures.values())
        click.echo(f"  {'all of them':<24}{total:6.1f} ms: {1000 / total:.0f} frames/s on one core")
        wall, worked, peak = whole(clip, tracks, style, folder / "out.mp4")
        click.echo(
            f"vidseg render: {frames / wall:.0f} frames/s by the clock, start-up included; "
            f"{1000 * worked / frames:.1f} ms of processor time a frame\n  peak memory {peak:.0f} MiB"
        )


if __name__ == "__main__":
    main()
