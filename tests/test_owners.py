"""Who is hidden and who is in front, where masks lie on each other."""

from __future__ import annotations

import pytest
import torch

from tests.test_waiting import blob
from vidseg.owners import judged

LARGE, SMALL = blob(10, 10, 9), blob(10, 10, 4)


def spilled(weak=0.8):
    """The large mask, hardly positive where the small one is: it has spilled over it."""
    return torch.where(SMALL > 0, weak, LARGE)


@pytest.mark.parametrize(("large", "scores", "expected"), [
    (LARGE, (0.9, 0.4), ({2}, [])),  # the small one is drawn on what hides it
    (LARGE, (0.9, 0.95), ({2}, [])),  # both are sure: the large one is as sure there as elsewhere, and more
    (spilled(), (0.9, 0.7), (set(), [(1, 2)])),
    (spilled(), (0.9, 0.2), ({2}, [])),
])  # fmt: skip
def test_a_small_mask_on_a_large_one(large, scores, expected):
    logits = {1: large, 2: SMALL}
    assert judged(logits, dict(zip((1, 2), scores))) == expected
    turned = {1: SMALL, 2: large}  # whoever comes first
    assert judged(turned, dict(zip((2, 1), scores))) == ({3 - i for i in expected[0]}, [(3 - a, 3 - b) for a, b in expected[1]])
    assert judged({i: one.half() for i, one in logits.items()}, dict(zip((1, 2), scores))) == expected


def test_masks_that_share_less_than_half():
    assert judged({1: blob(10, 6, 6), 2: blob(10, 14, 6)}, {1: 0.9, 2: 0.1}) == (set(), [])
    assert judged({1: LARGE}, {1: 0.9}) == judged({}, {}) == (set(), [])


def test_the_younger_of_two_on_the_same_pixels_is_not_seen():
    assert judged({4: SMALL, 7: SMALL}, {4: 0.8, 7: 0.8}) == ({7}, [])
    assert judged({4: SMALL, 7: SMALL}, {4: 0.7, 7: 0.8}) == (set(), [(4, 7)])


def test_who_is_pointed_at_is_never_hidden():
    assert judged({1: LARGE, 2: SMALL}, {1: 0.9, 2: 0.4}, by_hand={2}) == (set(), [])
    assert judged({1: LARGE, 2: SMALL}, {1: 0.9, 2: 0.4}, by_hand={1}) == ({2}, [])


def test_who_is_hidden_hides_nobody():
    """The middle one lies on the large one and on the smallest: once it is gone, it is nobody's front."""
    middle, least = blob(10, 10, 6), blob(10, 10, 2)
    hidden, layers = judged({1: LARGE, 2: middle, 3: least}, {1: 0.9, 2: 0.1, 3: 0.95})
    assert 2 in hidden and all(2 not in pair for pair in layers)
