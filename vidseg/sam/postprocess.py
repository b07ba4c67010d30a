"""Small repairs of mask logits."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor

# Largest hole in a low-resolution mask that is filled, in pixels (`fill_hole_area` of the stock video predictor).
HOLE_AREA = 8


def fill_holes(logits: Tensor) -> Tensor:
    """Make background specks of at most 8 pixels part of the mask around them.

    The stock predictor does this with a CUDA kernel of its own (and skips it where that is not compiled); here it is
    OpenCV's connected components. Like there, any small 8-connected piece of background counts as a hole, and its
    logits become 0.1.

    Args:
        logits: [B, 1, h, w] low-resolution mask logits.
    """
    background = (logits[:, 0] <= 0).to(torch.uint8).cpu().numpy()
    holes = np.zeros(background.shape, bool)
    for hole, plane in zip(holes, background):
        if plane.all() or not plane.any():
            continue
        _, labels, stats, _ = cv2.connectedComponentsWithStats(plane, connectivity=8)
        small = stats[:, cv2.CC_STAT_AREA] <= HOLE_AREA
        small[0] = False  # label 0 is the mask itself
        if small.any():
            hole[:] = small[labels]
    if not holes.any():
        return logits
    return torch.where(torch.from_numpy(holes)[:, None].to(logits.device), torch.tensor(0.1, device=logits.device), logits)
