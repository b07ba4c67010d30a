"""The objects of a run: what is known of each, and the numbers under which users know them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import count

from vidseg.tracking.matching import ENOUGH, Known


class Objects:
    """All objects that were found so far, in view or not.

    Inside, objects go by ids that are given to every detection that prompts a mask; users see numbers, which only
    confirmed objects have: false alarms leave no gaps.

    Args:
        by_hand: numbers that the user gives to objects, and what each is called (None: nothing yet).
        reserved: numbers that no object gets by itself, since others had them before.

    Attributes:
        known: what is known of each object, by id.
        labels: label of every confirmed object, by number.
        seen: number of frames in which each was visible, by number.
        keyframe: number of the frame the first one was found on; None as long as there is none.
    """

    def __init__(self, by_hand: Mapping[int, str | None] | None = None, reserved: Iterable[int] = ()):
        self.known: dict[int, Known] = {}
        self.labels: dict[int, str] = {}
        self.seen: dict[int, int] = {}
        self.keyframe: int | None = None
        self._next_id = 1
        self._by_hand = dict(by_hand or {})
        self._taken = {*self._by_hand, *reserved}

    def reserve(self, count: int) -> range:
        """Ids that nobody has had before."""
        self._next_id += count
        return range(self._next_id - count, self._next_id)

    def pointed_at(self, number: int, frame: int) -> int:
        """Id of the object that a user calls `number`; if there is none yet, it begins on this frame."""
        for object_id, known in self.known.items():
            if known.number == number:
                break
        else:
            (object_id,) = self.reserve(1)
            self.known[object_id] = known = Known(frame, evidence=ENOUGH)
            self._give(known, number)
        known.by_hand = True
        known.looks.clear()  # a correction may have put it on something else
        label = self._by_hand[number]
        if label is not None:
            known.votes = Counter({label: float("inf")})  # no detector renames it
            self.labels[number] = label
        return object_id

    def vote(self, object_id: int, label: str, score: float) -> None:
        """An object was called something: evidence for a name, not for its being there."""
        known = self.known[object_id]
        known.votes[label] += score
        if known.confirmed:
            self.labels[known.number] = known.label

    def second(self, object_id: int, label: str, score: float) -> None:
        """An object was detected once more."""
        known = self.known[object_id]
        known.evidence += score
        self.vote(object_id, label, score)
        if known.evidence >= ENOUGH:
            self.confirm(object_id)

    def confirm(self, object_id: int) -> None:
        """Let a newcomer be an object for good: it gets the next number."""
        known = self.known[object_id]
        if known.confirmed:
            return
        self._give(
            known, next(number for number in count(1) if number not in self.labels and number not in self._taken)
        )

    def _give(self, known: Known, number: int) -> None:
        known.number = number
        self.labels[number], self.seen[number] = known.label, 0
        self.keyframe = known.born if self.keyframe is None else self.keyframe

    def unsure(self) -> set[int]:
        """Ids of newcomers that wait for their second look."""
        return {i for i, known in self.known.items() if not known.confirmed}

    def by_hand(self) -> set[int]:
        """Ids of those that the user has pointed at."""
        return {i for i, known in self.known.items() if known.by_hand}

    def numbers(self) -> dict[int, int]:
        """Number of every confirmed object by id."""
        return {i: known.number for i, known in self.known.items() if known.confirmed}
