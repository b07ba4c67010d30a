"""Output files that appear under their name only when they are complete, and the folders they go to."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from vidseg.errors import OutputError

# What `temporary_name` lends, and under .old a folder that gives way to another
TEMPORARY = re.compile(r"\.(?P<target>.+)\.(?P<process>[1-9]\d{0,9})(@(?P<machine>[0-9a-f]{8}))?\.(?P<kind>part|old)")
NAME_LENGTH = 48  # of the target's name; its end is enough, and a long one must not become too long
_unfinished: set[Path] = set()  # those that are lent now


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


def names_folder(output: str | os.PathLike[str]) -> bool:
    """Whether an output is a folder: it is one already, ends in a slash, or has no suffix."""
    given = os.fspath(output)
    separators = tuple(filter(None, (os.sep, os.altsep)))
    return os.path.isdir(given) or given.endswith(separators) or not Path(given).suffix


def make_folder(path: Path) -> None:
    """Make a folder for results, if there is none.

    Raises:
        OutputError: it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{path}: cannot be made a folder ({error.strerror}); choose another --output") from error


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
    with temporary_name(path) as temporary:
        try:
            yield temporary
            os.replace(temporary, path)
        except BaseException:  # KeyboardInterrupt as well: nothing half-written stays behind
            temporary.unlink(missing_ok=True)
            raise


@contextmanager
def temporary_name(path: Path) -> Iterator[Path]:
    """Lend a hidden name next to `path`, for a file or a folder that is renamed to it when it is complete.

    The name says which process on which machine writes it. What processes that are gone have left in the folder, since
    they were killed or the power failed, is removed first.
    """
    remove_abandoned(os.path.realpath(path.parent))
    temporary = path.with_name(f".{path.name[-NAME_LENGTH:]}.{os.getpid()}@{machine()}.part")
    _unfinished.add(temporary)
    try:
        yield temporary
    finally:
        _unfinished.discard(temporary)


def remove_unfinished() -> None:
    """Remove the temporary files and folders of this process, which is about to end."""
    for temporary in tuple(_unfinished):
        _remove(temporary)
        _restore(temporary.with_suffix(".old"))


@cache  # once a process: a folder of photos has very many results
def remove_abandoned(folder: str) -> None:
    """Remove the temporary files and folders that processes of this machine have left in a folder, and are gone."""
    try:
        entries = [(Path(entry), TEMPORARY.fullmatch(entry.name)) for entry in os.scandir(folder)]
    except OSError:
        return  # whoever writes here says what is wrong
    for path, name in entries:
        # Where the name says no machine, an earlier version wrote it
        if name is not None and name["machine"] in (None, machine()) and not is_running(int(name["process"])):
            if name["kind"] == "old":
                _restore(path)
            else:
                _remove(path)


def is_running(process: int) -> bool:
    """Whether there is such a process on this machine; True if that cannot be known."""
    if os.name != "posix":
        return True  # elsewhere, signal 0 would not only ask
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        pass
    return True


@cache
def machine() -> str:
    """A short name of this machine or container: folders may be shared, and processes elsewhere cannot be seen."""
    name = platform.node()
    with suppress(OSError):
        name += os.readlink("/proc/self/ns/pid")
    return hashlib.sha256(name.encode()).hexdigest()[:8]


def _remove(path: Path) -> None:
    with suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _restore(older: Path) -> None:
    """Give a folder its name back that was about to be replaced; remove it if it has been."""
    name = TEMPORARY.fullmatch(older.name)
    if name is None or len(name["target"]) >= NAME_LENGTH or not older.exists():
        return  # whose folder it is can only be known if its name is whole
    target = older.with_name(name["target"])
    if target.exists():
        _remove(older)
    else:
        with suppress(OSError):
            os.replace(older, target)
