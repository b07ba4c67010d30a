"""Temporary files: which of them a later run removes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vidseg.exporters.folders import atomic_folder
from vidseg.io.files import atomic_output, is_running, machine, remove_unfinished

KINDS = {"file": atomic_output, "folder": atomic_folder}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(scope="module")
def gone() -> int:
    """The id of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.fixture
def alive():
    """The id of a process that goes on."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    yield process.pid
    process.kill()
    process.wait()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["a.mp4", "other.tracks.jsonl", "x.1.2"])
def test_parts_of_processes_that_are_gone_are_removed(tmp_path, gone, kind, name):
    for place in (f"@{machine()}", ""):  # an earlier version named no machine
        (tmp_path / f".{name}.{gone}{place}.part").write_text("half")
    (tmp_path / f".{name}.yolo.{gone}@{machine()}.part").mkdir()
    (tmp_path / f".{name}.yolo.{gone}@{machine()}.part/00000.png").write_text("half")
    with KINDS[kind](tmp_path / "a.mp4") as temporary:
        assert names(tmp_path) == ([temporary.name] if kind == "folder" else [])
        if kind == "file":
            temporary.write_text("whole")
    assert names(tmp_path) == ["a.mp4"]


@pytest.mark.parametrize("kind", KINDS)
def test_other_hidden_files_stay(tmp_path, gone, alive, kind):
    others = [
        f".a.mp4.{alive}@{machine()}.part",  # of a process that is still alive
        f".a.mp4.{alive}.part",
        f".a.mp4.{os.getpid()}@{machine()}.part.txt",
        f".a.mp4.{gone}@01234567.part",  # on another machine, where it may be alive
        f"a.mp4.{gone}.part",
        f".a.mp4.{gone}",
        f".{gone}.part",
        ".a.mp4.part",
        ".a.mp4.99999999999.part",
    ]
    for name in others:
        (tmp_path / name).write_text("other")
    with KINDS[kind](tmp_path / "b.mp4") as temporary:
        if kind == "file":
            temporary.write_text("whole")
    assert names(tmp_path) == sorted([*others, "b.mp4"])


@pytest.mark.parametrize("replaced", [False, True])
def test_a_folder_that_was_about_to_be_replaced_gets_its_name_back(tmp_path, gone, replaced):
    older = tmp_path / f".data.yolo.{gone}@{machine()}.old"
    older.mkdir()
    (older / "data.yaml").write_text("older")
    if replaced:
        (tmp_path / "data.yolo").mkdir()
        (tmp_path / "data.yolo/data.yaml").write_text("newer")
    with atomic_output(tmp_path / "b") as temporary:
        temporary.write_text("")
    assert names(tmp_path) == ["b", "data.yolo"]
    assert (tmp_path / "data.yolo/data.yaml").read_text() == ("newer" if replaced else "older")


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("at", [1, 2])
def test_a_folder_is_replaced_or_stays(tmp_path, monkeypatch, error, at):
    """Whichever of the two renames an exception meets."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data/a").write_text("older")
    replace, calls = os.replace, []

    def interrupted(source, target):
        calls.append(source)
        if len(calls) == at:
            raise error
        replace(source, target)

    with pytest.raises(error), atomic_folder(tmp_path / "data") as temporary:
        (temporary / "a").write_text("newer")
        monkeypatch.setattr(os, "replace", interrupted)
    assert names(tmp_path) == ["data"] and (tmp_path / "data/a").read_text() == "older"


def test_a_process_that_ends_at_once_removes_its_own(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_output(tmp_path / "a") as first, atomic_folder(tmp_path / "b"):
        first.write_text("half")
        remove_unfinished()
        assert names(tmp_path) == []


def test_is_running(gone, alive):
    assert is_running(alive) and is_running(os.getpid()) and is_running(1) and not is_running(gone)
    assert is_running(2**40)  # there cannot be one, but nor can it be known
