"""A scene of the made-up world and its drawing: sprites over a background, and which pixel is whose."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from scripts.demo_models.world.sprites import Sprite

MARGIN = 0.25  # how far (in picture heights) a background reaches beyond the picture on each side


@dataclass
class Scene:
    """What `draw` needs. Lengths are fractions of the picture's height, in the undistorted world.

    Attributes:
        background: [h, w, 3] float32 in 0..1, larger than the picture by the camera's travel.
        sprites: N sprites, painted in this order (later ones in front).
        poses: [T, N, 6] float32: x, y of the centre, size (longer side), angle in degrees, flip (±1), shown (0/1).
        camera: [T, 2] float32: x, y of the picture's corner in the background, and so in the world.
        aspect: width / height of the world's picture; drawing it into other sizes squeezes it.
        noise: standard deviation of the noise on each pixel, in 0..1.
    """

    background: np.ndarray
    sprites: list[Sprite]
    poses: np.ndarray
    camera: np.ndarray
    aspect: float = 1.0
    noise: float = 0.0


def draw(
    scene: Scene, t: int, height: int, width: int, rng: np.random.Generator | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Paint frame `t` of a scene.

    Args:
        scene: what to paint.
        t: number of the frame.
        height: of the picture, in pixels.
        width: of the picture, in pixels.
        rng: for the scene's noise; None for a picture without noise.

    Returns:
        image: [height, width, 3] uint8 RGB.
        owner: [height, width] uint8, 0 for background, i + 1 where sprite i is the visible one (alpha > 0.5).
        areas: [N] int, pixels that each sprite would cover inside the picture if nothing stood in front of it.
    """
    canvas = backdrop(scene, t, height, width)
    owner = np.zeros((height, width), np.uint8)
    areas = np.zeros(len(scene.sprites), np.int64)
    for i in range(len(scene.sprites)):
        painted = paint(scene, t, i, height, width)
        if painted is None:
            continue
        rgba, window = painted
        alpha = rgba[..., 3:]
        part = canvas[window]
        part *= 1 - alpha
        part += rgba[..., :3]
        solid = alpha[..., 0] > 0.5
        areas[i] = int(solid.sum())
        owner[window][solid] = i + 1
    if scene.noise and rng is not None:
        canvas = canvas + rng.standard_normal(canvas.shape, dtype=np.float32) * np.float32(scene.noise)
    return (np.clip(canvas, 0, 1) * 255 + 0.5).astype(np.uint8), owner, areas


def backdrop(scene: Scene, t: int, height: int, width: int) -> np.ndarray:
    """What the camera sees of the background on frame `t`, [height, width, 3] float32."""
    unit_y, unit_x = float(height), width / scene.aspect  # pixels a world unit
    # The background has a resolution of its own (pixels a world unit) and begins MARGIN left of and above the world.
    density = scene.background.shape[0] / (1 + 2 * MARGIN)
    cx, cy = scene.camera[t]
    take = np.array(
        [[density / unit_x, 0, (cx + MARGIN) * density], [0, density / unit_y, (cy + MARGIN) * density]], np.float32
    )
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(scene.background, take, (width, height), flags=flags, borderMode=cv2.BORDER_REFLECT)


def paint(scene: Scene, t: int, i: int, height: int, width: int) -> tuple[np.ndarray, tuple[slice, slice]] | None:
    """Sprite `i` as it stands on frame `t`.

    Returns:
        Premultiplied RGBA [h, w, 4] float32 and its rows and columns of the picture; None if nothing of it is in there.
    """
    unit_y, unit_x = float(height), width / scene.aspect
    cx, cy = scene.camera[t]
    x, y, size, angle, flip, shown = scene.poses[t, i]
    if shown < 0.5:
        return None
    px, py = (x - cx) * unit_x, (y - cy) * unit_y
    tile = scene.sprites[i].level(size * unit_y)
    side = tile.shape[0]
    scale = size / side
    cos, sin = np.cos(np.radians(angle)) * scale, np.sin(np.radians(angle)) * scale
    linear = np.array([[unit_x * cos * flip, -unit_x * sin], [unit_y * sin * flip, unit_y * cos]])
    reach = np.abs(linear) @ np.array([side / 2, side / 2]) + 1
    x0, y0 = int(max(np.floor(px - reach[0]), 0)), int(max(np.floor(py - reach[1]), 0))
    x1, y1 = int(min(np.ceil(px + reach[0]) + 1, width)), int(min(np.ceil(py + reach[1]) + 1, height))
    if x1 - x0 < 1 or y1 - y0 < 1:
        return None
    shift = np.array([px - x0, py - y0]) - linear @ np.array([(side - 1) / 2, (side - 1) / 2])
    matrix = np.column_stack([linear, shift]).astype(np.float32)
    rgba = cv2.warpAffine(tile, matrix, (x1 - x0, y1 - y0), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    return rgba, (slice(y0, y1), slice(x0, x1))


def as_jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    """The same picture after it was a JPEG file."""
    _, packed = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    read = cv2.imdecode(packed, cv2.IMREAD_COLOR)
    assert read is not None
    return read
