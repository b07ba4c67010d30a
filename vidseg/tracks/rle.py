"""Run lengths of masks, as COCO has them: compressed to text, as numbers, and decoded to pixels.

Run lengths say how many pixels are outside, inside, outside … the mask, column by column. Area and bounding box follow
from them without a pixel being decoded, which takes some 20 times as long for a frame of 1280×720.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def encode_mask(mask: NDArray[Any]) -> dict[str, Any]:
    """Encode an H×W bool mask as {"size": [H, W], "counts": str}, COCO's compressed run lengths."""
    import numpy as np
    from pycocotools import mask as coco

    code: dict[str, Any] = dict(coco.encode(np.asfortranarray(mask, dtype=np.uint8)))
    return {"size": [int(side) for side in code["size"]], "counts": code["counts"].decode("ascii")}


def decode_mask(code: Mapping[str, Any]) -> NDArray[np.bool_]:
    """Decode {"size": [H, W], "counts": str} to an H×W bool mask.

    Raises:
        ValueError: the run lengths cannot be read or do not fill the frame, which pycocotools would not notice.
    """
    import cv2
    import numpy as np
    from pycocotools import mask as coco

    run_lengths(code["counts"], code["size"])
    decoded: NDArray[np.uint8] = coco.decode({"size": code["size"], "counts": code["counts"].encode("ascii")})
    # Columns lie one after the other in memory, and OpenCV reorders them much faster than numpy.
    rows: Any = cv2.transpose(np.transpose(decoded))
    return rows.view(bool)


def run_lengths(counts: str, size: tuple[int, int]) -> NDArray[np.int64]:
    """Read COCO's compressed run lengths.

    A number is written in groups of five bits, the lowest first, as characters from "0" on. Bit 5 says that another
    group follows, and bit 4 of the last group is the sign. From the fourth number on, what is written is the difference
    to the number before the previous one.

    Args:
        counts: compressed run lengths.
        size: (height, width) of the mask in pixels.

    Returns:
        The run lengths as numbers, [R].

    Raises:
        ValueError: they cannot be read, or do not fill a mask of that size.
    """
    import numpy as np

    if not counts or not counts.isascii():
        raise ValueError("run lengths that cannot be read")
    characters = np.frombuffer(counts.encode("ascii"), np.uint8) - 48  # what lies before "0" becomes large
    if characters.max() > 63 or characters[-1] & 32:
        raise ValueError("run lengths that cannot be read")
    groups = characters.astype(np.int64)
    ends = np.flatnonzero((groups & 32) == 0)
    starts = np.concatenate(([0], ends[:-1] + 1))
    places = np.arange(len(groups)) - np.repeat(starts, ends - starts + 1)
    if places.max() > 7:
        raise ValueError("run lengths that cannot be read")
    lengths = np.add.reduceat((groups & 31) << 5 * places, starts)
    lengths -= np.where(groups[ends] & 16, 1 << 5 * (places[ends] + 1), 0)
    lengths[1::2] = np.cumsum(lengths[1::2])
    lengths[2::2] = np.cumsum(lengths[2::2])
    check_run_lengths(lengths, size)
    return lengths


def check_run_lengths(lengths: NDArray[np.int64], size: tuple[int, int]) -> None:
    """Raise ValueError unless run lengths fill a mask of (height, width) pixels."""
    if not len(lengths) or lengths.min() < 0 or lengths.sum() != size[0] * size[1]:
        raise ValueError(f"run lengths that do not fill a frame of {size[1]}×{size[0]}")


def mask_from(lengths: NDArray[np.int64], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Decode run lengths that fill a mask of (height, width) pixels to H×W bool."""
    import numpy as np

    inside = np.zeros(len(lengths), bool)
    inside[1::2] = True
    return np.transpose(np.reshape(np.repeat(inside, lengths), (size[1], size[0])))


def area(lengths: NDArray[np.int64]) -> int:
    """Count the pixels of a mask."""
    return int(lengths[1::2].sum())


def union_area(codes: Sequence[Mapping[str, Any]]) -> int:
    """Count the pixels that at least one of several masks of one size has, as {"size": [H, W], "counts": str}."""
    from pycocotools import mask as coco

    return int(coco.area(coco.merge(_as_coco(codes))))


def iou(first: Sequence[Mapping[str, Any]], second: Sequence[Mapping[str, Any]]) -> NDArray[np.float64]:
    """Intersection over union of each of N masks with each of M others, N×M.

    The masks are of one size, as {"size": [H, W], "counts": str}.
    """
    import numpy as np
    from pycocotools import mask as coco

    if not first or not second:
        return np.zeros((len(first), len(second)))
    found: Any = coco.iou(_as_coco(first), _as_coco(second), [0] * len(second))
    return found


def bounding_box(lengths: NDArray[np.int64], height: int) -> tuple[int, int, int, int]:
    """Find the smallest box around a mask that is not empty.

    Args:
        lengths: run lengths of the mask, [R].
        height: of the mask in pixels.

    Returns:
        x, y, width and height in pixels.
    """
    import numpy as np

    inside = lengths[1::2]
    stops = np.cumsum(lengths)[1::2][inside > 0]
    starts, lasts = stops - inside[inside > 0], stops - 1
    left, right = int(starts[0]) // height, int(lasts[-1]) // height
    if (starts // height != lasts // height).any():  # from the foot of one column to the head of the next
        return left, 0, right - left + 1, height
    top, bottom = int((starts % height).min()), int((lasts % height).max())
    return left, top, right - left + 1, bottom - top + 1


def crop(lengths: NDArray[np.int64], height: int, box: tuple[int, int, int, int]) -> NDArray[np.bool_]:
    """Decode a mask inside its bounding box alone.

    Args:
        lengths: run lengths of the mask, [R].
        height: of the mask in pixels.
        box: its `bounding_box`.

    Returns:
        The mask inside the box, h×w bool.
    """
    import numpy as np

    x, y, box_width, box_height = box
    lengths = np.array(lengths)
    lengths[0] -= x * height
    if len(lengths) % 2:  # the last run is outside: it ends at the foot of the box's last column
        lengths[-1] = box_width * height - lengths[:-1].sum()
    return mask_from(lengths, (height, box_width))[y : y + box_height]


def _as_coco(codes: Sequence[Mapping[str, Any]]) -> Any:
    """The same as a list, of a type that pycocotools takes."""
    return list(codes)
