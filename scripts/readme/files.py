"""The files that the README's commands name, made of the samples."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from fractions import Fraction
from itertools import chain, cycle, islice
from pathlib import Path

import av
import cv2
import numpy as np
import torch
from safetensors.torch import load_file

from scripts.common import PARK, SAMPLES
from vidseg.io.images import read_image
from vidseg.presets import PACKAGE

FRAMES = 52  # of a clip: one command prompts frame 48
CORRECTIONS = [
    {"frame": 0, "id": 1, "label": "dog", "box": [91, 104, 208, 235]},
    {"frame": 24, "id": 1, "points": [[150, 170]]},
]


def make_files(folder: Path, command: str) -> None:
    """Make what a command names in a folder. A command that asks for a late moment gets a clip that is long enough.

    Args:
        folder: where the command will run; it is made.
        command: the command.
    """
    folder.mkdir(parents=True)
    late = "--keyframe 480" in command or "--start 1:30" in command
    write_clip(folder / "clip.mp4", 500 if late else FRAMES, rate=5 if late else 24)
    for name in ("clip.tracks.jsonl", "clip.truth.jsonl"):
        if name in command:
            write_truth(folder / name)
    if "clip.mkv" in command:
        write_clip(folder / "clip.mkv", FRAMES)
    if "long.mp4" in command:
        write_clip(folder / "long.mp4", 2 * FRAMES)
    if "clips/" in command:
        (folder / "clips").mkdir()
        for name in ("a.mp4", "b.mp4"):
            write_clip(folder / "clips" / name, 12)
    if "frames/" in command:
        (folder / "frames").mkdir()
        for number, picture in enumerate(islice(park(), 12)):
            cv2.imwrite(str(folder / "frames" / f"{number}.jpg"), picture[..., ::-1])
    if "photo" in command:
        (folder / "photos").mkdir()
        desk = cv2.cvtColor(read_image(SAMPLES / "desk.png"), cv2.COLOR_RGB2BGR)
        for name in ("photo.jpg", "photos/one.jpg", "photos/two.png"):
            cv2.imwrite(str(folder / name), desk)
    if "corrections.json" in command:
        prompts = {"format": "vidseg-prompts", "version": 1, "prompts": CORRECTIONS}
        (folder / "corrections.json").write_text(json.dumps(prompts))
    if "finetuned.pt" in command:
        demo = PACKAGE / "demo"
        torch.save({"model": load_file(demo / "sam/model.safetensors")}, folder / "finetuned.pt")
        shutil.copy(demo / "sam/config.yaml", folder / "finetuned.yaml")
        shutil.copytree(demo / "detector", folder / "my-grounding-dino")


def park() -> Iterator[np.ndarray]:
    """The frames of the park sample, H×W×3 uint8 RGB."""
    with av.open(str(PARK)) as container:
        for frame in container.decode(video=0):
            yield frame.to_ndarray(format="rgb24")


def write_clip(path: Path, count: int, rate: int = 24) -> None:
    """A clip of the park's first frames, there and back again as often as it takes."""
    first = list(islice(park(), min(count, FRAMES)))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(rate))
        stream.height, stream.width, _ = first[0].shape
        stream.pix_fmt = "yuv420p"
        for picture in islice(cycle(chain(first, reversed(first))), count):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())


def write_truth(path: Path) -> None:
    """The true masks of the park's first frames, as a tracks file of clip.mp4."""
    header, *lines = (SAMPLES / "park.truth.jsonl").read_text().splitlines()[: FRAMES + 1]
    path.write_text("\n".join([json.dumps(json.loads(header) | {"clip": "clip.mp4"}), *lines]) + "\n")
