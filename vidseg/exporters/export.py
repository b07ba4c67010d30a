"""Results that other tools open: one format a file, each with the same signature.

    write(sources: Sequence[Source], output: Path, images: Path | None) -> None

sources: the tracks files, one in most formats (see `vidseg.exporters.source`). They are read frame by frame, masks as run lengths.
output: the file to write, or the folder, which exists and is empty. images: an empty folder to put images into, or None.

`export` gives both under temporary names and renames them when they are complete.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from vidseg.errors import InputError, OutputError
from vidseg.io.files import atomic_output, check_writable


@dataclass(frozen=True)
class Format:
    """How a format is written.

    module: of this package. suffix: of the default name. folder: patterns of the files in it, for a format that is a folder.
    many: several tracks files make one data set. images: the images of the frames can be written beside it.
    """

    module: str
    suffix: str
    folder: tuple[str, ...] = ()
    many: bool = False
    images: bool = False


FORMATS = {
    "coco": Format("coco", ".coco.json", many=True, images=True),
    "labels": Format("labels", ".labels.json", many=True, images=True),
    "youtube-vis": Format("youtube_vis", ".ytvis.json", many=True, images=True),
    "yolo-seg": Format(
        "yolo", ".yolo", folder=("images/*/*.jpg", "labels/*/*.txt", "labels/*.cache", "data.yaml"), many=True
    ),
    "davis": Format("davis", ".davis", folder=("*.png",)),
    "mot": Format("mot", ".mot.txt"),
    "mots": Format("mots", ".mots.txt"),
    "csv": Format("csv_table", ".csv"),
    "parquet": Format("parquet", ".parquet"),
}
IMAGE_FILES = ("*.jpg", "*/*.jpg")  # what is in a folder of images


def export(
    tracks: str | os.PathLike | Sequence[str | os.PathLike],
    format: str,
    output: str | os.PathLike | None = None,
    *,
    clip: str | os.PathLike | None = None,
    name: str | None = None,
    every: int = 1,
    min_score: float = 0.0,
    images: bool = False,
    overwrite: bool = False,
    progress: Callable[[int, int | None], None] | None = None,
) -> list[Path]:
    """Write a tracks file in a format that other tools read. Returns the paths of what was written.

        vidseg.export("park.tracks.jsonl", "coco")
        vidseg.export(["a.tracks.jsonl", "b.tracks.jsonl"], "yolo-seg", "data")  # one data set of two clips

    format: a name of FORMATS. output: by default named like the tracks file, and beside it.
    clip: where the images come from; by default the clip that the tracks file names.
    name: what images of one tracks file are called; by default like that file.
    every: keep the first frame of the tracks and each that is a multiple of so many frames later.
    min_score: leave out objects with a lower score. images: write the frames as images beside the file.
    progress: is called after each frame of the tracks, kept or not, with how many are done and how many there are.
    InputError for tracks or a clip that cannot be used, OutputError for an output that cannot be written.
    """
    from vidseg.exporters.folders import atomic_folder, check_apart, check_folder
    from vidseg.exporters.source import Source, counted, open_sources

    chosen = FORMATS.get(format)
    if chosen is None:
        raise InputError(f"{format!r} is not a format; choose one of {', '.join(FORMATS)}")
    paths = [tracks] if isinstance(tracks, (str, os.PathLike)) else list(tracks)
    _check(paths, format, chosen, clip, every, images)
    if name is not None and (len(paths) > 1 or not re.fullmatch(r"[\w-]+", name)):
        raise InputError(f"images cannot be called {name!r}; give letters, digits, _ and -, for one tracks file")
    write = import_module(
        f"vidseg.exporters.{chosen.module}"
    ).write  # before the output is checked: it may lack a package
    sources: list[Source] = open_sources(
        paths, clip, every, min_score, find_clips=images or format == "yolo-seg", name=name
    )
    output = _output(output, sources, paths, chosen)
    beside = output.with_name(f"{output.stem}.images") if images else None
    read = [*paths, *(source.clip for source in sources if source.clip is not None)]
    check_apart(output, read)
    if chosen.folder:
        check_folder(output, chosen.folder, overwrite)
    else:
        check_writable(output, overwrite)
    if beside is not None:
        check_apart(beside, read)
        check_folder(beside, IMAGE_FILES, overwrite)
    try:
        with ExitStack() as stack:
            target = stack.enter_context((atomic_folder if chosen.folder else atomic_output)(output))
            pictures = (
                stack.enter_context(atomic_folder(beside)) if beside is not None else None
            )  # has its name before the file
            write(sources if progress is None else counted(sources, progress), target, pictures)
    except OSError as error:
        raise OutputError(
            f"{output} cannot be written: {error.strerror or error}; check space and permissions"
        ) from error
    return [output] if beside is None else [output, beside]


def _check(paths: list, format: str, chosen: Format, clip, every: int, images: bool) -> None:
    """InputError for arguments that do not go together."""
    if not paths:
        raise InputError("no tracks file was given; give a .tracks.jsonl file written by vidseg")
    if len(paths) > 1 and not chosen.many:
        several = ", ".join(name for name, other in FORMATS.items() if other.many)
        raise InputError(
            f"{format} holds one clip, and {len(paths)} tracks files were given; export them one by one, or as {several}"
        )
    if len(paths) > 1 and clip is not None:
        raise InputError(
            "one clip was given for several tracks files; leave it out, and each is taken from its tracks file"
        )
    if images and not chosen.images:
        some = ", ".join(name for name, other in FORMATS.items() if other.images)
        raise InputError(f"images go with {some}; {format} {'has them anyway' if format == 'yolo-seg' else 'has none'}")
    if every < 1:
        raise InputError(f"each {every}th frame cannot be kept; give a whole number from 1 on")


def _output(output, sources: list, paths: list, chosen: Format) -> Path:
    """Where to write: as asked for, or named like the tracks file, beside it or in the folder that was given for a file."""
    if output is None and len(paths) > 1:
        raise InputError("several tracks files make one data set; give it a name with output (--output)")
    if output is None:
        return Path(paths[0]).with_name(sources[0].name + chosen.suffix)
    if (
        not chosen.folder and os.path.isdir(output) and len(paths) == 1
    ):  # not is_dir(), which raises where a name is too long
        return Path(output, sources[0].name + chosen.suffix)
    return Path(os.path.abspath(output)) if Path(output).name in ("", "..") else Path(output)
