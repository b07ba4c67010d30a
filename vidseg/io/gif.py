"""Animated GIFs, by FFmpeg's filters: each frame has a palette of its own, so that nothing waits for the end."""

from __future__ import annotations

import os
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import numpy as np
from av.filter import Graph
from av.video.format import VideoFormat

from vidseg.errors import OutputError
from vidseg.io.files import atomic_output, for_ffmpeg
from vidseg.io.reader import ClipInfo
from vidseg.io.writer import writing_errors

TICK = Fraction(1, 100)  # s; GIF knows no other
LONGEST = 65535  # ticks that a frame can be shown
SHORTEST = 2  # ticks a frame is shown; viewers show what is shorter for a tenth of a second


class GifWriter:
    """Writes frames as a GIF that repeats for ever. Of frames that come faster than it can show, the last is shown.

    It is used like vidseg.io.writer.VideoWriter: the file appears under its name when the `with` block ends without an
    error.

    Args:
        path: the file; an existing one is replaced.
        info: of the clip that the frames come from, in the size of the frames.

    Attributes:
        note: None: a GIF has no sound, and nobody expects any.
    """

    note: str | None = None

    def __init__(self, path: str | os.PathLike[str], info: ClipInfo):
        self.path, self._info = Path(path), info
        self._first: int | None = None  # pts
        self._waiting: av.VideoFrame | None = None  # the latest frame
        self._end = 0  # ticks, where it ends if it is the last
        self._duration = SHORTEST  # ticks, of what is being encoded
        with writing_errors(self.path), ExitStack() as stack:
            temporary = stack.enter_context(atomic_output(path))
            self._container = av.open(for_ffmpeg(temporary), "w", format="gif")
            stack.callback(self._container.close)
            self._stream = self._container.add_stream("gif", rate=100)
            self._stream.width, self._stream.height, self._stream.pix_fmt = info.width, info.height, "pal8"
            self._graph = palettes(info.width, info.height)
            self._stack = stack.pop_all()

    def __enter__(self) -> GifWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._stack.__exit__(kind, error, trace)  # closes, and removes the temporary file
            return
        with writing_errors(self.path), self._stack:
            if self._first is None:
                raise OutputError(f"{self.path}: there was no frame to write")
            self._show(self._end)
            self._graph.vpush(None)
            self._encode()
            self._container.mux(self._stream.encode(None))

    def write(self, image: np.ndarray, pts: int, duration: float | None = None) -> None:
        """Add one frame.

        Args:
            image: H×W×3 uint8 RGB.
            pts: ticks of info.time_base, increasing.
            duration: s that the frame is shown if it is the last one; None: as long as others.
        """
        self._first = pts if self._first is None else self._first
        time = (pts - self._first) * self._info.time_base
        start = round(time / TICK)
        if self._waiting is not None and self._waiting.pts is not None:
            if start < self._waiting.pts + SHORTEST:
                start = self._waiting.pts  # in its place
            else:
                self._show(start)
        self._waiting = av.VideoFrame.from_ndarray(image, format="rgb24")
        self._waiting.pts, self._waiting.time_base = start, TICK
        lasts = 1 / self._info.frame_rate if duration is None else Fraction(duration)
        self._end = max(start + SHORTEST, round((time + lasts) / TICK))

    def _show(self, until: int) -> None:
        """Show the waiting frame until a time (ticks); in turns where a GIF cannot do it for so long."""
        frame = self._waiting
        assert frame is not None and frame.pts is not None
        for start in range(frame.pts, until, LONGEST):
            frame.pts = start
            self._duration = min(LONGEST, until - start)
            with writing_errors(self.path):
                self._graph.vpush(frame)
                self._encode()

    def _encode(self) -> None:
        """Write what has come out of the filters."""
        while True:
            try:
                frame = self._graph.vpull()
            except (BlockingIOError, EOFError):  # nothing more for now, or ever
                return
            for packet in self._stream.encode(frame):
                packet.duration = self._duration  # counts for the last frame; the others last until the next
                self._container.mux(packet)


def palettes(width: int, height: int) -> Graph:
    """Filters that turn each rgb24 frame into one with its own 256 colours."""
    graph = Graph()
    source = graph.add_buffer(width=width, height=height, format=VideoFormat("rgb24"), time_base=TICK)
    split, choose = graph.add("split"), graph.add("palettegen", "stats_mode=single")
    # An ordered dither stands still where the picture does; the others would make it shimmer
    use, sink = graph.add("paletteuse", "new=1:dither=bayer:bayer_scale=4"), graph.add("buffersink")
    source.link_to(split)
    split.link_to(choose, 0, 0)
    split.link_to(use, 1, 0)
    choose.link_to(use, 0, 1)
    use.link_to(sink)
    graph.configure()
    return graph
