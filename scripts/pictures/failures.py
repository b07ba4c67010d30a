"""Make the pictures of failures in docs/demo-models.md: what the demo pair gets wrong, beside the truth.

    uv run python -m scripts.pictures.failures                            # the bundled pair, about a minute
    uv run python -m scripts.pictures.failures --sam runs/sam_now --out /tmp/failures

`twins` follows two sprites that are the same through a crossing (a clip of `challenge/families.py`), `back` the dog of
the park sample that passes behind a tree, `thin` outlines the bicycle of the street sample by its true box, and `click`
clicks once on objects of fresh scenes and shows the worst. Look at them after a change of weights: the page says in
words what they show.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from operator import itemgetter
from pathlib import Path

import click
import cv2
import numpy as np
import supervision as sv
from PIL import Image
from scipy.optimize import linear_sum_assignment

import vidseg
from scripts.challenge.clips import make
from scripts.challenge.entries import partners
from scripts.challenge.pictures import numbers_of, renumbered, tile
from scripts.common import PARK, ROOT, SAMPLES
from scripts.demo_models.score.images import Target, mask_of, middle, targets
from scripts.demo_models.world.clips import RATE
from scripts.detections import ids_of, iou, masks_by_id, masks_of, names_of, select
from scripts.pictures import tracking
from vidseg.evaluation.metrics import FramePairs, compare
from vidseg.io.clip import Clip
from vidseg.model import Model
from vidseg.tracks.frame import TrackedFrame

LARGEST = 60_000  # bytes a picture
FIRST_SCENE, SCENES = 5000, 10  # those that are clicked on, as by score/images.py


@dataclass(frozen=True)
class Tracked:
    """A clip that was tracked.

    Attributes:
        clip: the clip.
        pairs: its truth and result as `compare` pairs them.
        truth: the detections of the truth, a frame each.
        found: those of the result.
    """

    clip: Path
    pairs: list[FramePairs]
    truth: list[sv.Detections]
    found: list[sv.Detections]

    def image(self, number: int) -> np.ndarray:
        """The picture of a frame."""
        return next(frame.image for frame in Clip(self.clip).frames() if frame.index == number)


def track(model: Model, clip: Path, truth: Path, prompt: list[str], result: Path) -> Tracked:
    """Track the objects that a prompt names; the result is also written as a tracks file."""
    tracking.track(model, clip, prompt, result)
    expected, found = ([frame.detections for frame in vidseg.read_tracks(path)] for path in (truth, result))
    return Tracked(clip, list(compare(result, truth)), expected, found)


def beside(image: np.ndarray, truth: sv.Detections, found: sv.Detections, text: str) -> np.ndarray:
    """The truth on the left and the result on the right, each below a line of text."""
    return np.hstack([tile(image, truth, ["truth"]), tile(image, found, [text])])


def single(mask: np.ndarray, label: str, score: float) -> sv.Detections:
    """One object, as the drawing wants it."""
    ys, xs = np.nonzero(mask)
    box = (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1) if len(xs) else (0, 0, 0, 0)
    return sv.Detections(
        xyxy=np.array([box], np.float32),
        mask=mask[None],
        confidence=np.array([score], np.float32),
        tracker_id=np.ones(1, int),
        data={"class_name": np.array([label])},
    )


def around(
    image: np.ndarray, mask: np.ndarray, other: np.ndarray, margin: float = 0.35
) -> tuple[list[np.ndarray], tuple[int, int]]:
    """A cut-out of 16:9 around two masks, out of an image and both, and its corner: it shows what is small."""
    ys, xs = np.nonzero(mask | other)
    height = int((1 + 2 * margin) * max(np.ptp(ys) + 1, (np.ptp(xs) + 1) * 9 / 16))
    height = min(height, image.shape[0])
    width = min(height * 16 // 9, image.shape[1])
    top = int(np.clip((ys.min() + ys.max() - height) // 2, 0, image.shape[0] - height))
    left = int(np.clip((xs.min() + xs.max() - width) // 2, 0, image.shape[1] - width))
    rows, columns = slice(top, top + height), slice(left, left + width)
    return [np.ascontiguousarray(array[rows, columns]) for array in (image, mask, other)], (left, top)


def same_numbers(truth: sv.Detections, found: sv.Detections) -> dict[int, int]:
    """The truth's id for each id of a result, by which masks agree best on this frame."""
    mine, theirs = masks_of(found), masks_of(truth)
    agree = np.array([[iou(a, b) for b in theirs] for a in mine]).reshape(len(found), len(truth))
    rows, columns = linear_sum_assignment(-agree)
    return {ids_of(found)[row]: ids_of(truth)[column] for row, column in zip(rows, columns)}


def crossing(truth: list[sv.Detections], ids: tuple[int, int]) -> int:
    """The frame on which the boxes of two objects are nearest to each other."""

    def gap(frame: sv.Detections) -> float:
        boxes = dict(zip(ids_of(frame), frame.xyxy))
        if not all(i in boxes for i in ids):
            return np.inf
        middles = [(boxes[i][:2] + boxes[i][2:]) / 2 for i in ids]
        return float(np.abs(np.diff(middles, axis=0)).sum())

    return int(np.argmin([gap(frame) for frame in truth]))


def twins(model: Model, folder: Path) -> np.ndarray:
    """Two of the same sprite a second before they cross, while they do, and a second after; the truth is above."""
    challenge = make("twins", 0, folder)
    tracked = track(model, challenge.clip, challenge.truth, challenge.prompt, folder / "twins.tracks.jsonl")
    middle_one = crossing(tracked.truth, (2, 3))
    before, after = middle_one - RATE, middle_one + RATE
    numbers = same_numbers(tracked.truth[before], tracked.found[before])
    rows: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for number in (before, middle_one, after):
        image, found = tracked.image(number), tracked.found[number]
        known = select(found, [i in numbers for i in ids_of(found)])
        rows[0].append(tile(image, tracked.truth[number], [f"frame {number}: truth"]))
        rows[1].append(
            tile(image, renumbered(known, numbers), [f"frame {number}: result, numbered as on frame {before}"])
        )
    return np.vstack([np.hstack(row) for row in rows])


def waiting(tracked: Tracked) -> Iterator[tuple[int, int]]:
    """Frames on which an object shows that its partner has not got: pixels, frame number."""
    paired = partners(tracked.pairs)
    for number, (pair, truth) in enumerate(zip(tracked.pairs, tracked.truth)):
        for object_id, mask in masks_by_id(truth).items():
            if object_id in paired and paired[object_id] not in pair.result:
                yield int(mask.sum()), number


def back(model: Model, folder: Path) -> np.ndarray:
    """The frame on which most of a dog shows again behind the tree that is not followed yet."""
    whole = track(model, PARK, SAMPLES / "park.truth.jsonl", ["dog"], folder / "park.tracks.jsonl")
    dogs = [select(truth, [name == "dog" for name in names_of(truth)]) for truth in whole.truth]
    tracked = replace(whole, truth=dogs)
    shown, number = max(waiting(tracked), default=(0, 0))
    click.echo(f"back: {shown} pixels of it show on frame {number} and are not followed")
    found = renumbered(tracked.found[number], numbers_of(tracked.pairs, partners(tracked.pairs)))
    return beside(tracked.image(number), tracked.truth[number], found, f"frame {number}: one is not followed yet")


def score_of(frame: TrackedFrame) -> float:
    """The score of the only object; 0 if there is none."""
    scores = frame.detections.confidence
    return 0.0 if scores is None or not len(scores) else float(scores[0])


def thin(model: Model, _folder: Path) -> np.ndarray:
    """The bicycle on the first frame of the street, outlined by its true box."""
    truth = next(iter(vidseg.read_tracks(SAMPLES / "street.truth.jsonl"))).detections
    place = names_of(truth).index("bicycle")
    true, box = masks_of(truth)[place], truth.xyxy[place].tolist()
    picture = next(iter(Clip(SAMPLES / "street.mp4").frames())).image
    frame = model.embed(picture).segment(boxes=[box])
    text = f"by its true box: IoU {iou(mask_of(frame), true):.2f}"
    (image, mask, found), _ = around(picture, true, mask_of(frame))
    return beside(image, single(mask, "bicycle", 1), single(found, "bicycle", score_of(frame)), text)


def clicked(model: Model) -> Iterator[tuple[float, Target, TrackedFrame]]:
    """Objects of fresh scenes that give something by a click on their middle: the IoU, the object and the result."""
    for scene in islice(targets(FIRST_SCENE), SCENES):
        if not scene:
            continue
        photo = model.embed(scene[0].image)
        for target in scene:
            frame = photo.segment(points=[middle(target.mask)])
            agreement = iou(mask_of(frame), target.mask)
            if agreement > 0:
                yield agreement, target, frame


def one_click(model: Model, _folder: Path) -> np.ndarray:
    """The object of some fresh scenes of which a click on its middle gives the least."""
    agreement, target, frame = min(clicked(model), key=itemgetter(0))
    x, y = middle(target.mask)
    (image, mask, found), (left, top) = around(target.image, target.mask, mask_of(frame))
    spot, reach = (round(x - left), round(y - top)), max(2, len(image) // 70)
    for colour, filled in (((255, 255, 255), -1), ((0, 0, 0), 1)):
        cv2.circle(image, spot, reach, colour, filled, cv2.LINE_AA)
    truth, result = single(mask, target.name, 1), single(found, target.name, score_of(frame))
    return beside(image, truth, result, f"by one click: IoU {agreement:.2f}")


def save(path: Path, picture: np.ndarray) -> None:
    """As WebP, of at most LARGEST bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for quality in range(85, 20, -10):
        Image.fromarray(picture).save(path, quality=quality, method=6)
        if path.stat().st_size <= LARGEST:
            break
    click.echo(f"{path}: {path.stat().st_size / 1000:.0f} kB")


FAILURES = {"twins": twins, "back": back, "thin": thin, "click": one_click}


@click.command()
@click.option("--sam", help="Checkpoint instead of the bundled one.")
@click.option("--detector", help="Checkpoint instead of the bundled one.")
@click.option(
    "--out", type=click.Path(path_type=Path), default=ROOT / "docs/demo-models", help="Folder of the pictures."
)
@click.option("--only", multiple=True, type=click.Choice(list(FAILURES)), help="This one; may be given again.")
def main(sam: str | None, detector: str | None, out: Path, only: tuple[str, ...]) -> None:
    """Make the pictures of failures in docs/demo-models.md: what the demo pair gets wrong, beside the truth."""
    model = vidseg.load("demo", sam=sam, detector=detector, device="cpu")
    with tempfile.TemporaryDirectory() as folder:
        for name in only or FAILURES:
            save(out / f"{name}.webp", FAILURES[name](model, Path(folder)))


if __name__ == "__main__":
    main()
