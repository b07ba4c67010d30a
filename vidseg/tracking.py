"""The loop over a clip: find objects on a keyframe, give them ids, carry them forward, one record a frame.

For now there is one keyframe. What comes later has its place here and nowhere else: when to detect again
(`Tracking._is_keyframe`), which detections are new objects (`Tracking._start_objects`), and which way to go.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import supervision as sv

from vidseg.errors import InputError
from vidseg.overlap import prefetch
from vidseg.sam.prompts import Box
from vidseg.sam.propagator import FrameFeatures, FrameMasks, Propagator
from vidseg.tracks import TrackedFrame
from vidseg.video import Clip, Frame

if TYPE_CHECKING:
    from vidseg.detection import Detector

SCAN_INTERVAL = 0.5  # seconds between the frames that are searched until something is found


class Tracking:
    """One run over a clip: iterate it for the frames, once, then ask it what happened.

    Args:
        clip: where the frames come from.
        propagator: fresh, without objects.
        detector, phrases: text prompt and who understands it; without them `boxes` says where the objects are.
        boxes: [N, 4] x1, y1, x2, y2 in pixels of the keyframe.
        keyframe: number of the frame to prompt on. By default the first one (boxes), or the first one on which the
            detector finds anything, looking twice a second (text).
        start, end: part of the clip in seconds, None for all of it.

    Attributes:
        keyframe: number of the frame the objects were prompted on; None as long as there was none.
        best_score: highest detection score seen so far, also below the threshold; 0.0 without a detector.
        labels: label of every object by id.
        seen: number of frames in which each object was visible, by id.
    """

    def __init__(
        self,
        clip: Clip,
        propagator: Propagator,
        detector: Detector | None = None,
        phrases: Sequence[str] = (),
        boxes: np.ndarray | None = None,
        keyframe: int | None = None,
        start: float | None = None,
        end: float | None = None,
    ):
        self.clip = clip
        self.keyframe: int | None = None
        self.best_score = 0.0
        self.labels: dict[int, str] = {}
        self.seen: dict[int, int] = {}
        self._propagator = propagator
        self._detector, self._phrases, self._boxes = detector, list(phrases), boxes
        self._wanted_keyframe = keyframe
        self._range = start, end
        self._last_scan = -np.inf

    @property
    def warning(self) -> str | None:
        """One line if the clip turned out to be damaged, else None."""
        return self.clip.warning

    def __iter__(self) -> Iterator[TrackedFrame]:
        for frame in prefetch(self.clip.frames(*self._range)):
            yield self._track(frame)
        if self._wanted_keyframe is not None and self._last_scan == -np.inf:
            raise InputError(f"{self.clip.path}: frame {self._wanted_keyframe}, the keyframe, is not in the part that was read")

    def _track(self, frame: Frame) -> TrackedFrame:
        parts = []
        if self.keyframe is not None:
            features = self._propagator.embed(frame.image)
            parts.append(self._propagator.step(features, frame.index))
        elif self._is_keyframe(frame):
            boxes, labels = self._find(frame)
            if len(boxes):
                features = self._propagator.embed(frame.image)
                parts.append(self._start_objects(features, frame.index, boxes, labels))
        return TrackedFrame(frame.index, frame.time, frame.image, self._detections(frame, parts))

    def _is_keyframe(self, frame: Frame) -> bool:
        """Whether to look for objects on this frame."""
        if self._wanted_keyframe is not None:
            return frame.index == self._wanted_keyframe
        return self._boxes is not None or frame.time - self._last_scan >= SCAN_INTERVAL - 1e-6

    def _find(self, frame: Frame) -> tuple[np.ndarray, list[str]]:
        """Boxes [N, 4] of the objects on a frame and their labels, best first."""
        self._last_scan = frame.time
        if self._boxes is not None:
            return self._boxes, ["object"] * len(self._boxes)
        found = self._detector.detect(frame.image, self._phrases)
        self.best_score = max(self.best_score, self._detector.best_score)
        found = found[np.argsort(-found.confidence, kind="stable")]
        return found.xyxy, list(found.data["class_name"])

    def _start_objects(self, features: FrameFeatures, index: int, boxes: np.ndarray, labels: list[str]) -> FrameMasks:
        """Give every box an id of its own and prompt the objects with them."""
        self.keyframe = index
        prompts = {}
        for box, label in zip(boxes, labels):
            object_id = len(self.labels) + 1
            self.labels[object_id] = str(label)
            self.seen[object_id] = 0
            prompts[object_id] = Box(tuple(float(value) for value in box))
        return self._propagator.prompt(features, index, prompts)

    def _detections(self, frame: Frame, parts: list[FrameMasks | None]) -> sv.Detections:
        """What is visible on a frame, in order of id. The confidence is SAM's own: predicted IoU × P(visible)."""
        height, width = frame.image.shape[:2]
        ids, masks, scores = [], [], []
        for part in filter(None, parts):
            large = part.masks(height, width)
            confidence = (part.ious * part.object_scores.sigmoid()).cpu().numpy()
            for object_id, mask, score in zip(part.ids, large, confidence):
                if mask.any():
                    ids.append(object_id)
                    masks.append(mask)
                    scores.append(score)
                    self.seen[object_id] += 1
        order = np.argsort(ids)
        masks = np.array([masks[i] for i in order], bool).reshape(-1, height, width)
        return sv.Detections(
            xyxy=np.array([bounds(mask) for mask in masks], np.float32).reshape(-1, 4),
            mask=masks,
            confidence=np.array([scores[i] for i in order], np.float32),
            tracker_id=np.array([ids[i] for i in order], int),
            data={"class_name": np.array([self.labels[ids[i]] for i in order], dtype=str)},
        )


def bounds(mask: np.ndarray) -> tuple[int, int, int, int]:
    """x1, y1, x2, y2 of a mask [H, W] that is not empty; x2 and y2 are one past its last pixel."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
