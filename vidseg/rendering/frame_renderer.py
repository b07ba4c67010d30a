"""From a tracked frame to the picture of it that was asked for."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import supervision as sv

from vidseg.rendering.annotators import FILL, TRAIL, OverlayAnnotator
from vidseg.rendering.cutout import composite, cut_out, load_background, soft_alpha
from vidseg.rendering.objects import objects_of, union_of
from vidseg.rendering.options import RenderOptions
from vidseg.rendering.palette import Colours
from vidseg.tracks.frame import TrackedFrame


class FrameRenderer:
    """Draws the pictures of one run, frame by frame in the order of the clip.

    Args:
        options: what is asked for.
        header: of the tracks file; the clip has its width and height.

    Attributes:
        width: pixels of the pictures.
        height: the same.
        past: s before a frame in which it matters where the objects were.
        colours: of the objects.

    Raises:
        InputError: for a background that cannot be read.
    """

    def __init__(self, options: RenderOptions, header: dict[str, Any]):
        self._options = options
        self._size = _drawn_size(options, header["width"], header["height"])
        self._scaled = self._size != (header["width"], header["height"])
        self.width, self.height = self._size[0] * (2 if options.side_by_side else 1), self._size[1]
        self.past = TRAIL if "trail" in options.styles else 0.0
        self.colours = Colours(options.color_by, header.get("prompts") or ())
        opacity = FILL if options.opacity is None else options.opacity
        self._annotator = OverlayAnnotator(options.styles, opacity, self.colours)
        self._background = None if options.background is None else load_background(options.background, *self._size)
        self._labels: set[str] = set()  # of all objects so far
        self._any_shown = False

    def observe(self, frame: TrackedFrame) -> None:
        """Note a frame, without an image, that comes before those to draw: its objects leave trails."""
        self._annotator.observe(self._fitted(frame))

    def draw(self, frame: TrackedFrame) -> np.ndarray:
        """Draw a frame, and leave its image as it is.

        Returns:
            H×W×3 uint8 RGB, or H×W×4 for a cut-out.
        """
        self.colours.note(frame.detections.data.get("class_name", ()))
        frame = self._fitted(frame)
        image = frame.image
        assert image is not None, "only frames with an image can be drawn"
        if self._options.kind == "overlay" and self._background is None:
            picture = self._annotator.annotate(frame)
        else:
            alpha = soft_alpha(union_of(objects_of(frame.detections), *image.shape[:2]))
            if self._options.kind == "cutout":
                return cut_out(image, alpha)
            if self._background is None:  # a matte
                return cv2.merge([alpha] * 3)
            picture = self._annotator.annotate(frame, composite(image, alpha, self._background))
        return np.hstack([image, picture]) if self._options.side_by_side else picture

    @property
    def note(self) -> str | None:
        """One line if nothing was shown because no object is one of those asked for, or if a label has no font."""
        if self._any_shown or not self._labels:
            return self._annotator.note
        wanted = ", ".join(sorted(f"{key}={value}" for key, value in self._options.selection))
        return f"nothing is shown: no object is {wanted}; the labels are {', '.join(sorted(self._labels))}"

    def _fitted(self, frame: TrackedFrame) -> TrackedFrame:
        """The frame with the chosen objects only, in the size of the drawing."""
        found, image = frame.detections, frame.image
        if self._options.selection and len(found):
            found = self._chosen(found)
        if self._scaled:
            if image is not None:
                method = cv2.INTER_AREA if self._size[1] < image.shape[0] else cv2.INTER_CUBIC
                image = cv2.resize(image, self._size, interpolation=method).astype(np.uint8, copy=False)
            found = _scaled(found, self._size)
        return TrackedFrame(frame.index, frame.time, image, found)

    def _chosen(self, found: sv.Detections) -> sv.Detections:
        objects = objects_of(found)
        shown = np.array([self._options.shows(one.label, one.id) for one in objects])
        self._labels.update(one.label for one in objects)
        self._any_shown |= bool(shown.any())
        chosen = found[shown]
        assert isinstance(chosen, sv.Detections)
        return chosen


def _drawn_size(options: RenderOptions, width: int, height: int) -> tuple[int, int]:
    """(width, height) in pixels that frames are drawn in: scaled in proportion, the side that follows is even."""
    if options.height is not None:
        return max(2, round(width * options.height / height / 2) * 2), options.height
    if options.width is not None:
        return options.width, max(2, round(height * options.width / width / 2) * 2)
    return width, height


def _scaled(found: sv.Detections, size: tuple[int, int]) -> sv.Detections:
    """The same objects on a picture of (width, height)."""
    objects = objects_of(found)
    if not objects:
        return found
    height, width = objects[0].mask.shape
    masks = np.empty((len(objects), size[1], size[0]), bool)
    method = cv2.INTER_AREA if size[1] < height else cv2.INTER_LINEAR
    for mask, one in zip(masks, objects):
        mask[:] = cv2.resize(np.ascontiguousarray(one.mask).view(np.uint8) * 255, size, interpolation=method) > 127
    factors = np.array([size[0] / width, size[1] / height] * 2, np.float32)
    return sv.Detections(
        xyxy=found.xyxy * factors,
        mask=masks,
        confidence=found.confidence,
        tracker_id=found.tracker_id,
        data=dict(found.data),
    )
