"""What the demo SAM remembers: is it silent about what cannot be seen, does it find it again, can it keep twins apart?

    uv run python -m scripts.demo_models.score.memory                  # the bundled SAM
    uv run python -m scripts.demo_models.score.memory --sam runs/sam_new --clips 8 --kind twins

Everything is prompted once, by its true box on the first frame; there is no detector, so all the rest is memory. The
clips are those of `challenge/families.py`, with seeds of their own.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np

import vidseg
from scripts.challenge.families import all_begin_visible, away_for_a_while, occlusion, reentry, twins
from scripts.challenge.plan import ENTERED, LEAST, Plan, full_areas, gaps, visible, write_plan
from scripts.demo_models.score.clips import MATCH
from scripts.demo_models.world.clips import RATE
from scripts.detections import ids_of, iou, masks_by_id
from vidseg.model import Model

SEED = 52_000
HIDDEN = range(8, 13)  # frames of full occlusion that count as "ten"


@dataclass
class Followed:
    """One object of a clip.

    Attributes:
        score: [T] whether it got a mask, which is whether its object score was positive.
        own: [T] IoU with its own truth.
        other: [T] highest IoU with the truth of another.
        shown: [T] pixels that can be seen.
        share: [T] the same of its full area.
    """

    score: np.ndarray
    own: np.ndarray
    other: np.ndarray
    shown: np.ndarray
    share: np.ndarray

    @property
    def absent(self) -> np.ndarray:
        """[T] Whether hardly a pixel of it can be seen."""
        return self.shown < LEAST

    @property
    def present(self) -> np.ndarray:
        """Seen by a tenth at least: of what shows less, neither answer is wrong."""
        return (self.share >= ENTERED) & ~self.absent


def plans(
    family: Callable[[np.random.Generator, int], Plan], holds: Callable[[np.ndarray], bool], clips: int, seed: int
) -> Iterator[Plan]:
    """Plans of a family that keep its promise."""
    number, rng = 0, np.random.default_rng(seed)
    while number < clips:
        plan = family(rng, number)
        if holds(visible(plan)):
            yield plan
            number += 1


def hidden_for_ten(shown: np.ndarray) -> bool:
    """The first object is fully hidden once, for ten frames or so, and well visible a second before and after."""
    away = gaps(shown[:, 0])
    if len(away) != 1 or away[0][1] not in HIDDEN:
        return False
    start, stop = away[0][0], sum(away[0])
    return start > 12 and stop + RATE < len(shown) and shown[0, 0] > 800 and shown[stop + RATE, 0] > 800


def follow(model: Model, plan: Plan, folder: Path) -> list[Followed]:
    """Track all objects of a plan from their true boxes on the first frame. In the order of their ids."""
    shown = write_plan(plan, folder / "clip.mp4", folder / "clip.truth.jsonl")
    share = shown / np.maximum(full_areas(plan), 1)
    truth = [frame.detections for frame in vidseg.read_tracks(folder / "clip.truth.jsonl")]
    boxes = [{"id": i, "box": box.tolist()} for i, box in zip(ids_of(truth[0]), truth[0].xyxy)]
    score, own, other = (np.zeros(shown.shape) for _ in range(3))
    for t, frame in enumerate(model.track(folder / "clip.mp4", prompts={0: boxes})):
        true = masks_by_id(truth[t])
        for number, mask in masks_by_id(frame.detections).items():
            agrees = {i: iou(mask, m) for i, m in true.items()}
            score[t, number - 1] = 1
            own[t, number - 1] = agrees.pop(number, 0.0)
            other[t, number - 1] = max(agrees.values(), default=0.0)
    return [Followed(score[:, i] > 0, own[:, i], other[:, i], shown[:, i], share[:, i]) for i in range(shown.shape[1])]


def found_again(found: Followed) -> bool:
    """Whether an object that was away has a mask again within a second of showing a tenth of itself."""
    start, length = gaps(found.shown)[0]
    back = start + length + int(found.present[start + length :].argmax())
    return bool((found.own[back : back + RATE] >= MATCH).any())


def kept_apart(a: Followed, b: Followed) -> bool:
    """Whether two twins have kept their ids: at the end, and nearly always where both are in plain sight."""
    plain = (a.share > 0.9) & (b.share > 0.9)
    right = (a.own >= MATCH) & (b.own >= MATCH) & (a.own > a.other) & (b.own > b.other)
    return bool(right[plain].mean() >= 0.9 and right[plain][-12:].all())


# Name of each kind of clips, with family and condition.
KINDS = {
    "hidden": (occlusion, hidden_for_ten),
    "left": (reentry, away_for_a_while),
    "twins": (twins, all_begin_visible),
}


def report(kind: str, clips: Sequence[Sequence[Followed]]) -> Iterator[str]:
    """What to print of the objects of some clips of a kind."""
    absent = np.concatenate([f.score[f.absent] for objects in clips for f in objects])
    present = np.concatenate([f.score[f.present] for objects in clips for f in objects])
    silent = f"absent frames with a negative score {1 - absent.mean():.3f} of {len(absent)}, " if len(absent) else ""
    yield f"{kind:6} {silent}visible frames with a positive one {present.mean():.3f} of {len(present)}"
    if kind == "hidden":
        again = [found_again(objects[0]) for objects in clips]
        where = f"{HIDDEN[0]} to {HIDDEN[-1]} frames behind something"
        yield f"       found again after {where}: {sum(again)} of {len(again)}"
    elif kind == "left":
        again = [found_again(f) for objects in clips for f in objects[:2]]
        yield f"       found again after they were out of the picture: {sum(again)} of {len(again)}"
    else:
        kept = [kept_apart(*objects[1:3]) for objects in clips]
        yield f"       both ids kept by twins that cross: in {sum(kept)} of {len(kept)}"


@click.command()
@click.option("--clips", default=20, show_default=True, help="Clips of each kind.")
@click.option(
    "--kind", "kinds", multiple=True, type=click.Choice(list(KINDS)), help="Only this one; may be given again."
)
@click.option("--seed", default=SEED, show_default=True, help="Other clips of the same kinds.")
@click.option("--sam", metavar="FOLDER", help="Another SAM instead of the demo pair's.")
def main(clips: int, kinds: tuple[str, ...], seed: int, sam: str | None) -> None:
    """Score what the demo SAM remembers: silence about what is hidden, finding it again, keeping twins apart."""
    model = vidseg.load("demo", sam=sam, device="cpu")
    click.echo(f"{clips} clips of each kind, seed {seed}, each object prompted by its true box on the first frame")
    for kind in kinds or KINDS:
        with tempfile.TemporaryDirectory() as folder:
            followed = [follow(model, plan, Path(folder)) for plan in plans(*KINDS[kind], clips, seed)]
        for line in report(kind, followed):
            click.echo(line)


if __name__ == "__main__":
    main()
