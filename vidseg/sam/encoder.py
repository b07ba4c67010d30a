"""SAM 2's image encoder: the same numbers as `SAM2Base.forward_image`, with less memory traffic.

What makes it cheaper, none of which changes the result beyond rounding:

* The trunk's blocks run in stripes (see `vidseg.sam.hiera`).
* The two finest levels of the neck are a 1×1 convolution each, without anything added from coarser levels, and the mask
  decoder begins with another 1×1 convolution of the result. Two linear maps in a row are one: 96 channels become 32
  at once, and not by way of 256.
* The position embedding of the patches and the position encoding of the tokens depend on the size of the input alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from vidseg.sam.attention import BlockedAttention
from vidseg.sam.compiled import Compiled
from vidseg.sam.hiera import Block, in_dtype
from vidseg.sam.modules import weight_and_bias

if TYPE_CHECKING:
    from sam2.modeling.sam2_base import SAM2Base


class ImageEncoder:
    """Runs the image encoder of a network.

    Args:
        network: with its weights; they must not change afterwards.
        dtype: of the matrix products, torch.float32 or torch.bfloat16.
        fused: whether to run without stripes and blocks, as a GPU and `torch.compile` want it.
    """

    def __init__(self, network: SAM2Base, dtype: torch.dtype = torch.float32, fused: bool = False):
        self.network, self.dtype = network, dtype
        self.standard = has_standard_layout(network)
        if self.standard:
            trunk, convs = network.image_encoder.trunk, [conv.conv for conv in network.image_encoder.neck.convs]
            decoder, patches = network.sam_mask_decoder, trunk.patch_embed.proj
            attend = None if fused else BlockedAttention()
            with torch.inference_mode():
                self.patches = (
                    patches.weight.to(dtype, memory_format=torch.channels_last),
                    patches.bias.to(dtype),
                    patches.stride,
                    patches.padding,
                )
                self.blocks = [Block(block, dtype, attend) for block in trunk.blocks]
                self.coarse = [in_dtype(conv, dtype) for conv in convs[:2]]  # strides 32 and 16
                self.fine = [merged(convs[3], decoder.conv_s0, dtype), merged(convs[2], decoder.conv_s1, dtype)]
        self._run: Callable[..., tuple[Tensor, ...]] = self._encode
        self._embedding: dict[torch.Size, Tensor] = {}
        self._position: dict[torch.Size, Tensor] = {}

    def compile(self) -> None:
        """Let `torch.compile` make the encoder faster; it does so with the first frame."""
        self._run = Compiled(self._encode, self.network.maskmem_tpos_enc.device)

    def __call__(self, pixels: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Encode a frame, [1, 3, S, S] float32.

        Returns:
            features [1, C, S/16, S/16], their position encoding [1, C, S/16, S/16], and the features at stride 4 and 8
            that the mask decoder takes, [1, C/8, S/4, S/4] and [1, C/4, S/8, S/8].
        """
        if not self.standard:
            with torch.autocast(pixels.device.type, torch.bfloat16, enabled=self.dtype == torch.bfloat16):
                out = self.network.forward_image(pixels)
            *high_res, top = out["backbone_fpn"]
            return top, out["vision_pos_enc"][-1], high_res
        top, *high_res = self._run(pixels, self._embedding_of(pixels))
        if top.shape not in self._position:
            self._position = {top.shape: self.network.image_encoder.neck.position_encoding(top)}
        return top, self._position[top.shape], high_res

    def _encode(self, pixels: Tensor, embedding: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """All that depends on the frame: its features at stride 16, 4 and 8, as `__call__` returns them.

        A function of tensors alone, so that it can be compiled; embedding [1, S/4, S/4, C] is added to the patches.
        """
        at4, at8, at16, at32 = (level.to(self.dtype) for level in self._levels(pixels, embedding))
        fine4, fine8 = (F.linear(x, *weights).permute(0, 3, 1, 2) for x, weights in zip((at4, at8), self.fine))
        coarse, lateral = (F.linear(x, *weights).permute(0, 3, 1, 2) for x, weights in zip((at32, at16), self.coarse))
        top = lateral + F.interpolate(coarse.float(), scale_factor=2.0, mode="nearest")
        return top, fine4, fine8

    def _embedding_of(self, pixels: Tensor) -> Tensor:
        """Position embedding of the patches of a frame, [1, S/4, S/4, C]."""
        if pixels.shape not in self._embedding:
            trunk = self.network.image_encoder.trunk
            conv = trunk.patch_embed.proj
            grid = [
                (side + 2 * pad - kernel) // stride + 1
                for side, pad, kernel, stride in zip(pixels.shape[2:], conv.padding, conv.kernel_size, conv.stride)
            ]
            self._embedding = {pixels.shape: trunk._get_pos_embed(grid).contiguous()}
        return self._embedding[pixels.shape]

    def _levels(self, pixels: Tensor, embedding: Tensor) -> list[Tensor]:
        """Outputs of the trunk's four stages, [1, h, w, C] float32 each, finest first."""
        pixels = pixels.to(self.dtype, memory_format=torch.channels_last)
        x = F.conv2d(pixels, *self.patches).permute(0, 2, 3, 1) + embedding
        levels = []
        for number, block in enumerate(self.blocks):
            x = block(x)
            if number in self.network.image_encoder.trunk.stage_ends:
                levels.append(x)
        return levels


def has_standard_layout(network: SAM2Base) -> bool:
    """Whether a network's image encoder has the structure of SAM 2's released ones; a user's own config may differ."""
    encoder = network.image_encoder
    trunk, neck = encoder.trunk, encoder.neck
    return (
        network.use_high_res_features_in_sam
        and encoder.scalp == 1
        and len(neck.convs) == 4
        and neck.fpn_top_down_levels == [2, 3]
        and neck.fuse_type == "sum"
        and neck.fpn_interp_model == "nearest"
        and not trunk.training
        and all(conv.conv.kernel_size == (1, 1) for conv in neck.convs)
        and all(len(block.mlp.layers) == 2 and block.window_size % 2 == 0 for block in trunk.blocks if block.q_stride)
        and all(block.q_stride in (None, (2, 2), [2, 2]) for block in trunk.blocks)
        and network.image_size % 32 == 0
    )


def merged(first: torch.nn.Conv2d, second: torch.nn.Conv2d, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Two 1×1 convolutions in a row as one linear map: weight [out, in] and bias [out]."""
    (a, bias), (b, last_bias) = weight_and_bias(first), weight_and_bias(second)
    a, b = a[..., 0, 0], b[..., 0, 0]
    return (b @ a).to(dtype), (b @ bias + last_bias).to(dtype)
