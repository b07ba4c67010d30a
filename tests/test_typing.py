"""What a type checker knows of the public names: their types, and nowhere Any or Unknown."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import vidseg

CODE = """
import vidseg

model = vidseg.load("demo")
run = model.track("clip.mp4", prompt="dog")
frame = next(iter(run))
photo = model.embed("photo.jpg")
tracks = vidseg.read_tracks("clip.tracks.jsonl")
"""
EXPRESSIONS = [
    "vidseg.load",
    "vidseg.Model",
    "vidseg.ObjectPrompt",
    "vidseg.Box",
    "vidseg.Points",
    "vidseg.MaskPrompt",
    "vidseg.TrackedFrame",
    "vidseg.TracksWriter",
    "vidseg.VidsegError",
    "vidseg.InputError",
    "vidseg.OutputError",
    "vidseg.ModelError",
    "vidseg.read_prompts",
    "vidseg.read_tracks",
    "vidseg.render",
    "vidseg.export",
    "vidseg.__version__",
    "model.embed",
    "model.device",
    "model.names",
    "run",
    "run.labels",
    "run.seen",
    "run.keyframe",
    "run.best_score",
    "run.warning",
    "frame",
    "frame.index",
    "frame.time",
    "frame.detections",
    "photo",
    "tracks",
    "iter(tracks)",
    "model.track",
    "model.segment",
    "photo.segment",
    "photo.candidates",
]


@pytest.fixture(scope="module")
def revealed(tmp_path_factory):
    """The type of each expression, as pyright says it; errors are raised."""
    file = tmp_path_factory.mktemp("typing") / "use.py"
    file.write_text(CODE + "".join(f"reveal_type({expression})\n" for expression in EXPRESSIONS))
    command = [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable, str(file)]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=False).stdout)[
        "generalDiagnostics"
    ]
    assert not [one["message"] for one in found if one["severity"] == "error"]
    types = [one["message"].split(" is ", 1)[1].strip('"') for one in found if one["severity"] == "information"]
    return dict(zip(EXPRESSIONS, types, strict=True))


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_public_names_have_types(revealed, expression):
    assert "Any" not in revealed[expression] and "Unknown" not in revealed[expression], revealed[expression]


def test_every_public_name_is_looked_at():
    assert {name for name in vidseg.__all__ if f"vidseg.{name}" not in EXPRESSIONS} == set()


def test_the_package_says_that_it_is_typed():
    from importlib.resources import files

    assert files("vidseg").joinpath("py.typed").is_file()
