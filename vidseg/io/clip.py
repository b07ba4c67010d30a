"""Clips: a video, a folder of images, an image, a pipe or a live stream, read one frame at a time.

`docs/video.md` says what can be read, and how its pictures and times are understood. PyAV, OpenCV and numpy are
imported where they are used, so importing this module costs nothing.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from vidseg.errors import InputError
from vidseg.io.live import source_of
from vidseg.io.reader import ClipInfo, Frame, Reader
from vidseg.io.stills import stills_of
from vidseg.io.stream import Stream
from vidseg.io.video import VideoFile

__all__ = ["Clip", "ClipInfo", "Frame"]


class Clip:
    """A video, read in order and one frame at a time.

        with Clip("dog.mp4") as clip:
            for frame in clip.frames(start=1.5, end=3):
                ...

    Opening decodes the first frame, so what cannot be used fails here. Each call of `frames` reads a file anew. A pipe
    or a live source can be read `once`: the clip is open from here on until `close`.

    Args:
        path: a video file, a folder of images, an image; "-" (standard input), a named pipe, an address such as
            rtsp://…, a camera's device or number.

    Attributes:
        path: the clip, without a password.
        info: its size, rate and length.
        first_time: s, time of the clip's first frame; `start` and `end` of `frames` count from it.
        once: whether `frames` can be called a single time, and `backwards` not at all.

    Raises:
        InputError: if there is nothing that can be read.
    """

    def __init__(self, path: str | os.PathLike[str] | int):
        self._reader = open_reader(str(path) if isinstance(path, int) else os.fspath(path))
        self.info = self._reader.info
        self.path = self.info.path
        self.once = self._reader.once
        self.first_time = float(self._reader.first_pts * self.info.time_base)

    @property
    def warning(self) -> str | None:
        """None, or one line if the latest `frames` met damage."""
        return self._reader.warning

    def __enter__(self) -> Clip:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close a pipe or a live source. A file is open only while `frames` is being iterated."""
        self._reader.close()

    def frames(self, start: float | None = None, end: float | None = None) -> Iterator[Frame]:
        """Read the frames of a range.

        Args:
            start: seconds after the clip's first frame; None: from the beginning. Rounded to the clip's time base.
            end: the same, and excluded; None: to the end.

        Raises:
            InputError: if the range is empty, no frame lies in it, or the clip has been read and can be read only once.
        """
        first = self._ticks(start or 0)
        stop = math.inf if end is None else self._ticks(end)
        if stop <= first:
            raise InputError(
                f"{self.path}: the range {start or 0:g} s to {end:g} s is empty; let it end after its start"
            )
        frames = self._reader.read(first, stop)
        self._reader.warning = None
        return self._not_empty(frames, start)

    def backwards(self, before: Frame, start: float | None = None) -> Iterator[Frame]:
        """Read the frames before the given one of this clip, the latest first.

        The clip is entered at one key packet after the other, from behind. What lies between two of them is held in
        memory, up to a bound; what lies further apart is decoded again for each portion, and so is a whole clip of a
        format that cannot be entered. Where a file is damaged, a frame may have another number than forwards; its time
        is right.

        Args:
            before: a frame of this clip.
            start: where to stop, in seconds after the clip's first frame; None: at that frame.

        Raises:
            InputError: if the clip can be read only once.
        """
        return self._reader.read_back(self._ticks(start or 0), before)

    def _ticks(self, seconds: float) -> int:
        """The pts that lies so long after the clip's first frame."""
        return self._reader.first_pts + round(Fraction(seconds) / self.info.time_base)

    def _not_empty(self, frames: Iterator[Frame], start: float | None) -> Iterator[Frame]:
        frame = None
        for frame in frames:
            yield frame
        if frame is None:
            length = "" if self.info.duration is None else f" (the clip lasts {self.info.duration:g} s)"
            raise InputError(f"{self.path}: no frame in the range from {start or 0:g} s{length}; choose another range")


def open_reader(path: str) -> Reader:
    """Find out what a path names, and open it. InputError if it cannot be read."""
    source = source_of(path)
    if source is not None:
        return Stream(source)
    if not os.path.exists(path):  # not Path.exists, which raises where a name is too long
        raise InputError(f"{path}: no such file or folder; check the path")
    file = Path(path)
    if file.is_file() and file.stat().st_size == 0:
        raise InputError(f"{path}: the file is empty; copy or download it again")
    return stills_of(path) or VideoFile(path)
