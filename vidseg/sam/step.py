"""One step of the network for some objects (memory attention, mask decoder, memory encoder), on tensors alone.

Nothing here knows of banks, prompts or frame numbers, so that the whole step can be compiled (`vidseg.sam.compiled`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from sam2.modeling.sam2_utils import get_1d_sine_pe
from torch import Tensor

from vidseg.sam.attention import MemoryAttention
from vidseg.sam.fused import FusedMemoryAttention

if TYPE_CHECKING:
    from sam2.modeling.sam2_base import SAM2Base


class Step:
    """Carries objects to a frame.

    Args:
        network: with its weights; they must not change afterwards.
        dtype: of the matrix products, torch.float32 or torch.bfloat16; for the latter, call everything under autocast.
        fused: whether to take all objects at once and fused kernels, as a GPU and `torch.compile` want it.
    """

    def __init__(self, network: SAM2Base, dtype: torch.dtype, fused: bool):
        self.network, self.dtype, self.fused = network, dtype, fused
        grid_size = network.sam_image_embedding_size
        self._attention = (FusedMemoryAttention if fused else MemoryAttention)(
            network.memory_attention, grid_size, dtype
        )
        place = network.memory_encoder.position_encoding(
            torch.empty(1, 1, grid_size, grid_size, device=network.maskmem_tpos_enc.device)
        )
        self._memory_position = place.flatten(2)[:, :, None]  # [1, 64, 1, h·w], the same for every memory

    def __call__(
        self,
        top: Tensor,
        position: Tensor,
        high_res: list[Tensor],
        memory: Tensor,
        rows: Tensor,
        pointers: Tensor,
        distances: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """The masks of B objects on a frame, and their memories of it.

        It takes what `read` takes, and the features for the mask decoder.

        Returns:
            low-resolution logits [B, 1, 4h, 4w], predicted IoUs [B, masks], object scores [B, 1], pointers [B, C],
            memories [B, 64, h, w] bfloat16.
        """
        network = self.network
        fused = self.read(top, position, memory, rows, pointers, distances)
        _, _, ious, low_res, large, pointers, scores = network._forward_sam_heads(
            fused, high_res_features=high_res, multimask_output=network._use_multimask(False, None)
        )
        return low_res, ious, scores, pointers, self.write(top, large, scores, binary=False)

    def read(
        self, top: Tensor, position: Tensor, memory: Tensor, rows: Tensor, pointers: Tensor, distances: Tensor
    ) -> Tensor:
        """Fuse a frame with the memories of B objects whose banks have one shape: [B, C, h, w].

        (`SAM2Base._prepare_memory_conditioned_features` for objects that need not share their frame numbers.)

        Args:
            top: [1, C, h, w] features of the frame.
            position: [1, h·w, C] their position encoding.
            memory: [B, 64, M·h·w] spatial memories, one after the other.
            rows: [B, M] which row of `maskmem_tpos_enc` each of them has.
            pointers: [B, P, C] object pointers.
            distances: [B, P] how many frames away each of them is.
        """
        temporal = self.network.maskmem_tpos_enc[rows].flatten(2).transpose(1, 2)  # [B, 64, M]
        memory_position = (self._memory_position + temporal[..., None]).flatten(2)  # [B, 64, M·h·w]
        tokens, token_position = self._pointer_tokens(pointers, distances)
        fused = self._attention(
            top.flatten(2).transpose(1, 2),
            position,
            torch.cat([memory.to(self.dtype), tokens.to(self.dtype)], 2),
            torch.cat([memory_position, token_position], 2),
            pointers=tokens.shape[2],
        )
        return fused.transpose(1, 2).unflatten(2, top.shape[-2:])

    def _pointer_tokens(self, pointers: Tensor, distances: Tensor) -> tuple[Tensor, Tensor]:
        """Object pointers as memory tokens with their encoding of time, both [B, 64, P · C/64].

        Each pointer of C channels is cut into C/64 tokens; its distance in frames is a sine encoding, projected, or
        nothing for SAM 2.0.
        """
        network = self.network
        channels, width = pointers.shape[-1], network.mem_dim
        tokens = pointers.unflatten(2, (channels // width, width)).flatten(1, 2)
        if not network.add_tpos_enc_to_obj_ptrs:  # SAM 2.0
            return tokens.transpose(1, 2), torch.zeros_like(tokens).transpose(1, 2)
        encoded = get_1d_sine_pe(distances / (network.max_obj_ptrs_in_encoder - 1), dim=channels)
        position = network.obj_ptr_tpos_proj(encoded).repeat_interleave(channels // width, dim=1)
        return tokens.transpose(1, 2), position.transpose(1, 2)

    def write(self, top: Tensor, masks: Tensor, scores: Tensor, binary: bool) -> Tensor:
        """Encode B masks [B, 1, S, S] (logits) with their object scores [B, 1] into memories, [B, 64, h, w] bfloat16.

        Args:
            top: [1, C, h, w] features of the frame.
            masks: the logits, at the size of the network's input.
            scores: the mask is marked as absent where they are not positive.
            binary: whether to remember the mask with sharp borders.
        """
        network = self.network
        # Channels go first, as in the stock predictor: torch's convolutions round differently with channels last, and a
        # memory that is rounded to its neighbour in bfloat16 moves the logits of the next frame by up to 1e-4.
        frame = top.contiguous()
        encoded = []
        # A CPU takes one mask after the other: several at once leave its cache, and gain nothing.
        for part in masks.split(len(masks) if self.fused else 1):
            mask = (part > 0).float() if binary else part.sigmoid()
            mask = mask * network.sigmoid_scale_for_mem_enc + network.sigmoid_bias_for_mem_enc
            encoded.append(network.memory_encoder(frame, mask, skip_mask_sigmoid=True)["vision_features"])
        memory = torch.cat(encoded)
        if network.no_obj_embed_spatial is not None:
            absent = (scores <= 0).float()[..., None, None]
            memory = memory + absent * network.no_obj_embed_spatial[..., None, None]
        return memory.to(torch.bfloat16)
