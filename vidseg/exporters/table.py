"""One row an object on a frame: what CSV and Parquet have in common."""

from __future__ import annotations

from collections.abc import Iterator

from vidseg.exporters.source import Source

COLUMNS = (
    *("frame", "time", "id", "label", "score", "x1", "y1", "x2", "y2", "area", "height", "width", "counts"),
    "name",
)


def rows(source: Source) -> Iterator[tuple]:
    """Values for COLUMNS.

    x2 and y2 are one past the last pixel; area is in pixels; counts are COCO's run lengths; name is that of the image
    file that the frame comes from, or None.
    """
    names = source.frame_names or ()
    for frame in source.frames():
        for found in frame.objects:
            x, y, width, height = found.mask_box
            yield (
                frame.index,
                frame.time,
                found.id,
                found.label,
                found.score,
                x,
                y,
                x + width,
                y + height,
                found.area,
                *found.size,
                found.counts,
                names[frame.index] if frame.index < len(names) else None,
            )
