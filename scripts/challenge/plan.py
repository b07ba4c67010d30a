"""Clips of the made-up world before and while they are drawn: what is where, what of it shows, and the files of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scripts.demo_models.world.clips import tracks_header, truth_frame, write_clip
from scripts.demo_models.world.scene import Scene, draw
from vidseg.tracks.file import TracksWriter

HEIGHT, WIDTH = 360, 640
LEAST = 40  # pixels: of what shows less than this, the truth says that it cannot be seen
ENTERED = 0.1  # share of an object's full area that shows where it has come into the picture


@dataclass
class Shot:
    """A stretch of the clip between two cuts.

    Attributes:
        scene: what is painted.
        ids: id in the truth of each of its sprites, 0 for one that is not to be tracked.
        frames: which frames of the scene are shown.
    """

    scene: Scene
    ids: list[int]
    frames: range


@dataclass
class Plan:
    """A clip before it is drawn.

    Attributes:
        shots: its stretches, in order.
        prompt: the names to track, each once.
        faults: seed of the detector's faults, None for a detector that is left alone.
    """

    shots: list[Shot]
    prompt: list[str]
    faults: int | None = None

    @property
    def objects(self) -> int:
        """Number of objects in the truth; their ids are 1 to this."""
        return max(max(shot.ids) for shot in self.shots)


def play(plan: Plan, height: int, width: int, noisy: bool = True) -> Iterator[tuple[np.ndarray, np.ndarray, Shot]]:
    """Draw a plan frame by frame: yields image [height, width, 3] uint8, owner [height, width] uint8 and the shot.

    The owner is as `draw` gives it: 0 for background, i + 1 where sprite i of the shot is the visible one.
    """
    rng = np.random.default_rng(0) if noisy else None
    for shot in plan.shots:
        for t in shot.frames:
            image, owner, _ = draw(shot.scene, t, height, width, rng)
            yield image, owner, shot


def visible(plan: Plan, shrink: int = 4) -> np.ndarray:
    """[T, objects] pixels of each object that show on each frame, in column id − 1, estimated from a small drawing."""
    frames = play(plan, HEIGHT // shrink, WIDTH // shrink, noisy=False)
    return np.array([pixels(owner, shot.ids, plan.objects) for _, owner, shot in frames]) * shrink**2


def pixels(owner: np.ndarray, ids: Sequence[int], objects: int) -> np.ndarray:
    """[objects] pixels of each object in an `owner` of sprites that have these ids, in column id − 1."""
    counts = np.bincount(owner.ravel(), minlength=len(ids) + 1)
    row = np.zeros(objects, int)
    for object_id, count in zip(ids, counts[1:]):
        if object_id:
            row[object_id - 1] = count
    return row


def full_areas(plan: Plan) -> np.ndarray:
    """[T, objects] pixels that each object would cover if nothing hid it and the picture had no edge, in column id − 1.

    0 where an object is not in the scene. (The areas of `draw` end at the edge of the picture.)
    """
    areas = []
    for shot in plan.shots:
        part = np.zeros((len(shot.frames), plan.objects))
        for sprite, object_id, poses in zip(
            shot.scene.sprites, shot.ids, shot.scene.poses[shot.frames].transpose(1, 0, 2)
        ):
            if object_id:
                solid = (sprite.levels[0][..., 3] > 0.5).mean()  # of the square tile, whose side is the pose's size
                part[:, object_id - 1] = solid * (poses[:, 2] * HEIGHT) ** 2
        areas.append(part)
    return np.concatenate(areas)


def entries(shown: np.ndarray, areas: np.ndarray) -> dict[int, int]:
    """By id, the first frame on which an object shows ENTERED of its area; without those that do so on the first frame.

    shown, areas: [T, objects] pixels that can be seen, and that there are.
    """
    there = (shown > 0) & (shown >= ENTERED * areas)
    return {column + 1: int(frames.argmax()) for column, frames in enumerate(there.T) if frames.any() and not frames[0]}


def gaps(shown: np.ndarray) -> list[tuple[int, int]]:
    """First frame and length of each stretch where an object, with `shown` [T] pixels, is away in between."""
    there = np.flatnonzero(shown >= LEAST)
    steps = np.diff(there)
    return [(int(there[i]) + 1, int(steps[i]) - 1) for i in np.flatnonzero(steps > 1)]


def write_plan(plan: Plan, clip: Path, truth: Path) -> np.ndarray:
    """Write a plan as a video and its truth. Returns [T, objects] pixels of each object that show, in column id − 1."""
    shown = []
    header = tracks_header(clip.name, (WIDTH, HEIGHT), plan.prompt, {"truth": "scripts/challenge/clips.py"})
    with TracksWriter(truth, header) as tracks:

        def pictures() -> Iterator[np.ndarray]:
            for index, (image, owner, shot) in enumerate(play(plan, HEIGHT, WIDTH)):
                shown.append(pixels(owner, shot.ids, plan.objects))
                names = [sprite.name for sprite in shot.scene.sprites]
                tracks.write(truth_frame(index, wanted_only(owner, shot.ids), names, shot.ids))
                yield image

        write_clip(clip, pictures())
    return np.array(shown)


def wanted_only(owner: np.ndarray, ids: Sequence[int]) -> np.ndarray:
    """The owners without sprites that are not to be tracked, and without those that show less than LEAST pixels."""
    counts = np.bincount(owner.ravel(), minlength=len(ids) + 1)
    keep = np.array([False] + [object_id > 0 and count >= LEAST for object_id, count in zip(ids, counts[1:])])
    return np.where(keep[owner], owner, 0).astype(np.uint8)
