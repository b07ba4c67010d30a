"""Clips of the made-up world that are hard to follow by name, each with its exact truth, to score on.

A family is one difficulty: twins that cross, a long way behind something, a hard cut and back. Its recipe draws a plan
from a seed, and draws again until the drawn clip is what the family promises; `make` writes the plan as a video and its
truth as a tracks file. The truth has one id for the whole life of an object, whatever hides it in between.

    uv run python -m scripts.challenge.clips FOLDER     # three clips of each family, and pictures of their truth
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click
import cv2
import numpy as np

from scripts.challenge.families import FAMILIES
from scripts.challenge.faulty_detector import FaultyDetector
from scripts.challenge.plan import HEIGHT, Plan, entries, full_areas, visible, write_plan
from scripts.detections import ids_of, masks_of
from vidseg.io.clip import Clip
from vidseg.tracks.file import read_tracks


@dataclass(frozen=True)
class Challenge:
    """A clip to track, as files.

    Attributes:
        family: its difficulty.
        seed: what it was drawn from.
        clip: the video.
        truth: its tracks file.
        prompt: phrases.
        entries: on which frame each object comes into the picture, see `plan.entries`.
        wrap: what to put around the detector before the clip is tracked, None for nothing.
    """

    family: str
    seed: int
    clip: Path
    truth: Path
    prompt: list[str]
    entries: dict[int, int]
    wrap: Callable[..., FaultyDetector] | None = None


def make(family: str, number: int, folder: Path) -> Challenge:
    """Clip `number` of a family, drawn and written into a folder."""
    seed = seed_of(family, number)
    plan = draft(family, number)
    stem = f"{family}-{number}"
    clip, truth = folder / f"{stem}.mp4", folder / f"{stem}.truth.jsonl"
    shown = write_plan(plan, clip, truth)
    wrap = None if plan.faults is None else partial(FaultyDetector, seed=plan.faults)
    return Challenge(family, seed, clip, truth, plan.prompt, entries(shown, full_areas(plan)), wrap)


def seed_of(family: str, number: int) -> int:
    """What clip `number` of a family is drawn from."""
    return (list(FAMILIES).index(family) + 1) * 1000 + number


def draft(family: str, number: int) -> Plan:
    """Plan of clip `number` of a family: drawn until the family's condition holds."""
    recipe, holds = FAMILIES[family]
    rng = np.random.default_rng(seed_of(family, number))
    for _ in range(200):
        plan = recipe(rng, number)
        if holds(visible(plan)):
            return plan
    raise RuntimeError(f"{family} {number}: no plan in 200 is what the family promises")


def contact_sheet(challenge: Challenge, count: int = 12) -> np.ndarray:
    """Some frames of a clip with outline and id of every object of the truth, side by side, as one BGR picture."""
    truth = {frame.index: frame.detections for frame in read_tracks(challenge.truth)}
    wanted = set(np.linspace(0, len(truth) - 1, count).astype(int))
    tiles = []
    for frame in Clip(challenge.clip).frames():
        if frame.index not in wanted:
            continue
        picture, true = np.ascontiguousarray(frame.image[..., ::-1]), truth[frame.index]
        for object_id, mask, box in zip(ids_of(true), masks_of(true), true.xyxy):
            lines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
            cv2.drawContours(picture, lines, -1, (255, 0, 255), 2)
            corner = int(box[0]), int(box[1]) + 22
            cv2.putText(picture, str(object_id), corner, 0, 0.9, (255, 255, 255), 4)
            cv2.putText(picture, str(object_id), corner, 0, 0.9, (0, 0, 0), 2)
        cv2.putText(picture, str(frame.index), (4, HEIGHT - 8), 0, 0.8, (0, 0, 255), 2)
        tiles.append(picture[::2, ::2])
    return np.vstack([np.hstack(tiles[i : i + 4]) for i in range(0, len(tiles), 4)])


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
def main(folder: Path) -> None:
    """Write three clips of each family into FOLDER, and pictures of their truth."""
    folder.mkdir(parents=True, exist_ok=True)
    for family in FAMILIES:
        for number in range(3):
            challenge = make(family, number, folder)
            cv2.imwrite(str(challenge.clip.with_suffix(".png")), contact_sheet(challenge))
            click.echo(f"{challenge.clip.name}: seed {challenge.seed}, {', '.join(challenge.prompt)}")


if __name__ == "__main__":
    main()
