"""Where one scene ends and another begins: PySceneDetect's detector, fed with the frames that are decoded anyway."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from vidseg.tracking.options import THRESHOLDS, Thresholds


@dataclass
class SceneChangeState:
    """What is remembered of the frames so far.

    Attributes:
        frame_rate: of the clip, in frames/s.
        previous: [h, w, 3] uint8 BGR, the last frame in small; None before the first.
        count: how many frames there were.
    """

    frame_rate: float
    previous: np.ndarray | None = None
    count: int = 0


class SceneChangeDetector:
    """Says of each frame of a clip, given in order, whether a new scene begins with it.

    Args:
        state: new, or of an earlier detector, to go on with.
        thresholds: `scene_change_side`.

    Attributes:
        state: all that it knows. For reading, and for writing it down.
    """

    def __init__(self, state: SceneChangeState, thresholds: Thresholds = THRESHOLDS):
        from scenedetect.detectors import ContentDetector

        self.state = state
        self._side = thresholds.scene_change_side
        # Its filter would report a change some frames late by default, or merge two that are close: here each counts.
        # With a length of 1 the filter passes every change on at once, so the last frame is all there is to remember.
        self._detector = ContentDetector(min_scene_len=1)
        if self.state.previous is not None:
            self._detector.process_frame(self._timecode(self.state.count - 1), self.state.previous)

    def update(self, image: np.ndarray) -> bool:
        """Take the next image, [H, W, 3] uint8 RGB. Returns whether a new scene begins with it."""
        height, width = image.shape[:2]
        # Very thin images keep a row.
        size = [max(1, round(side * self._side / max(height, width))) for side in (width, height)]
        small = cv2.cvtColor(cv2.resize(image, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2BGR)
        timecode = self._timecode(self.state.count)
        self.state.previous, self.state.count = small, self.state.count + 1
        return bool(self._detector.process_frame(timecode, small))

    def _timecode(self, number: int):
        from scenedetect import FrameTimecode

        return FrameTimecode(number, self.state.frame_rate)
