"""Whatever people feed it: small files of many kinds, each read, written again, and read again by PyAV alone."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import accumulate
from typing import Any, NamedTuple

import av
import numpy as np
import pytest

from tests.support.clips import add_sound, number_of, picture
from vidseg.io.clip import Clip
from vidseg.io.scheduling import usual_scheduling
from vidseg.io.writer import VideoWriter

MS = Fraction(1, 1000)
N = 10
EVEN = [i * 512 for i in range(N)]  # 25 frames/s in ticks of 1/12800 s
EVERY_40 = [40 * i for i in range(N)]  # the same in ms
FILM = {"pts": list(range(N)), "base": Fraction(1, 25)}  # for codecs that want a frame rate
UNEVEN = list(accumulate([0] + [(300, 512, 1400, 700)[i % 4] for i in range(N - 1)]))
X264 = {"crf": "2", "bf": "2", "g": "6"}
MPEG = {"qmin": "1", "qmax": "1", "g": "6"}


def hlg(x):
    """Light (0–1) of an HLG signal (0–1), from ITU-R BT.2100."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(x <= 0.5, x**2 / 3, (np.exp((x - c) / a) + b) / 12)


def pq(nits):
    """PQ signal (0–1) of light, from ITU-R BT.2100."""
    y = (nits / 10000) ** (2610 / 16384)
    return ((3424 / 4096 + 2413 / 128 * y) / (1 + 2392 / 128 * y)) ** (2523 / 32)


def as_pq(image):
    """The picture whose PQ signal is shown on a 1000 nit screen as HLG shows the given one; for greys."""
    return np.round(65535 * pq(1000 * hlg(image / 255) ** 1.2)).astype(np.uint16)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How `store` writes a clip."""

    codec: str = "libx264"
    pixels: str = "yuv420p"
    pts: list[int] = field(default_factory=lambda: EVEN)
    base: Fraction = Fraction(1, 12800)
    size: tuple[int, int] = (64, 48)
    options: dict[str, str] | None = None
    container: dict[str, str] | None = None
    form: str | None = None
    matrix: tuple[int, bool] | None = None  # colorspace, full range
    light: tuple[int, int] | None = None  # primaries, transfer curve
    sounds: int = 0
    subtitles: bool = False
    context: dict[str, Any] | None = None  # attributes of the encoder
    setup: Callable[[Any], object] | None = None
    paint: Callable[..., np.ndarray] = picture
    layout: str = "rgb24"


def store(path, **given):
    """Write a clip. given: see Recipe."""
    how = Recipe(**given)
    options = how.options
    if options is None:
        options = X264 if how.codec == "libx264" else {}
    with av.open(str(path), "w", format=how.form, options=how.container or {}) as out:
        # Some before and some after the picture
        tones = [out.add_stream("aac", rate=48000, layout="mono") for _ in range(how.sounds // 2)]
        video: Any = out.add_stream(how.codec, rate=25, options=options)
        tones += [out.add_stream("aac", rate=48000, layout="mono") for _ in range(how.sounds - len(tones))]
        video.width, video.height, video.pix_fmt = *how.size, how.pixels
        encoder = video.codec_context
        encoder.time_base = how.base
        if how.matrix:
            encoder.colorspace, encoder.color_range = how.matrix[0], 2 if how.matrix[1] else 1
        if how.light:
            encoder.color_primaries, encoder.color_trc = how.light
        for name, value in (how.context or {}).items():
            setattr(encoder, name, value)
        if how.setup:
            how.setup(video)
        with usual_scheduling():  # what a browser in another test inherits, else
            encoder.open(strict=False)
        text = out.add_mux_stream("mov_text" if str(path).endswith(".mp4") else "subrip") if how.subtitles else None
        for index, tick in enumerate(how.pts):
            frame = av.VideoFrame.from_ndarray(how.paint(index, *how.size), format=how.layout)
            if how.matrix:
                space, full = how.matrix
                frame = frame.reformat(format=how.pixels, dst_colorspace=space, dst_color_range=2 if full else 1)
            if how.light:
                frame.color_primaries, frame.color_trc = how.light
            frame.pts, frame.time_base = tick, how.base
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        for tone in tones:
            add_sound(out, tone, 0.4)
        if text:
            packet = av.Packet(b"\x00\x05hello" if str(path).endswith(".mp4") else b"hello")
            packet.stream, packet.pts, packet.dts, packet.duration, packet.time_base = text, 0, 0, 200, MS
            out.mux(packet)


def see_through(index, width, height):
    """`picture` as RGBA, where the lower right corner cannot be seen and would be green."""
    image = np.dstack([picture(index, width, height), np.full((height, width), 255, np.uint8)])
    image[height * 2 // 3 :, width * 2 // 3 :] = (0, 255, 0, 0)
    return image


def animate(path):
    from PIL import Image

    first, *rest = [Image.fromarray(see_through(i, 64, 48)) for i in range(N)]
    first.save(path, save_all=True, append_images=rest, duration=[20 * (1 + i % 4) for i in range(N)], lossless=True)


def pictures(path):
    import cv2

    path.mkdir()
    for index in range(N):
        cv2.imwrite(str(path / f"{index}.png"), picture(index)[..., ::-1])


def two_sizes(path):
    """A raw stream in which the size changes midway."""
    with open(path, "wb") as out:
        for start, size in ((0, (64, 48)), (5, (96, 72))):
            part = path.with_suffix(".part")
            store(
                part,
                pts=EVEN[:5],
                size=size,
                form="h264",
                options={"crf": "2", "bf": "0"},
                paint=lambda i, w, h, s=start: picture(i + s, w, h),
            )
            out.write(part.read_bytes())


def mirrored(video):
    video.set_display_matrix((-65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30))


class Case(NamedTuple):
    file: str
    make: Callable
    times: list[float] = [i / 25 for i in range(N)]  # s, from the first frame
    start: float | None = 0.0  # s, of the first frame; None: whatever the format makes of it
    shown: tuple[int, int] = (64, 48)  # its size as it is displayed
    mark: tuple[int, int] = (0, 0)  # row and column of the corner with the mark
    red: tuple[int, int, int] | None = (250, 20, 20)  # of the mark; None if it is another
    aspect: Fraction = Fraction(1)  # of a pixel
    clear: bool = False  # the lower right corner is transparent
    near: int = 0  # how far a frame's number may be off, where the codec is coarse


def case(file, codec="libx264", make=None, **given):
    """A case made by `store`: fields of Case say what is expected, all others are for the Recipe."""
    expected = {name: given.pop(name) for name in Case._fields if name in given}
    pts, base = given.get("pts", EVEN), given.get("base", Fraction(1, 12800))
    expected.setdefault("times", [float((tick - pts[0]) * base) for tick in pts])
    expected.setdefault("shown", given.get("size", (64, 48)))
    return Case(file, make or (lambda path: store(path, codec=codec, **given)), **expected)


def turned(degrees) -> dict[str, Any]:
    return {"setup": lambda video: video.set_display_rotation(degrees)}


RAW = [i / 25 for i in range(N)]
os.environ.setdefault("SVT_LOG", "1")  # read once a process: other tests check that encoders do not talk
CASES = {
    "constant rate": case("a.mp4"),
    "variable rate": case("a.mp4", pts=UNEVEN),
    "variable rate, mkv": case("a.mkv", pts=[0, 20, 90, 110, 300, 333, 334, 400, 500, 1500], base=MS),
    "turned by 90": case("a.mp4", shown=(48, 64), mark=(1, 0), **turned(90)),
    "turned by 180": case("a.mp4", mark=(1, 1), **turned(180)),
    "turned by 270": case("a.mp4", shown=(48, 64), mark=(0, 1), **turned(270)),
    "mirrored": case("a.mp4", mark=(0, 1), setup=mirrored),
    "wide pixels": case("a.mp4", aspect=Fraction(4, 3), context={"sample_aspect_ratio": Fraction(4, 3)}),
    "wide pixels, turned": case(
        "a.mp4",
        shown=(48, 64),
        mark=(1, 0),
        aspect=Fraction(3, 4),
        context={"sample_aspect_ratio": Fraction(4, 3)},
        **turned(90),
    ),
    "HEVC, 10 bit": case(
        "a.mkv", "libx265", pixels="yuv420p10le", pts=EVERY_40, base=MS, options={"x265-params": "log-level=none:crf=4"}
    ),
    "VP9, odd size": case("a.webm", "libvpx-vp9", size=(65, 47), pts=EVERY_40, base=MS, options={"crf": "4", "b": "0"}),
    "VP9, transparent": case(
        "a.webm",
        "libvpx-vp9",
        pixels="yuva420p",
        pts=EVERY_40,
        base=MS,
        clear=True,
        paint=see_through,
        layout="rgba",
        options={"crf": "4", "b": "0", "auto-alt-ref": "0"},
    ),
    "VP8, transparent": case(
        "a.webm",
        "libvpx",
        pixels="yuva420p",
        pts=EVERY_40,
        base=MS,
        clear=True,
        paint=see_through,
        layout="rgba",
        options={"crf": "4", "b": "2M", "auto-alt-ref": "0"},
    ),
    "AV1": case("a.mp4", "libsvtav1", size=(64, 64), options={"crf": "4", "preset": "10"}, near=1),
    "AV1, 10 bit": case(
        "a.webm",
        "libsvtav1",
        pixels="yuv420p10le",
        size=(64, 64),
        pts=EVERY_40,
        base=MS,
        options={"crf": "4", "preset": "10"},
        near=1,
    ),
    "ProRes 422": case("a.mov", "prores_ks", pixels="yuv422p10le", options={"profile": "3"}),
    "ProRes 4444, transparent": case(
        "a.mov",
        "prores_ks",
        pixels="yuva444p10le",
        options={"profile": "4"},
        clear=True,
        paint=see_through,
        layout="rgba",
    ),
    "PQ": case(
        "a.mkv",
        "libx265",
        pixels="yuv420p10le",
        pts=EVERY_40,
        base=MS,
        matrix=(9, False),
        light=(9, 16),
        red=None,
        layout="rgb48le",
        options={"x265-params": "log-level=none:lossless=1"},
        paint=lambda *a: as_pq(picture(*a)),
    ),
    "HLG": case(
        "a.mkv",
        "libx265",
        pixels="yuv420p10le",
        pts=EVERY_40,
        base=MS,
        matrix=(9, False),
        light=(9, 18),
        red=None,
        options={"x265-params": "log-level=none:lossless=1"},
    ),
    "BT.601, limited range": case("a.mp4", matrix=(5, False), light=(1, 1)),
    "BT.601, full range": case("a.mp4", matrix=(5, True), light=(1, 1)),
    "BT.709, limited range": case("a.mp4", matrix=(1, False), light=(1, 1)),
    "BT.709, full range": case("a.mp4", matrix=(1, True), light=(1, 1)),
    "RGB": case("a.mkv", "libx264rgb", pixels="rgb24", pts=EVERY_40, base=MS),
    "grey": case("a.mkv", "ffv1", pixels="gray", pts=EVERY_40, base=MS, red=None),
    "grey, 16 bit": case("a.mkv", "ffv1", pixels="gray16le", pts=EVERY_40, base=MS, red=None),
    "4:4:4, odd size": case("a.mp4", pixels="yuv444p", size=(65, 47)),
    "interlaced H.264": case("a.mp4", options=X264 | {"x264-params": "tff=1"}),
    "interlaced MPEG-2": case("a.mpg", "mpeg2video", start=None, **FILM, options=MPEG | {"flags": "+ildct+ilme"}),
    "sounds, subtitles": case("a.mp4", sounds=2, subtitles=True),
    "sounds, subtitles, mkv": case("a.mkv", pts=EVERY_40, base=MS, sounds=3, subtitles=True),
    "starts late": case("a.mp4", pts=[64000 + tick for tick in UNEVEN], start=5.0),
    "starts before 0": case("a.mkv", pts=[40 * i - 120 for i in range(N)], base=MS, start=None),
    "open GOP, B-frames": case(
        "a.mov",
        pts=UNEVEN,
        options={"crf": "2", "x264-params": "open-gop=1:keyint=4:min-keyint=4:bframes=3:b-adapt=0:scenecut=0"},
    ),
    "fragmented": case("a.mp4", start=None, pts=UNEVEN, container={"movflags": "frag_keyframe+empty_moov"}),
    "one frame": case("a.mp4", pts=[0]),
    "raw H.264": case("a.h264", times=RAW, start=None, form="h264"),
    "live Matroska": case("a.mkv", pts=EVERY_40, base=MS, container={"live": "1"}),
    "live WebM": case(
        "a.webm", "libvpx-vp9", pts=EVERY_40, base=MS, container={"live": "1"}, options={"crf": "4", "b": "0"}
    ),
    "MPEG-TS": case("a.ts", start=None),
    "M2TS": case("a.m2ts", start=None),
    "MPEG-PS": case("a.mpg", "mpeg1video", start=None, **FILM, options=MPEG, near=1),
    "AVI": case("a.avi", "mpeg4", **FILM, options=MPEG | {"bf": "0"}),
    "AVI, B-frames": case("a.avi", "mpeg4", **FILM, start=None, options=MPEG | {"bf": "2"}),
    "MJPEG": case("a.mjpeg", "mjpeg", pixels="yuvj420p", times=RAW, options={"qmin": "1", "qmax": "1"}),
    "MJPEG, AVI": case("a.avi", "mjpeg", pixels="yuvj422p", **FILM, options={"qmin": "1", "qmax": "1"}),
    "FLV": case("a.flv", "flv1", pts=EVERY_40, base=MS, options=MPEG),
    "WMV": case("a.wmv", "wmv2", pts=EVERY_40, base=MS, options=MPEG, near=1),
    "Y4M": case("a.y4m", "wrapped_avframe", **FILM),
    "GIF": case("a.gif", "gif", pixels="gray", pts=[4 * i for i in range(N)], base=Fraction(1, 100), red=None),
    "APNG": case("a.apng", "apng", pixels="rgba", clear=True, paint=see_through, layout="rgba", **FILM),
    "animated PNG": case(
        "a.png", make=animate, times=[0.0, *accumulate(0.02 * (1 + i % 4) for i in range(N - 1))], clear=True
    ),
    "animated WebP": case(
        "a.webp", make=animate, times=[0.0, *accumulate(0.02 * (1 + i % 4) for i in range(N - 1))], clear=True
    ),
    "folder of images": case("a", make=pictures, times=RAW),
    "size changes": case("a.h264", make=two_sizes, times=RAW, start=None, near=1),
}
if not hasattr(av.VideoStream, "set_display_matrix"):
    CASES = {name: it for name, it in CASES.items() if "turned" not in name and name != "mirrored"}
if int(av.__version__.split(".")[0]) < 18:  # HDR is refused then: see test_picture.py
    CASES = {name: it for name, it in CASES.items() if name not in ("PQ", "HLG")}


@pytest.mark.parametrize("name", CASES)
def test_read_and_written(tmp_path, name):
    wanted = CASES[name]
    path = tmp_path / wanted.file
    wanted.make(path)
    with Clip(path) as clip:
        frames = list(clip.frames())
    info, tick = clip.info, float(clip.info.time_base)
    # every frame once, in order, at its time
    assert [f.index for f in frames] == list(range(len(wanted.times)))
    assert [number_of(f.image) for f in frames] == pytest.approx(list(range(len(wanted.times))), abs=wanted.near)
    assert [f.time - clip.first_time for f in frames] == pytest.approx(wanted.times, abs=tick)
    assert wanted.start is None or clip.first_time == pytest.approx(wanted.start, abs=tick)
    assert all(f.time == float(f.pts * info.time_base) for f in frames) and clip.warning is None
    # upright, in its colours
    assert (info.width, info.height) == wanted.shown and info.pixel_aspect == wanted.aspect
    for frame in frames:
        assert frame.image.shape == (info.height, info.width, 3) and frame.image.dtype == np.uint8
        corners = frame.image[3 :: info.height - 7, 3 :: info.width - 7].astype(int)
        redness = corners[..., 0] - corners[..., 2]
        if wanted.red:
            assert [tuple(c) for c in np.argwhere(redness > 100)] == [wanted.mark]
            assert np.abs(corners[wanted.mark] - wanted.red).max() <= 12
        if wanted.clear:
            assert corners[1, 1].min() >= 250
    # the result plays
    target = tmp_path / "out.mkv" if info.time_base == MS else tmp_path / "out.mp4"
    with VideoWriter(target, info, path if info.has_audio else None) as writer:
        for frame in frames:
            writer.write(frame.image, frame.pts)
    with av.open(str(target)) as result:
        stream = result.streams.video[0]
        written = list(result.decode(stream))
        tick = max(tick, float(stream.time_base))
        assert len(result.streams.audio) == info.has_audio
        assert (stream.sample_aspect_ratio or 1) == info.pixel_aspect
    assert len(written) == len(frames)
    assert [f.time - written[0].time for f in written] == pytest.approx(
        [f.time - frames[0].time for f in frames], abs=tick * 1.01
    )
    assert [number_of(f.to_ndarray(format="rgb24")) for f in written] == pytest.approx(
        [number_of(f.image) for f in frames], abs=1
    )
