"""The objects of a run: what is known of each, and the numbers under which users know them."""

from __future__ import annotations

from vidseg.identity import ENOUGH, Known


class Objects:
    """All objects that were found so far, in view or not.

    Inside, objects go by ids that are given to every detection that prompts a mask; users see numbers, which only
    confirmed objects have: false alarms leave no gaps.

    Attributes:
        known: what is known of each object, by id.
        labels: label of every confirmed object, by number.
        seen: number of frames in which each was visible, by number.
        keyframe: number of the frame the first one was found on; None as long as there is none.
    """

    def __init__(self):
        self.known: dict[int, Known] = {}
        self.labels: dict[int, str] = {}
        self.seen: dict[int, int] = {}
        self.keyframe: int | None = None
        self._next_id = 1

    def reserve(self, count: int) -> range:
        """Ids that nobody has had before."""
        self._next_id += count
        return range(self._next_id - count, self._next_id)

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
        known.number = len(self.labels) + 1
        self.labels[known.number], self.seen[known.number] = known.label, 0
        self.keyframe = known.born if self.keyframe is None else self.keyframe

    def unsure(self) -> set[int]:
        """Ids of newcomers that wait for their second look."""
        return {i for i, known in self.known.items() if not known.confirmed}

    def numbers(self) -> dict[int, int]:
        """Number of every confirmed object by id."""
        return {i: known.number for i, known in self.known.items() if known.confirmed}
