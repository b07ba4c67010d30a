"""A block of Hiera (Ryali et al. 2023, https://arxiv.org/abs/2306.00989), the trunk of SAM 2's image encoder.

The same numbers as `sam2.modeling.backbones.hieradet.MultiScaleBlock`, with less memory traffic: a block with windowed
attention looks at nothing outside a window, so on a CPU it runs on some rows of windows after the other, and what it
holds in between stays in the processor's cache instead of being written to fresh memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
import torch.nn.functional as F
from sam2.modeling.backbones.utils import window_partition, window_unpartition
from torch import Tensor, nn

from vidseg.sam.attention import LOG2_E, BlockedAttention
from vidseg.sam.modules import weight_and_bias

if TYPE_CHECKING:
    from sam2.modeling.backbones.hieradet import MultiScaleBlock

STRIPE_BYTES = 8 << 20  # bytes that the widest layer of a block may take up at once on a CPU


class Block:
    """Runs one block, with its matrices in a dtype of their own; the stream of tokens between blocks is float32.

    Args:
        block: of the `sam2` package, with its weights; they must not change afterwards.
        dtype: of the matrix products, torch.float32 or torch.bfloat16.
        attend: for blocks with global attention, one instance for all blocks. None to take all rows at once and torch's
            fused attention: on a GPU, which has no cache to stay in, and for `torch.compile`.
    """

    def __init__(self, block: MultiScaleBlock, dtype: torch.dtype, attend: BlockedAttention | None):
        self.block, self.dtype, self._attend = block, dtype, attend
        self.heads = block.attn.num_heads
        hidden, out = cast("tuple[nn.Linear, nn.Linear]", block.mlp.layers)
        self.qkv, self.proj, self.hidden, self.out = (
            in_dtype(layer, dtype) for layer in (block.attn.qkv, block.attn.proj, hidden, out)
        )
        self.shortcut = in_dtype(cast("nn.Linear", block.proj), dtype) if block.dim != block.dim_out else None

    def __call__(self, x: Tensor) -> Tensor:
        """[1, h, w, C] float32 → the same, or [1, h/2, w/2, 2C] for a block that pools."""
        if self._attend is None:
            return self._feed_forward(self._attention(x))
        rows = self._rows(x)
        if self.block.window_size:
            return torch.cat([self._feed_forward(self._attention(stripe)) for stripe in x.split(rows, 1)], 1)
        return torch.cat([self._feed_forward(stripe) for stripe in self._attention(x).split(rows, 1)], 1)

    def _rows(self, x: Tensor) -> int:
        """How many rows of x to take at once: whole windows."""
        step = self.block.window_size or 1
        # Bytes of a row. A block that pools needs a quarter of it, which is not worth another case.
        hidden = x.shape[2] * len(self.hidden[0]) * self.dtype.itemsize
        return max(1, STRIPE_BYTES // hidden // step) * step

    def _attention(self, x: Tensor) -> Tensor:
        """Attention with its shortcut; x must be cut between windows."""
        block, window, stride = self.block, self.block.window_size, 1
        tokens = F.layer_norm(
            x, block.norm1.normalized_shape, block.norm1.weight, block.norm1.bias, block.norm1.eps
        ).to(self.dtype)
        shortcut = x if self.shortcut is None else F.linear(tokens, *self.shortcut)
        size = tokens.shape[1:3]
        if window:
            tokens, padded = window_partition(tokens, window)
            tokens = tokens.contiguous()  # a single row of windows is a view, for which a linear layer is slow
        qkv = F.linear(tokens, *self.qkv).unflatten(-1, (3, self.heads, -1))
        query, key, value = qkv.unbind(3)  # [windows, h, w, heads, C/heads] each
        if block.q_stride:
            stride = 2
            query, shortcut = pooled(query), pooled(shortcut)
            size = shortcut.shape[1:3]
            padded = [-(-side * stride // window) * window // stride for side in size] if window else size
        read = self._read(query, key, value)
        read = F.linear(read.reshape(*query.shape[:3], -1), *self.proj)
        if window:
            read = window_unpartition(read, window // stride, padded, size)
        return shortcut + read.float()

    def _read(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Attention in each window, [windows, h, w, heads, d] → [windows, h·w, heads, d]."""
        query, key, value = (x.flatten(1, 2).transpose(1, 2) for x in (query, key, value))
        # For many keys, plain matrix products are at least as fast as fused attention in bfloat16, and several times as
        # fast on some processors. In float32 the two take the same time, and fused attention rounds less.
        if self.dtype == torch.float32 or self.block.window_size or self._attend is None:
            return F.scaled_dot_product_attention(query, key, value).transpose(1, 2)
        scaled = query * (LOG2_E * query.shape[-1] ** -0.5)
        return self._attend(scaled[0], key[0].transpose(1, 2), value[0]).transpose(0, 1)[None]

    def _feed_forward(self, x: Tensor) -> Tensor:
        norm = self.block.norm2
        tokens = F.layer_norm(x, norm.normalized_shape, norm.weight, norm.bias, norm.eps).to(self.dtype)
        return x + F.linear(self.block.mlp.act(F.linear(tokens, *self.hidden)), *self.out)


def in_dtype(layer: nn.Linear | nn.Conv2d, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Weight [out, in] and bias [out] of a linear layer or of a 1×1 convolution, for `F.linear`."""
    weight, bias = weight_and_bias(layer)
    return weight.flatten(1).to(dtype), bias.to(dtype)


def pooled(x: Tensor) -> Tensor:
    """Largest of each 2×2 places of x [n, h, w, …], h and w even."""
    x = torch.maximum(x[:, ::2], x[:, 1::2])
    return torch.maximum(x[:, :, ::2], x[:, :, 1::2])
