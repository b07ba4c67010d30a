"""A tracks file read without decoding its masks, which is most of the work: who is where, and nothing more."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from vidseg.tracks.file import Tracks


@dataclass(frozen=True)
class Line:
    """One frame of a tracks file.

    index, time: of the frame; s. objects: (id, label, code of its mask) of each object.
    record: the line as it is, for vidseg.tracks.file.frame_of.
    """

    index: int
    time: float
    objects: list[tuple[int, str, dict]]
    record: dict[str, Any]


def skim(tracks: Tracks) -> Iterator[Line]:
    """The frames of a tracks file. InputError for a broken line; what is wrong inside a mask's code comes out where it is decoded."""
    last, size = -1, [tracks.header["height"], tracks.header["width"]]
    for number, record in enumerate(tracks.records(), start=1):
        if number == 1:  # the header
            continue
        try:
            objects = [(int(entry["id"]), str(entry["label"]), entry["mask"]) for entry in record["objects"]]
            if any(list(mask["size"]) != size or not isinstance(mask["counts"], str) for _, _, mask in objects):
                raise ValueError(f"a mask that is none of {size}")
            line = Line(int(record["frame"]), float(record["time"]), objects, record)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise tracks.broken(number, f"{type(error).__name__}: {error}") from error
        if line.index <= last:
            raise tracks.broken(number, f"frame {line.index} after frame {last}")
        last = line.index
        yield line


def ends(tracks: Tracks) -> tuple[int, int] | None:
    """Numbers of the first and the last frame of a tracks file, from its two ends only; None if it has no frames."""
    first = next(skim(tracks), None)
    if first is None:
        return None
    import json
    import os

    with open(tracks.path, "rb") as file:
        size = room = file.seek(0, os.SEEK_END)
        for room in (1 << 16, 1 << 20, 1 << 24, size):  # a line with many objects is long
            file.seek(max(0, size - room))
            lines = file.read().splitlines()
            if len(lines) > 1:
                break
    try:
        return first.index, int(json.loads(lines[-1])["frame"])
    except (ValueError, KeyError, TypeError):  # broken off there; reading on tells of it
        return first.index, first.index
