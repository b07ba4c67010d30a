"""The options that point at objects: `--box`, `--point`, `--mask`. In pixels, or in percent of the picture."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vidseg.commands.options import as_value

if TYPE_CHECKING:
    from vidseg.prompts.geometry import Points
    from vidseg.prompts.object_prompt import ObjectPrompt

LENGTH = r"-?\d+(?:\.\d*)?%?|-?\.\d+%?"


@dataclass(frozen=True, kw_only=True)
class BoxOption:
    """One `--box`.

    Attributes:
        corners: x1, y1, x2, y2 as they were written.
        label: what the object is called.
    """

    corners: tuple[str, ...]
    label: str | None


@dataclass(frozen=True, kw_only=True)
class PointOption:
    """One `--point`.

    Attributes:
        x, y: as they were written.
        sign: 1 on the object, 0 on what does not belong to it.
        object_id: number of the object.
    """

    x: str
    y: str
    sign: int
    object_id: int


@dataclass(frozen=True, kw_only=True)
class MaskOption:
    """One `--mask`: its file, and what the object is called."""

    file: Path
    label: str | None


@dataclass(frozen=True, kw_only=True)
class UserPrompts:
    """What the user pointed at on the command line.

    Attributes:
        boxes: one object each; they have the numbers 1, 2, ….
        points: clicks, on the objects that they name.
        masks: one object each; their numbers follow those of the boxes.
    """

    boxes: list[BoxOption]
    points: list[PointOption]
    masks: list[MaskOption]

    def __bool__(self) -> bool:
        return bool(self.boxes or self.points or self.masks)

    def files(self) -> list[Path]:
        """The files that were given as masks."""
        return [mask.file for mask in self.masks]

    def for_size(self, width: int, height: int) -> list[ObjectPrompt]:
        """The prompts on a picture of some size, in pixels.

        Raises:
            UsageError: a click is on an object that is given by its mask.
            InputError: a box has no area, or a mask cannot be read.
        """
        from vidseg.io.images import read_mask
        from vidseg.prompts.geometry import MaskPrompt
        from vidseg.prompts.object_prompt import ObjectPrompt, box_from_corners

        clicks = self._clicks_by_object(width, height)
        found: dict[int, ObjectPrompt] = {}
        for number, option in enumerate(self.boxes, start=1):
            x1, y1, x2, y2 = option.corners
            box = box_from_corners((pixels(x1, width), pixels(y1, height), pixels(x2, width), pixels(y2, height)))
            found[number] = ObjectPrompt(
                id=number, prompt=replace(box, points=clicks.pop(number, None)), label=option.label
            )
        for number, option in enumerate(self.masks, start=len(self.boxes) + 1):
            if number in clicks:
                raise click.UsageError(
                    f"object {number} is given by --mask {option.file}; "
                    "clicks refine boxes or objects of their own: --point X,Y@N"
                )
            found[number] = ObjectPrompt(id=number, prompt=MaskPrompt(read_mask(option.file)), label=option.label)
        for number, points in clicks.items():
            found[number] = ObjectPrompt(id=number, prompt=points)
        return [found[number] for number in sorted(found)]

    def _clicks_by_object(self, width: int, height: int) -> dict[int, Points]:
        from vidseg.prompts.geometry import Points

        clicks: dict[int, list[PointOption]] = {}
        for one in self.points:
            clicks.setdefault(one.object_id, []).append(one)
        return {
            number: Points(
                tuple((pixels(one.x, width), pixels(one.y, height)) for one in some), tuple(one.sign for one in some)
            )
            for number, some in clicks.items()
        }


def pixels(length: str, side: int) -> float:
    """A length in pixels, or in percent of a side: "120", "50%"."""
    return float(length[:-1]) / 100 * side if length.endswith("%") else float(length)


def parse_boxes(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> list[BoxOption]:
    """A click callback: "X1,Y1,X2,Y2" or "X1,Y1,X2,Y2@label"."""
    found: list[BoxOption] = []
    for value in values:
        written, at, label = value.partition("@")
        corners = tuple(part.strip() for part in written.split(","))
        if len(corners) != 4 or not all(re.fullmatch(LENGTH, part) for part in corners) or (at and not label.strip()):
            raise click.BadParameter(
                f"{value!r} is no box; write X1,Y1,X2,Y2 in pixels or percent, and @label after it if you like"
            )
        found.append(BoxOption(corners=corners, label=label.strip() or None))
    return found


def parse_points(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> list[PointOption]:
    """A click callback: "X,Y", "X,Y,-" for what does not belong to the object, "X,Y@2" for the second object."""
    found: list[PointOption] = []
    for value in values:
        match = re.fullmatch(rf"\s*({LENGTH})\s*,\s*({LENGTH})\s*(,\s*[+-])?\s*(?:@([1-9]\d*))?\s*", value, re.ASCII)
        if not match:
            raise click.BadParameter(
                f"{value!r} is no point; write X,Y in pixels or percent, X,Y,- for what is not the object, "
                "X,Y@2 for object 2"
            )
        x, y, sign, number = match.groups()
        if len(number or "") > 9:
            raise click.BadParameter(f"{value!r}: there is no object with so high a number")
        found.append(PointOption(x=x, y=y, sign=0 if sign and sign.endswith("-") else 1, object_id=int(number or 1)))
    return found


def parse_masks(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> list[MaskOption]:
    """A click callback: "FILE" or "FILE@label"."""
    found: list[MaskOption] = []
    for value in values:
        file, _, label = value.rpartition("@")
        labelled = bool(file and label) and not os.path.exists(value)
        found.append(MaskOption(file=Path(file if labelled else value), label=label if labelled else None))
    return found


user_prompt_options = as_value(
    "user_prompts",
    UserPrompts,
    (
        click.option(
            "--box",
            "boxes",
            multiple=True,
            callback=parse_boxes,
            metavar="X1,Y1,X2,Y2[@LABEL]",
            help="An object by its box, in pixels or percent; may be repeated. On what TEXT finds, it corrects that.",
        ),
        click.option(
            "--point",
            "points",
            multiple=True,
            callback=parse_points,
            metavar="X,Y[,-][@N]",
            help="A click on object N [1], or with ,- on what does not belong to it; refines box N if there is one, or "
            "what TEXT finds there.",
        ),
        click.option(
            "--mask",
            "masks",
            multiple=True,
            callback=parse_masks,
            metavar="FILE[@LABEL]",
            help="An object by its exact mask: a PNG that is 0 elsewhere.",
        ),
    ),
)
