"""How sprites and the camera move."""

from __future__ import annotations

import cv2
import numpy as np


def glide(rng: np.random.Generator, frames: int, aspect: float, speed: float, size: tuple[float, float]) -> np.ndarray:
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
    # Fold the path back at the border (a little outside of it): things turn round instead of being gone for good.
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


def sway(rng: np.random.Generator, frames: int, reach: float) -> np.ndarray:
    """Camera positions [frames, 2]: a slow drift of at most `reach` picture heights."""
    t = np.arange(frames, dtype=np.float32)
    return np.column_stack(
        [rng.uniform(0, reach) * np.sin(t * rng.uniform(0.01, 0.06) + rng.uniform(0, 6)) for _ in range(2)]
    ).astype(np.float32)


def smooth(values: np.ndarray) -> np.ndarray:
    """The same course of values [frames] with its corners rounded, float32."""
    return cv2.GaussianBlur(values[None].astype(np.float32), (0, 0), 4, borderType=cv2.BORDER_REPLICATE)[0]
