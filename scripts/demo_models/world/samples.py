"""Make `samples/`: park.mp4, street.mp4 and desk.png, each with its ground truth as a tracks file.

They show the made-up world of the demo models. Backgrounds are painted here and seeds are their own, so no frame of
them is like one that the models were trained on.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from scripts.demo_models.world.clips import RATE, truth_frame, write_scenes
from scripts.demo_models.world.sprites import MARGIN, Scene, cloud, draw, sprites_named, tinted
from vidseg.tracks.file import TracksWriter

FOLDER = Path(__file__).resolve().parents[3] / "samples"
HEIGHT, WIDTH = 360, 640
ASPECT = WIDTH / HEIGHT
DENSITY = 360  # background pixels a world unit


def canvas(aspect: float = ASPECT) -> np.ndarray:
    return np.zeros((round(DENSITY * (1 + 2 * MARGIN)), round(DENSITY * (aspect + 2 * MARGIN)), 3), np.float32)


def at(x: float, y: float) -> tuple[int, int]:
    """World coordinates as pixels of the background."""
    return round((x + MARGIN) * DENSITY), round((y + MARGIN) * DENSITY)


def band(picture: np.ndarray, top: float, bottom: float, above, below) -> None:
    """A horizontal stripe of the world that fades from one colour to another."""
    rows = slice(at(0, top)[1], at(0, bottom)[1])
    ramp = np.linspace(0, 1, picture[rows].shape[0], dtype=np.float32)[:, None, None]
    picture[rows] = np.float32(above) * (1 - ramp) + np.float32(below) * ramp


def grain(picture: np.ndarray, rows: slice, seed: int, cells: int, strength: float) -> None:
    part = picture[rows]
    part += (cloud(np.random.default_rng(seed), part.shape[0], part.shape[1], cells)[..., None] - 0.5) * strength


def park_background() -> np.ndarray:
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


def street_background(sky, wall, road, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    picture = canvas()
    band(picture, -MARGIN, 0.56, sky, np.float32(sky) * 0.4 + 0.6)
    left = -MARGIN
    while left < ASPECT + MARGIN:  # a row of houses with windows
        width, height = rng.uniform(0.22, 0.42), rng.uniform(0.25, 0.55)
        colour = np.clip(np.float32(wall) * rng.uniform(0.75, 1.15), 0, 1)
        cv2.rectangle(picture, at(left, 0.55 - height), at(left + width - 0.01, 0.55), colour.tolist(), -1)
        for x in np.arange(left + 0.04, left + width - 0.06, 0.075):
            for y in np.arange(0.55 - height + 0.05, 0.48, 0.1):
                cv2.rectangle(
                    picture, at(x, y), at(x + 0.04, y + 0.055), (np.float32(sky) * rng.uniform(0.5, 1)).tolist(), -1
                )
        left += width
    band(picture, 0.55, 0.63, (0.72, 0.71, 0.69), (0.66, 0.65, 0.63))
    band(picture, 0.63, 1 + MARGIN, np.float32(road) * 1.15, road)
    for x in np.arange(-MARGIN, ASPECT + MARGIN, 0.22):
        cv2.rectangle(picture, at(x, 0.80), at(x + 0.11, 0.815), (0.93, 0.92, 0.86), -1)
    grain(picture, slice(None), seed + 1, 110, 0.06)
    return np.clip(cv2.GaussianBlur(picture, (0, 0), 0.8), 0, 1)


def path(
    frames: int,
    xs,
    ys,
    sizes,
    flip: float = 1,
    tilt: float = 2.0,
    step: float = 0.5,
    start: int = 0,
    stop: int | None = None,
) -> np.ndarray:
    """Poses [frames, 6] through points given at even times, with the sway of something that walks."""
    t = np.arange(frames)
    through = lambda values: (
        np.interp(t, np.linspace(0, frames - 1, len(values)), values) if np.ndim(values) else np.full(frames, values)
    )
    smooth = lambda values: cv2.GaussianBlur(
        values[None].astype(np.float32), (0, 0), 4, borderType=cv2.BORDER_REPLICATE
    )[0]
    shown = ((t >= start) & (t < (stop or frames))).astype(np.float32)
    bob = 0.006 * np.abs(np.sin(t * step))
    return np.column_stack(
        [
            smooth(through(xs)),
            smooth(through(ys)) - bob,
            smooth(through(sizes)),
            tilt * np.sin(t * step),
            np.full(frames, flip),
            shown,
        ]
    ).astype(np.float32)


def pick(name: str, which: int = 0, seed: int = 0, strength: float = 0.4):
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
                path(half, (0.85, 0.75, 0.62, 0.45, 0.25), 0.88, 0.22, step=0.7, start=0),
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
    height, width = 640, 960
    picture = canvas(1.5)
    band(picture, -MARGIN, 0.45, (0.86, 0.87, 0.83), (0.78, 0.80, 0.77))
    band(picture, 0.45, 1 + MARGIN, (0.70, 0.50, 0.32), (0.56, 0.38, 0.23))
    wood = slice(at(0, 0.45)[1], None)
    part = picture[wood]
    part += (
        cv2.resize(cloud(np.random.default_rng(31), part.shape[0], 40, 40), (part.shape[1], part.shape[0]))[..., None]
        * 0.12
        - 0.06
    )
    cv2.rectangle(picture, at(0.95, 0.02), at(1.38, 0.34), (0.95, 0.95, 0.92), -1)
    cv2.rectangle(picture, at(0.97, 0.04), at(1.36, 0.32), (0.62, 0.76, 0.84), -1)
    things = [
        ("laptop", 0.66, 0.47, 0.46),
        ("lamp", 0.22, 0.34, 0.30),
        ("cup", 1.06, 0.62, 0.22),
        ("book", 0.28, 0.76, 0.30),
        ("phone", 0.62, 0.83, 0.22),
        ("clock", 1.30, 0.50, 0.24),
        ("scissors", 1.18, 0.85, 0.22),
    ]
    poses = np.array(
        [[[x, y, size, (-6, 3, 0, -9, 12, 2, 20)[i], 1, 1] for i, (_, x, y, size) in enumerate(things)]], np.float32
    )
    scene = Scene(
        np.clip(picture, 0, 1),
        [pick(name, 0, 40 + i) for i, (name, *_) in enumerate(things)],
        poses,
        np.zeros((1, 2), np.float32),
        1.5,
        0.006,
    )
    image, owner, _ = draw(scene, 0, height, width, np.random.default_rng(3))
    cv2.imwrite(str(folder / "desk.png"), image[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9])
    header = {
        "clip": "desk.png",
        "width": width,
        "height": height,
        "frame_rate": "25/1",
        "time_base": "1/25",
        "prompts": [],
        "models": {"truth": "scripts/demo_models/world/samples.py"},
        "vidseg": "0.1.0",
    }
    with TracksWriter(folder / "desk.truth.jsonl", header) as truth:
        truth.write(truth_frame(0, owner, [name for name, *_ in things]))


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    write_scenes(FOLDER, "park", [park()], HEIGHT, WIDTH, tone=440)
    write_scenes(FOLDER, "street", street(), HEIGHT, WIDTH, tone=330)
    desk(FOLDER)
    for file in sorted(FOLDER.iterdir()):
        print(f"{file.name}: {file.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
