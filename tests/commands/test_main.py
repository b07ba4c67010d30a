"""The command, mostly in this process, with the demo pair and the park sample."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

import vidseg
from tests.support.clips import make_clip, make_sound, noise, sound_packets
from tests.support.detections import ids_of, masks_of
from vidseg.commands.main import main
from vidseg.io.clip import Clip
from vidseg.io.images import read_image
from vidseg.model import Model

SAMPLES = Path(__file__).parents[2] / "samples"
DEMO = ("--model", "demo", "--device", "cpu")
RATE, SIZE = 24, (640, 360)
TICK = Fraction(1, RATE * 512)
COMMAND = Path(sys.executable).with_name("vidseg")
# Reacts to Ctrl-C even if the tests run in the background, where it is ignored.
INTERRUPTIBLE = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from vidseg.commands.main import main
main()
"""

pytestmark = pytest.mark.usefixtures("loaded_once")


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def track(*arguments):
    return run("track", *arguments, *DEMO)


def files(folder: Path) -> list[str]:
    """Names of all files below a folder, hidden ones too."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def park():
    """The first half second of the park: 12 images."""
    return [frame.image for frame in Clip(SAMPLES / "park.mp4").frames(end=0.5)]


@pytest.fixture(scope="module")
def original(tmp_path_factory, park):
    """Those 12 frames as a clip with sound."""
    path = tmp_path_factory.mktemp("clip") / "dog.mp4"
    return make_clip(
        path,
        [512 * i for i in range(12)],
        TICK,
        options={"crf": "14"},
        size=SIZE,
        audio="aac",
        paint=lambda i, *_: park[i],
    )


@pytest.fixture
def clip(tmp_path, original):
    """A copy of it, in a folder of its own."""
    (tmp_path / "in").mkdir()
    return Path(shutil.copy(original, tmp_path / "in"))


@pytest.fixture
def out(tmp_path):
    """An empty folder for results."""
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


# -- what a run makes ------------------------------------------------------------------------------------------------


def test_track_writes_an_overlay_and_tracks_beside_the_clip(clip):
    result = track(clip, "--prompt", "dog")
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    overlay, tracks = clip.with_name("dog.tracked.mp4"), clip.with_name("dog.tracks.jsonl")
    assert files(clip.parent) == ["dog.mp4", "dog.tracked.mp4", "dog.tracks.jsonl"]

    saved = vidseg.read_tracks(tracks)
    source = Clip(clip)
    assert saved.header == {
        "format": "vidseg-tracks",
        "version": 1,
        "clip": str(clip),
        "width": 640,
        "height": 360,
        "prompts": ["dog"],
        "frame_rate": str(source.info.frame_rate),
        "time_base": str(source.info.time_base),
        "vidseg": vidseg.__version__,
        "models": {"sam": "demo/sam", "detector": "demo/detector"},
    }
    records = {frame.index: frame for frame in saved}
    assert [(i, record.time) for i, record in records.items()] == [
        (f.index, pytest.approx(f.time, abs=1e-6)) for f in source.frames()
    ]
    counts = Counter(number for record in records.values() for number in ids_of(record.detections))
    assert set(counts) == {1, 2}
    assert result.stdout.splitlines()[:3] == [
        f"Found 2, the first on frame 0: dog 1 ({counts[1]} frames), dog 2 ({counts[2]} frames).",
        f"Wrote {overlay}",
        f"Wrote {tracks}",
    ]
    assert result.stdout.splitlines()[3].startswith("12 frames in ")

    drawn = Clip(overlay)
    assert (drawn.info.width, drawn.info.height) == (640, 360)
    pairs = list(zip(source.frames(), drawn.frames(), strict=True))
    assert [a.time for a, _ in pairs] == pytest.approx([b.time for _, b in pairs], abs=1e-4)
    for before, after in pairs:  # tinted where an object is, and elsewhere as it was, but for the name tags
        change = np.abs(before.image.astype(int) - after.image).max(axis=2)
        masks = np.asarray(masks_of(records[before.index].detections).any(axis=0), np.uint8)
        assert change[cv2.erode(masks, np.ones((9, 9))) > 0].mean() > 15
        assert (change[cv2.dilate(masks, np.ones((9, 9))) == 0] > 30).mean() < 0.05
    before, after = sound_packets(clip), sound_packets(overlay)
    assert len(after) > 20 and [data for _, data in after] == [data for t, data in before if t < 0.5]


@pytest.mark.parametrize(
    ("options", "made"),
    [
        ([], ["dog.tracked.mp4", "dog.tracks.jsonl"]),
        (["--output", "over.mkv"], ["over.mkv", "over.tracks.jsonl"]),
        (["--output", "new.tracked.MOV"], ["new.tracked.MOV", "new.tracks.jsonl"]),
        (["--output", "results"], ["results/dog.tracked.mp4", "results/dog.tracks.jsonl"]),
        (["--tracks", "t.json"], ["dog.tracked.mp4", "t.json"]),
        (["--tracks", "results/t.json", "--output", "o.mp4"], ["o.mp4", "results/t.json"]),
        (["--no-video"], ["dog.tracks.jsonl"]),
        (["--no-video", "--output", "results"], ["results/dog.tracks.jsonl"]),
    ],
)
def test_names_of_the_results(clip, monkeypatch, options, made):
    monkeypatch.chdir(clip.parent)
    Path("results").mkdir()
    result = track("dog.mp4", "--prompt", "dog", "--end", "0.1", *options)
    assert result.exit_code == 0, result.output
    assert files(Path()) == sorted(["dog.mp4", *made])
    assert [line.split(maxsplit=1)[1] for line in result.stdout.splitlines() if line.startswith("Wrote")] == made
    for name in made:
        count = (
            len(list(Clip(name).frames()))
            if name.lower().endswith((".mp4", ".mkv", ".mov"))
            else len(list(vidseg.read_tracks(name)))
        )
        assert count == 3


@pytest.mark.parametrize("options", [[], ["--no-video"]], ids=["video", "no video"])
@pytest.mark.parametrize(
    ("output", "folder"), [("new/", "new"), ("new", "new"), ("a/b.2/", "a/b.2"), ("take.1/", "take.1"), ("a/b", "a/b")]
)
def test_an_output_folder_is_made(clip, monkeypatch, output, folder, options):
    """A path that ends in a slash, or has no suffix, is a folder."""
    monkeypatch.chdir(clip.parent)
    result = track("dog.mp4", "--box", "5,5,40,40", "--end", "0.1", "--output", output, *options)
    assert result.exit_code == 0, result.output
    made = [f"{folder}/dog.tracks.jsonl"] if options else [f"{folder}/dog.tracked.mp4", f"{folder}/dog.tracks.jsonl"]
    assert files(Path()) == sorted(["dog.mp4", *made])


@pytest.mark.parametrize("output", ["file", "file/", "file/in", "dog.mp4/"])
def test_an_output_folder_that_cannot_be_made_is_refused(clip, monkeypatch, output):
    monkeypatch.chdir(clip.parent)
    Path("file").write_text("older")
    assert_one_line(track("dog.mp4", "--box", "5,5,40,40", "--output", output), "cannot be made a folder")
    assert files(Path()) == ["dog.mp4", "file"] and Path("file").read_text() == "older"


def test_linked_clip_names_its_results_after_the_link(clip, out):
    (out / "link.mp4").symlink_to(clip)
    assert track(out / "link.mp4", "--prompt", "dog", "--end", "0.05", "--no-video").exit_code == 0
    assert files(out) == ["link.mp4", "link.tracks.jsonl"]


def test_part_of_a_clip_keeps_its_numbers(clip):
    result = track(
        clip, "--prompt", "dog. cat", "--prompt", "Ball", "--start", "0:00.25", "--end", "00:00:00.375", "--no-video"
    )
    assert result.exit_code == 0 and result.stderr == ""
    saved = vidseg.read_tracks(clip.with_name("dog.tracks.jsonl"))
    assert [frame.index for frame in saved] == [6, 7, 8] and saved.header["prompts"] == ["dog", "cat", "Ball"]


def test_nothing_found_is_no_failure(clip):
    result = track(clip, "--prompt", "airplane", "--prompt", "Ship")
    assert result.exit_code == 0 and result.stderr == ""
    first = result.stdout.splitlines()[0]
    assert first.startswith("Found nothing for 'airplane', 'Ship' in 12 frames; the best score was 0.")
    assert 0 < float(first.partition("the best score was ")[2].rstrip(".")) < 0.35
    for phrase in ("airplane", "Ship"):
        assert f"Nothing was found for '{phrase}': its best score is 0." in result.stdout
    assert "--box-threshold" in result.stdout
    assert files(clip.parent) == ["dog.mp4", "dog.tracked.mp4", "dog.tracks.jsonl"]
    assert [len(frame.detections) for frame in vidseg.read_tracks(clip.with_name("dog.tracks.jsonl"))] == [0] * 12
    assert len(list(Clip(clip.with_name("dog.tracked.mp4")).frames())) == 12


@pytest.mark.parametrize(("option", "value"), [("--box-threshold", "0.2"), ("--text-threshold", "0.1")])
def test_thresholds(tmp_path, option, value):
    image = read_image(SAMPLES / "desk.png")
    make_clip(tmp_path / "desk.mp4", [0, 512], size=image.shape[1::-1], options={"crf": "14"}, paint=lambda *_: image)
    result = track(tmp_path / "desk.mp4", "--prompt", "car", "--no-video", option, value)
    assert result.exit_code == 0 and result.stderr == ""
    found = [len(frame.detections) for frame in vidseg.read_tracks(tmp_path / "desk.tracks.jsonl")]
    assert len(found) == 2 and all(found) is any(found) is (option == "--box-threshold")


@pytest.mark.parametrize("command", ["track", "image"])
@pytest.mark.parametrize("option", ["--box-threshold", "--text-threshold"])
@pytest.mark.parametrize("value", ["1.5", "-0.1", "much", "nan"])
def test_what_is_no_threshold(clip, command, option, value):
    result = run(command, clip, "--prompt", "dog", *DEMO, option, value)
    assert result.exit_code != 0 and "threshold" in result.stderr and files(clip.parent) == ["dog.mp4"]


def test_folder_of_images(tmp_path, park):
    (tmp_path / "my dogs").mkdir()
    for index, image in enumerate(park[:4]):
        cv2.imwrite(str(tmp_path / "my dogs" / f"{index}.png"), image[..., ::-1])
    result = track(tmp_path / "my dogs", "--prompt", "dog")
    assert result.exit_code == 0 and result.stderr == ""
    assert files(tmp_path)[:2] == ["my dogs.tracked.mp4", "my dogs.tracks.jsonl"] and len(files(tmp_path)) == 6
    assert len(list(Clip(tmp_path / "my dogs.tracked.mp4").frames())) == 4


def test_folder_of_images_from_inside(tmp_path, park, monkeypatch):
    (tmp_path / "dogs").mkdir()
    cv2.imwrite(str(tmp_path / "dogs/0.png"), park[0][..., ::-1])
    monkeypatch.chdir(tmp_path / "dogs")
    assert track(".", "--prompt", "dog").exit_code == 0
    assert files(tmp_path) == ["dogs.tracked.mp4", "dogs.tracks.jsonl", "dogs/0.png"]


def test_clip_that_breaks_off_is_tracked_up_to_the_break(tmp_path):
    path = tmp_path / "cut.mp4"
    make_clip(path, size=(160, 120), container={"movflags": "+faststart"}, paint=noise)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 4 // 10])
    result = track(path, "--prompt", "dog")
    assert result.exit_code == 0, result.output
    frames = list(vidseg.read_tracks(tmp_path / "cut.tracks.jsonl"))
    assert 8 < len(frames) < 25 and len(list(Clip(tmp_path / "cut.tracked.mp4").frames())) == len(frames)
    last = frames[-1]
    assert (
        result.stderr
        == f"vidseg: {path} is damaged after frame {last.index} ({last.time:.1f} s): nothing after it can be read\n"
    )


def test_sound_that_nothing_decodes_is_said_to_be_left_out(tmp_path):
    path = tmp_path / "a.mkv"
    make_clip(path, [0, 40, 80, 120], Fraction(1, 1000), size=(160, 120), audio="tta")
    path.write_bytes(path.read_bytes().replace(b"A_TTA1", b"A_ZZZZ"))
    result = track(path, "--prompt", "dog")
    assert result.exit_code == 0
    assert result.stderr.startswith("vidseg: ") and "without sound" in result.stderr and result.stderr.count("\n") == 1


def test_render_draws_saved_tracks_again(clip, out):
    assert track(clip, "--prompt", "cat").exit_code == 0
    tracks = clip.with_name("dog.tracks.jsonl")
    refused = run("render", clip, tracks)
    assert refused.exit_code == 1 and refused.stderr.startswith("vidseg: ") and "exists already" in refused.stderr
    result = run("render", clip, tracks, "--output", out / "again.mkv")
    assert (result.exit_code, result.stderr, result.stdout) == (0, "", f"Wrote {out / 'again.mkv'}\n")
    assert files(out) == ["again.mkv"]
    pairs = list(zip(Clip(clip.with_name("dog.tracked.mp4")).frames(), Clip(out / "again.mkv").frames(), strict=True))
    assert len(pairs) == 12 and max(np.abs(a.image.astype(int) - b.image).mean() for a, b in pairs) < 1
    assert run("render", clip, tracks, "--overwrite").exit_code == 0
    assert files(clip.parent) == ["dog.mp4", "dog.tracked.mp4", "dog.tracks.jsonl"]


# -- files that exist ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["dog.tracked.mp4", "dog.tracks.jsonl"])
def test_a_file_that_exists_is_replaced_only_when_asked(clip, name):
    older = clip.with_name(name)
    older.write_text("older")
    result = track(clip, "--prompt", "dog", "--end", "0.1")
    assert result.exit_code == 1 and result.stdout == ""
    assert result.stderr == f"vidseg: {older} exists already: choose another name, or allow --overwrite\n"
    assert older.read_text() == "older" and files(clip.parent) == ["dog.mp4", name]
    assert track(clip, "--prompt", "dog", "--end", "0.1", "--overwrite").exit_code == 0
    assert files(clip.parent) == ["dog.mp4", "dog.tracked.mp4", "dog.tracks.jsonl"]
    assert older.stat().st_size > 1000


@pytest.mark.parametrize("option", ["--output", "--tracks"])
def test_the_clip_itself_is_never_replaced(clip, option):
    content = clip.read_bytes()
    result = track(clip, "--prompt", "dog", option, clip, "--overwrite")
    assert (
        result.exit_code == 1
        and result.stderr == f"vidseg: {clip} is read in the same run and cannot be replaced; choose another name\n"
    )
    assert clip.read_bytes() == content and files(clip.parent) == ["dog.mp4"]


def test_an_older_result_survives_a_run_that_fails(clip):
    older = clip.with_name("dog.tracked.mp4")
    older.write_text("older")
    assert track(clip, "--prompt", "dog", "--start", "99", "--overwrite").exit_code == 1
    assert older.read_text() == "older" and files(clip.parent) == ["dog.mp4", "dog.tracked.mp4"]


# -- what is refused -------------------------------------------------------------------------------------------------


def spoiled(folder: Path, kind: str, clip: Path) -> Path:
    """A clip that is none."""
    path = folder / "bad.mp4"
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "without its beginning":
        path.write_bytes(clip.read_bytes()[1000:])
    elif kind == "only its beginning":
        path.write_bytes(clip.read_bytes()[:1000])
    elif kind == "sound":
        make_sound(path)
    elif kind == "text":
        path.write_text("no video\n" * 50)
    elif kind == "folder without images":
        path.mkdir()
        (path / "notes.txt").write_text("none here")
    elif kind == "name too long":
        path = folder / ("long" * 70)
    elif kind == "broken image":
        path = folder / "bad.png"
        path.write_bytes(b"\x89PNG\r\n\x1a\n but no more")
    else:
        assert kind == "missing"
    return path


def assert_one_line(result, says: str) -> None:
    assert result.exit_code == 1, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("vidseg: ") and result.stderr.endswith("\n") and result.stderr.count("\n") == 1, (
        result.stderr
    )
    assert says in result.stderr
    assert isinstance(result.exception, SystemExit)  # and no other exception that CliRunner caught


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("missing", "no such file or folder"),
        ("name too long", "no such file or folder"),
        ("empty", "the file is empty"),
        ("without its beginning", "not a video"),
        ("only its beginning", "bad.mp4"),
        ("sound", "sound without a picture"),
        ("text", "not a video"),
        ("folder without images", "no images in this folder"),
        ("broken image", "not an image"),
    ],
)
def test_clip_that_cannot_be_used(clip, out, kind, says):
    path = spoiled(clip.parent, kind, clip)
    before = files(clip.parent)
    for command in (
        ["track", path, "--prompt", "dog", "--output", out, *DEMO],
        ["track", path, "--prompt", "dog", *DEMO],
    ):
        result = run(*command)
        assert_one_line(result, says)
        assert str(path) in result.stderr
    assert files(out) == [] and files(clip.parent) == before


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--prompt", ". , ;"], "names nothing"),
        (["--prompt", ""], "names nothing"),
        (["--model", "huge"], "no preset is called 'huge'; there are demo, tiny, small, base-plus, large"),
        (["--device", "tpu"], "no device is called 'tpu'"),
        (["--sam", "none.pt"], "none.pt: no such checkpoint"),
        (["--sam", "broken.pt"], "broken.pt: cannot be read as a SAM 2 checkpoint"),
        (["--sam", "bert"], "no such SAM 2 checkpoint"),
        (["--detector", "bert"], "'bert'"),
        (["--detector", "dog.mp4"], "dog.mp4"),
        (["--output", "nowhere/over.mp4"], "there is no folder nowhere"),
        (["--output", "dog.mp4/over.mp4"], "there is no folder dog.mp4"),
        (["--output", "over.avi"], "videos are written as .mp4 .mkv .mov"),
        (["--output", f"{'long' * 70}.mp4"], "File name too long"),
        (["--tracks", "nowhere/t.jsonl"], "there is no folder nowhere"),
        (["--tracks", "bert"], "bert is a folder"),
        (["--start", "99"], "no frame in the range from 99 s"),
        (["--keyframe", "99"], "frame 99, the keyframe, is not in the part that was read"),
    ],
)
def test_refused_in_one_line(clip, monkeypatch, options, says):
    monkeypatch.chdir(clip.parent)
    Path("broken.pt").write_bytes(b"PK\x03\x04 half a download")
    Path("bert").mkdir()
    Path("bert/config.json").write_text('{"model_type": "bert"}')
    prompt = [] if "--prompt" in options else ["--prompt", "dog"]
    assert_one_line(run("track", "dog.mp4", *prompt, *DEMO, *options), says)
    assert files(Path()) == ["bert/config.json", "broken.pt", "dog.mp4"]


def test_unreachable_hub_shows_the_way_to_the_demo(clip, monkeypatch, tmp_path):
    import httpx
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(httpx, "head", lambda *_, **__: (_ for _ in ()).throw(httpx.ConnectError("no route")))
    assert_one_line(run("track", clip, "--prompt", "dog"), "--model demo")
    assert files(clip.parent) == ["dog.mp4"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], ("auto", 1.0, 30.0, False)),
        (["--redetect", "off", "--keyframe", "first"], ("first", None, 30.0, False)),
        (["--keyframe", "1", "--redetect", "0.5", "--forget-after", "2", "--allow-overlap"], (1, 0.5, 2.0, True)),
    ],
    ids=str,
)
def test_options_of_finding_objects(clip, monkeypatch, options, expected):
    given, track_it = {}, Model.track
    monkeypatch.setattr(Model, "track", lambda self, *args, **more: given.update(more) or track_it(self, *args, **more))
    result = track(clip, "--prompt", "dog", "--end", "0.1", "--no-video", *options)
    assert result.exit_code == 0, result.output
    assert (given["keyframe"], given["redetect"], given["forget_after"], given["allow_overlap"]) == expected


@pytest.mark.parametrize(
    ("options", "expected"), [([], True), (["--sharpen"], True), (["--no-sharpen"], False)], ids=str
)
def test_outlines_are_sharpened_as_the_preset_has_it_or_as_asked(clip, monkeypatch, options, expected):
    given, track_it = [], Model.track
    monkeypatch.setattr(
        Model, "track", lambda self, *args, **more: given.append(self.sharpen) or track_it(self, *args, **more)
    )
    result = track(clip, "--prompt", "dog", "--end", "0.1", "--no-video", *options)
    assert result.exit_code == 0 and given == [expected], result.output


def test_keyframe_in_the_middle(clip):
    """The frames before it are there, in order, with what was followed back."""
    result = track(clip, "--prompt", "dog", "--keyframe", "4")
    assert (
        result.exit_code == 0
        and "Found 2, the first on frame 4: dog 1 (12 frames), dog 2 (12 frames)." in result.output
    )
    tracks = list(vidseg.read_tracks(clip.with_name("dog.tracks.jsonl")))
    assert [(frame.index, ids_of(frame.detections)) for frame in tracks] == [(t, [1, 2]) for t in range(12)]
    assert [frame.index for frame in Clip(clip.with_name("dog.tracked.mp4")).frames()] == list(range(12))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["track", "dog.mp4"], "what should be tracked?"),
        (["track", "--prompt", "dog"], "Missing argument 'CLIP...'"),
        (["track", "dog.mp4", "--prompt", "dog", "--start", "soon"], "'soon' is not a time"),
        (["track", "dog.mp4", "--prompt", "dog", "--end", "1:75"], "'1:75' is not a time"),
        (["track", "dog.mp4", "--prompt", "dog", "--start", "2", "--end", "1"], "--end must be after --start"),
        (["track", "dog.mp4", "--prompt", "dog", "--start", "1", "--end", "1"], "--end must be after --start"),
        (["track", "dog.mp4", "--prompt", "dog", "--output", "a.mp4", "--tracks", "a.mp4"], "name the same file"),
        (["track", "dog.mp4", "--prompt", "dog", "--dtype", "int8"], "'int8' is not one of"),
        (
            ["track", "dog.mp4", "--prompt", "dog", "--keyframe", "last"],
            "'last' is neither the number of a frame nor first nor auto",
        ),
        (
            ["track", "dog.mp4", "--prompt", "dog", "--keyframe", "-1"],
            "'-1' is neither the number of a frame nor first nor auto",
        ),
        (
            ["track", "dog.mp4", "--prompt", "dog", "--redetect", "x"],
            "'x' is neither a number of seconds above 0 nor off",
        ),
        (
            ["track", "dog.mp4", "--prompt", "dog", "--redetect", "0"],
            "'0' is neither a number of seconds above 0 nor off",
        ),
        (
            ["track", "dog.mp4", "--prompt", "dog", "--redetect", "inf"],
            "'inf' is neither a number of seconds above 0 nor off",
        ),
        (["track", "dog.mp4", "--prompt", "dog", "--forget-after", "-1"], "'--forget-after'"),
        (["track", "dog.mp4", "--prompt", "dog", "--colour", "red"], "No such option"),
        (["render", "dog.mp4"], "Missing argument 'TRACKS'"),
        (["follow", "dog.mp4"], "No such command 'follow'"),
    ],
)
def test_usage_errors(clip, monkeypatch, arguments, says):
    monkeypatch.chdir(clip.parent)
    result = run(*arguments)
    assert result.exit_code == 2 and result.stdout == ""
    assert result.stderr.startswith("Usage: ") and says in result.stderr and "Traceback" not in result.stderr
    assert files(Path()) == ["dog.mp4"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "cannot be read"),
        ("", "not a tracks file"),
        ("{}\n", "not a tracks file"),
        ("no json\n", "not a tracks file"),
        (json.dumps({"format": "vidseg-tracks", "version": 9, "width": 640, "height": 360}) + "\n", "version 9"),
        (json.dumps({"format": "vidseg-tracks", "version": 1, "width": 320, "height": 240}) + "\n", "320×240"),
        (
            json.dumps({"format": "vidseg-tracks", "version": 1, "width": 640, "height": 360}) + '\n{"frame": 0, "ti',
            "line 2 is broken",
        ),
    ],
)
def test_render_refuses_tracks_that_do_not_fit(clip, content, says):
    tracks = clip.with_name("t.jsonl")
    if content is not None:
        tracks.write_text(content)
    before = files(clip.parent)
    assert_one_line(run("render", clip, tracks), says)
    assert files(clip.parent) == before


def test_help_names_the_commands():
    for option in ("--help", "-h"):
        result = run(option)
        assert result.exit_code == 0 and result.stderr == ""
        listed = result.stdout[result.stdout.index("Commands:") :].splitlines()[1:]
        assert {line.split()[0] for line in listed if line.strip()} >= {"track", "render", "models"}
    assert "--prompt TEXT" in run("track", "--help").stdout
    assert run("--version").stdout.split()[-1] == vidseg.__version__


# -- the command itself ----------------------------------------------------------------------------------------------


def test_command_in_a_process_of_its_own(clip):
    done = subprocess.run(
        [COMMAND, "track", "dog.mp4", "--prompt", "dog", "--end", "0.25", "--quiet", *DEMO],
        cwd=clip.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert done.stdout.splitlines()[0].startswith("Found 2, the first on frame 0: dog 1 (")
    assert done.stdout.splitlines()[1:3] == ["Wrote dog.tracked.mp4", "Wrote dog.tracks.jsonl"]
    assert [frame.index for frame in vidseg.read_tracks(clip.with_name("dog.tracks.jsonl"))] == [0, 1, 2, 3, 4, 5]
    assert len(list(Clip(clip.with_name("dog.tracked.mp4")).frames())) == 6


def test_demo_says_where_the_result_is_and_how_to_go_on(clip, out, monkeypatch):
    from vidseg import samples

    assert (samples.PLACES[1] / "park.mp4").exists()
    clip.rename(clip.with_name("park.mp4"))  # shorter than the sample
    monkeypatch.setattr(samples, "PLACES", (clip.parent / "none", clip.parent))
    monkeypatch.chdir(out)
    for again in ((), ("--overwrite",)):
        result = run("demo", *again)
        assert result.exit_code == 0, result.stderr
    assert files(out) == ["park.tracked.mp4", "park.tracks.jsonl"]
    assert (
        "dog 1 (12 frames)" in result.stdout.replace("dog 2", "dog 1").replace("dog 3", "dog 1")
        and "vidseg track clip.mp4" in result.stdout.splitlines()[-1]
    )
