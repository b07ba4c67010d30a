"""One frame and the objects on it: what a run yields, what is drawn and what is written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import supervision as sv
    from numpy.typing import NDArray

CORRECTED = "corrected"  # where detections on an image carry the ids of found objects that prompts turned out to be of


@dataclass
class TrackedFrame:
    """One frame and the objects seen on it.

    Attributes:
        index: number of the frame in the clip, 0-based.
        time: s, from the stream's own timestamps.
        image: H×W×3 uint8 RGB; None where only tracks were read.
        detections: N objects: xyxy N×4 float32 (pixels), mask N×H×W bool, confidence N float32, tracker_id N int,
            class_id N int (see `ClassIds`), data["class_name"] N str.
        duration: s that the frame is shown; None if not known.
    """

    index: int
    time: float
    image: NDArray[np.uint8] | None
    detections: sv.Detections
    duration: float | None = None


class ClassIds:
    """Numbers of labels, the same on all frames of a run: `class_id` of detections.

    The phrases of the prompt have their place in it, from 0. Other labels follow in the order in which they first
    appear.

    Args:
        phrases: of the prompt.
    """

    def __init__(self, phrases: Sequence[str] = ()):
        self._numbers = {phrase: number for number, phrase in enumerate(dict.fromkeys(phrases))}

    def number(self, labels: Iterable[str]) -> NDArray[np.int_]:
        """The number of each of N labels, [N] int; labels that are new get the next ones."""
        import numpy as np

        return np.array([self._numbers.setdefault(str(label), len(self._numbers)) for label in labels], int)


def empty_detections(height: int, width: int) -> sv.Detections:
    """The detections of a frame of height×width pixels without objects, with all the fields of a `TrackedFrame`."""
    import numpy as np
    import supervision as sv

    return sv.Detections(
        xyxy=np.zeros((0, 4), np.float32),
        mask=np.zeros((0, height, width), bool),
        confidence=np.zeros(0, np.float32),
        tracker_id=np.zeros(0, int),
        class_id=np.zeros(0, int),
        data={"class_name": np.zeros(0, str)},
    )


def mask_bounds(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """The smallest box around an H×W mask that is not empty: x1, y1, x2, y2.

    x2 and y2 are one past its last pixel.
    """
    import numpy as np

    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
