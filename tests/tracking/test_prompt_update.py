"""Words and prompts in one clip: a prompt that lies on what the words found corrects it, and ids stay what they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import vidseg
from vidseg.io.clip import Frame
from vidseg.prompts.geometry import Box, Points
from vidseg.prompts.object_prompt import ObjectPrompt
from vidseg.tracking.options import TrackOptions
from vidseg.tracking.pending import MaskEstimate, PendingFrame
from vidseg.tracking.prompt_update import PromptUpdate
from vidseg.tracking.registry import TrackRegistry

SAMPLES = Path(__file__).parents[2] / "samples"
PARK, RATE, FRAMES = SAMPLES / "park.mp4", 24, 7
DOG, TREE, OTHER_DOG, CAT, BALL = range(5)  # rows of the truth


@pytest.fixture(scope="module")
def truth():
    return {frame.index: frame.detections for frame in vidseg.read_tracks(SAMPLES / "park.truth.jsonl")}


def on(truth, frame, row):
    """A click on the object's middle, at some distance from its border."""
    ys, xs = np.nonzero(truth[frame].mask[row])
    return [float(np.median(xs)), float(np.median(ys))]


def tracked(demo, prompts=None, **options):
    """The run, and {id: {frame: mask}}."""
    run = demo.track(PARK, prompt="dog. cat", prompts=prompts, end=FRAMES / RATE, **options)
    masks: dict[int, dict[int, np.ndarray]] = {}
    for frame in run:
        for number, mask in zip(frame.detections.tracker_id.tolist(), frame.detections.mask):
            masks.setdefault(number, {})[frame.index] = mask
    return run, masks


@pytest.fixture(scope="module")
def plain(demo):
    """Without prompts: cat 1, dogs 2 and 3."""
    return tracked(demo)


def differs(one, other):
    return [t for t in range(FRAMES) if t not in one or t not in other or (one[t] != other[t]).any()]


def test_corrections_keep_ids_and_labels_and_change_nothing_else(demo, truth, plain):
    prompts = {
        3: [{"id": 1, "points": [on(truth, 3, DOG)]}],  # 1 is the cat's id
        5: [
            {"id": 1, "points": [on(truth, 5, DOG)]},  # again: the same object
            {"id": 5, "box": truth[5].xyxy[CAT].tolist()},
        ],
    }
    run, masks = tracked(demo, prompts)
    assert plain[0].labels == {1: "cat", 2: "dog", 3: "dog"} and run.labels == plain[0].labels
    assert run.seen == plain[0].seen == {1: FRAMES, 2: FRAMES, 3: FRAMES} and run.warning is None
    assert [differs(masks[i], plain[1][i]) for i in (1, 2, 3)] == [[5, 6], [3, 4, 5, 6], []]


def test_what_lies_on_nothing_or_is_new_begins_another(demo, truth, plain):
    prompts = {
        3: [
            {"id": 1, "box": truth[3].xyxy[BALL].tolist()},
            {"id": 2, "label": "ear", "points": [on(truth, 3, DOG)], "new": True},
            {"id": 6, "points": [[330, 20]], "point_labels": [0]},  # says nothing of any object
        ],
        5: [{"id": 1, "points": [on(truth, 5, BALL)]}],
    }
    run, masks = tracked(demo, prompts, allow_overlap=True)
    # The id of what is new was kept free; the other one the words had taken.
    assert run.labels == {1: "cat", 2: "ear", 3: "dog", 4: "dog", 5: "object"}
    assert sorted(masks[2]) == sorted(masks[5]) == [3, 4, 5, 6]
    assert run.warning == (
        "prompt 6 only says what does not belong, and lies on no object: it was not used; "
        'prompt 1 began object 5, as id 1 was in use ("new": true reserves it)'
    )
    dogs = [masks[i][2] for i in (3, 4)]
    assert all((mask == earlier[2]).all() for mask, earlier in zip(dogs, (plain[1][2], plain[1][3])))


def test_on_the_keyframe_what_the_words_find_there_is_corrected_in_both_directions(demo, truth):
    prompts = {"keyframe": [{"id": 9, "points": [on(truth, 3, DOG)]}, {"id": 1, "box": truth[3].xyxy[BALL].tolist()}]}
    run, masks = tracked(demo, prompts, keyframe=3)
    # The ball has its id, since it is pointed at before ids are given; the others follow in the order of before.
    assert run.labels == {1: "object", 2: "cat", 3: "dog", 4: "dog"} and set(run.seen.values()) == {FRAMES}
    for t in (0, 3, 6):
        x, y = map(int, on(truth, t, DOG))
        assert [i for i, mask in masks.items() if mask[t][y, x]] == [3]


# -- without a network -------------------------------------------------------------------------------------------------


class Pointing:
    """In place of a propagator: notes what it is asked for."""

    def __init__(self):
        self.asked = []

    def prompt(self, features, index, prompts, reverse, as_conditioning):
        self.asked += [(i, prompt) for i, prompt in prompts.items()]


def update_of(registry, now):
    return PromptUpdate(registry=registry, propagator=Pointing(), options=TrackOptions(), now=now, features=None)


@pytest.fixture
def scene():
    """A registry with a tentative dog and a confirmed cat, and a frame on which both are."""
    registry = TrackRegistry({1: None, 2: "Tom", 3: None, 8: None}, open_ids={1, 2, 3, 8})
    dog, cat = registry.reserve(2)
    registry.create(cat, 0, "cat", 0.9)
    registry.confirm(cat)
    registry.create(dog, 0, "dog", 0.4)
    now = PendingFrame(Frame(7, 0.3, 7, np.zeros((40, 40, 3), np.uint8)))
    for internal_id, columns in ((dog, slice(0, 10)), (cat, slice(25, 40))):
        logits = torch.full((40, 40), -9.0)
        logits[:, columns] = 9.0
        now.set(internal_id, MaskEstimate(logits, 0.9))
    return registry, now, dog, cat


def test_a_prompt_confirms_a_tentative_track(scene):
    registry, now, dog, _ = scene
    click = Points(((5.0, 20.0),), (1,))
    update = update_of(registry, now)
    assert update.apply([ObjectPrompt(8, click)]) == [dog] and update.propagator.asked == [(dog, click)]
    assert not registry.tentative() and registry.state.labels == {1: "cat", 2: "dog"}
    assert [registry.identities(t)[dog].user_prompted for t in (6, 7, 8)] == [False, True, True]


def test_two_prompts_of_one_object_come_one_after_the_other(scene):
    registry, now, _, cat = scene
    click, box = Points(((30.0, 20.0),), (1,)), Box((24.0, 0.0, 40.0, 40.0))
    update = update_of(registry, now)
    assert update.apply([ObjectPrompt(1, click), ObjectPrompt(2, box, "Tom")]) == [cat, cat]
    assert update.propagator.asked == [(cat, click), (cat, box)]
    assert registry.state.labels == {1: "Tom"} and "cat" in registry.tracks[cat].label_scores
    # Elsewhere, but the id is known by now
    assert update.apply([ObjectPrompt(1, Points(((5.0, 5.0),), (1,)))]) == [cat]


def test_prompts_of_one_frame_do_not_lie_on_each_other(scene):
    registry, now, dog, cat = scene
    click = Points(((18.0, 20.0),), (1,))
    one, other = update_of(registry, now).apply([ObjectPrompt(1, click), ObjectPrompt(3, click)])
    assert len({one, other, dog, cat}) == 4
    assert registry.state.labels == {1: "cat", 3: "object", 4: "object"} and registry.renumbered() == {1: 4}


def test_new_is_never_a_correction(scene):
    registry, now, dog, _ = scene
    prompt = ObjectPrompt(8, Points(((5.0, 20.0),), (1,)), new=True)
    assert update_of(registry, now).apply([prompt]) != [dog] and registry.tentative() == {dog}
    assert registry.state.labels == {1: "cat", 8: "object"}
