"""What the detector finds on a frame."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from vidseg.detection.base import best_score, best_scores
from vidseg.prompts.geometry import Box

if TYPE_CHECKING:
    import supervision as sv

    from vidseg.detection.base import Detector
    from vidseg.io.clip import Frame

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class FrameDetections:
    """Detections on one frame.

    Attributes:
        boxes: [N, 4] x1, y1, x2, y2 in pixels, best first.
        labels: N of them.
        scores: [N], 0..1.
    """

    boxes: np.ndarray
    labels: list[str]
    scores: np.ndarray

    @classmethod
    def of(cls, found: sv.Detections) -> FrameDetections:
        """What a detector has returned, best first."""
        if not len(found) or found.confidence is None:
            return cls(np.zeros((0, 4), np.float32), [], np.zeros(0, np.float32))
        order = np.argsort(-found.confidence, kind="stable")
        labels = [str(name) for name in found.data["class_name"]]
        return cls(found.xyxy[order], [labels[row] for row in order], found.confidence[order])

    def keep(self, rows: np.ndarray) -> FrameDetections:
        """Those for which an array [N] bool is true."""
        return FrameDetections(
            self.boxes[rows], [label for label, kept in zip(self.labels, rows) if kept], self.scores[rows]
        )


class PhraseDetector:
    """A detector, and what it is to look for.

    Attributes:
        best_score: highest score of a detection so far, also below the detector's threshold; 0.0 before the first.
        best_scores: the same for each phrase.
    """

    def __init__(self, detector: Detector, phrases: Sequence[str], best_score: float = 0.0):
        self._detector, self._phrases = detector, list(phrases)
        self.best_score = best_score
        self.best_scores = dict.fromkeys(self._phrases, 0.0)

    def __call__(self, frame: Frame) -> FrameDetections:
        """What is on a frame."""
        found = self._detector.detect(frame.image, self._phrases)
        self.best_score = max(self.best_score, best_score(found))
        for phrase, score in zip(self._phrases, best_scores(found, self._phrases)):
            self.best_scores[phrase] = max(self.best_scores[phrase], score)
        detections = FrameDetections.of(found)
        names = ", ".join(f"{label} {score:.2f}" for label, score in zip(detections.labels, detections.scores))
        logger.info(
            "Frame %d (%.2f s): %s", frame.index, frame.time, f"detected {names}" if names else "nothing detected"
        )
        return detections


def as_box(corners: np.ndarray) -> Box:
    """A box prompt of x1, y1, x2, y2 [4] in pixels."""
    x1, y1, x2, y2 = (float(value) for value in corners)
    return Box((x1, y1, x2, y2))
