"""Tracks and their ids: one each, for good."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from vidseg.tracking.appearance import similarity
from vidseg.tracking.options import THRESHOLDS
from vidseg.tracking.registry import Track, TrackRegistry


def unit(*values):
    return F.normalize(torch.tensor(values, dtype=torch.float32), dim=0)


def registry_of(number, **options):
    """A registry with some tentative dogs, and their internal ids."""
    registry = TrackRegistry(**options)
    ids = registry.reserve(number)
    for internal_id in ids:
        registry.create(internal_id, 0, "dog", 0.5)
    return registry, ids


@pytest.mark.parametrize(
    "user_labels, reserved, expected",
    [({}, (), [1, 2]), ({2: "cat"}, (), [1, 3]), ({1: None}, (2, 5), [3, 4]), ({}, {1, 2, 3}, [4, 5])],
)
def test_a_confirmed_track_gets_an_id_that_none_had(user_labels, reserved, expected):
    registry, ids = registry_of(2, user_labels=user_labels, reserved_ids=reserved)
    for internal_id in ids:
        registry.confirm(internal_id)
        registry.confirm(internal_id)  # nothing changes
    assert [identity.track_id for identity in registry.identities().values()] == expected


def test_label_is_the_one_with_the_highest_score():
    registry, (dog,) = registry_of(1)
    assert Track(first_frame=0).label == "object"
    for label, score, expected in [("cat", 0.4, "dog"), ("cat", 0.1, "dog"), ("cat", 0.1, "cat"), ("dog", 0.2, "dog")]:
        registry.add_label(dog, label, score)
        assert registry.tracks[dog].label == expected, registry.tracks[dog].label_scores


def test_two_detections_confirm_a_track_and_name_it():
    registry, (dog, other) = registry_of(2)
    registry.add_detection(dog, "cat", 0.45)
    assert registry.tentative() == {other} and registry.state.labels == {1: "dog"}
    registry.add_label(other, "cat", 0.45)  # a second name is no second detection
    assert registry.tentative() == {other}
    registry.discard(other)
    assert set(registry.tracks) == {dog}


@pytest.mark.parametrize(
    "scores, is_confirmed",
    [([0.4], False), ([0.4, 0.4], False), ([0.5, 0.5], True), ([0.4, 0.9], True), ([0.4] * 3, True)],
    ids=str,
)
def test_scores_that_are_enough_confirm_a_track(scores, is_confirmed):
    registry = TrackRegistry()
    (internal_id,) = registry.reserve(1)
    registry.create(internal_id, 0, "cat", scores[0])
    for score in scores[1:]:
        registry.add_detection(internal_id, "cat", score)
    assert (registry.tentative() == set()) == is_confirmed


def test_old_embeddings_are_forgotten_and_each_track_has_its_own():
    registry, (dog, cat) = registry_of(2)
    for embedding in [unit(1, 0)] + [unit(0, 1)] * THRESHOLDS.embeddings_kept:
        registry.add_embedding(dog, embedding)
    embeddings = registry.tracks[dog].embeddings
    assert len(embeddings) == THRESHOLDS.embeddings_kept and similarity(unit(1, 0), embeddings) == pytest.approx(0)
    assert not registry.tracks[cat].embeddings


def test_what_the_user_points_at_is_confirmed_and_keeps_its_name():
    registry = TrackRegistry({7: "cat", 9: None})
    cat, thing = registry.prompt(7, 3), registry.prompt(9, 5)
    assert registry.prompt(7, 8) == cat  # a correction
    registry.add_detection(cat, "dog", 0.9)
    registry.add_detection(thing, "dog", 0.9)
    assert registry.state.labels == {7: "cat", 9: "dog"} and registry.state.keyframe == 3
    assert registry.tracks[cat].user_prompted


def test_a_copy_changes_nothing():
    registry, (dog, cat) = registry_of(2)
    copy = registry.copy()
    copy.add_detection(dog, "cat", 0.9)
    copy.discard(cat)
    copy.add_embedding(dog, unit(1, 0))
    assert registry.tentative() == {dog, cat} and registry.state.labels == {}
    assert registry.tracks[dog].label == "dog" and not registry.tracks[dog].embeddings


@pytest.mark.parametrize("label, expected", [(None, "dog"), ("Rex", "Rex")])
def test_a_correction_takes_no_id(label, expected):
    registry, (dog, cat) = registry_of(2, user_labels={1: label, 2: None}, open_ids={1})
    registry.confirm(dog)
    assert registry.prompt(1, 5, corrects=cat) == cat  # tentative until now
    assert registry.state.labels == {1: "dog", 3: expected} and not registry.tentative()
    assert registry.prompt(1, 6) == cat and not registry.renumbered()
    assert [registry.identities(frame)[cat].user_prompted for frame in (4, 5, None)] == [False, True, True]
    registry.add_detection(cat, "dog", 0.9)
    assert registry.tracks[cat].label == expected


def test_an_id_is_kept_free_until_it_is_known_to_be_of_another_object():
    registry, (dog, cat) = registry_of(2, user_labels={1: None})
    registry.release([1])
    registry.confirm(dog)
    assert registry.state.labels == {1: "dog"}
    registry.confirm(cat)
    registry.prompt(1, 5)  # none of them after all
    assert registry.state.labels == {1: "dog", 2: "dog", 3: "object"} and registry.renumbered() == {1: 3}
