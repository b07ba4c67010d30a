"""What a detector is to the rest of vidseg."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    import supervision as sv

BEST_SCORE = "best_score"  # keys of `Detections.metadata`
BEST_SCORES = "best_scores"


class Detector(Protocol):
    """Finds what a text prompt names."""

    def detect(self, image: np.ndarray, phrases: Sequence[str]) -> sv.Detections:
        """Boxes of the objects that `phrases` name, best first.

        Args:
            image: H×W×3 uint8 RGB.
            phrases: as `vidseg.detection.phrases.parse_phrases` gives them.

        Returns:
            N detections: xyxy N×4 in pixels, confidence N in 0..1, class_id N (place of the phrase in `phrases`) and
            data["class_name"] N str. metadata["best_score"] is a float, the best score of any box and phrase, also
            where it stayed below the detector's threshold, and metadata["best_scores"] a list of the same for each
            phrase; a detector may leave them out.
        """
        ...


def best_score(detections: sv.Detections) -> float:
    """The best score of any box and phrase, 0..1; of the boxes that were found if the detector does not say."""
    if BEST_SCORE in detections.metadata:
        return float(detections.metadata[BEST_SCORE])
    confidence = detections.confidence
    return 0.0 if confidence is None else float(confidence.max(initial=0.0))


def best_scores(detections: sv.Detections, phrases: Sequence[str]) -> list[float]:
    """The best score of each phrase, 0..1; of the boxes that were found if the detector does not say."""
    said = detections.metadata.get(BEST_SCORES)
    if said is not None and len(said) == len(phrases):
        return [float(score) for score in said]
    if len(phrases) == 1:
        return [best_score(detections)]
    scores, names = detections.confidence, detections.data.get("class_name")
    if scores is None or names is None:
        return [0.0] * len(phrases)
    return [max((float(s) for s, name in zip(scores, names) if name == phrase), default=0.0) for phrase in phrases]
