"""Write tracks files in formats that other tools read."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from vidseg.errors import InputError, OutputError
from vidseg.exporters.formats import FORMATS, SEED, VAL_SHARE, Format, did_you_mean
from vidseg.io.files import atomic_output, check_writable, make_folder, names_folder

IMAGE_FILES = ("*.jpg", "*/*.jpg")  # what is in a folder of images


def export(  # noqa: PLR0913 - keywords of the public API
    tracks: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    format: str,
    output: str | os.PathLike[str] | None = None,
    *,
    clip: str | os.PathLike[str] | None = None,
    name: str | None = None,
    every: int = 1,
    min_score: float = 0.0,
    images: bool = False,
    val: float = VAL_SHARE,
    seed: int = SEED,
    overwrite: bool = False,
    progress: Callable[[int, int | None], None] | None = None,
) -> list[Path]:
    """Write a tracks file in a format that other tools read.

        vidseg.export("park.tracks.jsonl", "coco")
        vidseg.export(["a.tracks.jsonl", "b.tracks.jsonl"], "yolo-seg", "data")  # one data set of two clips
        vidseg.export("results", "yolo-seg")  # of all clips that have tracks files in this folder

    Args:
        tracks: a tracks file, or several that make one data set; a folder stands for the tracks files in it.
        format: a name of FORMATS.
        output: file or folder to write; by default named like the tracks file, and beside it. A data set
            of one folder goes into it, and is named like it. For a format that is one file, a path that ends in a
            slash or has no suffix is the folder that it goes to, and is made.
        clip: where the images come from; by default the clip that the tracks file names.
        name: what the images of one tracks file are called; by default like that file, or like the image files that
            were tracked.
        every: keep the first frame of the tracks and each that is a multiple of so many frames later.
        min_score: leave out objects with a lower score.
        images: write the frames as images beside the file.
        val: share of the frames that is for validation, of a format that splits them: whole clips, or a part of the
            time of a single clip.
        seed: another number chooses other clips, or another part.
        overwrite: replace what exists.
        progress: called after each frame of the tracks, kept or not, with how many are done and how many there are.

    Returns:
        The paths of what was written.

    Raises:
        InputError: the tracks or a clip cannot be used, or the arguments do not go together.
        OutputError: the output cannot be written.
        VidsegError: a package that the format needs is not installed.
    """
    from vidseg.exporters.folders import atomic_folder
    from vidseg.exporters.source import Selection, counted, open_sources, tracks_files

    if format not in FORMATS:
        hint = did_you_mean(format)
        raise InputError(
            f"{format!r} is not a format; choose one of {', '.join(FORMATS)}" + (f". {hint}" if hint else "")
        )
    chosen = FORMATS[format]
    given = [tracks] if isinstance(tracks, (str, os.PathLike)) else list(tracks)
    paths = [path for one in given for path in tracks_files(one)]
    folder = Path(given[0]) if len(given) == 1 and os.path.isdir(given[0]) else None
    _check_clips(paths, format, clip, name)
    if images and not chosen.images:
        some = ", ".join(other for other, its in FORMATS.items() if its.images)
        raise InputError(f"images go with {some}; {format} {'has them anyway' if chosen.needs_images else 'has none'}")
    if every < 1:
        raise InputError(f"each {every}th frame cannot be kept; give a whole number from 1 on")
    _check_split(format, val, seed)
    write = chosen.load()  # before the output is checked: it may lack a package
    selection = Selection(every=every, min_score=min_score, val=val, seed=seed)
    sources = open_sources(paths, selection, clip=clip, needs_clips=images or chosen.needs_images, name=name)
    target = _target(paths, chosen, output, name, folder)
    if output is not None and names_folder(output):
        make_folder(target.parent)  # of a format that is a folder itself, the one that it is in
    image_folder = target.with_name(f"{target.stem}.images") if images else None
    _check_target(target, image_folder, chosen, [*paths, *(one.clip for one in sources if one.clip)], overwrite)
    try:
        with ExitStack() as stack:
            temporary = stack.enter_context((atomic_folder if chosen.folder else atomic_output)(target))
            # Entered later and left first, so the images have their name before the file that lists them.
            into = stack.enter_context(atomic_folder(image_folder)) if image_folder else None
            write(sources if progress is None else counted(sources, progress), temporary, into)
    except OSError as error:
        raise OutputError(
            f"{target} cannot be written: {error.strerror or error}; check space and permissions"
        ) from error
    return [target, image_folder] if image_folder else [target]


def _check_clips(
    paths: Sequence[str | os.PathLike[str]], format: str, clip: str | os.PathLike[str] | None, name: str | None
) -> None:
    """Raise InputError unless there are as many clips as the format and the other arguments allow."""
    if not paths:
        raise InputError("no tracks file was given; give a .tracks.jsonl file written by vidseg")
    if len(paths) > 1 and not FORMATS[format].several:
        several = ", ".join(other for other, its in FORMATS.items() if its.several)
        raise InputError(
            f"{format} holds one clip, and {len(paths)} tracks files were given; "
            f"export them one by one, or as {several}"
        )
    if len(paths) > 1 and clip is not None:
        raise InputError(
            "one clip was given for several tracks files; leave it out, and each is taken from its tracks file"
        )
    if name is not None and (len(paths) > 1 or not re.fullmatch(r"[\w-]+", name)):
        raise InputError(f"images cannot be called {name!r}; give letters, digits, _ and -, for one tracks file")


def _check_split(format: str, val: float, seed: int) -> None:
    """Raise InputError unless the frames can be split so, or are not to be split."""
    if not FORMATS[format].splits and (val, seed) != (VAL_SHARE, SEED):
        some = ", ".join(other for other, its in FORMATS.items() if its.splits)
        raise InputError(f"val and seed go with {some}; {format} is not split into training and validation")
    if not 0 <= val < 1:
        raise InputError(f"a share of {val:g} cannot be for validation; give a number from 0 to below 1")


def _target(
    paths: Sequence[str | os.PathLike[str]],
    chosen: Format,
    output: str | os.PathLike[str] | None,
    name: str | None,
    folder: Path | None,
) -> Path:
    """Where to write: as asked for, or named like the tracks file, beside it or in the folder given for a file.

    A data set of a `folder` goes into it, and one of several tracks files into the folder given for a file.
    """
    if output is None and len(paths) > 1 and folder is not None:
        return chosen.path_in(folder)
    if output is None and len(paths) > 1:
        raise InputError("several tracks files make one data set; give it a name with output (--output)")
    default = chosen.path_beside(paths[0])
    if name is not None:
        default = default.with_name(name + chosen.suffix)
    if output is None:
        return default
    if not chosen.folder and names_folder(output):
        return Path(output, default.name) if len(paths) == 1 else chosen.path_in(Path(output))
    return Path(os.path.abspath(output)) if Path(output).name in ("", "..") else Path(output)


def _check_target(
    target: Path, images: Path | None, chosen: Format, read: Sequence[str | os.PathLike[str]], overwrite: bool
) -> None:
    """Raise OutputError unless the output and the folder of images can be written, and are not what is read."""
    from vidseg.exporters.folders import check_apart, check_folder

    check_apart(target, read)
    if chosen.folder:
        check_folder(target, chosen.folder, overwrite)
    else:
        check_writable(target, overwrite)
    if images is not None:
        check_apart(images, read)
        check_folder(images, IMAGE_FILES, overwrite)
