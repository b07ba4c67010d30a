"""A detector that errs."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import supervision as sv

from scripts.detections import select
from vidseg.detection.base import Detector


class FaultyDetector:
    """A detector that on some frames withholds boxes and on some invents them.

    The faults of a frame follow from the seed and the frame's pixels alone: they are the same however often and in
    whatever order it is asked.

    Args:
        detector: the real one.
        seed: of the faults.
    """

    WITHHOLDS = 0.5  # share of frames on which boxes are withheld
    WITHHELD = 0.5  # share of the boxes that are withheld there
    INVENTS = 0.4  # share of frames with one or two false boxes

    def __init__(self, detector: Detector, seed: int):
        self._detector, self._seed = detector, seed

    def detect(self, image: np.ndarray, phrases: Sequence[str]) -> sv.Detections:
        """Boxes with faults. They have no best score: the real detector's would betray what is withheld."""
        found = replace(self._detector.detect(image, phrases), metadata={})
        rng = np.random.default_rng([self._seed, zlib.crc32(image.tobytes())])
        kept = rng.random(len(found)) >= (self.WITHHELD if rng.random() < self.WITHHOLDS else 0)
        false = self._invent(rng, image, phrases, found.xyxy) if rng.random() < self.INVENTS else []
        result = sv.Detections.merge([select(found, kept), *false]) if false else select(found, kept)
        scores = np.zeros(0) if result.confidence is None else result.confidence
        ordered = result[np.argsort(-scores, kind="stable")]
        assert isinstance(ordered, sv.Detections)
        return ordered

    def _invent(
        self, rng: np.random.Generator, image: np.ndarray, phrases: Sequence[str], real: np.ndarray
    ) -> list[sv.Detections]:
        """One or two boxes where nothing is that was asked for, each as Detections."""
        height, width = image.shape[:2]
        false = []
        for _ in range(rng.integers(1, 3)):
            for _ in range(50):
                sides = rng.uniform(0.2, 0.35, 2) * height
                corner = rng.uniform(0, 1, 2) * ((width, height) - sides)
                box = np.concatenate([corner, corner + sides]).astype(np.float32)[None]
                if not len(real) or sv.box_iou_batch(box, real.astype(np.float32)).max() < 0.1:
                    false.append(self._one(rng, box, phrases))
                    break
        return false

    @staticmethod
    def _one(rng: np.random.Generator, box: np.ndarray, phrases: Sequence[str]) -> sv.Detections:
        kind = int(rng.integers(len(phrases)))
        return sv.Detections(
            xyxy=box,
            confidence=np.array([rng.uniform(0.36, 0.6)], np.float32),
            class_id=np.array([kind]),
            data={"class_name": np.array([phrases[kind]], dtype=str)},
        )
