"""For run lengths that may not overlap: of two objects on a pixel the one with the lower id keeps it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from vidseg.exporters.records import FrameRecord, ObjectRecord
from vidseg.tracks.rle import encode_mask, run_lengths


def without_overlap(frame: FrameRecord) -> Iterator[ObjectRecord]:
    """The objects of a frame by id, with masks that share no pixel. One of which nothing is left is left out."""
    from pycocotools import mask as coco

    objects = sorted(frame.objects, key=lambda found: found.id)
    codes = [{"size": found.size, "counts": found.counts} for found in objects]
    if len(objects) < 2 or coco.area(coco.merge(codes)) == sum(found.area for found in objects):
        yield from objects
        return
    taken = np.zeros(objects[0].size, bool)
    for found in objects:
        x, y, width, height = found.box
        window, inside = taken[y : y + height, x : x + width], found.crop()
        left = inside & ~window
        window |= left
        if left.sum() == found.area:
            yield found
        elif left.any():
            mask = np.zeros(found.size, bool, order="F")  # as it is encoded
            mask[y : y + height, x : x + width] = left
            counts = encode_mask(mask)["counts"]
            yield ObjectRecord(found.id, found.label, found.score, found.size, counts, run_lengths(counts, found.size))
