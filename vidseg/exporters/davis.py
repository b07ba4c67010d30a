"""DAVIS: one PNG a frame, whose pixels are object ids, with the palette of DAVIS (that of PASCAL VOC)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vidseg.errors import InputError
from vidseg.exporters.source import Source


def write(sources: Sequence[Source], output: Path, images: Path | None) -> None:
    """Write 00000.png …, named by frame index. Where masks overlap, the lower id keeps the pixels.

    Raises:
        InputError: an id is over 255.
    """
    from PIL import Image

    (source,) = sources
    palette = [channel for object_id in range(256) for channel in palette_colour(object_id)]
    for frame in source.frames():
        ids = np.zeros((source.height, source.width), np.uint8)
        for found in sorted(frame.objects, key=lambda found: -found.id):  # so that lower ids come to lie on top
            if not 1 <= found.id <= 255:
                raise InputError(
                    f"{source.tracks.path}: frame {frame.index} has object {found.id}, and a DAVIS image holds ids "
                    "from 1 to 255; choose another format, or number the objects again"
                )
            x, y, width, height = found.mask_box
            ids[y : y + height, x : x + width][found.crop()] = found.id
        image = Image.fromarray(ids)
        image.putpalette(palette)
        image.save(output / f"{frame.index:05d}.png")


def palette_colour(object_id: int) -> tuple[int, int, int]:
    """(red, green, blue) of an id, 0–255.

    Its bits go to the channels in turn, and fill each from its highest bit down, so that ids near each other have
    colours far apart.
    """
    channels = [0, 0, 0]
    for bit in range(8):
        channels[bit % 3] |= (object_id >> bit & 1) << 7 - bit // 3
    red, green, blue = channels
    return red, green, blue
