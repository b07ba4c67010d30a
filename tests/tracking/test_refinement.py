"""Outlines that follow the edges in the picture."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import vidseg
from tests.support.sprites import SAMPLES
from vidseg.io.clip import Clip
from vidseg.presets import PACKAGE, PRESETS
from vidseg.sam.frame import upsample
from vidseg.tracking.options import THRESHOLDS
from vidseg.tracking.refinement import guided_filter, refine_edges

CELLS = 24, 24
SIDE = 10  # pixels of the frame for a cell


def disc(x=120.3, y=117.8, radius=63.0, height=CELLS[0] * SIDE, width=CELLS[1] * SIDE):
    ys, xs = np.mgrid[:height, :width] + 0.5
    return np.hypot(xs - x, ys - y) < radius


def picture_of(mask, inside=(200, 60, 40), outside=(60, 110, 70), noise=3.0):
    image = np.where(mask[..., None], inside, outside) + np.random.default_rng(3).normal(0, noise, (*mask.shape, 3))
    return image.clip(0, 255).astype(np.uint8)


def drawn(mask, cells=CELLS, shift=0.0):
    """Logits of a mask as a coarse network has them, at the size of the frame; shifted to the right by some cells."""
    height, width = mask.shape
    coarse = torch.nn.functional.interpolate(torch.from_numpy(mask).float()[None, None], cells, mode="area")[0, 0]
    large = upsample((coarse - 0.5) * 12, height, width)
    return np.roll(large, round(shift * width / cells[1]), 1)


def refined(large, image, cells):
    sure = refine_edges(large, image, cells)
    assert sure.dtype == np.float32 and sure.min() >= 0 and sure.max() <= 1
    return sure > 0.5


def iou(a, b):
    return (a & b).sum() / (a | b).sum()


@pytest.mark.parametrize("shift", [0.0, 0.7, -0.7])
def test_outline_moves_to_the_edge(shift):
    mask = disc()
    coarse = drawn(mask, shift=shift)
    found = refined(coarse, picture_of(mask), CELLS)
    assert iou(found, mask) > 0.985 > iou(coarse > 0, mask) or shift == 0
    assert iou(found, mask) > iou(coarse > 0, mask)


def test_spokes_between_two_cells_come_out():
    """What is thinner than a cell, and so is a smear in the logits."""
    mask = disc(radius=80) & ~disc(radius=66)
    mask[:, 117:124] |= disc(radius=80)[:, 117:124]
    coarse = drawn(mask)
    assert iou(refined(coarse, picture_of(mask), CELLS), mask) > iou(coarse > 0, mask) + 0.03


@pytest.mark.parametrize("noise", [0.0, 2.0, 10.0])
def test_without_an_edge_the_outline_stays(noise):
    coarse = drawn(disc())
    found = refined(coarse, picture_of(disc(), (90, 90, 90), (90, 90, 90), noise), CELLS)
    assert iou(found, coarse > 0) > 0.99


def test_nothing_changes_far_from_the_outline():
    """An edge that is not of the object: the colors inside are as different as the background's."""
    mask = disc(radius=100)
    image = picture_of(mask)
    image[disc(radius=20)] = 60, 110, 70  # as the background
    assert refined(drawn(mask), image, CELLS)[disc(radius=50)].all()
    image = picture_of(disc(radius=40), noise=0)
    image[5:25, 5:25] = 200, 60, 40  # as the object
    assert not refined(drawn(disc(radius=40)), image, CELLS)[:30, :30].any()


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (7, 5), (24, 24), (360, 640), (101, 77)])
@pytest.mark.parametrize("what", ["nothing", "all", "a corner", "a pixel"])
def test_any_frame_and_any_mask(size, what):
    image = np.random.default_rng(0).integers(0, 255, (*size, 3), np.uint8)
    large = np.full(size, {"all": 5.0}.get(what, -5.0), np.float32)
    if what in ("a corner", "a pixel"):
        large[: 1 if what == "a pixel" else size[0] // 2 + 1, : 1 if what == "a pixel" else size[1] // 2 + 1] = 5
    before = large.copy()
    found = refined(large, image, CELLS)
    assert found.shape == size and found.dtype == bool
    assert np.array_equal(large, before)
    if what in ("nothing", "all"):
        assert found.all() == (what == "all") and found.any() == (what == "all")


def test_a_frame_without_contrast_is_no_division_by_zero():
    with np.errstate(all="raise"):
        for level in (0, 128, 255):
            refined(drawn(disc()), np.full((*disc().shape, 3), level, np.uint8), CELLS)


def test_guided_filter_is_the_filter_of_the_paper():
    """Square by square with NumPy's solver, as equations 19 to 21 have it."""
    rng = np.random.default_rng(1)
    picture, mask = rng.random((33, 41, 3)).astype(np.float32), rng.random((33, 41)).astype(np.float32)
    reach = THRESHOLDS.refine_radius * THRESHOLDS.refine_grid
    wide, wide_mask = (
        np.pad(picture, ((reach,) * 2, (reach,) * 2, (0, 0)), "symmetric"),
        np.pad(mask, reach, "symmetric"),
    )
    a, b = np.empty((33, 41, 3)), np.empty((33, 41))
    for y in range(33):
        for x in range(41):
            colors = wide[y : y + 2 * reach + 1, x : x + 2 * reach + 1].reshape(-1, 3).astype(float)
            values = wide_mask[y : y + 2 * reach + 1, x : x + 2 * reach + 1].ravel().astype(float)
            covariance = np.cov(colors.T, bias=True) + THRESHOLDS.refine_epsilon * np.eye(3)
            a[y, x] = np.linalg.solve(covariance, (colors * values[:, None]).mean(0) - colors.mean(0) * values.mean())
            b[y, x] = values.mean() - a[y, x] @ colors.mean(0)
    factors, offset, trust = guided_filter(picture, mask)
    assert trust.min() >= 0 and trust.max() < 0.5  # noise explains nothing
    for found, expected in ((factors, a), (offset, b)):
        for y in range(reach, 33 - reach):  # where no square of the second mean reaches over the border
            for x in range(reach, 41 - reach):
                around = expected[y - reach : y + reach + 1, x - reach : x + reach + 1]
                assert np.allclose(found[y, x], around.mean((0, 1)), atol=2e-4)


# -- in the model ------------------------------------------------------------------------------------------------------


def test_masks_of_the_park_are_better_for_it(demo):
    truth = next(iter(vidseg.read_tracks(SAMPLES / "park.truth.jsonl"))).detections
    image = next(iter(Clip(SAMPLES / "park.mp4").frames())).image
    assert demo.sharpen  # as the preset has it
    plain = vidseg.load("demo", device="cpu", sharpen=False)
    better, worse = (
        [iou(model.segment(image, boxes=[box]).detections.mask[0], mask) for box, mask in zip(truth.xyxy, truth.mask)]
        for model in (demo, plain)
    )
    assert np.greater(better, worse).all() and np.mean(better) > np.mean(worse) + 0.015


def test_only_the_demo_pair_sharpens_unless_asked(demo):
    assert [name for name, preset in PRESETS.items() if preset.sharpen] == ["demo"]
    folder = PACKAGE / "demo/sam"
    assert not vidseg.load(sam=folder, device="cpu").sharpen
    assert vidseg.load(sam=folder, device="cpu", sharpen=True).sharpen


def test_clips_are_sharpened_as_images_are(demo):
    run = demo.track(SAMPLES / "park.mp4", boxes=[[40, 200, 130, 300]], end=0.01)
    frame = next(iter(run))
    still = demo.segment(frame.image, boxes=[[40, 200, 130, 300]])
    assert len(still.detections) == 1 and np.array_equal(frame.detections.mask, still.detections.mask)
