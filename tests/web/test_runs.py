"""A correction of an earlier run: which object of it a prompt is of."""

from __future__ import annotations

import numpy as np
import pytest

from vidseg.tracks.records import ObjectRecord
from vidseg.tracks.rle import encode_mask
from vidseg.web.runs import with_ids_of_objects


def record(number, x):
    mask = np.zeros((30, 40), bool)
    mask[:, x : x + 10] = True
    return ObjectRecord(
        id=number, label="dog", score=0.9, box=(x, 0, x + 10, 30), size=(30, 40), counts=encode_mask(mask)["counts"]
    )


@pytest.mark.parametrize(
    "prompts, expected",
    [
        ([(7, 5, False)], [(2, True)]),
        ([(7, 25, False)], [(4, True)]),
        ([(7, 15, False)], [(7, False)]),  # on nothing
        ([(7, 5, True)], [(7, True)]),
        ([(4, 5, True)], [(4, True)]),  # an object of the earlier run, wherever the click is
        ([(2, 15, True), (7, 5, False)], [(2, True), (7, False)]),  # one prompt a frame
    ],
)
def test_a_prompt_gets_the_id_of_the_object_that_it_lies_on(prompts, expected):
    given = [{"id": number, "points": [[x, 9]], "new": new} for number, x, new in prompts]
    found = with_ids_of_objects(given, [record(2, 0), record(4, 20)])
    assert [(one["id"], one["new"]) for one in found] == expected


def test_nothing_on_the_frame():
    (one,) = with_ids_of_objects([{"id": 7, "points": [[5, 9]], "new": False}], [])
    assert (one["id"], one["new"]) == (7, False)
