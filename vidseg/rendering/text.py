"""Lines of text on pictures: by OpenCV where it can draw them, else by Pillow in a font of the system."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image, ImageDraw

from vidseg.rendering.fonts import FONT, Font, clusters, drawable, drawn_by_opencv, font_with
from vidseg.rendering.palette import RGB


class Extent(NamedTuple):
    """Pixels that a line takes: across, above its baseline, and below."""

    width: int
    ascent: int
    descent: int


class TextStyle(NamedTuple):
    """How text is drawn.

    Attributes:
        scale: of OpenCV's font. Other fonts have capitals of the same height.
        thickness: of the lines of OpenCV's font, in pixels.
    """

    scale: float
    thickness: int

    def extent(self, text: str) -> Extent:
        """What a line takes. What OpenCV draws below its baseline counts as nothing."""
        if drawn_by_opencv(text):
            (width, height), _ = cv2.getTextSize(text, FONT, self.scale, self.thickness)
            return Extent(width, height, 0)
        pieces = _pieces(text, _capital(self.scale))
        return Extent(
            math.ceil(sum(piece.width for piece in pieces)),
            math.ceil(max(piece.ascent for piece in pieces)),
            math.ceil(max(piece.descent for piece in pieces)),
        )

    def write(self, picture: np.ndarray, text: str, at: tuple[int, int], ink: RGB, paper: RGB) -> None:
        """Draw a line.

        Args:
            picture: H×W×3 uint8 RGB, which is changed.
            text: as `drawable` returns it.
            at: (x, y) where it begins, on its baseline.
            ink: colour of the letters.
            paper: colour of what is there.
        """
        if drawn_by_opencv(text):
            cv2.putText(picture, text, at, FONT, self.scale, ink, self.thickness, cv2.LINE_AA)
            return
        drawn, above = _drawn(text, _capital(self.scale), ink, paper)
        x, y = at[0], at[1] - above
        left, top = max(0, -x), max(0, -y)
        there = picture[y + top : y + drawn.shape[0], x + left : x + drawn.shape[1]]
        there[:] = drawn[top : top + there.shape[0], left : left + there.shape[1]]


def shortened(name: str, rest: str, style: TextStyle, room: int) -> tuple[str, ...]:
    """Name and rest, the name cut so that both fit into `room` pixels.

    Returns:
        Lines to draw one after the other: one, or two where a font of the system draws the name.
    """
    name, parts = drawable(name), None
    while True:
        lines = (name + rest,) if drawn_by_opencv(name) else (name, rest)
        if not name or sum(style.extent(line).width for line in lines) <= room:
            return lines
        parts = parts or clusters(name)
        name = "".join(parts[:-1])
        parts.pop()


@lru_cache(maxsize=64)
def _capital(scale: float) -> int:
    """Height of a capital of OpenCV's font in pixels."""
    side = math.ceil(60 * scale)
    picture = np.zeros((side, side), np.uint8)
    cv2.putText(picture, "H", (2, side - 4), FONT, scale, 255, 1)
    return cv2.boundingRect(picture)[3]


class _Piece(NamedTuple):
    """A part of a line in one font; lengths are in pixels of the picture."""

    text: str
    font: Font
    size: int
    factor: float  # what the font's only size is scaled by
    width: float
    ascent: float
    descent: float


@lru_cache(maxsize=1024)
def _pieces(text: str, capital: int) -> tuple[_Piece, ...]:
    """A line in as few fonts as have its letters."""
    whole = font_with(text)
    parts = clusters(text) if whole is None or not _suits(whole, text) else [text]
    runs: list[tuple[str, Font]] = []
    for part in parts:
        font = runs[-1][1] if runs and runs[-1][1].has(part) and _suits(runs[-1][1], part) else font_with(part)
        if font is not None and runs and runs[-1][1] is font:
            runs[-1] = runs[-1][0] + part, font
        elif font is not None:
            runs.append((part, font))
    return tuple(_piece(run, font, capital) for run, font in runs)


def _suits(font: Font, text: str) -> bool:
    """Whether a text should be drawn in a font that has its letters: spaces and digits among emoji are too wide."""
    return font.side is None or not any(letter.isascii() for letter in text)


def _piece(text: str, font: Font, capital: int) -> _Piece:
    size = max(1, round(capital / font.capital))
    factor = size / font.side if font.side else 1.0
    sized = font.sized(size)
    left, top, right, bottom = (value * factor for value in sized.getbbox(text, anchor="ls"))
    width = max(sized.getlength(text) * factor, right) + max(0, -left)
    return _Piece(text, font, size, factor, width, max(0, -top), max(0, bottom))


@lru_cache(maxsize=512)
def _drawn(text: str, capital: int, ink: RGB, paper: RGB) -> tuple[np.ndarray, int]:
    """A line on paper, h×w×3 uint8, and how many of its rows are above the baseline."""
    pieces = _pieces(text, capital)
    above = math.ceil(max(piece.ascent for piece in pieces))
    below = math.ceil(max(piece.descent for piece in pieces))
    width = math.ceil(sum(piece.width for piece in pieces))
    line = Image.new("RGB", (max(1, width), max(1, above + below)), paper)
    x = 0.0
    for piece in pieces:
        sized = piece.font.sized(piece.size)
        into, at = line, (x, above)
        if piece.factor != 1:
            size = math.ceil(piece.width / piece.factor), math.ceil(line.height / piece.factor)
            into, at = Image.new("RGB", size, paper), (0, round(above / piece.factor))
        left = min(0, sized.getbbox(piece.text, anchor="ls")[0])
        ImageDraw.Draw(into).text((at[0] - left, at[1]), piece.text, ink, sized, anchor="ls", embedded_color=True)
        if into is not line:
            size = math.ceil(piece.width), line.height
            line.paste(into.resize(size, Image.Resampling.LANCZOS), (round(x), 0))
        x += piece.width
    return np.asarray(line), above
