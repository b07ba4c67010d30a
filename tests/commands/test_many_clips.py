"""`vidseg track` on a folder of clips, on a pipe, and with exports."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from fractions import Fraction
from pathlib import Path

import click
import pytest
import supervision as sv
from click.testing import CliRunner

import vidseg
from tests.commands.test_main import INTERRUPTIBLE
from tests.support.clips import make_clip
from vidseg.commands.clip_tasks import clips_in, result_name, tasks_for
from vidseg.commands.main import main
from vidseg.io.clip import Clip

SAMPLES = Path(__file__).parents[2] / "samples"
DEMO = ("--model", "demo", "--device", "cpu")
CAT = "1%,58%,19%,94%"  # on the first frame of the park

pytestmark = pytest.mark.usefixtures("loaded_once")


@pytest.fixture(scope="module")
def park(tmp_path_factory):
    """The first eight frames of the park, small."""
    images = [frame.image for frame in Clip(SAMPLES / "park.mp4").frames(end=8 / 24)]
    path = tmp_path_factory.mktemp("clip") / "park.mkv"
    return make_clip(
        path,
        [512 * i for i in range(8)],
        Fraction(1, 24 * 512),
        options={"crf": "12"},
        size=(640, 360),
        paint=lambda i, *_: images[i],
    )


@pytest.fixture
def clips(tmp_path, park):
    """A folder with two good clips, one bad one, and something else."""
    folder = tmp_path / "clips"
    folder.mkdir()
    shutil.copy(park, folder / "cat10.mkv")
    shutil.copy(park, folder / "cat2.mkv")
    (folder / "notes.txt").write_text("no clip")
    return folder


def track(*arguments):
    return CliRunner().invoke(main, ["track", *map(str, arguments), *DEMO])


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_folder_of_clips_becomes_a_data_set(clips, tmp_path):
    done = track(
        clips,
        "--box",
        f"{CAT}@cat",
        "--output",
        tmp_path / "data",
        "--export",
        "yolo-seg",
        "--export",
        "mot",
        "--no-video",
    )
    assert done.exit_code == 0, done.stderr
    assert files(tmp_path / "data") == [
        "cat10.mot.txt",
        "cat10.tracks.jsonl",
        "cat2.mot.txt",
        "cat2.tracks.jsonl",
        "data.yolo",
    ]
    data = tmp_path / "data/data.yolo"
    loaded = {
        part: sv.DetectionDataset.from_yolo(
            str(data / f"images/{part}"), str(data / f"labels/{part}"), str(data / "data.yaml"), force_masks=True
        )
        for part in ("train", "val")
    }
    assert loaded["train"].classes == ["cat"] and len(loaded["train"]) == len(loaded["val"]) > 0
    assert all(len(found) == 1 for part in loaded.values() for _, _, found in part)
    assert done.stdout.count("Found 1") == 2


def test_a_bad_clip_does_not_stop_the_others(clips):
    (clips / "cat3.mp4").write_bytes(b"no video at all")
    done = track(clips, "--box", CAT, "--export", "coco")
    assert done.exit_code == 1
    assert files(clips) == [
        "cat10.mkv",
        "cat10.tracked.mp4",
        "cat10.tracks.jsonl",
        "cat2.mkv",
        "cat2.tracked.mp4",
        "cat2.tracks.jsonl",
        "cat3.mp4",
        "notes.txt",
    ]
    first, second = done.stderr.strip().splitlines()
    assert "cat3.mp4" in first and "nothing was exported" in second
    assert [Path(clip).name for clip in clips_in(str(clips))] == [
        "cat2.mkv",
        "cat3.mp4",
        "cat10.mkv",
    ]  # not what was written


OTHER_PLACES = [pytest.param(options, marks=pytest.mark.slow) for options in (("--no-video",), ("--output", "out/"))]


@pytest.mark.parametrize("options", [(), *OTHER_PLACES], ids=str)
def test_a_folder_that_has_grown_is_tracked_again(clips, monkeypatch, options):
    monkeypatch.chdir(clips.parent)
    folder = clips.parent / "out" if "--output" in options else clips
    arguments = ("clips", "--box", CAT, "--export", "coco", "--export", "mot", *options)
    (clips / "cat10.mkv").rename(clips.parent / "later.mkv")
    shutil.copy(clips / "cat2.mkv", clips / "cat3.mkv")
    assert track(*arguments).exit_code == 0
    kept = {path: path.stat().st_mtime_ns for path in folder.iterdir() if "tracks" in path.name}
    data_set = folder / f"{folder.name}.coco.json"
    assert len(kept) == 2 and len(json.loads(data_set.read_text())["videos"]) == 2
    (clips.parent / "later.mkv").rename(clips / "cat10.mkv")
    for skipped in (2, 3):
        done = track(*arguments, "--skip-existing")
        assert (done.exit_code, done.stderr) == (0, "")
        assert done.stdout.startswith(f"Skipped {skipped} of 3 clips, which are tracked already.")
        assert ("Found" in done.stdout) == (skipped == 2)
        videos = [video["name"] for video in json.loads(data_set.read_text())["videos"]]
        assert videos == ["cat2", "cat3", "cat10"]
        assert (folder / "cat10.mot.txt").exists() and (folder / "cat2.mot.txt").exists()
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


def test_an_interrupted_run_is_not_skipped(clips):
    assert track(clips / "cat2.mkv", "--box", CAT).exit_code == 0
    tracks = clips / "cat2.tracks.jsonl"
    header, *lines = tracks.read_text().splitlines()
    interrupted = json.dumps({**json.loads(header), "interrupted": True})
    tracks.write_text("\n".join([interrupted, *lines[:3]]) + "\n")
    done = track(clips / "cat2.mkv", "--box", CAT, "--skip-existing")
    assert (done.exit_code, done.stderr) == (0, "") and "Skipped" not in done.stdout
    assert vidseg.read_tracks(tracks).frame_count() == 8 and not vidseg.read_tracks(tracks).interrupted


@pytest.mark.parametrize("content", ["", "older", '{"format": "other"}\n'])
def test_what_is_no_tracks_file_is_not_skipped(clips, content):
    (clips / "cat2.tracks.jsonl").write_text(content)
    done = track(clips / "cat2.mkv", "--box", CAT, "--skip-existing")
    assert done.exit_code == 1 and "not a tracks file" in done.stderr and done.stderr.count("\n") == 1
    assert (clips / "cat2.tracks.jsonl").read_text() == content


@pytest.mark.parametrize("command", ["track", "image"])
def test_existing_files_are_either_skipped_or_replaced(command):
    arguments = [command, "a.mp4", "--box", "1,1,9,9", "--overwrite", "--skip-existing"]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 2 and "choose one of --overwrite and --skip-existing" in done.stderr


def test_one_clip_with_an_export(clips):
    done = track(clips / "cat2.mkv", "--box", CAT, "--no-video", "--export", "coco")
    assert done.exit_code == 0, done.stderr
    data = json.loads((clips / "cat2.coco.json").read_text())
    assert len(data["images"]) == 8 and {one["track_id"] for one in data["annotations"]} == {1}
    again = track(
        clips / "cat2.mkv", "--box", CAT, "--no-video", "--export", "coco", "--tracks", clips / "other.tracks.jsonl"
    )
    assert again.exit_code == 0 and (clips / "other.coco.json").exists()
    refused = track(
        clips / "cat2.mkv", "--box", CAT, "--no-video", "--export", "coco", "--tracks", clips / "cat2.tracks.jsonl"
    )
    assert refused.exit_code == 1 and "exists already" in refused.stderr and refused.stderr.count("\n") == 1


def test_names():
    assert (
        result_name("a/b.mp4") == Path("a/b.mp4")
        and result_name("-") == Path("pipe")
        and result_name("0") == Path("camera-0")
    )
    assert result_name("rtsp://user:secret@host:554/live/door.sdp?x=1") == Path("door-sdp-x-1") and result_name(
        "http://host/"
    ) == Path("host")
    assert result_name("rtsp://admin:secret@192.168.1.10:554") == Path("192-168-1-10-554")  # no password in a name
    assert result_name("/dev/video0") == Path("video0")


def test_outputs_that_several_clips_cannot_share(tmp_path):
    with pytest.raises(click.UsageError, match="--tracks names one file"):
        tasks_for(["a.mp4", "b.mp4"], None, Path("t.jsonl"), True)
    with pytest.raises(click.UsageError, match="would have one name"):
        tasks_for(["a/x.mp4", "b/x.mp4"], tmp_path, None, True)
    assert [task.tracks_path for task in tasks_for(["a/x.mp4", "b/x.mp4"], None, None, True)] == [
        Path("a/x.tracks.jsonl"),
        Path("b/x.tracks.jsonl"),
    ]


def test_clips_that_differ_in_their_suffix_alone_keep_it():
    tasks = tasks_for(["a/x.mp4", "a/x.mov", "a/y.mp4"], None, None, True)
    assert [task.tracks_path.name for task in tasks] == ["x.mp4.tracks.jsonl", "x.mov.tracks.jsonl", "y.tracks.jsonl"]


def test_a_clip_given_twice_is_tracked_once(clips):
    assert [Path(task.source).name for task in tasks_for([str(clips), str(clips / "cat2.mkv")], None, None, True)] == [
        "cat2.mkv",
        "cat10.mkv",
    ]


def test_a_folder_of_images_is_one_clip_whatever_else_is_in_it(clips):
    (clips / "0001.png").write_bytes(b"")
    assert clips_in(str(clips)) == [str(clips)]


def test_a_folder_with_one_clip_and_a_new_output_folder(clips, tmp_path):
    (clips / "cat10.mkv").unlink()
    (task,) = tasks_for([str(clips)], tmp_path / "new", None, True)
    assert task.tracks_path == tmp_path / "new/cat2.tracks.jsonl" and (tmp_path / "new").is_dir()


def test_no_result_replaces_what_is_read(clips):
    shutil.copy(clips / "cat2.mkv", clips / "cat2.tracked.mp4")
    before = (clips / "cat2.tracked.mp4").read_bytes()
    done = track(clips / "cat2.mkv", clips / "cat2.tracked.mp4", "--box", CAT, "--overwrite")
    assert done.exit_code == 1 and "cat2.tracked.mp4 is read in the same run" in done.stderr
    assert (clips / "cat2.tracked.mp4").read_bytes() == before


def test_what_can_be_read_once_makes_no_data_set_of_images(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    done = track(tmp_path / "fifo", "--box", CAT, "--export", "yolo-seg")
    assert done.exit_code == 1 and "can be read once only" in done.stderr and done.stderr.count("\n") == 1


def test_ctrl_c_ends_a_source_that_has_fallen_silent(tmp_path):
    whole = Path(
        make_clip(tmp_path / "in.mkv", [2048 * i for i in range(50)])
    ).read_bytes()  # FFmpeg looks at the first five seconds
    os.mkfifo(tmp_path / "fifo")
    command = [
        sys.executable,
        "-c",
        INTERRUPTIBLE,
        "track",
        "fifo",
        "--box",
        "5,5,40,40",
        *DEMO,
    ]
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with open(tmp_path / "fifo", "wb") as pipe:
        pipe.write(whole[: len(whole) * 3 // 4])
        pipe.flush()
        wait_for(lambda: [part for part in tmp_path.glob(".*.jsonl*.part") if part.read_text().count("\n") > 3])
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert files(tmp_path) == ["fifo", "fifo.tracked.mp4", "fifo.tracks.jsonl", "in.mkv"]
    assert 3 <= len(list(vidseg.read_tracks(tmp_path / "fifo.tracks.jsonl"))) < 50


def wait_for(condition, seconds: float = 120):
    """What it gives, as soon as it gives something."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
    return found


def test_pipe(park, tmp_path):
    """Read once, from the front: the frames before anything is found come out as well."""
    code = "from vidseg.commands.main import main; main()"
    command = [sys.executable, "-c", code, "track", "-", "--prompt", "cat", "--keyframe", "3", *DEMO]
    with open(park, "rb") as stream:
        done = subprocess.run(command, stdin=stream, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert files(tmp_path) == ["pipe.tracked.mp4", "pipe.tracks.jsonl"]
    frames = list(vidseg.read_tracks(tmp_path / "pipe.tracks.jsonl"))
    assert [frame.index for frame in frames] == list(range(8))
    assert [len(frame.detections) for frame in frames] == [0, 0, 0, 1, 1, 1, 1, 1]
    assert Clip(tmp_path / "pipe.tracked.mp4").info.frame_count == 8


@pytest.mark.parametrize(
    "prompts, expected",
    [
        ({"boxes": [[5, 210, 120, 338]], "keyframe": 2}, [0, 0, 1, 1, 1, 1, 1, 1]),
        ({"prompt": "airplane"}, [0] * 8),
    ],
    ids=["late keyframe", "nothing found"],
)
def test_what_is_read_once_is_tracked_forwards_alone(park, tmp_path, prompts, expected):
    os.mkfifo(tmp_path / "fifo")
    content = Path(park).read_bytes()
    threading.Thread(target=(tmp_path / "fifo").write_bytes, args=(content,), daemon=True).start()
    run = vidseg.load("demo", device="cpu").track(tmp_path / "fifo", **prompts)
    assert [len(frame.detections) for frame in run] == expected
    assert run.keyframe == (2 if any(expected) else None)
