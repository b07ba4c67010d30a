"""How far masks agree, and which detections are of which tracks."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import supervision as sv
import torch
from torch import Tensor


def match_boxes(
    boxes: np.ndarray,
    labels: Sequence[str],
    track_boxes: np.ndarray,
    track_labels: Sequence[Collection[str]],
    min_iou: float,
) -> dict[int, int]:
    """Match detections to tracks in view, with the highest sum of IoUs (Hungarian method).

    A detection only matches a track that has been called so before.

    Args:
        boxes: [N, 4] of detections, x1, y1, x2, y2.
        labels: N labels of theirs.
        track_boxes: [M, 4] boxes of the tracks' masks.
        track_labels: M times all labels that a track was given so far.
        min_iou: IoU below which nothing matches.

    Returns:
        Row of `boxes` → row of `track_boxes`.
    """
    if not len(boxes) or not len(track_boxes):
        return {}
    from scipy.optimize import linear_sum_assignment  # here, since the first mask should not wait for scipy

    called_so = np.array([[label in known for known in track_labels] for label in labels])
    iou = np.where(called_so, sv.box_iou_batch(boxes, track_boxes), 0)
    rows, columns = linear_sum_assignment(np.where(iou >= min_iou, iou, 0), maximize=True)
    return {int(r): int(c) for r, c in zip(rows, columns) if iou[r, c] >= min_iou}


def coverage(mask: Tensor, others: Sequence[Tensor]) -> float:
    """Share of a mask [h, w] bool that any of the others covers."""
    if not others:
        return 0.0
    return float((mask & torch.stack(list(others)).any(0)).sum() / mask.sum().clamp(min=1))


def overlap_coefficient(a: Tensor, b: Tensor) -> float:
    """Share of a mask [h, w] bool that another covers, for whichever of the two is covered more."""
    return max(coverage(a, [b]), coverage(b, [a]))


def mask_iou(a: Sequence[Tensor], b: Sequence[Tensor]) -> Tensor:
    """IoU of N and M masks [h, w] bool → [N, M], in one product for all pairs."""
    if not a or not b:
        return torch.zeros(len(a), len(b))
    first, second = (torch.stack(list(masks)).flatten(1).float() for masks in (a, b))
    both = first @ second.T
    return both / (first.sum(1)[:, None] + second.sum(1)[None] - both).clamp(min=1)
