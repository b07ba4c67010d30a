"""Who is who, on boxes and masks made by hand."""

from __future__ import annotations

from collections import Counter
from itertools import permutations

import numpy as np
import pytest
import supervision as sv
import torch
import torch.nn.functional as F

from vidseg.tracking.matching import AGREE, LOOKS, Known, assign, covered, look_of, mask_iou


def known(*labels):
    return Known(born=0, votes=Counter(dict.fromkeys(labels, 0.7)))


def beside(x, width=100):
    """One box of 100×100 pixels, at x."""
    return [x, 0, x + width, 100]


def unit(*values):
    return F.normalize(torch.tensor(values, dtype=torch.float32), dim=0)


# -- detections to objects -------------------------------------------------------------------------------------------


def test_assign_takes_the_best_in_total():
    """The first detection agrees best with the object that is the only one for the second."""
    boxes = np.array([beside(25), beside(65)])
    masks = np.array([beside(0), beside(30)])
    overlap = sv.box_iou_batch(boxes, masks)
    assert overlap[0, 1] > overlap[0, 0] > AGREE and overlap[1, 1] > AGREE > overlap[1, 0]
    assert assign(boxes, ["dog", "dog"], masks, [known("dog"), known("dog")]) == {0: 0, 1: 1}


def test_assign_against_every_order():
    rng = np.random.default_rng(1)
    for _ in range(20):
        boxes = np.array([beside(x) for x in rng.uniform(0, 150, 4)])
        masks = np.array([beside(x) for x in rng.uniform(0, 150, 4)])
        overlap = sv.box_iou_batch(boxes, masks)
        overlap[overlap < AGREE] = 0
        best = max(sum(overlap[row, column] for row, column in enumerate(order)) for order in permutations(range(4)))
        found = assign(boxes, ["dog"] * 4, masks, [known("dog")] * 4)
        assert len(set(found.values())) == len(found)
        assert sum(overlap[row, column] for row, column in found.items()) == pytest.approx(best)
        assert all(overlap[row, column] for row, column in found.items())


def test_assign_needs_a_label_the_object_has_had():
    boxes, masks = np.array([beside(0), beside(300)]), np.array([beside(5), beside(305)])
    assert assign(boxes, ["dog", "cat"], masks, [known("cat"), known("dog")]) == {}
    assert assign(boxes, ["dog", "cat"], masks, [known("cat", "dog"), known("dog")]) == {0: 0}
    assert assign(boxes, ["dog", "cat"], masks, [known("dog"), known("dog", "cat")]) == {0: 0, 1: 1}


def test_label_decides_between_two_in_one_place():
    boxes, masks = np.array([beside(0), beside(0)]), np.array([beside(0), beside(10)])
    assert assign(boxes, ["cat", "dog"], masks, [known("dog"), known("cat")]) == {0: 1, 1: 0}


@pytest.mark.parametrize(("moved", "matches"), [(0, True), (42, True), (44, False), (100, False)])
def test_assign_needs_agreement(moved, matches):
    boxes, masks = np.array([beside(moved)]), np.array([beside(0)])
    assert (sv.box_iou_batch(boxes, masks)[0, 0] >= AGREE) == matches
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
    assert covered(mask, []) == 0
    assert covered(mask, [left]) == 0.5
    assert covered(mask, [left, top]) == 0.75  # what both cover counts once
    assert covered(mask, [square(8, 16, 0, 16)]) == 0
    assert covered(left, [mask]) == 1 and covered(mask, [mask | left]) == 1
    assert covered(square(0, 0, 0, 0), [mask]) == 0  # nothing is covered by nothing


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


# -- looks -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def features():
    return torch.randn(1, 32, 4, 4, generator=torch.Generator().manual_seed(0))


def drawn(mask):
    return torch.where(mask, 4.0, -4.0)


def test_look_is_the_mean_under_the_mask_as_a_unit_vector(features):
    look = look_of(
        features, drawn(square(4, 12, 0, 8))
    )  # features at stride 4 of the mask: rows 1 and 2, columns 0 and 1
    assert look.shape == (32,) and float(look.norm()) == pytest.approx(1)
    assert torch.allclose(look, F.normalize(features[0, :, 1:3, 0:2].mean((1, 2)), dim=0), atol=1e-6)


def test_look_weighs_cells_by_how_much_of_them_is_inside(features):
    look = look_of(features, drawn(square(0, 4, 0, 6)))
    assert torch.allclose(look, F.normalize(features[0, :, 0, 0] + features[0, :, 0, 1] / 2, dim=0), atol=1e-6)


def test_look_depends_on_nothing_else(features):
    mask = square(4, 12, 0, 8)
    look = look_of(features, drawn(mask))
    other = torch.randn(features.shape, generator=torch.Generator().manual_seed(1))
    other[:, :, 1:3, 0:2] = features[:, :, 1:3, 0:2]
    assert torch.allclose(look_of(other, drawn(mask)), look, atol=1e-6)
    assert torch.allclose(look_of(features, torch.where(mask, 0.1, -1024.0)), look, atol=1e-6)  # how sure the mask is
    assert torch.allclose(look_of(features, drawn(mask).half()), look, atol=1e-6)
    assert torch.allclose(look_of(3 * features, drawn(mask)), look, atol=1e-6)
    assert torch.allclose(look_of(features.bfloat16(), drawn(mask)), look, atol=0.01)
    assert float(look_of(features, drawn(square(0, 4, 8, 16))) @ look) < 0.9


# -- what is known of an object --------------------------------------------------------------------------------------


def test_label_is_the_one_with_most_evidence():
    dog = Known(born=0)
    assert dog.label == "object"
    for label, score, expected in [
        ("dog", 0.5, "dog"),
        ("cat", 0.4, "dog"),
        ("cat", 0.1, "dog"),
        ("cat", 0.1, "cat"),
        ("dog", 0.2, "dog"),
    ]:
        dog.votes[label] += score
        assert dog.label == expected, dog.votes


def test_likeness_is_that_of_the_most_similar_look():
    dog = Known(born=0)
    assert dog.likeness(unit(1, 0, 0)) == 1  # nothing speaks against it
    dog.looks.append(unit(1, 0, 0))
    assert dog.likeness(unit(1, 0, 0)) == pytest.approx(1)
    assert dog.likeness(unit(0, 1, 0)) == pytest.approx(0)
    assert dog.likeness(unit(-1, 0, 0)) == pytest.approx(-1)
    dog.looks.append(unit(0, 1, 1))
    assert dog.likeness(unit(0, 1, 0)) == pytest.approx(0.5**0.5)
    assert dog.likeness(unit(1, 0, 0)) == pytest.approx(1)  # not only the latest counts


def test_old_looks_are_forgotten_and_each_object_has_its_own():
    dog, cat = Known(born=0), Known(born=0)
    for look in [unit(1, 0)] + [unit(0, 1)] * LOOKS:
        dog.looks.append(look)
    assert len(dog.looks) == LOOKS and dog.likeness(unit(1, 0)) == pytest.approx(0)
    dog.votes["dog"] += 1
    assert not cat.looks and not cat.votes
