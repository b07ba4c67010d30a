"""Output files that appear under their name only when they are complete."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vidseg.errors import OutputError


def check_writable(
    path: str | os.PathLike[str], overwrite: bool = False, source: str | os.PathLike[str] | None = None
) -> Path:
    """Check that a file can be written, and create nothing.

    Args:
        path: where it shall be.
        overwrite: whether an existing file may be replaced.
        source: a file that is read in the same run; it is never replaced.

    Returns:
        `path` as a Path.

    Raises:
        OutputError: if it cannot be written.
    """
    path = Path(path)
    folder = path.parent
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:  # a name that is too long, a folder that may not be entered
        raise OutputError(f"{path} cannot be written: {error.strerror}; choose another name") from None
    if path.is_dir():
        raise OutputError(f"{path} is a folder: give the name of a file to write")
    if not folder.is_dir():
        raise OutputError(f"{path} cannot be written: there is no folder {folder}; create it first")
    if not os.access(folder, os.W_OK):
        raise OutputError(f"{path} cannot be written: no permission to write in {folder}; choose another folder")
    if source is not None and path.exists() and os.path.exists(source) and path.samefile(source):
        raise OutputError(f"{path} is read in the same run and cannot be replaced; choose another name")
    if path.exists() and not overwrite:
        raise OutputError(f"{path} exists already: choose another name, or allow --overwrite")
    return path


def for_ffmpeg(path: str | os.PathLike[str]) -> str:
    """A file's path as FFmpeg needs it, which takes the beginning of "take:2.mp4" for a protocol."""
    path = os.fspath(path)
    return path if os.path.isabs(path) else os.path.join(os.curdir, path)


@contextmanager
def atomic_output(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Lend a temporary name next to `path`: renamed to `path` on normal exit, removed on any exception.

    A reader therefore never meets half a file under the final name, and an older file there
    survives a run that fails. The temporary file is in the same folder because a rename is
    atomic only within one file system.
    """
    path = Path(path)
    # The end of the name is enough, and a long one must not become too long
    temporary = path.with_name(f".{path.name[-48:]}.{os.getpid()}.part")
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException:  # KeyboardInterrupt as well: nothing half-written stays behind
        temporary.unlink(missing_ok=True)
        raise
