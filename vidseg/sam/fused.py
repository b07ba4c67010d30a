"""Memory attention for a GPU, and for `torch.compile`: all objects at once, in fused kernels.

The same weights and the same numbers as `vidseg.sam.attention.MemoryAttention`, which is made for a processor's cache.
A GPU has no use for blocks and stripes, and wants channels last. Nothing here writes into memory that is kept, or reads
a number to decide what to do next, so it can be compiled as a whole and recorded as a CUDA graph.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from vidseg.sam.attention import LOG2_E, Layer, MemoryAttention

# The kernels that may read memories, whose values are 64 wide and keys 256. As torch has it (`sdp_utils.cpp`): flash
# attention wants all widths equal; cuDNN takes keys wider than 128 on Hopper and Blackwell only, from version 9.22 on,
# where torch would prefer it; the memory-efficient kernel takes values of any width that is a multiple of 16 bytes, on
# every GPU and in float32 as well. Plain matrix products are for devices without it, and for the CPU. (Values padded to
# 256 would let flash attention in, for 1.6 times the arithmetic. `scripts/benchmarks/gpu.py kernels` times them all.)
READING = [SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]


class FusedMemoryAttention(MemoryAttention):
    """`MemoryAttention` without blocks; made and called alike."""

    def __call__(
        self, frame: Tensor, position: Tensor, memory: Tensor, memory_position: Tensor, pointers: int
    ) -> Tensor:
        """Fuse a frame with the memories of B objects, as `MemoryAttention` does."""
        tokens = frame + 0.1 * position if self.pos_enc_at_input else frame
        places, memory = (
            x.to(self.dtype).transpose(1, 2).contiguous() for x in (memory + memory_position, memory)
        )  # [B, K, 64]
        for number, layer in enumerate(self.layers):
            tokens = tokens + self._self_attn(layer, self._normed(tokens, layer.norm1))
            if number == 0:
                tokens = tokens.expand(len(memory), -1, -1)  # up to here all objects are the same
            tokens = tokens + self._cross_attn(layer, self._normed(tokens, layer.norm2), memory, places, pointers)
            tokens = tokens + layer.feed_forward(self._normed(tokens, layer.norm3))
        return self.norm(tokens)

    def _self_attn(self, layer: Layer, tokens: Tensor) -> Tensor:
        query = apply_rope(F.linear(tokens, *layer.self_attn_query), *self.rope)
        key = apply_rope(F.linear(tokens, *layer.self_attn_key), *self.rope)
        return F.linear(attention(query, key, F.linear(tokens, *layer.self_attn_value)), *layer.self_attn_out)

    def _cross_attn(self, layer: Layer, tokens: Tensor, memory: Tensor, places: Tensor, pointers: int) -> Tensor:
        """What the tokens of each object [B, h·w, C] read from its memories [B, K, 64]: [B, h·w, C]."""
        query = apply_rope(F.linear(tokens, *layer.cross_attn_query), *self.rope)
        spatial, rest = F.linear(places, *layer.cross_attn_key).split([places.shape[1] - pointers, pointers], 1)
        key = torch.cat([apply_rope(spatial.unflatten(1, (-1, tokens.shape[1])), *self.rope).flatten(1, 2), rest], 1)
        with sdpa_kernel(READING):
            return F.linear(attention(query, key, memory), *layer.cross_attn_out)


def attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attention with weights 2^(Q·K) / Σ 2^(Q·K), as in `BlockedAttention`.

    Args:
        query: [B, N, C].
        key: [B, K, C].
        value: [B, K, V].

    Returns:
        [B, N, V].
    """
    return F.scaled_dot_product_attention(query[:, None], key[:, None], value[:, None], scale=1 / LOG2_E)[:, 0]


def apply_rope(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary encoding of x [..., h·w, C], channels in halves; cos and sin are [h·w, C/2]."""
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], -1)
