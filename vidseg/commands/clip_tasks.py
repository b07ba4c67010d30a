"""What `vidseg track` does for each clip: where it comes from, and where its results go."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vidseg.commands.outputs import output_paths
from vidseg.io.files import make_folder, names_folder

if TYPE_CHECKING:
    from vidseg.io.clip import Clip

CLIP_SUFFIXES = {
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
}


@dataclass(frozen=True, kw_only=True)
class ClipTask:
    """One clip and its results.

    Attributes:
        source: what `vidseg.io.clip.Clip` takes.
        video_path: the overlay; None if there should be none.
        tracks_path: the tracks file.
    """

    source: str
    video_path: Path | None
    tracks_path: Path

    def paths(self) -> list[Path]:
        """The files that are written."""
        return [path for path in (self.video_path, self.tracks_path) if path is not None]

    def is_done(self) -> bool:
        """Whether the clip is tracked, to its end.

        Raises:
            InputError: something else has the name of its tracks file.
        """
        return is_complete(self.tracks_path)

    def open(self, overwrite: bool, inputs: Iterable[str | Path]) -> Clip:
        """Open the clip, and check all that can be known to fail later.

        Args:
            overwrite: whether results may exist.
            inputs: files that the same call reads, and must not replace.

        Raises:
            InputError: the clip cannot be read.
            OutputError: a result cannot be written, or would replace something.
        """
        from vidseg.io.clip import Clip
        from vidseg.io.files import check_writable
        from vidseg.io.writer import check_video_output

        clip = Clip(self.source)
        for given in (self.source, *inputs):
            for path in self.paths():
                check_writable(path, True, given)
        if self.video_path is not None:
            check_video_output(self.video_path, overwrite)
        check_writable(self.tracks_path, overwrite)
        return clip


def is_complete(tracks_path: Path) -> bool:
    """Whether there is a tracks file, and not one of an interrupted run. InputError if it is something else."""
    from vidseg.tracks.file import read_tracks

    return os.path.lexists(tracks_path) and not read_tracks(tracks_path).interrupted


def tasks_for(
    sources: Sequence[str], output: str | os.PathLike[str] | None, tracks: Path | None, video: bool
) -> list[ClipTask]:
    """A task for each clip, and for each in a folder of clips.

    Args:
        sources: clips and folders, as the user names them.
        output: the overlay, or a folder for all results, which is made; None: beside each clip.
        tracks: the tracks file; None: beside the overlay.
        video: whether to write overlays.

    Raises:
        UsageError: several clips cannot share these outputs.
        OutputError: the output folder cannot be made.
    """
    # One that is given twice is tracked once, under the later name.
    by_file = {
        os.path.realpath(clip) if os.path.exists(clip) else clip: clip
        for source in sources
        for clip in clips_in(source)
    }
    clips = list(by_file.values())
    if len(clips) > 1 and tracks is not None:
        raise click.UsageError("--tracks names one file, and there are several clips; give a folder with --output")
    target = None if output is None else Path(output)
    if output is not None and target is not None and (list(sources) != clips or names_folder(output)):
        make_folder(target)
    usual_paths = {clip: output_paths(result_name(clip), target, tracks)[1] for clip in clips}
    shared = Counter(usual_paths.values())
    tasks: dict[Path, ClipTask] = {}
    for clip in clips:
        # Clips whose names differ in the suffix alone keep it in the names of their results.
        whole_name = shared[usual_paths[clip]] > 1
        video_path, tracks_path = output_paths(result_name(clip), target, tracks, whole_name)
        if video and video_path == tracks_path:
            raise click.UsageError("--output and --tracks name the same file")
        if tracks_path in tasks:
            raise click.UsageError(
                f"the results of {tasks[tracks_path].source} and {clip} would have one name; "
                "track them into different folders"
            )
        tasks[tracks_path] = ClipTask(source=clip, video_path=video_path if video else None, tracks_path=tracks_path)
    return list(tasks.values())


def clips_in(source: str) -> list[str]:
    """The clips in a folder of clips, in natural order and without overlays; else the source itself.

    A folder with images in it is one clip.
    """
    if not os.path.isdir(source):
        return [source]
    from vidseg.io.images import IMAGE_SUFFIXES, files_in, natural_order

    files = files_in(Path(source))
    if any(file.suffix.lower() in IMAGE_SUFFIXES for file in files):
        return [source]
    found = [
        str(file)
        for file in sorted(files, key=natural_order)
        if file.suffix.lower() in CLIP_SUFFIXES and not file.stem.endswith(".tracked")
    ]
    return found or [source]


def result_name(source: str) -> Path:
    """The path that results are named after: the clip's, or a name in this folder for a pipe, stream or camera."""
    if source == "-":
        return Path("pipe")
    if source.isascii() and source.isdecimal() and not os.path.exists(source):
        return Path(f"camera-{source}")
    if ("://" in source and not os.path.exists(source)) or source.startswith("/dev/"):
        address = re.sub(r"^[^:/]*://([^/@]*@)?", "", source)  # without a password
        return Path(re.sub(r"[^\w-]+", "-", address.rstrip("/").rpartition("/")[2]).strip("-") or "stream")
    return Path(source)
