"""Where objects are, without what sticks out of them, and where they go."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from vidseg.tracking.options import THRESHOLDS
from vidseg.tracking.pending import PendingFrame


@dataclass
class MotionHistory:
    """How an object moved, and looked, as long as nothing touched it.

    Attributes:
        span: seconds that it reaches back.
        seen: of each frame the time in s, the trimmed box x1, y1, x2, y2 [4] in pixels, and the embedding [C].
    """

    span: float
    seen: deque[tuple[float, np.ndarray, Tensor]] = field(default_factory=deque)

    def add(self, time: float, box: np.ndarray, embedding: Tensor) -> None:
        """Note a frame."""
        self.seen.append((time, box, embedding))
        self.forget(time)

    @property
    def embedding(self) -> Tensor:
        """From as long ago as possible: what comes near is soon seen in it."""
        return self.seen[0][2]

    def copy(self) -> MotionHistory:
        """A history of its own with the same frames."""
        return MotionHistory(self.span, self.seen.copy())

    def forget(self, time: float) -> None:
        """Drop what lies too far from a time to say anything about it."""
        while self.seen and abs(time - self.seen[0][0]) > self.span:
            self.seen.popleft()

    def predict(self, time: float) -> np.ndarray:
        """The box [4] at another time, if the object goes on as it did.

        It has the median size, and a centre on the straight line that fits the centres so far.
        """
        times, boxes = (np.array([one[part] for one in self.seen]) for part in (0, 1))
        half = np.median(boxes[:, 2:] - boxes[:, :2], 0) / 2
        centres = (boxes[:, :2] + boxes[:, 2:]) / 2
        centre = [np.polyval(np.polyfit(times - time, values, 1), 0) for values in centres.T]
        return np.concatenate([centre - half, centre + half])


def trimmed_boxes(frame: PendingFrame, scale: float = THRESHOLDS.trim_scale) -> tuple[list[int], np.ndarray]:
    """Ids of the visible objects, and a box [N, 4] around each mask without what sticks out of it, in pixels."""
    if not frame.estimates:
        return [], np.zeros((0, 4))
    masks = torch.stack([estimate.mask for estimate in frame.estimates.values()]).cpu().numpy()
    size = np.array(frame.frame.image.shape[1::-1])
    spans = [np.ravel([trimmed_span(mask.sum(axis), scale) for axis in (0, 1)], "F") for mask in masks]
    return list(frame.estimates), np.array(
        [span * np.tile(size / mask.shape[::-1], 2) for span, mask in zip(spans, masks)]
    )


def trimmed_span(counts: np.ndarray | Sequence[int], scale: float = THRESHOLDS.trim_scale) -> tuple[float, float]:
    """Where most of a mask begins and ends along an axis.

    Args:
        counts: [n] of its cells there, some of them positive.
        scale: how much wider it is than its middle 80 %.
    """
    counts = np.asarray(counts)
    inside = np.flatnonzero(counts)
    share = np.concatenate([[0], np.cumsum(counts)]) / counts.sum()
    middle = np.interp([0.1, 0.9], share, np.arange(len(share)))
    reach = (scale - 1) / 2 * (middle[1] - middle[0])
    return max(inside[0], middle[0] - reach), min(inside[-1] + 1, middle[1] + reach)
