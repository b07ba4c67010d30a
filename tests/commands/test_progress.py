"""What is shown while a command works."""

from __future__ import annotations

import logging
import time
from types import SimpleNamespace

import click
import pytest
from click.testing import CliRunner

from vidseg.commands import progress
from vidseg.commands.console import console_options, numbered
from vidseg.commands.progress import RateMeter, Sample, counter, details, status


def steady(rate: float, seconds: float):
    """(time, done) every fifth of a second."""
    return [(i / 5, int(i / 5 * rate) + 1) for i in range(int(seconds * 5) + 1)]


def bursts(size: int, pause: float, seconds: float):
    """So many items at once, then a pause."""
    return [(i / 5, size * (1 + int(i / 5 / pause))) for i in range(int(seconds * 5) + 1)]


@pytest.mark.parametrize(
    ("samples", "rate"),
    [
        (steady(2, 30), 2),
        (steady(25, 30), 25),
        (steady(0.05, 100), 0.05),
        (bursts(4, 2, 30), 2),
        (bursts(48, 2, 30), 24),
        ([*steady(100, 20), *((20 + t, 2001 + int(2 * t)) for t in range(1, 21))], 2),  # slow since ten seconds
        ([(t, 0) for t in range(60)] + [(60 + t, 1 + 3 * t) for t in range(20)], 3),  # a minute of loading
    ],
    ids=["steady", "fast", "slower than the window", "bursts", "large bursts", "slows down", "loads first"],
)
def test_rate_is_that_of_the_last_ten_seconds(samples, rate):
    meter = RateMeter()
    for now, done in samples:
        meter.update(now, done)
    assert meter.rate == pytest.approx(rate, rel=0.25)


@pytest.mark.parametrize("samples", [[], [(5, 0)], [(5, 0), (6, 1)], [(1, 7), (2, 7)]], ids=str)
def test_no_rate_before_there_is_something_to_tell_it_from(samples):
    meter = RateMeter()
    for now, done in samples:
        meter.update(now, done)
    assert meter.rate is None


def test_rate_falls_when_the_work_stands_still():
    meter = RateMeter()
    for now, done in steady(10, 10):
        meter.update(now, done)
    meter.update(110, 101)
    assert meter.rate is not None and meter.rate < 0.1


@pytest.mark.parametrize(
    ("sample", "rate", "text"),
    [
        (Sample(done=10, total=100), 2.0, "2.0 frames/s, 0:00:45 left"),
        (Sample(done=10, total=20010, note="3 in view"), 2.0, "2.0 frames/s, 2:46:40 left, 3 in view"),
        (Sample(done=10, total=None, note="3 in view"), 0.054, "0.054 frames/s, 3 in view"),
        (Sample(done=10, total=10), 64.9, "64.9 frames/s"),
        (Sample(done=0, total=10, note="looking for a keyframe: 7"), None, "looking for a keyframe: 7"),
        (Sample(done=0, total=None), None, ""),
    ],
)
def test_details(sample, rate, text):
    assert details(sample, rate, "frames") == text


class Run:
    """A run over a clip whose frames come out in bursts, after a time without any."""

    def __init__(self, path: str):
        self.clip, self.status, self.frames_done = SimpleNamespace(path=path), "", 0

    def __iter__(self):
        for burst in range(3):
            for _ in range(4):
                self.frames_done += 1
                time.sleep(0.02)
            logging.getLogger("vidseg.test").info("burst %d", burst)
            for _ in range(4):
                yield SimpleNamespace(detections=[None] * burst)


@click.command()
@console_options
def follow() -> None:
    """Follow objects through three clips."""
    for run in numbered([Run("in/cat.mp4"), Run("rtsp://me:secret@host/door"), Run("[bold] x.mp4")]):
        assert len(list(progress.progress(run, 12))) == 12
    with counter("Drawing a.mp4", "frames") as show:
        for done in range(6):
            show(done, 6)
            time.sleep(0.02)
    with status("Loading [small]"):
        time.sleep(0.1)


@pytest.fixture
def at_once(monkeypatch):
    """Without waiting ten seconds."""
    monkeypatch.setattr(progress, "POLL", 0.01)
    monkeypatch.setattr(progress, "PLAIN_INTERVAL", 0.01)


def test_plain_lines_without_a_terminal(at_once):
    done = CliRunner().invoke(follow)
    assert done.exit_code == 0 and done.stdout == "", done.output
    lines = done.stderr.splitlines()
    for name in ("cat.mp4 (1 of 3)", "door (2 of 3)", "[bold] x.mp4 (3 of 3)"):
        assert any(line.startswith(f"Tracking {name}: ") and " of 12 frames" in line for line in lines), done.stderr
    assert any(line.startswith("Drawing a.mp4: ") for line in lines)
    assert any(line.startswith("Loading [small]: ") for line in lines)
    assert "secret" not in done.stderr and "\x1b" not in done.stderr


def test_plain_lines_count_what_is_tracked_and_not_what_is_handed_out(at_once):
    done = CliRunner().invoke(follow)
    counts = [int(line.split(": ")[1].split()[0]) for line in done.stderr.splitlines() if "cat.mp4" in line]
    assert counts == sorted(counts) and set(counts) - {0, 4, 8, 12}


def test_a_bar_on_a_terminal(at_once, monkeypatch):
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("COLUMNS", "150")
    done = CliRunner().invoke(follow)
    assert done.exit_code == 0 and done.stdout == "", done.output
    for text in ("cat.mp4 (1 of 3)", "[bold] x.mp4 (3 of 3)", "12/12", "frames/s", "2 in view", "Loading [small]"):
        assert text in done.stderr


def test_verbose_lines_do_not_run_into_the_bar(at_once, monkeypatch):
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    done = CliRunner().invoke(follow, ["--verbose"])
    for burst in range(3):
        assert done.stderr.count(f"\x1b[2Kburst {burst}\n") == 3  # where the bar was erased


@pytest.mark.parametrize("terminal", ["0", "1"])
def test_quiet_shows_nothing(at_once, monkeypatch, terminal):
    monkeypatch.setenv("TTY_COMPATIBLE", terminal)
    done = CliRunner().invoke(follow, ["--quiet"])
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "")


def test_short_work_shows_nothing_without_a_terminal():
    done = CliRunner().invoke(follow)
    assert (done.exit_code, done.output) == (0, "")
