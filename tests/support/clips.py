"""Small clips made by code. Each frame shows its own number as brightness, so that a test can name it."""

from fractions import Fraction

import av
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


def make_clip(
    path,
    pts=CONSTANT,
    base=Fraction(1, 12800),
    codec="libx264",
    options=None,
    pixels="yuv420p",
    size=(64, 48),
    rotation=None,
    audio=None,
    container=None,
    paint=picture,
):
    """Write a clip with one frame for each of `pts`, and sound all along it if `audio` names a codec."""
    if options is None:
        options = {"g": "12", "bf": "3", "crf": "4"} if codec == "libx264" else {}
    with av.open(str(path), "w", options=container or {}) as out:
        video = out.add_stream(codec, rate=25, options=options)
        video.width, video.height, video.pix_fmt = *size, pixels
        video.codec_context.time_base = base
        if rotation:
            video.set_display_rotation(rotation)
        sound = out.add_stream(audio, rate=48000, layout="mono") if audio else None
        for index, tick in enumerate(pts):
            frame = av.VideoFrame.from_ndarray(paint(index, *size), format="rgb24")
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
        samples = {"u8": wave * 90 + 128, "s32p": wave * 2e8, "fltp": wave * 0.3}[name]
        samples = samples.astype({"u8": np.uint8, "s32p": np.int32, "fltp": np.float32}[name])
        frame = av.AudioFrame.from_ndarray(samples[None], format=name, layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
        out.mux(stream.encode(frame))
    out.mux(stream.encode(None))


def sound_packets(path):
    """[(time in s, bytes)] of the first sound stream."""
    with av.open(str(path)) as source:
        return [(float(p.pts * p.time_base), bytes(p)) for p in source.demux(audio=0) if p.size]
