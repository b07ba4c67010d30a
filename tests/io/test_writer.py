"""Times that are hard on encoders: a last frame that is shown for long, and frames that come fast."""

from fractions import Fraction

import av
import numpy as np
import pytest

from tests.support.clips import add_sound, number_of, picture
from vidseg.io.clip import Clip
from vidseg.io.codecs import CODECS, WITH_ALPHA
from vidseg.io.reader import ClipInfo
from vidseg.io.writer import VideoWriter

TICK = Fraction(1, 12800)
STEP = 512  # ticks, a frame at 25 frames/s
HELD = 3.0  # s that the last frame is shown


def held_clip(path, codec="libx264", count=20, b_frames=0, key_at_the_end=True, silent=False):
    """A clip at 25 frames/s whose last frame is shown for three seconds, as long as the sound."""
    with av.open(str(path), "w") as out:
        if path.suffix == ".webm":
            codec = "libvpx-vp9"
        options = {"bf": str(b_frames)} if codec == "libx264" else {"b": "2M"}
        video = out.add_stream(codec, rate=25, options=options)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        video.codec_context.time_base = TICK
        sound = None if silent else out.add_stream("libopus" if path.suffix == ".webm" else "aac", rate=48000)
        if sound:
            sound.layout = "mono"
        packets = []
        for index in range(count):
            frame = av.VideoFrame.from_ndarray(picture(index), format="rgb24")
            frame.pts, frame.time_base = index * STEP, TICK
            if key_at_the_end and index == count - 1:
                frame.pict_type = 1
            packets += video.encode(frame)
        packets += video.encode(None)
        end = (count - 1) * STEP + round(HELD / TICK)
        for packet in packets:
            # Of a B-frame that is stored after the last one, as MP4 wants it
            last = packet is packets[-1] or packet.pts == (count - 1) * STEP
            packet.duration = end - packet.pts if last else STEP
        out.mux(packets)
        if sound:
            add_sound(out, sound, float(end * TICK))
    return path


def copy(source, target, end=None, **how):
    with Clip(source) as clip, VideoWriter(target, clip.info, source if clip.info.has_audio else None, **how) as writer:
        for frame in clip.frames(end=end):
            writer.write(frame.image, frame.pts, frame.duration)
    assert writer.note is None


def ends(path):
    """Seconds at which the pictures and the sound of a video end, as decoding shows it."""
    with av.open(str(path)) as result:
        found = []
        for stream in result.streams:
            result.seek(0)
            frames = list(result.decode(stream))
            size = frames[-1].samples if stream.type == "audio" else 0
            lasts = size / stream.rate if size else float(frames[-1].duration * frames[-1].time_base)
            told = float((stream.duration or 0) * stream.time_base)  # FFmpeg drops the last frame's of VP9 in MP4
            found.append(max(frames[-1].time + lasts, told))
        return found


SOURCES = {
    "mp4": ("a.mp4", {}),
    "mp4, b-frames": ("a.mp4", {"count": 19, "b_frames": 3}),
    "mp4, a b-frame stored last": ("a.mp4", {"count": 19, "b_frames": 3, "key_at_the_end": False}),
    "mov": ("a.mov", {}),
    "mkv, b-frames": ("a.mkv", {"count": 19, "b_frames": 3}),
    "mkv, a b-frame stored last": ("a.mkv", {"count": 19, "b_frames": 3, "key_at_the_end": False}),
    "webm": ("a.webm", {}),
    "vp9 in mp4": ("a.mp4", {"codec": "libvpx-vp9"}),
}


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm"])
@pytest.mark.parametrize("kind", SOURCES)
def test_a_held_last_frame_and_its_sound_keep_their_length(tmp_path, kind, suffix):
    name, how = SOURCES[kind]
    source = held_clip(tmp_path / name, **how)
    count = how.get("count", 20)
    wanted = (count - 1) / 25 + HELD
    assert list(Clip(source).frames())[-1].duration == pytest.approx(HELD, abs=0.002)
    target = tmp_path / f"out{suffix}"
    copy(source, target)
    assert ends(target) == pytest.approx([wanted, wanted], abs=0.04)
    with av.open(str(target)) as result:
        assert result.duration / 1e6 == pytest.approx(wanted, abs=0.04)
        stream = result.streams.video[0]
        assert suffix in (".mkv", ".webm") or float(stream.duration * stream.time_base) == pytest.approx(
            wanted, abs=0.04
        )
    frames = list(Clip(target).frames())
    assert [number_of(frame.image) for frame in frames] == pytest.approx(list(range(count)), abs=1)


@pytest.mark.parametrize("suffix, codec", [(s, name) for name, codec in CODECS.items() for s in codec.suffixes])
def test_every_encoder_holds_the_last_frame(tmp_path, suffix, codec):
    source = held_clip(tmp_path / "a.mkv", silent=True)
    copy(source, tmp_path / f"out{suffix}", codec=CODECS[codec])
    assert ends(tmp_path / f"out{suffix}") == pytest.approx([19 / 25 + HELD], abs=0.002)


@pytest.mark.parametrize("suffix", WITH_ALPHA)
def test_a_held_cutout(tmp_path, suffix):
    info = Clip(held_clip(tmp_path / "a.mkv", silent=True)).info
    with VideoWriter(tmp_path / f"out{suffix}", info, codec=WITH_ALPHA[suffix]) as writer:
        for index in range(5):
            writer.write(np.full((48, 64, 4), index * 20, np.uint8), index * 40, HELD if index == 4 else 0.04)
    assert ends(tmp_path / f"out{suffix}") == pytest.approx([4 / 25 + HELD], abs=0.002)


@pytest.mark.parametrize("end, wanted", [(0.2, 0.2), (0.5, 0.5), (2.0, 2.0), (3.5, 3.5), (9, 19 / 25 + HELD)])
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.webm"])
def test_a_range_that_ends_while_a_frame_is_held(tmp_path, name, end, wanted):
    copy(held_clip(tmp_path / name), tmp_path / "out.mp4", end=end)
    assert ends(tmp_path / "out.mp4") == pytest.approx([wanted, wanted], abs=0.041)


@pytest.mark.parametrize("name, base", [("a.mp4", TICK), ("a.mkv", Fraction(1, 1000)), ("a.gif", Fraction(1, 100))])
def test_frames_say_how_long_they_are_shown(tmp_path, name, base):
    starts = [0, 4, 10, 11, 61, 65]  # hundredths of a second
    with av.open(str(tmp_path / name), "w") as out:
        gif = name.endswith("gif")
        video = out.add_stream("gif" if gif else "libx264", rate=25, options={} if gif else {"bf": "2"})
        video.width, video.height, video.pix_fmt = 64, 48, "gray" if gif else "yuv420p"
        video.codec_context.time_base = base
        for index, start in enumerate(starts):
            frame = av.VideoFrame.from_ndarray(picture(index), format="rgb24")
            frame.pts, frame.time_base = round(start / (100 * base)), base
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
    clip = Clip(tmp_path / name)
    frames = list(clip.frames())
    assert [f.duration for f in frames][:-1] == pytest.approx([0.04, 0.06, 0.01, 0.5, 0.04], abs=0.002)
    assert (frames[-1].duration or 0) > 0
    assert [f.duration for f in clip.frames(end=0.3)] == pytest.approx([0.04, 0.06, 0.01, 0.19], abs=0.002)


@pytest.mark.parametrize("suffix, codec", [(s, name) for name, codec in CODECS.items() for s in codec.suffixes])
@pytest.mark.parametrize(
    "rate, base",
    [
        (241, Fraction(1, 241)),
        (300, Fraction(1, 300)),
        (1000, Fraction(1, 1000)),
        (10_000, Fraction(1, 10_000)),
        (12_800, Fraction(1, 1000)),  # what FFmpeg thinks of some files; frames come one a tick
    ],
)
def test_high_frame_rates(tmp_path, suffix, codec, rate, base):
    target = tmp_path / f"out{suffix}"
    info = ClipInfo("made", 64, 64, Fraction(rate), base, 20, None, False)
    with VideoWriter(target, info, codec=CODECS[codec]) as writer:
        for index in range(20):
            writer.write(picture(index, 64, 64), index)
    frames = list(Clip(target).frames())
    tick = 0.001 if suffix in (".mkv", ".webm") else 0.0001
    if base >= Fraction(1, 1000):  # Matroska counts in ms, and frames may not share one
        assert [f.time for f in frames] == pytest.approx([index * float(base) for index in range(20)], abs=tick)
    assert [number_of(f.image) for f in frames] == pytest.approx(list(range(20)), abs=1)
