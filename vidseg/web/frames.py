"""Any frame of a clip, by its number."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from vidseg.io.clip import Clip, Frame

NEAR = 24  # frames that are rather decoded and dropped than sought


class FrameReader:
    """Goes on where it is when the next frames are asked for, as in play, and seeks otherwise."""

    def __init__(self, clip: Clip, still: bool):
        self._clip, self._still = clip, still
        self._lock = threading.Lock()
        self._frames = None
        self._last: Frame | None = None

    def at(self, index: int) -> np.ndarray:
        """H×W×3 uint8 RGB. IndexError past the end; InputError if the clip cannot be read there."""
        if index < 0 or (self._still and index > 0):
            raise IndexError(index)
        with self._lock:
            if self._last is None or not self._last.index <= index <= self._last.index + NEAR:
                self._seek(index)
            while self._last.index < index:
                following = next(self._frames, None)
                if following is None:
                    raise IndexError(index)
                self._last = following
            if self._last.index != index:
                raise IndexError(index)
            return self._last.image

    def _seek(self, index: int) -> None:
        """Enter the clip at a frame or somewhat before. Frames of uneven length are met by going back further."""
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
                break
            start, step = start - step, step * 2
        self._last = first

    def _try_next(self):
        from vidseg.errors import InputError

        try:
            return next(self._frames, None)
        except InputError:  # nothing lies there: the duration in the header was wrong
            return None

    def _release(self) -> None:
        if self._frames is not None:
            self._frames.close()
        self._frames = self._last = None

    def close(self) -> None:
        with self._lock:
            self._release()
