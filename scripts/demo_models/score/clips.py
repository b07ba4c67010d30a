"""Score a pair of checkpoints on freshly made clips of the demo world, and on the samples, with exact ground truth.

    uv run python -m scripts.demo_models.score.clips                  # the bundled pair
    uv run python -m scripts.demo_models.score.clips --sam runs/sam/export --detector runs/detector/export

J is the mean IoU of an object's masks with the truth over all frames on which it is visible (a frame without a mask
counts 0). Clips are written as H.264 and read again, as a user's would be.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import supervision as sv
from scipy.optimize import linear_sum_assignment

import vidseg
from scripts.demo_models.world.clips import random_scene, write_scenes
from scripts.demo_models.world.sprites import NAMED

SAMPLES = Path(__file__).resolve().parents[3] / "samples"
MATCH = 0.5  # IoU from which a detection or a track is of an object


@dataclass
class Score:
    """Counts of boxes on keyframes, and J of the objects of some clips."""

    detected: int = 0
    right: int = 0
    true: int = 0
    tracked: list[float] = field(default_factory=list)  # J of every object that a track was started for
    last_quarter: list[float] = field(default_factory=list)
    absent: list[bool] = field(default_factory=list)  # frames on which a tracked object is hidden: is it absent?
    late: list[int] = field(default_factory=list)  # frames from where a hidden object shows again to its first mask

    def lines(self) -> str:
        recall, precision = self.right / max(self.true, 1), self.right / max(self.detected, 1)
        hidden = f", absent where hidden {np.mean(self.absent):.3f} of {len(self.absent)}" if self.absent else ""
        hidden += f", followed again after {', '.join(map(str, self.late))} frames" if self.late else ""
        return (
            f"detection on keyframes: recall {recall:.3f}, precision {precision:.3f} ({self.right} of {self.true}, {self.detected} boxes)\n"
            f"J of {len(self.tracked)} tracked objects {np.mean(self.tracked or [0]):.3f}, "
            f"last quarter {np.mean(self.last_quarter or [0]):.3f}{hidden}"
        )


def iou(a: np.ndarray, b: np.ndarray) -> float:
    union = (a | b).sum()
    return float((a & b).sum() / union) if union else 1.0


def score_clip(model, clip: Path, truth: Path, prompt: list[str], score: Score) -> dict[str, float]:
    """Track one clip and add its figures to `score`. Returns J by "label id" of the truth.

    Truth objects whose name is not in the prompt are left out.
    """
    run = model.track(clip, prompt)
    expected = {frame.index: frame.detections for frame in vidseg.read_tracks(truth)}
    names = {i: n for d in expected.values() for i, n in zip(d.tracker_id, d.data["class_name"]) if n in prompt}
    pairs: dict[int, int] = {}  # truth id → track id
    overlaps: dict[int, list[float]] = {i: [] for i in names}
    back: dict[int, int | None] = {}  # hidden objects: the frame on which they show again
    for frame in run:
        found, true = frame.detections, expected[frame.index]
        true = true[[n in prompt for n in true.data["class_name"]]] if len(true) else true
        if frame.index == run.keyframe:
            boxes = model.detector.detect(frame.image, prompt)
            score.true += len(true)
            score.detected += len(boxes)
            if len(boxes) and len(true):
                agree = sv.box_iou_batch(boxes.xyxy, true.xyxy) * (
                    boxes.data["class_name"][:, None] == true.data["class_name"][None]
                )
                rows, columns = linear_sum_assignment(-agree)
                score.right += int((agree[rows, columns] >= MATCH).sum())
            if len(found) and len(true):
                agree = np.array([[iou(f, t) for t in true.mask] for f in found.mask])
                rows, columns = linear_sum_assignment(-agree)
                pairs = {
                    int(true.tracker_id[c]): int(found.tracker_id[r])
                    for r, c in zip(rows, columns)
                    if agree[r, c] > 0.2
                }
        masks = {int(i): m for i, m in zip(found.tracker_id, found.mask)} if len(found) else {}
        visible = {int(i): m for i, m in zip(true.tracker_id, true.mask)} if len(true) else {}
        for object_id in names:
            mask = masks.get(pairs.get(object_id))
            if object_id in visible:
                overlaps[object_id].append(iou(mask, visible[object_id]) if mask is not None else 0.0)
                if object_id in back:
                    back[object_id] = frame.index if back[object_id] is None else back[object_id]
                    if mask is not None:
                        score.late.append(frame.index - back.pop(object_id))
            elif object_id in pairs:
                score.absent.append(mask is None)
                back[object_id] = None
    for object_id in pairs:
        values = overlaps[object_id]
        score.tracked.append(float(np.mean(values)))
        score.last_quarter.append(float(np.mean(values[-max(1, len(values) // 4) :])))
    return {f"{names[i]} {i}": float(np.mean(v)) if v else 0.0 for i, v in overlaps.items()}


def bound(truth: Path, cells: int) -> dict[str, float]:
    """J by "label id" of the true masks themselves, once they have been taken down to a grid of logits, and up again."""
    overlaps: dict[str, list[float]] = {}
    for frame in vidseg.read_tracks(truth):
        for mask, name, object_id in zip(
            frame.detections.mask, frame.detections.data["class_name"], frame.detections.tracker_id
        ):
            inside = cv2.resize(mask.astype(np.float32), (cells, cells), interpolation=cv2.INTER_AREA)
            overlaps.setdefault(f"{name} {object_id}", []).append(iou(cv2.resize(inside, mask.shape[::-1]) > 0.5, mask))
    return {key: float(np.mean(values)) for key, values in overlaps.items()}


STRANGE = [
    "giraffe-shaped teapot",
    "zxqw",
    "quantum of solace",
    "dogxqz",
    "wardrobe",
]  # none is a word of the demo world


def count_strangers(model, clips: int, seed: int) -> int:
    """Objects that are found in generated clips by words that stand for nothing in them."""
    count = 0
    for number in range(clips):
        with tempfile.TemporaryDirectory() as folder:
            write_scenes(Path(folder), "clip", [random_scene(seed * 1000 + 500 + number)], 360, 640)
            found = {
                int(i) for frame in model.track(Path(folder) / "clip.mp4", STRANGE) for i in frame.detections.tracker_id
            }
        count += len(found)
    return count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=20)
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--frames", type=int, default=48)
    parser.add_argument("--objects", type=int, default=4)
    parser.add_argument(
        "--strange-clips", type=int, default=50, help="clips in which words are looked for that stand for nothing"
    )
    parser.add_argument("--sam", help="checkpoint to score instead of the bundled one")
    parser.add_argument("--detector", help="checkpoint to score instead of the bundled one")
    parser.add_argument("--dtype", default="auto")
    options = parser.parse_args()
    model = vidseg.load("demo", sam=options.sam, detector=options.detector, device="cpu", dtype=options.dtype)
    for name, prompt in (("park", ["dog"]), ("park", ["cat", "ball"]), ("street", ["person", "bicycle"])):
        score = Score()
        by_object = score_clip(model, SAMPLES / f"{name}.mp4", SAMPLES / f"{name}.truth.jsonl", prompt, score)
        print(
            f"{name}.mp4, {'. '.join(prompt)}: " + ", ".join(f"{key} J {value:.3f}" for key, value in by_object.items())
        )
        print(score.lines(), flush=True)
    for cells in (
        model.propagator().network.image_size // 4,
        256,
    ):  # what this mask decoder draws on, and that of the published SAM 2.1
        for name in ("park", "street"):
            values = bound(SAMPLES / f"{name}.truth.jsonl", cells)
            print(
                f"{name}.mp4, the truth drawn with {cells}×{cells} cells: "
                + ", ".join(f"{key} J {value:.3f}" for key, value in values.items())
            )

    began, frames, score = time.perf_counter(), 0, Score()
    for number in range(options.clips):
        rng = np.random.default_rng([options.seed, number])
        scene = random_scene(options.seed * 1000 + number, options.objects, options.frames)
        present = [sprite.name for sprite in scene.sprites]
        others = [name for name in NAMED if name not in present]
        prompt = present + list(rng.choice(others, 3, replace=False))
        with tempfile.TemporaryDirectory() as folder:
            write_scenes(Path(folder), "clip", [scene], 360, 640)
            score_clip(model, Path(folder) / "clip.mp4", Path(folder) / "clip.truth.jsonl", prompt, score)
        frames += options.frames
    print(
        f"\n{options.clips} clips of {options.frames} frames with {options.objects} objects, seed {options.seed}; "
        f"prompts: the names present and three that are not\n{score.lines()}\n"
        f"{frames / (time.perf_counter() - began):.1f} frames/s including making and writing the clips"
    )
    if options.strange_clips:
        print(
            f"{options.strange_clips} clips asked for {', '.join(STRANGE)}: {count_strangers(model, options.strange_clips, options.seed)} objects found"
        )


if __name__ == "__main__":
    main()
