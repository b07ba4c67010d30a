"""Small clips made by code. Each frame shows its own number as brightness, so that a test can name it."""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import cv2
import numpy as np

COUNT = 40
CONSTANT = [i * 512 for i in range(COUNT)]  # 25 frames/s in ticks of 1/12800 s
VARIABLE = np.cumsum([0] + [(300, 512, 1400, 700)[i % 4] for i in range(COUNT - 1)]).tolist()


def picture(index, width=64, height=48):
    """H×W×3 uint8: grey of brightness 40 + 4·index, with a red mark in the upper left corner."""
    image = np.full((height, width, 3), 40 + 4 * index, np.uint8)
    image[: height // 3, : width // 3] = (250, 20, 20)
    return image


def number_of(image):
    """The index that `picture` was given, read from the middle of a decoded frame."""
    height, width = image.shape[:2]
    middle = image[height * 2 // 5 : height * 3 // 5, width * 2 // 5 : width * 3 // 5]
    return round((float(middle.mean()) - 40) / 4)


def noise(index, width=160, height=120):
    return np.random.default_rng(index).integers(0, 255, (height, width, 3), np.uint8)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How `make_clip` makes a clip; `audio` names a codec."""

    codec: str = "libx264"
    options: dict[str, str] | None = None
    pixels: str = "yuv420p"
    size: tuple[int, int] = (64, 48)
    rotation: int | None = None
    audio: str | None = None
    container: dict[str, str] | None = None
    paint: Callable[..., np.ndarray] = picture


def make_clip(path, pts=CONSTANT, base=Fraction(1, 12800), **how):
    """Write a clip with one frame for each of `pts`, and sound all along it if there is any. how: see Recipe."""
    recipe = Recipe(**how)
    options = recipe.options
    if options is None:
        options = {"g": "12", "bf": "3", "crf": "4"} if recipe.codec == "libx264" else {}
    with av.open(str(path), "w", options=recipe.container or {}) as out:
        video: Any = out.add_stream(recipe.codec, rate=25, options=options)
        video.width, video.height, video.pix_fmt = *recipe.size, recipe.pixels
        video.codec_context.time_base = base
        if recipe.rotation:
            video.set_display_rotation(recipe.rotation)
        sound = out.add_stream(recipe.audio, rate=48000, layout="mono") if recipe.audio else None
        for index, tick in enumerate(pts):
            frame = av.VideoFrame.from_ndarray(recipe.paint(index, *recipe.size), format="rgb24")
            frame.pts, frame.time_base = tick, base
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        if sound:
            add_sound(out, sound, float((pts[-1] + pts[1] - pts[0]) * base))
    return str(path)


def make_sound(path, codec="aac", seconds=1.0):
    with av.open(str(path), "w") as out:
        add_sound(out, out.add_stream(codec, rate=48000, layout="mono"), seconds)
    return str(path)


def add_sound(out, stream, seconds):
    """Encode a mono tone into a sound stream of an open output."""
    size, rate = 1024, 48000
    for start in range(0, int(seconds * rate), size):
        wave = np.sin(np.arange(start, start + size) ** 1.3 / 900)
        name = stream.codec_context.format.name
        samples = {"u8": wave * 90 + 128, "s16": wave * 9000, "s32p": wave * 2e8, "fltp": wave * 0.3}[name]
        samples = samples.astype({"u8": np.uint8, "s16": np.int16, "s32p": np.int32, "fltp": np.float32}[name])
        frame = av.AudioFrame.from_ndarray(samples[None], format=name, layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
        out.mux(stream.encode(frame))
    out.mux(stream.encode(None))


def sound_packets(path):
    """[(time in s, bytes)] of the first sound stream."""
    with av.open(str(path)) as source:
        return [(float(p.pts * p.time_base), bytes(p)) for p in source.demux(audio=0) if p.size]


def read_png(path):
    """H×W×3 RGB, or H×W×4 RGBA, as it is stored."""
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert image is not None
    return cv2.cvtColor(image, cv2.COLOR_BGRA2RGBA if image.shape[2] == 4 else cv2.COLOR_BGR2RGB)
