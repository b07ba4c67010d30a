"""Records of a tracks file: one frame with its masks as run lengths, checked and typed.

Most readers want ids, labels, areas or boxes and no pixels, so a mask is decoded only where it is asked for.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from vidseg.tracks import rle
from vidseg.tracks.frame import ClassIds, TrackedFrame

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LARGEST = 2**63  # databases and tables hold no larger numbers


@dataclass(frozen=True, kw_only=True)
class ObjectRecord:
    """An object on one frame.

    Its run lengths are read and checked when `lengths` or what builds on it is first used: most time goes there.

    Attributes:
        id: number of the object in the clip.
        label: what it is called.
        score: 0–1.
        box: x1, y1, x2, y2 in pixels, as the tracker gave it; `mask_box` is that of the mask.
        size: (height, width) of the frame in pixels.
        counts: COCO's compressed run lengths of the mask.
        broken: makes the exception to raise for run lengths that are wrong, from the reason.
    """

    id: int
    label: str
    score: float
    box: tuple[float, float, float, float]
    size: tuple[int, int]
    counts: str
    broken: Callable[[str], Exception] = ValueError

    @cached_property
    def lengths(self) -> NDArray[np.int64]:
        """The run lengths as numbers, [R]."""
        try:
            return rle.run_lengths(self.counts, self.size)
        except ValueError as error:
            raise self.broken(str(error)) from error

    @cached_property
    def area(self) -> int:
        """Pixels of the mask."""
        return rle.area(self.lengths)

    @cached_property
    def mask_box(self) -> tuple[int, int, int, int]:
        """The smallest box around a mask that is not empty: x, y, width, height in pixels."""
        return rle.bounding_box(self.lengths, self.size[0])

    def code(self) -> dict[str, Any]:
        """The mask as COCO has it: {"size": [H, W], "counts": str}."""
        return {"size": list(self.size), "counts": self.counts}

    def crop(self) -> NDArray[np.bool_]:
        """Decode the mask inside `mask_box`, h×w bool."""
        return rle.crop(self.lengths, self.size[0], self.mask_box)

    def mask(self) -> NDArray[np.bool_]:
        """Decode the mask, H×W bool."""
        try:
            return rle.decode_mask(self.code())
        except ValueError as error:
            raise self.broken(str(error)) from error


@dataclass(frozen=True, kw_only=True)
class FrameRecord:
    """One frame.

    Attributes:
        index: number of the frame in the clip, 0-based.
        time: s.
        size: (height, width) of the frame in pixels.
        objects: in the order of the file.
    """

    index: int
    time: float
    size: tuple[int, int]
    objects: tuple[ObjectRecord, ...]

    def decode(self, classes: ClassIds | None = None) -> TrackedFrame:
        """Decode all masks; the frame has no image.

        Args:
            classes: numbers of the labels on the frames before; None: the frame is by itself.
        """
        import numpy as np
        import supervision as sv

        labels = [found.label for found in self.objects]
        masks = np.zeros((len(self.objects), *self.size), bool)
        for mask, found in zip(masks, self.objects):
            mask[:] = found.mask()
        detections = sv.Detections(
            xyxy=np.reshape(np.array([found.box for found in self.objects], np.float32), (-1, 4)),
            mask=masks,
            confidence=np.array([found.score for found in self.objects], np.float32),
            tracker_id=np.array([found.id for found in self.objects], int),
            class_id=(classes or ClassIds()).number(labels),
            data={"class_name": np.array(labels, str)},
        )
        return TrackedFrame(self.index, self.time, None, detections)

    def as_json(self) -> dict[str, Any]:
        """What one line of a tracks file holds."""
        objects = [
            {"id": one.id, "label": one.label, "score": one.score, "box": list(one.box), "mask": one.code()}
            for one in self.objects
        ]
        return {"frame": self.index, "time": self.time, "objects": objects}


def parse_record(data: Any, size: tuple[int, int], broken: Callable[[str], Exception] = ValueError) -> FrameRecord:
    """Check what one line of a tracks file holds.

    Args:
        data: the line, decoded from JSON.
        size: (height, width) of the clip's frames in pixels.
        broken: makes an exception from a reason.

    Raises:
        Exception: that of `broken`, for a line that is not a record of a frame of this size. Run lengths are checked
            later, see `ObjectRecord`.
    """
    try:
        index, time = int(data["frame"]), float(data["time"])
        if abs(index) >= LARGEST or not math.isfinite(time):
            raise ValueError("a frame number or a time that is out of range")
        objects = tuple([_parse_object(entry, size, broken) for entry in data["objects"]])
        seen: set[int] = set()
        for found in objects:
            if found.id in seen:
                raise ValueError(f"two masks of object {found.id}")
            seen.add(found.id)
    except KeyError as error:
        raise broken(f"no {error.args[0]}") from error
    except (ValueError, OverflowError) as error:
        raise broken(str(error)) from error
    except (TypeError, AttributeError, IndexError) as error:
        raise broken(f"not the record of a frame: {error}") from error
    return FrameRecord(index=index, time=time, size=size, objects=objects)


def _parse_object(entry: Any, size: tuple[int, int], broken: Callable[[str], Exception]) -> ObjectRecord:
    number, label, score, mask = entry["id"], entry["label"], float(entry["score"]), entry["mask"]
    box, counts = [float(value) for value in entry["box"]], mask["counts"]
    if list(mask["size"]) != list(size):
        raise ValueError(f"a mask of size {mask['size']} in a clip of {list(size)}")
    if type(number) is not int or abs(number) >= LARGEST:
        raise ValueError("an id that is not a whole number")
    if len(box) != 4 or not math.isfinite(sum(box)):
        raise ValueError("a box that is not four finite numbers")
    x1, y1, x2, y2 = box
    if not math.isfinite(score):
        raise ValueError("a score that is not a finite number")
    if not isinstance(label, str) or not isinstance(counts, str):
        raise ValueError("a label or run lengths that are not text")
    label.encode()  # a surrogate is text that no file can hold
    return ObjectRecord(
        id=number, label=label, score=score, box=(x1, y1, x2, y2), size=size, counts=counts, broken=broken
    )
