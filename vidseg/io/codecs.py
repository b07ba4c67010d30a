"""The encoders that videos are written with. Importing this module costs nothing."""

from __future__ import annotations

from dataclasses import dataclass

VIDEO_FORMATS = {".mp4": "mp4", ".mkv": "matroska", ".mov": "mov", ".webm": "webm"}


@dataclass(frozen=True)
class Codec:
    """An encoder of FFmpeg and its settings.

    Attributes:
        encoder: FFmpeg's name for it.
        suffixes: of the files it may be written into.
        pixels: pixel format.
        crf: the usual quality, the lower the better, which looks like the source; None if there is no such setting.
        worst: the greatest crf.
        options: presets that keep up with decoding on a small machine: they cost size and not quality.
        tag: its name in MP4 and MOV, where players want another than FFmpeg's.
        fastest: frames/s, the highest rate that the encoder may be told; None if there is no bound.
    """

    encoder: str
    suffixes: tuple[str, ...]
    pixels: str
    crf: int | None
    worst: int
    options: tuple[tuple[str, str], ...]
    tag: str | None = None
    fastest: int | None = None


FAST_VP9 = (("b", "0"), ("deadline", "realtime"), ("cpu-used", "6"), ("row-mt", "1"))
CODECS = {  # the first that goes into a file is the usual one
    "h264": Codec("libx264", (".mp4", ".mkv", ".mov"), "yuv420p", 18, 51, (("preset", "veryfast"),)),
    # Without B-frames: else x265 gives wild timestamps to clips of one or two frames, and MP4 refuses them
    "h265": Codec(
        "libx265",
        (".mp4", ".mkv", ".mov"),
        "yuv420p",
        20,
        51,
        (("preset", "veryfast"), ("x265-params", "log-level=error:bframes=0")),
        "hvc1",
    ),
    "vp9": Codec("libvpx-vp9", (".webm", ".mp4", ".mkv"), "yuv420p", 24, 63, FAST_VP9),
    "av1": Codec("libsvtav1", (".webm", ".mp4", ".mkv"), "yuv420p", 28, 63, (("preset", "9"),), fastest=240),
}
WITH_ALPHA = {
    ".mov": Codec(
        "prores_ks", (".mov",), "yuva444p10le", None, 0, (("profile", "4444"), ("alpha_bits", "16"), ("vendor", "apl0"))
    ),
    ".webm": Codec("libvpx-vp9", (".webm",), "yuva420p", 24, 63, (*FAST_VP9, ("auto-alt-ref", "0"))),
}


def codecs_of(suffix: str) -> list[str]:
    """Names of the codecs that go into files with that suffix (.mp4, …), the usual one first."""
    return [name for name, codec in CODECS.items() if suffix in codec.suffixes]


def codec_for(suffix: str, name: str | None = None) -> Codec:
    """Look up the codec for a file with that suffix (.mp4, …).

    Args:
        suffix: of VIDEO_FORMATS.
        name: of CODECS; None: the usual one.

    Raises:
        ValueError: if they do not go together.
    """
    codec = CODECS[name or codecs_of(suffix)[0]]
    if suffix not in codec.suffixes:
        raise ValueError(f"{name} does not go into {suffix} files; choose {' or '.join(codec.suffixes)}")
    return codec
