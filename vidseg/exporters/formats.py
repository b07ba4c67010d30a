"""The formats that results can be exported to. A further one is a module of this package and an entry of FORMATS.

The module has one function:

    write(sources: Sequence[Source], output: Path, images: Path | None) -> None

Args:
    sources: the tracks files, one unless the format takes several; see `vidseg.exporters.source`. They are read frame
        by frame.
    output: the file to write, or the folder, which exists and is empty.
    images: an empty folder to put the images of the frames into, or None.

Both are temporary names: `vidseg.exporters.export` renames them when they are complete.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from vidseg.exporters.source import Source


class Write(Protocol):
    """The function of a format's module; see above."""

    def __call__(self, sources: Sequence[Source], output: Path, images: Path | None) -> None:
        """Write a data set."""
        ...


@dataclass(frozen=True, kw_only=True)
class Format:
    """What a format needs and how it is named.

    Attributes:
        module: of this package.
        suffix: of the default name.
        folder: patterns of the files in it, for a format that is a folder; empty for one that is a file.
        several: several tracks files make one data set.
        images: the images of the frames can be written beside it.
        needs_images: it holds the images of the frames, so the clip must be there.
        splits: it holds the frames as training and validation sets.
    """

    module: str
    suffix: str
    folder: tuple[str, ...] = ()
    several: bool = False
    images: bool = False
    needs_images: bool = False
    splits: bool = False

    def load(self) -> Write:
        """Import what writes the format.

        Raises:
            VidsegError: a package that it needs is not installed.
        """
        return import_module(f"vidseg.exporters.{self.module}").write

    def path_beside(self, tracks: str | os.PathLike[str]) -> Path:
        """Where the export of a tracks file goes by default: a.tracks.jsonl -> a.coco.json."""
        return Path(tracks).with_name(clip_name(tracks) + self.suffix)

    def path_in(self, folder: Path) -> Path:
        """Where a data set of several tracks files goes by default, in a folder that it is named after."""
        return folder / f"{folder.resolve().name or 'dataset'}{self.suffix}"


def clip_name(tracks: str | os.PathLike[str]) -> str:
    """What a tracks file is named after: park.tracks.jsonl -> park."""
    stem = Path(tracks).stem
    return stem.removesuffix(".tracks") or stem


VAL_SHARE, SEED = 0.2, 0  # where a format splits
YOLO_FILES = ("images/*/*.jpg", "labels/*/*.txt", "labels/*.cache", "data.yaml")
FORMATS = {
    "coco": Format(module="coco", suffix=".coco.json", several=True, images=True),
    "labels": Format(module="coco_polygons", suffix=".labels.json", several=True, images=True),
    "youtube-vis": Format(module="youtube_vis", suffix=".ytvis.json", several=True, images=True),
    "yolo-seg": Format(module="yolo", suffix=".yolo", folder=YOLO_FILES, several=True, needs_images=True, splits=True),
    "davis": Format(module="davis", suffix=".davis", folder=("*.png",)),
    "mot": Format(module="mot", suffix=".mot.txt"),
    "mots": Format(module="mots", suffix=".mots.txt"),
    "csv": Format(module="csv_table", suffix=".csv"),
    "parquet": Format(module="parquet", suffix=".parquet"),
}


def did_you_mean(name: str) -> str:
    """A sentence that names the format which a wrong name is most like; empty if it is like none."""
    close = get_close_matches(name.lower(), FORMATS, n=1, cutoff=0.5)
    return f"Did you mean {close[0]}?" if close else ""
