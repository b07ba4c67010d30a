"""Make `samples/`: park.mp4, street.mp4 and desk.png, each with its ground truth as a tracks file.

They show the made-up world of the demo models. Backgrounds are painted for them and seeds are their own, so no frame of
them is like one that the models were trained on.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np

from scripts.common import SAMPLES
from scripts.demo_models.world.clips import RATE, tracks_header, truth_frame, write_scenes
from scripts.demo_models.world.motion import smooth
from scripts.demo_models.world.sample_backgrounds import (
    ASPECT,
    DESK_ASPECT,
    desk_background,
    park_background,
    street_background,
)
from scripts.demo_models.world.scene import Scene, draw
from scripts.demo_models.world.sprites import Sprite, sprites_named, tinted
from vidseg.tracks.file import TracksWriter

DESK_WIDTH, DESK_HEIGHT = 960, 640
DESK = (  # name, x, y, size, angle
    ("laptop", 0.66, 0.47, 0.46, -6),
    ("lamp", 0.22, 0.34, 0.30, 3),
    ("cup", 1.06, 0.62, 0.22, 0),
    ("book", 0.28, 0.76, 0.30, -9),
    ("phone", 0.62, 0.83, 0.22, 12),
    ("clock", 1.30, 0.50, 0.24, 2),
    ("scissors", 1.18, 0.85, 0.22, 20),
)


def path(
    frames: int, xs: Any, ys: Any, sizes: Any, flip: float = 1, tilt: float = 2.0, step: float = 0.5
) -> np.ndarray:
    """Poses [frames, 6] with the sway of something that walks.

    Args:
        frames: number of frames.
        xs: numbers at even times, or one number; so are `ys` and `sizes`.
        ys: see `xs`.
        sizes: see `xs`.
        flip: 1, or -1 in the mirror.
        tilt: degrees to either side.
        step: radians of its gait a frame.
    """
    t = np.arange(frames)

    def through(values: float | Sequence[float]) -> np.ndarray:
        even = np.ravel(values)
        return smooth(np.interp(t, np.linspace(0, frames - 1, len(even)), even))

    bob = 0.006 * np.abs(np.sin(t * step))
    return np.column_stack(
        [
            through(xs),
            through(ys) - bob,
            through(sizes),
            tilt * np.sin(t * step),
            np.full(frames, flip),
            np.ones(frames, np.float32),
        ]
    ).astype(np.float32)


def pick(name: str, which: int = 0, seed: int = 0, strength: float = 0.4) -> Sprite:
    """A sprite of a name, in colours of its own."""
    return tinted(sprites_named(name)[which], np.random.default_rng(seed), strength)


def park() -> Scene:
    """Two dogs, a cat, a ball and a tree. One dog runs behind the tree and comes out again."""
    frames = 8 * RATE
    t = np.arange(frames)
    bounce = 0.88 - 0.28 * np.abs(np.sin(t * 0.09)) * np.exp(-t / 220)
    sprites = [pick("dog", 0, 1, 0.0), pick("tree", 0, 2), pick("dog", 1, 3), pick("cat", 0, 4), pick("ball", 0, 5)]
    poses = np.stack(
        [
            path(
                frames,
                (0.42, 0.46, 0.52, 0.62, 1.26, 1.36, 1.42, 1.46, 1.48),
                (0.47, 0.47, 0.45, 0.51, 0.58),
                (0.38, 0.36, 0.33, 0.36, 0.40),
                flip=-1,
            ),
            path(frames, 0.98, 0.45, 0.98, tilt=0.0, step=0.0),
            path(
                frames, (1.52, 1.40, 1.12, 0.84, 0.72), (0.76, 0.78, 0.79, 0.78, 0.77), (0.46, 0.47, 0.48, 0.47, 0.46)
            ),
            path(
                frames,
                (0.17, 0.21, 0.27, 0.24, 0.17),
                (0.76, 0.78, 0.77, 0.78, 0.76),
                (0.37, 0.37, 0.38, 0.38, 0.37),
                step=0.25,
            ),
            path(frames, (0.62, 0.80, 0.60, 0.46, 0.56), 0.5, 0.20, tilt=0, step=0),
        ],
        1,
    )
    poses[:, 4, 1], poses[:, 4, 3] = bounce, t * 5.0
    camera = np.column_stack([0.10 * np.sin(t * 0.02), 0.03 * np.sin(t * 0.035)]).astype(np.float32)
    return Scene(park_background(), sprites, poses, camera, ASPECT, 0.008)


def street() -> list[Scene]:
    """Ten seconds with a hard cut in the middle; in each half things enter and leave.

    The road is light, so that tyres, trousers and spokes stand out from it.
    """
    half = 5 * RATE
    t = np.arange(half)
    first = Scene(
        street_background((0.55, 0.75, 0.95), (0.80, 0.62, 0.48), (0.68, 0.66, 0.62), 11),
        [pick("bus", 0, 6), pick("person", 0, 7), pick("car", 0, 8), pick("bicycle", 0, 9)],
        np.stack(
            [
                path(half, (2.20, 1.70, 1.10, 0.50, -0.40), 0.62, 0.52, tilt=0.4, step=0.9),
                path(half, (0.30, 0.38, 0.46, 0.54, 0.62), 0.62, 0.42),
                path(half, (-0.30, 0.20, 0.80, 1.40, 2.10), 0.86, 0.40, flip=-1, tilt=0.3, step=0.9),
                path(half, (1.50, 1.42, 1.34, 1.26, 1.18), 0.76, 0.38, tilt=1.0),
            ],
            1,
        ),
        np.column_stack([0.04 * np.sin(t * 0.03), np.zeros(half)]).astype(np.float32),
        ASPECT,
        0.008,
    )
    second = Scene(
        street_background((0.93, 0.72, 0.55), (0.52, 0.56, 0.66), (0.64, 0.58, 0.56), 23),
        [pick("tractor", 0, 10), pick("truck", 0, 11), pick("balloon", 0, 12), pick("duck", 0, 13)],
        np.stack(
            [
                path(half, (0.35, 0.45, 0.60, 0.80, 1.00), 0.62, 0.44, flip=-1, tilt=0.8, step=0.9),
                path(half, (2.15, 1.70, 1.20, 0.75, 0.30), 0.80, 0.46, tilt=0.4, step=0.9),
                path(half, (1.30, 1.25, 1.32, 1.28, 1.34), (1.25, 0.80, 0.42, 0.12, -0.30), 0.30, tilt=4, step=0.1),
                path(half, (0.85, 0.75, 0.62, 0.45, 0.25), 0.88, 0.22, step=0.7),
            ],
            1,
        ),
        np.column_stack([0.05 * np.sin(t * 0.025), 0.01 * np.sin(t * 0.05)]).astype(np.float32),
        ASPECT,
        0.008,
    )
    return [first, second]


def desk(folder: Path) -> None:
    """A desk from above and in front, seven things on it: desk.png with desk.truth.jsonl."""
    poses = np.array([[[x, y, size, angle, 1, 1] for _, x, y, size, angle in DESK]], np.float32)
    sprites = [pick(name, 0, 40 + i) for i, (name, *_) in enumerate(DESK)]
    scene = Scene(desk_background(), sprites, poses, np.zeros((1, 2), np.float32), DESK_ASPECT, 0.006)
    image, owner, _ = draw(scene, 0, DESK_HEIGHT, DESK_WIDTH, np.random.default_rng(3))
    cv2.imwrite(str(folder / "desk.png"), image[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9])
    header = tracks_header("desk.png", (DESK_WIDTH, DESK_HEIGHT), [], {"truth": "scripts/demo_models/world/samples.py"})
    with TracksWriter(folder / "desk.truth.jsonl", header | {"frame_rate": "25/1", "time_base": "1/25"}) as truth:
        truth.write(truth_frame(0, owner, [name for name, *_ in DESK]))


@click.command(help=__doc__)
def main() -> None:
    SAMPLES.mkdir(exist_ok=True)
    write_scenes(SAMPLES, "park", [park()], tone=440)
    write_scenes(SAMPLES, "street", street(), tone=330)
    desk(SAMPLES)
    for file in sorted(SAMPLES.iterdir()):
        click.echo(f"{file.name}: {file.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
