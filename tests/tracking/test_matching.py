"""Detections to tracks, and how far masks agree, on boxes and masks made by hand."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import supervision as sv
import torch

from vidseg.tracking.matching import coverage, mask_iou, match_boxes
from vidseg.tracking.options import THRESHOLDS

MIN_IOU = THRESHOLDS.match_iou


def assign(boxes, labels, track_boxes, track_labels):
    return match_boxes(boxes, labels, track_boxes, track_labels, MIN_IOU)


def known(*labels):
    return set(labels)


def beside(x, width=100):
    """One box of 100×100 pixels, at x."""
    return [x, 0, x + width, 100]


# -- detections to tracks --------------------------------------------------------------------------------------------


def test_match_takes_the_best_in_total():
    """The first detection agrees best with the object that is the only one for the second."""
    boxes = np.array([beside(25), beside(65)])
    masks = np.array([beside(0), beside(30)])
    overlap = sv.box_iou_batch(boxes, masks)
    assert overlap[0, 1] > overlap[0, 0] > MIN_IOU and overlap[1, 1] > MIN_IOU > overlap[1, 0]
    assert assign(boxes, ["dog", "dog"], masks, [known("dog"), known("dog")]) == {0: 0, 1: 1}


def test_match_against_every_order():
    rng = np.random.default_rng(1)
    for _ in range(20):
        boxes = np.array([beside(x) for x in rng.uniform(0, 150, 4)])
        masks = np.array([beside(x) for x in rng.uniform(0, 150, 4)])
        overlap = sv.box_iou_batch(boxes, masks)
        overlap[overlap < MIN_IOU] = 0
        best = max(sum(overlap[row, column] for row, column in enumerate(order)) for order in permutations(range(4)))
        found = assign(boxes, ["dog"] * 4, masks, [known("dog")] * 4)
        assert len(set(found.values())) == len(found)
        assert sum(overlap[row, column] for row, column in found.items()) == pytest.approx(best)
        assert all(overlap[row, column] for row, column in found.items())


def test_match_needs_a_label_the_object_has_had():
    boxes, masks = np.array([beside(0), beside(300)]), np.array([beside(5), beside(305)])
    assert assign(boxes, ["dog", "cat"], masks, [known("cat"), known("dog")]) == {}
    assert assign(boxes, ["dog", "cat"], masks, [known("cat", "dog"), known("dog")]) == {0: 0}
    assert assign(boxes, ["dog", "cat"], masks, [known("dog"), known("dog", "cat")]) == {0: 0, 1: 1}


def test_label_decides_between_two_in_one_place():
    boxes, masks = np.array([beside(0), beside(0)]), np.array([beside(0), beside(10)])
    assert assign(boxes, ["cat", "dog"], masks, [known("dog"), known("cat")]) == {0: 1, 1: 0}


@pytest.mark.parametrize(("moved", "matches"), [(0, True), (42, True), (44, False), (100, False)])
def test_match_needs_agreement(moved, matches):
    boxes, masks = np.array([beside(moved)]), np.array([beside(0)])
    assert (sv.box_iou_batch(boxes, masks)[0, 0] >= MIN_IOU) == matches
    assert assign(boxes, ["dog"], masks, [known("dog")]) == ({0: 0} if matches else {})


def test_more_detections_than_objects_and_the_other_way_round():
    boxes = np.array([beside(0), beside(200), beside(400)])
    assert assign(boxes, ["dog"] * 3, boxes[1:2], [known("dog")]) == {1: 0}
    assert assign(boxes[2:], ["dog"], boxes, [known("dog")] * 3) == {0: 2}
    assert assign(boxes[:0], [], boxes, [known("dog")] * 3) == {}
    assert assign(boxes, ["dog"] * 3, boxes[:0], []) == {}


# -- masks -----------------------------------------------------------------------------------------------------------


def square(y1, y2, x1, x2, side=16):
    mask = torch.zeros(side, side, dtype=torch.bool)
    mask[y1:y2, x1:x2] = True
    return mask


def test_covered_is_the_share_under_all_others_together():
    mask = square(0, 8, 0, 8)
    left, top = square(0, 8, 0, 4), square(0, 4, 0, 8)
    assert coverage(mask, []) == 0
    assert coverage(mask, [left]) == 0.5
    assert coverage(mask, [left, top]) == 0.75  # what both cover counts once
    assert coverage(mask, [square(8, 16, 0, 16)]) == 0
    assert coverage(left, [mask]) == 1 and coverage(mask, [mask | left]) == 1
    assert coverage(square(0, 0, 0, 0), [mask]) == 0  # nothing is covered by nothing


def test_mask_iou():
    mask, half, shifted, apart, nothing = (
        square(0, 8, 0, 8),
        square(0, 8, 0, 4),
        square(4, 12, 0, 8),
        square(9, 12, 9, 12),
        square(0, 0, 0, 0),
    )
    expected = [[1, 0.5, 1 / 3, 0, 0], [0.5, 1, 0.2, 0, 0]]
    assert mask_iou([mask, half], [mask, half, shifted, apart, nothing]).tolist() == [
        pytest.approx(row) for row in expected
    ]
    assert mask_iou([nothing], [nothing]).tolist() == [[0]]
    assert mask_iou([], [mask]).shape == (0, 1) and mask_iou([mask], []).shape == (1, 0)
