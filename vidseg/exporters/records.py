"""The lines of a tracks file with masks as run lengths.

Most formats want the run lengths, an area and a box, and no pixels. All three are had from the code of a mask in some 30 µs;
decoding it would take twenty times that on a picture of 1280×720.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from vidseg.tracks.file import Tracks
from vidseg.tracks.rle import run_lengths

LARGEST = 2**63  # databases and tables hold no larger numbers


@dataclass
class ObjectRecord:
    """An object on one frame.

    size: (height, width) of the picture in pixels. counts: COCO's compressed run lengths.
    lengths: [R] int64, the same as numbers: how many pixels are outside, inside, outside …, column by column.
    """

    id: int
    label: str
    score: float
    size: tuple[int, int]
    counts: str
    lengths: np.ndarray

    @cached_property
    def area(self) -> int:
        """Pixels of the mask."""
        return int(self.lengths[1::2].sum())

    @cached_property
    def box(self) -> tuple[int, int, int, int]:
        """The smallest x, y, width, height (pixels) around a mask that is not empty."""
        inside = self.lengths[1::2]
        stops = np.cumsum(self.lengths)[1::2][inside > 0]
        starts, lasts, height = stops - inside[inside > 0], stops - 1, self.size[0]
        left, right = int(starts[0]) // height, int(lasts[-1]) // height
        if (starts // height != lasts // height).any():  # from the foot of one column to the head of the next
            return left, 0, right - left + 1, height
        top, bottom = int((starts % height).min()), int((lasts % height).max())
        return left, top, right - left + 1, bottom - top + 1

    def code(self) -> dict[str, Any]:
        """{"size": [H, W], "counts": str}, the mask as COCO has it."""
        return {"size": list(self.size), "counts": self.counts}

    def crop(self) -> np.ndarray:
        """The mask inside `box`, h×w bool. Only the columns of the box are decoded."""
        x, y, width, height = self.box
        lengths = self.lengths.copy()
        lengths[0] -= x * self.size[0]
        if (
            len(lengths) % 2
        ):  # what is outside after the last pixel of the mask, up to the foot of the box's last column
            lengths[-1] = width * self.size[0] - lengths[:-1].sum()
        inside = np.zeros(len(lengths), bool)
        inside[1::2] = True
        return np.repeat(inside, lengths).reshape(width, self.size[0]).T[y : y + height]


@dataclass
class FrameRecord:
    """One frame: its index in the clip, its time in s, its objects, and its image (H×W×3 uint8 RGB) where it was asked for."""

    index: int
    time: float
    objects: list[ObjectRecord]
    image: np.ndarray | None = None


def read_frames(
    tracks: Tracks, every: int = 1, min_score: float = 0.0, passed: Callable[[], None] | None = None
) -> Iterator[FrameRecord]:
    """Frames of a tracks file. Empty masks and objects below min_score are left out. InputError for a broken line.

    every: the first frame, and those that are a multiple of so many frames after it.
    passed: is called when a frame is done with, kept or not.
    """
    size = tracks.header["height"], tracks.header["width"]
    first, last = None, -1
    for number, line in enumerate(tracks.records(), start=1):
        if number == 1:
            continue
        try:
            index, time = int(line["frame"]), float(line["time"])
            first = index if first is None else first
            kept = (index - first) % every == 0
            frame = FrameRecord(index, time, _objects(line["objects"], size, min_score)) if kept else None
        except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
            raise tracks.broken(number, f"{type(error).__name__}: {error}") from error
        if not last < index < LARGEST:
            raise tracks.broken(number, f"frame {index} after frame {last}")
        last = index
        if frame is not None:
            yield frame
        if passed is not None:
            passed()


def _objects(entries: list[dict], size: tuple[int, int], min_score: float) -> list[ObjectRecord]:
    objects, seen = [], set()
    for entry in entries:
        mask, score, number = entry["mask"], float(entry["score"]), entry["id"]
        if tuple(mask["size"]) != size:
            raise ValueError(f"mask of size {mask['size']} in a clip of {list(size)}")
        if type(number) is not int or abs(number) >= LARGEST or not math.isfinite(score):
            raise ValueError("an id that is no whole number, or a score that is no number")
        entry["label"].encode()  # refuses what is no text, and text that no file can hold
        if number in seen:
            raise ValueError(f"two masks of object {number}")
        seen.add(number)
        if score >= min_score:
            found = ObjectRecord(number, entry["label"], score, size, mask["counts"], run_lengths(mask["counts"], size))
            if found.area:
                objects.append(found)
    return objects
