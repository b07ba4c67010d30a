"""The painted backgrounds of the samples: a park, a street and a desk."""

from __future__ import annotations

from typing import TypeAlias

import cv2
import numpy as np

from scripts.demo_models.world.backgrounds import cloud
from scripts.demo_models.world.scene import MARGIN

ASPECT = 16 / 9
DESK_ASPECT = 1.5
DENSITY = 360  # background pixels a world unit
Colour: TypeAlias = "tuple[float, float, float]"


def canvas(aspect: float = ASPECT) -> np.ndarray:
    """A black background for a world of this aspect."""
    return np.zeros((round(DENSITY * (1 + 2 * MARGIN)), round(DENSITY * (aspect + 2 * MARGIN)), 3), np.float32)


def at(x: float, y: float) -> tuple[int, int]:
    """World coordinates as pixels of the background."""
    return round((x + MARGIN) * DENSITY), round((y + MARGIN) * DENSITY)


def band(
    picture: np.ndarray, top: float, bottom: float, above: np.ndarray | Colour, below: np.ndarray | Colour
) -> None:
    """A horizontal stripe of the world that fades from one colour to another."""
    rows = slice(at(0, top)[1], at(0, bottom)[1])
    ramp = np.linspace(0, 1, picture[rows].shape[0], dtype=np.float32)[:, None, None]
    picture[rows] = np.array(above, np.float32) * (1 - ramp) + np.array(below, np.float32) * ramp


def grain(picture: np.ndarray, rows: slice, seed: int, cells: int, strength: float) -> None:
    """Smooth noise over some rows."""
    part = picture[rows]
    part += (cloud(np.random.default_rng(seed), part.shape[0], part.shape[1], cells)[..., None] - 0.5) * strength


def park_background() -> np.ndarray:
    """Sky with clouds, two hills, and grass with a path."""
    picture = canvas()
    band(picture, -MARGIN, 0.56, (0.46, 0.70, 0.93), (0.86, 0.93, 0.98))
    for x, y, size in (
        (0.1, 0.02, 0.10),
        (0.24, 0.05, 0.13),
        (1.2, -0.02, 0.12),
        (1.36, 0.02, 0.15),
        (1.5, 0.05, 0.09),
    ):
        cv2.ellipse(
            picture,
            at(x, y),
            (round(size * DENSITY), round(size * DENSITY * 0.45)),
            0,
            0,
            360,
            (0.98, 0.99, 1.0),
            -1,
            cv2.LINE_AA,
        )
    xs = np.linspace(-MARGIN, ASPECT + MARGIN, 200)
    for line, height, colour, phase in ((0.40, 0.07, (0.47, 0.66, 0.55), 0.4), (0.47, 0.05, (0.38, 0.60, 0.36), 2.2)):
        hill = [at(x, line + height * np.sin(2.1 * x + phase)) for x in xs]
        cv2.fillPoly(
            picture, [np.array(hill + [at(ASPECT + MARGIN, 1.3), at(-MARGIN, 1.3)], np.int32)], colour, cv2.LINE_AA
        )
    band(picture, 0.55, 1 + MARGIN, (0.44, 0.67, 0.32), (0.27, 0.50, 0.20))
    grass = slice(at(0, 0.55)[1], None)
    grain(picture, grass, 5, 60, 0.10)
    path = [at(x, 0.88 + 0.03 * np.sin(3 * x)) for x in xs] + [at(x, 0.98 + 0.03 * np.sin(3 * x)) for x in xs[::-1]]
    cv2.fillPoly(picture, [np.array(path, np.int32)], (0.80, 0.72, 0.56), cv2.LINE_AA)
    grain(picture, slice(None), 6, 120, 0.05)
    return np.clip(cv2.GaussianBlur(picture, (0, 0), 0.8), 0, 1)


def street_background(sky: Colour, wall: Colour, road: Colour, seed: int) -> np.ndarray:
    """A row of houses behind a pavement and a road."""
    rng = np.random.default_rng(seed)
    picture = canvas()
    band(picture, -MARGIN, 0.56, sky, np.array(sky, np.float32) * 0.4 + 0.6)
    left = -MARGIN
    while left < ASPECT + MARGIN:  # a row of houses with windows
        width, height = rng.uniform(0.22, 0.42), rng.uniform(0.25, 0.55)
        colour = np.clip(np.array(wall, np.float32) * rng.uniform(0.75, 1.15), 0, 1)
        cv2.rectangle(picture, at(left, 0.55 - height), at(left + width - 0.01, 0.55), colour.tolist(), -1)
        for x in np.arange(left + 0.04, left + width - 0.06, 0.075):
            for y in np.arange(0.55 - height + 0.05, 0.48, 0.1):
                cv2.rectangle(
                    picture,
                    at(x, y),
                    at(x + 0.04, y + 0.055),
                    (np.array(sky, np.float32) * rng.uniform(0.5, 1)).tolist(),
                    -1,
                )
        left += width
    band(picture, 0.55, 0.63, (0.72, 0.71, 0.69), (0.66, 0.65, 0.63))
    band(picture, 0.63, 1 + MARGIN, np.array(road, np.float32) * 1.15, road)
    for x in np.arange(-MARGIN, ASPECT + MARGIN, 0.22):
        cv2.rectangle(picture, at(x, 0.80), at(x + 0.11, 0.815), (0.93, 0.92, 0.86), -1)
    grain(picture, slice(None), seed + 1, 110, 0.06)
    return np.clip(cv2.GaussianBlur(picture, (0, 0), 0.8), 0, 1)


def desk_background() -> np.ndarray:
    """A wall with a picture on it, and a wooden desk before it."""
    picture = canvas(DESK_ASPECT)
    band(picture, -MARGIN, 0.45, (0.86, 0.87, 0.83), (0.78, 0.80, 0.77))
    band(picture, 0.45, 1 + MARGIN, (0.70, 0.50, 0.32), (0.56, 0.38, 0.23))
    part = picture[at(0, 0.45)[1] :]
    streaks = cv2.resize(cloud(np.random.default_rng(31), part.shape[0], 40, 40), (part.shape[1], part.shape[0]))
    part += streaks[..., None] * 0.12 - 0.06
    cv2.rectangle(picture, at(0.95, 0.02), at(1.38, 0.34), (0.95, 0.95, 0.92), -1)
    cv2.rectangle(picture, at(0.97, 0.04), at(1.36, 0.32), (0.62, 0.76, 0.84), -1)
    return np.clip(picture, 0, 1)
