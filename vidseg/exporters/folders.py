"""Output folders that appear under their name only when they are complete."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from vidseg.errors import OutputError
from vidseg.io.files import temporary_name


def check_apart(output: Path, read: Iterable[str | os.PathLike[str]]) -> None:
    """Raise OutputError if what is read would be replaced: it is the output, or lies in it."""
    target = Path(os.path.realpath(output))
    for path in read:
        source = Path(os.path.realpath(path))
        if target == source or target in source.parents:
            raise OutputError(f"{output} is what is read ({path}); choose another name")


def check_folder(path: Path, files: tuple[str, ...], overwrite: bool) -> None:
    """Raise OutputError if a folder cannot be written at `path`. Creates nothing.

    A folder with other files than those of an export is never replaced, since replacing it deletes what is in it.

    Args:
        path: of the folder.
        files: patterns of the paths that an earlier export has in it.
        overwrite: replace an earlier export.
    """
    parent = path.parent
    if not os.path.isdir(parent):
        raise OutputError(f"{path} cannot be written: there is no folder {parent}; create it first")
    if not os.access(parent, os.W_OK):
        raise OutputError(f"{path} cannot be written: no permission to write in {parent}; choose another folder")
    try:
        path.lstat()
    except FileNotFoundError:
        return
    except OSError as error:  # a name that is too long
        raise OutputError(f"{path} cannot be written: {error.strerror}; choose another name") from None
    if not os.path.isdir(path) or os.path.islink(path):
        raise OutputError(f"{path} is not a folder; choose another name")
    other = next((name for name in _files(path) if not any(_fits(name, pattern) for pattern in files)), None)
    if other is not None:
        raise OutputError(f"{path} is a folder with other files in it ({other}); choose another name")
    if not overwrite and any(path.iterdir()):
        raise OutputError(f"{path} exists already: choose another name, or allow --overwrite")


def _files(folder: Path) -> Iterator[str]:
    """Paths of the files in a folder and below, seen from it, with "/"."""
    for root, folders, names in os.walk(folder):
        links = [name for name in folders if os.path.islink(os.path.join(root, name))]
        for name in names + links:
            yield Path(root, name).relative_to(folder).as_posix()


def _fits(name: str, pattern: str) -> bool:
    return name.count("/") == pattern.count("/") and PurePosixPath(name).match(pattern)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Lend an empty folder next to `path`: renamed to `path` on normal exit, removed on any exception.

    A folder that is there already (ask `check_folder` first) gives way to it at the very end.
    """
    with temporary_name(path) as temporary:
        older = temporary.with_suffix(".old")
        try:
            temporary.mkdir()
            yield temporary
            if path.exists():
                os.replace(path, older)
            os.replace(temporary, path)
        finally:  # after KeyboardInterrupt as well, nothing half-written stays behind
            if older.exists() and not path.exists():
                os.replace(older, path)
            for left in (temporary, older):
                shutil.rmtree(left, ignore_errors=True)
