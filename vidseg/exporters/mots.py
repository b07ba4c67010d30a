"""MOTS text: one line an object on a frame, with its mask as run lengths.

frame id class height width run_lengths
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vidseg.exporters.overlaps import without_overlap
from vidseg.exporters.source import Categories, Source

CLASSES = {"car": 1, "pedestrian": 2, "person": 2}  # of MOTS
IGNORED = 10  # what MOTS calls a region that is not scored; no object's class


def write(sources: Sequence[Source], output: Path, images: Path | None) -> None:
    """Write the file. Frames are counted from 1. Masks must not overlap in MOTS: the lower id keeps the pixels."""
    (source,) = sources
    others = Categories([])
    with open(output, "w", encoding="ascii") as file:
        for frame in source.frames():
            for found in without_overlap(frame):
                number = CLASSES.get(found.label.lower()) or _free(others.number(found.label))
                height, width = found.size
                file.write(f"{frame.index + 1} {found.id} {number} {height} {width} {found.counts}\n")


def _free(number: int) -> int:
    """1, 2, 3 … -> 3, 4 … 9, 11 …: the classes that MOTS has no meaning for."""
    return number + 2 if number + 2 < IGNORED else number + 3
