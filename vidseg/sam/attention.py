"""SAM 2's memory attention: the same numbers as the `sam2` package's module, with fewer operations.

What makes it cheaper, none of which changes the result beyond rounding:

* The first layer's self-attention sees the frame alone, so it is the same for all objects.
* Values are a linear map of 64-channel memories, V = M·Wvᵀ + bv, and attention weights sum to one. So
  softmax(S)·V·Woᵀ + bo = (softmax(S)·M)·(Wo·Wv)ᵀ + (Wo·bv + bo): the weights are applied to 64 channels instead of
  256, and one small projection follows instead of two.
* The rotary encoding (Su et al. 2021, https://arxiv.org/abs/2104.09864; along two axes) turns channels in pairs. Scores
  do not change when queries and keys order their channels alike, so the projections put the first of every pair into
  the first half, and the turning is a few products of whole halves.
* On the CPU, plain matrix products over blocks replace fused attention, which gains nothing there from values that are
  narrower than the keys; the blocks bound the scratch memory.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from sam2.modeling import memory_attention
from sam2.modeling.position_encoding import compute_axial_cis
from torch import Tensor

QUERY_BLOCK = 512  # queries whose scores against all keys are held at once
KEY_BLOCK = 512  # keys whose scores against all queries are held at once
FFN_BLOCK = 1024  # tokens whose hidden layer is held at once


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
        self.cos, self.sin = factors.real.contiguous(), factors.imag.contiguous()  # [cells², C/2]
        with torch.inference_mode():
            self.projections = [
                (in_halves(layer.self_attn, width), in_halves(layer.cross_attn_image, width), merged(layer.cross_attn_image))
                for layer in self.layers]

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
        places = memory + memory_position
        for number, (layer, (own, cross, out)) in enumerate(zip(self.layers, self.projections)):
            now = layer.norm1(tokens)
            read = attend(self._rotate(F.linear(now, *own[0])), self._rotate(F.linear(now, *own[1])), layer.self_attn.v_proj(now))
            tokens = tokens + layer.self_attn.out_proj(read)
            if number == 0:
                tokens = tokens.expand(len(memory), -1, -1)  # up to here all objects are the same
            query = self._rotate(F.linear(layer.norm2(tokens), *cross[0]))
            read = attend(query, self._rotate(F.linear(places, *cross[1]), pointers), memory)
            tokens = tokens + F.linear(read, *out)
            tokens = tokens + torch.cat([
                layer.linear2(layer.activation(layer.linear1(layer.norm3(part)))) for part in tokens.split(FFN_BLOCK, 1)], 1)
        return self.norm(tokens)

    def _rotate(self, x: Tensor, last: int = 0) -> Tensor:
        """Rotary encoding of x [B, R·h·w + last, C] in halves, by angles that depend on the place in the frame.

        The `last` tokens stay as they are.
        """
        turned = torch.empty_like(x, dtype=torch.float32)
        end = x.shape[1] - last
        half = x.shape[-1] // 2
        a, b = (x[:, :end, part].unflatten(1, (-1, len(self.cos))) for part in (slice(half), slice(half, None)))
        into_a, into_b = (turned[:, :end, part].unflatten(1, (-1, len(self.cos))) for part in (slice(half), slice(half, None)))
        torch.mul(a, self.cos, out=into_a).addcmul_(b, self.sin, value=-1)
        torch.mul(a, self.sin, out=into_b).addcmul_(b, self.cos)
        turned[:, end:] = x[:, end:]
        return turned.to(x.dtype)


def in_halves(attention, width: int) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Weight and bias of the query and of the key projection, channels in halves instead of pairs; queries scaled by 1/√C."""
    order = torch.arange(width, device=attention.q_proj.weight.device).unflatten(0, (-1, 2)).T.flatten()
    (q, k) = ((layer.weight[order], layer.bias[order]) for layer in (attention.q_proj, attention.k_proj))
    return (q[0] * width**-0.5, q[1] * width**-0.5), k


def merged(attention) -> tuple[Tensor, Tensor]:
    """Weight and bias of value projection and output projection in one."""
    value, out = attention.v_proj, attention.out_proj
    return out.weight @ value.weight, out.weight @ value.bias + out.bias


def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """softmax(Q·Kᵀ)·V for one head, the scale being in the queries already.

    query [B, N, C], key [B, K, C] (or [1, …], for all alike), value [B, K, V] → [B, N, V].
    """
    value = value.to(query.dtype)
    if query.device.type != "cpu":
        return F.scaled_dot_product_attention(query[:, None], key[:, None], value[:, None], scale=1.0)[:, 0]
    out = query.new_empty(*query.shape[:2], value.shape[-1])
    for q, k, v, o in zip(query, key.transpose(1, 2), value, out):
        if query.dtype != torch.float32 or not attend_unshifted(q, k, v, o):
            attend_shifted(q, k, v, o)
    return out


def attend_unshifted(query: Tensor, key: Tensor, value: Tensor, out: Tensor) -> bool:
    """Attention with plain exponentials, for scores that are neither huge nor all tiny. Says whether they were.

    Without the shift by the maximum of a row, no row has to be seen as a whole: blocks of keys are small enough for the
    processor's cache, and a column of ones beside the values sums the weights on the way.
    """
    columns = torch.cat([value, value.new_ones(len(value), 1)], 1)
    total = query.new_zeros(len(query), columns.shape[1])
    scratch = query.new_empty(len(query) * min(KEY_BLOCK, len(columns)))
    for keys, values in zip(key.split(KEY_BLOCK, 1), columns.split(KEY_BLOCK)):
        weights = scratch[: len(query) * len(values)].view(len(query), -1)
        torch.mm(query, keys, out=weights).exp_()
        torch.addmm(total, weights, values, out=total)
    sums = total[:, -1:]
    torch.div(total[:, :-1], sums, out=out)
    # Beyond these, weights that count could be lost below the smallest float, or infinite.
    return bool(sums.min() > 1e-20) and bool(sums.max() < 1e30)


def attend_shifted(query: Tensor, key: Tensor, value: Tensor, out: Tensor) -> None:
    """Attention with the usual softmax, a block of queries at a time."""
    # One scratch for all blocks: memory that is asked for anew for each of them costs more than the arithmetic.
    scratch = query.new_empty(2, min(QUERY_BLOCK, len(query)), key.shape[1])
    for q, o in zip(query.split(QUERY_BLOCK), out.split(QUERY_BLOCK)):
        scores, weights = scratch[:, : len(q)]
        torch.mm(q, key, out=scores)
        torch.softmax(scores, -1, out=weights)
        torch.mm(weights, value, out=o)
