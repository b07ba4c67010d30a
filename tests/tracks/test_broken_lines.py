"""A broken line of a tracks file is refused alike, whatever reads it."""

import json
import os

import pytest

import vidseg
from tests.support.clips import make_clip
from tests.support.truth import HEIGHT, RING, WIDTH, save
from vidseg.errors import InputError
from vidseg.evaluation.metrics import evaluate
from vidseg.tracks.file import read_tracks

SMALL = {index: {1: ("dog", RING)} for index in range(3)}
WAYS = {
    "iterate": lambda tracks: list(read_tracks(tracks)),
    "export": lambda tracks: vidseg.export(tracks, "coco", "out.json"),
    "evaluate a result": lambda tracks: evaluate(tracks, "good.jsonl"),
    "evaluate by a truth": lambda tracks: evaluate("good.jsonl", tracks),
    "render": lambda tracks: vidseg.render("clip.mp4", tracks, "out.mp4"),
    "render a sheet": lambda tracks: vidseg.render("clip.mp4", tracks, "out.png", kind="sheet"),
    "render a frame": lambda tracks: vidseg.render("clip.mp4", tracks, "out.png", frame=1),
}
SIZE = [HEIGHT, WIDTH]
OBJECTS = {
    "an id that is text": {"id": "1"},
    "an id that is a fraction": {"id": 1.5},
    "an id that is true": {"id": True},
    "no id": {"id": None},
    "an id that is too large": {"id": 2**63},
    "a label that is a number": {"label": 3},
    "a label that no file can hold": {"label": "\ud800"},
    "no label": {"label": None},
    "a score that is not a number": {"score": float("nan")},
    "a score that is infinite": {"score": float("inf")},
    "a score that is text": {"score": "high"},
    "a box that is infinite": {"box": [0, 0, float("inf"), 9]},
    "a box that is not a number": {"box": [0, 0, float("nan"), 9]},
    "a box of three numbers": {"box": [0, 0, 9]},
    "no box": {"box": None},
    "no mask": {"mask": None},
    "a mask of another size": {"mask": {"size": [3, 4], "counts": "0"}},
    "run lengths that do not fill the frame": {"mask": {"size": SIZE, "counts": "0"}},
    "run lengths that cannot be read": {"mask": {"size": SIZE, "counts": "zzzz"}},
    "run lengths that are not ASCII": {"mask": {"size": SIZE, "counts": "é"}},
    "run lengths that are numbers": {"mask": {"size": SIZE, "counts": [1, 2]}},
}
FRAMES = {
    "an earlier frame": {"frame": 0},
    "a frame before 0": {"frame": -5},
    "a frame that is text": {"frame": "x"},
    "a frame that is too large": {"frame": 2**63},
    "a frame that is infinite": {"frame": float("inf")},
    "a time that is text": {"time": "x"},
    "a time that is not a number": {"time": float("nan")},
    "objects that are no list": {"objects": 3},
}
LINES = {"no objects": '{"frame": 1, "time": 0.04}', "a list": "[]", "a number": "7", "nothing": "", "half a line": "{"}


def spoiled(kind, line):
    """The text of a line with something wrong with it."""
    if kind in LINES:
        return LINES[kind]
    frame = json.loads(line)
    (entry,) = frame["objects"]
    if kind == "an object twice":
        frame["objects"] = [entry, entry]
    elif kind == "a missing key":
        del entry["label"]
    elif kind in OBJECTS:
        entry.update(OBJECTS[kind])
    else:
        frame.update(FRAMES[kind])
    return json.dumps(frame)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("lines")
    make_clip(path / "clip.mp4")
    save(path / "good.jsonl", SMALL)
    return path


@pytest.mark.parametrize("kind", [*OBJECTS, *FRAMES, *LINES, "an object twice", "a missing key"])
@pytest.mark.parametrize("way", WAYS)
def test_a_broken_line_is_named(folder, monkeypatch, way, kind):
    monkeypatch.chdir(folder)
    lines = (folder / "good.jsonl").read_text().splitlines()
    (folder / "t.jsonl").write_text("\n".join([*lines[:2], spoiled(kind, lines[2]), lines[3]]) + "\n")
    there = sorted(os.listdir())
    with pytest.raises(InputError, match=r"^t.jsonl: line 3 is broken \(.+\); remove it") as caught:
        WAYS[way]("t.jsonl")
    assert "\n" not in str(caught.value) and sorted(os.listdir()) == there


@pytest.mark.parametrize("way", WAYS)
def test_the_lines_are_good_otherwise(folder, monkeypatch, way):
    monkeypatch.chdir(folder)
    WAYS[way]("good.jsonl")
    for name in ("out.json", "out.mp4", "out.png"):
        if os.path.exists(name):
            os.remove(name)


@pytest.mark.parametrize(
    ("header", "says"),
    [
        ({"format": "other"}, "t.jsonl: not a tracks file"),
        ({"version": 2}, "t.jsonl: tracks format version 2, this vidseg reads 1"),
        ({"width": None}, r"t.jsonl: line 1 is broken \(no width\)"),
        ({"height": "48"}, r"t.jsonl: line 1 is broken \(no height\)"),
    ],
)
@pytest.mark.parametrize("way", WAYS)
def test_a_broken_header_is_refused(folder, monkeypatch, way, header, says):
    monkeypatch.chdir(folder)
    first, *lines = (folder / "good.jsonl").read_text().splitlines()
    (folder / "t.jsonl").write_text("\n".join([json.dumps({**json.loads(first), **header}), *lines]) + "\n")
    with pytest.raises(InputError, match=says):
        WAYS[way]("t.jsonl")
