"""The colours of tracked objects, the same in every picture that shows them. Importing this module costs nothing."""

from __future__ import annotations

from collections.abc import Iterable

RGB = tuple[int, int, int]  # 0-255

# Hues after Okabe and Ito, then in-between ones that differ in lightness as well, so that neighbours in the list stay
# apart for colour-blind viewers. An object keeps colour id mod 12.
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


def colour_of(number: int) -> RGB:
    """The colour with that number; numbers go round the palette. An object's number is usually its id."""
    code = PALETTE[number % len(PALETTE)]
    return int(code[1:3], 16), int(code[3:5], 16), int(code[5:7], 16)


def luminance(colour: RGB) -> float:
    """Relative luminance, 0-1; black text contrasts more than white from 0.18 on."""
    return sum(weight * (value / 255) ** 2.2 for weight, value in zip((0.2126, 0.7152, 0.0722), colour))


class Colours:
    """Which colour each object has: one for each id, or one for each label.

    Args:
        by: "id" or "label".
        labels: are numbered before all others, which are numbered as they first come up. So one tracks file always gets
            the same colours.
    """

    def __init__(self, by: str = "id", labels: Iterable[str] = ()):
        self._by = by
        self._numbers: dict[str, int] = {}
        self.note(labels)

    def note(self, labels: Iterable[str]) -> None:
        """Number these labels, also where their objects are not shown."""
        for label in labels:
            self._numbers.setdefault(str(label), len(self._numbers))

    def of(self, object_id: int, label: str) -> RGB:
        """The colour of one object."""
        if self._by == "id":
            return colour_of(object_id)
        self.note([label])
        return colour_of(self._numbers[label])
