"""The best scores of a detector's answer."""

from __future__ import annotations

import numpy as np
import pytest
import supervision as sv

from vidseg.detection.base import best_score, best_scores


def boxes(*scores: float, **metadata: object) -> sv.Detections:
    xyxy = np.tile(np.array([0, 0, 5, 5], np.float32), (len(scores), 1))
    return sv.Detections(xyxy, confidence=np.array(scores, np.float32), metadata=metadata)


def test_detector_says_it():
    assert best_score(boxes(best_score=0.2)) == 0.2
    assert best_score(boxes(0.5, 0.4, best_score=0.7)) == 0.7


def test_detector_does_not_say_it():
    assert best_score(boxes(0.4, 0.5)) == pytest.approx(0.5)
    assert best_score(boxes()) == 0.0
    assert best_score(sv.Detections(np.zeros((1, 4), np.float32))) == 0.0


@pytest.mark.parametrize(
    ("found", "phrases", "expected"),
    [
        (boxes(0.5, best_scores=[0.5, 0.2]), ["dog", "cat"], [0.5, 0.2]),
        (boxes(best_scores=[0.1]), ["dog"], [0.1]),
        (boxes(0.5, best_score=0.5), ["dog"], [0.5]),  # one phrase: all is of it
        (boxes(best_score=0.2), ["dog"], [0.2]),
        (boxes(0.5, 0.4, best_scores=[0.5]), ["dog", "cat"], [0.0, 0.0]),  # of other phrases, and without names
        (boxes(), ["dog", "cat"], [0.0, 0.0]),
        (sv.Detections(np.zeros((1, 4), np.float32)), ["dog", "cat"], [0.0, 0.0]),
        (boxes(), [], []),
    ],
    ids=str,
)
def test_best_score_of_each_phrase(found, phrases, expected):
    assert best_scores(found, phrases) == pytest.approx(expected)


def test_best_score_of_each_phrase_by_the_names_of_its_boxes():
    found = boxes(0.5, 0.4, 0.6)
    found.data["class_name"] = np.array(["dog", "cat", "dog"])
    assert best_scores(found, ["cat", "cow", "dog"]) == pytest.approx([0.4, 0, 0.6])
