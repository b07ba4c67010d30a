"""Boxes without what sticks out, and where objects go."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from vidseg.tracking.motion import MotionHistory, trimmed_boxes, trimmed_span
from vidseg.tracking.options import THRESHOLDS
from vidseg.tracking.pending import MaskEstimate, PendingFrame

WIDTH, HEIGHT = 640, 360
EMBEDDING = torch.tensor([1.0, 0.0])


@pytest.mark.parametrize("direction", [1, -1])
def test_motion_goes_straight_on(direction):
    history = MotionHistory(THRESHOLDS.motion_span)
    for t in range(30):
        box = np.array([10.0 * t, 5.0 * t, 10.0 * t + 40, 5.0 * t + 20])
        history.add(direction * t / 24, box, EMBEDDING * t)
    assert 4 <= len(history.seen) < 30  # only the last moments count
    assert np.allclose(history.predict(direction * 50 / 24), [500, 250, 540, 270])
    assert np.array_equal(history.embedding, history.seen[0][2])


def test_one_strange_box_does_not_change_the_size():
    history = MotionHistory(THRESHOLDS.motion_span)
    for t in range(9):
        history.add(t / 24, np.array([0, 0, 400 if t == 4 else 40, 20.0]), EMBEDDING)
    assert np.ptp(history.predict(0.4)[[0, 2]]) == 40


def test_a_trimmed_box_leaves_out_what_sticks_out():
    """A line of little weight, such as a leash, is no part of it; a mask without one is as wide as it is."""
    counts = np.zeros(64)
    counts[10:30] = 20
    assert trimmed_span(counts) == (10, 30)
    counts[30:50] = 1
    begin, end = trimmed_span(counts)
    assert begin == 10 and 30 <= end <= 34


def blank(index):
    return SimpleNamespace(index=index, time=index / 24, image=np.zeros((HEIGHT, WIDTH, 3), np.uint8))


def test_trimmed_boxes_are_in_pixels_of_the_frame():
    logits = torch.full((96, 96), -8.0)
    logits[48:60, 24:36] = 8
    frame = PendingFrame(blank(0), {7: MaskEstimate(logits, 0.9)})
    ids, boxes = trimmed_boxes(frame)
    assert ids == [7] and np.allclose(boxes, [[24 * WIDTH / 96, 48 * HEIGHT / 96, 36 * WIDTH / 96, 60 * HEIGHT / 96]])
    assert trimmed_boxes(PendingFrame(blank(0)))[1].shape == (0, 4)
