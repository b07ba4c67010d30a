"""Prompts on one image against the stock `SAM2ImagePredictor`, on the same tensor: logits, IoUs, and the choice."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from sam2.sam2_image_predictor import SAM2ImagePredictor

from tests.support import stock
from tests.support.lively import lively_network, moving_frames
from vidseg.io.images import read_image
from vidseg.prompts.geometry import Box, Points
from vidseg.sam.build import build_sam
from vidseg.sam.prompting import clamp_logits
from vidseg.sam.propagator import MEAN, STD, Propagator

DESK = Path(__file__).parents[2] / "samples/desk.png"
TOLERANCE = 1e-4
CUP = (604, 332, 750, 458)  # on the desk

PROMPTS = {
    "box": Box(CUP),
    "one click": Points(((680, 400),), (1,)),
    "four clicks": Points(((680, 400), (640, 380), (500, 300), (30, 600)), (1, 1, 0, 0)),
    "box and clicks": Box(CUP, Points(((650, 420), (590, 320)), (1, 0))),
}


class Given(torch.nn.Module):
    """Stands in for the reference's resizing and normalising."""

    def __init__(self, pixels: torch.Tensor):
        super().__init__()
        self.pixels = pixels

    def forward(self, image):
        return self.pixels


def stock_image_predictor(network, pixels: torch.Tensor, height: int, width: int) -> SAM2ImagePredictor:
    """The reference, fed with a tensor [1, 3, S, S] instead of a file: only its own resizing is left out."""
    predictor = SAM2ImagePredictor(network)
    size = network.sam_image_embedding_size
    predictor._bb_feat_sizes = [(4 * size,) * 2, (2 * size,) * 2, (size,) * 2]  # written for 1024 pixels there
    for name, stand_in in (("to_tensor", torch.nn.Identity()), ("transforms", Given(pixels[0]))):
        setattr(predictor._transforms, name, stand_in)
    predictor.set_image(np.zeros((height, width, 3), np.uint8))
    return predictor


def ask_stock(predictor, prompt, before=None):
    points = prompt if isinstance(prompt, Points) else prompt.points
    return predictor.predict(
        point_coords=points and np.array(points.xy, np.float32),
        point_labels=points and np.array(points.labels),
        box=np.array(prompt.xyxy, np.float32) if isinstance(prompt, Box) else None,
        mask_input=before,
        multimask_output=isinstance(prompt, Points) and len(prompt.xy) == 1,
    )


FULL_SIZE = pytest.param("full size, random weights", marks=pytest.mark.slow)


@pytest.fixture(scope="module", params=["demo weights", "random weights", FULL_SIZE])
def case(request):
    """Engine, features and the reference for the desk; noise where the weights are random."""
    if request.param == "demo weights":
        network = build_sam(stock.SMALL.parent)
        image = read_image(DESK)
        pixels = (
            torch.from_numpy(cv2.resize(image, (network.image_size,) * 2, interpolation=cv2.INTER_AREA)).permute(
                2, 0, 1
            )[None]
            / 255
        )
        mean, std = torch.tensor([MEAN, STD])[..., None, None]
        pixels = (pixels - mean) / std
    else:
        network = lively_network(stock.FULL if "full" in request.param else stock.SMALL, seed=4)
        pixels = moving_frames(network.image_size, 1)
    engine = Propagator(network)
    with torch.inference_mode():
        predictor = stock_image_predictor(network, pixels, 640, 960)
    return engine, engine.embed_tensor(pixels, 640, 960), predictor


def assert_same(ours, reference) -> None:
    _, ious, logits = reference
    logits = torch.from_numpy(logits)
    assert ours.logits.shape == logits.shape
    assert (clamp_logits(ours.logits) - logits).abs().max() / logits.abs().max() <= TOLERANCE
    assert np.allclose(ours.ious.numpy(), ious, atol=TOLERANCE)
    assert ours.best == int(ious.argmax())
    assert len({float(plane.max()) for plane in logits}) == len(logits), "equal candidates would hide a wrong choice"


@pytest.mark.parametrize("kind", PROMPTS)
def test_prompts_equal_the_stock_image_predictor(case, kind):
    engine, features, predictor = case
    ours, reference = engine.candidates(features, PROMPTS[kind]), ask_stock(predictor, PROMPTS[kind])
    assert_same(ours, reference)
    assert len(ours.ious) == (3 if kind == "one click" else 1)


@pytest.mark.parametrize("kind", ["one click", "four clicks", "box and clicks"])
def test_an_earlier_mask_is_fed_back_as_the_stock_image_predictor_does(case, kind):
    engine, features, predictor = case
    first, reference = engine.candidates(features, PROMPTS["one click"]), ask_stock(predictor, PROMPTS["one click"])
    before = reference[2][reference[1].argmax()]
    ours = engine.candidates(features, PROMPTS[kind], mask_input=first.logits[first.best])
    assert_same(ours, ask_stock(predictor, PROMPTS[kind], before[None]))
    without = engine.candidates(features, PROMPTS[kind])
    assert (ours.logits - without.logits).abs().max() > 100 * TOLERANCE, "the mask was not looked at"


def test_three_candidates_on_demand(case):
    engine, features, predictor = case
    ours = engine.candidates(features, PROMPTS["box"], multimask_output=True)
    _, ious, logits = predictor.predict(box=np.array(CUP, np.float32), multimask_output=True)
    assert len(ours.ious) == 3 and np.allclose(ours.ious.numpy(), ious, atol=TOLERANCE)


def test_nothing_is_remembered(case):
    engine, features, _ = case
    engine.candidates(features, PROMPTS["box"])
    assert not engine.banks
