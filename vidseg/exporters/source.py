"""What is exported: a tracks file, the frames and objects of it that are kept, its clip, and the names it goes by."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from vidseg.errors import InputError
from vidseg.exporters.formats import SEED, VAL_SHARE, clip_name
from vidseg.tracks.file import Tracks, read_tracks
from vidseg.tracks.records import FrameRecord, ObjectRecord

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which frames and objects are exported, and how many of them are for validation.

    Attributes:
        every: keep the first frame, and those that are a multiple of so many frames after it.
        min_score: leave out objects with a lower score.
        val: share of the frames that is for validation, where a format splits them.
        seed: decides which frames these are.
    """

    every: int = 1
    min_score: float = 0.0
    val: float = VAL_SHARE
    seed: int = SEED


@dataclass
class ExportFrame:
    """A frame that is exported.

    Attributes:
        index: number of the frame in the clip, 0-based.
        time: s.
        objects: those that are kept; none has an empty mask.
        image: H×W×3 uint8 RGB, where it was asked for.
    """

    index: int
    time: float
    objects: list[ObjectRecord]
    image: np.ndarray | None = None


@dataclass(frozen=True, kw_only=True)
class Source:
    """One tracks file.

    Attributes:
        tracks: the file.
        name: what its images are called, unlike that of any other source.
        clip: its path, or None where nobody needs images.
        frame_names: names of the image files that the frames come from, by frame number; None for a video, and where
            the images are to be called otherwise.
        selection: what is kept.
        on_frame: called when a frame of the tracks is done with, kept or not.
    """

    tracks: Tracks
    name: str
    clip: Path | None = None
    frame_names: Sequence[str] | None = None
    selection: Selection = Selection()
    on_frame: Callable[[], None] | None = None

    @property
    def width(self) -> int:
        """Width of the clip's frames in pixels."""
        return self.tracks.width

    @property
    def height(self) -> int:
        """Height of the clip's frames in pixels."""
        return self.tracks.height

    def frames(self, images: bool = False) -> Iterator[ExportFrame]:
        """The frames that are kept, in order; with images from the clip if they are asked for.

        Raises:
            InputError: a line of the tracks is broken, or the clip does not go with them.
        """
        if not images:
            return self._frames()
        from vidseg.exporters.images import add_images

        if self.clip is None:
            raise ValueError(f"{self.tracks.path} was opened without its clip")
        return add_images(self._frames(), self.clip, self.tracks)

    def _frames(self) -> Iterator[ExportFrame]:
        for record, kept in self._records():
            if kept:
                found = [one for one in record.objects if one.score >= self.selection.min_score and one.area]
                yield ExportFrame(record.index, record.time, found)
            if self.on_frame is not None:
                self.on_frame()

    def frame_count(self) -> int:
        """How many frames are kept. The tracks file is read for it."""
        return sum(kept for _, kept in self._records())

    def frame_times(self) -> Iterator[float]:
        """The times of the frames that are kept, in s. The tracks file is read for it."""
        return (record.time for record, kept in self._records() if kept)

    def _records(self) -> Iterator[tuple[FrameRecord, bool]]:
        """All frames, and whether each is kept."""
        first = None
        for record in self.tracks.records():
            first = record.index if first is None else first
            yield record, (record.index - first) % self.selection.every == 0


def tracks_files(path: str | os.PathLike[str]) -> list[str | os.PathLike[str]]:
    """The tracks files (*.tracks.jsonl) in a folder, in natural order; or the path itself if it is no folder.

    Raises:
        InputError: there are none in the folder, or it cannot be read.
    """
    if not os.path.isdir(path):
        return [path]
    from vidseg.io.images import files_in, natural_order

    found = [file for file in files_in(Path(path)) if file.name.endswith(".tracks.jsonl") and file.is_file()]
    if not found:
        raise InputError(f"{os.fspath(path)}: no tracks files (*.tracks.jsonl) in this folder; run vidseg track first")
    return [*sorted(found, key=natural_order)]


def open_sources(
    paths: Sequence[str | os.PathLike[str]],
    selection: Selection,
    *,
    clip: str | os.PathLike[str] | None = None,
    needs_clips: bool = False,
    name: str | None = None,
) -> list[Source]:
    """Open tracks files.

    Args:
        paths: of the files.
        selection: what is kept of each.
        clip: path of the clip, instead of the one that the tracks name.
        needs_clips: find the clips.
        name: of the images of a single one; by default like the file, or like those that the frames come from.

    Raises:
        InputError: a file is not a tracks file, is given twice, or needs a clip that is not there.
    """
    sources: list[Source] = []
    names: set[str] = set()
    files: set[str] = set()
    for path in paths:
        tracks = read_tracks(path)
        if os.path.realpath(path) in files:
            raise InputError(f"{path} was given twice; give each tracks file once")
        files.add(os.path.realpath(path))
        called = stem = name or clip_name(path)
        copies = 1
        while called.casefold() in names:  # files of one name in several folders
            copies += 1
            called = f"{stem}-{copies}"
        names.add(called.casefold())
        found = _find_clip(tracks, clip) if needs_clips else None
        frame_names = tracks.frame_names() if name is None else None
        source = Source(tracks=tracks, name=called, clip=found, frame_names=frame_names, selection=selection)
        sources.append(source)
    return sources


def counted(sources: Sequence[Source], progress: Callable[[int, int | None], None]) -> list[Source]:
    """The same sources, which report how many frames they are done with, of how many in all of them."""
    total, done = sum(source.tracks.frame_count() for source in sources), count(1)
    return [replace(source, on_frame=lambda: progress(next(done), total)) for source in sources]


class Categories:
    """Numbers labels from 1: the prompts of all sources in their order, then other labels as they appear."""

    def __init__(self, sources: Sequence[Source] = ()):
        self._numbers: dict[str, int] = {}
        for source in sources:
            prompts = source.tracks.header.get("prompts")
            for prompt in prompts if isinstance(prompts, list) else []:
                self.number(str(prompt))

    def number(self, label: str) -> int:
        """The number of a label; a new label gets the next one."""
        return self._numbers.setdefault(label, len(self._numbers) + 1)

    def names(self) -> list[str]:
        """The labels so far, by number."""
        return list(self._numbers)

    def entries(self) -> list[dict[str, int | str]]:
        """The labels so far, as COCO has categories."""
        return [{"id": number, "name": name} for name, number in self._numbers.items()]


def _find_clip(tracks: Tracks, chosen: str | os.PathLike[str] | None) -> Path:
    """The clip that was chosen, or that the tracks file names: near that file, or else where it says."""
    if chosen is not None:
        return Path(chosen)  # opening it shows whether it can be used
    named = tracks.header.get("clip")
    if not isinstance(named, str) or not named:
        raise InputError(f"{tracks.path}: it does not say which clip it is of; name the clip with clip (--clip)")
    folder, where = Path(tracks.path).parent, Path(named)
    beside = folder / (where.name if where.name not in ("", "..") else clip_name(tracks.path))
    as_named = [folder / where] if where.name not in ("", "..") and not where.is_absolute() else []
    # The folder may have been moved or copied with its clips, and this may be another folder than the tracks were made
    # in. So what is here counts last.
    for path in (*as_named, beside, where):
        if os.path.exists(path):
            return path
    raise InputError(f"{tracks.path}: its clip {named} is not there; name the clip with clip (--clip)")
