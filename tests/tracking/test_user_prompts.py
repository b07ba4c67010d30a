"""Pointing in a clip: objects by box, click and mask, corrections on later frames, together with text."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

import vidseg
from vidseg.commands.main import main
from vidseg.errors import InputError
from vidseg.prompts.geometry import Box, MaskPrompt, Points
from vidseg.prompts.object_prompt import ObjectPrompt
from vidseg.tracks.rle import encode_mask

SAMPLES = Path(__file__).parents[2] / "samples"
PARK, RATE = SAMPLES / "park.mp4", 24
DOG, TREE, OTHER_DOG, CAT, BALL = range(5)  # rows of the truth


@pytest.fixture(scope="module")
def truth():
    return {frame.index: frame.detections for frame in vidseg.read_tracks(SAMPLES / "park.truth.jsonl")}


def iou(a, b):
    return (a & b).sum() / max((a | b).sum(), 1)


def middle(truth, frame, row):
    """A point on the object, as far from its border as there is one."""
    deep = cv2.distanceTransform(np.pad(truth[frame].mask[row].astype(np.uint8), 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
    y, x = np.unravel_index(deep.argmax(), deep.shape)
    return float(x) + 0.5, float(y) + 0.5


def masks_of(frames, number):
    """{frame: mask} of one object."""
    return {
        f.index: f.detections.mask[f.detections.tracker_id == number][0]
        for f in frames
        if (f.detections.tracker_id == number).any()
    }


def test_box_click_and_mask(demo, truth):
    prompts = {
        0: [
            {"id": 1, "label": "cat", "box": truth[0].xyxy[CAT].tolist()},
            ObjectPrompt(5, Points((middle(truth, 0, DOG),), (1,))),
            {"id": 3, "mask": truth[0].mask[OTHER_DOG]},
        ]
    }
    run = demo.track(PARK, prompts=prompts, end=6 / RATE)
    frames = list(run)
    assert [frame.index for frame in frames] == list(range(6)) and run.keyframe == 0
    for number, row in ((1, CAT), (5, DOG), (3, OTHER_DOG)):
        assert all(iou(mask, truth[t].mask[row]) > 0.5 for t, mask in masks_of(frames, number).items())
        assert len(masks_of(frames, number)) == 6
    assert run.labels == {1: "cat", 3: "object", 5: "object"} and run.seen == {1: 6, 3: 6, 5: 6}


def test_boxes_points_and_masks_as_arguments(demo, truth):
    x, y = middle(truth, 2, CAT)
    run = demo.track(
        PARK,
        boxes=truth[2].xyxy[[CAT]],
        points=[[x, y], [300, 20]],
        point_labels=[1, 0],
        masks=truth[2].mask[[BALL]],
        keyframe=2,
        end=4 / RATE,
    )
    frames = list(run)
    same = list(
        demo.track(
            PARK,
            prompts={
                2: [
                    ObjectPrompt(1, Box(tuple(truth[2].xyxy[CAT].tolist()), Points(((x, y), (300, 20)), (1, 0)))),
                    ObjectPrompt(2, MaskPrompt(truth[2].mask[BALL])),
                ]
            },
            end=4 / RATE,
        )
    )
    assert [f.index for f in frames] == [f.index for f in same] == [0, 1, 2, 3]
    for one, other in zip(frames, same):  # frames before the keyframe too
        assert one.detections.tracker_id.tolist() == [1, 2]
        assert (one.detections.mask == other.detections.mask).all()


def test_a_correction_changes_its_object_from_there_on_and_no_other(demo, truth):
    begin = {0: [{"id": 1, "points": [middle(truth, 0, DOG)]}, {"id": 2, "box": truth[0].xyxy[CAT].tolist()}]}
    correction = {
        5: [{"id": 1, "points": [middle(truth, 5, OTHER_DOG), middle(truth, 5, DOG)], "point_labels": [1, 0]}]
    }
    plain = list(demo.track(PARK, prompts=begin, end=9 / RATE, allow_overlap=True))
    corrected = list(demo.track(PARK, prompts=begin | correction, end=9 / RATE, allow_overlap=True))
    for number, changes in ((1, range(5, 9)), (2, ())):
        before, after = masks_of(plain, number), masks_of(corrected, number)
        assert len(before) == 9
        assert [t for t in range(9) if t not in after or (before[t] != after[t]).any()] == list(changes)


SLOW_KINDS = [pytest.param(kind, marks=pytest.mark.slow) for kind in ("box", "mask")]


@pytest.mark.parametrize("kind", ["clicks", *SLOW_KINDS])
def test_a_correction_lasts(demo, truth, kind):
    """An object that was given by a quarter of itself: put right on a later frame, it stays right."""
    x1, y1, x2, y2 = truth[0].xyxy[CAT].tolist()
    x, y = middle(truth, 4, CAT)
    begin = {0: [{"id": 1, "box": [x1, y1, (x1 + x2) / 2, (y1 + y2) / 2]}]}
    correction = {
        "box": {"box": truth[4].xyxy[CAT].tolist()},
        "mask": {"mask": encode_mask(truth[4].mask[CAT])},
        "clicks": {"box": truth[4].xyxy[CAT].tolist(), "points": [[x, y], [300, 20]], "point_labels": [1, 0]},
    }[kind]
    plain = masks_of(list(demo.track(PARK, prompts=begin, end=16 / RATE)), 1)
    corrected = masks_of(
        list(demo.track(PARK, prompts=begin | {4: [{"id": 1, "label": "cat", **correction}]}, end=16 / RATE)), 1
    )
    for t in range(4, 16):
        assert iou(corrected[t], truth[t].mask[CAT]) > max(0.6, iou(plain[t], truth[t].mask[CAT]))


def test_objects_may_begin_later(demo, truth):
    prompts = {3: [{"id": 1, "box": truth[3].xyxy[CAT].tolist()}], 6: [{"id": 2, "box": truth[6].xyxy[BALL].tolist()}]}
    run = demo.track(PARK, prompts=prompts, end=9 / RATE)
    frames = list(run)
    assert [frame.index for frame in frames] == list(range(9)) and run.keyframe == 3
    assert sorted(masks_of(frames, 1)) == list(range(9))  # the first prompted frame is the keyframe: both directions
    assert sorted(masks_of(frames, 2)) == [6, 7, 8]


def test_text_and_hand_together(demo, truth):
    """What was pointed at keeps its number and its name; the text finds the rest, and gives it other numbers."""
    prompts = {"keyframe": [{"id": 2, "label": "Rex", "box": truth[0].xyxy[DOG].tolist()}]}
    run = demo.track(PARK, prompt="dog. cat", prompts=prompts, end=30 / RATE)
    frames = list(run)
    assert (
        run.labels[2] == "Rex"
        and sorted(run.labels.values()) == ["Rex", "cat", "dog"]
        and sorted(run.labels) == [1, 2, 3]
    )
    assert all(iou(mask, truth[t].mask[DOG]) > 0.5 for t, mask in masks_of(frames, 2).items())
    (dog,) = [number for number, label in run.labels.items() if label == "dog"]
    assert all(iou(mask, truth[t].mask[OTHER_DOG]) > 0.5 for t, mask in masks_of(frames, dog).items())


def test_the_detector_leaves_alone_what_was_pointed_at(demo, truth):
    """A part of the cat was asked for, and stays; the text would have the whole."""
    part = truth[0].mask[CAT].copy()
    part[260:] = False
    run = demo.track(
        PARK,
        prompt="cat",
        prompts={"keyframe": [{"id": 1, "label": "cat", "mask": part}]},
        end=3 / RATE,
        allow_overlap=True,
    )
    assert iou(masks_of(list(run), 1)[0], part) > 0.8


def test_a_new_object_by_hand_takes_the_place_of_one_that_was_found(demo, truth):
    run = demo.track(
        PARK,
        prompt="cat",
        prompts={12: [{"id": 1, "label": "Tom", "box": truth[12].xyxy[CAT].tolist(), "new": True}]},
        end=24 / RATE,
    )
    frames = list(run)
    assert sorted(masks_of(frames, 1)) == list(range(12, 24))
    assert max(masks_of(frames, 2)) < 20 and frames[23].detections.data["class_name"].tolist() == ["Tom"]


def test_a_label_holds_on_all_frames(demo, truth):
    prompts = {
        0: [{"id": 1, "box": truth[0].xyxy[CAT].tolist()}],
        3: [{"id": 1, "label": "Tom", "points": [middle(truth, 3, CAT)]}],
    }
    assert [
        frame.detections.data["class_name"].tolist() for frame in demo.track(PARK, prompts=prompts, end=5 / RATE)
    ] == [["Tom"]] * 5


def test_numbers_of_numpy_are_numbers(demo, truth):
    box = truth[2].xyxy[CAT]
    run = demo.track(PARK, prompts={np.int64(2): [{"id": np.int64(1), "box": box}]}, keyframe=np.int64(2), end=4 / RATE)
    assert [len(frame.detections) for frame in run] == [1, 1, 1, 1]


def test_numbers_of_later_prompts_are_kept_free(demo, truth):
    prompts = {20: [{"id": 1, "label": "cat", "box": truth[20].xyxy[CAT].tolist()}]}
    run = demo.track(PARK, prompt="ball", prompts=prompts, keyframe="first", end=24 / RATE)
    frames = list(run)
    assert run.labels == {2: "ball", 1: "cat"}
    assert sorted(masks_of(frames, 1)) == list(range(20, 24)) and len(masks_of(frames, 2)) == 24


@pytest.mark.parametrize(
    "options, message",
    [
        (
            {"prompts": {2: [{"id": 1, "box": [1, 1, 9, 9]}]}, "keyframe": 4},
            "prompts on frame 2, before the keyframe, 4",
        ),
        (
            {"prompts": {2: [{"id": 1, "box": [1, 1, 9, 9]}]}, "start": 0.5},
            "prompts on frame 2, before the first frame that is read, 12",
        ),
        ({"prompts": {2: [{"id": 1, "box": [1, 1, 9, 9]}, {"id": 1, "points": [[1, 1]]}]}}, "prompted twice"),
        ({"boxes": [[1, 1, 9, 9]], "prompts": {"keyframe": [{"id": 1, "points": [[1, 1]]}]}}, "prompted twice"),
        ({"boxes": [[1, 1, 9, 9]], "prompts": {0: [{"id": 1, "points": [[1, 1]]}]}}, "prompted twice"),
        ({"points": [[700, 1]]}, "outside the picture"),
        ({"masks": [np.ones((4, 4), bool)]}, "give it the picture's size"),
        ({"prompts": {2: [{"id": 1, "mask": "none.png"}]}}, "cannot be read"),
    ],
    ids=str,
)
def test_prompts_that_make_no_sense(demo, options, message):
    with pytest.raises(InputError, match=message):
        list(demo.track(PARK, end=14 / RATE, **options))


def test_prompts_after_the_end_are_reported(demo, truth):
    run = demo.track(PARK, boxes=truth[0].xyxy[[CAT]], prompts={900: [{"id": 1, "points": [[3, 3]]}]}, end=3 / RATE)
    assert len(list(run)) == 3
    assert "no frame 900" in run.warning and "not used" in run.warning


# -- the command -------------------------------------------------------------------------------------------------------


def track(tmp_path, *arguments):
    done = CliRunner().invoke(
        main,
        [
            "track",
            str(PARK),
            *map(str, arguments),
            "--model",
            "demo",
            "--device",
            "cpu",
            "--no-video",
            "--tracks",
            str(tmp_path / "out.jsonl"),
        ],
    )
    return done, list(vidseg.read_tracks(tmp_path / "out.jsonl")) if done.exit_code == 0 else []


def test_command(demo, truth, tmp_path):
    cv2.imwrite(str(tmp_path / "ball.png"), truth[3].mask[BALL].astype(np.uint8))
    box, (x, y) = truth[3].xyxy[CAT], middle(truth, 3, DOG)
    share = f"{100 * box[0] / 640}%,{100 * box[1] / 360}%,{box[2]},{box[3]}@cat"
    done, frames = track(
        tmp_path,
        "--box",
        share,
        "--mask",
        f"{tmp_path / 'ball.png'}@ball",
        "--point",
        f"{x},{y}@3",
        "--point",
        "630,5,-@3",
        "--keyframe",
        3,
        "--end",
        5 / RATE,
    )
    assert done.exit_code == 0, done.stderr
    assert "cat 1 (5 frames), ball 2 (5 frames), object 3 (5 frames)" in done.stdout
    same = list(
        demo.track(
            PARK,
            keyframe=3,
            end=5 / RATE,
            prompts={
                "keyframe": [
                    {"id": 1, "label": "cat", "box": box.tolist()},
                    {"id": 2, "label": "ball", "mask": truth[3].mask[BALL]},
                    {"id": 3, "points": [[x, y], [630, 5]], "point_labels": [1, 0]},
                ]
            },
        )
    )
    for one, other in zip(frames, same, strict=True):
        assert (one.detections.mask == other.detections.mask).all() and list(one.detections.data["class_name"]) == [
            "cat",
            "ball",
            "object",
        ]


def test_command_with_a_prompts_file(demo, truth, tmp_path):
    prompts = [
        {"frame": 0, "id": 1, "label": "dog", "box": truth[0].xyxy[DOG].tolist()},
        {"frame": 3, "id": 2, "mask": encode_mask(truth[3].mask[CAT])},
    ]
    (tmp_path / "p.json").write_text(json.dumps({"format": "vidseg-prompts", "version": 1, "prompts": prompts}))
    done, frames = track(tmp_path, "--prompts", tmp_path / "p.json", "--end", 5 / RATE)
    assert done.exit_code == 0, done.stderr
    dog, cat = masks_of(frames, 1), masks_of(frames, 2)
    assert iou(dog[4], truth[4].mask[DOG]) > 0.6 and iou(cat[4], truth[4].mask[CAT]) > 0.6 and sorted(cat) == [3, 4]


@pytest.mark.parametrize(
    "arguments, code, message",
    [
        ((), 2, "what should be tracked"),
        (("--point", "700,3"), 1, "outside the picture"),
        (("--prompts", "none.json"), 1, "none.json: cannot be read"),
        (("--point", "7"), 2, "is no point"),
        (("--mask", "none.png"), 1, "none.png: cannot be read"),
    ],
    ids=str,
)
def test_command_says_what_is_wrong(tmp_path, arguments, code, message):
    done, _ = track(tmp_path, *arguments)
    assert done.exit_code == code and message in done.stderr and not list(tmp_path.iterdir())
