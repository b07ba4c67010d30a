"""Two that look alike pass each other: where looks cannot tell who is who, motion does.

While one hides the other, both masks come to lie on whoever is in front, and memory fills with it under both ids. What was
seen before that tells where each goes: straight on, as in SORT (Bewley et al. 2016, https://arxiv.org/abs/1602.00763).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import supervision as sv
import torch
from torch import Tensor

from vidseg.prompts.geometry import Box
from vidseg.sam.frame import FrameFeatures
from vidseg.sam.propagator import Propagator
from vidseg.tracking.matching import AGREE, ALIKE, COVERED, in_common, look_of
from vidseg.tracking.pending import WaitingFrame

SPAN = 0.5  # seconds of free movement that say where an object is going
STEPS = 4  # frames that take part in that at least
LONGEST = 3.0  # seconds after which nobody knows any more where an object should be
APART = 0.1  # IoU of the boxes in which two are expected, from which down each can be seen by itself
FREE = 1.5  # how much wider the boxes may be without touching when all of both can be seen
EXACT = 0.7  # IoU with the expected box from which a mask can stay as it is
WIDER = 1.4  # how much wider a mask is than the middle 80 % of it: 1.25 for a square, 1.46 for a disc
TWINS = 0.7  # similarity of looks from which two might be mistaken for each other
CLEAR = 0.25  # share of a mask that the other may cover where each begins anew
TELLING = 0.3  # by how much looks must differ to have a say


@dataclass
class Movement:
    """How an object went, and looked, as long as nobody touched it: times in s, boxes x1, y1, x2, y2 in pixels, looks [C]."""

    seen: deque[tuple[float, np.ndarray, Tensor]] = field(default_factory=deque)

    def add(self, time: float, box: np.ndarray, look: Tensor) -> None:
        self.seen.append((time, box, look))
        self.forget(time)

    @property
    def look(self) -> Tensor:
        """From as long ago as possible: what comes near is soon seen in it."""
        return self.seen[0][2]

    def forget(self, time: float) -> None:
        """Drop what lies too far from a time to say anything about it."""
        while self.seen and abs(time - self.seen[0][0]) > SPAN:
            self.seen.popleft()

    def box_at(self, time: float) -> np.ndarray:
        """The box [4] at another time, if the object goes on as it did: the same size, and a centre on a straight line."""
        times, boxes = (np.array([one[part] for one in self.seen]) for part in (0, 1))
        half = np.median(boxes[:, 2:] - boxes[:, :2], 0) / 2
        centre = [
            np.polyval(np.polyfit(times - time, values, 1), 0) for values in ((boxes[:, :2] + boxes[:, 2:]) / 2).T
        ]
        return np.concatenate([centre - half, centre + half])


@dataclass
class Meeting:
    """Two objects whose boxes touch.

    Attributes:
        began: time in s.
        movements: of both, up to then.
        alike: whether they look alike.
        confused: whether one mask has come to lie on the other, or has vanished.
        apart: for how many frames in a row the masks have been apart since.
        distance: how far from each other they were expected on the last frame: along both axes together, in pixels.
        settled: whether it is known who is who, if only from what can be seen while they still overlap.
    """

    began: float
    movements: tuple[Movement, Movement]
    alike: bool
    confused: bool = False
    apart: int = 0
    distance: float = np.inf
    settled: bool = False

    @property
    def looks(self) -> list[Tensor]:
        return [movement.look for movement in self.movements]

    def boxes_at(self, time: float) -> np.ndarray:
        """Where the two are expected, [2, 4]."""
        return np.stack([movement.box_at(time) for movement in self.movements])


class Passing:
    """Watches all objects of a sweep, and puts right who is who when two that look alike have passed each other.

    Args:
        propagator: engine of the sweep.
    """

    def __init__(self, propagator: Propagator):
        self._propagator = propagator
        self._free: dict[int, Movement] = {}
        self._meetings: dict[tuple[int, int], Meeting] = {}

    def forget(self, *ids: int) -> None:
        """Some objects have begun anew; without ids, all have."""
        for object_id in ids or list(self._free):
            self._free.pop(object_id, None)
        self._meetings = {pair: meeting for pair, meeting in self._meetings.items() if ids and not set(pair) & set(ids)}

    def expected(self, time: float) -> dict[int, np.ndarray]:
        """Boxes of those of whom their masks tell nothing now, by id."""
        return {
            i: box
            for pair, meeting in self._meetings.items()
            if meeting.confused and not meeting.settled
            for i, box in zip(pair, meeting.boxes_at(time))
        }

    def watch(self, waiting: list[WaitingFrame], features: FrameFeatures) -> None:
        """Take note of a frame, the last of those that wait; put right what can be decided on it."""
        now = waiting[-1]
        if len(self._propagator.banks) < 2:
            return self.forget()  # whoever is alone is mistaken for nobody
        ids, boxes = bodies(now)
        touch = sv.box_iou_batch(boxes, boxes) > 0 if ids else np.zeros((0, 0), bool)
        np.fill_diagonal(touch, False)
        pairs = {tuple(sorted((ids[a], ids[b]))) for a, b in np.argwhere(np.triu(touch))}
        for row, object_id in enumerate(ids):
            if not touch[row].any():
                self._free.setdefault(object_id, Movement()).add(
                    now.frame.time, boxes[row], look_of(features.top, now.logits[object_id])
                )
        for pair, meeting in list(self._meetings.items()):
            if self._is_over(pair, meeting, pairs, now.frame.time) or (
                meeting.alike and self._advance(pair, meeting, waiting, features)
            ):
                self.forget(*pair) if meeting.confused else self._meetings.pop(pair)
        for pair in pairs - set(self._meetings):
            self._begin(pair, now)
        for object_id in [i for i in self._free if i not in self._propagator.banks]:
            del self._free[object_id]

    def _begin(self, pair: tuple[int, int], now: WaitingFrame) -> None:
        """Two have come to touch. Without knowing where both are going, nothing can be said later."""
        movements = tuple(Movement(self._free[i].seen.copy()) if i in self._free else Movement() for i in pair)
        for movement in movements:
            movement.forget(now.frame.time)
        if all(len(movement.seen) >= STEPS for movement in movements):
            alike = float(movements[0].look @ movements[1].look) >= TWINS
            self._meetings[pair] = Meeting(now.frame.time, movements, alike)

    def _is_over(self, pair: tuple[int, int], meeting: Meeting, touching: set[tuple[int, int]], time: float) -> bool:
        """Whether there is nothing to put right: they have parted without being mistaken for each other, or it took too long."""
        if not all(i in self._propagator.banks for i in pair):
            return True
        return abs(time - meeting.began) > LONGEST or not meeting.confused and pair not in touching

    def _advance(
        self, pair: tuple[int, int], meeting: Meeting, waiting: list[WaitingFrame], features: FrameFeatures
    ) -> bool:
        """See whether the two are confused, or apart again. Returns whether it has been settled who is who."""
        now = waiting[-1]
        masks = [now.logits[i] > 0 for i in pair if i in now.logits]
        apart = len(masks) == 2 and in_common(*masks) <= COVERED
        meeting.apart = meeting.apart + 1 if apart else 0
        meeting.confused |= not apart
        expected = meeting.boxes_at(now.frame.time)
        overlap, near = (
            float(sv.box_iou_batch(boxes[:1], boxes[1:])[0, 0]) for boxes in (expected, sv.scale_boxes(expected, FREE))
        )
        before, meeting.distance = (
            meeting.distance,
            float(np.abs((expected[0] - expected[1]).reshape(2, 2).mean(0)).sum()),
        )
        if not meeting.confused or overlap > APART:
            return False
        if meeting.distance <= before:  # they have not met yet
            if not apart:
                self._prompt(pair, expected, meeting, now, features)
            return False
        if not (meeting.settled and apart) or not near:  # once as soon as both show, and again when all of both does
            meeting.settled = self._settle(pair, meeting, expected, waiting, features)
        return meeting.settled and not near

    def _settle(
        self,
        pair: tuple[int, int],
        meeting: Meeting,
        expected: np.ndarray,
        waiting: list[WaitingFrame],
        features: FrameFeatures,
    ) -> bool:
        """Let each have the mask where it is expected, by an exchange if need be, or by a prompt there."""
        now = waiting[-1]
        if meeting.apart and (told := self._told_by_looks(pair, meeting, now, features)):
            if told < 0:
                self._exchange(pair, waiting[-meeting.apart :])
            return True
        boxes = dict(zip(*bodies(now)))
        agree = np.zeros((2, 2))  # of the mask in a row with the expected box in a column
        for row, object_id in enumerate(pair):
            if object_id in boxes:
                agree[row] = sv.box_iou_batch(boxes[object_id][None], expected)[0]
        if agree[[0, 1], [1, 0]].max() > agree.diagonal().max():
            self._exchange(pair, waiting[-max(1, meeting.apart) :])
            boxes, agree = dict(zip(*bodies(now))), agree[::-1]
        places = [boxes[i] if agree[row, row] >= EXACT else expected[row] for row, i in enumerate(pair)]
        return self._prompt(pair, places, meeting, now, features)

    def _told_by_looks(
        self, pair: tuple[int, int], meeting: Meeting, now: WaitingFrame, features: FrameFeatures
    ) -> int:
        """1 if each looks more like itself than like the other, −1 if it is the other way round, 0 if that cannot be told."""
        seen = [look_of(features.top, now.logits[i]) for i in pair]
        same, crossed = (
            sum(float(a @ b) for a, b in zip(seen, looks)) for looks in (meeting.looks, meeting.looks[::-1])
        )
        return 0 if abs(same - crossed) < TELLING else 1 if same > crossed else -1

    def _exchange(self, pair: tuple[int, int], waiting: list[WaitingFrame]) -> None:
        """Let each be what the other was lately; each keeps its own prompts."""
        a, b = pair
        banks = self._propagator.banks
        banks[a], banks[b] = banks[b], banks[a]
        banks[a].conditioning, banks[b].conditioning = banks[b].conditioning, banks[a].conditioning
        for one in waiting:
            one.exchange(a, b)

    def _prompt(
        self,
        pair: tuple[int, int],
        boxes: Sequence[np.ndarray],
        meeting: Meeting,
        now: WaitingFrame,
        features: FrameFeatures,
    ) -> bool:
        """Let both begin anew in boxes [4] of theirs. Returns whether they are there; else all stays as it is.

        They do not keep their prompts of old: those say where each was, and that is where the other is now.
        """
        prompts = {-1 - row: Box(tuple(box.tolist())) for row, box in enumerate(boxes)}  # ids that nobody has
        there = WaitingFrame(now.frame)
        there.add(self._propagator.prompt(features, now.frame.index, prompts))
        banks = [self._propagator.banks.pop(i) for i in prompts]
        ids, found = bodies(there)
        if ids != list(prompts):
            return False
        if in_common(*(logits > 0 for logits in there.logits.values())) > CLEAR:
            return False
        if (np.diag(sv.box_iou_batch(found, np.stack(boxes))) < AGREE).any():
            return False
        if any(float(look_of(features.top, there.logits[i]) @ look) < ALIKE for i, look in zip(ids, meeting.looks)):
            return False
        for i, new, bank in zip(pair, ids, banks):
            self._propagator.banks[i] = bank
            now.logits[i], now.scores[i] = there.logits[new], there.scores[new]
        return True


def bodies(frame: WaitingFrame) -> tuple[list[int], np.ndarray]:
    """Ids of the visible objects, and a box [N, 4] around each mask without what sticks out of it, in pixels."""
    if not frame.logits:
        return [], np.zeros((0, 4))
    masks = (torch.stack(list(frame.logits.values())) > 0).cpu().numpy()
    size = np.array(frame.frame.image.shape[1::-1])
    return list(frame.logits), np.array(
        [
            np.ravel([core(mask.sum(axis)) for axis in (0, 1)], "F") * np.tile(size / mask.shape[::-1], 2)
            for mask in masks
        ]
    )


def core(counts: np.ndarray) -> tuple[float, float]:
    """Where most of a mask begins and ends along an axis: counts [n] of its cells there, some of them positive."""
    inside = np.flatnonzero(counts)
    share = np.concatenate([[0], np.cumsum(counts)]) / counts.sum()
    middle = np.interp([0.1, 0.9], share, np.arange(len(share)))
    reach = (WIDER - 1) / 2 * (middle[1] - middle[0])
    return max(inside[0], middle[0] - reach), min(inside[-1] + 1, middle[1] + reach)
