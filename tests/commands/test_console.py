"""How much `vidseg track` and `vidseg image` tell, and their summary in JSON."""

from __future__ import annotations

import json
import logging
import re
import shutil
from fractions import Fraction
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.support.clips import make_clip
from vidseg.commands.console import ClipSummary, say_not_found
from vidseg.commands.main import main
from vidseg.io.clip import Clip
from vidseg.io.images import write_png

SAMPLES = Path(__file__).parents[2] / "samples"
DEMO = ("--model", "demo", "--device", "cpu")
CAT = "1%,58%,19%,94%"  # on the first frame of the park


@pytest.fixture(scope="module")
def park(tmp_path_factory):
    """The first four frames of the park."""
    images = [frame.image for frame in Clip(SAMPLES / "park.mp4").frames(end=4 / 24)]
    path = tmp_path_factory.mktemp("clip") / "park.mkv"
    times = [512 * i for i in range(4)]
    return make_clip(
        path, times, Fraction(1, 24 * 512), options={"crf": "12"}, size=(640, 360), paint=lambda i, *_: images[i]
    )


@pytest.fixture
def folder(tmp_path, park, monkeypatch):
    """A folder to work in, with two clips."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(park, "a.mkv")
    shutil.copy(park, "b.mkv")
    return tmp_path


def run(*arguments):
    return CliRunner().invoke(main, [*map(str, arguments), *DEMO])


def summary(done) -> dict:
    return json.loads(done.stdout.splitlines()[-1])


def test_summary_of_clips(folder):
    Path("out").mkdir()
    done = run("track", "a.mkv", "b.mkv", "--box", f"{CAT}@cat", "--output", "out", "--export", "coco", "--json")
    assert done.exit_code == 0 and done.stderr == "", done.output
    assert done.stdout.splitlines()[0].startswith("Found 1") and len(done.stdout.splitlines()) > 6
    found = summary(done)
    assert list(found) == ["clips", "objects", "files", "frames", "seconds", "failures"]
    assert [clip["clip"] for clip in found["clips"]] == ["a.mkv", "b.mkv"]
    for name, clip in zip("ab", found["clips"], strict=True):
        assert clip["objects"] == [{"id": 1, "label": "cat", "frames": 4}]
        assert clip["files"] == [f"out/{name}.tracked.mp4", f"out/{name}.tracks.jsonl"]
        assert (clip["frames"], clip["warnings"]) == (4, []) and 0 < clip["seconds"] < found["seconds"]
    assert found["objects"] == [{"clip": f"{name}.mkv", "id": 1, "label": "cat", "frames": 4} for name in "ab"]
    assert found["files"] == [*(file for clip in found["clips"] for file in clip["files"]), "out/out.coco.json"]
    assert all(Path(file).is_file() for file in found["files"])
    assert (found["frames"], found["failures"]) == (8, [])


def test_summary_of_photos(folder):
    for name in ("desk.png", "two.png"):
        shutil.copy(SAMPLES / "desk.png", name)
    Path("no.png").write_text("no picture")
    box = "74.6%,59.5%,88%,79.5%@clock"
    done = run("image", "desk.png", "no.png", "two.png", "--box", box, "--json")
    assert done.exit_code == 1 and done.stderr.count("\n") == 1
    found = summary(done)
    assert [clip["clip"] for clip in found["clips"]] == ["desk.png", "two.png"]
    assert found["objects"] == [
        {"clip": name, "id": 1, "label": "clock", "frames": 1} for name in ("desk.png", "two.png")
    ]
    assert found["files"] == [f"{name}.{end}" for name in ("desk", "two") for end in ("segmented.png", "tracks.jsonl")]
    assert found["frames"] == 2 and len(found["failures"]) == 1 and "no.png" in found["failures"][0]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["track", "none.mkv", "--prompt", "dog"], "none.mkv"),
        (["track", "a.mkv", "--prompt", "dog", "--sam", "none.pt"], "none.pt: no such checkpoint"),
        (["track", "a.mkv", "--prompt", ". ."], "names nothing"),
        (["image", "none*.png", "--prompt", "dog"], "no photo"),
        (["image", "none.png", "--prompt", "dog"], "none.png"),
    ],
)
def test_summary_of_what_failed(folder, arguments, says):
    done = run(*arguments, "--json", "--quiet")
    assert done.exit_code == 1 and done.stdout.count("\n") == 1, done.output
    (failure,) = summary(done)["failures"]
    assert says in failure and done.stderr == f"vidseg: {failure}\n"


def test_quiet_leaves_the_results(folder):
    done = run("track", "a.mkv", "--box", f"{CAT}@cat", "-q")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "Found 1, the first on frame 0: cat 1 (4 frames).",
        "Wrote a.tracked.mp4",
        "Wrote a.tracks.jsonl",
    ]
    again = run("track", "b.mkv", "--box", CAT, "-q", "--json")
    assert (again.exit_code, again.stderr, again.stdout.count("\n")) == (0, "", 1) and summary(again)["frames"] == 4
    shutil.copy(SAMPLES / "desk.png", "desk.png")
    photo = run("image", "desk.png", "--box", "74.6%,59.5%,88%,79.5%@clock", "-q")
    assert photo.exit_code == 0 and photo.stderr == "" and photo.stdout.startswith("desk.png: clock 1; wrote ")
    assert photo.stdout.count("\n") == 1


@pytest.mark.parametrize(
    "arguments", [["track", "a.mkv", "--prompt", "dog"], ["image", "desk.png", "--prompt", "clock"]], ids=str
)
def test_verbose_tells_what_is_loaded_and_found(folder, arguments):
    shutil.copy(SAMPLES / "desk.png", "desk.png")
    label = arguments[-1]
    done = run(*arguments, "--verbose")
    assert done.exit_code == 0, done.output
    lines = done.stderr.splitlines()
    assert lines[0].startswith("SAM demo/sam: loaded from ") and lines[0].endswith(", runs on cpu in float32")
    assert lines[1].startswith("Detector demo/detector: loaded from ")
    assert lines[2].startswith(f"Frame 0 (0.00 s): detected {label} 0.")
    assert not logging.getLogger("vidseg").handlers
    plain = run(*arguments, "--overwrite")
    assert plain.exit_code == 0 and plain.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "missing"),
    [
        (["track", "a.mkv", "--prompt", "dog. airplane"], ["airplane"]),
        (["track", "a.mkv", "--prompt", "Ship. airplane"], ["Ship", "airplane"]),
        (["image", "desk.png", "--prompt", "wardrobe. clock"], ["wardrobe"]),
        (["image", "desk.png", "frame.png", "--prompt", "clock. dog. zebra"], ["zebra"]),  # each is on one of them
        (["image", "desk.png", "--prompt", "zebra", "--box", f"{CAT}@thing"], ["zebra"]),
    ],
    ids=str,
)
def test_each_phrase_that_found_nothing_is_named(folder, arguments, missing):
    shutil.copy(SAMPLES / "desk.png", "desk.png")
    write_png(Path("frame.png"), next(Clip("a.mkv").frames()).image)
    done = run(*arguments, "--json")
    assert done.exit_code == 0, done.output
    lines = [line for line in done.stdout.splitlines() if line.startswith("Nothing was found for ")]
    assert [line.split("'")[1] for line in lines] == missing
    assert all(re.search(r"its best score is 0\.[0-2]\d\. Try other words.* --box-threshold", line) for line in lines)
    entries = summary(done)["clips"]
    assert set.intersection(*({one["phrase"] for one in clip["not_found"]} for clip in entries)) == set(missing)
    assert all(0 <= one["best_score"] < 0.35 for clip in entries for one in clip["not_found"])


@pytest.mark.parametrize(
    ("score", "says"),
    [
        (0.5, "0.50. What it fits may go by another phrase, or was seen only once."),
        (0.21, "0.21. Try other words, or a lower --box-threshold."),
        (0.004, "0.00. Try other words; a lower --box-threshold will hardly help."),
    ],
)
def test_what_to_try_depends_on_the_best_score(capsys, score, says):
    scores = {"dog": 0.8, "pup": score}
    clip = ClipSummary(clip="a.mp4", frames=1, seconds=1, labels={1: "dog"}, seen={1: 1}, files=[], best_scores=scores)
    say_not_found([clip])
    assert capsys.readouterr().out == f"Nothing was found for 'pup': its best score is {says}\n"


@pytest.mark.parametrize("command", ["track", "image"])
def test_quiet_and_verbose_do_not_go_together(folder, command):
    done = run(command, "a.mkv", "--prompt", "dog", "-q", "-v")
    assert done.exit_code == 2 and "choose one of --quiet and --verbose" in done.stderr
