"""Files whose clock begins anew, wraps or is negative: time goes on, for picture and sound alike."""

import itertools
from fractions import Fraction
from types import SimpleNamespace

import pytest

from tests.support.clips import number_of, record, sound_packets
from vidseg.io.clip import Clip
from vidseg.io.timestamps import Clock
from vidseg.io.writer import VideoWriter

WRAP = 2**33 / 90000  # s after which the clock of MPEG-TS begins at 0


def joined(folder, recordings, suffix=".ts", **how):
    """One file of several recordings, and the frame at which each starts."""
    parts = [record(folder / f"{i}{suffix}", start=start, **how) for i, start in enumerate(recordings)]
    path = folder / f"joined{suffix}"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path, parts


def overlay(path, target):
    with Clip(path) as clip, VideoWriter(target, clip.info, path if clip.info.has_audio else None) as writer:
        for frame in clip.frames():
            writer.write(frame.image, frame.pts)
    return target


@pytest.mark.parametrize("suffix", [".ts", ".mpg"])
@pytest.mark.parametrize("sound", [0, 2])
@pytest.mark.parametrize(
    "starts",
    [(0, 0), (100, 0, 50), (10, 3600), (0, 0, 0, 0), (WRAP - 3, 50), (7200, 7190)],
    ids=["anew", "three", "an hour later", "four", "after the wrap", "a little earlier"],
)
def test_recordings_that_were_joined_are_one_clip(tmp_path, suffix, sound, starts):
    path, _ = joined(tmp_path, starts, suffix, sound=sound)
    clip, count = Clip(path), 50 * len(starts)
    frames = list(clip.frames())
    assert [number_of(frame.image) for frame in frames] == pytest.approx([*range(50)] * len(starts), abs=1)
    assert [f.time - clip.first_time for f in frames] == pytest.approx([i / 25 for i in range(count)], abs=0.002)
    assert clip.info.duration == pytest.approx(count / 25, abs=0.05) and clip.warning is None
    assert clip.info.frame_count == pytest.approx(count, abs=1)
    part = list(clip.frames(2.2, 2.6))
    assert [(f.index, f.pts) for f in part] == [(f.index, f.pts) for f in frames[55:65]]
    back = clip.backwards(frames[60], start=1.8)
    assert [(f.index, f.pts) for f in back] == [(f.index, f.pts) for f in frames[45:60]][::-1]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("lag", [0, 0.06, -0.06])
@pytest.mark.parametrize("starts", [(10, 10), (10, 3600), (100, 5, 50)])
def test_sound_goes_on_with_the_pictures(tmp_path, starts, lag, suffix):
    """Each packet is as far from the pictures of its recording as it was."""
    parts = [record(tmp_path / f"{i}.ts", start, sound=2, sound_start=start + lag) for i, start in enumerate(starts)]
    path = tmp_path / "joined.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    target = overlay(path, tmp_path / f"out{suffix}")
    after = sound_packets(target)
    due = {}
    for number, part in enumerate(parts):
        first = Clip(part).first_time
        for time, data in sound_packets(part):  # in MPEG-TS, each has a header of 7 bytes
            due.setdefault(data[7:], []).append(time - first + 2 * number)
    for time, data in after:
        assert min(abs(time - expected) for expected in due[data]) < 0.002
    gaps = [b - a for (a, _), (b, _) in itertools.pairwise(after)]
    assert max(gaps) < 1024 / 48000 + abs(lag) + 0.03 and min(gaps) > 0
    assert after[-1][0] == pytest.approx(2 * len(starts), abs=0.1)
    with Clip(target) as result:
        assert result.info.duration == pytest.approx(2 * len(starts), abs=0.04)


@pytest.mark.parametrize("start", [WRAP - 1, WRAP - 0.04, WRAP - 30])
@pytest.mark.parametrize("suffix", [".ts", ".mpg"])
def test_a_clock_that_wraps_is_no_damage(tmp_path, start, suffix):
    clip = Clip(record(tmp_path / f"a{suffix}", start, sound=2))
    frames = list(clip.frames())
    assert [f.time - clip.first_time for f in frames] == pytest.approx([i / 25 for i in range(50)], abs=0.002)
    assert clip.first_time < 0 and clip.warning is None  # FFmpeg counts from the wrap
    assert clip.info.duration == pytest.approx(2, abs=0.05) and clip.info.frame_count == pytest.approx(50, abs=1)
    after = sound_packets(overlay(clip.path, tmp_path / "out.mp4"))
    assert after[-1][0] == pytest.approx(2, abs=0.1) and abs(after[0][0]) < 0.1


@pytest.mark.parametrize("options", [{"bf": "3", "g": "12"}, {"bf": "2", "x264-params": "open-gop=1:keyint=8"}])
def test_recordings_with_b_frames(tmp_path, options):
    path, _ = joined(tmp_path, (0, 0, 500), options=options)
    frames = list(Clip(path).frames())
    assert [number_of(frame.image) for frame in frames] == pytest.approx([*range(50)] * 3, abs=1)
    assert [f.time - frames[0].time for f in frames] == pytest.approx([i / 25 for i in range(150)], abs=0.002)


def test_a_picture_held_for_long_is_no_new_recording(tmp_path):
    """Sound goes on meanwhile, or pictures come that slowly all along."""
    held = [*range(25), *range(25 + 600, 50 + 600)]
    path = record(tmp_path / "a.ts", sound=26, times=held)
    clip = Clip(path)
    assert [f.time - clip.first_time for f in clip.frames()] == pytest.approx([i / 25 for i in held], abs=0.002)
    slow = [i * 500 for i in range(8)]
    clip = Clip(record(tmp_path / "b.ts", times=slow, options={"g": "1"}))
    assert [f.time - clip.first_time for f in list(clip.frames())][2:] == pytest.approx(
        [i / 25 for i in slow[2:]], abs=0.002
    )


@pytest.mark.parametrize("wrong", [10, 21, 36])
@pytest.mark.parametrize("by", [-7, -0.5, 40])
def test_one_wrong_timestamp_moves_nothing_else(wrong, by):
    video = SimpleNamespace(index=0, time_base=Fraction(1, 90000))
    source = SimpleNamespace(format=SimpleNamespace(name="mpegts"), streams=SimpleNamespace(audio=[]))
    clock, moved = Clock(source, video), []
    for number in range(50):
        time = 3600 * number + (round(by * 90000) if number == wrong else 0)
        packet = SimpleNamespace(
            stream=video, time_base=video.time_base, pts=time, dts=time, duration=3600, pos=number, is_keyframe=False
        )
        clock.move(packet)
        moved.append(packet.pts)
    assert moved == [3600 * number for number in range(50)]


def test_other_files_keep_their_times(tmp_path):
    """Variable rates, gaps and all."""
    times = [0, 1, 5, 6, 300, 301, 900]
    for suffix in (".mp4", ".mkv", ".webm"):
        clip = Clip(record(tmp_path / f"a{suffix}", times=times))
        assert [f.time for f in clip.frames()] == pytest.approx([float(Fraction(t, 25)) for t in times], abs=0.001)
