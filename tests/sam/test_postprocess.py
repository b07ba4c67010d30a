"""Holes: both ways to find them."""

from __future__ import annotations

import pytest
import torch

from vidseg.sam.postprocess import fill_holes, small_components


@pytest.mark.parametrize("share", [0.02, 0.2, 0.35, 0.5, 0.97, 0.0, 1.0])
def test_small_components_are_those_of_opencv(share):
    """Noise of all densities: single pixels, long and winding pieces, and everything in between."""
    generator = torch.Generator().manual_seed(int(share * 100))
    logits = 1 - 2 * (torch.rand(3, 1, 96, 70, generator=generator) < share).float()
    filled = fill_holes(logits)
    assert torch.equal(logits.masked_fill(small_components(logits <= 0), 0.1), filled)
    if share == 0.2:
        assert 0 < (filled != logits).sum() < (logits <= 0).sum()


def test_pieces_of_eight_pixels_are_small_and_those_of_nine_are_not():
    for length, diagonal in ((8, False), (9, False), (8, True), (9, True)):
        inside = torch.zeros(1, 1, 20, 20, dtype=torch.bool)
        for i in range(length):
            inside[0, 0, 5 + i if diagonal else 5, 3 + i] = True
        assert torch.equal(small_components(inside), inside & (length == 8))
