"""What the images of a data set are called: like the files that they come from, where they come from files."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import PurePath

from vidseg.exporters.source import Source


def file_names(source: Source, written: bool) -> list[str] | None:
    """The names of a clip's images by frame number, unlike each other; None if its frames do not come from files.

    Args:
        source: the clip.
        written: whether they are the names of JPEG files that the export writes, or of the files that there were.
    """
    names = source.frame_names
    if names is None or not written:
        return None if names is None else list(names)
    stems = [PurePath(name).stem for name in names]
    alike = Counter(stem.casefold() for stem in stems)
    return [
        f"{stem}.jpg" if alike[stem.casefold()] == 1 else f"{name}.jpg"  # a.jpg beside a.png
        for stem, name in zip(stems, names)
    ]


class ImageNames:
    """Names of the images of all clips of a data set, in one folder.

    An image is called like its file. Where files of two clips have one name, the names of their clips come first.
    Frames of a video are called after the clip and their number.

    Args:
        sources: the clips.
        written: see `file_names`.
    """

    def __init__(self, sources: Sequence[Source], written: bool):
        own = {source.name: names for source in sources if (names := file_names(source, written)) is not None}
        prefixed = {clip: [f"{clip}_{name}" for name in names] for clip, names in own.items()}
        generated = [source.name for source in sources if source.name not in own]
        self._names = next((names for names in (own, prefixed) if not _collide(names, generated)), {})

    def of(self, source: Source, index: int) -> str:
        """The name of the image of a frame."""
        names = self._names.get(source.name, [])
        return names[index] if index < len(names) else f"{source.name}_{index:06d}.jpg"


def _collide(names: dict[str, list[str]], generated: Sequence[str]) -> bool:
    """Whether two images would have one name. Frames of the clips `generated` are called after clip and number."""
    everything = [name.casefold() for name in _all(names)]
    if len(set(everything)) < len(everything):
        return True
    clips = {clip.casefold() for clip in generated}
    found = (re.fullmatch(r"(.*)_\d{6,}\.jpg", name) for name in everything)
    return any(match is not None and match[1] in clips for match in found)


def _all(names: dict[str, list[str]]) -> Iterator[str]:
    for some in names.values():
        yield from some
