"""What the detections on one frame are of: objects in view, objects that were lost, or new ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import supervision as sv
from torch import Tensor

from vidseg.prompts.geometry import Box
from vidseg.sam.frame import FrameFeatures
from vidseg.sam.propagator import Propagator
from vidseg.tracking.matching import (
    AGREE,
    ALIKE,
    COVERED,
    STRANGE,
    STRONG,
    Known,
    assign,
    covered,
    in_common,
    look_of,
    mask_iou,
)
from vidseg.tracking.pending import WaitingFrame
from vidseg.tracking.registry import Objects


@dataclass
class Found:
    """What is on a frame, according to the detector.

    Attributes:
        boxes: [N, 4] x1, y1, x2, y2 in pixels, best first, with N labels and N scores in 0..1.
    """

    boxes: np.ndarray
    labels: list[str]
    scores: np.ndarray


@dataclass
class Newcomer:
    """A detection that no object in view accounts for, and the mask [h, w] that it prompts (None if nothing is visible)."""

    object_id: int
    label: str
    score: float
    logits: Tensor | None
    score_of_mask: float

    @property
    def mask(self) -> Tensor | None:
        return None if self.logits is None else self.logits > 0


class Settling:
    """Settles one frame; made anew for each.

    Args:
        objects, propagator: of the run; both are changed.
        now: the frame, with the masks of the objects in view; newcomers are added.
        features: of the frame, encoded.
        again: whether there were other looks and will be more. Else whatever is found is an object.
        undecided: newcomers that are not doubted here, since another look is to decide.
        passing: boxes [4] of objects that pass each other, by id: their masks are not to be trusted, nor to be doubted.

    Attributes:
        agreed: ids of the objects in view whose mask a detection agrees with.
    """

    def __init__(
        self,
        objects: Objects,
        propagator: Propagator,
        now: WaitingFrame,
        features: FrameFeatures,
        again: bool,
        undecided: frozenset[int],
        passing: Mapping[int, np.ndarray],
    ):
        self._objects, self._propagator = objects, propagator
        self._now, self._features = now, features
        self._again, self._undecided, self._passing = again, undecided, passing
        self.agreed: list[int] = []

    def settle(self, found: Found) -> list[int]:
        """Match, correct, doubt and admit (docs/tracking.md says how). Returns ids of objects that were not in view before."""
        ids, masks = self._now.boxes()
        found = self._of_others(found)
        matched = assign(found.boxes, found.labels, masks, [self._objects.known[i] for i in ids])
        for row, column in matched.items():
            self._objects.second(ids[column], found.labels[row], float(found.scores[row]))
        self.agreed = [ids[column] for column in matched.values()]
        spare = set(ids) - set(self.agreed) - set(self._passing)
        newcomers = self._prompted(found, [row for row in range(len(found.boxes)) if row not in matched])
        if self._again:
            newcomers = [newcomer for newcomer in newcomers if not self._corrected(newcomer, spare)]
            self._doubt(spare)
        return [i for newcomer in self.most_alike_first(newcomers) for i in self._admit(newcomer)]

    def _of_others(self, found: Found) -> Found:
        """What is found without what is of objects that pass each other: that only says that they are there."""
        ids = [i for i in self._passing if i in self._objects.known]
        if not ids or not len(found.boxes):
            return found
        agree = sv.box_iou_batch(found.boxes, np.stack([self._passing[i] for i in ids]))
        theirs = agree.max(1) >= AGREE
        for row in np.flatnonzero(theirs):
            object_id = ids[int(agree[row].argmax())]
            if found.labels[row] in self._objects.known[object_id].votes:
                self._objects.second(object_id, found.labels[row], float(found.scores[row]))
        return Found(
            found.boxes[~theirs], [label for label, other in zip(found.labels, ~theirs) if other], found.scores[~theirs]
        )

    def _prompted(self, found: Found, rows: list[int]) -> list[Newcomer]:
        """Masks for some detections, under ids of their own."""
        ids = self._objects.reserve(len(rows))
        if not rows:
            return []
        prompts = {i: Box(tuple(float(value) for value in found.boxes[row])) for i, row in zip(ids, rows)}
        shown = WaitingFrame(self._now.frame)
        shown.add(self._propagator.prompt(self._features, self._now.frame.index, prompts))
        return [
            Newcomer(i, found.labels[row], float(found.scores[row]), shown.logits.get(i), shown.scores.get(i, 0.0))
            for i, row in zip(ids, rows)
        ]

    def _corrected(self, newcomer: Newcomer, spare: set[int]) -> bool:
        """Whether a detection is of an object in view whose mask has come to show only a part of it, or too much.

        spare: objects that no detection agrees with. The mask of the detection takes the place of the object's, which keeps its prompts.
        """
        mask = newcomer.mask
        for object_id in sorted(spare) if mask is not None else ():
            old = self._now.logits[object_id] > 0
            known = self._objects.known[object_id]
            if not known.by_hand and newcomer.label in known.votes and in_common(old, mask) > COVERED:
                spare.remove(object_id)
                self._pass_on(newcomer.object_id, object_id)
                self._now.logits[object_id], self._now.scores[object_id] = newcomer.logits, newcomer.score_of_mask
                self._objects.second(object_id, newcomer.label, newcomer.score)
                return True
        return False

    def _doubt(self, spare: set[int]) -> None:
        """Give up newcomers that were not detected a second time, and objects whose mask has moved on to something else."""
        for object_id in self._objects.unsure() - self._undecided:
            self._let_go(object_id)
        for object_id in spare & set(self._now.logits):
            if (
                self._objects.known[object_id].likeness(look_of(self._features.top, self._now.logits[object_id]))
                < STRANGE
            ):
                self._let_go(object_id)

    def _let_go(self, object_id: int) -> None:
        """Carry an object no further. It can be found again by its looks, unless it was a false alarm: that is forgotten."""
        self._propagator.banks.pop(object_id, None)
        self._now.drop(object_id)
        if object_id in self._objects.unsure() - self._undecided:
            del self._objects.known[object_id]

    def _admit(self, newcomer: Newcomer) -> list[int]:
        """Let a newcomer be an object: one that was lost, or a new one. Returns its id, or nothing if it shows nothing new."""
        mask = newcomer.mask
        others = {i: logits > 0 for i, logits in self._now.logits.items()}
        if mask is None or covered(mask, list(others.values())) > COVERED:
            self._propagator.remove(newcomer.object_id)
            for other in others if mask is not None else ():
                if mask_iou([mask], [others[other]]) > COVERED:  # one thing by two names: evidence for the other name
                    self._objects.vote(other, newcomer.label, newcomer.score)
            return []
        self._now.logits[newcomer.object_id], self._now.scores[newcomer.object_id] = (
            newcomer.logits,
            newcomer.score_of_mask,
        )
        likeness = self.likeness(newcomer)
        if likeness:
            lost = max(likeness, key=likeness.get)
            self.take_back(newcomer.object_id, lost)
            self._objects.vote(lost, newcomer.label, newcomer.score)
            return [lost]
        self._objects.known[newcomer.object_id] = known = Known(self._now.frame.index, evidence=newcomer.score)
        known.votes[newcomer.label] += newcomer.score
        if not self._again or newcomer.score >= STRONG:
            self._objects.confirm(newcomer.object_id)
        return [newcomer.object_id]

    def likeness(self, newcomer: Newcomer) -> dict[int, float]:
        """How much a newcomer looks like the objects of its label that are out of view, for those that are alike enough."""
        if not self._again or newcomer.logits is None:
            return {}
        look = look_of(self._features.top, newcomer.logits)
        candidates = {
            i: known.likeness(look)
            for i, known in self._objects.known.items()
            if known.confirmed and known.label == newcomer.label and i not in self._now.logits
        }
        return {i: value for i, value in candidates.items() if value >= ALIKE}

    def most_alike_first(self, newcomers: list[Newcomer]) -> list[Newcomer]:
        """Newcomers in the order in which they choose: an id goes to whoever looks most like its object, then by score."""
        return sorted(newcomers, key=lambda newcomer: -max(self.likeness(newcomer).values(), default=0.0))

    def take_back(self, newcomer: int, lost: int) -> None:
        """Let the newcomer be an object that was lost: its id, its prompts of old if it is still carried, its present mask."""
        self._pass_on(newcomer, lost)
        self._now.rename(newcomer, lost)

    def _pass_on(self, newcomer: int, known: int) -> None:
        """Give a newcomer's prompt to an object that is known, beside its prompts of old; what it remembers else may be wrong."""
        banks, bank, index = self._propagator.banks, self._propagator.banks.pop(newcomer), self._now.frame.index
        if known in banks:
            present = bank.conditioning[index]
            bank.conditioning = dict(banks[known].conditioning)
            bank.add_conditioning(index, present)  # if there are too many, the one farthest from now goes
        banks[known] = bank
