"""Masks that follow the edges in the picture.

SAM draws masks with a cell of its logits for some 4 to 15 pixels of the frame: between two cells, nothing but the picture
knows where an object ends. The guided filter (He, Sun, Tang: Guided Image Filtering, TPAMI 2013) takes the mask, around
every pixel, for a linear function of the colours there. Its factors are found on a coarser grid (He, Sun: Fast Guided Filter,
arXiv 1505.00996). Where colours say little the filter would only round the mask off, so there the mask stays as it is. OpenCV
has the filter in its contributed modules only, which exclude the package that supervision needs.
"""

from __future__ import annotations

import cv2
import numpy as np

RADIUS = 2  # cells of the logits within which colours tell: a mask is off by a cell or so
GRID = 4  # pixels of the coarser grid a cell
EPSILON = 1e-4  # variance of colours (0..1) from which they tell: 2.5 grey levels, the noise of a fair recording
EXPLAINED = 0.5  # share of a mask's variance around a pixel that colours must explain to decide alone
CERTAIN = 16.0  # logits beyond this are equally sure


def sharpened(large: np.ndarray, image: np.ndarray, cells: tuple[int, int]) -> np.ndarray:
    """How surely each pixel is the object's, the outline moved to edges of the picture that are near.

    Where colours do not tell it stays about where it was: white noise does not move it, while soft textures may happen to fit
    masks of few cells. A mask that would vanish stays as it is. Nothing changes farther than some 2 · `RADIUS` cells from the outline.

    Args:
        large: [H, W] float32 mask logits at the size of the frame; > 0 is object.
        image: H×W×3 uint8 RGB, the frame.
        cells: height and width of the low-resolution logits that `large` was made of.

    Returns:
        [H, W] float32, 0..1; above 0.5 is object.
    """
    mask = large > 0
    sure = 1 / (1 + np.exp(-np.clip(large, -CERTAIN, CERTAIN)))
    window = around(mask, cells)
    if window is None:
        return sure
    picture = image[window].astype(np.float32) / 255
    height, width = picture.shape[:2]
    grid = tuple(
        max(1, round(size * GRID * count / whole))
        for size, count, whole in zip((width, height), cells[::-1], mask.shape[::-1])
    )
    coarse = (cv2.resize(part, grid, interpolation=cv2.INTER_AREA) for part in (picture, sure[window]))
    factors, offset, trust = (cv2.resize(part, (width, height)) for part in guide(*coarse))
    guided = np.einsum("hwc,hwc->hw", factors, picture) + offset
    moved = sure[window] + trust * (guided.clip(0, 1) - sure[window])
    if (moved > 0.5).any():
        sure[window] = moved
    return sure


def around(mask: np.ndarray, cells: tuple[int, int]) -> tuple[slice, slice] | None:
    """Rows and columns of a mask [H, W] and of all that may become part of it; None if it is empty."""
    window = []
    for axis, count in enumerate(cells):
        taken = np.flatnonzero(mask.any(1 - axis))
        if not len(taken):
            return None
        size = mask.shape[axis]
        margin = int(np.ceil((2 * RADIUS + 1) * size / count))
        window.append(slice(max(0, taken[0] - margin), min(size, taken[-1] + margin + 1)))
    return tuple(window)


def guide(picture: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For every pixel, the linear function of its colour that the mask is taken for around it, and how far to trust it.

    Equations 19 to 21 of the paper: in every square, factors a and offset b of the least-squares fit
    mask ≈ a · colour + b with |a|² held back by `EPSILON`; then the mean of all squares that a pixel lies in. The trust is
    ours: what share of the mask's variance these fits explain, in units of `EXPLAINED`.

    Args:
        picture: [h, w, 3] float32, 0..1.
        mask: [h, w] float32, 0..1.

    Returns:
        a [h, w, 3], b [h, w] and the trust [h, w] in 0..1, float32.
    """
    side = 2 * RADIUS * GRID + 1

    def mean(values: np.ndarray) -> np.ndarray:
        return cv2.blur(values, (side, side), borderType=cv2.BORDER_REFLECT)

    colour, part = mean(picture), mean(mask)
    together = mean(picture * mask[..., None]) - colour * part[..., None]
    red, green, blue = np.moveaxis(picture, -1, 0)
    rr, rg, rb = np.moveaxis(mean(picture * red[..., None]) - colour * colour[..., :1], -1, 0)
    gg, gb, bb = (
        mean(a * b) - colour[..., i] * colour[..., j]
        for a, b, i, j in ((green, green, 1, 1), (green, blue, 1, 2), (blue, blue, 2, 2))
    )
    factors = solved((rr + EPSILON, rg, rb, gg + EPSILON, gb, bb + EPSILON), together)
    offset = part - np.einsum("hwc,hwc->hw", factors, colour)
    explained, variance = mean(np.einsum("hwc,hwc->hw", factors, together)), mean(mean(mask * mask) - part * part)
    return mean(factors), mean(offset), np.clip(explained / (EXPLAINED * variance + 1e-6), 0, 1)


def solved(matrix: tuple[np.ndarray, ...], right: np.ndarray) -> np.ndarray:
    """x [h, w, 3] of M x = right [h, w, 3], for a symmetric M given by its six parts xx, xy, xz, yy, yz, zz [h, w].

    By cofactors: NumPy's solver takes ten times as long for so many small systems.
    """
    xx, xy, xz, yy, yz, zz = matrix
    first = np.stack([yy * zz - yz * yz, xz * yz - xy * zz, xy * yz - xz * yy], -1)
    second = np.stack([first[..., 1], xx * zz - xz * xz, xy * xz - xx * yz], -1)
    third = np.stack([first[..., 2], second[..., 2], xx * yy - xy * xy], -1)
    determinant = xx * first[..., 0] + xy * first[..., 1] + xz * first[..., 2]
    return (
        np.stack([np.einsum("hwc,hwc->hw", row, right) for row in (first, second, third)], -1) / determinant[..., None]
    )
