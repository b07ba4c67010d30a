"""COCO's compressed run lengths: masks as text, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


def run_lengths(counts: str, size: tuple[int, int]) -> np.ndarray:
    """COCO's compressed run lengths of a mask of (height, width) as numbers, [R] int64. ValueError if they do not fill it.

    A number is written in groups of five bits, the lowest first, as characters from "0" on. Bit 5 says that another group
    follows, and bit 4 of the last group is the sign. From the fourth number on, what is written is the difference to the
    number before the previous one.
    """
    import numpy as np

    groups = np.frombuffer(counts.encode("ascii"), np.uint8).astype(np.int64) - 48
    ends = np.flatnonzero((groups & 32) == 0)
    if not len(groups) or groups.min() < 0 or groups.max() > 63 or ends[-1:].tolist() != [len(groups) - 1]:
        raise ValueError("run lengths that cannot be read")
    starts = np.concatenate(([0], ends[:-1] + 1))
    places = np.arange(len(groups)) - np.repeat(starts, ends - starts + 1)
    if places.max() > 7:
        raise ValueError("run lengths that cannot be read")
    lengths = np.add.reduceat((groups & 31) << 5 * places, starts)
    lengths -= np.where(groups[ends] & 16, 1 << 5 * (places[ends] + 1), 0)
    lengths[1::2] = np.cumsum(lengths[1::2])
    lengths[2::2] = np.cumsum(lengths[2::2])
    if lengths.min() < 0 or lengths.sum() != size[0] * size[1]:
        raise ValueError(f"run lengths that do not fill a picture of {size[1]}×{size[0]}")
    return lengths


def encode_mask(mask: np.ndarray) -> dict[str, Any]:
    """H×W bool -> {"size": [H, W], "counts": str}, COCO's compressed run lengths."""
    import numpy as np
    from pycocotools import mask as coco

    code = coco.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": [int(side) for side in code["size"]], "counts": code["counts"].decode("ascii")}


def decode_mask(code: dict[str, Any]) -> np.ndarray:
    """{"size": [H, W], "counts": str} -> H×W bool. ValueError if the counts do not fill it, which pycocotools would not notice."""
    import cv2
    from pycocotools import mask as coco

    run_lengths(code["counts"], code["size"])
    columns = coco.decode(
        {"size": code["size"], "counts": code["counts"].encode("ascii")}
    ).T  # one after the other in memory
    return cv2.transpose(columns).view(bool)  # much faster than numpy's copy
