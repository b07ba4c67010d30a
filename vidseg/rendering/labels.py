"""Labels on tracked objects, inside the picture and apart from each other.

They look like those of supervision's LabelAnnotator. Its spreading moves labels out of the picture and then back on top
of each other where objects crowd at an edge, so they are placed here.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from vidseg.rendering.objects import DrawnObject
from vidseg.rendering.palette import RGB, luminance
from vidseg.rendering.text import TextStyle, shortened


class LabelFont(NamedTuple):
    """How large labels are; `label_font` chooses it.

    Attributes:
        style: of the text.
        padding: pixels around the text.
    """

    style: TextStyle
    padding: int


def label_font(side: int) -> LabelFont:
    """The font for pictures whose shorter side is `side` pixels."""
    scale = max(0.4, side / 1200)
    return LabelFont(TextStyle(scale, max(1, round(scale * 1.5))), max(3, round(scale * 9)))


def draw_labels(picture: np.ndarray, objects: list[DrawnObject], colours: list[RGB]) -> None:
    """Draw a label with name, id and score at each object."""
    height, width = picture.shape[:2]
    style, padding = label_font(min(height, width))
    taken: list[tuple[int, int, int, int]] = []
    for one, colour in zip(objects, colours):
        parts = shortened(one.label, f" #{one.id} {one.score:.2f}", style, width - 2 * padding)
        extents = [style.extent(part) for part in parts]
        above = max(extent.ascent for extent in extents)
        below = max(padding, *(extent.descent + 1 for extent in extents))
        size = sum(extent.width for extent in extents) + 2 * padding, padding + above + below
        x, y = place_label(one.box.round().astype(int).tolist(), size, (width, height), taken)
        taken.append((x, y, x + size[0], y + size[1]))
        cv2.rectangle(picture, (x, y), (x + size[0] - 1, y + size[1] - 1), colour, cv2.FILLED)
        ink = (0, 0, 0) if luminance(colour) > 0.18 else (255, 255, 255)
        start = x + padding
        for part, extent in zip(parts, extents):
            style.write(picture, part, (start, y + padding + above), ink, colour)
            start += extent.width


def place_label(
    box: list[int], size: tuple[int, int], room: tuple[int, int], taken: list[tuple[int, int, int, int]]
) -> tuple[int, int]:
    """Find a place for a label: right above its object's box if it is free there, else the nearest place that is.

    Where no place is free, it is above the box all the same.

    Args:
        box: x1, y1, x2, y2 of the object.
        size: (width, height) of the label.
        room: (width, height) of the picture.
        taken: x1, y1, x2, y2 of the labels that are there.

    Returns:
        (x, y) of the label's upper left corner.
    """
    (w, h), (width, height) = size, room
    right, down = max(0, width - w), max(0, height - h)
    x, y = min(max(box[0], 0), right), min(max(box[1] - h, 0), down)
    if not any(x < x2 and x1 < x + w and y < y2 and y1 < y + h for x1, y1, x2, y2 in taken):
        return x, y
    # A place that is free can be pushed against another label or the border, so these are all there is to try
    corners = np.array(taken)
    xs = np.unique(np.concatenate(([x, box[2] - w, 0, right], corners[:, 2], corners[:, 0] - w)).clip(0, right))
    ys = np.unique(np.concatenate(([y, box[1], box[3], 0, down], corners[:, 3], corners[:, 1] - h)).clip(0, down))
    xs, ys = (grid.ravel() for grid in np.meshgrid(xs, ys))
    x1, y1, x2, y2 = corners.T[..., None]
    free = ~((xs < x2) & (x1 < xs + w) & (ys < y2) & (y1 < ys + h)).any(axis=0)
    if not free.any():
        return x, y
    nearest = np.where(free, np.abs(xs - x) + np.abs(ys - y), np.iinfo(int).max).argmin()
    return int(xs[nearest]), int(ys[nearest])
