"""SAM 2's image encoder: the same numbers as `SAM2Base.forward_image`, with less memory traffic.

The network spends much of its time on large tensors that are written once and read once. What makes it cheaper, none of
which changes the result beyond rounding:

* A block of Hiera with windowed attention looks at nothing outside a window. So it can run on one row of windows after
  the other, and what it holds in between stays in the processor's cache. (On a GPU it runs on the whole frame.)
* The two finest levels of the neck are a 1×1 convolution each, without anything added from coarser levels, and the mask
  decoder begins with another 1×1 convolution of the result. Two linear maps in a row are one: 96 channels become 32
  at once, and not by way of 256.
* The position embedding of the patches and the position encoding of the tokens depend on the size of the input alone.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from vidseg.sam.attention import attend

if TYPE_CHECKING:
    from sam2.modeling.sam2_base import SAM2Base

STRIPE_BYTES = 8 << 20  # what the widest layer of a block may take up at once on a CPU


class ImageEncoder:
    """Runs the image encoder of a network.

    Args:
        network: with its weights; they must not change afterwards.
    """

    def __init__(self, network: SAM2Base):
        self.network = network
        self.trunk, self.neck = network.image_encoder.trunk, network.image_encoder.neck
        decoder = network.sam_mask_decoder
        # Is it put together as all of SAM 2's released networks are? With a config of one's own, it may not be.
        self.usual = (
            network.use_high_res_features_in_sam and network.image_encoder.scalp == 1 and len(self.neck.convs) == 4
            and self.neck.fpn_top_down_levels == [2, 3] and self.neck.fuse_type == "sum" and self.neck.fpn_interp_model == "nearest"
            and not self.trunk.training and all(conv.conv.kernel_size == (1, 1) for conv in self.neck.convs))
        if self.usual:
            with torch.inference_mode():
                self.fine = [merged(self.neck.convs[3].conv, decoder.conv_s0), merged(self.neck.convs[2].conv, decoder.conv_s1)]
        self._embedding: dict[torch.Size, Tensor] = {}
        self._position: dict[torch.Size, Tensor] = {}

    def __call__(self, pixels: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Encode a frame, [1, 3, S, S].

        Returns:
            features [1, C, S/16, S/16], their position encoding [1, C, S/16, S/16], and the features at stride 4 and 8
            that the mask decoder takes, [1, C/8, S/4, S/4] and [1, C/4, S/8, S/8].
        """
        if not self.usual:
            out = self.network.forward_image(pixels)
            *high_res, top = out["backbone_fpn"]
            return top, out["vision_pos_enc"][-1], high_res
        at4, at8, at16, at32 = self._levels(pixels)
        high_res = [F.linear(x, *weights).permute(0, 3, 1, 2) for x, weights in zip((at4, at8), self.fine)]
        coarse = self.neck.convs[0](at32.permute(0, 3, 1, 2))
        top = self.neck.convs[1](at16.permute(0, 3, 1, 2)) + F.interpolate(coarse.float(), scale_factor=2.0, mode="nearest")
        if top.shape not in self._position:
            self._position = {top.shape: self.neck.position_encoding(top).to(top.dtype)}
        return top, self._position[top.shape], high_res

    def _levels(self, pixels: Tensor) -> list[Tensor]:
        """Outputs of the trunk's four stages, [1, h, w, C] each, finest first."""
        trunk, levels = self.trunk, []
        x = trunk.patch_embed(pixels)
        if x.shape not in self._embedding:
            self._embedding = {x.shape: trunk._get_pos_embed(x.shape[1:3]).contiguous()}
        x = x + self._embedding[x.shape]
        for number, block in enumerate(trunk.blocks):
            x = self._block(block, x)
            if number in trunk.stage_ends:
                levels.append(x)
        return levels

    def _block(self, block, x: Tensor) -> Tensor:
        """One block of Hiera, [1, h, w, C] → [1, h or h/2, w or w/2, C or 2C], in stripes on a CPU."""
        if x.device.type != "cpu":
            return block(x)
        # The hidden layer is four times as wide as the output; a block that pools has a quarter of the tokens by then.
        row = x.shape[2] * block.dim_out * 4 * 4
        rows = max(1, STRIPE_BYTES // row)
        if block.window_size:
            rows = max(1, rows // block.window_size) * block.window_size
            return torch.cat([block(stripe) for stripe in x.split(rows, 1)], 1)
        if block.q_stride:
            return block(x)
        # In bfloat16, plain matrix products beat fused attention where the processor has them natively. In float32 the
        # two take the same time, and fused attention rounds less: its exponentials are never of large numbers.
        attention = partial(attend_everywhere, block.attn) if torch.is_autocast_enabled("cpu") else block.attn
        x = x + attention(block.norm1(x))
        return x + torch.cat([block.mlp(block.norm2(stripe)) for stripe in x.split(rows, 1)], 1)


def attend_everywhere(module, x: Tensor) -> Tensor:
    """Global attention of a Hiera block that does not pool, [1, h, w, C] → [1, h, w, C], by `vidseg.sam.attention`."""
    qkv = module.qkv(x).view(x.shape[1] * x.shape[2], 3, module.num_heads, -1)
    query, key, value = qkv.permute(1, 2, 0, 3)  # [heads, h·w, C/heads] each
    read = attend(query * query.shape[-1] ** -0.5, key, value)
    return module.proj(read.transpose(0, 1).reshape(x.shape))


def merged(first: torch.nn.Conv2d, second: torch.nn.Conv2d) -> tuple[Tensor, Tensor]:
    """Two 1×1 convolutions in a row as one linear map: weight [out, in] and bias [out]."""
    a, b = first.weight[..., 0, 0], second.weight[..., 0, 0]
    return b @ a, b @ first.bias + second.bias
