"""One frame as the engine sees it: its encoding, and what the network says about the objects on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass
class FrameFeatures:
    """One encoded frame; everything that prompts and objects on it share.

    Attributes:
        height, width: size of the frame in pixels.
        top: [1, C, h, w] features at stride 16, without any memory.
        position: [1, h·w, C] their position encoding.
        high_res: features at stride 4 and 8 for the mask decoder, [1, C/8, 4h, 4w] and [1, C/4, 2h, 2w].
    """

    height: int
    width: int
    top: Tensor
    position: Tensor
    high_res: list[Tensor]


@dataclass
class FrameMasks:
    """What the network says about N objects on one frame.

    Attributes:
        ids: the N object ids.
        logits: [N, h, w] float32 low-resolution mask logits (stride 4 of the network's input); > 0 is object.
            All of an object's logits are -1024 where its object score is not positive.
        ious: [N] float32, predicted IoU of each mask.
        object_scores: [N] float32, logit of "the object is visible on this frame".
        pointers: [N, C] object pointers.
    """

    ids: list[int]
    logits: Tensor
    ious: Tensor
    object_scores: Tensor
    pointers: Tensor


def join(parts: list[FrameMasks]) -> FrameMasks:
    """Several results on one frame as one."""
    return FrameMasks(
        [i for part in parts for i in part.ids],
        *(
            torch.cat([getattr(part, name) for part in parts])
            for name in ("logits", "ious", "object_scores", "pointers")
        ),
    )


def upsample(logits: Tensor, height: int, width: int) -> np.ndarray:
    """Low-resolution logits [h, w] at the size of the frame: [height, width] float32.

    Bilinear, as the stock predictor resizes them.
    """
    large = F.interpolate(logits[None, None].float(), (height, width), mode="bilinear", align_corners=False)
    return large[0, 0].cpu().numpy()
