"""The part of a stored picture that is to be shown, which Matroska files may name.

FFmpeg reads it as side data of the stream, and PyAV has no way to it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

# Ids of Matroska's elements
SEGMENT, TRACKS, TRACK, CLUSTER, TRACK_TYPE, VIDEO = 0x18538067, 0x1654AE6B, 0xAE, 0x1F43B675, 0x83, 0xE0
SIDES = {0x54BB: "top", 0x54AA: "bottom", 0x54CC: "left", 0x54DD: "right"}


@dataclass(frozen=True)
class Crop:
    """How many pixels to cut off each side of a picture as it is stored, before it is turned upright."""

    top: int = 0
    bottom: int = 0
    left: int = 0
    right: int = 0

    def fits(self, width: int, height: int) -> bool:
        """Whether something is left of a picture of that size."""
        return self.left + self.right < width and self.top + self.bottom < height


def crop_of(path: str, container: InputContainer, stream: VideoStream) -> Crop:
    """What a file says is to be cut off its pictures; nothing for what is no Matroska file, such as a pipe."""
    if "matroska" not in container.format.name or not os.path.isfile(path):
        return Crop()
    number = [video.index for video in container.streams.video].index(stream.index)
    with open(path, "rb") as data:
        crops = list(_crops(data, os.path.getsize(path)))
    crop = crops[number] if number < len(crops) else Crop()
    return crop if crop.fits(stream.codec_context.width, stream.codec_context.height) else Crop()


def _crops(data: BinaryIO, size: int) -> Iterator[Crop]:
    """The crop of each video track, in order."""
    for segment, segment_end in _elements(data, size):
        if segment != SEGMENT:
            continue
        for part, part_end in _elements(data, segment_end):
            if part == CLUSTER:
                return
            if part == TRACKS:
                tracks = (end for name, end in _elements(data, part_end) if name == TRACK)
                yield from (crop for end in tracks if (crop := _track_crop(data, end)) is not None)
                return


def _track_crop(data: BinaryIO, track_end: int) -> Crop | None:
    """The crop of the track whose elements begin here; None if it is no video."""
    kind, sides = 0, {}
    for name, end in _elements(data, track_end):
        if name == TRACK_TYPE:
            kind = _number(data, end)
        elif name == VIDEO:
            sides = {SIDES[side]: _number(data, stop) for side, stop in _elements(data, end) if side in SIDES}
    return Crop(**sides) if kind == 1 else None


def _elements(data: BinaryIO, stop: int) -> Iterator[tuple[int, int]]:
    """(id, end) of the elements up to byte `stop`; their contents begin where `data` is then."""
    while data.tell() < stop:
        name, size = _variable(data, keep_marker=True), _variable(data, keep_marker=False)
        if name is None or size is None:
            return
        end = min(stop, data.tell() + size)
        yield name, end
        data.seek(end)


def _variable(data: BinaryIO, keep_marker: bool) -> int | None:
    """A number whose first byte tells by its leading zeros how long it is; None at the end or for nonsense."""
    first = data.read(1)
    if not first or not first[0]:
        return None
    length = 9 - first[0].bit_length()
    rest = data.read(length - 1)
    if len(rest) < length - 1:
        return None
    number, marker = int.from_bytes(first + rest, "big"), 1 << (7 * length)
    if keep_marker:
        return number
    # All ones: it was written live, and lasts to the end
    return number - marker if number != 2 * marker - 1 else 1 << 56


def _number(data: BinaryIO, end: int) -> int:
    return int.from_bytes(data.read(min(8, end - data.tell())), "big")
