"""What the type checker does not know of detections: that those of a tracked frame have masks and ids."""

from __future__ import annotations

import numpy as np
import supervision as sv


def ids_of(detections: sv.Detections) -> list[int]:
    """Ids, in order."""
    assert detections.tracker_id is not None
    return detections.tracker_id.tolist()


def masks_of(detections: sv.Detections) -> np.ndarray:
    """N×H×W bool."""
    assert detections.mask is not None
    return np.asarray(detections.mask)
