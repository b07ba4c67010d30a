"""YOLO segmentation: images, one text file of polygons an image, and data.yaml, as Ultralytics trains on."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

from vidseg.exporters.pictures import save_jpeg
from vidseg.exporters.polygons import centre_polygon
from vidseg.exporters.records import ObjectRecord
from vidseg.exporters.source import Categories, Source

FEW = 5  # frames: a shorter clip is not divided


def write(sources: Sequence[Source], output: Path, images: Path | None) -> None:
    """Write images/ and labels/ with train/ and val/ in them, and data.yaml. See `divide` for who goes where."""
    categories, short, used = Categories(sources), 0, set()
    for kind in ("images", "labels"):
        for part in ("train", "val"):
            (output / kind / part).mkdir(parents=True)
    for source in sources:
        count = source.count()
        short += count < FEW
        part_of = divide(count, source, short)
        for place, frame in enumerate(source.frames(images=True)):
            part = part_of(place)
            if part is None:
                continue
            used.add(part)
            labels = [f"{categories.number(found.label) - 1} {normalised(found)}\n" for found in frame.objects]
            name = f"{source.name}_{frame.index:06d}"
            save_jpeg(output / "images" / part / f"{name}.jpg", frame.image)
            (output / "labels" / part / f"{name}.txt").write_text("".join(labels), encoding="ascii")
    # Training wants images to validate on; where there are none, those that it trains on say at least that it learns.
    lines = [
        "train: images/train",
        f"val: images/{'val' if 'val' in used else 'train'}",
        "names:" if categories.names() else "names: {}",
    ]
    lines += [f"  {number}: {json.dumps(name, ensure_ascii=False)}" for number, name in enumerate(categories.names())]
    (output / "data.yaml").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def divide(count: int, source: Source, short: int) -> Callable[[int], str | None]:
    """Who is to learn from a frame, by its place among the `count` frames of a clip: "train", "val", or None for nobody.

    The last fifth of a clip is for validation. What lies within a second before it is left out, but not more than a tenth
    of the clip and one frame at least: neighbours look alike, and would be a test that everybody passes. A clip of fewer than
    FEW frames goes to one side as a whole: every fifth of these (`short` counts them, from 1) to validation.
    """
    if count < FEW:
        return lambda place: "train" if short % 5 else "val"
    start = count - max(1, count // 5)
    gap = max(1, min(round(_rate(source) / source.every), count // 10))
    return lambda place: "val" if place >= start else "train" if place < start - gap else None


def _rate(source: Source) -> float:
    """Frames/s of a clip; 25 where its tracks do not say."""
    try:
        return float(Fraction(source.tracks.header["frame_rate"]))
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return 25.0


def normalised(found: ObjectRecord) -> str:
    """The polygon of a mask as "x y x y …", where 0 and 1 are the picture's edges.

    A quarter of a pixel is added: whether a reader rounds or cuts off, it comes to the pixel that was meant. (The pixel's
    middle, half a pixel on, would be rounded up by some, and its corner cut down by others.)
    """
    x, y, *_ = found.box
    height, width = found.size
    return " ".join(
        f"{(column + x + 0.25) / width:.6f} {(row + y + 0.25) / height:.6f}"
        for column, row in centre_polygon(found.crop()).tolist()
    )
