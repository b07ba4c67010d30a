"""Which mask is hidden and which is in front, where masks lie on each other."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.tracking.test_pending import blob
from vidseg.io.clip import Frame
from vidseg.tracking.occlusion import occlusion_order
from vidseg.tracking.options import TrackOptions
from vidseg.tracking.pending import MaskEstimate, PendingFrame
from vidseg.tracking.registry import Identity


def estimates_of(logits, scores):
    return {i: MaskEstimate(logits[i], scores[i]) for i in logits}


def order(logits, scores, user_prompted=()):
    return occlusion_order(estimates_of(logits, scores), user_prompted)


LARGE, SMALL = blob(10, 10, 9), blob(10, 10, 4)


def spilled(weak=0.8):
    """The large mask, hardly positive where the small one is: it has spilled over it."""
    return torch.where(SMALL > 0, weak, LARGE)


@pytest.mark.parametrize(
    ("large", "scores", "expected"),
    [
        (LARGE, (0.9, 0.4), ({2}, [])),  # the small one is drawn on what hides it
        (LARGE, (0.9, 0.95), ({2}, [])),  # both are sure: the large one is as sure there as elsewhere, and more
        (spilled(), (0.9, 0.7), (set(), [(1, 2)])),
        (spilled(), (0.9, 0.2), ({2}, [])),
    ],
)
def test_a_small_mask_on_a_large_one(large, scores, expected):
    logits = {1: large, 2: SMALL}
    assert order(logits, dict(zip((1, 2), scores))) == expected
    turned = {1: SMALL, 2: large}  # whichever comes first
    assert order(turned, dict(zip((2, 1), scores))) == (
        {3 - i for i in expected[0]},
        [(3 - a, 3 - b) for a, b in expected[1]],
    )
    assert order({i: one.half() for i, one in logits.items()}, dict(zip((1, 2), scores))) == expected


def test_masks_that_share_less_than_half():
    assert order({1: blob(10, 6, 6), 2: blob(10, 14, 6)}, {1: 0.9, 2: 0.1}) == (set(), [])
    assert order({1: LARGE}, {1: 0.9}) == order({}, {}) == (set(), [])


def test_the_younger_of_two_on_the_same_pixels_is_not_seen():
    assert order({4: SMALL, 7: SMALL}, {4: 0.8, 7: 0.8}) == ({7}, [])
    assert order({4: SMALL, 7: SMALL}, {4: 0.7, 7: 0.8}) == (set(), [(4, 7)])


def test_what_is_pointed_at_is_never_hidden():
    assert order({1: LARGE, 2: SMALL}, {1: 0.9, 2: 0.4}, user_prompted={2}) == (set(), [])
    assert order({1: LARGE, 2: SMALL}, {1: 0.9, 2: 0.4}, user_prompted={1}) == ({2}, [])
    both = order({1: LARGE, 2: SMALL}, {1: 0.9, 2: 0.4}, user_prompted={1, 2})
    assert both == (set(), [(1, 2)])  # a part, or so it was meant


def box(top, left, bottom, right, value=5.0):
    logits = torch.full((24, 24), -5.0)
    logits[top:bottom, left:right] = value
    return logits


def test_a_hidden_mask_hides_none():
    """Each lies mostly on the one before it, the last one no more than half on the first: only the second is hidden."""
    first, second, third = box(4, 4, 20, 14), box(4, 7, 16, 16), box(6, 11, 14, 17)
    scores = {1: 0.9, 2: 0.6, 3: 0.5}
    assert order({1: first, 2: second, 3: third}, scores) == ({2}, [])
    assert order({2: second, 3: third}, scores) == ({3}, [])


def drawn(size, logits, scores):
    """The masks of objects 1, 2, … on a frame without colors."""
    frame = PendingFrame(Frame(0, 0.0, 0, np.zeros((size, size, 3), np.uint8)), estimates_of(logits, scores))
    return frame.finalize({i: Identity(i, "it") for i in logits}, TrackOptions()).detections.mask


def test_a_mask_that_is_hidden_but_for_a_part_is_seen_there():
    """Of the small one, a little more than `visible_share` lies beside the large one; or a little less."""
    large, scores = box(4, 4, 20, 14), {1: 0.9, 2: 0.5}
    assert order({1: large, 2: box(8, 8, 14, 17)}, scores) == (set(), [(2, 1)])
    assert order({1: large, 2: box(8, 7, 14, 16)}, scores) == ({2}, [])
    unsure = torch.where(
        box(8, 8, 14, 14) > 0, 0.4, torch.where(large > 0, 1.0, large)
    )  # there the small one would win by its logits
    assert order({1: unsure, 2: box(8, 8, 14, 17)}, {1: 0.9, 2: 0.55}) == (set(), [(2, 1)])
    masks = drawn(24, {1: unsure, 2: box(8, 8, 14, 17)}, {1: 0.9, 2: 0.55})
    assert (masks[0] == (large > 0).numpy()).all() and masks[1].sum() == 6 * 3


def test_a_mask_in_front_of_one_and_behind_another():
    """What a person gets from the bus behind, it still gives to the tree in front."""
    size = 32
    tree, bus, person = (torch.full((size, size), -5.0) for _ in range(3))
    tree[:30, 14:] = 6.0
    bus[4:24, :22] = 6.0
    bus[8:18, 10:20] = 3.0  # has spilled over the person
    person[8:18, 10:20] = 4.0
    logits, scores = {1: tree, 2: bus, 3: person}, {1: 0.8, 2: 0.99, 3: 0.75}
    assert order(logits, scores) == (set(), [(2, 3), (3, 1)])
    masks = drawn(size, logits, scores)
    assert not masks[2, :, 14:].any() and masks[2, 8:18, 10:14].all()


def test_of_a_stack_the_topmost_has_the_pixels():
    """Two on the largest, one of them on the other: its layer comes last."""
    ground, middle, top = box(0, 0, 24, 24, 1.0), box(4, 4, 18, 18, 2.0), box(6, 6, 12, 12, 4.0)
    middle[6:12, 6:12] = 0.5
    ground[4:18, 4:18] = 0.2
    hidden, layers = order({1: ground, 2: middle, 3: top}, {1: 0.9, 2: 0.9, 3: 0.9})
    assert not hidden and layers.index((1, 2)) < layers.index((2, 3)) and (1, 3) in layers
    masks = drawn(48, {1: ground, 2: middle, 3: top}, dict.fromkeys((1, 2, 3), 0.9))
    assert masks[2, 14:22, 14:22].all() and masks[1, 10:12, 10:34].all() and masks[0, :6].all()
