"""The made-up world of the demo models: emoji sprites that move over procedural backgrounds, with exact masks.

Everything the demo pair is trained, scored and shown on is drawn here. A scene is a background, a list of
sprites and their poses on every frame; `draw` paints one frame of it and says which pixel belongs to whom.

Needs Debian's `fonts-noto-color-emoji` (only the scripts do; the package itself never draws a sprite).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

FONT = Path("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf")
MARGIN = 0.25  # how far (in picture heights) a background reaches beyond the picture on each side
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
    name: str | None  # the word for it, None for a sprite that has none
    glyph: str
    class_index: int  # position among all glyphs; what a training-only classifier predicts
    levels: tuple  # premultiplied RGBA float32 [S, S, 4] in 0..1 at sides TILE, TILE/2, TILE/4 (for clean shrinking)


@lru_cache(maxsize=1)
def all_sprites() -> tuple[Sprite, ...]:
    """Every sprite, the named ones first. Raises FileNotFoundError where the emoji font is not installed."""
    from PIL import Image, ImageDraw, ImageFont

    if not FONT.exists():
        raise FileNotFoundError(f"{FONT} is missing: apt-get install fonts-noto-color-emoji")
    font = ImageFont.truetype(str(FONT), 109)
    glyphs = [(name, glyph) for name, word in NAMED.items() for glyph in word] + [(None, g) for g in UNNAMED]
    sprites = []
    for name, glyph in glyphs:
        tile = Image.new("RGBA", (TILE, TILE), (0, 0, 0, 0))
        ImageDraw.Draw(tile).text((4, 4), glyph, font=font, embedded_color=True)
        rgba = np.asarray(tile, np.float32) / 255
        ys, xs = np.nonzero(rgba[..., 3] > 0.5)
        if len(ys) < 400:
            raise ValueError(f"the font has no picture for {glyph!r}")
        # Centre the drawn part and make its longer side fill the tile, so that "size" means the same for all.
        y0, y1, x0, x1 = ys.min(), ys.max() + 1, xs.min(), xs.max() + 1
        scale = (TILE - 6) / max(y1 - y0, x1 - x0)
        move = np.float32(
            [
                [scale, 0, (TILE - 1) / 2 - scale * (x0 + x1 - 1) / 2],
                [0, scale, (TILE - 1) / 2 - scale * (y0 + y1 - 1) / 2],
            ]
        )
        rgba[..., :3] *= rgba[..., 3:]
        full = cv2.warpAffine(rgba, move, (TILE, TILE), flags=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
        levels = (
            full,
            cv2.resize(full, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
            cv2.resize(full, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA),
        )
        sprites.append(Sprite(name, glyph, len(sprites), levels))
    return tuple(sprites)


def sprites_named(name: str) -> list[Sprite]:
    return [sprite for sprite in all_sprites() if sprite.name == name]


def tinted(sprite: Sprite, rng: np.random.Generator, strength: float = 1.0) -> Sprite:
    """The same sprite in slightly different colours: a colour matrix near identity, gain and shift."""
    matrix = np.eye(3) + rng.normal(0, 0.07 * strength, (3, 3))
    gain, shift = 1 + rng.normal(0, 0.12 * strength), rng.normal(0, 0.04 * strength)
    levels = []
    for level in sprite.levels:
        colour = (level[..., :3] @ (matrix * gain).astype(np.float32)) + np.float32(shift) * level[..., 3:]
        levels.append(np.concatenate([np.clip(colour, 0, level[..., 3:]), level[..., 3:]], -1).astype(np.float32))
    return Sprite(sprite.name, sprite.glyph, sprite.class_index, tuple(levels))


@dataclass
class Scene:
    """What `draw` needs. Lengths are fractions of the picture's height, in the undistorted world.

    Attributes:
        background: [h, w, 3] float32 in 0..1, larger than the picture by the camera's travel.
        sprites: N sprites, painted in this order (later ones in front).
        poses: [T, N, 6] float32: x, y of the centre, size (longer side), angle in degrees, flip (±1), shown (0/1).
        camera: [T, 2] float32: x, y of the picture's corner in the background, and so in the world.
        aspect: width / height of the world's picture; drawing it into other sizes squeezes it.
    """

    background: np.ndarray
    sprites: list[Sprite]
    poses: np.ndarray
    camera: np.ndarray
    aspect: float = 1.0
    noise: float = 0.0
    order: list[np.ndarray] | None = field(default=None)  # painting order a frame where it changes


def draw(scene: Scene, t: int, height: int, width: int, rng: np.random.Generator | None = None):
    """Paint frame `t` of a scene.

    Returns:
        image: [height, width, 3] uint8 RGB.
        owner: [height, width] uint8, 0 for background, i + 1 where sprite i is the visible one (alpha > 0.5).
        areas: [N] int, pixels that each sprite would cover inside the picture if nothing stood in front of it.
    """
    unit_y, unit_x = float(height), width / scene.aspect  # pixels a world unit
    # The background has a resolution of its own (pixels a world unit) and begins MARGIN left of and above the world.
    density = scene.background.shape[0] / (1 + 2 * MARGIN)
    cx, cy = scene.camera[t]
    take = np.float32([[density / unit_x, 0, (cx + MARGIN) * density], [0, density / unit_y, (cy + MARGIN) * density]])
    canvas = cv2.warpAffine(
        scene.background,
        take,
        (width, height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT,
    )
    owner = np.zeros((height, width), np.uint8)
    areas = np.zeros(len(scene.sprites), np.int64)
    order = range(len(scene.sprites)) if scene.order is None else scene.order[t]
    for i in order:
        x, y, size, angle, flip, shown = scene.poses[t, i]
        if shown < 0.5:
            continue
        px, py = (x - cx) * unit_x, (y - cy) * unit_y
        levels = scene.sprites[i].levels
        wanted = size * unit_y
        tile = levels[0] if wanted > TILE * 0.7 else levels[1] if wanted > TILE * 0.35 else levels[2]
        side = tile.shape[0]
        scale = size / side
        cos, sin = np.cos(np.radians(angle)) * scale, np.sin(np.radians(angle)) * scale
        linear = np.array([[unit_x * cos * flip, -unit_x * sin], [unit_y * sin * flip, unit_y * cos]])
        reach = np.abs(linear) @ np.array([side / 2, side / 2]) + 1
        x0, y0 = int(max(np.floor(px - reach[0]), 0)), int(max(np.floor(py - reach[1]), 0))
        x1, y1 = int(min(np.ceil(px + reach[0]) + 1, width)), int(min(np.ceil(py + reach[1]) + 1, height))
        if x1 - x0 < 1 or y1 - y0 < 1:
            continue
        shift = np.array([px - x0, py - y0]) - linear @ np.array([(side - 1) / 2, (side - 1) / 2])
        rgba = cv2.warpAffine(
            tile,
            np.column_stack([linear, shift]).astype(np.float32),
            (x1 - x0, y1 - y0),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT,
        )
        alpha = rgba[..., 3:]
        part = canvas[y0:y1, x0:x1]
        part *= 1 - alpha
        part += rgba[..., :3]
        solid = alpha[..., 0] > 0.5
        areas[i] = int(solid.sum())
        owner[y0:y1, x0:x1][solid] = i + 1
    if scene.noise and rng is not None:
        canvas = canvas + rng.standard_normal(canvas.shape, dtype=np.float32) * np.float32(scene.noise)
    return (np.clip(canvas, 0, 1) * 255 + 0.5).astype(np.uint8), owner, areas


def background(rng: np.random.Generator, aspect: float, resolution: int = 160) -> np.ndarray:
    """A random backdrop, [h, w, 3] float32 in 0..1: plain, gradient, noise, sky and ground, with shapes on top."""
    height = int(resolution * (1 + 2 * MARGIN))
    width = int(resolution * (aspect + 2 * MARGIN))
    kind = rng.random()
    base, other = random_colour(rng), random_colour(rng)
    ys, xs = np.linspace(0, 1, height, dtype=np.float32), np.linspace(0, 1, width, dtype=np.float32)
    if kind < 0.15:
        picture = np.broadcast_to(base, (height, width, 3)).astype(np.float32).copy()
    elif kind < 0.45:
        turn = rng.uniform(0, 2 * np.pi)
        ramp = np.cos(turn) * xs[None, :] + np.sin(turn) * ys[:, None]
        ramp = (ramp - ramp.min()) / max(np.ptp(ramp), 1e-6)
        picture = base + (other - base) * ramp[..., None]
    elif kind < 0.65:
        picture = base + (other - base) * cloud(rng, height, width, rng.integers(2, 20))[..., None]
    else:
        picture = landscape(rng, height, width, base, other)
    picture = np.ascontiguousarray(picture, np.float32)
    if rng.random() < 0.55:
        for _ in range(rng.integers(1, 14)):
            random_shape(rng, picture)
    if rng.random() < 0.4:
        blur = rng.uniform(0.4, 5)
        picture = cv2.GaussianBlur(picture, (0, 0), blur)
    if rng.random() < 0.5:
        picture += (cloud(rng, height, width, rng.integers(20, 80)) - 0.5)[..., None] * rng.uniform(0.03, 0.3)
    return np.clip(picture, 0, 1).astype(np.float32)


def random_colour(rng) -> np.ndarray:
    colour = rng.random(3)
    return (colour * 0.8 + 0.2 * colour.mean() if rng.random() < 0.7 else np.full(3, rng.random())).astype(np.float32)


def cloud(rng, height: int, width: int, cells: int) -> np.ndarray:
    """Smooth noise in 0..1 with about `cells` bumps along the height."""
    small = rng.random((int(cells) + 2, int(cells * width / height) + 2), dtype=np.float32)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC).clip(0, 1)


def landscape(rng, height: int, width: int, low, high) -> np.ndarray:
    """Sky above, ground below, a few hill lines between."""
    picture = high + (random_colour(rng) - high) * np.linspace(0, 0.5, height, dtype=np.float32)[:, None, None]
    picture = np.broadcast_to(picture, (height, width, 3)).copy()
    line = rng.uniform(0.25, 0.6)
    for layer in range(rng.integers(1, 4)):
        xs = np.arange(width)
        hill = (line + 0.12 * layer) * height + sum(
            rng.uniform(0, 0.05) * height * np.sin(xs / width * rng.uniform(2, 14) + rng.uniform(0, 6))
            for _ in range(3)
        )
        colour = low * rng.uniform(0.6, 1.2) + rng.normal(0, 0.05, 3)
        picture[np.arange(height)[:, None] > hill[None, :]] = np.clip(colour, 0, 1)
    return picture


def random_shape(rng, picture: np.ndarray) -> None:
    height, width = picture.shape[:2]
    colour = [float(c) for c in random_colour(rng)]
    centre = (int(rng.integers(0, width)), int(rng.integers(0, height)))
    size = rng.uniform(0.03, 0.3, 2) * height
    kind = rng.integers(0, 4)
    if kind == 0:
        cv2.ellipse(
            picture, centre, (int(size[0]), int(size[1])), float(rng.uniform(0, 180)), 0, 360, colour, -1, cv2.LINE_AA
        )
    elif kind == 1:
        corners = cv2.boxPoints((centre, tuple(size * 1.6), float(rng.uniform(0, 180)))).astype(np.int32)
        cv2.fillConvexPoly(picture, corners, colour, cv2.LINE_AA)
    elif kind == 2:
        end = (int(rng.integers(0, width)), int(rng.integers(0, height)))
        cv2.line(picture, centre, end, colour, int(rng.integers(1, 12)), cv2.LINE_AA)
    else:
        corners = (np.array(centre) + rng.normal(0, 1, (rng.integers(3, 7), 2)) * size).astype(np.int32)
        cv2.fillPoly(picture, [corners], colour, cv2.LINE_AA)


def glide(rng, frames: int, aspect: float, speed: float, size: tuple[float, float]) -> np.ndarray:
    """Poses [frames, 6] of one sprite on a smooth path through the picture (and sometimes a little out of it).

    `speed` is in picture heights a frame, for the straight part of the path.
    """
    t = np.arange(frames, dtype=np.float32)
    heading = rng.uniform(0, 2 * np.pi)
    middle = np.array([rng.uniform(0.15, 0.85) * aspect, rng.uniform(0.2, 0.8)])
    velocity = speed * np.array([np.cos(heading), np.sin(heading) * 0.6])
    path = middle + (t - rng.uniform(0, frames))[:, None] * velocity
    for axis in range(2):
        path[:, axis] += rng.uniform(0, 0.08) * np.sin(t * rng.uniform(0.05, 0.25) + rng.uniform(0, 6))
    # Fold the path back at the border (a little outside of it), so that things turn round instead of being gone for good.
    low, high = np.array([-0.02, 0.05]), np.array([aspect + 0.02, 0.95])
    path = fold(path, low, high)
    scale = rng.uniform(*size) * (1 + rng.uniform(0, 0.15) * np.sin(t * rng.uniform(0.02, 0.15) + rng.uniform(0, 6)))
    angle = rng.normal(0, 8) + rng.uniform(0, 10) * np.sin(t * rng.uniform(0.05, 0.2) + rng.uniform(0, 6))
    flip = np.full(frames, rng.choice([-1.0, 1.0]))
    return np.column_stack([path, scale, angle, flip, np.ones(frames)]).astype(np.float32)


def fold(path: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Reflect a path at the walls low and high, as light between two mirrors."""
    span = high - low
    phase = np.mod(path - low, 2 * span)
    return low + np.where(phase > span, 2 * span - phase, phase)


def sway(rng, frames: int, reach: float) -> np.ndarray:
    """Camera positions [frames, 2]: a slow drift of at most `reach` picture heights."""
    t = np.arange(frames, dtype=np.float32)
    return np.column_stack(
        [rng.uniform(0, reach) * np.sin(t * rng.uniform(0.01, 0.06) + rng.uniform(0, 6)) for _ in range(2)]
    ).astype(np.float32)
