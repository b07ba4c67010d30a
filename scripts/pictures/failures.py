"""Make the pictures of failures in docs/demo-models.md: what the demo pair gets wrong, beside the truth.

    uv run python -m scripts.pictures.failures                            # the bundled pair, about a minute
    uv run python -m scripts.pictures.failures --sam runs/sam_now --out /tmp/failures

`twins` follows two sprites that are the same through a crossing (a clip of `challenge_clips.py`), `back` the dog of the park
sample that passes behind a tree, `thin` outlines the bicycle of the street sample by its true box, and `click` clicks once
on objects of fresh scenes and shows the worst. Look at them after a change of weights: the page says in words what they show.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import supervision as sv
from PIL import Image
from scipy.optimize import linear_sum_assignment

import vidseg
from scripts.challenge.clips import make
from scripts.challenge.entries import partners
from scripts.challenge.pictures import numbers_of, renumbered, tile
from scripts.demo_models.score.images import SIZE, iou, mask_of, middle
from scripts.demo_models.world.clips import RATE, random_scene
from scripts.demo_models.world.sprites import draw
from vidseg.evaluation.metrics import compare
from vidseg.io.clip import Clip
from vidseg.tracks.file import TracksWriter, header_of

ROOT = Path(__file__).resolve().parents[2]
LARGEST = 60_000  # bytes a picture
SCENES = range(5000, 5010)  # seeds of the scenes that are clicked on: those of score_image.py


@dataclass
class Tracked:
    """A clip that was tracked: its truth and result as `compare` pairs them, and the detections of either a frame."""

    clip: Path
    pairs: list
    truth: list[sv.Detections]
    found: list[sv.Detections]

    def image(self, number: int) -> np.ndarray:
        return next(frame.image for frame in Clip(self.clip).frames() if frame.index == number)


def track(model, clip: Path, truth: Path, prompt: list[str], result: Path) -> Tracked:
    """Track the objects that a prompt names; the result is also written as a tracks file."""
    run = model.track(clip, prompt=prompt)
    info = run.clip.info
    with TracksWriter(
        result, header_of(clip, info.width, info.height, info.frame_rate, info.time_base, prompt, model.names)
    ) as writer:
        for frame in run:
            writer.write(frame)
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
        confidence=np.float32([score]),
        tracker_id=np.ones(1, int),
        data={"class_name": np.array([label])},
    )


def around(image: np.ndarray, mask: np.ndarray, other: np.ndarray, margin: float = 0.35):
    """A cut-out of 16:9 around two masks, out of an image and both: what is small is easier to see so."""
    ys, xs = np.nonzero(mask | other)
    height = int((1 + 2 * margin) * max(np.ptp(ys) + 1, (np.ptp(xs) + 1) * 9 / 16))
    height = min(height, image.shape[0])
    width = min(height * 16 // 9, image.shape[1])
    top = int(np.clip((ys.min() + ys.max() - height) // 2, 0, image.shape[0] - height))
    left = int(np.clip((xs.min() + xs.max() - width) // 2, 0, image.shape[1] - width))
    return [np.ascontiguousarray(array[top : top + height, left : left + width]) for array in (image, mask, other)], (
        left,
        top,
    )


def same_numbers(truth: sv.Detections, found: sv.Detections) -> dict[int, int]:
    """The truth's id for each id of a result, by which masks agree best on this frame."""
    agree = np.array([[iou(mine, true) for true in truth.mask] for mine in found.mask]).reshape(len(found), len(truth))
    rows, columns = linear_sum_assignment(-agree)
    return {int(found.tracker_id[row]): int(truth.tracker_id[column]) for row, column in zip(rows, columns)}


def crossing(truth: list[sv.Detections], ids: tuple[int, int]) -> int:
    """The frame on which the boxes of two objects are nearest to each other."""

    def gap(frame: sv.Detections) -> float:
        boxes = [frame.xyxy[frame.tracker_id == i] for i in ids]
        return (
            float(np.abs(np.diff([(box[0, :2] + box[0, 2:]) / 2 for box in boxes], axis=0)).sum())
            if all(map(len, boxes))
            else np.inf
        )

    return int(np.argmin([gap(frame) for frame in truth]))


def twins(model, folder: Path) -> np.ndarray:
    """Two of the same sprite a second before they cross, while they do, and a second after: truth above, result below."""
    challenge = make("twins", 0, folder)
    tracked = track(model, challenge.clip, challenge.truth, challenge.prompt, folder / "twins.tracks.jsonl")
    middle_one = crossing(tracked.truth, (2, 3))
    before, after = middle_one - RATE, middle_one + RATE
    numbers = same_numbers(tracked.truth[before], tracked.found[before])
    rows = [[], []]
    for number in (before, middle_one, after):
        image, found = tracked.image(number), tracked.found[number]
        known = found[np.isin(found.tracker_id, list(numbers))]
        rows[0].append(tile(image, tracked.truth[number], [f"frame {number}: truth"]))
        rows[1].append(
            tile(image, renumbered(known, numbers), [f"frame {number}: result, numbered as on frame {before}"])
        )
    return np.vstack([np.hstack(row) for row in rows])


def waiting(tracked: Tracked) -> Iterator[tuple[int, int]]:
    """Frames on which an object shows that its partner has not got: pixels, frame number."""
    paired = partners(tracked.pairs)
    for number, (pair, truth) in enumerate(zip(tracked.pairs, tracked.truth)):
        for mask, object_id in zip(truth.mask, truth.tracker_id.tolist()):
            if object_id in paired and paired[object_id] not in pair.result:
                yield int(mask.sum()), number


def back(model, folder: Path) -> np.ndarray:
    """The frame on which most of a dog shows again behind the tree that is not followed yet."""
    tracked = track(
        model, ROOT / "samples/park.mp4", ROOT / "samples/park.truth.jsonl", ["dog"], folder / "park.tracks.jsonl"
    )
    tracked.truth = [truth[truth.data["class_name"] == "dog"] for truth in tracked.truth]
    shown, number = max(waiting(tracked), default=(0, 0))
    print(f"back: {shown} pixels of it show on frame {number} and are not followed")
    found = renumbered(tracked.found[number], numbers_of(tracked.pairs, partners(tracked.pairs)))
    return beside(tracked.image(number), tracked.truth[number], found, f"frame {number}: one is not followed yet")


def pointed(photo, prompt: dict) -> tuple[np.ndarray, float]:
    """The mask of what is pointed at on an embedded image, and its score."""
    frame = photo.segment(**prompt)
    return mask_of(frame), float(frame.detections.confidence[0]) if len(frame.detections) else 0.0


def thin(model, folder: Path) -> np.ndarray:
    """The bicycle on the first frame of the street, outlined by its true box."""
    truth = next(iter(vidseg.read_tracks(ROOT / "samples/street.truth.jsonl"))).detections
    truth = truth[truth.data["class_name"] == "bicycle"]
    image = next(iter(Clip(ROOT / "samples/street.mp4").frames())).image
    found, score = pointed(model.embed(image), {"boxes": [truth.xyxy[0].tolist()]})
    text = f"by its true box: IoU {iou(found, truth.mask[0]):.2f}"
    (image, mask, found), _ = around(image, truth.mask[0], found)
    return beside(image, single(mask, "bicycle", 1), single(found, "bicycle", score), text)


def click(model, folder: Path) -> np.ndarray:
    """The object of some fresh scenes of which a click on its middle gives the least; what gives nothing is passed over."""
    worst = (1.0,)
    for seed in SCENES:
        scene = random_scene(seed)
        image, owner, _ = draw(scene, 0, SIZE[1], SIZE[0], np.random.default_rng(seed))
        photo = model.embed(image)
        for number, sprite in enumerate(scene.sprites, start=1):
            mask = owner == number
            if mask.sum() < 200:
                continue
            found, score = pointed(photo, {"points": [middle(mask)]})
            if 0 < iou(found, mask) < worst[0]:
                worst = iou(found, mask), image, mask, found, sprite.name, score
    agreement, image, mask, found, name, score = worst
    x, y = middle(mask)
    (image, mask, found), (left, top) = around(image, mask, found)
    spot, reach = (round(x - left), round(y - top)), max(2, len(image) // 70)
    for colour, filled in (((255, 255, 255), -1), ((0, 0, 0), 1)):
        cv2.circle(image, spot, reach, colour, filled, cv2.LINE_AA)
    return beside(image, single(mask, name, 1), single(found, name, score), f"by one click: IoU {agreement:.2f}")


def save(path: Path, picture: np.ndarray) -> None:
    """As WebP, of at most LARGEST bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for quality in range(85, 20, -10):
        Image.fromarray(picture).save(path, quality=quality, method=6)
        if path.stat().st_size <= LARGEST:
            break
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB", flush=True)


FAILURES = {"twins": twins, "back": back, "thin": thin, "click": click}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sam", help="checkpoint instead of the bundled one")
    parser.add_argument("--detector", help="checkpoint instead of the bundled one")
    parser.add_argument("--out", type=Path, default=ROOT / "docs/demo-models", help="folder of the pictures")
    parser.add_argument("--only", choices=list(FAILURES), action="append", help="this one; may be given again")
    options = parser.parse_args()
    model = vidseg.load("demo", sam=options.sam, detector=options.detector, device="cpu")
    with tempfile.TemporaryDirectory() as folder:
        for name in options.only or FAILURES:
            save(options.out / f"{name}.webp", FAILURES[name](model, Path(folder)))


if __name__ == "__main__":
    main()
