"""Small repairs of mask logits."""

from __future__ import annotations

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

# Largest hole in a low-resolution mask that is filled, in pixels (`fill_hole_area` of the stock video predictor).
HOLE_AREA = 8


def fill_holes(logits: Tensor) -> Tensor:
    """Make background specks of at most 8 pixels part of the mask around them.

    The stock predictor does this with a CUDA kernel of its own (and skips it where that is not compiled); here it is
    OpenCV's connected components, and on CUDA a few of torch's operations. Like there, any small 8-connected component
    of background counts as a hole, and its logits become 0.1.

    Args:
        logits: [B, 1, h, w] low-resolution mask logits.
    """
    if logits.device.type == "cuda":
        return logits.masked_fill(small_components(logits <= 0), 0.1)
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
    return torch.where(
        torch.from_numpy(holes)[:, None].to(logits.device), torch.tensor(0.1, device=logits.device), logits
    )


def small_components(inside: Tensor) -> Tensor:
    """Which pixels lie in an 8-connected component of at most 8 pixels: [B, 1, h, w] bool → the same.

    For a GPU, which never has to wait for the processor here. Every pixel takes over the highest label around it, often
    enough that all pixels of a small component share one label. A larger component may still hold several; then each of
    its parts has pixels beside another label. So a label belongs to a small component if few pixels have it and all
    their neighbours have it too.
    """
    height, width = inside.shape[-2:]
    numbers = torch.arange(1, height * width + 1, device=inside.device, dtype=torch.float32).view(height, width)
    label = torch.where(inside, numbers, 0)
    for _ in range(HOLE_AREA - 1):
        label = torch.where(inside, F.max_pool2d(label, 3, 1, 1), 0)
    highest = F.max_pool2d(label, 3, 1, 1)
    lowest = -F.max_pool2d(torch.where(inside, -label, -torch.inf), 3, 1, 1)
    weight = torch.where(inside & (lowest < highest), HOLE_AREA + 1.0, 1.0)  # one such pixel is enough to be large
    where = label.flatten(1).long()
    size = weight.new_zeros(len(inside), height * width + 1).scatter_add_(1, where, weight.flatten(1))
    return inside & (size.gather(1, where).view_as(inside) <= HOLE_AREA)
