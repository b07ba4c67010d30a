"""Frames that were tracked last to first, kept on disk until they are wanted first to last."""

from __future__ import annotations

import json
import struct
import tempfile
from contextlib import contextmanager

from vidseg.errors import OutputError
from vidseg.tracks.file import frame_of, record_of
from vidseg.tracks.frame import TrackedFrame

LENGTH = struct.Struct("<Q")


class FrameStack:
    """A stack of tracked frames without their images, in a temporary file: last in, first out.

    A record is what a tracks file has for a frame, followed by its length, so that the file is read from its end and
    nothing in memory grows with it.

        with FrameStack(height, width) as stack:
            stack.push(frame)
            stack.pop()

    Raises:
        OutputError: there is no folder, or no room, for the file.
    """

    def __init__(self, height: int, width: int):
        self._size = height, width
        with self._errors():
            self._file = tempfile.TemporaryFile(prefix="vidseg-")  # noqa: SIM115  # closed by __exit__
        self._top: TrackedFrame | None = None  # read, but not taken

    def __enter__(self) -> FrameStack:
        return self

    def __exit__(self, *exception) -> None:
        self._file.close()

    def push(self, frame: TrackedFrame) -> None:
        """Put a frame on top."""
        line = json.dumps(record_of(frame)).encode()
        with self._errors():
            self._file.write(line + LENGTH.pack(len(line)))
            self._file.flush()

    def pop_at(self, time: float) -> TrackedFrame | None:
        """Take the frame of a time in s, to the microsecond; None if there is none. Those before it are dropped."""
        while (frame := self._peek()) is not None and frame.time <= time + 1e-6:
            self._top = None
            if frame.time >= time - 1e-6:
                return frame
        return None

    def _peek(self) -> TrackedFrame | None:
        if self._top is None and (end := self._file.seek(0, 2)):
            self._file.seek(end - LENGTH.size)
            (length,) = LENGTH.unpack(self._file.read(LENGTH.size))
            start = self._file.seek(end - LENGTH.size - length)
            self._top = frame_of(json.loads(self._file.read(length)), *self._size)
            self._file.truncate(start)
        return self._top

    @contextmanager
    def _errors(self):
        try:
            yield
        except OSError as error:
            raise OutputError(
                f"no room in the temporary folder for what is tracked before the keyframe ({error.strerror}); "
                "free some space, or name another folder in TMPDIR"
            ) from error
