"""Objects that a user points at: what a prompt may be, and whether it makes sense on a frame."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Integral
from pathlib import Path
from typing import Any, TypeAlias, cast

import numpy as np

from vidseg.errors import InputError
from vidseg.io.images import read_mask
from vidseg.prompts.geometry import Box, MaskPrompt, Points, Prompt, Rows, SupportsArray

MAX_ID = 2**31 - 1  # highest number of an object
FIELDS = ("id", "label", "box", "points", "point_labels", "mask", "new")
BOXES_FORM = "boxes must be [[x1, y1, x2, y2], …] in pixels with x2 > x1 and y2 > y1"
POINTS_FORM = "points must be [[x, y], …] in pixels"


@dataclass(frozen=True)
class ObjectPrompt:
    """One object, pointed at on one frame.

    The first prompt with an id begins an object. If it lies on one that is tracked there (most of its clicks are on the
    mask, or the IoU of the boxes is 0.5 or more), it corrects that object, which keeps its own id.

    Attributes:
        id: the number of the object, 1 or more; a later prompt with the same number corrects the object.
        prompt: a box, clicks, a box with clicks, or a mask, in pixels of the frame.
        label: what it is called; None: "object", or what a text prompt finds it to be.
        new: whether it begins an object even where it lies on another.
    """

    id: int
    prompt: Prompt
    label: str | None = None
    new: bool = False

    @property
    def begins(self) -> bool:
        """Whether it says what an object is, and not only what does not belong to it."""
        return not isinstance(self.prompt, Points) or 1 in self.prompt.labels


PromptsOnFrame: TypeAlias = Sequence[ObjectPrompt | Mapping[str, object]]
# By the number of the frame, or "keyframe"
PromptsByFrame: TypeAlias = (
    Mapping[int, PromptsOnFrame] | Mapping[str, PromptsOnFrame] | Mapping[int | str, PromptsOnFrame]
)


def prompts_from_arrays(
    boxes: Rows | None = None,
    points: Rows | None = None,
    point_labels: Sequence[int] | SupportsArray | None = None,
    masks: Iterable[SupportsArray] | None = None,
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
        prompts += [box_from_corners(row) for row in _rows(boxes, 4, BOXES_FORM)]
    if points is not None:
        clicks = clicks_from_arrays(points, point_labels)
        first = prompts[0] if prompts else None
        prompts[:1] = [replace(first, points=clicks) if isinstance(first, Box) else clicks]
    elif point_labels is not None:
        raise InputError("point_labels were given without points")
    prompts += [MaskPrompt(np.asarray(mask)) for mask in (masks if masks is not None else ())]
    return [ObjectPrompt(number, prompt) for number, prompt in enumerate(prompts, start=1)]


def _rows(rows: Any, width: int, form: str) -> list[list[float]]:
    """Rows of `width` finite numbers; InputError with `form` as its text if they are anything else, or none."""
    try:
        array = np.asarray(rows, np.float32)
    except (TypeError, ValueError):  # rows of different lengths, words
        raise InputError(form) from None
    if array.ndim != 2 or array.shape[1] != width or not len(array) or not np.isfinite(array).all():
        raise InputError(form)
    return array.tolist()


def box_from_corners(corners: Sequence[float]) -> Box:
    """A box from x1, y1, x2, y2 in pixels. InputError if it is empty."""
    x1, y1, x2, y2 = corners
    if not (x2 > x1 and y2 > y1):
        raise InputError(BOXES_FORM)
    return Box((x1, y1, x2, y2))


def clicks_from_arrays(points: Any, labels: Any = None) -> Points:
    """Clicks on one object, P×2 x, y in pixels, with P labels; without labels all of them are on the object.

    Raises:
        InputError: they have another form.
    """
    xy = _rows(points, 2, POINTS_FORM)
    try:
        labels = [1] * len(xy) if labels is None else np.asarray(labels).tolist()
        return Points(tuple((x, y) for x, y in xy), tuple(labels))
    except (TypeError, ValueError):
        raise InputError(
            f"there are {len(xy)} points: give as many point labels, each 1 (object) or 0 (not the object)"
        ) from None


def object_prompt(entry: object, folder: Path | None = None) -> ObjectPrompt:
    """An object prompt from a mapping.

    Args:
        entry: a mapping with the keys of `FIELDS`, as a prompts file has it; or an `ObjectPrompt`, which is returned. A
            mask is an array [H, W], a COCO run length code, or the name of a picture.
        folder: where pictures are looked for; None: the working directory.

    Raises:
        InputError: what is wrong with it; it does not say where the entry came from.
    """
    if isinstance(entry, ObjectPrompt):
        return entry
    if not isinstance(entry, Mapping):
        raise InputError(f"an object prompt must be a mapping with {', '.join(FIELDS)}; it is {entry!r}")
    fields = cast("Mapping[str, Any]", entry)
    if unknown := [key for key in fields if key not in FIELDS]:
        raise InputError(f"there is no {unknown[0]!r} in an object prompt; there are {', '.join(FIELDS)}")
    number, label = fields.get("id"), fields.get("label")
    if isinstance(number, bool) or not isinstance(number, Integral) or not 1 <= int(number) <= MAX_ID:
        raise InputError(f"an object prompt needs an id, a whole number from 1 to {MAX_ID}; it is {number!r}")
    number = int(number)
    if label is not None and not (isinstance(label, str) and label.strip()):
        raise InputError(f"the label of object {number} is {label!r}; give it a name or leave it out")
    if not isinstance(new := fields.get("new", False), bool):
        raise InputError(f"new of object {number} is {new!r}; it is true or false")
    box, points, point_labels, mask = (fields.get(name) for name in ("box", "points", "point_labels", "mask"))
    if mask is not None and (box is not None or points is not None):
        raise InputError(f"object {number} has a mask and a box or points; give either")
    if mask is not None:
        return ObjectPrompt(number, MaskPrompt(mask_from(mask, folder)), label, new)
    if points is None and point_labels is not None:
        raise InputError(f"object {number} has point_labels without points")
    found = prompts_from_arrays(None if box is None else [box], points, point_labels)
    if not found:
        raise InputError(f"object {number} has neither box nor points nor mask")
    prompt = ObjectPrompt(number, found[0].prompt, label, new)
    if new and not prompt.begins:
        raise InputError(
            f"object {number} is new, but all its clicks say what does not belong to it; add one that does"
        )
    return prompt


def mask_from(mask: Any, folder: Path | None) -> np.ndarray:
    """A mask [H, W] from an array, a COCO run length code, or the name of a picture in a folder.

    Raises:
        InputError: it is none of them.
    """
    if isinstance(mask, str):
        return read_mask((folder or Path()) / mask)
    if isinstance(mask, Mapping):
        from vidseg.tracks.rle import decode_mask

        try:
            return decode_mask(dict(cast("Mapping[str, Any]", mask)))
        except Exception:  # whatever is raised for sizes and counts that do not fit
            raise InputError('a mask is no COCO run length code: {"size": [height, width], "counts": "…"}') from None
    try:
        return np.asarray(mask)
    except ValueError:  # rows of different lengths
        raise InputError("a mask must have rows of one length") from None


def clip_to_frame(prompts: Iterable[ObjectPrompt], width: int, height: int) -> list[ObjectPrompt]:
    """The same prompts, with boxes clipped to the frame.

    Args:
        prompts: of one frame.
        width: of the frame in pixels.
        height: of the frame in pixels.

    Raises:
        InputError: a prompt lies outside, covers no pixel, or has the number of another one.
    """
    clipped: dict[int, ObjectPrompt] = {}
    for one in prompts:
        if one.id in clipped:
            raise InputError(f"object {one.id} is prompted twice on one frame; give each object one prompt")
        prompt = one.prompt
        if isinstance(prompt, MaskPrompt):
            prompt = _checked_mask(one.id, prompt, width, height)
        else:
            _check_points(one.id, prompt if isinstance(prompt, Points) else prompt.points, width, height)
            if isinstance(prompt, Box):
                prompt = _clipped_box(one.id, prompt, width, height)
        clipped[one.id] = replace(one, prompt=prompt)
    return list(clipped.values())


def _check_points(number: int, points: Points | None, width: int, height: int) -> None:
    for x, y in points.xy if points else ():
        if not (0 <= x <= width and 0 <= y <= height):
            raise InputError(
                f"the point {x:g},{y:g} of object {number} lies outside the picture, which has {width}×{height} pixels"
            )


def _clipped_box(number: int, box: Box, width: int, height: int) -> Box:
    x1, y1, x2, y2 = box.xyxy
    clipped = max(x1, 0.0), max(y1, 0.0), min(x2, float(width)), min(y2, float(height))
    if clipped[0] >= clipped[2] or clipped[1] >= clipped[3]:
        raise InputError(
            f"the box {x1:g},{y1:g},{x2:g},{y2:g} of object {number} lies outside the picture, "
            f"which has {width}×{height} pixels"
        )
    return replace(box, xyxy=clipped)


def _checked_mask(number: int, prompt: MaskPrompt, width: int, height: int) -> MaskPrompt:
    mask = np.asarray(prompt.mask)
    if mask.shape != (height, width):
        size = "×".join(map(str, mask.shape[::-1]))
        raise InputError(
            f"the mask of object {number} has {size} pixels and the picture {width}×{height}; "
            "give it the picture's size"
        )
    if not mask.any():
        raise InputError(f"the mask of object {number} is empty: no pixel is set")
    return MaskPrompt(mask != 0)
