"""What `vidseg track` is to do for each clip: where it comes from, and where its results go."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import click

import vidseg
from vidseg.commands.options import output_paths
from vidseg.errors import OutputError
from vidseg.exporters.export import FORMATS

if TYPE_CHECKING:
    from vidseg.io.clip import Clip

CLIP_SUFFIXES = (
    ".mp4",
    ".m4v",
    ".mov",
    ".mkv",
    ".webm",
    ".avi",
    ".mpg",
    ".mpeg",
    ".ts",
    ".m2ts",
    ".mts",
    ".wmv",
    ".flv",
    ".ogv",
    ".3gp",
    ".mxf",
    ".gif",
)


@dataclass
class Job:
    """One clip: video_path is None if no overlay is wanted."""

    clip: str
    video_path: Path | None
    tracks_path: Path

    def open(self, overwrite: bool, inputs: Sequence[str | Path]) -> Clip:
        """The clip, after all that can be known to fail later has been checked. Raises InputError, OutputError.

        inputs: files that are read in the same call, and must not be replaced.
        """
        from vidseg.io.clip import Clip
        from vidseg.io.files import check_writable
        from vidseg.io.writer import check_video_output

        clip = Clip(self.clip)
        for given in (self.clip, *inputs):
            for path in filter(None, (self.video_path, self.tracks_path)):
                check_writable(path, True, given)
        if self.video_path is not None:
            check_video_output(self.video_path, overwrite)
        check_writable(self.tracks_path, overwrite)
        return clip


def jobs_for(clips: Sequence[str], output: Path | None, tracks: Path | None, video: bool) -> list[Job]:
    """A job for each clip, and for each in a folder of clips. UsageError for outputs that they cannot share."""
    given, clips = (
        clips,
        list(
            {
                os.path.realpath(one) if os.path.exists(one) else one: one for clip in clips for one in in_folder(clip)
            }.values()
        ),
    )
    if len(clips) > 1 and tracks is not None:
        raise click.UsageError("--tracks names one file, and there are several clips; give a folder with --output")
    if list(given) != clips and output is not None and not os.path.isdir(output):
        make_folder(output)
    stems = Counter(output_paths(named(clip), output, tracks)[1] for clip in clips)
    jobs, taken = [], {}
    for clip in clips:
        alike = (
            stems[output_paths(named(clip), output, tracks)[1]] > 1
        )  # clips whose names differ in the suffix alone keep it
        video_path, tracks_path = output_paths(named(clip), output, tracks, whole_name=alike)
        if video and video_path == tracks_path:
            raise click.UsageError("--output and --tracks name the same file")
        if tracks_path in taken:
            raise click.UsageError(
                f"the results of {taken[tracks_path]} and {clip} would have one name; track them into different folders"
            )
        taken[tracks_path] = clip
        jobs.append(Job(clip, video_path if video else None, tracks_path))
    return jobs


def in_folder(clip: str) -> list[str]:
    """A clip itself; or the clips in a folder that holds no images, without overlays that were written there."""
    if not os.path.isdir(clip):
        return [clip]
    from vidseg.io.images import IMAGE_SUFFIXES, files_in, natural_order

    files = files_in(Path(clip))
    if any(file.suffix.lower() in IMAGE_SUFFIXES for file in files):
        return [clip]
    found = [
        str(file)
        for file in sorted(files, key=natural_order)
        if file.suffix.lower() in CLIP_SUFFIXES and not file.stem.endswith(".tracked")
    ]
    return found or [clip]


def named(clip: str) -> Path:
    """A path that says where results go: the clip's own, or for a pipe, a stream or a camera, a name in this folder."""
    if clip == "-":
        return Path("pipe")
    if clip.isascii() and clip.isdecimal() and not os.path.exists(clip):
        return Path(f"camera-{clip}")
    if "://" in clip or clip.startswith("/dev/"):
        address = re.sub(r"^[^:/]*://([^/@]*@)?", "", clip)  # without a password
        return Path(re.sub(r"[^\w-]+", "-", address.rstrip("/").split("/")[-1]).strip("-") or "stream")
    return Path(clip)


@dataclass
class Export:
    """What is exported when all is done: the format, the tracks files, and where to."""

    format: str
    tracks: list[Path]
    place: Path


def exports_of(formats: Sequence[str], tracks: Sequence[Path], output: Path | None, overwrite: bool) -> list[Export]:
    """What to export; several tracks files make one data set where they can, in `output` or the folder of the first.

    OutputError if something is there already.
    """
    found = []
    for name in formats:
        import_module(f"vidseg.exporters.{FORMATS[name].module}")  # before hours of work: it may lack a package
        suffix = FORMATS[name].suffix
        if len(tracks) > 1 and FORMATS[name].many:
            folder = output or tracks[0].parent
            found.append(Export(name, list(tracks), folder / f"{folder.resolve().name or 'dataset'}{suffix}"))
        else:
            found += [
                Export(name, [path], path.with_name(path.name.removesuffix(".jsonl").removesuffix(".tracks") + suffix))
                for path in tracks
            ]
    for export in found:
        if os.path.lexists(export.place) and not overwrite:
            raise OutputError(f"{export.place} exists already: choose another name, or allow --overwrite")
    return found


def write_exports(exports: Sequence[Export], failures: Sequence[str], overwrite: bool) -> list[str]:
    """Write them, and say so. Returns what went wrong, a line each; where something was not tracked, nothing is exported."""
    if exports and failures:
        return ["nothing was exported, since not everything could be done; see vidseg export for the rest"]
    for export in exports:
        for path in vidseg.export(export.tracks, export.format, export.place, overwrite=overwrite):
            click.echo(f"Wrote {path}")
    return []


def make_folder(path: Path) -> None:
    """Raises OutputError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{path}: cannot be made a folder ({error.strerror}); choose another --output") from error
