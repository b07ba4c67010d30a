"""What runs on a GPU, and through `torch.compile`, here on the CPU: the same numbers as with blocks and stripes."""

from __future__ import annotations

import pytest
import torch

from tests.sam.test_encoder import assert_close, by_network
from tests.support import stock
from tests.support.lively import lively_network, park_frames
from vidseg.prompts.geometry import Box
from vidseg.sam.attention import LOG2_E, BlockedAttention
from vidseg.sam.build import build_sam, instantiate_config
from vidseg.sam.encoder import ImageEncoder
from vidseg.sam.fused import attention
from vidseg.sam.propagator import Propagator
from vidseg.sam.step import Step


def test_attention_equals_that_in_blocks():
    generator = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(2, n, c, generator=generator) for n, c in ((300, 32), (700, 32), (700, 8)))
    expected = torch.softmax(query.double() @ key.double().transpose(1, 2) / LOG2_E, -1) @ value.double()
    for ours in (attention(query, key, value), BlockedAttention()(query, key.transpose(1, 2), value)):
        assert ours.shape == (2, 300, 8) and (ours - expected).norm() < 1e-5 * expected.norm()


FULL_SIZE = pytest.param(stock.FULL, id="full size", marks=pytest.mark.slow)


@pytest.mark.parametrize("config", [FULL_SIZE, pytest.param(stock.SMALL, id="demo")])
@torch.inference_mode()
def test_image_encoder_equals_the_network(config):
    torch.manual_seed(0)
    network = instantiate_config(config).eval()
    pixels = torch.randn(1, 3, network.image_size, network.image_size)
    top, position, high_res = ImageEncoder(network, fused=True)(pixels)
    assert_close([top, position, *high_res], by_network(network, pixels), 1e-5)


@pytest.mark.parametrize("weights", ["random", "demo"])
def test_engine_gives_the_same_masks(weights):
    """Three objects of which one starts late, to the end of a clip in which all banks become full."""
    network = lively_network(stock.SMALL, seed=4) if weights == "random" else build_sam(stock.SMALL.parent)
    frames = park_frames(network.image_size, 12)
    usual, fused = Propagator(network), Propagator(network)
    fused._encoder, fused._step = ImageEncoder(network, fused=True), Step(network, torch.float32, fused=True)
    for t in range(len(frames)):
        results = []
        for engine in (usual, fused):
            features = engine.embed_tensor(frames[t : t + 1], 360, 640)
            new = {
                0: {1: Box((60, 150, 160, 250)), 2: Box((250, 100, 400, 300))},
                3: {3: Box((400, 50, 500, 200))},
            }.get(t)
            results.append(
                [part for part in (engine.step(features, t), new and engine.prompt(features, t, new)) if part]
            )
        for expected, ours in zip(*results):
            assert ours.ids == expected.ids
            for name in ("logits", "object_scores", "pointers"):
                a, b = getattr(ours, name), getattr(expected, name)
                assert (a - b).abs().max() <= 1e-4 * b.abs().max().clamp(min=1), (t, name)
