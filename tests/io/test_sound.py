"""Sound that a container takes as it is, after encoding it again, or not at all."""

from fractions import Fraction

import av
import numpy as np
import pytest

from tests.support.clips import COUNT, picture
from vidseg.errors import OutputError
from vidseg.io import sound
from vidseg.io.clip import Clip
from vidseg.io.writer import VideoWriter

ONSET = 0.5  # s, where the tone begins in a clip of 1.6 s


def add_tone(out, stream, seconds=1.6, onset=ONSET):
    """Encode silence and then a tone into a sound stream of an open output."""
    rate, layout = stream.rate, stream.layout
    times = np.arange(int(seconds * rate)) / rate
    wave = np.where(times >= onset, 0.4 * np.sin(2 * np.pi * 440 * times), 0).astype(np.float32)
    for start in range(0, len(wave), 1024):
        part = np.repeat(wave[None, start : start + 1024], layout.nb_channels, axis=0)
        frame = av.AudioFrame.from_ndarray(part, format="fltp", layout=layout.name)
        frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
        out.mux(stream.encode(frame))
    out.mux(stream.encode(None))


def with_tone(path, codec, layout="stereo", rate=48000, **tone):
    """A clip of 1.6 s with a tone in its second and third part; sound in AVI has no name for its channel layout."""
    with av.open(str(path), "w") as out:
        video = out.add_stream("mpeg4", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        stream = out.add_stream(codec, rate=rate, layout=layout)
        for index in range(COUNT):
            frame = av.VideoFrame.from_ndarray(picture(index), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        add_tone(out, stream, **tone)
    return str(path)


def copy(source, target, start=None):
    with Clip(source) as clip, VideoWriter(target, clip.info, source) as writer:
        for frame in clip.frames(start):
            writer.write(frame.image, frame.pts)
    return writer


def heard(path):
    """(codec, channels, s when the tone begins, s when the sound ends) of a video."""
    begins, ends = None, 0.0
    with av.open(str(path)) as result:
        stream = result.streams.audio[0]
        for frame in result.decode(stream):
            ends = frame.time + frame.samples / frame.sample_rate
            samples = frame.to_ndarray()
            wave = samples[0] if frame.format.is_planar else samples.reshape(-1, stream.layout.nb_channels)[:, 0]
            zero, one = {"u1": (128, 128), "i2": (0, 2**15), "i4": (0, 2**31), "f4": (0, 1)}[wave.dtype.str[1:]]
            loud = np.flatnonzero(np.abs(wave.astype(float) - zero) > 0.1 * one)
            if begins is None and len(loud):
                begins = frame.time + float(loud[0]) / frame.sample_rate
        return stream.codec_context.name, stream.layout.nb_channels, begins, ends


SOURCES = {
    "without a layout": ("a.avi", {"codec": "pcm_s16le"}),
    "mono without a layout, an odd rate": ("a.avi", {"codec": "pcm_u8", "layout": "mono", "rate": 11025}),
    "six channels without a layout": ("a.avi", {"codec": "pcm_s16le", "layout": "5.1"}),
    "adpcm": ("a.avi", {"codec": "adpcm_ms", "rate": 22050}),
    "tta": ("a.mkv", {"codec": "tta"}),
    "four channels, a high rate": ("a.mkv", {"codec": "flac", "layout": "quad", "rate": 192000}),
    "aac": ("a.mp4", {"codec": "aac", "rate": 44100}),
    "surround": ("a.mkv", {"codec": "ac3", "layout": "5.1(side)"}),
    "opus": ("a.mkv", {"codec": "libopus"}),
}
KEPT = {  # what a container takes as it is
    ".mp4": {"four channels, a high rate", "aac", "surround", "opus"},
    ".mov": {
        "without a layout",
        "mono without a layout, an odd rate",
        "six channels without a layout",
        "aac",
        "surround",
    },
    ".mkv": set(SOURCES) - {"adpcm"},
    ".webm": {"opus"},
}


@pytest.mark.parametrize("suffix", KEPT)
@pytest.mark.parametrize("kind", SOURCES)
def test_sound_gets_into_every_container(tmp_path, kind, suffix):
    name, how = SOURCES[kind]
    source, target = with_tone(tmp_path / name, **how), tmp_path / f"out{suffix}"
    assert copy(source, target).note is None
    codec, channels, begins, ends = heard(target)
    kept = how["codec"].removeprefix("lib")
    assert codec == (kept if kind in KEPT[suffix] else "opus" if suffix == ".webm" else "aac")
    assert channels == {"mono": 1, "quad": 4}.get(how.get("layout"), 6 if "5.1" in how.get("layout", "") else 2)
    first = Clip(source).first_time
    assert begins == pytest.approx(ONSET - first, abs=0.01) and ends == pytest.approx(1.6, abs=0.1)
    assert sum(1 for _ in Clip(target).frames()) == COUNT


@pytest.mark.parametrize("suffix", KEPT)
@pytest.mark.parametrize("kind", ["without a layout", "adpcm", "aac", "opus"])
def test_sound_stays_in_step_when_starting_late(tmp_path, kind, suffix):
    name, how = SOURCES[kind]
    source, target = with_tone(tmp_path / name, **how), tmp_path / f"out{suffix}"
    copy(source, target, start=0.2)
    first = next(Clip(source).frames(start=0.2)).time
    assert heard(target)[2] == pytest.approx(ONSET - first, abs=0.01)


@pytest.mark.parametrize("suffix, codec", [(".mp4", "ac3"), (".mov", "eac3"), (".webm", "aac"), (".mkv", "aac")])
def test_a_sound_that_ends_before_the_picture_begins(tmp_path, suffix, codec):
    source = with_tone(tmp_path / "a.mkv", codec, seconds=0.4, onset=0.1)
    copy(source, tmp_path / f"out{suffix}", start=0.8)
    assert sum(1 for _ in Clip(tmp_path / f"out{suffix}").frames()) == COUNT // 2


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".webm"])
@pytest.mark.parametrize("codec, code", [("tta", b"A_TTA1"), ("ac3", b"A_AC3"), ("aac", b"A_AAC")])
def test_sound_without_a_decoder_is_left_out_with_a_note(tmp_path, codec, code, suffix):
    source = tmp_path / "a.mkv"
    with_tone(source, codec)
    source.write_bytes(source.read_bytes().replace(code, b"A_" + b"Z" * (len(code) - 2)))
    writer = copy(source, tmp_path / f"out{suffix}")
    assert writer.note == f"{writer.path} is without sound: its codec does not fit into {suffix}; try .mkv"
    result = Clip(tmp_path / f"out{suffix}")
    assert not result.info.has_audio and sum(1 for _ in result.frames()) == COUNT


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm"])
def test_sound_that_fails_on_the_way_does_not_cost_the_picture(tmp_path, monkeypatch, suffix):
    source = with_tone(tmp_path / "a.mkv", "libopus")
    copied = sound.copied

    def failing(*given):
        for number, packet in enumerate(copied(*given)):
            if number == 60:  # after the trial's second
                raise ValueError("no more")
            yield packet

    monkeypatch.setattr(sound, "copied", failing)
    writer = copy(source, tmp_path / f"out{suffix}")
    assert "without sound: after 1.2 s it cannot be written (no more)" in (writer.note or "")
    assert sum(1 for _ in Clip(tmp_path / f"out{suffix}").frames()) == COUNT


def test_a_full_disk_is_no_failure_of_the_sound(tmp_path, monkeypatch):
    source = with_tone(tmp_path / "a.mkv", "libopus")
    works = sound.SoundPlan.works

    def full(self, until):
        raise OSError(28, "No space left on device")

    def tried(plan):
        with monkeypatch.context() as patch:
            patch.setattr(sound.SoundWriter, "write", lambda *_: None)
            return works(plan)

    monkeypatch.setattr(sound.SoundPlan, "works", tried)
    monkeypatch.setattr(sound.SoundWriter, "write", full)
    with pytest.raises(OutputError, match="no space left"):
        copy(source, tmp_path / "out.mp4")
    assert not (tmp_path / "out.mp4").exists()
