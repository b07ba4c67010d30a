"""Tracks, overlay and exports fail or succeed each on its own."""

from __future__ import annotations

import json
import shutil
from fractions import Fraction
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import supervision as sv
from click.testing import CliRunner

import vidseg
from tests.support.clips import make_clip
from vidseg.commands.main import main
from vidseg.commands.result_file import ResultFile
from vidseg.errors import OutputError
from vidseg.io.clip import Clip
from vidseg.rendering import overlay
from vidseg.tracks import file as tracks_file
from vidseg.tracks.file import TracksWriter
from vidseg.tracks.frame import TrackedFrame

DEMO = ("--model", "demo", "--device", "cpu")
FRAMES = 6
ERRORS = [
    OutputError("disk full"),
    OSError(28, "No space left on device"),
    ValueError("Cannot parse\nchannel layout"),
    MemoryError(),
]

pytestmark = pytest.mark.usefixtures("loaded_once")


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return make_clip(tmp_path_factory.mktemp("clip") / "a.mkv", [40 * i for i in range(FRAMES)], Fraction(1, 1000))


@pytest.fixture
def clip(tmp_path, small):
    return Path(shutil.copy(small, tmp_path))


def track(*arguments):
    return CliRunner().invoke(main, ["track", *map(str, arguments), "--box", "5,5,40,40", *DEMO])


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def break_writer(monkeypatch, module, name: str, stage: str, error: Exception) -> None:
    """Let the writer of that name fail: when it is opened, at its third frame, or when it is closed."""
    whole = getattr(module, name)

    class Broken(whole):
        def __init__(self, *arguments):
            if stage == "open":
                raise error
            super().__init__(*arguments)
            self.count = 0

        def write(self, frame):
            self.count += 1
            if stage == "middle" and self.count == 3:
                raise error
            super().write(frame)

        def __exit__(self, kind, value, trace):
            if stage == "close" and kind is None:
                super().__exit__(type(error), error, None)
                raise error
            super().__exit__(kind, value, trace)

    monkeypatch.setattr(module, name, Broken)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("stage", ["open", "middle", "close"])
def test_a_failed_overlay_does_not_cost_the_tracks(clip, monkeypatch, stage, error):
    break_writer(monkeypatch, overlay, "OverlayWriter", stage, error)
    done = track(clip, "--export", "mot")
    assert done.exit_code == 1 and files(clip.parent) == ["a.mkv", "a.mot.txt", "a.tracks.jsonl"]
    assert len(list(vidseg.read_tracks(clip.with_name("a.tracks.jsonl")))) == FRAMES
    assert done.stderr.startswith("vidseg: ") and done.stderr.count("\n") == 1
    assert "disk full" in done.stderr or f"a.tracked.mp4 cannot be written: {type(error).__name__}" in done.stderr
    assert "a.tracked.mp4" not in done.stdout and "Wrote " + str(clip.with_name("a.tracks.jsonl")) in done.stdout


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("stage", ["open", "middle", "close"])
def test_failed_tracks_do_not_cost_the_overlay(clip, monkeypatch, stage, error):
    break_writer(monkeypatch, tracks_file, "TracksWriter", stage, error)
    done = track(clip, "--export", "mot")
    assert done.exit_code == 1 and files(clip.parent) == ["a.mkv", "a.tracked.mp4"]
    assert len(list(Clip(clip.with_name("a.tracked.mp4")).frames())) == FRAMES
    assert done.stderr.startswith("vidseg: ") and done.stderr.count("\n") == 1


@pytest.mark.parametrize("stage", ["open", "middle", "close"])
def test_a_run_whose_files_all_fail_ends(clip, monkeypatch, stage):
    break_writer(monkeypatch, overlay, "OverlayWriter", stage, OutputError("no overlay"))
    break_writer(monkeypatch, tracks_file, "TracksWriter", stage, OutputError("no tracks"))
    done = track(clip, "--export", "mot")
    assert done.exit_code == 1 and files(clip.parent) == ["a.mkv"]
    assert (done.stdout, done.stderr) == ("", "vidseg: no overlay\nvidseg: no tracks\n")


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("broken", ["mots", "csv_table", "coco"])
def test_an_export_that_fails_does_not_cost_another(clip, monkeypatch, broken, error):
    def fail(*_):
        raise error

    monkeypatch.setattr(import_module(f"vidseg.exporters.{broken}"), "write", fail)
    done = track(clip, "--no-video", *(word for name in ("mots", "csv", "coco") for word in ("--export", name)))
    made = {"mots": "a.mots.txt", "csv_table": "a.csv", "coco": "a.coco.json"}
    failed = made.pop(broken)
    assert done.exit_code == 1 and files(clip.parent) == sorted(["a.mkv", "a.tracks.jsonl", *made.values()])
    assert done.stderr.startswith("vidseg: ") and done.stderr.count("\n") == 1
    assert "disk full" in done.stderr or f"{failed} cannot be written" in done.stderr


def test_a_failed_overlay_does_not_cost_the_other_clips_and_their_data_set(clip, monkeypatch):
    shutil.copy(clip, clip.with_name("b.mkv"))
    break_writer(monkeypatch, overlay, "OverlayWriter", "middle", OutputError("no overlay"))
    done = track(clip.parent, "--export", "coco", "--output", clip.parent / "data")
    assert done.exit_code == 1 and done.stderr == "vidseg: no overlay\n" * 2
    assert files(clip.parent / "data") == ["a.tracks.jsonl", "b.tracks.jsonl", "data.coco.json"]
    assert len(json.loads((clip.parent / "data/data.coco.json").read_text())["videos"]) == 2


def test_missing_tracks_cost_their_own_exports_and_the_data_set_alone(clip):
    clip.with_name("b.mkv").write_bytes(b"no video")
    done = track(clip.parent, "--no-video", "--export", "coco", "--export", "mot", "--export", "csv")
    assert done.exit_code == 1 and files(clip.parent) == ["a.csv", "a.mkv", "a.mot.txt", "a.tracks.jsonl", "b.mkv"]
    first, second = done.stderr.splitlines()
    assert "b.mkv" in first and "nothing was exported to" in second and ".coco.json" in second


def test_photos_are_exported_each_on_its_own(tmp_path, monkeypatch):
    import cv2

    for name in ("a.png", "b.png"):
        cv2.imwrite(str(tmp_path / name), np.full((48, 64, 3), 90, np.uint8))

    def fail(*_):
        raise RuntimeError("no room")

    monkeypatch.setattr(import_module("vidseg.exporters.coco"), "write", fail)
    arguments = ["image", str(tmp_path), "--box", "5,5,40,40", "--export", "coco", "--export", "csv", *DEMO]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 1 and done.stderr.count("\n") == 1 and "RuntimeError: no room" in done.stderr
    assert [name for name in files(tmp_path) if "coco" in name or "csv" in name] == ["a.csv", "b.csv"]


def test_photos_that_are_segmented_are_skipped(tmp_path):
    import cv2

    def segment(*options):
        arguments = ["image", str(tmp_path), "--box", "5,5,40,40", "--export", "coco", *DEMO, *options]
        return CliRunner().invoke(main, arguments)

    for name in ("a.png", "b.png"):
        cv2.imwrite(str(tmp_path / name), np.full((48, 64, 3), 90, np.uint8))
    assert segment().exit_code == 0
    cv2.imwrite(str(tmp_path / "c.png"), np.full((48, 64, 3), 90, np.uint8))
    done = segment("--skip-existing")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.startswith("Skipped 2 of 3 photos, which are segmented already.\n")
    assert "1 of 1 photos in" in done.stdout
    (data_set,) = tmp_path.glob("*.coco.json")
    again = segment("--skip-existing")
    assert (again.exit_code, again.stderr) == (0, "") and "photos in" not in again.stdout
    assert len(json.loads(data_set.read_text())["images"]) == 3


def test_a_file_that_is_not_closed_is_discarded(tmp_path):
    keys = ("clip", "frame_rate", "time_base", "prompts", "models", "vidseg")
    header = {"width": 8, "height": 8, **dict.fromkeys(keys, "")}
    with pytest.raises(KeyError), ResultFile(tmp_path / "t", lambda: TracksWriter(tmp_path / "t", header)) as file:
        file.write(TrackedFrame(0, 0.0, None, sv.Detections.empty()))
        raise KeyError
    assert file.failure is None and files(tmp_path) == []
