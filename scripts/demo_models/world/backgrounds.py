"""Random backdrops of the made-up world."""

from __future__ import annotations

import cv2
import numpy as np

from scripts.demo_models.world.scene import MARGIN


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


def random_colour(rng: np.random.Generator) -> np.ndarray:
    """A colour [3] float32 in 0..1, grey now and then."""
    colour = rng.random(3)
    return (colour * 0.8 + 0.2 * colour.mean() if rng.random() < 0.7 else np.full(3, rng.random())).astype(np.float32)


def cloud(rng: np.random.Generator, height: int, width: int, cells: int | np.integer) -> np.ndarray:
    """Smooth noise in 0..1 with about `cells` bumps along the height."""
    small = rng.random((int(cells) + 2, int(cells * width / height) + 2), dtype=np.float32)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC).clip(0, 1)


def landscape(rng: np.random.Generator, height: int, width: int, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Sky above, ground below, a few hill lines between."""
    picture = high + (random_colour(rng) - high) * np.linspace(0, 0.5, height, dtype=np.float32)[:, None, None]
    picture = np.broadcast_to(picture, (height, width, 3)).copy()
    line = rng.uniform(0.25, 0.6)
    for layer in range(rng.integers(1, 4)):
        xs = np.arange(width)
        waves = [
            rng.uniform(0, 0.05) * height * np.sin(xs / width * rng.uniform(2, 14) + rng.uniform(0, 6))
            for _ in range(3)
        ]
        hill = (line + 0.12 * layer) * height + np.sum(waves, axis=0)
        colour = low * rng.uniform(0.6, 1.2) + rng.normal(0, 0.05, 3)
        picture[np.arange(height)[:, None] > hill[None, :]] = np.clip(colour, 0, 1)
    return picture


def random_shape(rng: np.random.Generator, picture: np.ndarray) -> None:
    """Draw an ellipse, a rectangle, a line or a polygon somewhere."""
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
