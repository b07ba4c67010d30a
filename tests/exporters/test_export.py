"""What all formats have in common: names, what is refused, and that nothing half-written stays."""

import gc
import os
import subprocess
import sys
import tracemalloc
from importlib import import_module
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import vidseg
from tests.support.clips import COUNT, make_clip
from tests.support.truth import AWKWARD, CORNER, RING, save, shape
from vidseg.commands.main import main
from vidseg.errors import InputError, OutputError
from vidseg.exporters.formats import FORMATS

NAMES = {
    "coco": "clip.coco.json",
    "labels": "clip.labels.json",
    "youtube-vis": "clip.ytvis.json",
    "davis": "clip.davis",
    "mot": "clip.mot.txt",
    "mots": "clip.mots.txt",
    "yolo-seg": "clip.yolo",
    "csv": "clip.csv",
    "parquet": "clip.parquet",
}
SMALL = {0: {1: ("dog", RING)}, 1: {1: ("dog", RING)}}


def prepare(tmp_path, frames=AWKWARD):
    make_clip(tmp_path / "clip.mp4")
    return save(tmp_path / "clip.tracks.jsonl", frames)


def content(path) -> Any:
    """What lies at a path, whatever it is."""
    if path.is_dir():
        return {file.relative_to(path).as_posix(): file.read_bytes() for file in path.rglob("*") if file.is_file()}
    return path.read_bytes()


def listing(folder):
    return sorted(os.listdir(folder))


@pytest.mark.parametrize("kind", FORMATS)
def test_names_and_replacing(tmp_path, kind):
    tracks = prepare(tmp_path)
    (path,) = vidseg.export(tracks, kind)
    assert path == tmp_path / NAMES[kind] and listing(tmp_path) == sorted(
        ["clip.mp4", "clip.tracks.jsonl", NAMES[kind]]
    )
    first = content(path)
    with pytest.raises(OutputError, match="exists already: choose another name, or allow --overwrite"):
        vidseg.export(tracks, kind)
    save(tracks, {**AWKWARD, 20: {1: ("dog", RING)}})
    vidseg.export(tracks, kind, overwrite=True)
    assert content(path) != first and listing(tmp_path) == sorted(["clip.mp4", "clip.tracks.jsonl", NAMES[kind]])
    (other,) = vidseg.export(tracks, kind, tmp_path / f"other{FORMATS[kind].suffix}")
    assert other == tmp_path / f"other{FORMATS[kind].suffix}"
    assert not path.is_dir() or content(other).keys() == content(path).keys()


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("older", [False, True])
def test_nothing_is_left_when_the_tracks_break(tmp_path, kind, older):
    tracks = prepare(tmp_path)
    path = tmp_path / NAMES[kind]
    if older:
        vidseg.export(tracks, kind)
        before = content(path)
    tracks.write_text(tracks.read_text()[:-200])
    there = listing(tmp_path)
    with pytest.raises(InputError, match="line 7 is broken"):
        vidseg.export(tracks, kind, overwrite=True)
    assert listing(tmp_path) == there and (not older or content(path) == before)


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
@pytest.mark.parametrize("kind", ["coco", "youtube-vis"])
def test_nothing_is_left_of_images_either(tmp_path, monkeypatch, error, kind):
    tracks, written = prepare(tmp_path), []
    module = import_module(f"vidseg.exporters.{FORMATS[kind].module}")
    save_jpeg = module.save_jpeg

    def fails_later(path, image):
        if len(written) == 3:
            raise error(28, "No space left on device")  # a new one: it would keep the frames of its traceback
        save_jpeg(path, image)
        written.append(path)

    monkeypatch.setattr(module, "save_jpeg", fails_later)
    with pytest.raises((KeyboardInterrupt, OutputError)) as caught:
        vidseg.export(tracks, kind, images=True)
    if error is not KeyboardInterrupt:
        assert (
            str(caught.value)
            == f"{tmp_path / NAMES[kind]} cannot be written: No space left on device; check space and permissions"
        )
    assert len(written) == 3 and listing(tmp_path) == ["clip.mp4", "clip.tracks.jsonl"]


@pytest.mark.parametrize("kind", FORMATS)
def test_progress_counts_all_frames_and_can_stop(tmp_path, kind):
    tracks, told, suffix = prepare(tmp_path), [], FORMATS[kind].suffix
    vidseg.export(tracks, kind, tmp_path / f"whole{suffix}", every=2, progress=lambda *counts: told.append(counts))
    assert told == [(done, len(AWKWARD)) for done in range(1, len(AWKWARD) + 1)]

    def stop(done, total):
        if done == 2:
            raise KeyboardInterrupt

    there = listing(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        vidseg.export(tracks, kind, tmp_path / f"stopped{suffix}", images=FORMATS[kind].images, progress=stop)
    assert listing(tmp_path) == there


def test_a_folder_that_is_not_an_export_is_never_replaced(tmp_path):
    tracks = prepare(tmp_path)
    for kind, inside in (
        ("davis", "thesis.docx"),
        ("davis", "sub/00001.png"),
        ("yolo-seg", "images/me.jpg"),
        ("yolo-seg", "notes.txt"),
    ):
        folder = tmp_path / f"{kind}-{inside.replace('/', '-')}"
        (folder / inside).parent.mkdir(parents=True)
        (folder / inside).write_text("mine")
        with pytest.raises(OutputError, match="is a folder with other files in it"):
            vidseg.export(tracks, kind, folder, overwrite=True)
        assert content(folder) == {inside: b"mine"}
    (tmp_path / "empty").mkdir()
    assert vidseg.export(tracks, "davis", tmp_path / "empty") and len(listing(tmp_path / "empty")) == len(AWKWARD)
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    with pytest.raises(OutputError, match="not a folder"):
        vidseg.export(tracks, "davis", tmp_path / "link", overwrite=True)


def test_what_is_read_is_never_replaced(tmp_path):
    tracks = prepare(tmp_path)
    before = content(tmp_path)
    for kind, output in (("csv", tracks), ("coco", tmp_path / "x/../clip.tracks.jsonl"), ("yolo-seg", tmp_path)):
        (tmp_path / "x").mkdir(exist_ok=True)
        with pytest.raises(OutputError, match="is what is read"):
            vidseg.export(tracks, kind, output, overwrite=True)
    assert content(tmp_path) == before
    frames = tmp_path / "frames"
    vidseg.export(tracks, "davis", frames)
    with pytest.raises(OutputError, match="is what is read"):
        vidseg.export(tracks, "yolo-seg", frames, clip=frames, overwrite=True)
    with pytest.raises(OutputError, match="is what is read"):
        vidseg.export(tracks, "coco", tmp_path / "clip.mp4", images=True, overwrite=True)


def test_where_the_clip_is_looked_for(tmp_path, monkeypatch):
    (tmp_path / "clips").mkdir()
    (tmp_path / "moved").mkdir()
    (tmp_path / "away").mkdir()
    clip = make_clip(tmp_path / "clips/a.mp4")
    monkeypatch.chdir(tmp_path)
    tracks = save(tmp_path / "moved/a.tracks.jsonl", SMALL, clip="clips/a.mp4")
    assert vidseg.export("moved/a.tracks.jsonl", "yolo-seg", "one")  # from here
    monkeypatch.chdir(tmp_path / "away")
    with pytest.raises(
        InputError, match=r"a.tracks.jsonl: its clip clips/a.mp4 is not there; name the clip with clip \(--clip\)"
    ):
        vidseg.export(tracks, "yolo-seg")
    assert vidseg.export(tracks, "yolo-seg", tmp_path / "two", clip=clip)
    os.rename(clip, tmp_path / "moved/a.mp4")
    assert vidseg.export(tracks, "yolo-seg", tmp_path / "three")  # moved beside the tracks
    with pytest.raises(InputError, match="does not say which clip it is of"):
        vidseg.export(save(tmp_path / "b.tracks.jsonl", SMALL, clip=""), "yolo-seg")
    assert vidseg.export(tmp_path / "b.tracks.jsonl", "coco")  # needs none


def test_a_clip_that_does_not_fit_is_refused(tmp_path):
    tracks = prepare(tmp_path)
    other = make_clip(tmp_path / "other.mp4", size=(80, 48))
    with pytest.raises(InputError, match="is for a clip of 64×48 pixels and .*other.mp4 has 80×48"):
        vidseg.export(tracks, "yolo-seg", clip=other)
    save(tracks, {5: {}, COUNT: {}})
    with pytest.raises(InputError, match=f"clip.mp4 has no frame {COUNT}, which .*clip.tracks.jsonl has"):
        vidseg.export(tracks, "yolo-seg")
    save(tracks, {COUNT + 5: {}})
    with pytest.raises(InputError, match=f"clip.mp4 has no frame {COUNT + 5}, "):
        vidseg.export(tracks, "yolo-seg")
    with pytest.raises(InputError, match="none.mp4: no such file"):
        vidseg.export(tracks, "yolo-seg", clip=tmp_path / "none.mp4")
    assert listing(tmp_path) == ["clip.mp4", "clip.tracks.jsonl", "other.mp4"]


def run(*arguments):
    return CliRunner().invoke(main, ["export", *map(str, arguments)])


def test_command(tmp_path):
    tracks = prepare(tmp_path)
    result = run(tracks, "--format", "coco", "--images", "--every", 2, "--min-score", 0.5)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"Wrote {tmp_path}/clip.coco.json\nWrote {tmp_path}/clip.coco.images\n"
    assert len(listing(tmp_path / "clip.coco.images")) == 4
    (tmp_path / "results").mkdir()
    assert run(tracks, "--format", "mot", "--output", tmp_path / "results").exit_code == 0
    assert listing(tmp_path / "results") == ["clip.mot.txt"]


@pytest.mark.parametrize("output", ["new/", "new", "far/away", "v1.5/"])
def test_a_folder_to_write_to_is_made(tmp_path, monkeypatch, output):
    monkeypatch.chdir(tmp_path)
    for name in "ab":
        save(f"{name}.tracks.jsonl", SMALL)
    assert run("a.tracks.jsonl", "--format", "mot", "--output", output).exit_code == 0
    assert run("a.tracks.jsonl", "b.tracks.jsonl", "--format", "coco", "--output", output).exit_code == 0
    name = output.strip("/").split("/")[-1]
    assert listing(output) == sorted(["a.mot.txt", f"{name}.coco.json"])
    make_clip("clip.mp4")
    assert run("a.tracks.jsonl", "--format", "davis", "--output", "more/" + output).exit_code == 0
    assert listing("more/" + output) == ["00000.png", "00001.png"]  # the folder is the data set itself


WRONG_NAMES = [
    ("yolo", "yolo-seg"),
    ("YOLO", "yolo-seg"),
    ("coco-json", "coco"),
    ("youtubevis", "youtube-vis"),
    ("label", "labels"),
    ("davis2017", "davis"),
    ("mott", "mot"),
    ("parque", "parquet"),
]


@pytest.mark.parametrize(("wrong", "right"), WRONG_NAMES)
def test_a_wrong_format_gets_the_one_that_it_is_like(tmp_path, wrong, right):
    tracks = save(tmp_path / "a.tracks.jsonl", SMALL)
    with pytest.raises(InputError, match=f"'{wrong}' is not a format; .* Did you mean {right}\\?$"):
        vidseg.export(tracks, wrong)
    commands = (
        ["export", str(tracks), "--format", wrong],
        ["track", "a.mp4", "--prompt", "dog", "--export", wrong],
        ["image", "a.png", "--prompt", "dog", "--export", wrong],
    )
    for command in commands:
        result = CliRunner().invoke(main, command)
        assert result.exit_code == 2 and f"Did you mean {right}?" in result.stderr, result.output


def test_a_format_like_none_gets_no_hint(tmp_path):
    tracks = save(tmp_path / "a.tracks.jsonl", SMALL)
    with pytest.raises(InputError, match="parquet$"):
        vidseg.export(tracks, "xyz")
    result = run(tracks, "--format", "xyz")
    assert result.exit_code == 2 and "Did you mean" not in result.stderr


@pytest.mark.parametrize("kind", [name for name, one in FORMATS.items() if one.several])
@pytest.mark.parametrize("clips", [1, 3])
def test_folder_of_tracks_files(tmp_path, kind, clips):
    folder = tmp_path / "results"
    folder.mkdir()
    names = ["clip10", "clip2", "clip3"][:clips]
    for name in names:
        make_clip(folder / f"{name}.mp4")
        save(folder / f"{name}.tracks.jsonl", SMALL, clip=f"elsewhere/{name}.mp4")
    (folder / "notes.txt").write_text("no tracks")
    expected = folder / NAMES[kind].replace("clip", "results" if clips > 1 else names[0], 1)
    assert vidseg.export(folder, kind) == [expected]
    files = [folder / f"{name}.tracks.jsonl" for name in (["clip2", "clip3", "clip10"] if clips > 1 else names)]
    suffix = FORMATS[kind].suffix
    (by_name,) = vidseg.export(files, kind, tmp_path / f"by name{suffix}")
    assert content(expected) == content(by_name)
    result = run(folder, "--format", kind, "--overwrite")
    assert (result.exit_code, result.stdout) == (0, f"Wrote {expected}\n"), result.output
    assert run(folder, "--format", kind, "--output", tmp_path / f"own{suffix}").exit_code == 0
    assert content(tmp_path / f"own{suffix}") == content(expected)


def test_help_tells_the_formats():
    result = run("--help")
    text = " ".join(result.stdout.split()).replace("| ", "|")
    assert result.exit_code == 0 and all(kind in text for kind in FORMATS)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["none.jsonl", "--format", "coco"], "none.jsonl: cannot be read"),
        (["clip.mp4", "--format", "coco"], "clip.mp4: not a tracks file"),
        (["a.tracks.jsonl", "--format", "mot", "--images"], "images go with coco, labels, youtube-vis; mot has none"),
        (["a.tracks.jsonl", "--format", "yolo-seg", "--images"], "yolo-seg has them anyway"),
        (
            ["a.tracks.jsonl", "b.tracks.jsonl", "--format", "mot", "--output", "x"],
            "mot holds one clip, and 2 tracks files were given",
        ),
        (
            ["a.tracks.jsonl", "b.tracks.jsonl", "--format", "coco"],
            "one data set; give it a name with output (--output)",
        ),
        (["a.tracks.jsonl", "./a.tracks.jsonl", "--format", "coco", "--output", "x"], "was given twice"),
        (
            ["a.tracks.jsonl", "b.tracks.jsonl", "--format", "coco", "--output", "x", "--clip", "clip.mp4"],
            "one clip was given for several",
        ),
        (["a.tracks.jsonl", "--format", "coco", "--output", "none/x.json"], "there is no folder none"),
        (["a.tracks.jsonl", "--format", "davis", "--output", "none/x.d"], "there is no folder none"),
        (["a.tracks.jsonl", "--format", "davis", "--output", "clip.mp4"], "is not a folder"),
        (["a.tracks.jsonl", "--format", "coco", "--output", "x" * 300], "cannot be made a folder (File name too long)"),
        (
            ["a.tracks.jsonl", "--format", "davis", "--output", "x" * 300],
            "cannot be written: File name too long; choose another name",
        ),
        (["a.tracks.jsonl", "--format", "yolo-seg", "--clip", "none.mp4"], "none.mp4: no such file"),
    ],
)
def test_refused_in_one_line(tmp_path, monkeypatch, arguments, says):
    monkeypatch.chdir(tmp_path)
    make_clip("clip.mp4")
    for name in "ab":
        save(f"{name}.tracks.jsonl", SMALL)
    there = listing(".")
    result = run(*arguments)
    assert result.exit_code == 1 and isinstance(result.exception, SystemExit) and result.stdout == "", result.output
    assert result.stderr.startswith("vidseg: ") and result.stderr.count("\n") == 1 and says in result.stderr, (
        result.stderr
    )
    assert listing(".") == there


def test_arguments_of_the_function(tmp_path):
    tracks = save(tmp_path / "a.tracks.jsonl", SMALL)
    with pytest.raises(InputError, match="'gif' is not a format; choose one of coco, labels"):
        vidseg.export(tracks, "gif")
    with pytest.raises(InputError, match="each 0th frame"):
        vidseg.export(tracks, "coco", every=0)
    with pytest.raises(InputError, match="no tracks file was given"):
        vidseg.export([], "coco")


def test_it_is_cheap_to_have():
    code = (
        "import sys, vidseg, vidseg.commands.main\n"
        "packages = {'numpy', 'cv2', 'av', 'torch', 'supervision', 'pyarrow', 'PIL', 'pycocotools', 'scipy'}\n"
        "heavy = packages & set(sys.modules)\n"
        "assert callable(vidseg.export) and not heavy, heavy\n"
        "from vidseg.exporters import mot\n"
        "import vidseg.exporters.coco\n"
        "assert callable(vidseg.export) and callable(mot.write)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


SLOW_ONES = [pytest.param(kind, marks=pytest.mark.slow) for kind in ("labels", "mot", "csv", "davis")]


@pytest.mark.parametrize("kind", ["coco", "youtube-vis", "mots", *SLOW_ONES])
def test_memory_does_not_grow_with_the_clip(tmp_path, kind):
    random = np.random.default_rng(0)
    noise = RING if kind == "labels" else shape((5, 5, 40, 40)) & (random.random(RING.shape) < 0.7)

    def peak(count):
        gc.collect()  # what other tests have left
        tracks = save(
            tmp_path / f"{count}.jsonl", {index: {1: ("dog", noise), 2: ("cat", CORNER)} for index in range(count)}
        )
        tracemalloc.start()
        try:
            vidseg.export(tracks, kind, overwrite=True)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(1)  # imports
    assert min(peak(400), peak(400)) < peak(100) * 1.5  # twice, as other threads are counted too
