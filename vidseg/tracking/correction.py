"""Which object on a frame a prompt of the user lies on: that one is corrected, and no other begins.

Nothing here changes a track, a mask or a memory: `vidseg.tracking.prompt_update` does.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import supervision as sv

from vidseg.prompts.geometry import MaskPrompt, Points, Prompt
from vidseg.prompts.object_prompt import ObjectPrompt
from vidseg.tracking.options import TrackOptions
from vidseg.tracking.pending import PendingFrame
from vidseg.tracking.registry import Identity, TrackRegistry
from vidseg.tracks.frame import mask_bounds


def object_at(prompt: Prompt, masks: np.ndarray, min_iou: float) -> int | None:
    """The object that a prompt lies on.

    A mask lies on the object with the highest IoU; a box on the one whose bounding box has the highest IoU. Where no
    IoU is high enough, the clicks of the box decide. Clicks lie on the object that has most of those that are on
    something; where all say what does not belong, on the one that has most of them. Of two that have as many it is the
    smaller one, which can be a part of the other.

    Args:
        prompt: in pixels of the frame.
        masks: [N, H, W] bool, of the objects that are visible, at the size of the frame; none is empty.
        min_iou: IoU of two boxes, or two masks, from which they are of one object.

    Returns:
        Its row in `masks`; None: it lies on none of them.
    """
    if not len(masks):
        return None
    if isinstance(prompt, MaskPrompt):
        both, either = (masks & prompt.mask).sum((1, 2)), (masks | prompt.mask).sum((1, 2))
        return _highest(both / either, min_iou)
    if isinstance(prompt, Points):
        return _under(prompt, masks)
    boxes = np.array([mask_bounds(mask) for mask in masks])
    row = _highest(sv.box_iou_batch(np.array([prompt.xyxy]), boxes)[0], min_iou)
    return _under(prompt.points, masks) if row is None and prompt.points else row


def _highest(ious: np.ndarray, min_iou: float) -> int | None:
    row = int(ious.argmax())
    return row if ious[row] >= min_iou else None


def _under(points: Points, masks: np.ndarray) -> int | None:
    """The row that has most of the clicks, the smallest if there are several."""
    height, width = masks.shape[1:]
    xy, labels = np.array(points.xy), np.array(points.labels)
    if labels.any():
        xy = xy[labels == 1]
    columns, rows = np.minimum(xy.astype(int), (width - 1, height - 1)).T  # a click may be on the very edge
    inside = masks[:, rows, columns].sum(1)
    best = np.flatnonzero(inside == inside.max())
    return int(best[masks[best].sum((1, 2)).argmin()]) if inside.any() else None


def prompted_objects(
    prompts: Iterable[ObjectPrompt], now: PendingFrame, registry: TrackRegistry, options: TrackOptions
) -> dict[int, int]:
    """The objects that some prompts lie on, with their masks as users see them.

    Args:
        prompts: of a frame.
        now: the frame, with the estimates of the objects on it, also of those that are no tracks yet.
        registry: of the run.
        options: of the run.

    Returns:
        The internal id of the object by the id of the prompt. Prompts that lie on none are left out.
    """
    by_user = {i for i, track in registry.tracks.items() if track.user_prompted}
    shown = now.finalize({i: Identity(i, "", i in by_user) for i in now.estimates}, options).detections
    assert shown.mask is not None and shown.tracker_id is not None
    masks = np.asarray(shown.mask)
    rows = {one.id: object_at(one.prompt, masks, options.thresholds.prompt_iou) for one in prompts}
    return {number: int(shown.tracker_id[row]) for number, row in rows.items() if row is not None}
