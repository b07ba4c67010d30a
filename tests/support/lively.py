"""A small network with random weights whose masks move, and frames to run it and the demo network on."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import torch

from tests.support.standins import make_visible
from vidseg.io.clip import Clip
from vidseg.sam.build import instantiate_config
from vidseg.sam.propagator import MEAN, STD


def lively_network(config, seed: int):
    """Random weights, turned up so that masks are neither empty nor full and memory matters."""
    torch.manual_seed(seed)
    network = instantiate_config(config).eval()
    with torch.no_grad():
        for name, value in network.named_parameters():
            if "memory_attention" in name and name.endswith("weight") and value.ndim == 2:
                value.mul_(2.0)
    make_visible(network)
    return network


def moving_frames(side: int, count: int = 24, seed: int = 0) -> torch.Tensor:
    """Normalised frames [T, 3, S, S]: blurred noise that drifts, so that neighbours are alike."""
    generator = torch.Generator().manual_seed(seed)
    canvas = torch.randn(1, 3, side // 8 + 8, side // 8 + 8, generator=generator)
    big = torch.nn.functional.interpolate(canvas, (side + 2 * count, side + 2 * count), mode="bicubic")[0]
    return torch.stack([big[:, t : t + side, 2 * t : 2 * t + side] for t in range(count)])


def park_frames(side: int, count: int = 24) -> torch.Tensor:
    """The first frames of the park sample, squeezed and normalised, [T, 3, S, S]."""
    frames = islice(Clip(Path(__file__).parents[2] / "samples/park.mp4").frames(), count)
    pixels = torch.stack([torch.from_numpy(frame.image).permute(2, 0, 1) for frame in frames]).float() / 255
    mean, std = torch.tensor([MEAN, STD])[..., None, None]
    return (torch.nn.functional.interpolate(pixels, (side, side), mode="bicubic", antialias=True) - mean) / std
