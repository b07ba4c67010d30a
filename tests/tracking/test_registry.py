"""Numbers of objects: one each, for good."""

from __future__ import annotations

import pytest

from vidseg.tracking.matching import Known
from vidseg.tracking.registry import Objects


@pytest.mark.parametrize(
    "by_hand, reserved, expected",
    [({}, (), [1, 2]), ({2: "cat"}, (), [1, 3]), ({1: None}, (2, 5), [3, 4]), ({}, {1, 2, 3}, [4, 5])],
)
def test_who_is_found_gets_a_number_that_nobody_had(by_hand, reserved, expected):
    objects = Objects(by_hand, reserved)
    for object_id in objects.reserve(2):
        objects.known[object_id] = Known(0)
        objects.confirm(object_id)
    assert list(objects.numbers().values()) == expected
