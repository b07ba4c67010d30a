"""What detections are of, decided on masks and tracks made by hand; nothing is changed by it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vidseg.io.clip import Frame
from vidseg.tracking.association import Candidate, associate, match
from vidseg.tracking.detections import FrameDetections
from vidseg.tracking.options import THRESHOLDS
from vidseg.tracking.pending import MaskEstimate, PendingFrame
from vidseg.tracking.registry import RegistryState, Track, TrackRegistry

SIDE = 32  # cells of the masks, of 4 pixels each
LEFT, RIGHT = (0, 16), (16, 32)


def columns(first, last, score=0.9):
    logits = torch.full((SIDE, SIDE), -5.0)
    logits[:, first:last] = 5
    return MaskEstimate(logits, score)


def frame_with(estimates=()):
    return PendingFrame(Frame(9, 9 / 24, 9, np.zeros((4 * SIDE, 4 * SIDE, 3), np.uint8)), dict(estimates))


def track(label="dog", score=1.0, track_id=1, **what):
    return Track(0, score, {label: score}, track_id=track_id, **what)


def registry_of(tracks):
    labels = {one.track_id: one.label for one in tracks.values() if one.track_id}
    return TrackRegistry(
        state=RegistryState(tracks, labels, dict.fromkeys(labels, 0), 0, next_internal_id=max(tracks, default=0) + 1)
    )


def features(right=0.0):
    """[1, 2, 8, 8] on which the right half looks different by so much."""
    top = torch.zeros(1, 2, 8, 8)
    top[0, 0] = 1
    top[0, 1, :, 4:] = right
    return top


def detections(*found):
    """(box, label, score) each."""
    return FrameDetections(
        np.array([box for box, *_ in found], np.float32).reshape(-1, 4),
        [label for _, label, _ in found],
        np.array([score for *_, score in found], np.float32),
    )


# -- matching ----------------------------------------------------------------------------------------------------------


def test_detections_of_tracks_that_pass_each_other_are_theirs():
    """They confirm which they are of, and begin no track; what is found elsewhere does."""
    registry = registry_of({1: track(), 2: track(score=0.5, track_id=None)})
    places = {1: np.array([100.0, 100, 200, 200]), 2: np.array([300.0, 100, 400, 200])}
    found = detections(([305, 100, 400, 205], "dog", 0.6), ([100, 240, 180, 320], "dog", 0.7))
    matches = match(found, frame_with(), registry, places)
    assert [(one.track, one.label) for one in matches.ambiguous] == [(2, "dog")] and not matches.matched
    assert matches.unmatched.boxes.tolist() == [[100, 240, 180, 320]] and matches.unmatched.labels == ["dog"]


def test_tracks_that_no_detection_agrees_with_are_unmatched():
    registry = registry_of({1: track(), 2: track(track_id=2), 3: track(track_id=3)})
    now = frame_with({1: columns(0, 8), 2: columns(10, 18), 3: columns(20, 28)})
    found = detections(([2, 0, 32, 128], "dog", 0.8), ([40, 0, 72, 128], "cat", 0.8))
    matches = match(found, now, registry, {3: np.array([0.0, 0, 1, 1])})
    assert [one.track for one in matches.matched] == [1] and matches.unmatched_tracks == {2}
    assert matches.unmatched.labels == ["cat"]  # nothing was called a cat before


# -- deciding ----------------------------------------------------------------------------------------------------------


def test_a_lost_track_goes_to_the_candidate_that_looks_most_like_it():
    lost = track(embeddings=[torch.tensor([1.0, 0.0])])
    stronger, same = Candidate(2, "dog", 0.9, columns(*RIGHT)), Candidate(3, "dog", 0.7, columns(*LEFT))
    found = associate([stronger, same], frozenset(), frame_with(), registry_of({1: lost}), features(0.5))
    assert [(one.candidate.internal_id, one.track, one.recovered) for one in found.outcomes] == [
        (3, 1, True),
        (2, 2, False),
    ]


def test_what_looks_like_no_lost_track_is_a_new_one():
    lost = track(embeddings=[torch.tensor([0.0, 1.0])])
    candidate = Candidate(2, "dog", 0.5, columns(*LEFT))
    (one,) = associate([candidate], frozenset(), frame_with(), registry_of({1: lost}), features()).outcomes
    assert (one.track, one.confirmed) == (2, False)
    strong = Candidate(2, "dog", THRESHOLDS.strong_score, columns(*LEFT))
    assert associate([strong], frozenset(), frame_with(), registry_of({1: lost}), features()).outcomes[0].confirmed


def test_without_another_detection_run_all_that_is_found_is_confirmed():
    candidate = Candidate(1, "dog", 0.36, columns(*LEFT))
    found = associate([candidate], frozenset(), frame_with(), registry_of({}), features(), will_redetect=False)
    assert found.outcomes[0].confirmed


def test_a_second_name_for_something_in_view_is_evidence_for_that_name():
    registry, now = registry_of({1: track()}), frame_with({1: columns(0, 16)})
    candidate = Candidate(2, "cat", 0.9, columns(0, 17))
    (one,) = associate([candidate], frozenset(), now, registry, features()).outcomes
    assert one.track is None and one.same_mask == (1,)


@pytest.mark.parametrize("label, user_prompted, expected", [("dog", False, [1]), ("cat", False, []), ("dog", True, [])])
def test_a_mask_that_shows_a_part_is_prompted_anew(label, user_prompted, expected):
    registry, now = registry_of({1: track(user_prompted=user_prompted)}), frame_with({1: columns(0, 4)})
    candidate = Candidate(2, label, 0.9, columns(0, 16))
    found = associate([candidate], frozenset({1}), now, registry, features())
    assert [one.track for one in found.reprompted] == expected and len(found.outcomes) == 1 - len(expected)


def test_a_tentative_track_that_is_not_detected_again_is_removed():
    tracks = {1: track(), 2: track(score=0.5, track_id=None), 3: track(score=0.5, track_id=None)}
    now = frame_with({1: columns(0, 8), 2: columns(10, 18), 3: columns(20, 28)})
    found = associate([], frozenset(), now, registry_of(tracks), features(), deferred=frozenset({3}))
    assert found.removed == (2,)


def test_a_mask_that_has_drifted_onto_something_else_is_removed():
    tracks = {
        1: track(embeddings=[torch.tensor([1.0, 0.0])]),
        2: track(track_id=2, embeddings=[torch.tensor([0.0, 1.0])]),
    }
    now = frame_with({1: columns(0, 8), 2: columns(10, 16)})
    assert associate([], frozenset({1, 2}), now, registry_of(tracks), features()).removed == (2,)
    assert associate([], frozenset({1}), now, registry_of(tracks), features()).removed == ()


def test_deciding_changes_nothing():
    tracks = {1: track(), 2: track(score=0.5, track_id=None)}
    registry, now = registry_of(tracks), frame_with({1: columns(0, 4), 2: columns(20, 28)})
    candidates = [Candidate(3, "dog", 0.9, columns(0, 16)), Candidate(4, "cat", 0.9, columns(16, 19))]
    found = associate(candidates, frozenset({1, 2}), now, registry, features())
    assert found.reprompted and found.removed and found.outcomes
    assert (
        set(registry.tracks) == {1, 2} and registry.tracks[1].score_sum == 1.0 and registry.state.labels == {1: "dog"}
    )
    assert set(now.estimates) == {1, 2} and int(now.estimates[1].mask.sum()) == 4 * SIDE
