"""The objects of a frame one by one, as the annotators draw them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import supervision as sv


class DrawnObject(NamedTuple):
    """One object on one frame.

    Attributes:
        id: the same all through the clip.
        label: its class name.
        score: 0-1.
        box: x1, y1, x2, y2 in pixels, float32.
        mask: H×W bool.
    """

    id: int
    label: str
    score: float
    box: np.ndarray
    mask: np.ndarray


def objects_of(detections: sv.Detections) -> list[DrawnObject]:
    """The rows of a frame's detections, which vidseg always gives masks, scores and ids."""
    if not len(detections):
        return []
    ids, scores, masks = detections.tracker_id, detections.confidence, detections.mask
    assert ids is not None and scores is not None and masks is not None
    return [
        DrawnObject(int(object_id), str(label), float(score), box, mask)
        for object_id, label, score, box, mask in zip(
            ids, detections.data["class_name"], scores, detections.xyxy, masks
        )
    ]


def union_of(objects: list[DrawnObject], height: int, width: int) -> np.ndarray:
    """All masks in one: H×W uint8, 0 or 1."""
    if not objects:
        return np.zeros((height, width), np.uint8)
    union = objects[0].mask.copy()
    for one in objects[1:]:
        union |= one.mask
    return union.view(np.uint8)
