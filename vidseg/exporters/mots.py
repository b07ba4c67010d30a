"""MOTS text: one line an object on a frame, with its mask as run lengths. Masks must not overlap.

frame id class height width run_lengths
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from vidseg.exporters.source import Categories, ExportFrame, Source
from vidseg.tracks.records import ObjectRecord
from vidseg.tracks.rle import encode_mask, union_area

CLASSES = {"car": 1, "pedestrian": 2, "person": 2}  # of MOTS
IGNORED = 10  # what MOTS calls a region that is not scored; no object's class


def write(sources: Sequence[Source], output: Path, images: Path | None) -> None:
    """Write the file. Frames are counted from 1. Where masks overlap, the lower id keeps the pixels."""
    (source,) = sources
    others = Categories()
    with open(output, "w", encoding="ascii") as file:
        for frame in source.frames():
            for found in without_overlap(frame):
                number = CLASSES.get(found.label.lower()) or _unused_class(others.number(found.label))
                height, width = found.size
                file.write(f"{frame.index + 1} {found.id} {number} {height} {width} {found.counts}\n")


def without_overlap(frame: ExportFrame) -> Iterator[ObjectRecord]:
    """The objects of a frame by id, with masks that share no pixel. One of which nothing is left is left out."""
    objects = sorted(frame.objects, key=lambda found: found.id)
    total = sum(found.area for found in objects)
    if len(objects) < 2 or union_area([found.code() for found in objects]) == total:
        yield from objects
        return
    taken = np.zeros(objects[0].size, bool)
    for found in objects:
        x, y, width, height = found.mask_box
        window, inside = taken[y : y + height, x : x + width], found.crop()
        left = inside & ~window
        window |= left
        if left.sum() == found.area:
            yield found
        elif left.any():
            mask = np.zeros(found.size, bool, order="F")  # as it is encoded
            mask[y : y + height, x : x + width] = left
            yield replace(found, counts=encode_mask(mask)["counts"])


def _unused_class(number: int) -> int:
    """1, 2, 3 … -> 3, 4 … 9, 11 …: the classes that MOTS has no meaning for."""
    return number + 2 if number + 2 < IGNORED else number + 3
