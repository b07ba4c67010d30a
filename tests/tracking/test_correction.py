"""Which object a prompt lies on: clicks, boxes and masks against masks of a frame."""

from __future__ import annotations

import numpy as np
import pytest

from vidseg.prompts.geometry import Box, MaskPrompt, Points
from vidseg.tracking.correction import object_at


def rectangle(x1, y1, x2, y2):
    mask = np.zeros((30, 40), bool)
    mask[y1:y2, x1:x2] = True
    return mask


LARGE, PART, OTHER = rectangle(0, 0, 20, 20), rectangle(10, 10, 20, 20), rectangle(30, 0, 40, 30)


@pytest.mark.parametrize(
    "prompt, expected",
    [
        (Points(((5, 5),), (1,)), 0),
        (Points(((35, 5),), (1,)), 2),
        (Points(((25, 5),), (1,)), None),
        (Points(((40, 30),), (1,)), 2),  # the lower right corner of the picture
        (Points(((15, 15),), (1,)), 1),  # on both: the smaller one
        (Points(((15, 15), (5, 5)), (1, 1)), 0),  # most clicks
        (Points(((15, 15), (35, 5), (38, 9)), (1, 1, 1)), 2),
        (Points(((25, 5), (35, 5)), (1, 1)), 2),
        (Points(((35, 5), (5, 5), (5, 6)), (1, 0, 0)), 2),  # what does not belong to it says nothing
        (Points(((25, 5), (5, 5)), (1, 0)), None),
        (Points(((5, 5), (25, 5)), (0, 0)), 0),  # not this part of it
        (Points(((25, 5),), (0,)), None),
        (Box((0, 0, 20, 20)), 0),
        (Box((10, 10, 20, 20)), 1),
        (Box((0, 0, 20, 10)), 0),  # an IoU of a half
        (Box((0, 0, 20, 9.9)), None),
        (Box((12, 12, 36, 22)), None),
        (Box((30, 0, 40, 30), Points(((5, 5),), (1,))), 2),  # the box goes first
        (Box((0, 0, 40, 30), Points(((35, 5),), (1,))), 2),
        (Box((12, 0, 36, 30), Points(((25, 5),), (1,))), None),
        (MaskPrompt(rectangle(0, 0, 20, 12)), 0),
        (MaskPrompt(rectangle(0, 0, 20, 9)), None),
        (MaskPrompt(rectangle(11, 11, 20, 20)), 1),
    ],
    ids=lambda value: "" if isinstance(value, MaskPrompt) else str(value),
)
def test_the_object_that_a_prompt_lies_on(prompt, expected):
    assert object_at(prompt, np.stack([LARGE, PART, OTHER]), 0.5) == expected


def test_the_box_of_an_object_is_around_its_mask():
    corners = rectangle(5, 5, 6, 6) | rectangle(24, 24, 25, 25)
    assert object_at(Box((5, 5, 25, 25)), np.stack([OTHER, corners]), 0.9) == 1
    assert object_at(MaskPrompt(rectangle(5, 5, 25, 25)), np.stack([OTHER, corners]), 0.5) is None


@pytest.mark.parametrize("prompt", [Points(((5, 5),), (1,)), Box((0, 0, 20, 20)), MaskPrompt(LARGE)])
def test_no_object(prompt):
    assert object_at(prompt, np.zeros((0, 30, 40), bool), 0.5) is None
