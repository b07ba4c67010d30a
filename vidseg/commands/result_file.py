"""A file that a run writes. If it fails, the run goes on with the others."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from vidseg.errors import VidsegError

if TYPE_CHECKING:
    from vidseg.tracks.frame import TrackedFrame


class FrameWriter(AbstractContextManager[Any], Protocol):
    """What writes frames to a file, and finishes it at the end of its `with` block."""

    def write(self, frame: TrackedFrame) -> None:
        """Append one frame."""
        ...


Writer = TypeVar("Writer", bound=FrameWriter)


class ResultFile(Generic[Writer]):
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
        writer: what writes it; None if it could not be opened.
        failure: None, or one line that says why the file could not be written.
    """

    def __init__(self, path: Path, open_writer: Callable[[], Writer]):
        self.path = path
        self.writer: Writer | None = None
        self.failure: str | None = None
        self._stack = ExitStack()
        self._open_writer = open_writer
        self._open = False

    def __enter__(self) -> ResultFile[Writer]:
        with self._contained():
            self.writer = self._open_writer()
            self._stack.enter_context(self.writer)
            self._open = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._open:
            self._discard(error or RuntimeError("the file was not closed"))

    def write(self, frame: TrackedFrame) -> None:
        """Append one frame; nothing, once the file has failed."""
        if self._open and self.writer is not None:
            with self._contained():
                self.writer.write(frame)

    def close(self) -> None:
        """Finish the file and give it its name."""
        if self._open:
            self._open = False
            with self._contained():
                self._stack.close()

    @contextmanager
    def _contained(self) -> Generator[None, None, None]:
        """Note an error of this block, and discard what was written."""
        try:
            yield
        except Exception as error:  # any at all: hours of work in the other files are not to be lost
            self.failure = error_line(error, self.path)
            self._discard(error)

    def _discard(self, error: BaseException) -> None:
        self._open = False
        with suppress(Exception):  # the first error is the one to report
            self._stack.__exit__(type(error), error, error.__traceback__)


def error_line(error: Exception, path: Path) -> str:
    """One line on why a file could not be written."""
    if isinstance(error, VidsegError):
        return str(error)
    return f"{path} cannot be written: {type(error).__name__}: {' '.join(str(error).split())}"
