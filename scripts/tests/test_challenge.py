"""The challenge clips are what their families say, and their truth is exact. (Scores are for scripts.challenge.run.)"""

from dataclasses import replace
from functools import lru_cache

import cv2
import numpy as np
import pytest
import supervision as sv

from scripts.challenge import clips
from scripts.challenge.entries import delays, entry_table, partners, summary
from scripts.challenge.families import FAMILIES
from scripts.challenge.faulty_detector import FaultyDetector
from scripts.challenge.pictures import (
    GAP,
    LARGEST,
    LINE,
    TILE,
    numbers_of,
    worst_frames,
    write_strip,
    wrong,
)
from scripts.challenge.plan import (
    HEIGHT,
    LEAST,
    WIDTH,
    entries,
    full_areas,
    gaps,
    play,
    visible,
    wanted_only,
    write_plan,
)
from scripts.challenge.routes import ASPECT
from scripts.demo_models.world.clips import RATE, tracks_header, truth_frame
from scripts.demo_models.world.scene import draw
from scripts.demo_models.world.sprites import FONT
from scripts.detections import ids_of, masks_of, names_of, select
from vidseg.detection.base import best_score
from vidseg.evaluation.metrics import compare
from vidseg.tracks.file import TracksWriter, read_tracks

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
    assert (poses[..., 0] > 0).all() and (poses[..., 0] < ASPECT).all()  # hidden and not gone


def test_reentry_is_elsewhere():
    plan = draft("reentry")
    for i, column in enumerate(visible(plan)[:, :2].T):
        ((first, length),) = gaps(column)
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
    assert abs(camera).max() < HEIGHT * 0.25  # what the background reaches beyond the picture


def test_newcomers_are_not_in_the_truth():
    plan = draft("newcomers")
    shot = plan.shots[0]
    strangers = [s.name for s, i in zip(shot.scene.sprites, shot.ids) if not i]
    assert plan.objects == 3 and len(strangers) == 3 and not set(strangers) & set(plan.prompt)
    seen = [
        [(owner == place + 1).sum() for place, i in enumerate(shot.ids) if not i]
        for _, owner, _ in play(plan, 90, 160, noisy=False)
    ]
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
    short = replace(
        plan, shots=[replace(a, frames=a.frames[:2]), replace(b, frames=b.frames[:1]), replace(a, frames=a.frames[-1:])]
    )
    write_plan(short, tmp_path / "clip.mp4", tmp_path / "clip.truth.jsonl")
    truth = list(read_tracks(tmp_path / "clip.truth.jsonl"))
    assert [ids_of(frame.detections) for frame in truth] == [[1, 2, 3], [1, 2, 3], [4, 5, 6], [1, 2, 3]]
    for frame, (_, owner, shot) in zip(truth, play(short, HEIGHT, WIDTH)):
        for place, (mask, name) in enumerate(zip(masks_of(frame.detections), names_of(frame.detections))):
            assert np.array_equal(mask, owner == place + 1) and name == shot.scene.sprites[place].name


def test_full_areas_are_those_of_the_drawing_also_beyond_the_edge():
    plan = draft("late")
    areas, scene, frames = full_areas(plan), plan.shots[0].scene, (0, 60, -1)
    for t in frames:
        centred = replace(scene, poses=scene.poses.copy())
        centred.poses[t, :, :2] = scene.camera[t] + (ASPECT / 2, 0.5)  # all of each inside the picture
        _, _, drawn = draw(centred, t, HEIGHT, WIDTH)
        assert areas[t] == pytest.approx(drawn, rel=0.04)
    _, _, inside = draw(scene, 0, HEIGHT, WIDTH)
    assert (inside[2:] == 0).all() and (areas[0, 2:] > 1000).all()  # not yet come in


def test_full_areas_over_cuts():
    plan = draft("cuts")
    there, shot = full_areas(plan) > 0, np.repeat([0, 1, 0], [len(shot.frames) for shot in plan.shots])
    assert np.array_equal(there, shot[:, None] == [0, 0, 0, 1, 1, 1])


def test_entries_are_where_a_tenth_shows():
    areas = np.array([[100, 100, 100, 0, 100]] * 5, float)
    shown = np.array([[10, 0, 0, 0, 9], [9, 9, 0, 0, 9], [0, 10, 99, 0, 9], [99, 9, 0, 0, 9], [99, 99, 99, 0, 9]])
    assert entries(shown, areas) == {2: 2, 3: 2}  # 1 is there from the start; 4 and 5 never enter


# -- the detector that errs ------------------------------------------------------------------------------------------


class Sure:
    """A detector that always finds the same two things."""

    def detect(self, image, phrases):
        return sv.Detections(
            xyxy=np.array([[10, 10, 110, 110], [400, 100, 500, 220]], np.float32),
            confidence=np.array([0.9, 0.8], np.float32),
            class_id=np.array([0, 1]),
            data={"class_name": np.array(phrases[:2])},
        )


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
        scores = found.confidence
        assert scores is not None and (np.diff(scores) <= 0).all()
        assert best_score(found) == pytest.approx(scores.max(initial=0))
        assert found.class_id is not None
        assert [["dog", "cat"][i] for i in found.class_id] == names_of(found)
        false = found.xyxy[~true]
        assert (false >= 0).all() and (false <= (WIDTH, HEIGHT, WIDTH, HEIGHT)).all()
        if len(false):
            assert sv.box_iou_batch(false, real).max() < 0.1
    assert 10 <= withheld <= 30 and 12 <= invented <= 36


def test_faults_where_nothing_is_found():
    class Blind:
        def detect(self, image, phrases):
            return select(Sure().detect(image, ["dog", "cat"]), [False, False])

    detector = FaultyDetector(Blind(), 3)
    counts = [len(detector.detect(image, ["dog"])) for image in pictures(10)]
    assert 0 in counts and max(counts) > 0


# -- how soon a result has what enters, and pictures of where it is worst ----------------------------------------------


def tracks_file(path, *lives, frames=30):
    """A tracks file of squares of 40 pixels. lives: (id, its frames, x of its left side)."""
    header = tracks_header("clip.mp4", (WIDTH, HEIGHT), ["dog"], {})
    with TracksWriter(path, header) as tracks:
        for t in range(frames):
            owner = np.zeros((HEIGHT, WIDTH), np.uint8)
            for place, (_, there, x) in enumerate(lives, start=1):
                if t in there:
                    owner[100:140, x : x + 40] = place
            tracks.write(truth_frame(t, owner, ["dog"] * len(lives), [object_id for object_id, _, _ in lives]))
    return path


@pytest.fixture
def frames(tmp_path):
    """Truth and result.

    1 is there and found, 2 enters on frame 10 and is written 3 frames late, 3 enters on frame 12 and is written a frame
    early, 4 enters on frame 20 and is never found, though something of the result touches it.
    """
    truth = tracks_file(
        tmp_path / "truth.jsonl",
        (1, range(30), 0),
        (2, range(10, 30), 100),
        (3, range(12, 30), 200),
        (4, range(20, 30), 300),
    )
    result = tracks_file(
        tmp_path / "result.jsonl",
        (7, range(30), 2),
        (9, range(13, 30), 105),
        (5, range(11, 25), 200),
        (6, range(20, 30), 330),
    )
    return list(compare(result, truth))


def test_delays(frames):
    assert partners(frames) == {1: 7, 2: 9, 3: 5}
    assert delays(frames, {2: 10, 3: 12, 4: 20}) == {2: 3, 3: -1, 4: None}
    assert delays(frames, {}) == {}


def test_what_takes_over_late_is_the_partner(tmp_path):
    """Of two ids for one object the one that covers more of its life counts, not the one that comes first."""
    truth = tracks_file(tmp_path / "truth.jsonl", (1, range(5, 30), 0))
    result = tracks_file(tmp_path / "result.jsonl", (1, range(5, 10), 0), (2, range(10, 30), 0))
    assert delays(list(compare(result, truth)), {1: 5}) == {1: 5}


def test_summary_of_delays():
    assert summary([3, -1, None, 0]) == "  4 enter, 1 never found; median +0, worst +3, 2 of 3 within 2 frames"
    assert summary([-9, 1]) == "  2 enter, 0 never found; median -4, worst -9, 1 of 2 within 2 frames"
    assert summary([None]) == "  1 enter, 1 never found"
    scores = [
        {"family": family, "method": "ours", "delays": values}
        for family, values in (("late", [2]), ("twins", []), ("late", [4]))
    ]
    _, late, all_ = entry_table(scores).split("\n")
    assert late.split() == ["late", "ours", *summary([2, 4]).split()] and all_.split()[2:] == late.split()[2:]
    assert entry_table(scores[1:2]) == ""  # where nothing enters


def test_what_is_wrong_on_a_frame(frames):
    paired = partners(frames)
    assert wrong(frames[5], paired) == {"missing": [], "off": [], "extra": []}
    assert wrong(frames[11], paired) == {"missing": [2], "off": [], "extra": [5]}
    assert wrong(frames[22], paired) == {"missing": [4], "off": [], "extra": [6]}
    assert wrong(frames[29], paired) == {"missing": [3, 4], "off": [], "extra": [6]}
    assert wrong(frames[29], {1: 7, 2: 7}) == {"missing": [3, 4], "off": [2], "extra": [9, 6]}
    assert numbers_of(frames, paired) == {7: 1, 9: 2, 5: 3, 6: 5}


def test_the_worst_frames_lie_apart(frames):
    """Most objects are wrong from frame 25 on, then from 20 on and on frame 11: one of each, five frames apart."""
    chosen = worst_frames(frames, partners(frames))
    assert len(chosen) == 3 and (np.diff(chosen) >= 5).all() and chosen[-1] >= 25 and 11 in chosen


def test_pictures(tmp_path):
    """A picture has a row for the truth and each result, small enough a file, and is the same each time."""
    challenge = clips.make("twins", 0, tmp_path)
    empty = tracks_file(tmp_path / "empty.jsonl", frames=120)
    results = {"other": challenge.truth, "ours": empty}
    path = write_strip(tmp_path / "pictures", challenge, results, "ours")
    first = path.read_bytes()
    assert path.name == "twins-0.jpg" and len(first) <= LARGEST
    picture = cv2.imread(str(path))
    assert picture is not None and picture.shape == (3 * (TILE[1] + 2 * LINE + GAP), 3 * (TILE[0] + GAP), 3)
    truth, ours, other = np.split(picture.astype(int), 3)
    assert abs(truth - ours)[2 * LINE + GAP :].max() > 60 and abs(truth - other)[2 * LINE + GAP :].mean() < 1
    assert write_strip(tmp_path / "pictures", challenge, results, "ours").read_bytes() == first
