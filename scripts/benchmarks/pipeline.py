"""What the parts of a run cost, one table a command.

    uv run python -m scripts.benchmarks.pipeline crowd       # time of a frame with 1 to 60 objects
    uv run python -m scripts.benchmarks.pipeline clicks      # a click on an embedded image against a whole segment()
    uv run python -m scripts.benchmarks.pipeline overhead    # what drawing and writing add to a run

Each line says what was measured on which machine. Nothing here is a test: figures differ from machine to machine.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

import av
import click
import cv2
import numpy as np
import torch

import vidseg
from scripts.common import PARK, machine, plural
from vidseg.model import Model
from vidseg.sam.propagator import Propagator

WIDTH, HEIGHT = 1280, 720
BOXES = [[200, 200, 420, 480], [950, 380, 1240, 710], [10, 420, 240, 680], [400, 560, 520, 700]]


@click.group()
def main() -> None:
    """What the parts of a run cost."""


@main.command()
@click.option("--counts", default="1,4,10,30,60", show_default=True, help="Numbers of objects, with commas.")
@click.option("--frames", default=24, show_default=True)
def crowd(counts: str, frames: int) -> None:
    """Time of a frame of the demo pair with more and more objects, and what each costs."""
    model = vidseg.load("demo", device="cpu")
    click.echo(machine())
    for count in map(int, counts.split(",")):
        corners = [(16 + 60 * (i % 10), 12 + 57 * (i // 10)) for i in range(count)]
        boxes = [(x, y, x + 50, y + 48) for x, y in corners]
        times, seen, last = [], 0, time.perf_counter()
        for _, frame in zip(range(frames), model.track(PARK, boxes=boxes)):
            times.append(time.perf_counter() - last)
            seen, last = len(frame.detections), time.perf_counter()
        median = 1000 * statistics.median(times[8:])  # the first frames have fewer memories
        click.echo(
            f"{count} objects: {median:.0f} ms a frame, {median / count:.1f} ms an object, "
            f"{seen} of them in view at the end"
        )


def full_size_sam(folder: Path, dtype: str = "auto") -> Model:
    """SAM 2.1 hiera tiny at full size with random weights, loaded from a file as a user's."""
    from tests.support import stock
    from tests.support.standins import save_sam

    return vidseg.load(sam=save_sam(stock.FULL, folder / "sam2.1_hiera_tiny.pt"), device="cpu", dtype=dtype)


@main.command()
@click.option("--clicks", "count", default=20, show_default=True)
@click.option("--dtype", default="auto", show_default=True)
def clicks(count: int, dtype: str) -> None:
    """Time of a click on an embedded image against a whole segment(): SAM 2.1 hiera tiny, full size, random weights."""
    with tempfile.TemporaryDirectory() as folder:
        model = full_size_sam(Path(folder), dtype)
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
    points = rng.uniform((0, 0), (WIDTH, HEIGHT), (count, 1, 2))
    photo = model.embed(image)
    photo.segment(points=points[0])  # warms up
    whole, alone = [], []
    for number, point in enumerate(points):
        began = time.perf_counter()
        photo.segment(points=point)
        alone.append(time.perf_counter() - began)
        if number % 5 == 0:  # in turn, so that whatever else the machine does hits both
            began = time.perf_counter()
            model.segment(image, points=point)
            whole.append(time.perf_counter() - began)
    once, again = statistics.median(whole), statistics.median(alone)
    click.echo(
        f"{machine()}\n{WIDTH}×{HEIGHT}, {model.dtype}: segment() {once:.3f} s (median of {len(whole)}), a click on an "
        f"embedded image {again:.4f} s (median of {count}): {once / again:.1f} times as fast"
    )


class Shapely(Propagator):
    """Does all the work, then gives every object the outline of a thing that moves.

    Random weights draw noise, which takes far longer to draw and to pack than objects do.
    """

    def step(self, features, index, reverse=False):
        """As of Propagator."""
        found = super().step(features, index, reverse)
        if found is None:
            return None
        ys, xs = torch.meshgrid(torch.arange(256), torch.arange(256), indexing="ij")
        middles = [60.0 * (place + 0.5) + index for place in range(len(found.ids))]
        lobes = [30 + 4 * torch.sin(6 * torch.atan2(ys - 128.0, xs - x)) for x in middles]
        found.logits = torch.stack([lobe - torch.hypot(xs - x, ys - 128.0) for lobe, x in zip(lobes, middles)])
        return found


def enlarged_park(path: Path, frames: int) -> None:
    """The first frames of the park sample at 1280×720."""
    with av.open(str(PARK)) as source, av.open(str(path), "w") as target:
        video = target.add_stream("libx264", rate=24)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for frame, _ in zip(source.decode(video=0), range(frames)):
            picture = cv2.resize(frame.to_ndarray(format="rgb24"), (WIDTH, HEIGHT))
            target.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        target.mux(video.encode())


@main.command()
@click.option("--frames", default=16, show_default=True)
@click.option("--repeats", default=2, show_default=True)
def overhead(frames: int, repeats: int) -> None:
    """What drawing and writing add to a run: SAM 2.1 hiera tiny, full size, random weights, four objects, 1280×720."""
    from vidseg.commands.clip_results import write_results
    from vidseg.commands.clip_tasks import ClipTask

    alone: list[float] = []
    written: list[float] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clip = folder / "clip.mp4"
        enlarged_park(clip, frames)
        model = full_size_sam(folder)
        model._engine.__class__ = Shapely
        task = ClipTask(source=str(clip), video_path=folder / "out.mp4", tracks_path=folder / "out.jsonl")
        for number in range(2 * repeats + 1):  # in turn; the first run warms up
            began, run = time.perf_counter(), model.track(clip, boxes=BOXES)
            if number % 2:
                write_results(run, task, [], model.names, None)
            else:
                for _ in run:
                    pass
            if number:
                (written if number % 2 else alone).append((time.perf_counter() - began) / frames)
    click.echo(machine())
    for kind, values in (("model alone", alone), ("with overlay video and tracks file", written)):
        click.echo(
            f"{kind}: {statistics.median(values):.3f} s a frame, median of {plural(repeats, 'run')} of {frames} frames "
            f"({model.dtype})"
        )
    click.echo(f"ratio {statistics.median(written) / statistics.median(alone):.3f}")


if __name__ == "__main__":
    main()
