"""Score a pair of checkpoints on freshly made clips of the demo world, and on the samples, with exact ground truth.

    uv run python -m scripts.demo_models.score.clips                  # the bundled pair
    uv run python -m scripts.demo_models.score.clips --sam runs/sam/export --detector runs/detector/export

J is the mean IoU of an object's masks with the truth over all frames on which it is visible (a frame without a mask
counts 0). Clips are written as H.264 and read again, as a user's would be.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click
import cv2
import numpy as np
import supervision as sv
from scipy.optimize import linear_sum_assignment

import vidseg
from scripts.common import SAMPLES
from scripts.demo_models.world.clips import random_scene, write_scenes
from scripts.demo_models.world.sprites import NAMED
from scripts.detections import ids_of, image_of, iou, masks_by_id, masks_of, names_of, select
from vidseg.model import Model

MATCH = 0.5  # IoU from which a detection or a track is of an object
TOUCHES = 0.2  # IoU above which a track on the keyframe was started for an object
SAMPLE_PROMPTS = (("park", ["dog"]), ("park", ["cat", "ball"]), ("street", ["person", "bicycle"]))
# None is a word of the demo world.
STRANGE = ["giraffe-shaped teapot", "zxqw", "quantum of solace", "dogxqz", "wardrobe"]


@dataclass
class Score:
    """Counts of boxes on keyframes, and J of the objects of some clips.

    Attributes:
        detected: boxes that the detector found.
        right: those that are of an object.
        true: objects that were there.
        tracked: J of every object that a track was started for.
        last_quarter: the same over the last quarter of the frames that show it.
        absent: for each frame on which a tracked object is hidden, whether it has no mask.
        late: frames from where a hidden object shows again to its first mask.
    """

    detected: int = 0
    right: int = 0
    true: int = 0
    tracked: list[float] = field(default_factory=list)
    last_quarter: list[float] = field(default_factory=list)
    absent: list[bool] = field(default_factory=list)
    late: list[int] = field(default_factory=list)

    def add_boxes(self, boxes: sv.Detections, true: sv.Detections) -> None:
        """Count the boxes of a keyframe."""
        self.true += len(true)
        self.detected += len(boxes)
        if len(boxes) and len(true):
            same = np.array(names_of(boxes))[:, None] == np.array(names_of(true))[None]
            agree = sv.box_iou_batch(boxes.xyxy, true.xyxy) * same
            rows, columns = linear_sum_assignment(-agree)
            self.right += int((agree[rows, columns] >= MATCH).sum())

    def lines(self) -> str:
        """What is printed of it."""
        recall, precision = self.right / max(self.true, 1), self.right / max(self.detected, 1)
        hidden = f", absent where hidden {np.mean(self.absent):.3f} of {len(self.absent)}" if self.absent else ""
        hidden += f", followed again after {', '.join(map(str, self.late))} frames" if self.late else ""
        return (
            f"detection on keyframes: recall {recall:.3f}, precision {precision:.3f} "
            f"({self.right} of {self.true}, {self.detected} boxes)\n"
            f"J of {len(self.tracked)} tracked objects {np.mean(self.tracked or [0]):.3f}, "
            f"last quarter {np.mean(self.last_quarter or [0]):.3f}{hidden}"
        )


class Scorer:
    """Compares the tracks of a clip with its truth, frame by frame.

    Args:
        names: label of each object of the truth, by id.
        score: what the figures are added to.

    Attributes:
        overlaps: IoU of each object on every frame that shows it, 0 without a mask.
    """

    def __init__(self, names: Mapping[int, str], score: Score):
        self.overlaps: dict[int, list[float]] = {i: [] for i in names}
        self._score = score
        self._pairs: dict[int, int] = {}  # truth id → track id
        self._back: dict[int, int | None] = {}  # hidden objects: the frame on which they show again

    def pair(self, found: sv.Detections, true: sv.Detections) -> None:
        """Pair the tracks of the keyframe with the objects there."""
        if len(found) and len(true):
            agree = np.array([[iou(f, t) for t in masks_of(true)] for f in masks_of(found)])
            rows, columns = linear_sum_assignment(-agree)
            tracks, objects = ids_of(found), ids_of(true)
            self._pairs = {objects[c]: tracks[r] for r, c in zip(rows, columns) if agree[r, c] > TOUCHES}

    def add(self, index: int, found: sv.Detections, true: sv.Detections) -> None:
        """Compare frame `index`."""
        masks, visible = masks_by_id(found), masks_by_id(true)
        for object_id, overlaps in self.overlaps.items():
            mask = masks.get(self._pairs.get(object_id, -1))
            if object_id in visible:
                overlaps.append(iou(mask, visible[object_id]) if mask is not None else 0.0)
                if object_id in self._back:
                    since = self._back[object_id]
                    self._back[object_id] = since = index if since is None else since
                    if mask is not None:
                        self._score.late.append(index - since)
                        del self._back[object_id]
            elif object_id in self._pairs:
                self._score.absent.append(mask is None)
                self._back[object_id] = None

    def close(self) -> None:
        """Add J of the objects that were tracked."""
        for object_id in self._pairs:
            values = self.overlaps[object_id]
            self._score.tracked.append(float(np.mean(values)))
            self._score.last_quarter.append(float(np.mean(values[-max(1, len(values) // 4) :])))


def score_clip(model: Model, clip: Path, truth: Path, prompt: Sequence[str], score: Score) -> dict[str, float]:
    """Track one clip and add its figures to `score`. Returns J by "label id" of the truth.

    Truth objects whose name is not in the prompt are left out.
    """
    run = model.track(clip, list(prompt))
    expected = {frame.index: frame.detections for frame in vidseg.read_tracks(truth)}
    names = {i: name for d in expected.values() for i, name in zip(ids_of(d), names_of(d)) if name in prompt}
    scorer = Scorer(names, score)
    for frame in run:
        true = expected[frame.index]
        true = select(true, [name in prompt for name in names_of(true)])
        if frame.index == run.keyframe:
            score.add_boxes(model.detector.detect(image_of(frame), list(prompt)), true)
            scorer.pair(frame.detections, true)
        scorer.add(frame.index, frame.detections, true)
    scorer.close()
    return {f"{names[i]} {i}": float(np.mean(v)) if v else 0.0 for i, v in scorer.overlaps.items()}


def bound(truth: Path, cells: int) -> dict[str, float]:
    """J by "label id" of the true masks themselves, once they were taken down to a grid of logits and up again."""
    overlaps: dict[str, list[float]] = {}
    for frame in vidseg.read_tracks(truth):
        found = frame.detections
        for mask, name, object_id in zip(masks_of(found), names_of(found), ids_of(found)):
            inside = cv2.resize(mask.astype(np.float32), (cells, cells), interpolation=cv2.INTER_AREA)
            large = cv2.resize(inside, (mask.shape[1], mask.shape[0]))
            overlaps.setdefault(f"{name} {object_id}", []).append(iou(large > 0.5, mask))
    return {key: float(np.mean(values)) for key, values in overlaps.items()}


def count_strangers(model: Model, clips: int, seed: int) -> int:
    """Objects that are found in generated clips by words that stand for nothing in them."""
    count = 0
    for number in range(clips):
        with tempfile.TemporaryDirectory() as folder:
            clip, _ = write_scenes(Path(folder), "clip", [random_scene(seed * 1000 + 500 + number)])
            count += len({i for frame in model.track(clip, STRANGE) for i in ids_of(frame.detections)})
    return count


def score_samples(model: Model) -> None:
    """Print J on the samples, and how far the grid of logits bounds it."""
    for name, prompt in SAMPLE_PROMPTS:
        score = Score()
        by_object = score_clip(model, SAMPLES / f"{name}.mp4", SAMPLES / f"{name}.truth.jsonl", prompt, score)
        click.echo(f"{name}.mp4, {'. '.join(prompt)}: {listed(by_object)}\n{score.lines()}")
    # What this mask decoder draws on, and that of the published SAM 2.1.
    for cells in (model.propagator().network.image_size // 4, 256):
        for name in ("park", "street"):
            values = bound(SAMPLES / f"{name}.truth.jsonl", cells)
            click.echo(f"{name}.mp4, the truth drawn with {cells}×{cells} cells: {listed(values)}")


def listed(values: Mapping[str, float]) -> str:
    """J by object, in words."""
    return ", ".join(f"{key} J {value:.3f}" for key, value in values.items())


def score_made_clips(model: Model, clips: int, seed: int, frames: int, objects: int) -> Score:
    """Track fresh clips by the names that are present and three that are not."""
    score = Score()
    for number in range(clips):
        rng = np.random.default_rng([seed, number])
        scene = random_scene(seed * 1000 + number, objects, frames)
        present = [sprite.name for sprite in scene.sprites]
        others = [name for name in NAMED if name not in present]
        prompt = present + list(rng.choice(others, 3, replace=False))
        with tempfile.TemporaryDirectory() as folder:
            score_clip(model, *write_scenes(Path(folder), "clip", [scene]), prompt, score)
    return score


@click.command()
@click.option("--clips", default=20, show_default=True)
@click.option("--seed", default=2026, show_default=True)
@click.option("--frames", default=48, show_default=True)
@click.option("--objects", default=4, show_default=True)
@click.option("--strange-clips", default=50, show_default=True, help="Clips asked for words that stand for nothing.")
@click.option("--sam", help="Checkpoint to score instead of the bundled one.")
@click.option("--detector", help="Checkpoint to score instead of the bundled one.")
@click.option("--dtype", default="auto", show_default=True)
def main(
    clips: int,
    seed: int,
    frames: int,
    objects: int,
    strange_clips: int,
    sam: str | None,
    detector: str | None,
    dtype: str,
) -> None:
    """Score a pair of checkpoints on freshly made clips of the demo world, and on the samples."""
    model = vidseg.load("demo", sam=sam, detector=detector, device="cpu", dtype=dtype)
    score_samples(model)
    began = time.perf_counter()
    score = score_made_clips(model, clips, seed, frames, objects)
    click.echo(
        f"\n{clips} clips of {frames} frames with {objects} objects, seed {seed}; "
        f"prompts: the names present and three that are not\n{score.lines()}\n"
        f"{clips * frames / (time.perf_counter() - began):.1f} frames/s including making and writing the clips"
    )
    if strange_clips:
        found = count_strangers(model, strange_clips, seed)
        click.echo(f"{strange_clips} clips asked for {', '.join(STRANGE)}: {found} objects found")


if __name__ == "__main__":
    main()
