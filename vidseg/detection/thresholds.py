"""What counts as found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from vidseg.detection.base import BEST_SCORE, BEST_SCORES, Detector, best_score, best_scores
from vidseg.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    import supervision as sv


@dataclass(frozen=True, kw_only=True)
class DetectionThresholds:
    """What counts as found; the defaults are those of Grounding DINO's own demos.

    Attributes:
        box: score that a phrase needs for a box, 0..1.
        text: probability below which a token counts as none when two phrases compete for a box, 0..1.
        nms: IoU above which two boxes of one phrase are duplicates.

    Raises:
        InputError: one is not a number from 0 to 1.
    """

    box: float = 0.35
    text: float = 0.25
    nms: float = 0.6

    def __post_init__(self) -> None:
        for name, value in (("box", self.box), ("text", self.text), ("nms", self.nms)):
            if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= value <= 1:
                raise InputError(f"the {name} threshold must be a number from 0 to 1; it is {value!r}")

    def updated(self, box: float | None, text: float | None) -> DetectionThresholds:
        """These with another box or text threshold; None: as it is. Raises InputError."""
        return replace(self, box=self.box if box is None else box, text=self.text if text is None else text)


DEFAULT_THRESHOLDS = DetectionThresholds()


@runtime_checkable
class Adjustable(Protocol):
    """A detector that can have other thresholds."""

    def with_thresholds(self, box: float | None, text: float | None) -> Detector:
        """The same detector with other thresholds; None: as they are."""
        ...


def with_thresholds(detector: Detector, box: float | None = None, text: float | None = None) -> Detector:
    """A detector with other thresholds; None: as they are.

    Of a detector without thresholds of its own, the boxes above the box threshold are kept; a text threshold does
    nothing.

    Raises:
        InputError: a threshold is not a number from 0 to 1.
    """
    wanted = DEFAULT_THRESHOLDS.updated(box, text)
    if box is None and text is None:
        return detector
    if isinstance(detector, Adjustable):
        return detector.with_thresholds(box, text)
    return detector if box is None else _Filtered(detector, wanted.box)


class _Filtered:
    """A detector of which only boxes above a score are kept."""

    def __init__(self, detector: Detector, box_threshold: float):
        self._detector, self._box_threshold = detector, box_threshold

    def detect(self, image: np.ndarray, phrases: Sequence[str]) -> sv.Detections:
        """As `Detector.detect`."""
        found = self._detector.detect(image, phrases)
        if found.confidence is None:
            return found
        kept: Any = found[found.confidence > self._box_threshold]  # typed as whatever an index may give
        kept.metadata = {**found.metadata, BEST_SCORE: best_score(found), BEST_SCORES: best_scores(found, phrases)}
        return kept
