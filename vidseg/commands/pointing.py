"""Options to point at objects: `--box`, `--point`, `--mask`. Pixels, or shares of the picture with a percent sign."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from vidseg.prompts.object_prompt import ObjectPrompt

LENGTH = r"-?\d+(?:\.\d*)?%?|-?\.\d+%?"


@dataclass(frozen=True)
class ByHand:
    """What was pointed at on the command line; coordinates are (x, y, …) as they were written.

    Attributes:
        boxes: four lengths and a label or None, one object each; they have the numbers 1, 2, ….
        masks: file and label or None; they have the numbers after the boxes'.
        points: two lengths, 1 (object) or 0 (not the object), and the number of the object.
    """

    boxes: Sequence[tuple[tuple[str, ...], str | None]]
    masks: Sequence[tuple[Path, str | None]]
    points: Sequence[tuple[tuple[str, ...], int, int]]

    def __bool__(self) -> bool:
        return bool(self.boxes or self.masks or self.points)

    def files(self) -> list[Path]:
        """The files that were given as masks."""
        return [file for file, _ in self.masks]

    def prompts(self, width: int, height: int) -> list[ObjectPrompt]:
        """For a picture of some size. Raises UsageError if clicks are on an object that is given by its mask."""
        from vidseg.io.images import read_mask
        from vidseg.prompts.geometry import Box, MaskPrompt, Points
        from vidseg.prompts.object_prompt import ObjectPrompt, box_of

        clicks = {}
        for (x, y), sign, number in self.points:
            clicks.setdefault(number, []).append(((pixels(x, width), pixels(y, height)), sign))
        found = {}
        for number, (corners, label) in enumerate(self.boxes, start=1):
            found[number] = ObjectPrompt(
                number, box_of(tuple(pixels(*pair) for pair in zip(corners, (width, height) * 2))), label
            )
        for number, (file, label) in enumerate(self.masks, start=len(self.boxes) + 1):
            if number in clicks:
                raise click.UsageError(
                    f"object {number} is given by --mask {file}; clicks refine boxes or objects of their own: --point X,Y@N"
                )
            found[number] = ObjectPrompt(number, MaskPrompt(read_mask(file)), label)
        for number, some in clicks.items():
            points = Points(tuple(xy for xy, _ in some), tuple(sign for _, sign in some))
            other = found.get(number)
            found[number] = (
                ObjectPrompt(number, Box(other.prompt.xyxy, points), other.label)
                if other
                else ObjectPrompt(number, points)
            )
        return [found[number] for number in sorted(found)]


def pixels(length: str, side: int) -> float:
    """A length in pixels, or a share of a side: "120", "50%"."""
    return float(length[:-1]) / 100 * side if length.endswith("%") else float(length)


def box(context, parameter, values: tuple[str, ...]) -> list[tuple[tuple[str, ...], str | None]]:
    """A click callback: "X1,Y1,X2,Y2" or "X1,Y1,X2,Y2@label"."""
    found = []
    for value in values:
        corners, at, label = value.partition("@")
        lengths = tuple(part.strip() for part in corners.split(","))
        if len(lengths) != 4 or not all(re.fullmatch(LENGTH, part) for part in lengths) or (at and not label.strip()):
            raise click.BadParameter(
                f"{value!r} is no box; write X1,Y1,X2,Y2 in pixels or percent, and @label after it if you like"
            )
        found.append((lengths, label.strip() or None))
    return found


def point(context, parameter, values: tuple[str, ...]) -> list[tuple[tuple[str, ...], int, int]]:
    """A click callback: "X,Y", "X,Y,-" for what does not belong to the object, "X,Y@2" for the second object."""
    found = []
    for value in values:
        match = re.fullmatch(rf"\s*({LENGTH})\s*,\s*({LENGTH})\s*(,\s*[+-])?\s*(?:@([1-9]\d*))?\s*", value, re.ASCII)
        if not match:
            raise click.BadParameter(
                f"{value!r} is no point; write X,Y in pixels or percent, X,Y,- for what is not the object, X,Y@2 for object 2"
            )
        x, y, sign, number = match.groups()
        if len(number or "") > 9:
            raise click.BadParameter(f"{value!r}: there is no object with so high a number")
        found.append(((x, y), 0 if sign and sign.endswith("-") else 1, int(number or 1)))
    return found


def mask(context, parameter, values: tuple[str, ...]) -> list[tuple[Path, str | None]]:
    """A click callback: "FILE" or "FILE@label"."""
    found = []
    for value in values:
        file, at, label = value.rpartition("@")
        found.append(
            (Path(file), label) if at and file and label and not os.path.exists(value) else (Path(value), None)
        )
    return found


def pointing_options(command):
    """The options that point at objects; `ByHand` makes prompts of them."""
    for option in reversed(
        (
            click.option(
                "--box",
                "boxes",
                multiple=True,
                callback=box,
                metavar="X1,Y1,X2,Y2[@LABEL]",
                help="An object by its box, in pixels or percent; may be repeated.",
            ),
            click.option(
                "--point",
                "points",
                multiple=True,
                callback=point,
                metavar="X,Y[,-][@N]",
                help="A click on object N [1], or with ,- on what does not belong to it; refines box N if there is one.",
            ),
            click.option(
                "--mask",
                "masks",
                multiple=True,
                callback=mask,
                metavar="FILE[@LABEL]",
                help="An object by its exact mask: a PNG that is 0 elsewhere.",
            ),
        )
    ):
        command = option(command)
    return command
