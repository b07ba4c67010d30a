"""Memory attention against the `sam2` module that it replaces."""

from __future__ import annotations

import pytest
import torch

from tests.support import stock
from vidseg.sam import attention
from vidseg.sam.attention import KEY_BLOCK, LOG2_E, BlockedAttention, MemoryAttention
from vidseg.sam.build import instantiate_config
from vidseg.sam.fused import FusedMemoryAttention


def inputs(module, grid_size: int, objects: int, memories: int, pointers: int, seed: int = 0):
    """A frame, its position encoding, and memories of some objects, with numbers of the size that real ones have."""
    generator = torch.Generator().manual_seed(seed)
    tokens, width = grid_size * grid_size, module.d_model
    frame, position = (torch.randn(1, tokens, width, generator=generator) for _ in range(2))
    memory, place = (torch.randn(objects, 64, memories * tokens + pointers, generator=generator) for _ in range(2))
    return frame, position, memory, place


def by_module(module, frame, position, memory, place, pointers):
    objects = len(memory)
    return module(
        curr=frame.expand(objects, -1, -1).transpose(0, 1),
        curr_pos=position.expand(objects, -1, -1).transpose(0, 1),
        memory=memory.permute(2, 0, 1),
        memory_pos=place.permute(2, 0, 1),
        num_obj_ptr_tokens=pointers,
    ).transpose(0, 1)


@pytest.fixture(scope="module")
def module():
    torch.manual_seed(1)
    return instantiate_config(stock.SMALL).eval().memory_attention


@pytest.mark.parametrize("kind", [MemoryAttention, FusedMemoryAttention])
@pytest.mark.parametrize("objects, memories, pointers", [(1, 1, 2), (3, 4, 8), (2, 7, 0)])
@torch.inference_mode()
def test_equals_the_module(module, kind, objects, memories, pointers):
    frame, position, memory, place = inputs(module, 16, objects, memories, pointers)
    expected = by_module(module, frame, position, memory, place, pointers)
    ours = kind(module, 16)(frame, position, memory, place, pointers)
    assert (ours - expected).abs().max() / expected.abs().max() < 1e-5
    if objects > 1:
        assert (ours[0] - ours[1]).abs().max() > 0.01, "objects with other memories must come out different"


@torch.inference_mode()
def test_more_tokens_than_a_block(module):
    grid_size = 24
    assert grid_size * grid_size > KEY_BLOCK and grid_size * grid_size % KEY_BLOCK
    frame, position, memory, place = inputs(module, grid_size, 2, 2, 4)
    expected = by_module(module, frame, position, memory, place, 4)
    assert (
        MemoryAttention(module, grid_size)(frame, position, memory, place, 4) - expected
    ).abs().max() / expected.abs().max() < 1e-5


@pytest.mark.parametrize(
    ("kind", "scratch"),
    [
        (MemoryAttention, attention.SCRATCH),
        (MemoryAttention, 200_000),
        (FusedMemoryAttention, attention.SCRATCH),
    ],
    ids=["in one block", "in blocks", "fused"],
)
@torch.inference_mode()
def test_bfloat16_is_no_worse_than_the_module_in_bfloat16(module, monkeypatch, kind, scratch):
    monkeypatch.setattr(attention, "SCRATCH", scratch)
    frame, position, memory, place = inputs(module, 16, 2, 4, 8)
    exact = by_module(module, frame, position, memory, place, 8)
    error = (kind(module, 16, torch.bfloat16)(frame, position, memory, place, 8) - exact).norm()
    with torch.autocast("cpu", torch.bfloat16):
        allowed = (by_module(module, frame, position, memory, place, 8).float() - exact).norm()
    assert error <= 1.5 * allowed


@pytest.mark.parametrize("dtype, tolerance", [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)])
@pytest.mark.parametrize("size", [0.1, 3, 60], ids=["flat", "peaked", "beyond the range of powers"])
def test_attention_in_blocks_is_softmax_attention(size, dtype, tolerance):
    generator = torch.Generator().manual_seed(0)
    query, key, value = (
        torch.randn(2, n, c, generator=generator).to(dtype) for n, c in ((700, 8), (1300, 8), (1300, 3))
    )
    query = query * size
    if dtype == torch.bfloat16 and size == 60:
        query, key = query.sign() * 32, key.sign()  # scores that bfloat16 can tell apart
    scores = query.double() @ key.double().transpose(1, 2)
    assert (scores.max() > 128) == (size == 60)  # 2^128 is infinite
    expected = torch.softmax(scores / LOG2_E, -1) @ value.double()
    ours = BlockedAttention()(query, key.transpose(1, 2), value)
    assert ours.dtype == dtype and (ours.double() - expected).norm() <= tolerance * expected.norm()


def test_attention_with_scores_far_below_zero():
    """All weights of a row would be zero without the shift by its maximum."""
    query, key, value = torch.full((1, 4, 8), -7.0), torch.rand(1, 600, 8) + 3, torch.randn(1, 600, 3)
    key = key.transpose(1, 2)
    assert (query @ key).max() < -150
    assert torch.allclose(
        BlockedAttention()(query, key, value), torch.softmax(query @ key / LOG2_E, -1) @ value, atol=1e-5
    )
