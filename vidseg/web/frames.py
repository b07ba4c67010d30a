"""Any frame of a clip, by its number."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING

from vidseg.errors import InputError

if TYPE_CHECKING:
    import numpy as np

    from vidseg.io.clip import Clip, Frame

SEEK_FRAMES = 24  # so many frames ahead, seeking pays more than decoding on


class FrameReader:
    """Reads on from where it is for the next frames, as in play, and seeks for others.

    Args:
        clip: the clip, or the image.
        still: whether it is an image, with one frame.
    """

    def __init__(self, clip: Clip, still: bool):
        self._clip, self._still = clip, still
        self._lock = threading.Lock()
        self._frames: Iterator[Frame] = iter(())
        self._last: Frame | None = None

    def at(self, index: int) -> np.ndarray:
        """The picture of a frame, H×W×3 uint8 RGB.

        Raises:
            IndexError: there is no such frame.
            InputError: the clip cannot be read there.
        """
        if index < 0 or (self._still and index > 0):
            raise IndexError(index)
        with self._lock:
            found = self._last
            if found is None or not found.index <= index <= found.index + SEEK_FRAMES:
                found = self._seek(index)
            while found is not None and found.index < index:
                found = next(self._frames, None)
                self._last = found or self._last
            if found is None or found.index != index:
                raise IndexError(index)
            return found.image

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._release()

    def _seek(self, index: int) -> Frame | None:
        """Read the clip from a frame or somewhat before it: further back for as long as the first frame is past it."""
        rate = float(self._clip.info.frame_rate) or 25.0
        duration = self._clip.info.duration
        start, step = index / rate - 1 / rate, 1.0
        if duration is not None:
            start = min(start, duration - 2 / rate)
        while True:
            self._release()
            self._frames = self._clip.frames(max(start, 0.0))
            first = next(self._frames, None) if start <= 0 else self._try_next()
            if start <= 0 or (first is not None and first.index <= index):
                self._last = first
                return first
            start, step = start - step, step * 2

    def _try_next(self) -> Frame | None:
        try:
            return next(self._frames, None)
        except InputError:  # there is nothing: the duration in the header was wrong
            return None

    def _release(self) -> None:
        if isinstance(self._frames, Generator):
            self._frames.close()
        self._frames, self._last = iter(()), None
