"""Name tags at tracked objects, inside the picture and apart from each other.

They look as supervision's label annotator draws them. Its spreading moves tags out of the picture and then back on top of
each other where objects crowd at an edge, so the places are found here.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import supervision as sv

from vidseg.rendering.palette import colour_of, luminance

FONT = cv2.FONT_HERSHEY_SIMPLEX


class Lettering(NamedTuple):
    """How large tags are; `lettering` chooses it."""

    scale: float  # of OpenCV's font
    thickness: int
    padding: int  # pixels around the text

    def size(self, text: str) -> tuple[int, int]:
        """(width, height) of the text in pixels, without padding."""
        return cv2.getTextSize(text, FONT, self.scale, self.thickness)[0]


def lettering(side: int) -> Lettering:
    """For pictures whose shorter side is `side` pixels."""
    scale = max(0.4, side / 1200)
    return Lettering(scale, max(1, round(scale * 1.5)), max(3, round(scale * 9)))


def draw_tags(picture: np.ndarray, found: sv.Detections, numbers: list[int]) -> None:
    """Draw a tag with name, id and score at each object.

    numbers: of the objects' colours.
    """
    height, width = picture.shape[:2]
    letters, taken = lettering(min(height, width)), []
    for box, name, object_id, score, number in zip(
        found.xyxy, found.data["class_name"], found.tracker_id, found.confidence, numbers
    ):
        text = _fitting(str(name), f" #{object_id} {score:.2f}", letters, width - 2 * letters.padding)
        w, h = letters.size(text)
        x, y = place(
            box.round().astype(int).tolist(), (w + 2 * letters.padding, h + 2 * letters.padding), (width, height), taken
        )
        taken.append((x, y, x + w + 2 * letters.padding, y + h + 2 * letters.padding))
        colour = colour_of(number)
        cv2.rectangle(picture, taken[-1][:2], (taken[-1][2] - 1, taken[-1][3] - 1), colour, cv2.FILLED)
        ink = (0, 0, 0) if luminance(colour) > 0.18 else (255, 255, 255)
        start = x + letters.padding, y + letters.padding + h
        cv2.putText(picture, text, start, FONT, letters.scale, ink, letters.thickness, cv2.LINE_AA)


def place(
    box: list[int], size: tuple[int, int], room: tuple[int, int], taken: list[tuple[int, int, int, int]]
) -> tuple[int, int]:
    """Upper left corner of a tag of (width, height) `size` for the object in `box`, inside a picture of (width, height) `room`.

    Right above the box if it is free there, else the nearest place that is. Where no place is free, above the box all the same.

    taken: x1, y1, x2, y2 of the tags that are there.
    """
    (w, h), (width, height) = size, room
    right, down = max(0, width - w), max(0, height - h)
    x, y = min(max(box[0], 0), right), min(max(box[1] - h, 0), down)
    if not any(x < x2 and x1 < x + w and y < y2 and y1 < y + h for x1, y1, x2, y2 in taken):
        return x, y
    # A place that is free can be pushed against another tag or the border, so these are all there is to try
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


def _fitting(name: str, rest: str, letters: Lettering, room: int) -> str:
    """Name and rest, the name cut so that both fit into `room` pixels."""
    while name and letters.size(name + rest)[0] > room:
        name = name[:-1]
    return name + rest
