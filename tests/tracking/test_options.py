"""What a run can be told, and what makes no sense."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from vidseg.errors import InputError
from vidseg.tracking.options import THRESHOLDS, Thresholds, TrackOptions, TrackPrompts


@pytest.mark.parametrize(
    "options", [{}, {"keyframe": 3}, {"keyframe": np.int64(3)}, {"redetect": 0.1}, {"forget_after": 0}]
)
def test_options_that_make_sense(options):
    assert dataclasses.replace(TrackOptions(), **options) == TrackOptions(**options)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"keyframe": "last"}, "keyframe"),
        ({"keyframe": True}, "keyframe"),
        ({"keyframe": 1.5}, "keyframe"),
        ({"redetect": 0}, "redetect"),
        ({"redetect": float("inf")}, "redetect"),
        ({"redetect": float("nan")}, "redetect"),
        ({"forget_after": -1}, "forget_after"),
        ({"forget_after": float("nan")}, "forget_after"),
    ],
    ids=str,
)
def test_options_that_make_none(options, said):
    with pytest.raises(InputError, match=said):
        TrackOptions(**options)


def test_nothing_to_look_for():
    with pytest.raises(InputError, match="what should be tracked"):
        TrackPrompts()


@pytest.mark.parametrize("cls", [Thresholds, TrackOptions, TrackPrompts])
def test_value_objects_are_frozen_and_take_keywords_only(cls):
    fields = dataclasses.fields(cls)
    assert all(field.kw_only for field in fields)
    value = cls(**({"phrases": ("dog",)} if cls is TrackPrompts else {}))
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, fields[0].name, None)


@pytest.mark.parametrize("lowest", [0.0, 0.1, 0.34, 0.35, 0.9])
def test_two_detections_confirm_where_weak_ones_count(lowest):
    limits = THRESHOLDS.for_scores_from(lowest, 0.35)
    assert (limits == THRESHOLDS) is (lowest >= 0.35)
    assert min(lowest, 0.6) <= limits.strong_score <= 0.6
    assert lowest >= 0.35 or limits.confirm_score_sum <= 2 * lowest
