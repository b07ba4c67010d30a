"""The colours of tracked objects, for every picture that shows them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import supervision as sv

# RGB. Hues after Okabe and Ito, then in-between ones that differ in lightness as well, so that
# neighbours in the list stay apart for colour-blind viewers. An object keeps colour id mod 12.
PALETTE = (
    "#E69F00",
    "#56B4E9",
    "#009E73",
    "#F0E442",
    "#CC79A7",
    "#D55E00",
    "#0072B2",
    "#A6E06C",
    "#882255",
    "#B4A7FF",
    "#1FD6C8",
    "#FFB3A1",
)


def colour_of(number: int) -> tuple[int, int, int]:
    """The (red, green, blue) with that number, 0–255; numbers go round the palette. An object's number is its id."""
    code = PALETTE[number % len(PALETTE)]
    return tuple(int(code[i : i + 2], 16) for i in (1, 3, 5))


def luminance(colour: tuple[int, int, int]) -> float:
    """Relative luminance of an RGB colour, 0–1; black text contrasts more than white from 0.18 on."""
    return sum(weight * (value / 255) ** 2.2 for weight, value in zip((0.2126, 0.7152, 0.0722), colour))


class Colours:
    """Which colour each object has: one for each id, or one for each label.

    by: "id" or "label". Labels are numbered as they first come up, those of `labels` before all others,
    so that one tracks file always gets the same colours.
    """

    def __init__(self, by: str = "id", labels: Iterable[str] = ()):
        self._by = by
        self._numbers: dict[str, int] = {}
        self.note(labels)

    def note(self, labels: Iterable[str]) -> None:
        """Number these labels, also where their objects are not shown."""
        for label in labels:
            self._numbers.setdefault(str(label), len(self._numbers))

    def numbers(self, found: sv.Detections) -> list[int]:
        """The colour's number, 0–11, of each object."""
        if not len(found):
            return []
        return [
            self.number(int(object_id), str(label))
            for object_id, label in zip(found.tracker_id, found.data["class_name"])
        ]

    def number(self, object_id: int, label: str) -> int:
        """The colour's number, 0–11, of one object."""
        if self._by == "label":
            self.note([label])
        return (object_id if self._by == "id" else self._numbers[label]) % len(PALETTE)
