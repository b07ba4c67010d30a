"""The image encoder against `SAM2Base.forward_image`."""

from __future__ import annotations

import pytest
import torch
from omegaconf import OmegaConf

from tests.support import stock
from vidseg.sam import hiera
from vidseg.sam.build import instantiate_config
from vidseg.sam.encoder import ImageEncoder


def by_network(network, pixels):
    out = network.forward_image(pixels)
    return [out["backbone_fpn"][2], out["vision_pos_enc"][2], *out["backbone_fpn"][:2]]


def by_us(network, pixels, dtype=torch.float32):
    top, position, high_res = ImageEncoder(network, dtype)(pixels)
    return [top, position, *high_res]


def assert_close(ours, expected, tolerance):
    assert [x.shape for x in ours] == [x.shape for x in expected]
    for mine, theirs in zip(ours, expected):
        assert (mine.float() - theirs.float()).abs().max() / theirs.float().abs().max() < tolerance


# Hiera tiny has windows that do not divide the frame (14 in 32, as in the 64 of its own size, which takes four times as
# long); the demo's fit in one stripe unless stripes are thin.
@pytest.mark.parametrize(
    "config, side, stripe",
    [(stock.FULL, 512, 8 << 20), (stock.SMALL, 384, 8 << 20), (stock.SMALL, 384, 1), (stock.SMALL, 384, 100_000)],
    ids=["Hiera tiny", "demo, whole", "demo, a window high", "demo, some windows high"],
)
@torch.inference_mode()
def test_equals_the_network(config, side, stripe, monkeypatch):
    monkeypatch.setattr(hiera, "STRIPE_BYTES", stripe)
    torch.manual_seed(0)
    network = instantiate_config(config).eval()
    pixels = torch.randn(1, 3, side, side)
    assert ImageEncoder(network).standard
    assert_close(by_us(network, pixels), by_network(network, pixels), 1e-5)


@pytest.mark.parametrize(
    "option, value", [("fpn_top_down_levels", None), ("fuse_type", "avg"), ("fpn_interp_model", "bilinear")]
)
@torch.inference_mode()
def test_networks_with_another_layout_run_too(tmp_path, option, value):
    config = OmegaConf.load(stock.SMALL)
    config.model.image_encoder.neck[option] = value
    OmegaConf.save(config, tmp_path / "config.yaml")
    network = instantiate_config(tmp_path / "config.yaml").eval()
    pixels = torch.randn(1, 3, network.image_size, network.image_size)
    assert_close(by_us(network, pixels), by_network(network, pixels), 1e-5)


@torch.inference_mode()
def test_encoder_is_reused_for_another_size():
    """What is kept of the last size must not leak into the next."""
    network = instantiate_config(stock.SMALL).eval()
    ours = ImageEncoder(network)
    for side in (320, 256, 320):
        pixels = torch.randn(1, 3, side, side)
        top, position, high_res = ours(pixels)
        assert_close([top, position, *high_res], by_network(network, pixels), 1e-5)


@torch.inference_mode()
def test_bfloat16_is_no_worse_than_the_network_in_bfloat16():
    network = instantiate_config(stock.SMALL).eval()
    pixels = torch.randn(1, 3, network.image_size, network.image_size)
    exact = by_network(network, pixels)
    ours = by_us(network, pixels, torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        theirs = by_network(network, pixels)
    for mine, usual, true in zip(ours, theirs, exact):
        assert (mine.float() - true).norm() <= 1.5 * (usual.float() - true).norm()
