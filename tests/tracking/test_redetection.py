"""Detection runs: new, lost and reappeared objects, false alarms and scene changes, on small clips made here.

Animals and a ball are cut out of the park sample and moved over smooth backgrounds. Where a test is about what becomes
of detections, a stand-in detector says what is found on which look.
"""

from __future__ import annotations

import numpy as np
import pytest
import supervision as sv
import torch

import vidseg
from tests.support.sprites import (
    IDS,
    RATE,
    SAMPLES,
    box_around,
    film,
    frames_of,
    iou,
    sand,
    sky,
)
from vidseg.io.clip import Frame
from vidseg.sam.frame import FrameMasks
from vidseg.tracking import backfill
from vidseg.tracking.options import THRESHOLDS, TrackOptions
from vidseg.tracking.pass_state import begin_pass
from vidseg.tracking.pending import MaskEstimate, PendingFrame
from vidseg.tracking.propagation_pass import PropagationPass
from vidseg.tracking.registry import TrackRegistry

STEP, STRIDE = 0.5, 12  # seconds, and frames, between two looks
SHORT, SHORT_STRIDE = 0.25, 6  # the same where a stand-in detector makes it cheap
VISIBLE = 0.1  # share of an object's pixels from which a frame is called its first


# -- clips -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def visit(tmp_path_factory, sprites):
    """A dog stays; a cat comes in from the right between two looks, and walks past the dog, in front of it."""

    def places(t):
        return {"dog": (330, 170)} | ({"cat": (700 - 16 * (t - 14), 190)} if t >= 14 else {})

    return film(tmp_path_factory.mktemp("clip") / "visit.mp4", sprites, 48, places)


@pytest.fixture(scope="module")
def absence(tmp_path_factory, sprites):
    """A ball rolls out on the left, is away for more than a second, and comes back from the right, higher up."""

    def places(t):
        return {"ball": (80 - 14 * t, 250) if t < 20 else (680 - 12 * (t - 36), 110)} | {"cat": (330, 230)}

    return film(tmp_path_factory.mktemp("clip") / "absence.mp4", sprites, 54, places)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory, sprites):
    """A dog and a ball that stay where they are; from frame 3 on there is a cat between them."""

    def places(t):
        return {"dog": (120, 170), "ball": (540, 200)} | ({"cat": (330, 190)} if t >= 3 else {})

    return film(tmp_path_factory.mktemp("clip") / "shelf.mp4", sprites, 26, places)


# -- looking at results ----------------------------------------------------------------------------------------------


def id_of(found, true, least=0.5):
    """Which id the object under a true mask has on a frame; None if none agrees with it by more than that IoU."""
    overlap = {int(i): iou(mask, true) for i, mask in zip(found.tracker_id, found.mask)}
    best = max(overlap, key=overlap.get, default=None)
    return best if best is not None and overlap[best] > least else None


def written(frames, object_id):
    """Frames on which an object is."""
    return [t for t, found in enumerate(frames) if object_id in found.tracker_id]


def appears(clip, name, after=0):
    """First frame (from `after` on) on which a tenth of a sprite shows."""
    whole = max(masks[name].sum() for masks in clip.truth if name in masks)
    return next(
        t
        for t in range(after, len(clip.truth))
        if name in clip.truth[t] and clip.truth[t][name].sum() >= VISIBLE * whole
    )


class Scripted:
    """A detector that says what it is told: a list of (box, label, score) for each call, nothing after the last."""

    def __init__(self, *looks):
        self.looks, self.calls = list(looks), 0

    def detect(self, image, phrases):
        found = self.looks[self.calls] if self.calls < len(self.looks) else []
        self.calls += 1
        return sv.Detections(
            xyxy=np.array([box for box, *_ in found], np.float32).reshape(-1, 4),
            confidence=np.array([score for *_, score in found], np.float32),
            class_id=np.zeros(len(found), int),
            data={"class_name": np.array([label for _, label, _ in found], dtype=str)},
        )


@pytest.fixture
def scripted(demo, shelf, monkeypatch):
    """Track the shelf with a detector that finds, on each look, sprites by {name: score}.

    {name: (label, score)}, or a list of such pairs, for other labels than the sprite's name.
    """

    def start(*looks, count=20, **options):
        def detections(look):
            for name, what in look.items():
                for label, score in (
                    [what] if isinstance(what, tuple) else what if isinstance(what, list) else [(name, what)]
                ):
                    yield box_around(shelf, name), label, score

        detector = Scripted(*(list(detections(look)) for look in looks))
        monkeypatch.setattr(demo, "detector", detector)
        run = demo.track(shelf.path, prompt="dog. cat. ball", redetect=SHORT, end=count / RATE, **options)
        run.detector = detector
        return run

    return start


def watched(demo, monkeypatch, watch=lambda: None):
    """What `watch()` gives at each detection run, from now on."""
    seen, detect = [], demo.detector.detect
    monkeypatch.setattr(
        demo.detector, "detect", lambda image, phrases: (seen.append(watch()), detect(image, phrases))[1]
    )
    return seen


def recorded(patch):
    """The passes over clips that are begun from now on."""
    passes, init = [], PropagationPass.__init__

    def recording(self, *args, **options):
        init(self, *args, **options)
        passes.append(self)

    patch.setattr(PropagationPass, "__init__", recording)
    return passes


@pytest.fixture
def passes(monkeypatch):
    return recorded(monkeypatch)


# -- what reappears ----------------------------------------------------------------------------------------------------


def dog_behind_the_tree(demo, interval):
    """Frames of the park, from the dog's first mask after it was hidden on, on which it has none."""
    without, first = [], None
    truth = list(vidseg.read_tracks(SAMPLES / "park.truth.jsonl"))
    for frame in demo.track(SAMPLES / "park.mp4", prompt="dog", start=60 / RATE, end=110 / RATE, redetect=interval):
        true = truth[frame.index].detections
        hidden = IDS["dog"] not in true.tracker_id
        first = None if hidden else first
        if not hidden and frame.index > 80:
            found = id_of(frame.detections, true.mask[true.tracker_id == IDS["dog"]][0], least=0.2)
            assert found in (None, 2)  # the poodle is 1
            first = frame.index if found and first is None else first
            without += [frame.index] if first is not None and not found else []
    assert first is not None
    return without


INTERVALS = pytest.mark.parametrize(
    "interval", [pytest.param(STEP, marks=pytest.mark.slow), 0.75]
)  # seconds; after frame 96 comes a look on 108, or none before the last frame


@INTERVALS
def test_what_reappears_is_backfilled_from_where_it_is_seen_well(demo, interval):
    assert dog_behind_the_tree(demo, interval) == []


@pytest.mark.slow  # or the test above would show nothing; what is backfilled is held further below
@INTERVALS
def test_without_a_backfill_it_is_lost_at_first(demo, monkeypatch, interval):
    """An ear and a leg are not enough for SAM, but they are for the memory of half a dog, half a second later."""
    monkeypatch.setattr(PropagationPass, "_reappeared", lambda self, now, ids: [])
    assert dog_behind_the_tree(demo, interval) != []


@pytest.mark.parametrize("numbers", [(0, 1, 2, 3), (3, 2, 1, 0)], ids=["forwards", "backwards"])
def test_what_is_taken_to_have_reappeared(demo, numbers):
    """Poor once, always sure, missing once, and poor once, but pointed at; what was before does not count."""
    scores = [
        {1: 0.1, 2: 0.1, 4: 0.1},
        {1: 0.6, 2: 0.8, 3: 0.9, 4: 0.3},
        {1: 0.9, 2: 0.7, 4: 0.9},
        {1: 0.9, 2: 0.9, 3: 0.9, 4: 0.9},
    ]
    registry = TrackRegistry({4: None, 5: None})
    for internal_id in registry.reserve(3):
        registry.create(internal_id, 0, "dog", 0.9)
    registry.prompt(4, 0)
    origin = Frame(4, 4 / RATE, 4, sky()) if numbers[0] else None
    options = TrackOptions(redetect=1.0)
    state = begin_pass(registry, options, RATE, origin)
    one_pass = PropagationPass(registry, demo.propagator(), None, options, state, reverse=origin is not None)
    for number, values in zip(numbers, scores):
        estimates = {i: MaskEstimate(torch.ones(2, 2), score) for i, score in values.items()}
        one_pass.state.pending.append(PendingFrame(Frame(number, number / RATE, number, sky()), estimates))
    one_pass.state.backfill_limit = one_pass._position(one_pass.state.pending[0].frame)
    last = one_pass.state.pending[-1]
    assert one_pass._reappeared(last, [1, 2, 3, 4]) == [1, 3]
    assert one_pass._reappeared(last, [2, 3]) == [3]
    one_pass.state.crossed = {3}
    assert one_pass._reappeared(last, [1, 2, 3, 4]) == [1]
    registry.prompt(5, 0, corrects=1)
    assert one_pass._reappeared(last, [1, 2, 3, 4]) == [1]  # it was found, and put right before the last detection run
    one_pass.state.prompted = {1}
    assert one_pass._reappeared(last, [1, 2, 3, 4]) == []


class Returning:
    """Stands for the fork of a propagator: shows objects, a column each, with confidences by id and frame number."""

    def __init__(self, scores):
        self.scores, self.object_ids, self.steps = scores, list(scores), []

    def embed(self, image):
        return None

    def discard(self, internal_id):
        self.object_ids.remove(internal_id)

    def step(self, features, index, reverse):
        self.steps.append((index, reverse))
        ids = list(self.object_ids)
        logits = torch.full((len(ids), 4, 4), -1.0)
        for row, object_id in enumerate(ids):
            logits[row, :, object_id] = 1.0  # a column each
        ious = torch.tensor([self.scores[i][index] for i in ids])
        return FrameMasks(ids, logits, ious, torch.full((len(ids),), 100.0), torch.empty(len(ids), 0))


@pytest.mark.parametrize("numbers", [(0, 1, 2, 3), (3, 2, 1, 0)], ids=["forwards", "backwards"])
def test_of_two_masks_the_surer_one_is_kept(numbers):
    """1 reappeared: it has what it had where that is surer. 2 is new, and what it has already stays as it is."""
    fork = Returning({i: dict(zip(numbers, scores)) for i, scores in {1: [0.9, 0.9, 0.5], 2: [0.9, 0.9, 0.9]}.items()})
    logits = torch.zeros(4, 4) + (torch.arange(4) == 0)
    frames = [
        PendingFrame(
            Frame(number, number / RATE, number, sky()), {i: MaskEstimate(logits, score) for i, score in scores.items()}
        )
        for number, scores in zip(numbers, [{1: 0.2}, {}, {1: 0.7, 2: 0.1}])
    ]
    backfill.backfill(fork, frames[::-1], {1}, THRESHOLDS, reverse=numbers[0] == 0)
    kept = [{i: round(estimate.score, 1) for i, estimate in frame.estimates.items()} for frame in frames]
    assert kept == [{1: 0.9, 2: 0.9}, {1: 0.9, 2: 0.9}, {1: 0.7, 2: 0.1}]
    assert fork.steps == [(number, numbers[0] == 0) for number in numbers[2::-1]]  # against the pass


def test_what_is_not_seen_for_some_frames_is_not_backfilled_further():
    fork = Returning({1: {3: 0.9, 2: 0.9, 1: 0.9, 0: 0.9}})
    covered = {7: MaskEstimate(torch.ones(4, 4), 0.9)}  # lies on all that the fork shows
    frames = [PendingFrame(Frame(t, t / RATE, t, sky()), dict(covered)) for t in (3, 2, 1, 0)]
    backfill.backfill(fork, frames, (), THRESHOLDS, reverse=True)
    assert [index for index, _ in fork.steps] == [3, 2, 1] and not fork.object_ids
    assert all(set(frame.estimates) == {7} for frame in frames)


# -- new tracks -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def visited(demo, visit):
    """The visit, tracked: its detections by frame, the run, and how many frames waited whenever one came out."""
    waiting = []
    with pytest.MonkeyPatch.context() as patch:
        passes = recorded(patch)
        run = demo.track(visit.path, prompt="dog. cat", redetect=STEP)
        frames = frames_of((frame for frame in run if waiting.append(len(passes[0].state.pending)) is None), 48)
    return frames, run, waiting


def test_a_new_track_begins_where_it_comes_in(visited, visit):
    frames, run, _ = visited
    comes = appears(visit, "cat")
    assert comes % STRIDE > 3  # it has been there for some frames when it is found
    assert run.labels == {1: "dog", 2: "cat"} and run.keyframe == 0
    assert written(frames, 1)[0] == 0 and abs(written(frames, 2)[0] - comes) <= 2
    for t in range(comes + 2, 2 * STRIDE + 4):
        assert id_of(frames[t], visit.truth[t]["cat"]) == 2, t


def test_objects_that_pass_each_other_keep_their_ids(visited, visit):
    frames, run, _ = visited
    assert {int(i) for found in frames for i in found.tracker_id} == {1, 2}
    assert id_of(frames[0], visit.truth[0]["dog"]) == 1
    assert [id_of(frames[-1], visit.truth[-1][name]) for name in ("dog", "cat")] == [1, 2]
    assert sum(masks["dog"].sum() < 0.75 * visit.truth[0]["dog"].sum() for masks in visit.truth) > 5  # they do pass
    assert run.seen == {i: len(written(frames, i)) for i in (1, 2)}


def test_masks_of_a_frame_do_not_overlap(visited):
    frames, *_ = visited
    assert max(found.mask.sum(0).max() for found in frames) == 1


def test_masks_may_overlap_if_they_are_allowed_to(demo, visit, visited):
    run = demo.track(visit.path, prompt="dog. cat", redetect=STEP, allow_overlap=True, end=40 / RATE)
    frames = frames_of(run, 40)
    assert max(found.mask.sum(0).max() for found in frames) == 2
    for with_overlap, without in zip(frames, visited[0]):  # nothing else is different
        assert with_overlap.tracker_id.tolist() == without.tracker_id.tolist()
        assert np.array_equal(with_overlap.mask.any(0), without.mask.any(0))


def test_without_redetection_the_detector_runs_once(demo, visit, monkeypatch):
    looks = watched(demo, monkeypatch)
    run = demo.track(visit.path, prompt="dog. cat", redetect=None, end=28 / RATE)
    frames = frames_of(run, 28)
    assert len(looks) == 1
    assert run.labels == {1: "dog"} and all(found.tracker_id.tolist() == [1] for found in frames)
    assert id_of(frames[-1], visit.truth[27]["dog"]) == 1


# -- lost objects ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("forget_after", "carried"), [(30.0, True), (0.5, False)])
def test_object_that_leaves_comes_back_under_its_id(demo, absence, monkeypatch, passes, forget_after, carried):
    """Also when it has been away for so long that it is carried no further: its looks are enough."""
    gone, back = next(t for t, masks in enumerate(absence.truth) if "ball" not in masks), appears(absence, "ball", 20)
    assert back - gone > RATE
    run = demo.track(absence.path, prompt="ball", redetect=STEP, forget_after=forget_after)
    banks = watched(demo, monkeypatch, lambda: set(passes[0].propagator.object_ids) if passes else set())
    frames = frames_of(run, 54)
    assert run.labels == {1: "ball"}
    times = written(frames, 1)
    assert set(range(gone - 2)) <= set(times) and not [t for t in times if gone < t < back - 2]
    for t in range(back + 4, 54):
        assert id_of(frames[t], absence.truth[t]["ball"]) == 1, t
    looks_away = [n for n in range(len(banks)) if gone + 1 + forget_after * RATE < n * STRIDE < back]
    assert not looks_away if carried else len(looks_away) >= 1
    assert all(not banks[n] for n in looks_away)
    assert all(banks[n] for n in range(1, len(banks)) if n * STRIDE < gone + forget_after * RATE)


def test_a_detector_that_fails_for_a_while_ends_no_tracks(scripted, shelf):
    run = scripted({"dog": 0.8, "ball": 0.7}, {}, {"ball": 0.5}, {})
    frames = frames_of(run, 20)
    assert run.detector.calls == 4  # on frames 0, 6, 12, 18
    assert run.labels == {1: "dog", 2: "ball"} and run.seen == {1: 20, 2: 20}
    assert [id_of(frames[-1], shelf.truth[19][name]) for name in ("dog", "ball")] == [1, 2]


# -- false alarms and weak evidence ----------------------------------------------------------------------------------


def held_by_the_registry(*values):
    """A case that takes seconds here, and of which tests/tracking/test_registry.py holds the sum of scores."""
    return pytest.param(*values, marks=pytest.mark.slow)


@pytest.mark.parametrize(
    ("scores", "is_there"),
    [
        held_by_the_registry([0.4], False),
        ([0.4, 0.4], False),  # two weak ones may be the same mistake made twice
        held_by_the_registry([0.4, None, 0.4], False),
        ([0.9], True),
        ([0.5, 0.5], True),
        held_by_the_registry([0.4, 0.9], True),
    ],
    ids=str,
)
def test_a_new_track_is_written_if_the_evidence_is_enough(scripted, shelf, passes, scores, is_there):
    """The cat stands there from frame 3 on, and looks are on frames 0, 6, 12, 18."""
    looks = [{"dog": 0.8} | ({"cat": score} if score else {}) for score in [None, *scores]]
    run = scripted(*looks)
    frames = frames_of(run, 20)
    if is_there:
        assert run.labels == {1: "dog", 2: "cat"} and run.seen == {1: 20, 2: 17}
        assert written(frames, 2) == list(range(3, 20))
        assert all(id_of(frames[t], shelf.truth[t]["cat"]) == 2 for t in range(3, 20))
    else:
        assert run.labels == {1: "dog"} and run.seen == {1: 20}
        assert all(found.tracker_id.tolist() == [1] for found in frames)
        assert set(passes[0].propagator.object_ids) == {1}


def test_ids_have_no_gaps_where_false_alarms_were(scripted, shelf):
    run = scripted({"dog": 0.8}, {"ball": 0.4}, {"dog": 0.8}, {"cat": 0.7})
    frames = frames_of(run, 20)
    assert run.labels == {1: "dog", 2: "cat"}
    assert id_of(frames[19], shelf.truth[19]["cat"]) == 2


@pytest.mark.parametrize(("score", "last"), [(0.4, 0), (0.4, 3), (0.4, 8)])
def test_a_clip_with_room_for_one_detection_run_needs_no_second(scripted, score, last):
    """Short clips: the last frame is looked at again; on a clip of one frame, the first look is all there is."""
    run = scripted({"dog": score}, {"dog": 0.55}, count=last + 1)
    frames = frames_of(run, last + 1)
    assert run.detector.calls == min(last, 1) + 1
    assert run.labels == {1: "dog"} and written(frames, 1) == list(range(last + 1))


def test_a_new_track_of_the_last_detection_run_has_its_second_on_the_last_frame(scripted):
    sure = scripted({"dog": 0.8}, {"cat": 0.5, "dog": 0.5}, {"cat": 0.5}, count=9)
    assert written(frames_of(sure, 9), 2) == list(range(3, 9))
    false = scripted({"dog": 0.8}, {"cat": 0.5, "dog": 0.5}, {"dog": 0.5}, count=9)
    assert written(frames_of(false, 9), 2) == [] and false.labels == {1: "dog"}
    assert sure.detector.calls == false.detector.calls == 3  # on frames 0, 6, 8


# -- names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("looks", "name"),
    [
        held_by_the_registry([("dog", 0.7), ("cat", 0.5)], "dog"),
        held_by_the_registry([("dog", 0.7), ("cat", 0.5), ("dog", 0.4), ("cat", 0.5)], "dog"),
        ([("dog", 0.7), ("cat", 0.5), ("cat", 0.5)], "cat"),
        held_by_the_registry([("dog", 0.61), ("cat", 0.9)], "cat"),
        ([[("dog", 0.7), ("cat", 0.5)], [("dog", 0.5), ("cat", 0.7)]], "dog"),  # both at once: a tie, the first stays
    ],
    ids=str,
)
def test_another_name_makes_no_second_object(scripted, looks, name):
    """It renames the object when more speaks for it."""
    run = scripted(*({"dog": what} for what in looks))
    frames = frames_of(run, 20)
    assert all(found.tracker_id.tolist() == [1] for found in frames)
    assert run.labels == {1: name} and run.seen == {1: 20}
    assert frames[-1].data["class_name"].tolist() == [name]


# -- scene cuts ------------------------------------------------------------------------------------------------------


def test_scenes_there_and_back(demo, sprites, tmp_path, monkeypatch, passes):
    """A dog in the sky, a cat on sand, the dog again: cuts on frames 17 and 32, where nobody would look otherwise."""
    cuts = 17, 32

    def elsewhere(t):
        return cuts[0] <= t < cuts[1]

    def places(t):
        return {"cat": (440, 200)} if elsewhere(t) else {"dog": (150 + 2 * t, 160)}

    clip = film(tmp_path / "scenes.mp4", sprites, 46, places, lambda t: sand() if elsewhere(t) else sky())
    run = demo.track(clip.path, prompt="dog. cat", redetect=STEP)
    looks = watched(demo, monkeypatch, lambda: passes[0].state.pending[-1].frame.index if passes else 0)
    frames = frames_of(run, 46)
    assert looks == [0, 12, 17, 29, 32, 44]
    assert run.labels == {1: "dog", 2: "cat"}
    assert [found.tracker_id.tolist() for found in frames] == [[2] if elsewhere(t) else [1] for t in range(46)]
    for t, found in enumerate(frames):
        assert id_of(found, clip.truth[t]["cat" if elsewhere(t) else "dog"]) == (2 if elsewhere(t) else 1), t


def test_nothing_goes_on_over_a_cut_that_does_not_look_like_itself(demo, sprites, tmp_path, monkeypatch):
    """Where the ball was, the next scene has a poodle, which the network takes for it; nobody detects either again."""
    clip = film(
        tmp_path / "scenes.mp4",
        sprites,
        14,
        lambda t: {"poodle" if t >= 9 else "ball": (300, 180)},
        lambda t: sand() if t >= 9 else sky(),
    )
    ball = box_around(clip, "ball", 0)
    monkeypatch.setattr(demo, "detector", Scripted([(ball, "ball", 0.9)]))
    assert written(frames_of(demo.track(clip.path, prompt="ball", redetect=STEP), 14), 1) == list(range(9))
    assert written(frames_of(demo.track(clip.path, boxes=[ball]), 14), 1)[-1] > 9  # or this clip would show nothing


def test_nothing_is_carried_back_over_a_cut(demo, sprites, tmp_path, monkeypatch):
    """A cat comes into the first scene, too late for a look; another cat is found in the second one."""

    def places(t):
        if t >= 10:
            return {"cat": (440, 200)}
        return {"dog": (150, 160)} | ({"cat": (400, 200)} if t >= 7 else {})

    clip = film(tmp_path / "scenes.mp4", sprites, 20, places, lambda t: sand() if t >= 10 else sky())
    dog, cat = box_around(clip, "dog", 0), box_around(clip, "cat")
    monkeypatch.setattr(demo, "detector", Scripted([(dog, "dog", 0.9)], [(cat, "cat", 0.9)], [(cat, "cat", 0.9)]))
    run = demo.track(clip.path, prompt="dog. cat", redetect=STEP)
    frames = frames_of(run, 20)
    assert [found.tracker_id.tolist() for found in frames] == [[1]] * 10 + [[2]] * 10


def test_keyframe_right_after_a_cut_is_not_tracked_back_over_it(demo, sprites, tmp_path, monkeypatch):
    """Where the ball is on the keyframe, the scene before has a poodle, which the network takes for it."""
    clip = film(
        tmp_path / "scenes.mp4",
        sprites,
        16,
        lambda t: {"ball" if t >= 9 else "poodle": (300, 180)},
        lambda t: sky() if t >= 9 else sand(),
    )
    ball = box_around(clip, "ball")
    monkeypatch.setattr(demo, "detector", Scripted([(ball, "ball", 0.9)]))
    assert written(frames_of(demo.track(clip.path, prompt="ball", keyframe=9, redetect=STEP), 16), 1) == list(
        range(9, 16)
    )
    assert (
        written(frames_of(demo.track(clip.path, boxes=[ball], keyframe=9), 16), 1)[0] < 9
    )  # or this clip would show nothing


# -- how long frames wait --------------------------------------------------------------------------------------------


def test_frames_are_pending_for_two_intervals_at_most(visited):
    *_, waiting = visited
    assert STRIDE - 1 <= max(waiting) <= 2 * STRIDE


@pytest.mark.parametrize(
    "alarms", [pytest.param(["cat"], marks=pytest.mark.slow), ["cat", "ball"]], ids=["one", "another each time"]
)  # the first on every second look, the others on every one
def test_frames_are_pending_no_longer_for_false_alarms(scripted, passes, alarms):
    """A new track on every detection run that is never seen a second time."""
    looks = [
        {"dog": 0.8} | ({alarms[n % len(alarms)]: 0.4} if n and (n % 2 or len(alarms) > 1) else {}) for n in range(5)
    ]
    run = scripted(*looks, count=26)
    waiting, came = [], []
    for frame in run:
        waiting.append(len(passes[0].state.pending))
        came.append(frame.index)
        assert frame.detections.tracker_id.tolist() == [1]
    assert came == list(range(26))
    assert SHORT_STRIDE < max(waiting) <= 2 * SHORT_STRIDE


def test_frames_before_a_keyframe_wait_on_disk(scripted, passes):
    run = scripted({"dog": 0.8}, {"dog": 0.8}, {"dog": 0.8}, {"dog": 0.8}, keyframe=14, count=24)
    waiting = {
        frame.index: (sum(len(one_pass.state.pending) for one_pass in passes), len(frame.detections)) for frame in run
    }
    assert list(waiting) == list(range(24))
    assert max(frames for frames, _ in waiting.values()) <= 2 * SHORT_STRIDE
    assert all(found == 1 for _, found in waiting.values())
    assert run.keyframe == 14 and run.detector.calls == 4  # on frames 14, 8, 2 and 20


def test_no_frame_is_pending_without_redetection(demo, visit, passes):
    run = demo.track(visit.path, prompt="dog", redetect=None, end=5 / RATE)
    assert [len(passes[0].state.pending) for _ in run] == [0] * 5


# -- before the keyframe ---------------------------------------------------------------------------------------------


def test_what_is_seen_only_before_the_keyframe_is_found_on_the_way_back(scripted, shelf):
    """The cat stands there from frame 3 on; on the keyframe it goes unseen. Looks are on 14, then 8 and 2, then 20."""
    run = scripted({"dog": 0.8}, {"dog": 0.8, "cat": 0.8}, {"dog": 0.8}, keyframe=14, count=20)
    frames = frames_of(run, 20)
    assert run.keyframe == 14 and run.labels == {1: "dog", 2: "cat"}
    assert written(frames, 1) == list(range(20))
    assert written(frames, 2) == list(
        range(3, 14)
    )  # carried back, that is onwards, up to the keyframe, and down to where it came in
    assert all(id_of(frames[t], shelf.truth[t]["cat"]) == 2 for t in range(3, 14))


@pytest.mark.parametrize(
    ("looks", "is_there"),
    [
        ([{"dog": 0.8, "cat": 0.5}, {"dog": 0.8}, {"dog": 0.8}, {"dog": 0.8, "cat": 0.5}], True),  # seconded afterwards
        ([{"dog": 0.8, "cat": 0.5}, {"dog": 0.8, "cat": 0.5}], True),  # seconded before
        ([{"dog": 0.8, "cat": 0.5}], False),
    ],
    ids=["after", "before", "never"],
)
def test_a_new_track_of_the_keyframe_may_be_confirmed_in_either_direction(scripted, looks, is_there):
    """Looks are on frames 14, 8, 2, 20."""
    run = scripted(*looks, keyframe=14, count=22)
    frames = frames_of(run, 22)
    assert run.labels == ({1: "dog", 2: "cat"} if is_there else {1: "dog"})
    assert written(frames, 2) == (list(range(3, 22)) if is_there else [])
    assert written(frames, 1) == list(range(22))


def test_what_is_new_on_the_very_first_frame_alone_is_forgotten_on_the_way_back(scripted):
    """Detection runs on frames 14, 8 and 2. The ball found on 2 is called something else on 0, the second time."""
    run = scripted(
        {"dog": 0.8}, {"dog": 0.8}, {"dog": 0.8, "ball": 0.4}, {"dog": 0.8, "ball": ("cat", 0.4)}, keyframe=14, count=20
    )
    frames = frames_of(run, 20)
    assert run.labels == {1: "dog"} and all(found.tracker_id.tolist() == [1] for found in frames)
    assert run.detector.calls == 4  # and nobody is looked for once more at the end


def test_late_keyframe_is_tracked_back_without_further_looks(scripted, shelf):
    """Nothing is found on frames 0 and 6; what is found on 12 was there all along."""
    run = scripted({}, {}, {"dog": 0.8, "cat": 0.8}, count=16)
    frames = frames_of(run, 16)
    assert run.keyframe == 12 and run.detector.calls == 3
    assert written(frames, 1) == list(range(16)) and written(frames, 2) == list(range(3, 16))


def test_object_of_a_late_keyframe_is_followed_back_no_longer_than_it_is_remembered(scripted, shelf, passes):
    """The cat comes in on frame 3; a twentieth of a second (one frame) later it is terminated, and the pass ends."""
    run = scripted({}, {}, {"cat": 0.8}, count=16, forget_after=0.05)
    frames = frames_of(run, 16)
    assert written(frames, 1) == list(range(3, 16))
    assert not passes[1].propagator.object_ids and passes[0].propagator.object_ids


# -- what is kept of an object ---------------------------------------------------------------------------------------


def test_second_name_on_one_frame_is_no_second_detection(scripted):
    """0.5 and 0.35 are too little for an object; a second name beside the first makes them no more."""
    run = scripted({"dog": [("dog", 0.5), ("cat", 0.45)]}, {"dog": 0.35})
    assert not any(len(frame.detections) for frame in run) and run.labels == {}


def test_what_nothing_could_find_again_is_not_terminated(demo, shelf, passes):
    """Boxes have no detector behind them: an object out of view is carried to the end, whatever forget_after says."""
    run = demo.track(shelf.path, boxes=[box_around(shelf, "dog")], forget_after=0, end=2 / RATE)
    list(run)
    passes[0]._end_unseen_and_duplicates(PendingFrame(Frame(1000, 1000 / RATE, 1000, sky())))
    assert list(passes[0].propagator.object_ids) == [1]
