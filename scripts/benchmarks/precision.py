"""How far bfloat16 moves the masks of the demo pair.

uv run python -m scripts.benchmarks.precision
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import click
import numpy as np

import vidseg
from scripts.common import machine
from scripts.demo_models.world.clips import random_scene, write_scenes
from scripts.detections import image_of, iou, masks_by_id


@click.command()
@click.option("--clips", default=20, show_default=True)
@click.option("--frames", default=48, show_default=True)
@click.option("--seed", default=2026, show_default=True)
def main(clips: int, frames: int, seed: int) -> None:
    """How far bfloat16 moves the masks of the demo pair: their IoU with those of float32, on made clips."""
    models = {dtype: vidseg.load("demo", device="cpu", dtype=dtype) for dtype in ("float32", "bfloat16")}
    overlaps: list[float] = []
    for number in range(clips):
        with tempfile.TemporaryDirectory() as folder:
            scene = random_scene(seed * 1000 + number, frames=frames)
            clip, truth = write_scenes(Path(folder), "clip", [scene])
            boxes = next(iter(vidseg.read_tracks(truth))).detections.xyxy
            for one, other in zip(*(model.track(clip, boxes=boxes) for model in models.values())):
                a, b = masks_by_id(one.detections), masks_by_id(other.detections)
                nothing = np.zeros(image_of(one).shape[:2], bool)  # an object that only one of them sees counts 0
                overlaps += [iou(a.get(i, nothing), b.get(i, nothing)) for i in set(a) | set(b)]
    click.echo(
        f"{machine()}\n{clips} clips, {len(overlaps)} masks: mean IoU of bfloat16 with float32 {np.mean(overlaps):.4f}"
    )


if __name__ == "__main__":
    main()
