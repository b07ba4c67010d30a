"""One image with the demo pair: the desk, on which there are seven things."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import vidseg
from tests.support import stock
from tests.support.standins import last_bias
from vidseg.detection.base import best_score
from vidseg.errors import InputError, ModelError
from vidseg.io.images import read_image
from vidseg.prompts.geometry import Box
from vidseg.prompts.object_prompt import ObjectPrompt
from vidseg.sam.propagator import Propagator

SAMPLES = Path(__file__).parents[2] / "samples"
DESK = SAMPLES / "desk.png"


@pytest.fixture(scope="module")
def demo():
    return vidseg.load("demo", device="cpu")


@pytest.fixture(scope="module")
def desk(demo):
    return demo.embed(DESK)


@pytest.fixture(scope="module")
def things():
    """Label → (mask, box, a point in its middle)."""
    found = next(iter(vidseg.read_tracks(SAMPLES / "desk.truth.jsonl"))).detections
    return {
        str(name): (mask, box.tolist(), np.argwhere(mask).mean(0)[::-1].tolist())
        for name, mask, box in zip(found.data["class_name"], found.mask, found.xyxy)
    }


def iou(a, b):
    return (a & b).sum() / max((a | b).sum(), 1)


def test_text(demo, things):
    frame = demo.segment(DESK, prompt="clock. phone")
    found = frame.detections
    assert (frame.index, frame.time) == (0, 0.0) and frame.image.shape == (640, 960, 3)
    assert sorted(found.data["class_name"]) == ["clock", "phone"] and sorted(found.tracker_id) == [1, 2]
    for name, mask, box in zip(found.data["class_name"], found.mask, found.xyxy):
        assert iou(mask, things[name][0]) > 0.8
        x1, y1, x2, y2 = box.astype(int)
        assert mask[y1:y2, x1:x2].sum() == mask.sum()
    assert 0 < found.confidence.min() <= found.confidence.max() <= 1


def test_text_is_what_tracking_a_clip_of_one_frame_gives(demo):
    alone, clip = (
        demo.segment(DESK, prompt="clock. phone").detections,
        next(iter(demo.track(DESK, prompt="clock. phone"))).detections,
    )
    assert (
        (alone.mask == clip.mask).all()
        and (alone.tracker_id == clip.tracker_id).all()
        and (alone.data["class_name"] == clip.data["class_name"]).all()
    )
    assert np.allclose(alone.confidence, clip.confidence, atol=1e-3)


def test_nothing_found(desk):
    frame = desk.segment("airplane")
    assert len(frame.detections) == 0 and 0 < best_score(frame.detections) < 0.35
    assert frame.detections.mask.shape == (0, 640, 960) and frame.detections.data["mask_logits"].shape == (0, 96, 96)


def test_boxes_and_clicks(desk, things):
    cup, clock = things["cup"], things["clock"]
    frame = desk.segment(boxes=[cup[1], clock[1]])
    assert frame.detections.tracker_id.tolist() == [1, 2] and list(frame.detections.data["class_name"]) == [
        "object",
        "object",
    ]
    assert iou(frame.detections.mask[0], cup[0]) > 0.8 and iou(frame.detections.mask[1], clock[0]) > 0.8
    (mask,) = desk.segment(points=[clock[2]]).detections.mask
    assert iou(mask, clock[0]) > 0.6


def test_several_objects_with_labels_and_text_besides(desk, things):
    prompts = [
        ObjectPrompt(7, Box(tuple(things["cup"][1])), "my cup"),
        {"id": 3, "points": [things["clock"][2]], "box": things["clock"][1]},
    ]
    found = desk.segment("phone", prompts=prompts).detections
    assert dict(zip(found.tracker_id.tolist(), found.data["class_name"].tolist())) == {
        7: "my cup",
        3: "object",
        1: "phone",
    }


def test_text_does_not_find_again_what_was_pointed_at(desk, things):
    found = desk.segment("clock", boxes=[things["clock"][1]]).detections
    assert found.tracker_id.tolist() == [1] and list(found.data["class_name"]) == ["clock"]  # and it gives it its name


def test_a_click_on_what_the_text_finds_refines_it(desk, things):
    alone = desk.segment("cup. clock").detections
    click = {"id": 1, "points": [things["clock"][2], things["phone"][2]], "point_labels": [1, 0]}
    (number,) = alone.tracker_id[alone.data["class_name"] == "clock"]
    assert number != 1  # or this would show little
    refined = desk.segment("cup. clock", prompts=[click]).detections
    assert (refined.tracker_id == alone.tracker_id).all()
    assert (refined.data["class_name"] == alone.data["class_name"]).all()
    assert refined.metadata["corrected"] == {1: number} and alone.metadata["corrected"] == {}
    for found, label, before, after in zip(alone.tracker_id, alone.data["class_name"], alone.mask, refined.mask):
        assert (before == after).all() == (found != number) and iou(after, things[label][0]) > 0.8
    another = desk.segment("cup. clock", prompts=[click | {"new": True}]).detections
    assert another.metadata["corrected"] == {} and another.data["class_name"][0] == "clock"


def test_what_does_not_belong_to_anything(desk):
    with pytest.raises(InputError, match="object 1 has only clicks on what does not belong"):
        desk.segment("clock", prompts=[{"id": 1, "points": [[3, 3]], "point_labels": [0]}])


def test_exact_mask(desk, things):
    mask = things["scissors"][0]
    (found,) = desk.segment(masks=[mask]).detections.mask
    assert iou(found, mask) > 0.8  # it goes through the low resolution of the masks


def test_an_image_is_encoded_once(demo, things, monkeypatch):
    encoded, embed = [], Propagator.embed
    monkeypatch.setattr(Propagator, "embed", lambda self, image: (encoded.append(image), embed(self, image))[1])
    photo = demo.embed(read_image(DESK))
    answers = [photo.segment(points=[thing[2]]).detections for thing in things.values()]
    photo.segment("cup")
    assert len(encoded) == 1
    # And what came before leaves no trace.
    for thing, answer in zip(things.values(), answers):
        assert (photo.segment(points=[thing[2]]).detections.mask == answer.mask).all()


def test_clicks_on_top_of_an_answer_see_its_mask(desk, things):
    first = desk.segment(points=[things["laptop"][2]])
    clicks = {"points": [things["laptop"][2], things["book"][2]], "point_labels": [1, 0]}
    alone, refined = desk.segment(**clicks), desk.segment(**clicks, previous=first)

    def logits(frame):
        return frame.detections.data["mask_logits"][0]

    assert not np.allclose(logits(alone), logits(refined), atol=0.1)
    other = desk.segment(prompts=[{"id": 2, **clicks}], previous=first)  # not the same object
    assert np.allclose(logits(other), logits(alone), atol=1e-4)
    with pytest.raises(InputError, match="no mask logits"):
        desk.segment(**clicks, previous=next(iter(vidseg.read_tracks(SAMPLES / "desk.truth.jsonl"))))


def test_candidates(desk, things):
    click = {"id": 4, "label": "clock", "points": [things["clock"][2]]}
    found = desk.candidates(click).detections
    assert found.tracker_id.tolist() == [4, 4, 4] and found.data["candidate"].tolist() == [1, 2, 3]
    best = found.mask[found.confidence.argmax()]
    assert (desk.segment(prompts=[click]).detections.mask[0] == best).all()
    assert len(desk.candidates(ObjectPrompt(1, Box(tuple(things["cup"][1])))).detections) == 3
    with pytest.raises(InputError, match="given by its mask"):
        desk.candidates({"id": 1, "mask": things["cup"][0]})


def test_what_the_user_points_at_is_not_denied(things):
    """The network may think that nothing is there: its object score is for objects that are carried along."""
    denying = vidseg.load("demo", device="cpu")
    with torch.no_grad():
        last_bias(denying._network.get_submodule("sam_mask_decoder.pred_obj_score_head")).fill_(-50.0)
    tracked = next(iter(denying.track(DESK, boxes=[things["clock"][1]])))
    assert len(tracked.detections) == 0  # or this would show nothing
    found = denying.segment(DESK, boxes=[things["clock"][1]]).detections
    assert len(found) == 1 and iou(found.mask[0], things["clock"][0]) > 0.8


def test_overlap(desk, things):
    boxes = [things["laptop"][1]] * 2
    apart, together = (desk.segment(boxes=boxes, allow_overlap=allowed).detections for allowed in (False, True))
    assert len(together) == 2 and (together.mask[0] & together.mask[1]).any()
    assert apart.mask.sum(0).max() == 1


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({}, "what should be segmented"),
        ({"prompt": " . "}, "names nothing"),
        ({"points": [[961, 5]]}, "outside the picture"),
        ({"boxes": [[1, 2, 3]]}, "boxes must be"),
        ({"prompts": [{"id": 1, "points": [[1, 1]]}, {"id": 1, "points": [[2, 2]]}]}, "prompted twice"),
        ({"boxes": [[1, 1, 9, 9]], "prompts": [{"id": 1, "points": [[1, 1]]}]}, "prompted twice"),
        ({"masks": [np.ones((3, 3))]}, "has 3×3 pixels"),
    ],
    ids=str,
)
def test_bad_prompts(desk, arguments, message):
    with pytest.raises(InputError, match=message):
        desk.segment(**arguments)


@pytest.mark.parametrize(
    "image",
    [np.zeros((4, 5), np.uint8), np.zeros((4, 5, 4), np.uint8), np.zeros((4, 5, 3)), np.zeros((0, 5, 3), np.uint8), 7],
    ids=str,
)
def test_no_image(demo, image):
    with pytest.raises(InputError, match="H×W×3 uint8 RGB"):
        demo.segment(image, points=[[0, 0]])


@pytest.mark.parametrize("scale, warns", [(1, True), (16, True), (257, False)])
def test_a_file_that_uses_a_part_of_its_range(demo, tmp_path, scale, warns):
    image = read_image(DESK)[::4, ::4]
    cv2.imwrite(str(tmp_path / "a.png"), image[..., ::-1].astype(np.uint16) * scale)
    photo = demo.embed(tmp_path / "a.png")
    assert (photo.warning is not None) == warns and demo.embed(image).warning is None
    assert np.abs(photo.image.astype(int) - image).mean() < 8


def test_no_detector():
    alone = vidseg.load(sam=stock.SMALL.parent, device="cpu")
    with pytest.raises(ModelError, match="needs a detector"):
        alone.segment(np.zeros((9, 9, 3), np.uint8), prompt="dog")


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (33, 7)])
def test_strange_sizes(demo, size):
    image = np.full((*size, 3), 90, np.uint8)
    found = demo.segment(image, boxes=[[0, 0, size[1], size[0]]], points=[[size[1] / 2, size[0] / 2]]).detections
    assert found.mask.shape[1:] == size
