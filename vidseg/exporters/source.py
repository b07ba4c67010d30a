"""What is exported: a tracks file, which of its frames and objects are kept, its clip, and the names of images and categories."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from vidseg.errors import InputError
from vidseg.exporters.pictures import add_images
from vidseg.exporters.records import FrameRecord, read_frames
from vidseg.tracks.file import Tracks, read_tracks


@dataclass(frozen=True)
class Source:
    """One tracks file.

    name: what its images are called, unlike that of any other source. clip: path, or None where nobody needs images.
    every, min_score, passed: see `read_frames`.
    """

    tracks: Tracks
    name: str
    clip: Path | None = None
    every: int = 1
    min_score: float = 0.0
    passed: Callable[[], None] | None = None

    @property
    def width(self) -> int:
        return self.tracks.header["width"]

    @property
    def height(self) -> int:
        return self.tracks.header["height"]

    def frames(self, images: bool = False) -> Iterator[FrameRecord]:
        """The frames that are kept, in order; with images from the clip if they are asked for."""
        frames = read_frames(self.tracks, self.every, self.min_score, self.passed)
        return add_images(frames, self.clip, self.tracks) if images else frames

    def count(self) -> int:
        """How many frames are kept."""
        return sum(1 for _ in read_frames(self.tracks, self.every, min_score=float("inf")))


def open_sources(
    paths: Sequence[str | os.PathLike], clip, every: int, min_score: float, find_clips: bool, name: str | None = None
) -> list[Source]:
    """Open the tracks files. InputError if one is none, is given twice, or has a clip that is needed and not there.

    name: of the images of a single one; None: like the file.
    """
    sources, names, files = [], set(), set()
    for path in paths:
        tracks = read_tracks(path)
        if os.path.realpath(path) in files:
            raise InputError(f"{path} was given twice; give each tracks file once")
        files.add(os.path.realpath(path))
        called = stem = name or _stem(Path(path))
        copies = 1
        while called.casefold() in names:  # files of one name in several folders
            copies += 1
            called = f"{stem}-{copies}"
        names.add(called.casefold())
        sources.append(Source(tracks, called, _clip(tracks, clip) if find_clips else None, every, min_score))
    return sources


def counted(sources: Sequence[Source], progress: Callable[[int, int | None], None]) -> list[Source]:
    """The sources, which tell how many frames they are done with, of how many in all of them."""
    total, done = sum(source.tracks.frame_count() for source in sources), count(1)
    return [replace(source, passed=lambda: progress(next(done), total)) for source in sources]


class Categories:
    """Numbers labels from 1: the prompts of all sources in their order, then other labels as they appear."""

    def __init__(self, sources: Sequence[Source]):
        self._numbers: dict[str, int] = {}
        for source in sources:
            prompts = source.tracks.header.get("prompts")
            for prompt in prompts if isinstance(prompts, list) else []:
                self.number(str(prompt))

    def number(self, label: str) -> int:
        return self._numbers.setdefault(label, len(self._numbers) + 1)

    def names(self) -> list[str]:
        """The labels so far, by number."""
        return list(self._numbers)

    def entries(self) -> list[dict[str, int | str]]:
        """The labels so far, as COCO has categories."""
        return [{"id": number, "name": name} for name, number in self._numbers.items()]


def _stem(path: Path) -> str:
    """park.tracks.jsonl -> park"""
    return path.stem.removesuffix(".tracks") or path.stem


def _clip(tracks: Tracks, chosen: str | os.PathLike | None) -> Path:
    """The clip that was chosen, or that the tracks file names: seen from its folder, from here, or moved beside it."""
    if chosen is not None:
        return Path(chosen)  # whether it can be used is said when it is opened
    named = tracks.header.get("clip")
    if not isinstance(named, str) or not named:
        raise InputError(f"{tracks.path}: it does not say which clip it is of; name the clip with clip (--clip)")
    folder = Path(tracks.path).parent
    for path in (folder / named, Path(named), folder / Path(named).name):
        if os.path.exists(path):
            return path
    raise InputError(f"{tracks.path}: its clip {named} is not there; name the clip with clip (--clip)")
