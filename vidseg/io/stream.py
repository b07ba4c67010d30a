"""Pipes and live sources: read once, and a live one from the moment it is opened."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

from vidseg.errors import InputError
from vidseg.io.decoding import Damage, decoded, opened, timed
from vidseg.io.deinterlacing import deinterlaced
from vidseg.io.live import Newest, Source, held, is_live, paced
from vidseg.io.reader import Frame
from vidseg.io.video import VideoReader

if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream


class Stream(VideoReader):
    """Reads a pipe, a network stream or a camera. It is open until it has been read, or until `close`."""

    once = True

    def __init__(self, source: Source):
        self._damage = Damage()
        self._taken = False
        with ExitStack() as stack:
            container, stream = stack.enter_context(opened(source.name, source))
            pictures = decoded(container, stream, self._damage)
            first = list(itertools.islice(pictures, 1))
            super().__init__(source.name, container, stream, next(iter(first), None), source.advice)
            pictures = timed(deinterlaced(itertools.chain(first, pictures)), self.first_pts, self._step)
            live, opened_things = is_live(source, container), stack.pop_all()
        self._pictures: Iterable[tuple[int, int, VideoFrame]] = pictures
        self._stream: VideoStream | None = stream
        self._release: Callable[[], None] | None = opened_things.close
        if live:  # it is read from now on: nobody has to wait for a slow consumer, and what is handed out is new
            newest = Newest(held(opened_things, paced(pictures, float(self.info.time_base))))
            self._pictures, self._stream, self._release = newest, None, newest.close
            weakref.finalize(self, newest.close)

    def read(self, first: int, stop: float) -> Iterator[Frame]:
        """Frames with first <= pts < stop (ticks), in order. InputError if it was called before."""
        if self._taken:
            raise InputError(f"{self._path} can be read once only; save it to a file to read it again")
        self._taken = True
        return self._read(first, stop)

    def _read(self, first: int, stop: float) -> Iterator[Frame]:
        try:
            yield from self._range(first, stop, self._pictures, self._damage, self._stream)
        finally:
            self.close()

    def read_back(self, first: int, before: Frame) -> Iterator[Frame]:
        """Raise InputError: a stream is read forwards only."""
        raise InputError(f"{self._path} can be read forwards only; begin on its first frame, or save it to a file")

    def close(self) -> None:
        """Close the source."""
        if self._release is not None:
            self._release()
            self._pictures, self._stream, self._release = (), None, None
