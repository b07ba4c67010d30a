"""What SAM says about a prompt on one frame alone: every candidate mask, without memory or a verdict on visibility."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch.nn.functional as F
from torch import Tensor

from vidseg.prompts.geometry import Box, Points
from vidseg.sam.frame import FrameFeatures
from vidseg.sam.prompting import clamp_logits, click_inputs, without_memory

if TYPE_CHECKING:
    from sam2.modeling.sam2_base import SAM2Base


@dataclass
class Candidates:
    """The masks that one prompt may mean.

    Attributes:
        logits: [M, 4h, 4w] float32 low-resolution mask logits, > 0 is object: one mask, or three for an ambiguous
            prompt.
        ious: [M] float32, the network's own guess of each mask's IoU with what was meant.
    """

    logits: Tensor
    ious: Tensor

    @property
    def best(self) -> int:
        """Row of the mask with the highest guess."""
        return int(self.ious.argmax())


def candidates(
    network: SAM2Base,
    features: FrameFeatures,
    prompt: Box | Points,
    mask_input: Tensor | None = None,
    multimask_output: bool | None = None,
) -> Candidates:
    """Ask prompt encoder and mask decoder (`SAM2ImagePredictor._predict`).

    Args:
        network: from `vidseg.sam.build.build_sam`.
        features: the frame, encoded.
        prompt: in pixels of the frame.
        mask_input: [4h, 4w] logits of an earlier mask of the same object, which the prompt corrects.
        multimask_output: whether to ask for three masks; None: as SAM was trained, for a single click.
    """
    clicks = click_inputs(network, features, prompt)
    if multimask_output is None:
        multimask_output = network._use_multimask(True, clicks)
    encoder = network.sam_prompt_encoder
    earlier = None
    if mask_input is not None:
        earlier = clamp_logits(mask_input.float()[None, None])
        if earlier.shape[-2:] != encoder.mask_input_size:
            earlier = F.interpolate(
                earlier, encoder.mask_input_size, mode="bilinear", align_corners=False, antialias=True
            )
    sparse, dense = encoder(points=(clicks["point_coords"], clicks["point_labels"]), boxes=None, masks=earlier)
    logits, ious, _, _ = network.sam_mask_decoder(
        image_embeddings=without_memory(network, features),
        image_pe=encoder.get_dense_pe(),
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense,
        multimask_output=multimask_output,
        repeat_image=False,
        high_res_features=features.high_res,
    )
    return Candidates(logits[0].float(), ious[0].float())
