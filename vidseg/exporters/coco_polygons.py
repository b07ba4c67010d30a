"""COCO with polygons, for annotation tools: both CVAT and Label Studio import it.

Label Studio's converter fails on run lengths; both tools understand COCO's polygons. These run along the edges of
pixels, where an annotation tool draws them. Each part of a mask is one polygon, and a hole is cut in along a line.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vidseg.exporters.coco import write_coco
from vidseg.exporters.polygons import edge_polygons
from vidseg.exporters.source import Source
from vidseg.tracks.records import ObjectRecord


def write(sources: Sequence[Source], output: Path, images: Path | None) -> None:
    """Write the data set, and the images if there is a folder for them."""
    write_coco(sources, output, images, _segmentation)


def _segmentation(found: ObjectRecord) -> list[list[int]]:
    """[[x, y, x, y …] …] in pixels of the frame."""
    x, y, *_ = found.mask_box
    return [(polygon + (x, y)).ravel().tolist() for polygon in edge_polygons(found.crop())]
