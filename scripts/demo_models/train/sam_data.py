"""Training clips for the demo SAM 2.1: short scenes of the made-up world with the masks of a few target objects."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from scripts.demo_models.world.backgrounds import background
from scripts.demo_models.world.motion import glide, sway
from scripts.demo_models.world.scene import Scene, as_jpeg, draw
from scripts.demo_models.world.sprites import Sprite, all_sprites, tinted

ASPECTS = (1.0, 1.0, 4 / 3, 16 / 9, 16 / 9, 16 / 9, 3 / 4, 9 / 16)  # SAM squeezes every picture into a square
RECENT = 3  # recent memories that the demo SAM keeps (num_maskmem - 1)
MIN_VISIBLE = 0.10  # a target of which less is visible gets neither "present" nor "absent" as its lesson


@dataclass(frozen=True)
class TrainingClip:
    """A short clip with some targets.

    Attributes:
        images: [T, H, W, 3] uint8 RGB.
        masks: [T, O, H, W] bool, visible pixels of each target.
        visible: [T, O] float, share of the target that can be seen; 0 where it is absent.
        owners: [T, H, W] uint8, 0 or 1 + position of the sprite in `classes`.
        classes: [N] int, glyph of each sprite.
    """

    images: np.ndarray
    masks: np.ndarray
    visible: np.ndarray
    owners: np.ndarray
    classes: np.ndarray


def training_clip(
    rng: np.random.Generator, size: int, frames: int, objects: int, jump: float, zoom: float = 1.0
) -> TrainingClip:
    """One clip of `frames` square pictures with `objects` targets, each well visible on the first frame.

    `jump` is the share of clips in which everything is somewhere else on every frame: they teach to look for
    the object instead of where it last was. `zoom` magnifies the sprites: a small picture then shows outlines as a
    large one does, at a fraction of the cost.
    """
    while True:
        clip = attempt(rng, size, frames, objects, rng.random() < jump, zoom)
        if clip is not None:
            return clip


def attempt(
    rng: np.random.Generator, size: int, frames: int, objects: int, jumping: bool, zoom: float
) -> TrainingClip | None:
    """A clip, if its targets are well visible on the first frame; see `training_clip`."""
    aspect = rng.choice(ASPECTS)
    count = int(rng.integers(objects, 6))  # a crowd would teach about covered shapes and little else
    sprites = [tinted(any_sprite(rng), rng) for _ in range(count)]
    if count > 1 and not jumping and rng.random() < 0.15:
        sprites[1] = sprites[0]  # identical twins: only where they are can tell them apart
    if jumping:
        poses = np.stack([jumps(rng, frames, aspect, sizes(rng, zoom)) for _ in sprites], 1)
        camera = rng.uniform(-0.2, 0.2, (frames, 2)).astype(np.float32)
        poses[..., :2] += camera[:, None]  # jumps() places things in the picture, poses are in the world
    else:
        pace = rng.lognormal(np.log(0.03), 0.8)  # heights a frame; slow motion only teaches "stay where you were"
        poses = np.stack(
            [glide(rng, frames, aspect, pace * rng.uniform(0.2, 1.6), sizes(rng, zoom)) for _ in sprites], 1
        )
        camera = sway(rng, frames, 0.12) * rng.choice([0.3, 1.0, 2.0])
    for target in range(objects):
        if frames > 1 and rng.random() < (0.55 if frames > 4 else 0.35):
            hide(rng, sprites, poses, target, jumping)
    sprites, poses = shuffled(rng, sprites, poses)
    scene = Scene(
        background(rng, aspect), [s for s, _ in sprites], poses, camera, aspect, float(rng.choice([0, 0.01, 0.03]))
    )
    places = {target: place for place, (_, target) in enumerate(sprites)}
    targets = [places[target] for target in range(objects)]

    images = np.empty((frames, size, size, 3), np.uint8)
    owners = np.empty((frames, size, size), np.uint8)
    areas = np.empty((frames, len(sprites)), np.int64)
    soften = rng.random() < 0.3
    for t in range(frames):
        picture, owners[t], areas[t] = draw(scene, t, size, size, rng)
        images[t] = worn(rng, picture) if soften else picture
    masks = np.stack([owners == i + 1 for i in targets], 1)
    seen = masks.sum((2, 3))
    whole = np.maximum(areas[:, targets].max(0), 1)
    visible = seen / whole
    if (seen[0] < 0.003 * size * size).any() or (visible[0] < 0.4).any():
        return None
    return TrainingClip(images, masks, visible, owners, np.array([s.class_index for s, _ in sprites]))


def any_sprite(rng: np.random.Generator) -> Sprite:
    """Mostly one that has a name: those are what anybody will ask for."""
    named = [sprite for sprite in all_sprites() if sprite.name]
    pool = named if rng.random() < 0.5 else all_sprites()
    return pool[rng.integers(len(pool))]


def sizes(rng: np.random.Generator, zoom: float) -> tuple[float, float]:
    """Range for the size of a sprite, in picture heights; now and then something big."""
    return (0.5, 1.0) if rng.random() < 0.15 else (0.14 * zoom, min(1.0, 0.55 * zoom))


def jumps(rng: np.random.Generator, frames: int, aspect: float, size: tuple[float, float]) -> np.ndarray:
    """An independent place on every frame; size, angle and flip vary less."""
    lengths = rng.uniform(*size) * rng.uniform(0.8, 1.25, frames)
    angle = rng.normal(0, 10) + rng.normal(0, 12, frames)
    flip = rng.choice([-1.0, 1.0]) * np.where(rng.random(frames) < 0.15, -1, 1)
    return np.column_stack(
        [rng.uniform(0.08, 0.92, frames) * aspect, rng.uniform(0.1, 0.9, frames), lengths, angle, flip, np.ones(frames)]
    ).astype(np.float32)


def hide(rng: np.random.Generator, sprites: list[Sprite], poses: np.ndarray, target: int, jumping: bool) -> None:
    """Take a target out of sight for some frames after the first: gone, or behind something bigger.

    The bigger thing is one of the other sprites; only its poses change, so nothing hints at what follows.
    """
    frames = len(poses)
    if frames > RECENT + 1 and rng.random() < 0.6:
        # Gone from every recent memory, then back: only the prompted frame still knows it. Rare by nature, and without
        # many such clips "absent a moment ago" becomes a perfect sign of "absent now".
        start, stop = 1, int(rng.integers(RECENT + 1, max(RECENT + 2, frames - 1)))
    else:
        start = int(rng.integers(1, frames))
        stop = min(frames, start + int(rng.integers(1, max(2, frames))))
    others = [i for i in range(len(sprites)) if i != target]
    if others and rng.random() < 0.5:
        cover = others[-1]
        poses[start:stop, cover, :2] = poses[start:stop, target, :2]
        poses[start:stop, cover, 2] = poses[start:stop, target, 2] * rng.uniform(1.4, 2.0)
    elif jumping or rng.random() < 0.5:
        poses[start:stop, target, 5] = 0
    else:  # out of the picture
        poses[start:stop, target, 0] += 10


def shuffled(
    rng: np.random.Generator, sprites: list[Sprite], poses: np.ndarray
) -> tuple[list[tuple[Sprite, int]], np.ndarray]:
    """Random painting order, but sprites used as covers (the last ones) tend to be in front.

    Returns:
        Each sprite with its number (the first ones are the targets), and poses in the same order.
    """
    order = np.arange(len(sprites))
    if rng.random() < 0.5:
        rng.shuffle(order)
    return [(sprites[i], int(i)) for i in order], np.ascontiguousarray(poses[:, order])


def worn(rng: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    """What a codec and a lens do to a picture."""
    if rng.random() < 0.4:
        picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.3, 0.9))
    return as_jpeg(picture, int(rng.integers(45, 95)))


def prompts(rng: np.random.Generator, kind: str, masks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Prompts for targets on one frame.

    Args:
        rng: what they are drawn from.
        kind: "box" (corners moved by up to 5 % of its side) or "click" (a point inside, often the innermost).
        masks: [B, H, W] bool, none empty.

    Returns:
        points [B, 2, 2] float32 (x, y) in pixels and labels [B, 2] int32 as SAM's prompt encoder takes them:
        2 and 3 for the corners of a box, 1 for a click, -1 for padding.
    """
    points = np.zeros((len(masks), 2, 2), np.float32)
    labels = np.zeros((len(masks), 2), np.int32)
    for i, mask in enumerate(masks):
        ys, xs = np.nonzero(mask)
        if kind == "box":
            corners = np.array([[xs.min(), ys.min()], [xs.max() + 1, ys.max() + 1]], np.float32)
            points[i] = corners + rng.uniform(-0.05, 0.05, (2, 2)) * (corners[1] - corners[0])
            labels[i] = 2, 3
        else:
            inside = cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
            points[i, 0] = click_in(rng, inside if inside.any() else mask)
            labels[i] = 1, -1
    return points, labels


def click_in(rng: np.random.Generator, mask: np.ndarray) -> tuple[float, float]:
    """x, y of a pixel of a mask: half of the time the one that is farthest from its border, where people click."""
    if rng.random() < 0.5:
        depth = cv2.distanceTransform(np.pad(mask.astype(np.uint8), 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
        y, x = np.unravel_index(depth.argmax(), depth.shape)
    else:
        ys, xs = np.nonzero(mask)
        pick = rng.integers(len(ys))
        y, x = ys[pick], xs[pick]
    return float(x) + 0.5, float(y) + 0.5
