"""How well the demo pair does what it is pointed at: the desk sample, objects of fresh scenes, and the park from its first frame on."""

from __future__ import annotations

from pathlib import Path

import click
import cv2
import demo_clips  # finds the package
import numpy as np
import torch
import torch.nn.functional as F

import vidseg
from scripts.demo_models.world.sprites import draw
from vidseg.sam.propagator import MEAN, STD

ROOT = Path(__file__).resolve().parents[3]
SIZE = 640, 360  # width and height of the scenes


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / max(1, (a | b).sum()))


def mask_of(frame) -> np.ndarray:
    """The mask of the only object; empty if there is none."""
    return frame.detections.mask[0] if len(frame.detections) else np.zeros(frame.image.shape[:2], bool)


def middle(mask: np.ndarray) -> list[float]:
    """The point of a mask that is farthest from its border: x, y."""
    deep = cv2.distanceTransform(np.pad(mask.astype(np.uint8), 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
    y, x = np.unravel_index(deep.argmax(), deep.shape)
    return [float(x) + 0.5, float(y) + 0.5]


def predictor_features(model, image: np.ndarray):
    """The image as Meta's image predictor resizes it: bilinear, antialiased, in 0..1."""
    engine = model.propagator()
    side = engine.network.image_size
    pixels = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
    mean, std = torch.tensor([MEAN, STD])[..., None, None]
    square = F.interpolate(pixels, (side, side), mode="bilinear", antialias=True, align_corners=False)
    return engine.embed_tensor((square - mean) / std, *image.shape[:2])


def tracked_park(model, truth: list, kind: str) -> dict[str, float]:
    """J by "label id" of the park's objects, each pointed at on the first frame: mean IoU over the frames that show it."""
    prompts = []
    for number, (mask, box) in enumerate(zip(truth[0].mask, truth[0].xyxy.tolist()), start=1):
        prompts.append({"id": number, **({"box": box} if kind == "box" else {"points": [middle(mask)]})})
    values: dict[int, list[float]] = {prompt["id"]: [] for prompt in prompts}
    for frame, true in zip(model.track(ROOT / "samples/park.mp4", prompts={0: prompts}), truth):
        masks = dict(zip(frame.detections.tracker_id.tolist(), frame.detections.mask))
        for mask, number in zip(true.mask, true.tracker_id.tolist()):
            values[number].append(iou(masks[number], mask) if number in masks else 0.0)
    return {
        f"{truth[0].data['class_name'][number - 1]} {number}": float(np.mean(some)) for number, some in values.items()
    }


@click.command()
@click.option("--objects", default=100, show_default=True)
@click.option(
    "--seed", default=5000, show_default=True, help="Of the first scene; training and other scores use others."
)
@click.option("--sam", metavar="FOLDER", help="Another SAM instead of the demo pair's.")
def main(objects: int, seed: int, sam: str | None) -> None:
    """IoU on samples/desk.png (text, click, box), on generated objects (click, box), and how far the resizing moves masks."""
    model = vidseg.load("demo", sam=sam, device="cpu")
    truth = next(iter(vidseg.read_tracks(ROOT / "samples/desk.truth.jsonl"))).detections
    desk = model.embed(ROOT / "samples/desk.png")
    named = desk.segment([str(name) for name in truth.data["class_name"]]).detections
    click.echo(f"desk.png: {len(named)} objects found by text")
    for name, mask, box in zip(truth.data["class_name"], truth.mask, truth.xyxy):
        found = [iou(other, mask) for other in named.mask[named.data["class_name"] == name]]
        clicked, boxed = mask_of(desk.segment(points=[middle(mask)])), mask_of(desk.segment(boxes=[box]))
        click.echo(
            f"  {name:10} text {max(found, default=0):.3f}  click {iou(clicked, mask):.3f}  box {iou(boxed, mask):.3f}"
        )

    scores = {"click": [], "box": [], "box and click": []}
    moved = []
    while len(scores["box"]) < objects:
        scene = demo_clips.random_scene(seed)
        image, owner, _ = draw(scene, 0, SIZE[1], SIZE[0], np.random.default_rng(seed))
        photo, other = model.embed(image), model.embed(image)
        other._features = predictor_features(model, image)
        for number in range(1, len(scene.sprites) + 1):
            mask = owner == number
            if len(scores["box"]) == objects or mask.sum() < 200:
                continue
            ys, xs = np.nonzero(mask)
            box = [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
            for kind, prompt in (
                ("click", {"points": [middle(mask)]}),
                ("box", {"boxes": [box]}),
                ("box and click", {"boxes": [box], "points": [middle(mask)]}),
            ):
                found = mask_of(photo.segment(**prompt))
                scores[kind].append(iou(found, mask))
                if kind == "box":
                    moved.append(iou(found, mask_of(other.segment(**prompt))))
        seed += 1
    park = [frame.detections for frame in vidseg.read_tracks(ROOT / "samples/park.truth.jsonl")]
    for kind in ("box", "click"):
        scored = tracked_park(model, park, kind)
        click.echo(
            f"park.mp4 tracked by {kind}: mean J {np.mean(list(scored.values())):.3f}; "
            + ", ".join(f"{name} {j:.3f}" for name, j in scored.items())
        )
    click.echo(f"{objects} objects of generated scenes, {SIZE[0]}×{SIZE[1]}:")
    for kind, values in scores.items():
        values = np.array(values)
        click.echo(
            f"  {kind:14} mean IoU {values.mean():.3f}, median {np.median(values):.3f}; ≥ 0.8: {(values >= 0.8).mean():.0%}"
        )
    click.echo(
        f"masks by box with bicubic against bilinear resizing: mean IoU {np.mean(moved):.4f}, lowest {min(moved):.3f}"
    )


if __name__ == "__main__":
    main()
