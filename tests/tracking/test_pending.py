"""Pending frames: what is noted on them, and what users get in the end."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from vidseg.io.clip import Frame
from vidseg.sam.frame import FrameMasks
from vidseg.tracking.options import TrackOptions
from vidseg.tracking.pending import MaskEstimate, PendingFrame
from vidseg.tracking.registry import Identity

SIDE = 24  # cells of the low-resolution logits
SIZES = [(24, 24), (96, 96), (37, 53), (360, 640), (101, 7), (19, 23)]  # heights and widths of frames


def a_frame(height=48, width=64, index=7):
    image = np.random.default_rng(index).integers(0, 255, (height, width, 3), np.uint8)
    return Frame(index, index / 24, index, image)


def blob(y, x, radius, peak=6.0):
    """[SIDE, SIDE] logits: a cone, positive closer than `radius` cells to (y, x)."""
    rows, columns = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    return peak * (1 - ((rows - y) ** 2 + (columns - x) ** 2).sqrt() / radius)


def said(logits: dict, visible=(), ious=0.8, score=2.0):
    """What the network says about objects; those in `visible` (default: all) have a positive score."""
    ids = list(logits)
    scores = torch.tensor([score if i in (visible or ids) else -score for i in ids])
    return FrameMasks(
        ids, torch.stack(list(logits.values())).float(), torch.full((len(ids),), ious), scores, torch.zeros(len(ids), 4)
    )


def waiting(logits: dict, height=48, width=64):
    frame = PendingFrame(a_frame(height, width))
    frame.add(said(logits))
    return frame


def resized(logits, height, width):
    return F.interpolate(logits.half().float()[None, None], (height, width), mode="bilinear", align_corners=False)[
        0, 0
    ].numpy()


THREE = {5: blob(7, 7, 6), 2: blob(9, 15, 6, peak=9), 9: blob(16, 10, 7, peak=3)}  # each touches both others
IDENTITIES = {2: Identity(3, "dog"), 5: Identity(1, "cat"), 9: Identity(2, "ball")}


def finalized(frame, identities, allow_overlap=False):
    return frame.finalize(identities, TrackOptions(allow_overlap=allow_overlap)).detections


def rescored(frame, scores):
    """Give the objects of a frame other scores."""
    for i, score in scores.items():
        frame.set(i, MaskEstimate(frame.estimates[i].logits, score))


# -- what is noted ---------------------------------------------------------------------------------------------------


def test_add_notes_masks_and_confidence():
    frame = waiting(THREE)
    assert set(frame.estimates) == {2, 5, 9}
    for i, logits in THREE.items():
        assert torch.equal(frame.estimates[i].mask, logits > 0)
        assert frame.estimates[i].score == pytest.approx(0.8 / (1 + np.exp(-2.0)))


def test_add_nothing():
    frame = PendingFrame(a_frame())
    frame.add(None)
    assert frame.estimates == {}


def test_what_is_not_visible_is_left_out():
    frame = PendingFrame(a_frame())
    frame.add(said(THREE | {4: torch.full((SIDE, SIDE), -1024.0)}, visible=(2, 4)))  # 4: seen, but without a pixel
    assert set(frame.estimates) == {2}


def test_add_again_replaces_what_was_said_before():
    """An object that is corrected on this frame: moved, or found to be hidden after all."""
    frame = waiting(THREE)
    frame.add(said({2: blob(3, 3, 3), 5: THREE[5]}, visible=(2,)))
    assert set(frame.estimates) == {2, 9}
    assert torch.equal(frame.estimates[2].mask, blob(3, 3, 3) > 0)


def test_drop_and_swap():
    frame = waiting(THREE)
    frame.drop(5)
    frame.drop(5)  # not there any more: nothing happens
    frame.swap(2, 9)
    assert set(frame.estimates) == {2, 9} and torch.equal(frame.estimates[9].mask, THREE[2] > 0)
    frame.swap(2, 5)  # 5 has none, and so has 2 then
    assert set(frame.estimates) == {5, 9} and torch.equal(frame.estimates[5].mask, THREE[9] > 0)


# -- boxes -----------------------------------------------------------------------------------------------------------


def test_boxes_in_pixels():
    logits = torch.full((SIDE, SIDE), -5.0)
    logits[4:7, 10] = logits[6, 10:15] = 5
    ids, boxes = waiting({8: logits}, height=48, width=240).boxes()
    assert ids == [8] and boxes.dtype == np.float32
    assert boxes.tolist() == [[100, 8, 150, 14]]  # cells of 10×2 pixels


def test_boxes_of_a_full_and_of_no_mask():
    assert waiting({1: torch.ones(SIDE, SIDE)}, 37, 53).boxes()[1] == pytest.approx(np.array([[0, 0, 53, 37]]))
    ids, boxes = PendingFrame(a_frame()).boxes()
    assert ids == [] and boxes.shape == (0, 4)


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_boxes_agree_with_the_masks_to_one_cell(height, width):
    frame = waiting(THREE, height, width)
    ids, boxes = frame.boxes()
    found = finalized(frame, {i: Identity(n, "it") for n, i in enumerate(ids)}, allow_overlap=True)
    assert len(found) == 3
    cell = np.array([width, height, width, height]) / SIDE
    assert (np.abs(found.xyxy - boxes) <= np.ceil(cell)).all()


# -- the final frame ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_a_contested_pixel_goes_to_the_highest_logit(height, width):
    frame = waiting(THREE, height, width)
    found = finalized(frame, IDENTITIES)
    drawn = np.stack([resized(THREE[i], height, width) for i in (5, 9, 2)])  # in order of ids
    assert ((drawn > 0).sum(0) > 1).any()  # or there would be nothing to contest
    assert found.mask.shape == (3, height, width) and found.mask.dtype == bool
    assert found.mask.sum(0).max() == 1
    assert np.array_equal(found.mask.any(0), (drawn > 0).any(0))  # no pixel is lost over it
    owner = found.mask.argmax(0)
    owned = found.mask.any(0)
    assert np.array_equal(owner[owned], drawn.argmax(0)[owned])


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_masks_as_drawn_if_they_may_overlap(height, width):
    found = finalized(waiting(THREE, height, width), IDENTITIES, allow_overlap=True)
    assert np.array_equal(found.mask, np.stack([resized(THREE[i], height, width) > 0 for i in (5, 9, 2)]))
    assert found.mask.sum(0).max() > 1


@pytest.mark.parametrize("allow_overlap", [False, True])
def test_fields_of_a_final_frame(allow_overlap):
    frame = waiting(THREE)
    rescored(frame, {2: 0.65, 5: 0.7, 9: 0.75})
    done = frame.finalize(IDENTITIES, TrackOptions(allow_overlap=allow_overlap))
    assert (done.index, done.time) == (7, 7 / 24) and done.image is frame.frame.image
    found = done.detections
    assert found.tracker_id.tolist() == [1, 2, 3]
    assert list(found.data["class_name"]) == ["cat", "ball", "dog"]
    assert found.confidence.tolist() == pytest.approx([0.7, 0.75, 0.65]) and found.confidence.dtype == np.float32
    for box, mask in zip(found.xyxy, found.mask):
        ys, xs = np.nonzero(mask)
        assert box.tolist() == [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]


@pytest.mark.parametrize("allow_overlap", [False, True])
def test_tracks_without_an_id_are_left_out_and_take_no_pixels(allow_overlap):
    alone = finalized(waiting({5: THREE[5]}), {5: Identity(1, "cat")}, allow_overlap)
    found = finalized(waiting(THREE), {5: Identity(1, "cat")}, allow_overlap)
    assert found.tracker_id.tolist() == [1]
    assert np.array_equal(found.mask, alone.mask)


def test_object_that_others_cover_is_left_out():
    under = {1: blob(8, 8, 3, peak=1), 2: blob(8, 8, 6, peak=9)}
    frame, identities = waiting(under), {1: Identity(1, "cat"), 2: Identity(2, "dog")}
    assert finalized(frame, identities).tracker_id.tolist() == [2]
    assert finalized(frame, identities, allow_overlap=True).tracker_id.tolist() == [1, 2]


def test_confidence_weighs_a_logit():
    drawn = {1: blob(10, 7, 6, peak=6), 2: blob(10, 13, 6, peak=12)}
    frame = waiting(drawn)
    both = np.logical_and(*(resized(logits, 48, 64) > 0 for logits in drawn.values()))
    for scores, user_prompted, winner in (
        ((0.8, 0.8), (), 1),
        ((0.8, 0.2), (), 0),
        ((0.8, 0.2), (2,), 1),
        ((0.8, 0.2), (1, 2), 1),
    ):
        rescored(frame, dict(zip((1, 2), scores)))
        masks = finalized(frame, {i: Identity(i, "it", user_prompted=i in user_prompted) for i in (1, 2)}).mask
        assert (masks[winner] & both).sum() > 0.6 * both.sum()
        assert not (masks[0] & masks[1]).any()


def test_of_two_that_are_nearly_certain_the_higher_logit_wins():
    """Probabilities of 1 − 10⁻⁸ and 1 − 10⁻¹²."""
    drawn = {1: torch.where(blob(10, 8, 6) > 0, 18.0, -9.0), 2: torch.where(blob(10, 14, 6) > 0, 28.0, -9.0)}
    masks = finalized(waiting(drawn), {1: Identity(1, "dog"), 2: Identity(2, "cat")}).mask
    alone = finalized(waiting({2: drawn[2]}), {2: Identity(2, "cat")}).mask[0]
    assert (masks[1] & alone).sum() > 0.85 * alone.sum()  # all but where its edge is fainter than the other's inside


def test_of_two_alike_on_the_same_pixels_one_stays():
    twins = {1: blob(10, 10, 6), 2: blob(10, 10, 6)}
    found = finalized(waiting(twins), {1: Identity(1, "a"), 2: Identity(2, "a")})
    assert found.tracker_id.tolist() == [1] and np.array_equal(found.mask[0], resized(twins[1], 48, 64) > 0)


@pytest.mark.parametrize("allow_overlap", [False, True])
def test_frame_without_objects(allow_overlap):
    for frame in (PendingFrame(a_frame(37, 53)), waiting(THREE, 37, 53)):
        found = finalized(frame, {}, allow_overlap)
        assert len(found) == 0 and found.mask.shape == (0, 37, 53) and found.mask.dtype == bool
        assert (
            found.xyxy.shape == (0, 4)
            and len(found.tracker_id) == len(found.confidence) == len(found.data["class_name"]) == 0
        )


def test_finalizing_changes_nothing():
    """A frame may be looked at again: the boxes come after, and the logits stay as they were."""
    frame = waiting(THREE)
    before = {i: estimate.logits.clone() for i, estimate in frame.estimates.items()}
    first = finalized(frame, IDENTITIES)
    again = finalized(frame, IDENTITIES)
    assert np.array_equal(first.mask, again.mask)
    assert all(torch.equal(frame.estimates[i].logits, before[i]) for i in before)
