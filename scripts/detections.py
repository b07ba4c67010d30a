"""Detections and frames as the scripts read them: every field is there, as in all that vidseg returns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import supervision as sv

from vidseg.prompts.geometry import Box
from vidseg.tracks.frame import TrackedFrame


def ids_of(found: sv.Detections) -> list[int]:
    """Ids of the tracks, in order."""
    return [] if found.tracker_id is None else found.tracker_id.tolist()


def names_of(found: sv.Detections) -> list[str]:
    """Labels, in order."""
    return [str(name) for name in found.data["class_name"]] if len(found) else []


def masks_of(found: sv.Detections) -> np.ndarray:
    """Masks [N, H, W] bool; [0, 0, 0] where nothing was found."""
    return np.zeros((0, 0, 0), bool) if found.mask is None else np.asarray(found.mask)


def boxes_of(found: sv.Detections) -> list[Box]:
    """Boxes as prompts, in order."""
    return [Box((float(x1), float(y1), float(x2), float(y2))) for x1, y1, x2, y2 in found.xyxy]


def masks_by_id(found: sv.Detections) -> dict[int, np.ndarray]:
    """The mask [H, W] bool of each track."""
    return dict(zip(ids_of(found), masks_of(found)))


def select(found: sv.Detections, keep: Sequence[bool] | np.ndarray) -> sv.Detections:
    """Those rows for which `keep` [N] is true."""
    chosen = found[np.asarray(keep, bool)]
    assert isinstance(chosen, sv.Detections)
    return chosen


def image_of(frame: TrackedFrame) -> np.ndarray:
    """The picture [H, W, 3] uint8 RGB of a frame that was tracked, and not read from a file."""
    assert frame.image is not None
    return frame.image


def iou(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two masks [H, W] bool; 1 if both are empty."""
    union = (a | b).sum()
    return float((a & b).sum() / union) if union else 1.0
