"""A file that a run writes. If it fails, the run goes on with the others."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

from vidseg.errors import VidsegError

if TYPE_CHECKING:
    from vidseg.tracks.frame import TrackedFrame


class FrameWriter(AbstractContextManager["FrameWriter"], Protocol):
    """What writes frames to a file, and finishes it at the end of its `with` block."""

    def write(self, frame: TrackedFrame) -> None:
        """Append one frame."""
        ...


class ResultFile:
    """One file of a run. Whatever goes wrong with it ends this file alone, and raises nothing.

        with ResultFile(path, lambda: TracksWriter(path, header)) as file:
            for frame in run:
                file.write(frame)
            file.close()

    A block that is left before `close` leaves no file.

    Args:
        path: of the file.
        open_writer: opens what writes it.

    Attributes:
        path: as given.
        failure: None, or one line that says why the file could not be written.
    """

    def __init__(self, path: Path, open_writer: Callable[[], FrameWriter]):
        self.path = path
        self.failure: str | None = None
        self._stack = ExitStack()
        self._open_writer = open_writer
        self._writer: FrameWriter | None = None  # as long as it can take frames

    def __enter__(self) -> ResultFile:
        with self._contained():
            self._writer = self._stack.enter_context(self._open_writer())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._writer is not None:
            self._discard(error or RuntimeError("the file was not closed"))

    def write(self, frame: TrackedFrame) -> None:
        """Append one frame; nothing, once the file has failed."""
        if self._writer is not None:
            with self._contained():
                self._writer.write(frame)

    def close(self) -> None:
        """Finish the file and give it its name."""
        if self._writer is not None:
            with self._contained():
                self._stack.close()
            self._writer = None

    @contextmanager
    def _contained(self) -> Generator[None, None, None]:
        """Note an error of this block, and discard what was written."""
        try:
            yield
        except Exception as error:  # any at all: hours of work in the other files are not to be lost
            self.failure = error_line(error, self.path)
            self._discard(error)

    def _discard(self, error: BaseException) -> None:
        self._writer = None
        with suppress(Exception):  # the first error is the one to report
            self._stack.__exit__(type(error), error, error.__traceback__)


def error_line(error: Exception, path: Path) -> str:
    """One line on why a file could not be written."""
    if isinstance(error, VidsegError):
        return str(error)
    return f"{path} cannot be written: {type(error).__name__}: {' '.join(str(error).split())}"
