"""Where one scene ends and another begins: PySceneDetect's detector, fed with the frames that are decoded anyway."""

from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np

SIDE = 256  # pixels of the longer side that are compared; more would only cost time


class SceneCuts:
    """Says of each frame of a clip, given in order, whether a new scene begins with it."""

    def __init__(self, frame_rate: float | Fraction):
        from scenedetect.detectors import ContentDetector

        self._frame_rate = float(frame_rate)
        # Its filter would report a cut some frames late by default, or merge two that are close: here each counts.
        self._detector = ContentDetector(min_scene_len=1)
        self._number = 0

    def begins(self, image: np.ndarray) -> bool:
        """image: [H, W, 3] uint8 RGB."""
        from scenedetect import FrameTimecode

        height, width = image.shape[:2]
        size = [
            max(1, round(side * SIDE / max(height, width))) for side in (width, height)
        ]  # very thin ones keep a row
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        timecode = FrameTimecode(self._number, self._frame_rate)
        self._number += 1
        return bool(self._detector.process_frame(timecode, cv2.cvtColor(small, cv2.COLOR_RGB2BGR)))
