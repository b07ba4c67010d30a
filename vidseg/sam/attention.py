"""SAM 2's memory attention: the same numbers as the `sam2` package's module, with fewer operations.

What makes it cheaper, none of which changes the result beyond rounding:

* The first layer's self-attention sees the frame alone, so it is the same for all objects.
* Values are a linear map of 64-channel memories, V = M·Wvᵀ + bv, and attention weights sum to one. So
  softmax(S)·V·Woᵀ + bo = (softmax(S)·M)·(Wo·Wv)ᵀ + (Wo·bv + bo): the weights are applied to 64 channels instead of
  256, and one small projection follows instead of two.
* The rotary encoding (Su et al. 2021, https://arxiv.org/abs/2104.09864; along two axes) rotates channels in pairs.
  Scores do not change when queries and keys order their channels alike, so the projections put the first of every pair
  into the first half, and the rotation is a few products of whole halves.
* Memories keep the layout in which they are stored, channels first, and so do the keys made of them: that is the layout
  in which a matrix product wants them.
* Plain matrix products over blocks replace fused attention, which gains nothing on a CPU from values that are
  narrower than the keys; the blocks bound the scratch memory. Weights are powers of two, whose exponent the queries
  carry: quicker than powers of e, and the same after the division by their sum. (`vidseg.sam.fused` is for GPUs.)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import torch
import torch.nn.functional as F
from sam2.modeling.position_encoding import compute_axial_cis
from torch import Tensor

from vidseg.sam.modules import AttentionLayerModule, AttentionModule, weight_and_bias

if TYPE_CHECKING:
    from sam2.modeling import memory_attention

LOG2_E = 1 / math.log(2)
SCRATCH = 15 << 20  # numbers: most scores of some queries against all keys that are held at once
KEY_BLOCK = 512  # keys whose scores against all queries are held at once
FFN_BLOCK = 1024  # tokens whose hidden layer is held at once


class MemoryAttention:
    """Runs a `sam2` memory attention module for many objects on one frame.

    Args:
        module: the module, with its weights; it must not change afterwards.
        grid_size: the frame has grid_size × grid_size tokens.
        dtype: of the matrix products, torch.float32 or torch.bfloat16; the stream of tokens is float32.
    """

    def __init__(self, module: memory_attention.MemoryAttention, grid_size: int, dtype: torch.dtype = torch.float32):
        self.norm, self.pos_enc_at_input, self.dtype = module.norm, module.pos_enc_at_input, dtype
        layers = cast("Sequence[AttentionLayerModule]", module.layers)
        width = layers[0].self_attn.internal_dim
        factors = compute_axial_cis(width, end_x=grid_size, end_y=grid_size).to(self.norm.weight.device)
        cos, sin = factors.real.to(dtype), factors.imag.to(dtype)  # [grid_size², C/2]
        self.rope = cos.contiguous(), sin.contiguous()
        # The same for channels first, [C/2, 1, grid_size²].
        self.rope_keys = cos.T[:, None].contiguous(), sin.T[:, None].contiguous()
        self._attend = BlockedAttention()
        self._keys = torch.empty(0)  # of one layer, before and after their rotation; the memory is used again each time
        with torch.inference_mode():
            self.layers = [Layer(layer, width, dtype) for layer in layers]

    def __call__(
        self, frame: Tensor, position: Tensor, memory: Tensor, memory_position: Tensor, pointers: int
    ) -> Tensor:
        """Fuse a frame with the memories of B objects.

        Args:
            frame: [1, h·w, C] features of the frame.
            position: [1, h·w, C] their position encoding.
            memory: [B, 64, M·h·w + P] spatial memories, then tokens of object pointers.
            memory_position: [B, 64, M·h·w + P] encoding of place and time.
            pointers: P; these tokens have no place and are not rotated.

        Returns:
            [B, h·w, C] float32.
        """
        tokens = frame + 0.1 * position if self.pos_enc_at_input else frame
        places, memory = (memory + memory_position).to(self.dtype), memory.to(self.dtype)
        # One object after the other: the keys of several would only leave the processor's cache.
        for number, layer in enumerate(self.layers):
            tokens = tokens + torch.cat(
                [self._self_attn(layer, part) for part in self._normed(tokens, layer.norm1).split(1)]
            )
            if number == 0:
                tokens = tokens.expand(len(memory), -1, -1)  # up to here all objects are the same
            parts = zip(self._normed(tokens, layer.norm2).split(1), memory.split(1), places.split(1))
            tokens = tokens + torch.cat([self._cross_attn(layer, *part, pointers) for part in parts])
            tokens = tokens + torch.cat(
                [layer.feed_forward(part) for part in self._normed(tokens, layer.norm3).split(FFN_BLOCK, 1)], 1
            )
        return self.norm(tokens)

    def _normed(self, tokens: Tensor, norm: torch.nn.LayerNorm) -> Tensor:
        return norm(tokens).to(self.dtype)

    def _self_attn(self, layer: Layer, tokens: Tensor) -> Tensor:
        """Self-attention of the tokens of each object, [B, h·w, C] → [B, h·w, C]."""
        query = apply_rope(F.linear(tokens, *layer.self_attn_query), *self.rope, dim=-1)
        key = project(layer.self_attn_key, tokens.transpose(1, 2))
        key = apply_rope(key[:, :, None], *self.rope_keys, dim=1)[:, :, 0]
        return F.linear(self._attend(query, key, F.linear(tokens, *layer.self_attn_value)), *layer.self_attn_out)

    def _cross_attn(self, layer: Layer, tokens: Tensor, memory: Tensor, places: Tensor, pointers: int) -> Tensor:
        """What the tokens of each object [B, h·w, C] read from its memories [B, 64, K]: [B, h·w, C]."""
        query = apply_rope(F.linear(tokens, *layer.cross_attn_query), *self.rope, dim=-1)
        shape = 2, len(places), query.shape[2], places.shape[2]
        if self._keys.shape != shape:
            self._keys = places.new_empty(shape)
        key, rotated = self._keys
        project(layer.cross_attn_key, places, out=key)
        end = places.shape[2] - pointers
        spatial, into = (x[..., :end].unflatten(2, (-1, tokens.shape[1])) for x in self._keys)
        apply_rope(spatial, *self.rope_keys, dim=1, out=into)
        rotated[..., end:] = key[..., end:]
        return F.linear(self._attend(query, rotated, memory.transpose(1, 2)), *layer.cross_attn_out)


class Layer:
    """Weights of one layer as (weight [out, in], bias [out]), prepared as `MemoryAttention` uses them."""

    def __init__(self, layer: AttentionLayerModule, width: int, dtype: torch.dtype):
        self.norm1, self.norm2, self.norm3, self.activation = layer.norm1, layer.norm2, layer.norm3, layer.activation
        attn, cross = layer.self_attn, layer.cross_attn_image
        # Channels in halves instead of pairs.
        order = torch.arange(width, device=attn.q_proj.weight.device).unflatten(0, (-1, 2)).T.flatten()
        scale = LOG2_E * width**-0.5

        def cast_to_dtype(weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
            return weight.to(dtype), bias.to(dtype)

        def query_of(attention: AttentionModule) -> tuple[Tensor, Tensor]:
            weight, bias = weight_and_bias(attention.q_proj)
            return cast_to_dtype(weight[order] * scale, bias[order] * scale)

        def key_of(attention: AttentionModule) -> tuple[Tensor, Tensor]:
            weight, bias = weight_and_bias(attention.k_proj)
            return cast_to_dtype(weight[order], bias[order])

        self.self_attn_query, self.cross_attn_query = query_of(attn), query_of(cross)
        self.self_attn_key, self.cross_attn_key = key_of(attn), key_of(cross)
        self.self_attn_value = cast_to_dtype(*weight_and_bias(attn.v_proj))
        self.self_attn_out = cast_to_dtype(*weight_and_bias(attn.out_proj))
        value, value_bias = weight_and_bias(cross.v_proj)
        out, out_bias = weight_and_bias(cross.out_proj)
        self.cross_attn_out = cast_to_dtype(out @ value, out @ value_bias + out_bias)
        self.hidden = cast_to_dtype(*weight_and_bias(layer.linear1))
        self.out = cast_to_dtype(*weight_and_bias(layer.linear2))

    def feed_forward(self, tokens: Tensor) -> Tensor:
        """The layer's MLP, [B, N, C] → [B, N, C]."""
        return F.linear(self.activation(F.linear(tokens, *self.hidden)), *self.out)


def project(layer: tuple[Tensor, Tensor], x: Tensor, out: Tensor | None = None) -> Tensor:
    """A linear layer, as (weight [out, in], bias [out]), on channels that come first: [B, in, K] → [B, out, K]."""
    weight, bias = layer
    return torch.bmm(weight.expand(len(x), -1, -1), x, out=out).add_(bias[:, None])


def apply_rope(x: Tensor, cos: Tensor, sin: Tensor, dim: int, out: Tensor | None = None) -> Tensor:
    """Rotary encoding of x, whose channels lie along `dim` in halves.

    Args:
        x: any shape.
        cos: shaped so that it broadcasts to one half of x.
        sin: like `cos`.
        dim: the axis of the channels.
        out: where the result goes, shaped like x; it must not be x itself. None: fresh memory.
    """
    out = torch.empty_like(x) if out is None else out
    (a, b), (into_a, into_b) = x.chunk(2, dim), out.chunk(2, dim)
    torch.mul(a, cos, out=into_a).addcmul_(b, sin, value=-1)
    torch.mul(a, sin, out=into_b).addcmul_(b, cos)
    return out


class BlockedAttention:
    """Attention with weights 2^(Q·K) / Σ 2^(Q·K): the scale and log₂e are in the queries already.

    Scores are held for one block after the other, always in the same memory: to ask the system for fresh memory would
    cost more than the arithmetic.
    """

    def __init__(self):
        self._scratch = torch.empty(0)

    def __call__(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Attention of B objects: query [B, N, C], key [B, C, K] and value [B, K, V], all of one dtype → [B, N, V]."""
        out = query.new_empty(*query.shape[:2], value.shape[2])
        in_blocks = self._in_key_blocks if query.dtype == torch.float32 else self._in_query_blocks
        for one in zip(query, key, value, out):
            if not in_blocks(*one):
                self._shifted(*one)
        return out

    def _in_key_blocks(self, query: Tensor, key: Tensor, value: Tensor, out: Tensor) -> bool:
        """Attention without a shift of the scores; returns whether these were neither huge nor all tiny.

        Without the shift by the maximum of a row, no row has to be seen as a whole: blocks of keys are small enough for
        the processor's cache, and a column of ones beside the values sums the weights on the way. For float32.
        """
        columns = torch.cat([value, value.new_ones(len(value), 1)], 1)
        total = query.new_zeros(len(query), columns.shape[1])
        for keys, values in zip(key.split(KEY_BLOCK, 1), columns.split(KEY_BLOCK)):
            weights = self._block(query, len(values))
            torch.mm(query, keys, out=weights).exp2_()
            torch.addmm(total, weights, values, out=total)
        torch.div(total[:, :-1], total[:, -1:], out=out)
        return in_range(total[:, -1])

    def _in_query_blocks(self, query: Tensor, key: Tensor, value: Tensor, out: Tensor) -> bool:
        """The same for bfloat16, too coarse to add up block after block: all keys at once for some queries."""
        rows, sums = rows_at_once(len(query), len(value)), query.new_empty(len(query), 1)
        for q, o, s in zip(query.split(rows), out.split(rows), sums.split(rows)):
            weights = self._block(q, len(value))
            torch.mm(q, key, out=weights).exp2_()
            torch.sum(weights, 1, keepdim=True, out=s)
            torch.mm(weights, value, out=o)
        out /= sums
        return in_range(sums)

    def _shifted(self, query: Tensor, key: Tensor, value: Tensor, out: Tensor) -> None:
        """Attention with the usual softmax, whatever the scores."""
        rows = rows_at_once(len(query), len(value))
        for q, o in zip(query.split(rows), out.split(rows)):
            weights = torch.softmax(torch.mm(q, key, out=self._block(q, len(value))) / LOG2_E, -1)
            torch.mm(weights, value, out=o)

    def _block(self, query: Tensor, keys: int) -> Tensor:
        """Memory for the scores of some queries against some keys."""
        count = len(query) * keys
        if self._scratch.numel() < count or self._scratch.dtype != query.dtype:
            self._scratch = query.new_empty(count)
        return self._scratch[:count].view(len(query), keys)


def rows_at_once(queries: int, keys: int) -> int:
    """Length of equal blocks of queries whose scores against all keys fit the scratch memory."""
    blocks = max(1, math.ceil(queries * keys / SCRATCH))
    return math.ceil(queries / blocks)


def in_range(sums: Tensor) -> bool:
    """Whether sums of weights are such that none that counts was lost below the smallest float, or infinite."""
    return bool(sums.min() > 1e-20) and bool(sums.max() < 1e30)
