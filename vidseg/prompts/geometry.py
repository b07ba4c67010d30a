"""The ways to say which object is meant on a frame, in pixels of that frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np


class SupportsArray(Protocol):
    """What NumPy makes an array of: an array, a tensor on the CPU, …."""

    def __array__(self) -> np.ndarray: ...


Rows: TypeAlias = Sequence[Sequence[float]] | SupportsArray  # rows of numbers, such as boxes and points


@dataclass(frozen=True)
class Points:
    """Clicks on one object.

    Attributes:
        xy: (x, y) of each click in pixels, x to the right, y down.
        labels: 1 for a click on the object, 0 for one on what does not belong to it; one each.
    """

    xy: tuple[tuple[float, float], ...]
    labels: tuple[int, ...]

    def __post_init__(self):
        if not self.xy or len(self.xy) != len(self.labels) or set(self.labels) - {0, 1}:
            raise ValueError("points need one label each, 1 (object) or 0 (not the object)")


@dataclass(frozen=True)
class Box:
    """A box around one object, refined by clicks if there are any.

    Attributes:
        xyxy: x1, y1, x2, y2 in pixels.
        points: clicks on the object in the box, or None.
    """

    xyxy: tuple[float, float, float, float]
    points: Points | None = None


@dataclass(frozen=True, eq=False)
class MaskPrompt:
    """The exact pixels of one object on a frame.

    Attributes:
        mask: [H, W] bool, at the size of the frame.
    """

    mask: np.ndarray


Prompt = Box | Points | MaskPrompt


def as_clicks(prompt: Box | Points, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """A box or points as SAM's prompt encoder takes them.

    SAM 2 sees a box as two clicks with labels of their own, before any other click
    (`SAM2VideoPredictor.add_new_points_or_box`).

    Args:
        prompt: in pixels of the frame.
        height: of the frame in pixels.
        width: of the frame in pixels.

    Returns:
        xy: [P, 2] float32, fractions of the frame's width and height.
        labels: [P] int32: 1 object, 0 not the object, 2 and 3 the corners of a box.
    """
    points = prompt if isinstance(prompt, Points) else prompt.points
    xy = [] if points is None else list(points.xy)
    labels = [] if points is None else list(points.labels)
    if isinstance(prompt, Box):
        x1, y1, x2, y2 = prompt.xyxy
        xy, labels = [(x1, y1), (x2, y2), *xy], [2, 3, *labels]
    return np.array(xy, np.float32) / np.array([width, height], np.float32), np.array(labels, np.int32)
