"""What SAM says about a prompt on one frame alone: every candidate mask, without memory and without a verdict on visibility."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vidseg.prompts.geometry import Box, Points, as_clicks
from vidseg.sam.frame import FrameFeatures

if TYPE_CHECKING:
    from sam2.modeling.sam2_base import SAM2Base

FED_BACK = 32.0  # logits of an earlier mask are cut to ±32 before they are shown to the network again, as in training


@dataclass
class Candidates:
    """The masks that one prompt may mean.

    Attributes:
        logits: [M, 4h, 4w] float32 low-resolution mask logits, > 0 is object: one mask, or three for an ambiguous prompt.
        ious: [M] float32, the network's own guess of each mask's IoU with what was meant.
    """

    logits: Tensor
    ious: Tensor

    @property
    def best(self) -> int:
        """Which of them has the highest guess."""
        return int(self.ious.argmax())


def candidates(
    network: SAM2Base,
    features: FrameFeatures,
    prompt: Box | Points,
    before: Tensor | None = None,
    several: bool | None = None,
) -> Candidates:
    """Ask prompt encoder and mask decoder (`SAM2ImagePredictor._predict`).

    Args:
        features: the frame, encoded.
        before: [4h, 4w] logits of an earlier mask of the same object, which the prompt corrects.
        several: whether to ask for three masks; None: as SAM was trained, for a single click.
    """
    xy, labels = as_clicks(prompt, features.height, features.width)
    clicks = {
        "point_coords": torch.from_numpy(xy * np.float32(network.image_size))[None].to(features.top.device),
        "point_labels": torch.from_numpy(labels)[None].to(features.top.device),
    }
    if several is None:
        several = network._use_multimask(True, clicks)
    encoder = network.sam_prompt_encoder
    if before is not None:
        before = before.float()[None, None].clamp(-FED_BACK, FED_BACK)
        if before.shape[-2:] != encoder.mask_input_size:
            before = F.interpolate(
                before, encoder.mask_input_size, mode="bilinear", align_corners=False, antialias=True
            )
    sparse, dense = encoder(points=(clicks["point_coords"], clicks["point_labels"]), boxes=None, masks=before)
    logits, ious, _, _ = network.sam_mask_decoder(
        image_embeddings=features.top + network.no_mem_embed.permute(1, 2, 0)[..., None],
        image_pe=encoder.get_dense_pe(),
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense,
        multimask_output=several,
        repeat_image=False,
        high_res_features=features.high_res,
    )
    return Candidates(logits[0].float(), ious[0].float())
