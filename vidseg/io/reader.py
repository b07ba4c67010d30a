"""A clip before and while it is read: what is known of it, its frames, and what every reader can do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class ClipInfo:
    """What is known of a clip before it is read.

    Attributes:
        path: the clip, as it is named in messages.
        width: pixels as displayed, after rotation.
        height: pixels as displayed, after rotation.
        frame_rate: average, frames/s.
        time_base: seconds in one tick of pts.
        frame_count: announced by the file, or duration × rate, so good for progress only; None if not known.
        duration: s; None if not known.
        has_audio: whether there is sound that can be copied, which needs a file that can be read twice.
        pixel_aspect: width to height of a pixel; images are not stretched by it.
        frame_names: names of the image files that the frames come from, in order; None for all else.
    """

    path: str
    width: int
    height: int
    frame_rate: Fraction
    time_base: Fraction
    frame_count: int | None
    duration: float | None
    has_audio: bool
    pixel_aspect: Fraction = Fraction(1)
    frame_names: tuple[str, ...] | None = None


@dataclass
class Frame:
    """One decoded frame.

    Attributes:
        index: number in the whole clip, 0-based, also where reading starts later.
        time: s: pts × time base, so a clip's first frame need not be at 0.
        pts: ticks of the clip's time base; strictly increasing.
        image: H×W×3 uint8 RGB, upright.
        duration: s until the next frame, or the end of what is read; None if not known.
    """

    index: int
    time: float
    pts: int
    image: np.ndarray
    duration: float | None = None


class Reader(ABC):
    """Reads one kind of source.

    Attributes:
        info: the clip's size, rate and length.
        first_pts: ticks, of the first frame.
        once: whether `read` can be called a single time, and `read_back` not at all.
        warning: None, or one line if the latest `read` met damage.
        back_room: bytes of frames that are held in memory where a clip is read backwards.
    """

    info: ClipInfo
    first_pts: int = 0
    once: bool = False
    warning: str | None = None
    back_room: int = 256 << 20

    @abstractmethod
    def read(self, first: int, stop: float) -> Iterator[Frame]:
        """Frames with first <= pts < stop (ticks), in order."""

    @abstractmethod
    def read_back(self, first: int, before: Frame) -> Iterator[Frame]:
        """Frames before the given one, the latest first, down to `first` (ticks)."""

    def close(self) -> None:  # noqa: B027 - most readers keep nothing open between two calls
        """Close what is open."""

    def _last(self, frames: Iterator[Frame]) -> list[Frame]:
        """The last of these frames, as many as may be held in memory."""
        return list(deque(frames, maxlen=max(1, self.back_room // (3 * self.info.width * self.info.height))))
