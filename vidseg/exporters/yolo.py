"""YOLO segmentation: images, one text file of polygons an image, and data.yaml, as Ultralytics trains on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from vidseg.exporters.images import save_jpeg
from vidseg.exporters.names import ImageNames
from vidseg.exporters.polygons import centre_polygon
from vidseg.exporters.source import Categories, Source
from vidseg.exporters.split import TRAIN, VAL, split
from vidseg.tracks.records import ObjectRecord


def write(sources: Sequence[Source], output: Path, images: Path | None) -> None:
    """Write images/ and labels/ with train/ and val/ in them, and data.yaml. `split` says which frame goes where."""
    categories, names, used = Categories(sources), ImageNames(sources, written=True), set()
    for kind in ("images", "labels"):
        for part in (TRAIN, VAL):
            (output / kind / part).mkdir(parents=True)
    for source, part_of in zip(sources, split(sources)):
        for frame in source.frames(images=True):
            part = part_of(frame.time)
            if part is None or frame.image is None:
                continue
            used.add(part)
            labels = [f"{categories.number(found.label) - 1} {normalised(found)}\n" for found in frame.objects]
            name = names.of(source, frame.index).removesuffix(".jpg")
            save_jpeg(output / "images" / part / f"{name}.jpg", frame.image)
            (output / "labels" / part / f"{name}.txt").write_text("".join(labels), encoding="ascii")
    # Training needs images to validate on. Without any, those it trains on show at least that it learns.
    lines = [
        "train: images/train",
        f"val: images/{VAL}" if VAL in used else f"val: images/{TRAIN}  # no frames are for validation alone",
        "names:" if categories.names() else "names: {}",
    ]
    lines += [f"  {number}: {json.dumps(name, ensure_ascii=False)}" for number, name in enumerate(categories.names())]
    (output / "data.yaml").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def normalised(found: ObjectRecord) -> str:
    """The polygon of a mask as "x y x y …", where 0 and 1 are the frame's edges.

    A quarter of a pixel is added, so that a reader comes to the right pixel whether it rounds or cuts off. (The pixel's
    middle, half a pixel on, would be rounded up by some, and its corner cut down by others.)
    """
    x, y, *_ = found.mask_box
    height, width = found.size
    return " ".join(
        f"{(column + x + 0.25) / width:.6f} {(row + y + 0.25) / height:.6f}"
        for column, row in centre_polygon(found.crop()).tolist()
    )
