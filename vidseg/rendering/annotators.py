"""The styles of an overlay, each a few lines of OpenCV on the part of the picture that it changes.

supervision's annotators work on whole frames for each object, pixelate and blur boxes instead of masks, and draw other
edges. Where they give the same pixels (BackgroundOverlayAnnotator, for the spotlight), they take fifty times as long.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

import cv2
import numpy as np

from vidseg.rendering.fonts import undrawn_note
from vidseg.rendering.labels import draw_labels
from vidseg.rendering.objects import DrawnObject, objects_of, union_of
from vidseg.rendering.palette import RGB, Colours
from vidseg.tracks.frame import TrackedFrame

FILL = 0.45  # opacity of a mask's fill; its outline is opaque
DIMMED = 0.3  # what is left of the light around a spotlight
GLOW = 0.9  # opacity of a halo at the edge of its object
TRAIL = 2.0  # s


class Region(NamedTuple):
    """An object in the box around its mask: a frame holds far more background.

    Attributes:
        x: of the box's left edge in the frame.
        y: of its upper edge.
        mask: h×w uint8, 0 or 1.
        colour: of the object.
    """

    x: int
    y: int
    mask: np.ndarray
    colour: RGB

    def of(self, picture: np.ndarray) -> np.ndarray:
        """That part of an H×W… picture, as a view."""
        return picture[self.y : self.y + self.mask.shape[0], self.x : self.x + self.mask.shape[1]]


class TrailPoint(NamedTuple):
    """Where the middle of an object's box was on one frame."""

    time: float  # s
    frame: int
    x: float
    y: float


class OverlayAnnotator:
    """Draws objects on their frames, given in the order of the clip.

    Args:
        styles: some of vidseg.rendering.options.STYLES; they are drawn in that order, whatever their order here.
        opacity: 0–1, of the fill of the style "mask".
        colours: of the objects.
    """

    def __init__(self, styles: Iterable[str], opacity: float = FILL, colours: Colours | None = None):
        self._styles, self._opacity, self._colours = frozenset(styles), opacity, colours or Colours()
        self._trails: dict[int, deque[TrailPoint]] = {}  # by id, the latest TRAIL seconds
        self._written: set[str] = set()  # labels so far

    def observe(self, frame: TrackedFrame) -> None:
        """Note where the objects of a frame are, for the trails on later ones. `annotate` does that, too."""
        if "trail" in self._styles:
            self._extend_trails(frame, objects_of(frame.detections))

    def annotate(self, frame: TrackedFrame, scene: np.ndarray | None = None) -> np.ndarray:
        """Draw the objects of a frame.

        Args:
            frame: its image is left as it is.
            scene: picture to draw on instead of the frame's own; it is changed.

        Returns:
            H×W×3 uint8 RGB: `scene`, or a new array.
        """
        scene = _copy_of_image(frame) if scene is None else scene
        objects = objects_of(frame.detections)
        colours = [self._colours.of(one.id, one.label) for one in objects]
        regions = _regions(objects, colours)
        self._draw_background(scene, objects, regions)
        for region in regions if "pixelate" in self._styles else ():
            pixelate(scene, region)
        for region in regions if "mask" in self._styles else ():
            fill(scene, region, self._opacity)
        for region in regions if "contour" in self._styles else ():  # over all fills
            outline(scene, region)
        if "box" in self._styles:
            draw_boxes(scene, objects, colours)
        if "trail" in self._styles:
            self._extend_trails(frame, objects)
            for object_id, colour in {one.id: colour for one, colour in zip(objects, colours)}.items():
                draw_trail(scene, self._trails[object_id], frame.time, colour)
        if "label" in self._styles:
            draw_labels(scene, objects, colours)
            self._written.update(one.label for one in objects)
        return scene

    @property
    def note(self) -> str | None:
        """None, or one line that says which labels so far could not be drawn."""
        return undrawn_note(self._written)

    def _draw_background(self, scene: np.ndarray, objects: list[DrawnObject], regions: list[Region]) -> None:
        """Draw the styles that change what is around the objects."""
        if not self._styles & {"blur-background", "spotlight", "halo"}:
            return
        covered = union_of(objects, *scene.shape[:2])
        if "blur-background" in self._styles:
            blur_background(scene, covered)
        if "spotlight" in self._styles:
            dim_background(scene, covered)
        if "halo" in self._styles:
            draw_halos(scene, regions, covered)

    def _extend_trails(self, frame: TrackedFrame, objects: list[DrawnObject]) -> None:
        for one in objects:
            x1, y1, x2, y2 = one.box.tolist()
            point = TrailPoint(frame.time, frame.index, (x1 + x2) / 2, (y1 + y2) / 2)
            self._trails.setdefault(one.id, deque()).append(point)
        for object_id, trail in list(self._trails.items()):
            while trail and trail[0].time < frame.time - TRAIL:
                trail.popleft()
            if not trail:
                del self._trails[object_id]


def _copy_of_image(frame: TrackedFrame) -> np.ndarray:
    assert frame.image is not None, "only frames with an image can be drawn"
    return frame.image.copy()


def line_width(picture: np.ndarray) -> int:
    """Pixels that a line is wide on a picture of this size."""
    return max(1, round(min(picture.shape[:2]) / 360))


def _regions(objects: list[DrawnObject], colours: list[RGB]) -> list[Region]:
    """The objects that have any pixel."""
    regions = []
    for one, colour in zip(objects, colours):
        mask = np.ascontiguousarray(one.mask).view(np.uint8)
        x, y, w, h = cv2.boundingRect(mask)
        if w:
            regions.append(Region(x, y, mask[y : y + h, x : x + w], colour))
    return regions


def fill(picture: np.ndarray, region: Region, opacity: float) -> None:
    """Tint the object."""
    area = region.of(picture)
    # What becomes of each value in each channel
    levels = np.arange(256)[:, None] * (1 - opacity) + np.array(region.colour) * opacity
    cv2.copyTo(cv2.LUT(area, levels.round().astype(np.uint8)[None]), region.mask, area)


def outline(picture: np.ndarray, region: Region) -> None:
    """Draw the edges of the object, those of its holes as well."""
    contours = cv2.findContours(region.mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE, offset=(region.x, region.y))[0]
    cv2.drawContours(picture, contours, -1, region.colour, line_width(picture), cv2.LINE_AA)


def pixelate(picture: np.ndarray, region: Region) -> None:
    """Turn the object into squares of one colour, a dozen along it at most; what is around it stays."""
    height, width = picture.shape[:2]
    h, w = region.mask.shape
    side = max(4, min(height, width) // 48)
    # By doubling, and on one grid for the whole picture: the squares stand still as the object grows
    while side * 12 < max(h, w):
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
    """Blur all but the objects, like a background that is out of focus."""
    height, width = covered.shape
    small = (max(1, width // 4), max(1, height // 4))  # a wide blur has no detail to lose
    bare = 1 - covered
    light = cv2.resize(cv2.copyTo(picture, bare), small, interpolation=cv2.INTER_AREA).astype(np.float32)
    share = cv2.resize(bare * 255, small, interpolation=cv2.INTER_AREA) * np.float32(1 / 255)
    sigma = min(small) / 40
    # Divided by the share of background around each pixel, so that no object's colours leak into it
    blurred = cv2.GaussianBlur(light, (0, 0), sigma) / (cv2.GaussianBlur(share, (0, 0), sigma) + 1e-6)[..., None]
    blurred = (blurred + 0.5).clip(0, 255).astype(np.uint8)
    cv2.copyTo(cv2.resize(blurred, (width, height), interpolation=cv2.INTER_LINEAR), bare, picture)


def dim_background(picture: np.ndarray, covered: np.ndarray) -> None:
    """Darken all but the objects."""
    cv2.copyTo(cv2.convertScaleAbs(picture, alpha=DIMMED), 1 - covered, picture)


def draw_halos(picture: np.ndarray, regions: list[Region], covered: np.ndarray) -> None:
    """Let each object glow, on the background only."""
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
        colour = np.full((*glow.shape, 3), region.colour, np.uint8)
        picture[here] = cv2.blendLinear(colour, np.ascontiguousarray(picture[here]), glow, 1 - glow)


def draw_boxes(picture: np.ndarray, objects: list[DrawnObject], colours: list[RGB]) -> None:
    """Draw the box of each object, inside the picture."""
    height, width = picture.shape[:2]
    thick = line_width(picture)
    inset = thick // 2  # half of a line lies on either side
    for one, colour in zip(objects, colours):
        x1, y1, x2, y2 = one.box.round().astype(int).tolist()
        upper_left = max(inset, x1), max(inset, y1)
        lower_right = min(width - 1 - inset, x2 - 1), min(height - 1 - inset, y2 - 1)
        cv2.rectangle(picture, upper_left, lower_right, colour, thick)


def draw_trail(picture: np.ndarray, trail: Iterable[TrailPoint], now: float, colour: RGB) -> None:
    """Draw where an object came from, thinner the longer ago, and broken where it was out of view."""
    thick, points = line_width(picture), list(trail)
    for edge, shade in ((2 * thick, (0, 0, 0)), (0, colour)):  # a dark edge first, since the fill has the same colour
        for before, point in zip(points, points[1:]):
            if point.frame == before.frame + 1:
                width = max(1, round(2 * thick * (1 - (now - point.time) / TRAIL))) + edge
                start, end = (round(before.x), round(before.y)), (round(point.x), round(point.y))
                cv2.line(picture, start, end, shade, width, cv2.LINE_AA)
