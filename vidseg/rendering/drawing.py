"""From a tracked frame to the picture of it that was asked for."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import supervision as sv

from vidseg.rendering.cutout import background_of, cut_out, put_on, soft_alpha
from vidseg.rendering.looks import Look
from vidseg.rendering.palette import Colours
from vidseg.rendering.styles import FILL, TRAIL, Painter, covered_by
from vidseg.tracks.frame import TrackedFrame


class Drawing:
    """Draws the pictures of one run, frame by frame in the order of the clip.

    header: of the tracks file; the clip has its width and height.
    width, height: pixels of the pictures.
    past: s before a frame in which it matters where the objects were.
    """

    def __init__(self, look: Look, header: dict[str, Any]):
        self._look, self._labels, self._shown = look, set(), False
        self._width, self._height = _drawn_size(look, header["width"], header["height"])
        self._scaled = (self._width, self._height) != (header["width"], header["height"])
        self.width, self.height = self._width * (2 if look.side_by_side else 1), self._height
        self.past = TRAIL if "trail" in look.styles else 0.0
        self.colours = Colours(look.color_by, header.get("prompts") or ())
        self._painter = Painter(look.styles, FILL if look.opacity is None else look.opacity, self.colours)
        self._background = (
            None if look.background is None else background_of(look.background, self._width, self._height)
        )

    def see(self, frame: TrackedFrame) -> None:
        """Note a frame that comes before those to make: its objects leave trails. It has no image."""
        self._painter.see(self._fitted(frame))

    def make(self, frame: TrackedFrame) -> np.ndarray:
        """H×W×3 uint8 RGB, or H×W×4 for a cut-out. The frame's image is left as it is."""
        self.colours.note(frame.detections.data.get("class_name", ()))
        frame = self._fitted(frame)
        if self._look.kind == "overlay" and self._background is None:
            picture = self._painter.paint(frame)
        else:
            alpha = soft_alpha(covered_by(frame.detections, frame.image.shape[:2]))
            if self._look.kind == "cutout":
                return cut_out(frame.image, alpha)
            if self._look.kind == "matte":
                return cv2.merge([alpha] * 3)
            picture = self._painter.paint(frame, put_on(frame.image, alpha, self._background))
        return np.hstack([frame.image, picture]) if self._look.side_by_side else picture

    @property
    def note(self) -> str | None:
        """One line if nothing was shown because no object is one of those asked for."""
        if self._shown or not self._labels:
            return None
        wanted = ", ".join(sorted(f"{key}={value}" for key, value in self._look.only))
        return f"nothing is shown: no object is {wanted}; the labels are {', '.join(sorted(self._labels))}"

    def _fitted(self, frame: TrackedFrame) -> TrackedFrame:
        """The frame with the chosen objects only, in the size of the drawing."""
        found, image = frame.detections, frame.image
        if self._look.only and len(found):
            labels = [str(label) for label in found.data["class_name"]]
            kept = np.array([self._look.keeps(label, int(i)) for label, i in zip(labels, found.tracker_id)])
            self._labels.update(labels)
            self._shown |= bool(kept.any())
            found = found[kept]
        if self._scaled:
            size = self._width, self._height
            if image is not None:
                image = cv2.resize(
                    image, size, interpolation=cv2.INTER_AREA if size[1] < image.shape[0] else cv2.INTER_CUBIC
                )
            found = _scaled(found, size)
        return TrackedFrame(frame.index, frame.time, image, found)


def _drawn_size(look: Look, width: int, height: int) -> tuple[int, int]:
    """(width, height) in pixels that frames are drawn in: scaled in proportion, the side that follows is even."""
    if look.height is not None:
        return max(2, round(width * look.height / height / 2) * 2), look.height
    if look.width is not None:
        return look.width, max(2, round(height * look.width / width / 2) * 2)
    return width, height


def _scaled(found: sv.Detections, size: tuple[int, int]) -> sv.Detections:
    """The same objects on a picture of (width, height)."""
    if not len(found):
        return found
    height, width = found.mask.shape[1:]
    masks = np.empty((len(found), size[1], size[0]), bool)
    shrink = cv2.INTER_AREA if size[1] < height else cv2.INTER_LINEAR
    for mask, source in zip(masks, found.mask):
        mask[:] = cv2.resize(np.ascontiguousarray(source).view(np.uint8) * 255, size, interpolation=shrink) > 127
    factors = np.array([size[0] / width, size[1] / height] * 2, np.float32)
    return sv.Detections(
        xyxy=found.xyxy * factors,
        mask=masks,
        confidence=found.confidence,
        tracker_id=found.tracker_id,
        data=dict(found.data),
    )
