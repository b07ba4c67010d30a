"""SAM 2's memory attention: the same numbers as the `sam2` package's module, with fewer operations.

Three things that the module does not use make it cheaper, none of which changes the result beyond rounding:

* The first layer's self-attention sees the frame alone, so it is the same for all objects.
* Values are a linear map of 64-channel memories, V = M·Wvᵀ + bv, and attention weights sum to one. So
  softmax(S)·V·Woᵀ + bo = (softmax(S)·M)·(Wo·Wv)ᵀ + (Wo·bv + bo): the weights are applied to 64 channels instead of
  256, and one small projection follows instead of two.
* The rotary encoding is a table of cosines and sines that is made once.

On the CPU, plain matrix products over blocks of queries replace fused attention, which gains nothing there from
values that are narrower than the keys; the block bounds the scratch memory.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from sam2.modeling import memory_attention
from sam2.modeling.position_encoding import compute_axial_cis
from torch import Tensor

QUERY_BLOCK = 512  # queries whose scores against all memories are held at once


class MemoryAttention:
    """Runs a `sam2` memory attention module for many objects on one frame.

    Args:
        module: the module, with its weights; it must not change afterwards.
        cells: the frame has cells × cells tokens.
    """

    def __init__(self, module: memory_attention.MemoryAttention, cells: int):
        self.layers, self.norm, self.pos_enc_at_input = module.layers, module.norm, module.pos_enc_at_input
        width = self.layers[0].self_attn.internal_dim
        device = self.norm.weight.device
        factors = compute_axial_cis(width, end_x=cells, end_y=cells).to(device)
        self.rotary = torch.stack([factors.real, factors.imag], -1)  # [cells², C/2, 2]
        self.merged = []
        for layer in self.layers:
            value, out = layer.cross_attn_image.v_proj, layer.cross_attn_image.out_proj
            with torch.inference_mode():
                self.merged.append((out.weight @ value.weight, out.weight @ value.bias + out.bias))

    def __call__(self, frame: Tensor, position: Tensor, memory: Tensor, memory_position: Tensor, pointers: int) -> Tensor:
        """Fuse a frame with the memories of B objects.

        Args:
            frame: [1, h·w, C] features of the frame.
            position: [1, h·w, C] their position encoding.
            memory: [B, M·h·w + P, 64] spatial memories, then tokens of object pointers.
            memory_position: [B, M·h·w + P, 64] encoding of place and time.
            pointers: P; these tokens have no place and are not rotated.

        Returns:
            [B, h·w, C].
        """
        tokens = frame + 0.1 * position if self.pos_enc_at_input else frame
        keys = memory + memory_position
        for number, (layer, merged) in enumerate(zip(self.layers, self.merged)):
            tokens = tokens + self._attend_self(layer.self_attn, layer.norm1(tokens))
            if number == 0:
                tokens = tokens.expand(len(memory), -1, -1)  # up to here all objects are the same
            tokens = tokens + self._attend_memory(layer.cross_attn_image, merged, layer.norm2(tokens), keys, memory, pointers)
            tokens = tokens + layer.linear2(layer.activation(layer.linear1(layer.norm3(tokens))))
        return self.norm(tokens)

    def _attend_self(self, module, tokens: Tensor) -> Tensor:
        query, key = self._rotate(module.q_proj(tokens)), self._rotate(module.k_proj(tokens))
        return module.out_proj(attend(query, key, module.v_proj(tokens)))

    def _attend_memory(self, module, merged, tokens: Tensor, keys: Tensor, memory: Tensor, pointers: int) -> Tensor:
        key = module.k_proj(keys)
        places = key.shape[1] - pointers
        key = torch.cat([self._rotate(key[:, :places]), key[:, places:]], 1)
        return F.linear(attend(self._rotate(module.q_proj(tokens)), key, memory), *merged)

    def _rotate(self, x: Tensor) -> Tensor:
        """Rotary encoding of x [B, R·h·w, C]: channel pairs turn by angles that depend on the place in the frame."""
        cos, sin = self.rotary.unbind(-1)  # [h·w, C/2]
        pairs = x.float().unflatten(1, (-1, len(cos))).unflatten(-1, (-1, 2))
        even, odd = pairs.unbind(-1)
        turned = torch.stack([even * cos - odd * sin, even * sin + odd * cos], -1)
        return turned.flatten(-2).flatten(1, 2).to(x.dtype)


def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """softmax(Q·Kᵀ/√C)·V for one head: query [B, N, C], key [B, K, C], value [B, K, V] → [B, N, V]."""
    value = value.to(query.dtype)
    if query.device.type != "cpu":
        return F.scaled_dot_product_attention(query[:, None], key[:, None], value[:, None])[:, 0]
    query = query * query.shape[-1] ** -0.5
    out = query.new_empty(*query.shape[:2], value.shape[-1])
    # One scratch for all blocks: memory that is asked for anew for each of them costs more than the arithmetic.
    scratch = query.new_empty(2, min(QUERY_BLOCK, query.shape[1]), key.shape[1])
    for q, k, v, o in zip(query, key.transpose(1, 2), value, out):
        for start in range(0, len(q), QUERY_BLOCK):
            block = q[start : start + QUERY_BLOCK]
            scores, weights = scratch[:, : len(block)]
            torch.mm(block, k, out=scores)
            torch.softmax(scores, -1, out=weights)
            torch.mm(weights, v, out=o[start : start + QUERY_BLOCK])
    return out
