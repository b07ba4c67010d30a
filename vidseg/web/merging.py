"""What an earlier run has found in a clip, and what a new one adds: nothing that is finished changes unasked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import supervision as sv

from vidseg.tracking.options import THRESHOLDS
from vidseg.tracks.frame import TrackedFrame, mask_bounds
from vidseg.tracks.records import FrameRecord


@dataclass(frozen=True, kw_only=True)
class Change:
    """What a run changes of an earlier result.

    Attributes:
        begin: number of the first frame that it may change.
        known: ids of all objects of the earlier result.
        prompted: number of the first frame with prompts, by id: from there on these objects are as the run has them.
        ended: ids of objects that end at `begin`.
    """

    begin: int = 0
    known: frozenset[int] = frozenset()
    prompted: Mapping[int, int]
    ended: frozenset[int] = frozenset()

    def stays(self, number: int, frame: int) -> bool:
        """Whether an object of the earlier result stays on a frame as it is."""
        return number not in self.ended and not self._is_redone(number, frame)

    def adds(self, number: int, frame: int) -> bool:
        """Whether the run's mask of an object counts on a frame that the earlier result has, too."""
        return number not in self.ended and (number not in self.known or self._is_redone(number, frame))

    def _is_redone(self, number: int, frame: int) -> bool:
        return number in self.prompted and frame >= self.prompted[number]


class Earlier:
    """The records of an earlier result, read once, in order."""

    def __init__(self, records: Iterator[FrameRecord]):
        self._records = records
        self._next = next(records, None)

    def up_to(self, index: float) -> Iterator[FrameRecord]:
        """Those that have not been read, up to and with a frame."""
        while self._next is not None and self._next.index <= index:
            yield self._next
            self._next = next(self._records, None)

    def at(self, index: int) -> FrameRecord | None:
        """That of a frame; None if there is none. Earlier ones are left out."""
        last = None
        for record in self.up_to(index):
            last = record
        return last if last is not None and last.index == index else None


def merge(new: TrackedFrame, old: FrameRecord | None, change: Change) -> TrackedFrame:
    """A frame as the earlier result has it, with what a run adds.

    A pixel that both claim stays with the earlier object, unless the visitor points at the new one. What lies mostly on
    earlier objects shows nothing new, as in a run by itself (`vidseg.tracking.association`).

    Args:
        new: as the run has it.
        old: as the earlier result has it; None: it does not reach so far, so the run's word counts.
        change: what the run may change.
    """
    if old is None:
        return replace(new, detections=_select(new.detections, lambda number: number not in change.ended))
    kept = _select(old.decode().detections, lambda number: change.stays(number, new.index))
    added = _select(new.detections, lambda number: change.adds(number, new.index))
    if not len(added):
        return replace(new, detections=kept)
    by_visitor = np.array([number in change.prompted for number in added.tracker_id], bool)
    kept.mask &= ~added.mask[by_visitor].any(0)
    covered = kept.mask.any(0)
    for row in np.flatnonzero(~by_visitor):
        area = added.mask[row].sum()
        added.mask[row] &= ~covered
        if area - added.mask[row].sum() > THRESHOLDS.max_coverage * area:
            added.mask[row] = False
    return replace(new, detections=_join(kept, added))


def _select(found: Any, wanted: Callable[[int], bool]) -> Any:  # supervision cannot promise that all fields are set
    """The detections of some ids, with masks of their own."""
    return found[np.array([wanted(int(number)) for number in found.tracker_id], bool)]


def _join(one: Any, other: Any) -> sv.Detections:
    """Both by id, with boxes that fit the masks; objects without a single pixel are left out."""
    masks = np.concatenate([one.mask, other.mask])
    ids = np.concatenate([one.tracker_id, other.tracker_id])
    rows = [row for row in np.argsort(ids, kind="stable") if masks[row].any()]
    boxes = np.array([mask_bounds(masks[row]) for row in rows], np.float32).reshape(-1, 4)
    labels = np.concatenate([one.data["class_name"], other.data["class_name"]])
    return sv.Detections(
        xyxy=boxes,
        mask=masks[rows],
        confidence=np.concatenate([one.confidence, other.confidence])[rows],
        tracker_id=ids[rows],
        data={"class_name": labels[rows]},
    )
