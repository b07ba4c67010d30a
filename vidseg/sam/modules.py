"""Types for the parts of sam2's modules that the engine reads; torch itself calls every submodule `Tensor | Module`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from torch import Tensor, nn


class AttentionModule(Protocol):
    """`sam2.modeling.sam.transformer.RoPEAttention`."""

    internal_dim: int
    q_proj: nn.Linear
    k_proj: nn.Linear
    v_proj: nn.Linear
    out_proj: nn.Linear


class AttentionLayerModule(Protocol):
    """`sam2.modeling.memory_attention.MemoryAttentionLayer`."""

    self_attn: AttentionModule
    cross_attn_image: AttentionModule
    linear1: nn.Linear
    linear2: nn.Linear
    norm1: nn.LayerNorm
    norm2: nn.LayerNorm
    norm3: nn.LayerNorm
    activation: Callable[[Tensor], Tensor]


def weight_and_bias(layer: nn.Linear | nn.Conv2d) -> tuple[Tensor, Tensor]:
    """The parameters of a layer that has a bias, as all layers of SAM 2 that the engine reads do."""
    assert layer.bias is not None
    return layer.weight.detach(), layer.bias.detach()
