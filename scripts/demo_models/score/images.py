"""How well the demo pair does what it is pointed at: on the desk, in fresh scenes, and in the park from frame 0 on.

uv run python -m scripts.demo_models.score.images
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import click
import cv2
import numpy as np
import supervision as sv
import torch
import torch.nn.functional as F

import vidseg
from scripts.common import PARK, SAMPLES
from scripts.demo_models.world.clips import random_scene
from scripts.demo_models.world.scene import draw
from scripts.detections import image_of, iou, masks_by_id, masks_of, names_of
from vidseg.model import Model
from vidseg.sam.propagator import MEAN, STD
from vidseg.tracks.frame import TrackedFrame

SIZE = 640, 360  # width and height of the scenes
SMALLEST = 200  # pixels of an object that is pointed at


@dataclass(frozen=True)
class Target:
    """An object of a made picture.

    Attributes:
        seed: of the scene.
        image: [H, W, 3] uint8 RGB.
        mask: [H, W] bool.
        name: its label.
    """

    seed: int
    image: np.ndarray
    mask: np.ndarray
    name: str

    @property
    def box(self) -> list[int]:
        """Its true box: x1, y1, x2, y2."""
        ys, xs = np.nonzero(self.mask)
        return [int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1]


def targets(seed: int) -> Iterator[list[Target]]:
    """The objects to point at in one scene after another, from a seed on."""
    while True:
        scene = random_scene(seed)
        image, owner, _ = draw(scene, 0, SIZE[1], SIZE[0], np.random.default_rng(seed))
        masks = [(sprite.name, owner == number) for number, sprite in enumerate(scene.sprites, start=1)]
        yield [Target(seed, image, mask, name) for name, mask in masks if mask.sum() >= SMALLEST]
        seed += 1


def mask_of(frame: TrackedFrame) -> np.ndarray:
    """The mask of the only object; empty if there is none."""
    if len(frame.detections):
        return masks_of(frame.detections)[0]
    return np.zeros(image_of(frame).shape[:2], bool)


def middle(mask: np.ndarray) -> list[float]:
    """The point of a mask that is farthest from its border: x, y."""
    deep = cv2.distanceTransform(np.pad(mask.astype(np.uint8), 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
    y, x = np.unravel_index(deep.argmax(), deep.shape)
    return [float(x) + 0.5, float(y) + 0.5]


def predictor_features(model: Model, image: np.ndarray):
    """The image as Meta's image predictor resizes it: bilinear, antialiased, in 0..1."""
    engine = model.propagator()
    side = engine.network.image_size
    pixels = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
    mean, std = torch.tensor([MEAN, STD])[..., None, None]
    square = F.interpolate(pixels, (side, side), mode="bilinear", antialias=True, align_corners=False)
    return engine.embed_tensor((square - mean) / std, *image.shape[:2])


def tracked_park(model: Model, truth: list[sv.Detections], kind: str) -> dict[str, float]:
    """J by "label id" of the park's objects, each pointed at on the first frame: mean IoU where the truth shows it."""
    prompts = []
    for number, (mask, box) in enumerate(zip(masks_of(truth[0]), truth[0].xyxy.tolist()), start=1):
        prompts.append({"id": number, **({"box": box} if kind == "box" else {"points": [middle(mask)]})})
    values: dict[int, list[float]] = {prompt["id"]: [] for prompt in prompts}
    for frame, true in zip(model.track(PARK, prompts={0: prompts}), truth):
        masks = masks_by_id(frame.detections)
        for number, mask in masks_by_id(true).items():
            values[number].append(iou(masks[number], mask) if number in masks else 0.0)
    names = names_of(truth[0])
    return {f"{names[number - 1]} {number}": float(np.mean(some)) for number, some in values.items()}


def score_desk(model: Model) -> None:
    """Print the IoU of each thing on samples/desk.png, by text, by click and by box."""
    truth = next(iter(vidseg.read_tracks(SAMPLES / "desk.truth.jsonl"))).detections
    desk = model.embed(SAMPLES / "desk.png")
    named = desk.segment(names_of(truth)).detections
    click.echo(f"desk.png: {len(named)} objects found by text")
    for name, mask, box in zip(names_of(truth), masks_of(truth), truth.xyxy):
        found = [iou(other, mask) for label, other in zip(names_of(named), masks_of(named)) if label == name]
        clicked, boxed = mask_of(desk.segment(points=[middle(mask)])), mask_of(desk.segment(boxes=[box]))
        click.echo(
            f"  {name:10} text {max(found, default=0):.3f}  click {iou(clicked, mask):.3f}  box {iou(boxed, mask):.3f}"
        )


def score_park(model: Model) -> None:
    """Print J of the park's objects, tracked by box and by click."""
    park = [frame.detections for frame in vidseg.read_tracks(SAMPLES / "park.truth.jsonl")]
    for kind in ("box", "click"):
        scored = tracked_park(model, park, kind)
        each = ", ".join(f"{name} {j:.3f}" for name, j in scored.items())
        click.echo(f"park.mp4 tracked by {kind}: mean J {np.mean(list(scored.values())):.3f}; {each}")


def score_scenes(model: Model, objects: int, seed: int) -> None:
    """Print the IoU of objects of fresh scenes, and how far the resizing moves masks."""
    scores: dict[str, list[float]] = {"click": [], "box": [], "box and click": []}
    moved = []
    scenes = targets(seed)
    while len(moved) < objects:
        scene = next(scenes)[: objects - len(moved)]
        if not scene:
            continue
        photo, other = model.embed(scene[0].image), model.embed(scene[0].image)
        other._features = predictor_features(model, scene[0].image)
        for target in scene:
            points, boxes = [middle(target.mask)], [target.box]
            found = {
                "click": mask_of(photo.segment(points=points)),
                "box": mask_of(photo.segment(boxes=boxes)),
                "box and click": mask_of(photo.segment(boxes=boxes, points=points)),
            }
            for kind, mask in found.items():
                scores[kind].append(iou(mask, target.mask))
            moved.append(iou(found["box"], mask_of(other.segment(boxes=boxes))))
    click.echo(f"{objects} objects of generated scenes, {SIZE[0]}×{SIZE[1]}:")
    for kind, some in scores.items():
        values = np.array(some)
        click.echo(
            f"  {kind:14} mean IoU {values.mean():.3f}, median {np.median(values):.3f}; "
            f"≥ 0.8: {(values >= 0.8).mean():.0%}"
        )
    click.echo(
        f"masks by box with bicubic against bilinear resizing: mean IoU {np.mean(moved):.4f}, lowest {min(moved):.3f}"
    )


@click.command()
@click.option("--objects", default=100, show_default=True)
@click.option(
    "--seed", default=5000, show_default=True, help="Of the first scene; training and other scores use others."
)
@click.option("--sam", metavar="FOLDER", help="Another SAM instead of the demo pair's.")
def main(objects: int, seed: int, sam: str | None) -> None:
    """IoU on the desk (text, click, box), on generated objects (click, box), and J on the park."""
    model = vidseg.load("demo", sam=sam, device="cpu")
    score_desk(model)
    score_park(model)
    score_scenes(model, objects, seed)


if __name__ == "__main__":
    main()
