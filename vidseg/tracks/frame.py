"""One frame and the objects on it: what a run yields, what is drawn and what is written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import supervision as sv


@dataclass
class TrackedFrame:
    """One frame and the objects seen in it.

    index: number of the frame in the clip, 0-based.
    time: s, from the stream's own timestamps.
    image: H×W×3 uint8 RGB; None where only tracks were read.
    detections: N objects: xyxy N×4 float32 (pixels), mask N×H×W bool, confidence N float32,
        tracker_id N int, data["class_name"] N str.
    """

    index: int
    time: float
    image: np.ndarray | None
    detections: sv.Detections
