"""YOLO segmentation: images, one text file of polygons an image, and data.yaml, as Ultralytics trains on."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

from vidseg.exporters.images import save_jpeg
from vidseg.exporters.polygons import centre_polygon
from vidseg.exporters.source import Categories, Source
from vidseg.tracks.records import ObjectRecord

SHORT_CLIP = 5  # frames: a clip with fewer is not split


def write(sources: Sequence[Source], output: Path, images: Path | None) -> None:
    """Write images/ and labels/ with train/ and val/ in them, and data.yaml. `split` says which frame goes where."""
    categories, short_clips, used = Categories(sources), 0, set()
    for kind in ("images", "labels"):
        for part in ("train", "val"):
            (output / kind / part).mkdir(parents=True)
    for source in sources:
        count = source.frame_count()
        short_clips += count < SHORT_CLIP
        part_of = split(count, source, short_clips)
        for place, frame in enumerate(source.frames(images=True)):
            part = part_of(place)
            if part is None or frame.image is None:
                continue
            used.add(part)
            labels = [f"{categories.number(found.label) - 1} {normalised(found)}\n" for found in frame.objects]
            name = f"{source.name}_{frame.index:06d}"
            save_jpeg(output / "images" / part / f"{name}.jpg", frame.image)
            (output / "labels" / part / f"{name}.txt").write_text("".join(labels), encoding="ascii")
    # Training needs images to validate on. Without any, those it trains on show at least that it learns.
    lines = [
        "train: images/train",
        f"val: images/{'val' if 'val' in used else 'train'}",
        "names:" if categories.names() else "names: {}",
    ]
    lines += [f"  {number}: {json.dumps(name, ensure_ascii=False)}" for number, name in enumerate(categories.names())]
    (output / "data.yaml").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def split(count: int, source: Source, short_clips: int) -> Callable[[int], str | None]:
    """Split a clip into frames for training and for validation.

    The last fifth of a clip is for validation. What lies within a second before it is left out, but not more than a
    tenth of the clip, and one frame at least: neighbouring frames look alike, and would make validation too easy. A
    clip with fewer than SHORT_CLIP frames stays whole, and every fifth such clip is for validation.

    Args:
        count: how many frames of the clip are exported.
        source: the clip.
        short_clips: how many clips so far were short, this one included.

    Returns:
        A function that says of a frame, by its place among those `count`: "train", "val", or None for one left out.
    """
    if count < SHORT_CLIP:
        return lambda place: "train" if short_clips % 5 else "val"
    start = count - max(1, count // 5)
    gap = max(1, min(round(_frame_rate(source) / source.selection.every), count // 10))
    return lambda place: "val" if place >= start else "train" if place < start - gap else None


def _frame_rate(source: Source) -> float:
    """Frames/s of a clip; 25 where its tracks do not say."""
    try:
        return float(Fraction(source.tracks.header["frame_rate"]))
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return 25.0


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
