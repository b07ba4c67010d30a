"""The sprites of the made-up world that the demo pair is trained, scored and shown on: emoji in colours of their own.

Needs Debian's `fonts-noto-color-emoji` (only the scripts do; the package itself never draws a sprite).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

FONT = Path("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf")
TILE = 144  # side of a sprite's picture in pixels; the glyphs are 136×128

# What the detector knows by name: one or more sprites a name.
NAMED = {
    "dog": "🐕🐩",
    "cat": "🐈",
    "ball": "⚽",
    "person": "🧍",
    "car": "🚗",
    "bus": "🚌",
    "bicycle": "🚲",
    "truck": "🚚",
    "tree": "🌳",
    "airplane": "✈",
    "rocket": "🚀",
    "boat": "⛵",
    "chair": "🪑",
    "lamp": "💡",
    "laptop": "💻",
    "book": "📕",
    "cup": "☕",
    "phone": "📱",
    "key": "🔑",
    "clock": "⏰",
    "pencil": "✏",
    "scissors": "✂",
    "apple": "🍎",
    "banana": "🍌",
    "pizza": "🍕",
    "elephant": "🐘",
    "fish": "🐟",
    "butterfly": "🦋",
    "flower": "🌻",
    "guitar": "🎸",
    "shoe": "👟",
    "hat": "🎩",
    "horse": "🐎",
    "cow": "🐄",
    "pig": "🐖",
    "duck": "🦆",
    "turtle": "🐢",
    "umbrella": "☂",
    "mushroom": "🍄",
    "cactus": "🌵",
    "star": "⭐",
    "tractor": "🚜",
    "balloon": "🎈",
    "gift": "🎁",
    "drum": "🥁",
    "rabbit": "🐇",
}
# Sprites without a name: more shapes for the segmenter, and strangers for the detector to leave alone.
UNNAMED = (
    "❤🚒🛴🏍🚁🧸🪴🥕🍦🍔🎺🦓🦒🐓🦉🐝🕷🐙🦀🌙👓👑🔨🧲🕯🚶🦩🦜🐧🦔🐿🦇🐸🐊🦎🐍🐳🐬🦈🐌🐞🌹🌷🌲🌴🍁🍇🍉🍋🍍🍓🍒🥑🌽🍞🧀"
    "🍩🍪🎂🍺🏀🏈🎾🎱🎳🎯🎻🎷📷📺🔭🔬💎🧦👗👒🎒🪁🚂🚤🛸🗿⚓🏠⛺🎡"
)


@dataclass(frozen=True)
class Sprite:
    """A picture of one emoji.

    Attributes:
        name: the word for it, "" for a sprite that has none.
        glyph: the emoji.
        class_index: position among all glyphs; what a training-only classifier predicts.
        levels: premultiplied RGBA float32 [S, S, 4] in 0..1 at sides TILE, TILE/2, TILE/4 (for clean shrinking).
    """

    name: str
    glyph: str
    class_index: int
    levels: tuple[np.ndarray, ...]

    def level(self, wanted: float) -> np.ndarray:
        """The level to draw at a size in pixels."""
        return self.levels[0 if wanted > TILE * 0.7 else 1 if wanted > TILE * 0.35 else 2]


@lru_cache(maxsize=1)
def all_sprites() -> tuple[Sprite, ...]:
    """Every sprite, the named ones first. Raises FileNotFoundError where the emoji font is not installed."""
    from PIL import ImageFont

    if not FONT.exists():
        raise FileNotFoundError(f"{FONT} is missing: apt-get install fonts-noto-color-emoji")
    font = ImageFont.truetype(str(FONT), 109)
    glyphs = [(name, glyph) for name, word in NAMED.items() for glyph in word] + [("", glyph) for glyph in UNNAMED]
    return tuple(Sprite(name, glyph, index, levels_of(glyph, font)) for index, (name, glyph) in enumerate(glyphs))


def levels_of(glyph: str, font: FreeTypeFont) -> tuple[np.ndarray, ...]:
    """The `levels` of a glyph, centred; the longer side of what is drawn fills the tile, so that sizes compare."""
    from PIL import Image, ImageDraw

    tile = Image.new("RGBA", (TILE, TILE), (0, 0, 0, 0))
    ImageDraw.Draw(tile).text((4, 4), glyph, font=font, embedded_color=True)
    rgba = np.asarray(tile, np.float32) / 255
    ys, xs = np.nonzero(rgba[..., 3] > 0.5)
    if len(ys) < 400:
        raise ValueError(f"the font has no picture for {glyph!r}")
    y0, y1, x0, x1 = ys.min(), ys.max() + 1, xs.min(), xs.max() + 1
    scale = (TILE - 6) / max(y1 - y0, x1 - x0)
    middle = (TILE - 1) / 2
    move = np.array(
        [[scale, 0, middle - scale * (x0 + x1 - 1) / 2], [0, scale, middle - scale * (y0 + y1 - 1) / 2]], np.float32
    )
    rgba[..., :3] *= rgba[..., 3:]
    full = cv2.warpAffine(rgba, move, (TILE, TILE), flags=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    smaller = (cv2.resize(full, None, fx=share, fy=share, interpolation=cv2.INTER_AREA) for share in (0.5, 0.25))
    return full, *smaller


def sprites_named(name: str) -> list[Sprite]:
    """The sprites that a name stands for; those without a name for ""."""
    return [sprite for sprite in all_sprites() if sprite.name == name]


def tinted(sprite: Sprite, rng: np.random.Generator, strength: float = 1.0) -> Sprite:
    """The same sprite in slightly different colours: a colour matrix near identity, gain and shift."""
    matrix = np.eye(3) + rng.normal(0, 0.07 * strength, (3, 3))
    gain, shift = 1 + rng.normal(0, 0.12 * strength), rng.normal(0, 0.04 * strength)
    levels = []
    for level in sprite.levels:
        colour = (level[..., :3] @ (matrix * gain).astype(np.float32)) + np.float32(shift) * level[..., 3:]
        levels.append(np.concatenate([np.clip(colour, 0, level[..., 3:]), level[..., 3:]], -1).astype(np.float32))
    return replace(sprite, levels=tuple(levels))
