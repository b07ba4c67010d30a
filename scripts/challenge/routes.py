"""The things of the challenge's clips, and the ways they go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from scripts.challenge.plan import HEIGHT, WIDTH, Plan, Shot
from scripts.demo_models.world.backgrounds import background
from scripts.demo_models.world.motion import smooth, sway
from scripts.demo_models.world.scene import Scene
from scripts.demo_models.world.sprites import NAMED, Sprite, all_sprites, sprites_named, tinted

ASPECT = WIDTH / HEIGHT

# Thin things (bicycle, key), whose outline the demo segmenter cannot draw, and names that its detector overlooks in
# more than one picture of six.
LEFT_OUT = (
    *("bicycle", "tree", "chair", "key", "clock", "pencil"),
    *("scissors", "banana", "elephant", "guitar", "umbrella", "mushroom"),
)
NAMES = [name for name in NAMED if name not in LEFT_OUT]
# Sprites without a name that are like no named one; the solid ones hide what is behind them.
STRANGERS = "🍔🦉🐝🐙🐧🐸🍓🍋🍩🎂🧸👑🔬💎🗿🏠🎒📷"
SOLID = "🏠🧀🍔🍞📷📺🗿🎒🌳"
SOLID_NAMES = ("gift", "book", "truck", "ball")

SIDES = ("left", "right", "top", "bottom")


def pick_names(rng: np.random.Generator, count: int, without: Sequence[str] = ()) -> list[str]:
    """Different names to track."""
    return [str(name) for name in rng.choice([name for name in NAMES if name not in without], count, replace=False)]


def pick(rng: np.random.Generator, name: str) -> Sprite:
    """One of the sprites with a name, in colours of its own."""
    return tinted(sprites_named(name)[rng.integers(len(sprites_named(name)))], rng)


def pick_glyph(rng: np.random.Generator, glyphs: str) -> Sprite:
    """The sprite of one of some glyphs, in colours of its own."""
    glyph = glyphs[rng.integers(len(glyphs))]
    return tinted(next(sprite for sprite in all_sprites() if sprite.glyph == glyph), rng, 0.5)


def route(
    frames: int,
    points: Sequence[tuple[Any, ...]],
    size: float | tuple[float, float],
    rng: np.random.Generator | None = None,
    flip: float = 1.0,
) -> np.ndarray:
    """Poses [frames, 6] through points (frame, x, y), at rest before the first and after the last, corners rounded.

    size: one number, or two between which it grows evenly (by the same factor every frame). With `rng` the sprite
    rocks a little as it goes.
    """
    t = np.arange(frames)
    times, xs, ys = np.array(points, float).T
    sizes = np.geomspace(*size, frames) if isinstance(size, tuple) else np.full(frames, size)
    rock = (
        np.zeros(frames)
        if rng is None
        else rng.normal(0, 4) + 4 * np.sin(t * rng.uniform(0.1, 0.3) + rng.uniform(0, 6))
    )
    return np.column_stack(
        [
            smooth(np.interp(t, times, xs)),
            smooth(np.interp(t, times, ys)),
            sizes,
            rock,
            np.full(frames, flip),
            np.ones(frames),
        ]
    ).astype(np.float32)


def flip_of(rng: np.random.Generator) -> float:
    """As it is drawn, or in the mirror."""
    return float(rng.choice([-1.0, 1.0]))


def spread(rng: np.random.Generator, count: int, gap: float = 0.45) -> np.ndarray:
    """Places [count, 2] inside the picture, no two nearer than `gap`, so that everything can be seen from the start."""
    for _ in range(10_000):
        places = rng.uniform((0.22, 0.24), (ASPECT - 0.22, 0.76), (count, 2))
        distances = np.linalg.norm(places[:, None] - places[None], axis=-1) + 9 * np.eye(count)
        if distances.min() >= gap:
            return places
    raise ValueError(f"{count} places do not fit {gap} apart")


def wander(rng: np.random.Generator, frames: int, start: np.ndarray, size: float) -> np.ndarray:
    """Poses [frames, 6] from a place along three others, always inside the picture."""
    points = [(0, *start), (6, *start)]
    for frame in np.linspace(0, frames, 4)[1:]:
        step = rng.uniform(-1, 1, 2) * (0.6, 0.35)
        points.append((frame, *np.clip(np.array(points[-1][1:]) + step, (0.15, 0.18), (ASPECT - 0.15, 0.82))))
    return route(frames, points, size, rng, flip_of(rng))


def outside(side: str, rng: np.random.Generator, size: float) -> tuple[float, float]:
    """A place beyond a side of the picture, far enough that a sprite of this size shows nothing of itself."""
    beyond = size * 0.75 + 0.12  # a turned square's half diagonal, and what the camera may move
    along_x, along_y = rng.uniform(0.4, ASPECT - 0.4), rng.uniform(0.3, 0.7)
    return {
        "left": (-beyond, along_y),
        "right": (ASPECT + beyond, along_y),
        "top": (along_x, -beyond),
        "bottom": (along_x, 1 + beyond),
    }[side]


def drift(rng: np.random.Generator, frames: int) -> np.ndarray:
    """A camera [frames, 2] that moves slowly, from 0."""
    camera = sway(rng, frames, 0.04)
    return camera - camera[0]


def one_shot(
    rng: np.random.Generator,
    sprites: Sequence[Sprite],
    poses: Sequence[np.ndarray],
    ids: Sequence[int] | None = None,
    camera: np.ndarray | None = None,
    faults: int | None = None,
) -> Plan:
    """A plan without cuts. Later sprites are in front; `ids` numbers them from 1 if it is not given."""
    frames = len(poses[0])
    ids = list(range(1, len(sprites) + 1)) if ids is None else list(ids)
    scene = Scene(
        background(rng, ASPECT, HEIGHT),
        list(sprites),
        np.stack(poses, 1),
        drift(rng, frames) if camera is None else camera,
        ASPECT,
        0.008,
    )
    prompt = dict.fromkeys(sprite.name for sprite, object_id in zip(sprites, ids) if object_id)
    return Plan([Shot(scene, ids, range(frames))], list(prompt), faults)
