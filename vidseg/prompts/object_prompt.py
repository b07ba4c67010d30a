"""Objects that a user points at: what a prompt by hand may be, and whether it makes sense on a frame."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np

from vidseg.errors import InputError
from vidseg.io.images import read_mask
from vidseg.prompts.geometry import Box, MaskPrompt, Points, Prompt

HIGHEST = 2**31 - 1  # number of an object
FIELDS = ("id", "label", "box", "points", "point_labels", "mask")


@dataclass(frozen=True)
class ObjectPrompt:
    """One object, pointed at on one frame.

    Attributes:
        id: the number of the object, 1 or more; a later prompt with the same number corrects the object.
        prompt: a box, clicks, a box with clicks, or a mask, in pixels of the frame.
        label: what it is called; None: "object", or what a text prompt finds it to be.
    """

    id: int
    prompt: Prompt
    label: str | None = None


def objects_at(
    boxes: Sequence[Sequence[float]] | np.ndarray | None = None,
    points: Sequence[Sequence[float]] | np.ndarray | None = None,
    point_labels: Sequence[int] | np.ndarray | None = None,
    masks: Sequence[np.ndarray] | np.ndarray | None = None,
) -> list[ObjectPrompt]:
    """Objects numbered from 1: one for each box, then one for each mask; clicks belong to the first object.

    Args:
        boxes: N×4 x1, y1, x2, y2 in pixels.
        points: P×2 x, y in pixels, all on one object: the first box's, or one of their own if there is no box.
        point_labels: P times 1 (on the object) or 0 (on what does not belong to it); None: all 1.
        masks: N×H×W bool.

    Raises:
        InputError: any of them has another form.
    """
    prompts: list[Prompt] = []
    if boxes is not None:
        rows = numbers(boxes, 4, "boxes must be [[x1, y1, x2, y2], …] in pixels with x2 > x1 and y2 > y1")
        prompts += [box_of(row) for row in rows]
    if points is not None:
        clicks = clicks_of(points, point_labels)
        prompts[:1] = [replace(prompts[0], points=clicks) if prompts else clicks]
    elif point_labels is not None:
        raise InputError("point_labels were given without points")
    prompts += [MaskPrompt(mask) for mask in (masks if masks is not None else ())]
    return [ObjectPrompt(number, prompt) for number, prompt in enumerate(prompts, start=1)]


def numbers(rows: Any, width: int, form: str) -> list[tuple[float, ...]]:
    """Rows of `width` finite numbers as tuples; InputError with `form` as its text if they are anything else, or none."""
    try:
        array = np.asarray(rows, np.float32)
    except (TypeError, ValueError):  # rows of different lengths, words
        raise InputError(form) from None
    if array.ndim != 2 or array.shape[1] != width or not len(array) or not np.isfinite(array).all():
        raise InputError(form)
    return [tuple(row) for row in array.tolist()]


def box_of(row: tuple[float, ...]) -> Box:
    x1, y1, x2, y2 = row
    if not (x2 > x1 and y2 > y1):
        raise InputError("boxes must be [[x1, y1, x2, y2], …] in pixels with x2 > x1 and y2 > y1")
    return Box((x1, y1, x2, y2))


def clicks_of(points: Any, labels: Any = None) -> Points:
    """Clicks on one object; without labels all of them are on it."""
    xy = numbers(points, 2, "points must be [[x, y], …] in pixels")
    try:
        labels = [1] * len(xy) if labels is None else np.asarray(labels).tolist()
        return Points(tuple(xy), tuple(labels))
    except (TypeError, ValueError):
        raise InputError(
            f"there are {len(xy)} points: give as many point labels, each 1 (object) or 0 (not the object)"
        ) from None


def object_prompt(entry: ObjectPrompt | Mapping[str, Any], folder: Path | None = None) -> ObjectPrompt:
    """An object prompt from a mapping with the keys of FIELDS, as a prompts file has it.

    A mask is an array [H, W], a COCO run length code, or the name of a picture (in `folder`).

    Raises:
        InputError: what is wrong with it; it does not say where the entry came from.
    """
    if isinstance(entry, ObjectPrompt):
        return entry
    if not isinstance(entry, Mapping):
        raise InputError(f"an object prompt must be a mapping with {', '.join(FIELDS)}; it is {entry!r}")
    if unknown := [key for key in entry if key not in FIELDS]:
        raise InputError(f"there is no {unknown[0]!r} in an object prompt; there are {', '.join(FIELDS)}")
    number, label = entry.get("id"), entry.get("label")
    if isinstance(number, bool) or not isinstance(number, Integral) or not 1 <= number <= HIGHEST:
        raise InputError(f"an object prompt needs an id, a whole number from 1 to {HIGHEST}; it is {number!r}")
    number = int(number)
    if label is not None and not (isinstance(label, str) and label.strip()):
        raise InputError(f"the label of object {number} is {label!r}; give it a name or leave it out")
    box, points, mask = (entry.get(name) for name in ("box", "points", "mask"))
    if mask is not None and (box is not None or points is not None):
        raise InputError(f"object {number} has a mask and a box or points; give either")
    if mask is not None:
        return ObjectPrompt(number, MaskPrompt(mask_of(mask, folder)), label)
    if points is None and entry.get("point_labels") is not None:
        raise InputError(f"object {number} has point_labels without points")
    found = objects_at(None if box is None else [box], points, entry.get("point_labels"))
    if not found:
        raise InputError(f"object {number} has neither box nor points nor mask")
    return ObjectPrompt(number, found[0].prompt, label)


def mask_of(mask: Any, folder: Path | None) -> np.ndarray:
    if isinstance(mask, str):
        return read_mask((folder or Path()) / mask)
    if isinstance(mask, Mapping):
        from vidseg.tracks.rle import decode_mask

        try:
            return decode_mask(mask)
        except Exception:  # whatever is raised for sizes and counts that do not fit
            raise InputError('a mask is no COCO run length code: {"size": [height, width], "counts": "…"}') from None
    try:
        return np.asarray(mask)
    except ValueError:  # rows of different lengths
        raise InputError("a mask must have rows of one length") from None


def fitted(prompts: Iterable[ObjectPrompt], width: int, height: int) -> list[ObjectPrompt]:
    """The same prompts, boxes cut to the frame. InputError if one lies outside, has no pixels, or a number comes twice."""
    fitting: dict[int, ObjectPrompt] = {}
    for one in prompts:
        prompt = one.prompt
        if one.id in fitting:
            raise InputError(f"object {one.id} is prompted twice on one frame; give each object one prompt")
        points = prompt.points if isinstance(prompt, Box) else prompt if isinstance(prompt, Points) else None
        for x, y in points.xy if points else ():
            if not (0 <= x <= width and 0 <= y <= height):
                raise InputError(
                    f"the point {x:g},{y:g} of object {one.id} lies outside the picture, which has {width}×{height} pixels"
                )
        if isinstance(prompt, Box):
            x1, y1, x2, y2 = prompt.xyxy
            cut = max(x1, 0.0), max(y1, 0.0), min(x2, float(width)), min(y2, float(height))
            if cut[0] >= cut[2] or cut[1] >= cut[3]:
                raise InputError(
                    f"the box {x1:g},{y1:g},{x2:g},{y2:g} of object {one.id} lies outside the picture, which has {width}×{height} pixels"
                )
            prompt = replace(prompt, xyxy=cut)
        elif isinstance(prompt, MaskPrompt):
            shape = np.shape(prompt.mask)
            if shape != (height, width):
                size = "×".join(map(str, shape[::-1]))
                raise InputError(
                    f"the mask of object {one.id} has {size} pixels and the picture {width}×{height}; give it the picture's size"
                )
            if not np.any(prompt.mask):
                raise InputError(f"the mask of object {one.id} is empty: no pixel is set")
            prompt = MaskPrompt(np.asarray(prompt.mask) != 0)
        fitting[one.id] = replace(one, prompt=prompt)
    return list(fitting.values())
