"""Where results go."""

from __future__ import annotations

import os
from pathlib import Path

from vidseg.errors import OutputError


def output_paths(clip: Path, output: Path | None, tracks: Path | None, whole_name: bool = False) -> tuple[Path, Path]:
    """Paths of the overlay video and the tracks file: beside the clip, or where the user wants them.

    Args:
        clip: the clip, or a path that stands for it.
        output: the overlay or a folder for both; None: beside the clip.
        tracks: the tracks file; None: beside the overlay.
        whole_name: keep the suffix of the clip in both names.
    """
    named = clip if clip.name not in ("", "..") else clip.resolve()  # "." and ".." are no names
    stem = named.name if whole_name or os.path.isdir(clip) else named.stem
    folder = named.parent
    if output is not None and os.path.isdir(output):  # Path.is_dir() raises if a name is too long
        folder, output = output, None
    if output is not None:
        folder = output.parent
        stem = output.stem.removesuffix(".tracked")
    return output or folder / f"{stem}.tracked.mp4", tracks or folder / f"{stem}.tracks.jsonl"


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
