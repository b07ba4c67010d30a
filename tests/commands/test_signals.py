"""Signals to `vidseg track` in a process of its own: what is final is kept, and nothing else is left behind."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import termios
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp

import pytest

import vidseg
from tests.support.clips import make_clip, noise
from tests.support.processes import Forked
from vidseg.io.clip import Clip

ROOT = Path(__file__).parents[2]
FRAMES = 400
DEMO = ("--model", "demo", "--device", "cpu")
SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
# They have one handler, and the numbers are told apart where the run is interrupted: one of them holds the others.
ONE_FAST = [signal.SIGTERM, *(pytest.param(one, marks=pytest.mark.slow) for one in (signal.SIGINT, signal.SIGHUP))]
OTHER_OUTPUTS = [
    pytest.param(options, lines, marks=pytest.mark.slow)
    for options, lines in ((("--no-video",), 1), (("--output", "results"), 20))
]
ANEW = "import sys; from tests.support.processes import run; run(sys.argv[2:], sys.argv[1])"
BOTH = ["dog.mp4", "dog.tracked.mp4", "dog.tracks.jsonl"]


@pytest.fixture(scope="module", autouse=True)
def clip(tmp_path_factory):
    """A long one of small frames, on which an object is pointed at: frames come out from the start."""
    started.clip = make_clip(tmp_path_factory.mktemp("clip") / "dog.mp4", [512 * i for i in range(FRAMES)], paint=noise)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@contextmanager
def started(folder: Path, *options: str, first: str = "", **how):
    """`vidseg track dog.mp4` in a folder, in a process of its own.

    Args:
        folder: gets the clip.
        options: of the command.
        first: Python that the process runs before, if it is forked.
        how: for `subprocess.Popen`. If there is any the process is not forked, but imports everything itself.
    """
    shutil.copy(started.clip, folder / "dog.mp4")
    command = ["track", "dog.mp4", "--box", "5,5,40,40", *DEMO, *options]
    if how:
        assert not first
        process = subprocess.Popen([sys.executable, "-c", ANEW, folder, *command], cwd=ROOT, text=True, **how)
    else:
        process = Forked(command, folder, first, Path(mkdtemp(dir=folder.parent)))
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_for(process, condition) -> None:
    end = time.monotonic() + 300
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def handles(process) -> bool:
    """Whether the process handles SIGTERM by now."""
    (caught,) = (line for line in Path(f"/proc/{process.pid}/status").read_text().splitlines() if "SigCgt" in line)
    return bool(int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1)


def lines_written(folder: Path) -> int:
    return sum(part.read_text().count("\n") for part in folder.glob(".dog.tracks*.part"))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="asks /proc")
@pytest.mark.parametrize("after", [0.0, pytest.param(1.0, marks=pytest.mark.slow)])
@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_a_signal_while_loading_leaves_nothing(tmp_path, number, after):
    with started(tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        wait_for(process, lambda: handles(process))
        time.sleep(after)
        process.send_signal(number)
        out, errors = process.communicate(timeout=300)
    assert process.returncode == 128 + number and "Traceback" not in errors
    assert errors.startswith("vidseg: interrupted") and errors.count("\n") == 1
    kept = list(vidseg.read_tracks(tmp_path / "dog.tracks.jsonl")) if len(files(tmp_path)) > 1 else []
    assert files(tmp_path) == (BOTH if kept else ["dog.mp4"]) and bool(out) == bool(kept)


@pytest.mark.parametrize(
    ("number", "frames"), list(zip(SIGNALS, (1, 12, 20))), ids=lambda value: getattr(value, "name", str(value))
)
def test_a_signal_while_tracking_keeps_the_frames_so_far(tmp_path, number, frames):
    (tmp_path / "dog.tracked.mp4").write_text("older")
    with started(tmp_path, "--overwrite", "--export", "mot", "--json") as process:
        wait_for(process, lambda: lines_written(tmp_path) > frames)
        process.send_signal(number)
        out, errors = process.communicate(timeout=300)
    assert process.returncode == 128 + number and files(tmp_path) == BOTH
    tracks = vidseg.read_tracks(tmp_path / "dog.tracks.jsonl")
    indices = [frame.index for frame in tracks]
    assert indices == list(range(len(indices))) and frames <= len(indices) < FRAMES
    assert len(list(Clip(tmp_path / "dog.tracked.mp4").frames())) == len(indices)
    assert tracks.interrupted and errors == (
        f"vidseg: interrupted after {len(indices)} of {FRAMES} frames of dog.mp4; they are kept\n"
    )
    assert "Wrote dog.tracked.mp4\nWrote dog.tracks.jsonl\n" in out
    summary = json.loads(out.splitlines()[-1])
    assert summary["frames"] == len(indices) and summary["files"] == BOTH[1:] and len(summary["failures"]) == 1


@pytest.mark.parametrize("number", ONE_FAST, ids=lambda number: number.name)
def test_a_signal_while_the_files_are_finished_waits_for_them(tmp_path, number):
    first = f"""
from vidseg.tracks.file import TracksWriter
close = TracksWriter.close
def interrupted_close(self):
    os.kill(os.getpid(), {int(number)})
    time.sleep(0.5)
    close(self)
TracksWriter.close = interrupted_close
"""
    with started(tmp_path, "--end", "0.2", "--export", "mot", first=first) as process:
        _, errors = process.communicate(timeout=300)
    assert process.returncode == 128 + number and errors == "vidseg: interrupted; nothing unfinished was kept\n"
    tracks = vidseg.read_tracks(tmp_path / "dog.tracks.jsonl")
    assert files(tmp_path) == BOTH and tracks.frame_count() == 5 and not tracks.interrupted


@pytest.mark.parametrize("number", ONE_FAST, ids=lambda number: number.name)
def test_a_signal_during_an_export_keeps_the_tracks(tmp_path, number):
    first = f"""
import vidseg.exporters.davis, vidseg.exporters.folders
def slow(sources, output, images):
    (output / "00000.png").write_bytes(b"half")
    os.kill(os.getpid(), {int(number)})
    time.sleep(600)
vidseg.exporters.davis.write = slow
"""
    with started(tmp_path, "--end", "0.1", "--no-video", "--export", "davis", first=first) as process:
        process.communicate(timeout=300)
    assert process.returncode == 128 + number and files(tmp_path) == ["dog.mp4", "dog.tracks.jsonl"]


@pytest.mark.parametrize(
    ("number", "older"), list(zip(SIGNALS, (False, True, True))), ids=lambda value: getattr(value, "name", str(value))
)
def test_the_second_signal_ends_at_once(tmp_path, number, older):
    first = """
from vidseg.rendering.overlay import OverlayWriter
def endless_close(self, *error):
    open("closing", "w").close()
    time.sleep(600)
OverlayWriter.__exit__ = endless_close  # the first file to be finished
"""
    if older:
        for name in BOTH[1:]:
            (tmp_path / name).write_text("older")
    with started(tmp_path, "--overwrite", first=first) as process:
        wait_for(process, lambda: lines_written(tmp_path) > 3)
        process.send_signal(signal.SIGINT)
        wait_for(process, (tmp_path / "closing").exists)
        time.sleep(1.5)
        process.send_signal(number)
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + number and out == ""
    assert files(tmp_path) == ["closing", "dog.mp4", *(BOTH[1:] if older else [])]
    assert all((tmp_path / name).read_text() == "older" for name in BOTH[1:] if older)


def test_a_signal_that_comes_twice_at_once_counts_once(tmp_path):
    """A shell whose terminal closes sends SIGHUP to its jobs, and so does the kernel."""
    with started(tmp_path) as process:
        wait_for(process, lambda: lines_written(tmp_path) > 3)
        for _ in range(3):
            process.send_signal(signal.SIGHUP)
            time.sleep(0.02)
        process.communicate(timeout=300)
    assert process.returncode == 128 + signal.SIGHUP and files(tmp_path) == BOTH


def test_a_terminal_that_closes_does_not_cost_the_files(tmp_path):
    outer, inner = pty.openpty()

    def take_terminal():
        os.setsid()
        fcntl.ioctl(1, termios.TIOCSCTTY, 0)

    with started(tmp_path, stdin=inner, stdout=inner, stderr=inner, preexec_fn=take_terminal) as process:
        os.close(inner)
        os.set_blocking(outer, False)

        def under_way():
            with suppress(BlockingIOError):
                os.read(outer, 1 << 16)
            return lines_written(tmp_path) > 5

        wait_for(process, under_way)
        os.close(outer)
        process.wait(timeout=300)
    assert process.returncode == 128 + signal.SIGHUP and files(tmp_path) == BOTH
    assert vidseg.read_tracks(tmp_path / "dog.tracks.jsonl").frame_count() >= 5


def test_hanging_up_is_ignored_under_nohup(tmp_path):
    first = "signal.signal(signal.SIGHUP, signal.SIG_IGN)"
    with started(tmp_path, "--end", "1", "--no-video", first=first) as process:
        wait_for(process, lambda: lines_written(tmp_path) > 3)
        process.send_signal(signal.SIGHUP)
        _, errors = process.communicate(timeout=300)
    assert (process.returncode, errors) == (0, "") and files(tmp_path) == ["dog.mp4", "dog.tracks.jsonl"]


@pytest.mark.parametrize(("options", "lines"), [((), 8), *OTHER_OUTPUTS], ids=str)
def test_what_a_killed_run_has_left_is_removed_by_the_next_one(tmp_path, options, lines):
    folder = tmp_path / "results" if "results" in options else tmp_path
    folder.mkdir(exist_ok=True)
    with started(tmp_path, *options) as process:
        wait_for(process, lambda: lines_written(folder) > lines)
        process.kill()
        process.wait()
    assert any(name.endswith(".part") for name in files(folder))
    with started(tmp_path, *options, "--end", "0.1") as process:
        _, errors = process.communicate(timeout=300)
    assert (process.returncode, errors) == (0, "")
    assert [name for name in files(folder) if name.startswith(".")] == []
    assert vidseg.read_tracks(folder / "dog.tracks.jsonl").frame_count() == 3


def test_a_run_that_is_still_going_on_keeps_its_files(tmp_path):
    with started(tmp_path) as first:
        wait_for(first, lambda: lines_written(tmp_path) > 3)
        first.send_signal(signal.SIGSTOP)
        with started(tmp_path, "--end", "0.1", "--output", "other.mp4") as second:
            second.communicate(timeout=300)
        assert second.returncode == 0 and lines_written(tmp_path) > 3
        first.send_signal(signal.SIGCONT)
        first.send_signal(signal.SIGTERM)
        first.communicate(timeout=300)
    assert first.returncode == 128 + signal.SIGTERM and files(tmp_path) == [*BOTH, "other.mp4", "other.tracks.jsonl"]
