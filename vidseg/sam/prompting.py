"""What prompt encoder and mask decoder are given, by a single image and by a frame of a clip alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vidseg.prompts.geometry import Box, Points, as_clicks

if TYPE_CHECKING:
    from sam2.modeling.sam2_base import SAM2Base

    from vidseg.sam.frame import FrameFeatures

MAX_LOGIT = 32.0  # the network sees an earlier mask again with its logits between -32 and 32, as in training


def clamp_logits(logits: Tensor) -> Tensor:
    """Mask logits of any shape, ready to be shown to the network again."""
    return logits.clamp(-MAX_LOGIT, MAX_LOGIT)


def click_inputs(network: SAM2Base, features: FrameFeatures, prompt: Box | Points) -> dict[str, Tensor]:
    """A box or points as the network takes them.

    Returns:
        "point_coords": [1, P, 2] float32, x and y in pixels of the network's input.
        "point_labels": [1, P] int32: 1 object, 0 not the object, 2 and 3 the corners of a box.
    """
    xy, labels = as_clicks(prompt, features.height, features.width)
    device = features.top.device
    return {
        "point_coords": torch.from_numpy(xy * np.float32(network.image_size))[None].to(device),
        "point_labels": torch.from_numpy(labels)[None].to(device),
    }


def mask_at_input_size(network: SAM2Base, mask: np.ndarray, device: torch.device) -> Tensor:
    """A mask prompt [H, W] at the size of the network's input: [1, 1, S, S] float 0 or 1."""
    side = network.image_size
    given = torch.from_numpy(np.asarray(mask, np.float32))[None, None].to(device)
    if given.shape[-2:] == (side, side):
        return given
    return (F.interpolate(given, (side, side), mode="bilinear", align_corners=False, antialias=True) >= 0.5).float()


def without_memory(network: SAM2Base, features: FrameFeatures) -> Tensor:
    """Features of a frame on which an object has no memory to read: [1, C, h, w]."""
    return features.top + network.no_mem_embed.permute(1, 2, 0)[..., None]
