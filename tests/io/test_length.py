"""How long pictures last: by themselves, whatever the clock says at their start and however long the sound is."""

from typing import Any

import av
import pytest

from tests.support.clips import noise, record
from vidseg.io.clip import Clip
from vidseg.io.length import announced

COUNT = 50


def check(path, seconds):
    """Everything is read without a warning, and lasts so long."""
    clip = Clip(path)
    frames = list(clip.frames())
    assert len(frames) == COUNT and clip.warning is None
    assert frames[-1].time - clip.first_time == pytest.approx(1.96, abs=0.002)
    assert clip.info.duration == pytest.approx(seconds, abs=0.06)
    return clip


@pytest.mark.parametrize("suffix", [".mkv", ".webm", ".avi", ".flv", ".wmv", ".mp4", ".mov"])
@pytest.mark.parametrize("hold", [0.2, 0.6, 30.0])
def test_a_last_frame_that_is_held_is_no_damage(tmp_path, suffix, hold):
    check(record(tmp_path / f"a{suffix}", hold=hold), 1.96 + hold)


@pytest.mark.parametrize("suffix", [".mkv", ".webm", ".flv", ".ts", ".mpg", ".mp4"])
@pytest.mark.parametrize("sound", [3.0, 7.0])
def test_sound_may_outlast_the_pictures(tmp_path, suffix, sound):
    clip = check(record(tmp_path / f"a{suffix}", sound=sound), 2)
    assert clip.info.has_audio and clip.info.frame_count == pytest.approx(COUNT, abs=1)


@pytest.mark.parametrize("suffix", [".mkv", ".webm", ".flv", ".ts", ".mpg", ".mp4", ".nut", ".wmv"])
@pytest.mark.parametrize("start", [0.4, 100.0, 7200.0])
def test_length_counts_from_the_first_frame(tmp_path, suffix, start):
    clip = check(record(tmp_path / f"a{suffix}", start), 2)
    assert clip.info.frame_count == pytest.approx(COUNT, abs=1)
    assert [frame.index for frame in clip.frames(1, 1.2)] == [25, 26, 27, 28, 29]


@pytest.mark.parametrize("suffix", [".mkv", ".webm", ".ts", ".mpg", ".flv"])
def test_sound_may_begin_long_before_the_pictures(tmp_path, suffix):
    clip = check(record(tmp_path / f"a{suffix}", start=60, sound=62, sound_start=0), 2)
    assert clip.info.frame_count == pytest.approx(COUNT, abs=2)


@pytest.mark.parametrize("suffix", [".mkv", ".webm"])
@pytest.mark.parametrize("start, hold, sound", [(0, 0, 0), (7200, 0, 0), (0, 0.5, 0), (0, 0, 5)])
def test_what_is_cut_off_is_still_damage(tmp_path, suffix, start, hold, sound):
    path = record(tmp_path / f"a{suffix}", start, hold, sound, paint=noise)
    with av.open(str(path)) as whole:
        place = [packet.pos for packet in whole.demux(video=0) if packet.size][30]
    path.write_bytes(path.read_bytes()[:place])
    clip = Clip(path)
    assert 25 < len(list(clip.frames())) <= 31
    assert "is damaged after frame" in (clip.warning or "")


@pytest.mark.parametrize("first", [0, 90])
def test_a_length_of_mkvmerge_is_none_of_ffmpeg(tmp_path, first):
    """One says how long a stream is, the other when it ends; both by the same tag."""

    class Stream:
        metadata = {"DURATION": "00:01:40.500000000", "_STATISTICS_TAGS": "BPS DURATION"}
        container: Any = type("Container", (), {"metadata": {"encoder": "libebml v1.4.5 + libmatroska v1.7.1"}})

    assert announced(Stream(), first) == 100.5
    Stream.container.metadata = {"ENCODER": "Lavf62.12.102"}
    assert announced(Stream(), first) == 100.5 - first
    assert announced(Stream(), 200) == 100.5  # no end can lie before the start
