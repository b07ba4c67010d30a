"""The styles of an overlay, each a few lines of OpenCV on the part of the picture that it changes.

supervision has annotators for most of them: they take whole frames in hand for each object, and pixelate and blur boxes
instead of masks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

import cv2
import numpy as np
import supervision as sv

from vidseg.rendering.palette import Colours, colour_of
from vidseg.rendering.tags import draw_tags
from vidseg.tracks.frame import TrackedFrame

FILL = 0.45  # opacity of a mask's fill; its outline is opaque
DIMMED = 0.3  # what is left of the light around a spotlight
GLOW = 0.9  # opacity of a halo at the edge of its object
TRAIL = 2.0  # s


class Region(NamedTuple):
    """An object in the box around its mask: a frame holds far more background."""

    x: int
    y: int
    mask: np.ndarray  # h×w uint8, 0 or 1
    colour: tuple[int, int, int]

    def of(self, picture: np.ndarray) -> np.ndarray:
        """That part of an H×W… picture, as a view."""
        return picture[self.y : self.y + self.mask.shape[0], self.x : self.x + self.mask.shape[1]]


class Painter:
    """Draws objects on their frames, given in the order of the clip.

    styles: some of vidseg.rendering.looks.STYLES; they are drawn in that order, whatever their order here.
    opacity: 0–1, of the fill of the style "mask".
    colours: of the objects.
    """

    def __init__(self, styles: Iterable[str], opacity: float = FILL, colours: Colours | None = None):
        self._styles, self._opacity, self._colours = frozenset(styles), opacity, colours or Colours()
        self._trails: dict[int, deque] = {}  # id -> (time, frame, x, y), the latest TRAIL seconds

    def see(self, frame: TrackedFrame) -> None:
        """Note where the objects of a frame are, for the trails on later ones. `paint` does that, too."""
        if "trail" not in self._styles:
            return
        found = frame.detections
        for object_id, (x1, y1, x2, y2) in zip(found.tracker_id if len(found) else (), found.xyxy.tolist()):
            self._trails.setdefault(int(object_id), deque()).append(
                (frame.time, frame.index, (x1 + x2) / 2, (y1 + y2) / 2)
            )
        for object_id, trail in list(self._trails.items()):
            while trail and trail[0][0] < frame.time - TRAIL:
                trail.popleft()
            if not trail:
                del self._trails[object_id]

    def paint(self, frame: TrackedFrame, canvas: np.ndarray | None = None) -> np.ndarray:
        """The frame with its objects drawn: H×W×3 uint8 RGB, a new array; frame.image is left as it is.

        canvas: picture to draw on instead of the frame's own; it is changed.
        """
        styles, found = self._styles, frame.detections
        self.see(frame)
        numbers = self._colours.numbers(found)
        regions = _regions(found, numbers)
        picture = frame.image.copy() if canvas is None else canvas
        if styles & {"blur-background", "spotlight", "halo"}:
            covered = covered_by(found, picture.shape[:2])
            if "blur-background" in styles:
                blur_background(picture, covered)
            if "spotlight" in styles:
                dim_background(picture, covered)
            if "halo" in styles:
                draw_halos(picture, regions, covered)
        for region in regions if "pixelate" in styles else ():
            pixelate(picture, region)
        for region in regions if "mask" in styles else ():
            fill(picture, region, self._opacity)
        for region in regions if "contour" in styles else ():  # over all fills
            outline(picture, region)
        if "box" in styles:
            draw_boxes(picture, found, numbers)
        if "trail" in styles:
            shown = {int(i): colour_of(number) for i, number in zip(found.tracker_id, numbers)} if len(found) else {}
            for object_id, colour in shown.items():
                draw_trail(picture, self._trails[object_id], frame.time, colour)
        if "label" in styles and len(found):
            draw_tags(picture, found, numbers)
        return picture


def covered_by(found: sv.Detections, size: tuple[int, int]) -> np.ndarray:
    """All masks in one: H×W uint8, 0 or 1."""
    if not len(found):
        return np.zeros(size, np.uint8)
    return np.logical_or.reduce(found.mask).view(np.uint8)


def line_width(picture: np.ndarray) -> int:
    """Pixels that a line is wide on a picture of this size."""
    return max(1, round(min(picture.shape[:2]) / 360))


def _regions(found: sv.Detections, numbers: list[int]) -> list[Region]:
    """The objects that have a mask at all."""
    regions = []
    for mask, number in zip(found.mask if len(found) else (), numbers):
        mask = np.ascontiguousarray(mask).view(np.uint8)
        x, y, w, h = cv2.boundingRect(mask)
        if w:
            regions.append(Region(x, y, mask[y : y + h, x : x + w], colour_of(number)))
    return regions


def fill(picture: np.ndarray, region: Region, opacity: float) -> None:
    """Tint the object."""
    area = region.of(picture)
    levels = (
        np.arange(256)[:, None] * (1 - opacity) + np.array(region.colour) * opacity
    )  # what becomes of each value in each channel
    cv2.copyTo(cv2.LUT(area, levels.round().astype(np.uint8)[None]), region.mask, area)


def outline(picture: np.ndarray, region: Region) -> None:
    """Draw the edges of the object, those of its holes as well."""
    contours = cv2.findContours(region.mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE, offset=(region.x, region.y))[0]
    cv2.drawContours(picture, contours, -1, region.colour, line_width(picture), cv2.LINE_AA)


def pixelate(picture: np.ndarray, region: Region) -> None:
    """Make squares of one colour out of the object, a dozen along it at most; what is around it stays."""
    height, width = picture.shape[:2]
    h, w = region.mask.shape
    side = max(4, min(height, width) // 48)
    while side * 12 < max(
        h, w
    ):  # by doubling, and on one grid for the whole picture: the squares stand still as the object grows
        side *= 2
    left, top = region.x // side * side, region.y // side * side
    right, bottom = min(width, region.x + w), min(height, region.y + h)
    columns, rows = -(-(right - left) // side), -(-(bottom - top) // side)
    area = picture[top : min(height, top + rows * side), left : min(width, left + columns * side)]
    full = cv2.copyMakeBorder(
        area, 0, rows * side - area.shape[0], 0, columns * side - area.shape[1], cv2.BORDER_REPLICATE
    )
    squares = cv2.resize(full, (columns, rows), interpolation=cv2.INTER_AREA).repeat(side, axis=0).repeat(side, axis=1)
    y, x = region.y - top, region.x - left
    cv2.copyTo(squares[y : y + h, x : x + w], region.mask, region.of(picture))


def blur_background(picture: np.ndarray, covered: np.ndarray) -> None:
    """Blur all but the objects, as if they stood before a background out of focus."""
    height, width = covered.shape
    small = (max(1, width // 4), max(1, height // 4))  # a wide blur has no detail to lose
    bare = 1 - covered
    light = cv2.resize(cv2.copyTo(picture, bare), small, interpolation=cv2.INTER_AREA).astype(np.float32)
    share = cv2.resize(bare * 255, small, interpolation=cv2.INTER_AREA) * np.float32(1 / 255)
    sigma = min(small) / 40
    # Divided by how much of what lies around is background, so that no object's colours leak into it
    blurred = cv2.GaussianBlur(light, (0, 0), sigma) / (cv2.GaussianBlur(share, (0, 0), sigma) + 1e-6)[..., None]
    blurred = (blurred + 0.5).clip(0, 255).astype(np.uint8)
    cv2.copyTo(cv2.resize(blurred, (width, height), interpolation=cv2.INTER_LINEAR), bare, picture)


def dim_background(picture: np.ndarray, covered: np.ndarray) -> None:
    """Darken all but the objects."""
    cv2.copyTo(cv2.convertScaleAbs(picture, alpha=DIMMED), 1 - covered, picture)


def draw_halos(picture: np.ndarray, regions: list[Region], covered: np.ndarray) -> None:
    """A glow around each object, on the background only."""
    height, width = covered.shape
    reach = max(4, min(height, width) // 24)
    for region in regions:
        x, y, (h, w) = region.x, region.y, region.mask.shape
        left, top, right, bottom = min(reach, x), min(reach, y), min(reach, width - x - w), min(reach, height - y - h)
        wide = cv2.copyMakeBorder(region.mask * 255, top, bottom, left, right, cv2.BORDER_CONSTANT, value=0)
        here = slice(y - top, y + h + bottom), slice(x - left, x + w + right)
        # Half of what is blurred lies outside, so the glow is brightest at the edge
        glow = cv2.stackBlur(wide, (reach * 2 + 1, reach * 2 + 1)).astype(np.float32) * (2 * GLOW / 255)
        glow = np.minimum(glow, GLOW) * (1 - covered[here])
        picture[here] = cv2.blendLinear(
            np.full((*glow.shape, 3), region.colour, np.uint8), np.ascontiguousarray(picture[here]), glow, 1 - glow
        )


def draw_boxes(picture: np.ndarray, found: sv.Detections, numbers: list[int]) -> None:
    """The box of each object, inside the picture."""
    height, width = picture.shape[:2]
    thick = line_width(picture)
    inset = thick // 2  # half of a line lies on either side
    for (x1, y1, x2, y2), number in zip(found.xyxy.round().astype(int).tolist(), numbers):
        corner = max(inset, x1), max(inset, y1)
        cv2.rectangle(
            picture, corner, (min(width - 1 - inset, x2 - 1), min(height - 1 - inset, y2 - 1)), colour_of(number), thick
        )


def draw_trail(picture: np.ndarray, trail: deque, now: float, colour: tuple[int, int, int]) -> None:
    """Where an object came from, thinner the longer ago; broken where it was out of view."""
    thick, points = line_width(picture), list(trail)
    for edge, shade in ((2 * thick, (0, 0, 0)), (0, colour)):  # a dark edge first, since the fill has the same colour
        for (_, frame, x, y), (time, following, x2, y2) in zip(points, points[1:]):
            if following == frame + 1:
                width = max(1, round(2 * thick * (1 - (now - time) / TRAIL))) + edge
                cv2.line(picture, (round(x), round(y)), (round(x2), round(y2)), shade, width, cv2.LINE_AA)
