"""Which letters OpenCV can draw, and fonts of the system for the others.

OpenCV has fonts of its own (before version 5, for ASCII alone). It shows "?" for what they lack, and neither joins
letters nor orders them from right to left. Such text is for Pillow, whose Raqm layout does both.
"""

from __future__ import annotations

import shutil
import subprocess
import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont, features

FONT = cv2.FONT_HERSHEY_SIMPLEX
SIDES = 109, 136, 128, 160, 96, 64, 32  # pixels of the one size that a font of colour bitmaps may have; first Noto's
NOT_A_CHARACTER = "\U0010ffff"  # no font has it
JOINER, PRESENTATION = "\u200d", "\ufe0f"  # between emoji of one picture, and after one to show it in colour
RIGHT_TO_LEFT = {"R", "AL", "AN"}  # classes of the Unicode bidirectional algorithm
# Where there is no fontconfig: what Windows, macOS and Linux bring, found by name in the folders for fonts
KNOWN = (
    "segoeui.ttf",
    "LeelawUI.ttf",
    "Nirmala.ttc",
    "Nirmala.ttf",
    "seguiemj.ttf",
    "msyh.ttc",
    "malgun.ttf",
    "Arial Unicode.ttf",
    "GeezaPro.ttc",
    "Thonburi.ttc",
    "Kohinoor.ttc",
    "Apple Color Emoji.ttc",
    "DejaVuSans.ttf",
    "NotoSans-Regular.ttf",
    "NotoSansThai-Regular.ttf",
    "NotoSansDevanagari-Regular.ttf",
    "NotoSansArabic-Regular.ttf",
    "NotoSansCJK-Regular.ttc",
    "NotoColorEmoji.ttf",
)


@lru_cache(maxsize=1024)
def drawn_by_opencv(text: str) -> bool:
    """Whether OpenCV draws a text as it should be."""
    return text.isascii() or all(map(_is_plain, text))


@lru_cache(maxsize=4096)
def _is_plain(letter: str) -> bool:
    """Whether OpenCV has a letter, and the letter stands by itself."""
    if letter.isascii():
        return True
    if unicodedata.category(letter)[0] == "M" or unicodedata.bidirectional(letter) in RIGHT_TO_LEFT:
        return False
    shown = _by_opencv(letter)
    return not any((shown == _by_opencv("?" * count)).all() for count in (1, len(letter.encode())))


def _by_opencv(text: str) -> np.ndarray:
    picture = np.zeros((48, 128), np.uint8)
    cv2.putText(picture, text, (4, 32), FONT, 1, 255, 1, cv2.LINE_AA)
    return picture


def clusters(text: str) -> list[str]:
    """A text in the parts that a reader sees as one letter each: a letter with its marks, an emoji of several."""
    parts: list[str] = []
    for letter in text:
        if parts and (_extends(letter) or parts[-1].endswith(JOINER)):
            parts[-1] += letter
        else:
            parts.append(letter)
    return parts


def _extends(letter: str) -> bool:
    """Whether a letter belongs to the one before: a mark, a joiner, a colour of skin."""
    return (
        unicodedata.category(letter)[0] == "M"
        or letter in (JOINER, PRESENTATION)
        or 0x1F3FB <= ord(letter) <= 0x1F3FF
        or 0xE0020 <= ord(letter) <= 0xE007F
    )


class Font:
    """A font file of the system.

    Args:
        path: of the file.
        index: of the font in it.

    Raises:
        OSError: if it cannot be read.

    Attributes:
        side: pixels of the one size that it has, for a font of colour bitmaps; else None.
        capital: height of a capital letter, as a share of the size.
    """

    def __init__(self, path: str, index: int = 0):
        self._path, self._index = path, index
        self.side: int | None = None
        try:
            self._plain = self._open(64, ImageFont.Layout.BASIC)
        except OSError:
            self.side = next((side for side in SIDES if self._opens(side)), None)
            if self.side is None:
                raise
            self._plain = self._open(self.side, ImageFont.Layout.BASIC)
        self._missing = _ink(self._plain, NOT_A_CHARACTER)
        top = self._plain.getbbox("H", anchor="ls")[1] if self.has("H") else 0
        self.capital = -top / self._plain.size or 0.72

    def sized(self, pixels: int) -> ImageFont.FreeTypeFont:
        """The font in a size of so many pixels; in its own size, if it has one."""
        layout = ImageFont.Layout.RAQM if features.check("raqm") else ImageFont.Layout.BASIC
        return self._open(self.side or pixels, layout)

    def has(self, text: str) -> bool:
        """Whether it has all letters of a text. Joiners and space need none."""
        return all(_ink(self._plain, letter) != self._missing for letter in _needed(text))

    def _open(self, pixels: int, layout: ImageFont.Layout) -> ImageFont.FreeTypeFont:
        return ImageFont.truetype(self._path, pixels, self._index, layout_engine=layout)

    def _opens(self, pixels: int) -> bool:
        try:
            self._open(pixels, ImageFont.Layout.BASIC)
        except OSError:
            return False
        return True


def _needed(text: str) -> set[str]:
    """The letters of a text that a font must have."""
    unseen = ("Cc", "Cf", "Zl", "Zp", "Zs")  # control and format characters, space
    return {letter for letter in text if unicodedata.category(letter) not in unseen and letter != PRESENTATION}


def _ink(font: ImageFont.FreeTypeFont, letter: str) -> bytes:
    """The pixels that a font draws for a letter."""
    side = round(font.size)
    picture = Image.new("L", (3 * side, 3 * side))
    ImageDraw.Draw(picture).text((side, 2 * side), letter, 255, font, anchor="ls")
    return picture.tobytes()


@lru_cache(maxsize=256)
def font_with(text: str) -> Font | None:
    """A font of the system that has all letters of a text, or None."""
    for path, index in _candidates(text):
        font = _font(path, index)
        if font is not None and font.has(text):
            return font
    return None


@lru_cache(maxsize=64)
def _font(path: str, index: int) -> Font | None:
    try:
        return Font(path, index)
    except OSError:
        return None


def _candidates(text: str) -> Iterator[tuple[str, int]]:
    """Fonts that may have the letters, (path, index), the likeliest first."""
    pattern = ":charset=" + " ".join(f"{ord(letter):x}" for letter in sorted(_needed(text)))
    yield from _fontconfig("fc-match", pattern)
    yield from ((name, 0) for name in KNOWN)


def _fontconfig(command: str, pattern: str) -> Iterator[tuple[str, int]]:
    """The answer of fontconfig to a pattern; none where there is no fontconfig."""
    if shutil.which(command) is None:
        return
    try:
        found = subprocess.run(
            [command, "--format", "%{index} %{file}\n", pattern],
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="surrogateescape",
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return
    for line in found.stdout.splitlines():
        index, _, path = line.partition(" ")
        if index.isdecimal() and path:
            yield path, int(index) & 0xFFFF  # the rest is an instance of a variable font


@lru_cache(maxsize=1024)
def drawable(text: str) -> str:
    """The text, with "?" in place of each letter that no font has."""
    if drawn_by_opencv(text) or font_with(text) is not None:
        return text
    return "".join(part if drawn_by_opencv(part) or font_with(part) is not None else "?" for part in clusters(text))


def undrawn_note(labels: Iterable[str]) -> str | None:
    """None, or one line that says which of these labels cannot be drawn."""
    lacking = sorted(label for label in set(labels) if drawable(label) != label)
    if not lacking:
        return None
    names = ", ".join(repr(label) for label in lacking)
    return f"no font here has all letters of {names}: they are drawn as ?; install one that does, such as Noto Sans"
