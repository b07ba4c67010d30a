"""The best score of a detector's answer."""

from __future__ import annotations

import numpy as np
import pytest
import supervision as sv

from vidseg.detection.base import best_score


def boxes(*scores: float, **metadata: float) -> sv.Detections:
    xyxy = np.tile(np.array([0, 0, 5, 5], np.float32), (len(scores), 1))
    return sv.Detections(xyxy, confidence=np.array(scores, np.float32), metadata=metadata)


def test_detector_says_it():
    assert best_score(boxes(best_score=0.2)) == 0.2
    assert best_score(boxes(0.5, 0.4, best_score=0.7)) == 0.7


def test_detector_does_not_say_it():
    assert best_score(boxes(0.4, 0.5)) == pytest.approx(0.5)
    assert best_score(boxes()) == 0.0
    assert best_score(sv.Detections(np.zeros((1, 4), np.float32))) == 0.0
