"""A run that adds to an earlier one: which of its objects the prompts of a request are of."""

from __future__ import annotations

from fractions import Fraction
from types import SimpleNamespace

import pytest

from tests.web.test_merging import frame
from vidseg.tracks.file import TracksWriter, header_of
from vidseg.web.resuming import on_earlier_objects


@pytest.fixture
def media(tmp_path):
    """Objects 2 and 4 on frames 0 to 2, side by side in 8 columns; 4 is hidden on frame 2."""
    path = tmp_path / "tracks.jsonl"
    with TracksWriter(path, header_of("clip.mp4", 8, 2, Fraction(25), Fraction(1, 25), [], {})) as writer:
        for index in range(3):
            writer.write(frame(index, o2=(0, 3), **({"o4": (4, 7)} if index < 2 else {})))
    return SimpleNamespace(tracks=path)


@pytest.mark.parametrize(
    "given, expected",
    [
        ({0: [(7, 1, False)]}, {0: [(2, True)]}),
        ({0: [(7, 5, False)]}, {0: [(4, True)]}),
        ({0: [(7, 3, False)]}, {0: [(7, False)]}),  # on nothing
        ({2: [(7, 5, False)]}, {2: [(7, False)]}),  # on nothing any more
        ({9: [(7, 5, False)]}, {9: [(7, False)]}),  # on a frame that has not been tracked
        ({0: [(7, 1, True)]}, {0: [(7, True)]}),
        ({0: [(4, 1, False)]}, {0: [(4, True)]}),  # an object that is known, wherever the click is
        ({0: [(2, 3, False), (7, 1, False)]}, {0: [(2, True), (7, False)]}),  # one prompt of an object on a frame
        ({0: [(7, 1, False), (8, 1, False)]}, {0: [(2, True), (8, False)]}),
        ({1: [(7, 3, False)], 0: [(7, 1, False)]}, {0: [(2, True)], 1: [(2, True)]}),  # the first frame decides
        ({0: [(7, 3, False)], 1: [(7, 1, False)]}, {0: [(7, False)], 1: [(7, False)]}),
    ],
    ids=str,
)
def test_a_prompt_is_of_the_object_that_it_lies_on(media, given, expected):
    prompts = {
        index: [{"id": number, "points": [[x + 0.5, 1]], "new": new} for number, x, new in some]
        for index, some in given.items()
    }
    found = on_earlier_objects(media, prompts, frozenset())
    assert {index: [(one["id"], one["new"]) for one in some] for index, some in found.items()} == expected


def test_what_ends_is_not_corrected(media):
    (one,) = on_earlier_objects(media, {0: [{"id": 7, "points": [[1.5, 1]], "new": False}]}, frozenset({2}))[0]
    assert (one["id"], one["new"]) == (7, False)
