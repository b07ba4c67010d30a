"""Masks that follow the edges in the picture.

SAM draws masks with a cell of its logits for some 4 to 15 pixels of the frame: between two cells, nothing but the
picture knows where an object ends. The guided filter (He, Sun, Tang: Guided Image Filtering, TPAMI 2013) takes the
mask, around every pixel, for a linear function of the colors there. Its coefficients are found on a coarser grid (He,
Sun: Fast Guided Filter, arXiv 1505.00996). Where colors say little the filter would only round the mask off, so there
the mask stays as it is. OpenCV has the filter in its contributed modules only, which exclude the package that
supervision needs.
"""

from __future__ import annotations

import cv2
import numpy as np

from vidseg.tracking.options import THRESHOLDS, Thresholds


def refine_edges(
    large: np.ndarray, image: np.ndarray, cells: tuple[int, ...], thresholds: Thresholds = THRESHOLDS
) -> np.ndarray:
    """How surely each pixel is the object's, the outline moved to edges of the picture that are near.

    Where colors do not tell it stays about where it was: white noise does not move it, while soft textures may happen
    to fit masks of few cells. A mask that would vanish stays as it is. Nothing changes farther than some 2 ·
    `refine_radius` cells from the outline.

    Args:
        large: [H, W] float32 mask logits at the size of the frame; > 0 is object.
        image: H×W×3 uint8 RGB, the frame.
        cells: height and width of the low-resolution logits that `large` was made of.
        thresholds: those that begin with `refine_`.

    Returns:
        [H, W] float32, 0..1; above 0.5 is object.
    """
    mask = large > 0
    limit = thresholds.refine_max_logit
    certainty = 1 / (1 + np.exp(-np.clip(large, -limit, limit)))
    window = _window_around(mask, cells, thresholds.refine_radius)
    if window is None:
        return certainty
    picture = image[window].astype(np.float32) / 255
    height, width = picture.shape[:2]
    grid = tuple(
        max(1, round(size * thresholds.refine_grid * count / whole))
        for size, count, whole in zip((width, height), cells[::-1], mask.shape[::-1])
    )
    coarse_picture, coarse_mask = (
        cv2.resize(part, grid, interpolation=cv2.INTER_AREA) for part in (picture, certainty[window])
    )
    coarse = guided_filter(coarse_picture, coarse_mask, thresholds)
    factors, offset, trust = (cv2.resize(part, (width, height)) for part in coarse)
    guided = np.einsum("hwc,hwc->hw", factors, picture) + offset
    moved = certainty[window] + trust * (guided.clip(0, 1) - certainty[window])
    if (moved > 0.5).any():
        certainty[window] = moved
    return certainty


def _window_around(mask: np.ndarray, cells: tuple[int, ...], radius: int) -> tuple[slice, slice] | None:
    """Rows and columns of a mask [H, W] and of all that may become part of it; None if it is empty."""
    window = []
    for axis, count in enumerate(cells):
        taken = np.flatnonzero(mask.any(1 - axis))
        if not len(taken):
            return None
        size = mask.shape[axis]
        margin = int(np.ceil((2 * radius + 1) * size / count))
        window.append(slice(max(0, taken[0] - margin), min(size, taken[-1] + margin + 1)))
    return window[0], window[1]


def guided_filter(
    picture: np.ndarray, mask: np.ndarray, thresholds: Thresholds = THRESHOLDS
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For every pixel, the linear function of its color that the mask is taken for around it, and how far to trust it.

    Equations 19 to 21 of the paper: in every square, factors a and offset b of the least-squares fit
    mask ≈ a · color + b with |a|² held back by `refine_epsilon`; then the mean of all squares that a pixel lies in. The
    trust is ours: what share of the mask's variance these fits explain, in units of `refine_explained`.

    Args:
        picture: [h, w, 3] float32, 0..1.
        mask: [h, w] float32, 0..1.
        thresholds: those that begin with `refine_`.

    Returns:
        a [h, w, 3], b [h, w] and the trust [h, w] in 0..1, float32.
    """
    side = 2 * thresholds.refine_radius * thresholds.refine_grid + 1
    epsilon = thresholds.refine_epsilon

    def mean(values: np.ndarray) -> np.ndarray:
        return cv2.blur(values, (side, side), borderType=cv2.BORDER_REFLECT)

    color, part = mean(picture), mean(mask)
    together = mean(picture * mask[..., None]) - color * part[..., None]
    red, green, blue = np.moveaxis(picture, -1, 0)
    rr, rg, rb = np.moveaxis(mean(picture * red[..., None]) - color * color[..., :1], -1, 0)
    gg, gb, bb = (
        mean(a * b) - color[..., i] * color[..., j]
        for a, b, i, j in ((green, green, 1, 1), (green, blue, 1, 2), (blue, blue, 2, 2))
    )
    factors = _solve((rr + epsilon, rg, rb, gg + epsilon, gb, bb + epsilon), together)
    offset = part - np.einsum("hwc,hwc->hw", factors, color)
    explained = mean(np.einsum("hwc,hwc->hw", factors, together))
    variance = mean(mean(mask * mask) - part * part)
    trust = np.clip(explained / (thresholds.refine_explained * variance + 1e-6), 0, 1)
    return mean(factors), mean(offset), trust


def _solve(matrix: tuple[np.ndarray, ...], right: np.ndarray) -> np.ndarray:
    """The x [h, w, 3] of M x = right [h, w, 3], for a symmetric M given by its six parts xx, xy, xz, yy, yz, zz [h, w].

    By cofactors: NumPy's solver takes ten times as long for so many small systems.
    """
    xx, xy, xz, yy, yz, zz = matrix
    first = np.stack([yy * zz - yz * yz, xz * yz - xy * zz, xy * yz - xz * yy], -1)
    second = np.stack([first[..., 1], xx * zz - xz * xz, xy * xz - xx * yz], -1)
    third = np.stack([first[..., 2], second[..., 2], xx * yy - xy * xy], -1)
    determinant = xx * first[..., 0] + xy * first[..., 1] + xz * first[..., 2]
    rows = [np.einsum("hwc,hwc->hw", row, right) for row in (first, second, third)]
    return np.stack(rows, -1) / determinant[..., None]
