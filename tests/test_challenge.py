"""The challenge clips are what their families say, and their truth is exact. (Scores are printed by scripts/challenge.py.)"""

import sys
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import supervision as sv

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))
import challenge_clips as clips  # noqa: E402
from challenge_clips import FAMILIES, HEIGHT, LEAST, RATE, WIDTH, FaultyDetector, gaps, play, visible, wanted_only  # noqa: E402
from demo_world import FONT  # noqa: E402

from vidseg.tracks import read_tracks  # noqa: E402

pytestmark = pytest.mark.skipif(not FONT.exists(), reason="the emoji font is not installed")


@lru_cache
def draft(family, number=0):
    return clips.draft(family, number)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family(family):
    plan = draft(family)
    frames = sum(len(shot.frames) for shot in plan.shots)
    names = {sprite.name for shot in plan.shots for sprite, i in zip(shot.scene.sprites, shot.ids) if i}
    assert 120 <= frames <= 200
    assert sorted(plan.prompt) == sorted(names)  # each once
    assert {i for shot in plan.shots for i in shot.ids} - {0} == set(range(1, plan.objects + 1))
    for shot in plan.shots:
        sizes = shot.scene.poses[shot.frames[0], np.array(shot.ids) > 0, 2]
        low, high = {"crowd": (0.14, 0.2), "occlusion": (0.2, 0.55), "scale": (0.2, 0.42)}.get(family, (0.2, 0.4))
        assert (sizes >= low - 1e-6).all() and (sizes <= high + 1e-6).all()


def test_a_plan_follows_from_its_seed():
    again = clips.draft("crowd", 0)
    assert np.array_equal(again.shots[0].scene.poses, draft("crowd").shots[0].scene.poses)
    assert not np.array_equal(clips.draft("crowd", 1).shots[0].scene.poses, again.shots[0].scene.poses)


@pytest.mark.parametrize("number, crossings", [(0, 1), (1, 2)])
def test_twins_are_the_same_and_cross(number, crossings):
    scene = draft("twins", number).shots[0].scene
    assert scene.sprites[1] is scene.sprites[2] and scene.sprites[0].name != scene.sprites[1].name
    one, other = scene.poses[:, 1], scene.poses[:, 2]
    assert np.array_equal(one[:, [2, 4]], other[:, [2, 4]])  # size and flip
    assert np.linalg.norm(one[:, :2] - other[:, :2], axis=1).min() < one[0, 2] / 2
    assert (np.diff(np.sign(one[:, 0] - other[:, 0])) != 0).sum() == crossings


@pytest.mark.parametrize("number", [0, 2])
def test_occlusion_hides_for_5_to_40_frames(number):
    plan = draft("occlusion", number)
    shown = visible(plan)
    for column in shown[:, :2].T:
        assert gaps(column) and all(5 <= length <= 40 for _, length in gaps(column))
    assert plan.objects == (4 if number == 2 else 3)  # what hides them is to be tracked in every third clip
    poses = plan.shots[0].scene.poses[:, :2]
    assert (poses[..., 0] > 0).all() and (poses[..., 0] < clips.ASPECT).all()  # hidden and not gone


def test_reentry_is_elsewhere():
    plan = draft("reentry")
    for i, column in enumerate(visible(plan)[:, :2].T):
        (first, length), = gaps(column)
        assert 12 <= length <= 48
        left, came = plan.shots[0].scene.poses[[first - 1, first + length], i, :2]
        assert np.linalg.norm(left - came) > 0.4


def test_late_objects_come_after_1_to_4_seconds():
    first = (visible(draft("late")) >= LEAST).argmax(0)
    assert (first[:2] == 0).all() and (first[2:] >= RATE).all() and (first[2:] <= 4 * RATE).all()


def test_a_crowd_is_twelve():
    assert draft("crowd").objects == 12 and (visible(draft("crowd"))[0] > 300).all()


def test_objects_keep_their_ids_over_cuts():
    plan = draft("cuts")
    a, b, again = plan.shots
    assert again.scene is a.scene and again.ids == a.ids == [1, 2, 3] and b.ids == [4, 5, 6]
    assert [s.name for s in a.scene.sprites].count(a.scene.sprites[0].name) == 2
    shown = visible(plan) >= LEAST
    cuts = len(a.frames), len(a.frames) + len(b.frames)
    assert not shown[: cuts[0], 3:].any() and not shown[cuts[0] : cuts[1], :3].any() and not shown[cuts[1] :, 3:].any()
    assert shown[cuts[1], :3].all()


def test_scale_changes_fourfold():
    sizes = draft("scale").shots[0].scene.poses[..., 2]
    assert np.allclose(sizes[-1] / sizes[0], [1 / 4, 1, 4])


def test_the_camera_shakes():
    camera = draft("shake").shots[0].scene.camera * HEIGHT
    steps = np.linalg.norm(np.diff(camera, axis=0), axis=1)
    assert steps.mean() > 3 and steps.max() > 12  # pixels a frame
    assert abs(camera).max() < clips.HEIGHT * 0.25  # what the background reaches beyond the picture


def test_newcomers_are_not_in_the_truth():
    plan = draft("newcomers")
    shot = plan.shots[0]
    strangers = [s.name for s, i in zip(shot.scene.sprites, shot.ids) if not i]
    assert plan.objects == 3 and len(strangers) == 3 and not set(strangers) & set(plan.prompt)
    seen = [[(owner == place + 1).sum() for place, i in enumerate(shot.ids) if not i] for _, owner, _ in play(plan, 90, 160, noisy=False)]
    first = (np.array(seen) > 0).argmax(0)
    assert (np.array(seen).max(0) > 100).all() and (first > 12).all()


def test_truth_leaves_out_what_hardly_shows_and_what_is_not_wanted():
    owner = np.zeros((20, 40), np.uint8)
    owner[:, :10], owner[:3, 10:23], owner[5:9, 10:20], owner[10:, 20:] = 1, 2, 3, 4
    kept = wanted_only(owner, [7, 2, 5, 0])  # sprite 2 shows 39 pixels, sprite 3 shows 40, sprite 4 has no id
    assert set(np.unique(kept)) == {0, 1, 3} and (kept == 1).sum() == 200 and (kept == 3).sum() == 40


def test_truth_file(tmp_path):
    """A few frames on both sides of a cut, written and read again: masks, ids and labels are those of the drawing."""
    plan = draft("cuts")
    a, b, _ = plan.shots
    short = replace(plan, shots=[replace(a, frames=a.frames[:2]), replace(b, frames=b.frames[:1]), replace(a, frames=a.frames[-1:])])
    clips.write_plan(short, tmp_path / "clip.mp4", tmp_path / "clip.truth.jsonl")
    truth = list(read_tracks(tmp_path / "clip.truth.jsonl"))
    assert [list(frame.detections.tracker_id) for frame in truth] == [[1, 2, 3], [1, 2, 3], [4, 5, 6], [1, 2, 3]]
    for frame, (_, owner, shot) in zip(truth, play(short, HEIGHT, WIDTH)):
        for place, (mask, name) in enumerate(zip(frame.detections.mask, frame.detections.data["class_name"])):
            assert np.array_equal(mask, owner == place + 1) and name == shot.scene.sprites[place].name


# -- the detector that errs ------------------------------------------------------------------------------------------


class Sure:
    """A detector that always finds the same two things."""

    best_score = 0.9

    def detect(self, image, phrases):
        return sv.Detections(
            xyxy=np.array([[10, 10, 110, 110], [400, 100, 500, 220]], np.float32), confidence=np.array([0.9, 0.8], np.float32),
            class_id=np.array([0, 1]), data={"class_name": np.array(phrases[:2])})


def pictures(count):
    return np.random.default_rng(0).integers(0, 255, (count, HEIGHT, WIDTH, 3), np.uint8)


def test_faults_follow_from_seed_and_picture():
    images = pictures(12)
    first, second, other = FaultyDetector(Sure(), 5), FaultyDetector(Sure(), 5), FaultyDetector(Sure(), 6)
    a = [first.detect(image, ["dog", "cat"]).xyxy.tolist() for image in images]
    b = [second.detect(image, ["dog", "cat"]).xyxy.tolist() for image in images[::-1]][::-1]  # in another order
    assert a == b != [other.detect(image, ["dog", "cat"]).xyxy.tolist() for image in images]


def test_faults_withhold_and_invent():
    detector, real = FaultyDetector(Sure(), 1), Sure().detect(None, ["dog", "cat"]).xyxy
    withheld = invented = 0
    for image in pictures(40):
        found = detector.detect(image, ["dog", "cat"])
        true = np.array([box.tolist() in real.tolist() for box in found.xyxy], bool)
        withheld, invented = withheld + 2 - true.sum(), invented + (~true).sum()
        assert (np.diff(found.confidence) <= 0).all() and detector.best_score == pytest.approx(found.confidence.max(initial=0))
        assert [["dog", "cat"][i] for i in found.class_id] == list(found.data["class_name"])
        false = found.xyxy[~true]
        assert (false >= 0).all() and (false <= (WIDTH, HEIGHT, WIDTH, HEIGHT)).all()
        if len(false):
            assert sv.box_iou_batch(false, real).max() < 0.1
    assert 10 <= withheld <= 30 and 12 <= invented <= 36


def test_faults_where_nothing_is_found():
    class Blind:
        best_score = 0.1

        def detect(self, image, phrases):
            return Sure().detect(image, ["dog", "cat"])[[]]

    detector = FaultyDetector(Blind(), 3)
    counts = [len(detector.detect(image, ["dog"])) for image in pictures(10)]
    assert 0 in counts and max(counts) > 0
