"""Propagating what was found on a frame over the frames before it, against the direction of a pass."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from vidseg.sam.propagator import Propagator
from vidseg.tracking.matching import coverage
from vidseg.tracking.options import Thresholds
from vidseg.tracking.pending import PendingFrame


def backfill(
    propagator: Propagator,
    frames: Sequence[PendingFrame],
    reappeared: Collection[int],
    thresholds: Thresholds,
    reverse: bool,
    on_frame: Callable[[], None] | None = None,
) -> None:
    """Add the masks of a propagator's objects to pending frames, as long as they are visible and not others' masks.

    Args:
        propagator: a fork with just the objects to backfill; it ends without those that have become invisible.
        frames: in the order of the backfill, the nearest first.
        reappeared: ids of tracks that were there before: masks that SAM is surer of now replace theirs. All
            others begin.
        thresholds: `max_coverage` and `patience`.
        reverse: whether frame numbers go down.
        on_frame: is called before each frame. What it raises ends the backfill.
    """
    empty = dict.fromkeys(propagator.object_ids, 0)
    for pending in frames:
        if on_frame is not None:
            on_frame()
        features = propagator.embed(pending.frame.image)
        shown = PendingFrame(pending.frame)
        shown.add(propagator.step(features, pending.frame.index, reverse))
        for internal_id in list(propagator.object_ids):
            if _add_if_visible(internal_id, shown, pending, reappeared, thresholds.max_coverage):
                empty[internal_id] = 0
            else:
                empty[internal_id] += 1
            if empty[internal_id] >= thresholds.patience:
                propagator.discard(internal_id)
        if not propagator.object_ids:
            return


def _add_if_visible(
    internal_id: int, shown: PendingFrame, pending: PendingFrame, reappeared: Collection[int], max_coverage: float
) -> bool:
    """Give a pending frame the mask of an object, where it is visible. Returns whether it is.

    A mask that others on the frame cover counts as none, and so does that of a new track that is there already.
    """
    estimate, present = shown.estimates.get(internal_id), pending.estimates.get(internal_id)
    if estimate is None or (present is not None and internal_id not in reappeared):
        return False
    others = [other.mask for i, other in pending.estimates.items() if i != internal_id]
    if coverage(estimate.mask, others) > max_coverage:
        return False
    if present is None or estimate.score > present.score:
        pending.set(internal_id, estimate)
    return True


def reappeared(
    ids: Sequence[int], now: PendingFrame, past: Sequence[PendingFrame], confidence_share: float
) -> list[int]:
    """Those of some tracks that SAM did not see on an earlier frame, or was much less sure of than it is now.

    Args:
        ids: of the tracks.
        now: the frame on which they are seen well.
        past: the frames before it.
        confidence_share: share of the present confidence below which an earlier mask was poor.
    """

    def was_poor(pending: PendingFrame, internal_id: int) -> bool:
        estimate = pending.estimates.get(internal_id)
        return (estimate.score if estimate else 0) < confidence_share * now.estimates[internal_id].score

    return [i for i in ids if i in now.estimates and any(was_poor(pending, i) for pending in past)]
