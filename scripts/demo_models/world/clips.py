"""Whole clips of the made-up world with their ground truth: what the samples and the scores are made of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

import av
import numpy as np
import supervision as sv

from scripts.demo_models.world.backgrounds import background
from scripts.demo_models.world.motion import glide, sway
from scripts.demo_models.world.scene import Scene, draw
from scripts.demo_models.world.sprites import NAMED, sprites_named, tinted
from vidseg.tracks.file import TracksWriter
from vidseg.tracks.frame import TrackedFrame

RATE = 24  # frames/s
SOUND_RATE, BLOCK = 32000, 1024  # samples a second, and in a packet


def tracks_header(
    clip: str, size: tuple[int, int], prompts: Sequence[str], models: dict[str, Any], vidseg: str = "0.1.0"
) -> dict[str, Any]:
    """The header of the tracks file of a made clip of size width, height."""
    return {
        "clip": clip,
        "width": size[0],
        "height": size[1],
        "frame_rate": f"{RATE}/1",
        "time_base": f"1/{RATE}",
        "prompts": list(prompts),
        "models": models,
        "vidseg": vidseg,
    }


def truth_frame(index: int, owner: np.ndarray, names: Sequence[str], ids: Sequence[int] | None = None) -> TrackedFrame:
    """Ground truth of one frame: sprite i of the scene is object `ids[i]` (i + 1 by default), visible pixels only."""
    height, width = owner.shape
    shown = [i for i in range(len(names)) if (owner == i + 1).any()]
    masks = np.array([owner == i + 1 for i in shown], bool).reshape(-1, height, width)
    spans = [(np.flatnonzero(m.any(0)), np.flatnonzero(m.any(1))) for m in masks]
    found = sv.Detections(
        xyxy=np.array([(x[0], y[0], x[-1] + 1, y[-1] + 1) for x, y in spans], np.float32).reshape(-1, 4),
        mask=masks,
        confidence=np.ones(len(shown), np.float32),
        tracker_id=np.array([ids[i] if ids else i + 1 for i in shown], int),
        data={"class_name": np.array([names[i] for i in shown], dtype=str)},
    )
    return TrackedFrame(index, index / RATE, None, found)


def write_clip(path: Path, pictures: Iterable[np.ndarray], tone: float | None = None) -> None:
    """Encode pictures ([H, W, 3] uint8 RGB each) as H.264, with a sine of `tone` Hz as sound."""
    pictures = iter(pictures)
    first = next(pictures)
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=RATE, options={"crf": "19", "preset": "slow"})
        video.height, video.width, video.pix_fmt = first.shape[0], first.shape[1], "yuv420p"
        sound = container.add_stream("aac", rate=SOUND_RATE, layout="mono") if tone else None
        count = 0
        for picture in chain([first], pictures):
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            count += 1
        container.mux(video.encode())
        if sound and tone:
            for block in sine(tone, count):
                container.mux(sound.encode(block))
            container.mux(sound.encode())


def sine(tone: float, frames: int) -> Iterator[av.AudioFrame]:
    """A sine of `tone` Hz, as long as so many frames of video."""
    samples = np.sin(2 * np.pi * tone * np.arange(SOUND_RATE * frames // RATE) / SOUND_RATE) * 0.1
    for start in range(0, len(samples) - BLOCK, BLOCK):
        values = samples[None, start : start + BLOCK].astype(np.float32)
        block = av.AudioFrame.from_ndarray(values, format="fltp", layout="mono")
        block.sample_rate, block.pts, block.time_base = SOUND_RATE, start, Fraction(1, SOUND_RATE)
        yield block


def write_scenes(
    folder: Path, stem: str, scenes: Sequence[Scene], height: int = 360, width: int = 640, tone: float | None = None
) -> tuple[Path, Path]:
    """Write scenes one after the other (a hard cut between them). Returns `<stem>.mp4` and `<stem>.truth.jsonl`."""
    rng = np.random.default_rng(0)
    clip, truth = folder / f"{stem}.mp4", folder / f"{stem}.truth.jsonl"
    header = tracks_header(clip.name, (width, height), [], {"truth": "scripts/demo_models/world/samples.py"})
    with TracksWriter(truth, header) as tracks:

        def pictures() -> Iterator[np.ndarray]:
            index, ids = 0, 0
            for scene in scenes:
                for t in range(len(scene.poses)):
                    picture, owner, _ = draw(scene, t, height, width, rng)
                    numbers = [ids + i + 1 for i in range(len(scene.sprites))]
                    tracks.write(truth_frame(index, owner, [s.name for s in scene.sprites], numbers))
                    index += 1
                    yield picture
                ids += len(scene.sprites)

        write_clip(clip, pictures(), tone)
    return clip, truth


def random_scene(seed: int, objects: int = 4, frames: int = 48) -> Scene:
    """A scene that moves as `park.mp4` does: four different things on smooth paths that cross, a drifting camera."""
    rng = np.random.default_rng([seed, 77])
    aspect = 16 / 9
    names = rng.choice(list(NAMED), objects, replace=False)
    sprites = [tinted(rng.choice(np.array(sprites_named(name), object)), rng) for name in names]
    for _ in range(1000):
        poses = np.stack(
            [glide(rng, frames, aspect, rng.uniform(0.002, 0.014), (0.22, 0.42)) for _ in range(objects)], 1
        )
        start = poses[0, :, :2]
        gaps = np.linalg.norm(start[:, None] - start[None], axis=-1) + 9 * np.eye(objects)
        inside = (start > [0.18, 0.18]).all() and (start < [aspect - 0.18, 0.82]).all()
        if inside and gaps.min() > 0.33:  # on the first frame everything can be seen
            break
    scene = Scene(background(rng, aspect, 360), sprites, poses, sway(rng, frames, 0.06), aspect, 0.01)
    scene.poses[..., :2] += scene.camera[0]  # the camera starts where the paths are
    return scene
