"""`vidseg image`: from files to files."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import vidseg
from tests.support.clips import make_clip
from tests.support.detections import ids_of, masks_of
from vidseg.commands.main import main
from vidseg.image.results import expand_photos, is_result, place_results
from vidseg.io.images import read_image

SAMPLES = Path(__file__).parents[2] / "samples"
DEMO = ("--model", "demo", "--device", "cpu")
CLOCK = ("--box", "74.6%,59.5%,88%,79.5%@clock")  # roughly, on the desk
QUARTER_TURN = 6  # EXIF orientation

pytestmark = pytest.mark.usefixtures("loaded_once")


@pytest.fixture
def desk(tmp_path):
    """A small copy of the desk, alone in a folder."""
    (tmp_path / "in").mkdir()
    image = cv2.resize(read_image(SAMPLES / "desk.png"), (480, 320), interpolation=cv2.INTER_AREA)
    Image.fromarray(image).save(tmp_path / "in/desk.png")
    return tmp_path / "in/desk.png"


def run(*arguments):
    return CliRunner().invoke(main, ["image", *map(str, arguments), *DEMO])


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_text(desk):
    done = run(desk, "--prompt", "clock. phone")
    assert done.exit_code == 0, done.stderr
    assert files(desk.parent) == ["desk.png", "desk.segmented.png", "desk.tracks.jsonl"]
    tracks = vidseg.read_tracks(desk.with_name("desk.tracks.jsonl"))
    (frame,) = tracks
    assert sorted(frame.detections.data["class_name"]) == ["clock", "phone"]
    assert (tracks.header["width"], tracks.header["height"], tracks.header["prompts"]) == (480, 320, ["clock", "phone"])
    assert tracks.header["clip"] == str(desk) and tracks.header["models"] == {
        "sam": "demo/sam",
        "detector": "demo/detector",
    }
    drawn, plain = read_image(desk.with_name("desk.segmented.png")), read_image(desk)
    assert drawn.shape == plain.shape and (drawn != plain).any(2)[masks_of(frame.detections).any(0)].mean() > 0.9
    assert (
        "clock 1" in done.stdout.replace("phone 1, ", "").replace("clock 2", "clock 1") and "2 objects" in done.stdout
    )


def test_everything_for_one_object(desk, tmp_path):
    done = run(desk, *CLOCK, "--output", tmp_path / "new/out", "--masks", "--cutout", "--multimask")
    assert done.exit_code == 0, done.stderr
    out = tmp_path / "new/out"
    assert files(desk.parent) == ["desk.png"]
    names = ["candidate-1", "candidate-2", "candidate-3", "cutout-1", "mask-1", "segmented"]
    assert files(out) == [*(f"desk.{name}.png" for name in names), "desk.tracks.jsonl"]
    (frame,) = vidseg.read_tracks(out / "desk.tracks.jsonl")
    (mask,) = masks_of(frame.detections)
    assert (cv2.imread(str(out / "desk.mask-1.png"), -1) == mask * 255).all()
    cut = np.asarray(Image.open(out / "desk.cutout-1.png"))
    x1, y1, x2, y2 = frame.detections.xyxy[0].astype(int)
    assert cut.shape == (y2 - y1 + 2, x2 - x1 + 2, 4)
    assert ((cut[1:-1, 1:-1, 3] > 127) == mask[y1:y2, x1:x2]).all() and len(
        np.unique(cut[..., 3])
    ) > 2  # soft, and at half the mask
    assert (
        cut[..., :3][cut[..., 3] == 255] == read_image(desk)[y1 - 1 : y2 + 1, x1 - 1 : x2 + 1][cut[..., 3] == 255]
    ).all()
    assert done.stdout.count("candidate") > 3 and "IoU 0." in done.stdout


def test_points_as_options(desk):
    """A click that refines the box, one beside the object, and a second object: the same as through the API."""
    done = run(
        desk,
        "--box",
        "358,190,423,254@my clock",
        "--point",
        "81.5%,69%",
        "--point",
        "10,20,-",
        "--point",
        "200 , 262@5",
        "--allow-overlap",
    )
    assert done.exit_code == 0, done.stderr
    (frame,) = vidseg.read_tracks(desk.with_name("desk.tracks.jsonl"))
    prompts = [
        {
            "id": 1,
            "label": "my clock",
            "box": [358, 190, 423, 254],
            "points": [[0.815 * 480, 0.69 * 320], [10, 20]],
            "point_labels": [1, 0],
        },
        {"id": 5, "points": [[200, 262]]},
    ]
    expected = vidseg.load("demo", device="cpu").segment(desk, prompts=prompts, allow_overlap=True)
    assert ids_of(frame.detections) == ids_of(expected.detections) == [1, 5]
    assert list(frame.detections.data["class_name"]) == ["my clock", "object"]
    assert (masks_of(frame.detections) == masks_of(expected.detections)).all()


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((), "what should be outlined"),
        (("--point", "1"), "is no point"),
        (("--point", "1,2,3"), "is no point"),
        (("--point", "1,2@0"), "is no point"),
        (("--point", "a,b"), "is no point"),
        (("--box", "1,2,3"), "is no box"),
        (("--box", "1,2,3,4@"), "is no box"),
        (("--box", "1,2,3,4px"), "is no box"),
        (("--prompt", "cup", "--multimask"), "--multimask is for"),
        (("--mask", "m.png", "--point", "3,3@1"), "given by --mask"),
    ],
    ids=str,
)
def test_wrong_usage(desk, monkeypatch, arguments, message):
    monkeypatch.chdir(desk.parent)
    cv2.imwrite("m.png", np.ones((320, 480), np.uint8))
    done = run(desk, *arguments)
    assert done.exit_code == 2 and message in done.stderr
    assert files(desk.parent) == ["desk.png", "m.png"]


def mixed(folder: Path, desk: Path) -> tuple[list[str], list[str]]:
    """Forty photos as people have them: (names of the good ones, names of the bad ones)."""
    image = np.asarray(Image.open(desk))
    exif = Image.Exif()
    exif[274] = QUARTER_TURN
    good, bad = [], ["broken.jpg", "cut.png", "film.jpg", "words.png", "nothing.webp"]
    for number in range(20):
        width, height = 61 + 17 * number, 203 - 7 * number
        suffix = ("png", "jpg", "webp", "tif", "bmp")[number % 5]
        good.append(f"odd{number}.{suffix}")
        Image.fromarray(cv2.resize(image, (width, height))).save(folder / good[-1])
    for number in range(5):
        good.append(f"turned{number}.jpg")
        Image.fromarray(image).save(folder / good[-1], exif=exif)
    for name, picture in {
        "cmyk.jpg": Image.fromarray(image).convert("CMYK"),
        "grey.png": Image.fromarray(image).convert("L"),
        "grey.jpg": Image.fromarray(image).convert("L"),
        "palette.png": Image.fromarray(image).quantize(64),
        "alpha.png": Image.fromarray(image).convert("RGBA"),
        "alpha.webp": Image.fromarray(image).convert("RGBA"),
        "dot.png": Image.new("RGB", (1, 1), "red"),
        "line.png": Image.new("RGB", (70, 1), "blue"),
        "two words, ümlaut.png": Image.fromarray(image),
    }.items():
        good.append(name)
        picture.save(folder / name)
    good.append("deep.png")
    cv2.imwrite(str(folder / "deep.png"), image[..., ::-1].astype(np.uint16) * 257)
    for name in ("broken.jpg", "cut.png"):
        Image.fromarray(image).save(folder / name)
        (folder / name).write_bytes((folder / name).read_bytes()[:5000])
    shutil.move(make_clip(folder / "film.mp4"), folder / "film.jpg")
    (folder / "words.png").write_text("this is no picture")
    (folder / "nothing.webp").write_bytes(b"")
    return good, bad


def test_folder_of_mixed_images(desk, tmp_path):
    """Every good one is done; every bad one is one line at the end."""
    folder = tmp_path / "mixed"
    folder.mkdir()
    good, bad = mixed(folder, desk)
    assert len(good) + len(bad) == 40
    done = run(folder, "--box", "20%,20%,80%,80%", "--output", tmp_path / "out")
    assert done.exit_code == 1
    lines = done.stderr.strip().splitlines()
    assert len(lines) == len(bad) and all(sum(name in line for line in lines) == 1 for name in bad), done.stderr
    assert all(line.startswith("vidseg: ") for line in lines)
    # Photos whose names differ in the suffix alone keep it.
    stems = [Path(name).stem for name in good + bad]
    expected = sorted(
        f"{name if stems.count(Path(name).stem) > 1 else Path(name).stem}.{end}"
        for name in good
        for end in ("segmented.png", "tracks.jsonl")
    )
    assert files(tmp_path / "out") == expected
    assert "35 of 40 photos" in done.stdout
    for name in good:
        stem = name if stems.count(Path(name).stem) > 1 else Path(name).stem
        assert read_image(tmp_path / "out" / f"{stem}.segmented.png").shape == read_image(folder / name).shape
    assert read_image(tmp_path / "out/turned0.segmented.png").shape[:2] == (480, 320)


@pytest.mark.parametrize(
    "name, dtype, scale, offset",
    [("a.png", np.uint16, 16, 0), ("a.tif", np.float32, 1, 0), ("a.tif", np.float32, 0.125, 273)],
)
def test_a_photo_that_uses_a_part_of_its_range(desk, tmp_path, name, dtype, scale, offset):
    values = (read_image(desk)[..., ::-1] * scale + offset).astype(dtype)
    for number in range(2):
        cv2.imwrite(str(tmp_path / f"{number}{name}"), values)
    done = run(*tmp_path.glob(f"?{name}"), "--prompt", "clock")
    assert done.exit_code == 0 and "2 objects" in done.stdout
    (line,) = [line for line in done.stderr.splitlines() if "are shown as 0 to 255" in line]
    assert line.startswith("vidseg: ") and name in line and line.endswith("(and likewise in 1 more)")
    quiet = run(desk, "--prompt", "clock")
    assert quiet.exit_code == 0 and "are shown" not in quiet.stderr


def test_nothing_is_replaced_unasked(desk):
    assert run(desk, *CLOCK).exit_code == 0
    before = desk.with_name("desk.segmented.png").read_bytes()
    again = run(desk, "--box", "1,1,90,90")
    assert again.exit_code == 1 and "desk.segmented.png exists already" in again.stderr
    assert desk.with_name("desk.segmented.png").read_bytes() == before
    assert run(desk, "--box", "1,1,90,90", "--overwrite").exit_code == 0
    assert desk.with_name("desk.segmented.png").read_bytes() != before


@pytest.mark.parametrize("name", ["desk.segmented.png", "desk.tracks.jsonl"])
@pytest.mark.parametrize("kind", ["file", "folder", "no permission"])
def test_outputs_are_checked_before_models_are_loaded(desk, monkeypatch, name, kind):
    monkeypatch.setattr(vidseg, "load", lambda *_, **__: pytest.fail("loaded"))
    taken = desk.with_name(name)
    if kind == "folder":
        taken.mkdir()
    elif kind == "file":
        taken.write_text("mine")
    else:
        monkeypatch.setattr("os.access", lambda *_, **__: False)
    done = run(desk, "--prompt", "clock", *(["--overwrite"] if kind == "folder" else []))
    assert done.exit_code == 1 and done.stderr.count("\n") == 1, done.output
    assert f"{desk}: " in done.stderr or name in done.stderr


def test_a_photo_without_room_for_its_results_does_not_stop_the_others(desk):
    shutil.copy(desk, desk.with_name("two.png"))
    desk.with_name("desk.tracks.jsonl").write_text("mine")
    done = run(desk.parent, *CLOCK)
    assert done.exit_code == 1 and done.stderr.count("\n") == 1 and "desk.tracks.jsonl exists already" in done.stderr
    assert "1 of 2 photos" in done.stdout
    assert files(desk.parent) == ["desk.png", "desk.tracks.jsonl", "two.png", "two.segmented.png", "two.tracks.jsonl"]


def test_what_was_drawn_by_hand_is_not_replaced(desk):
    """A mask that is given, and one that lies there, under names that results have."""
    mask = desk.with_name("desk.mask-1.png")
    drawn = np.zeros((320, 480), np.uint8)
    drawn[190:254, 358:423] = 255
    cv2.imwrite(str(mask), drawn)
    for overwrite in ((), ("--overwrite",)):
        done = run(desk, "--mask", mask, "--masks", *overwrite)
        assert done.exit_code == 1 and "desk.mask-1.png is read in the same run" in done.stderr
        assert (cv2.imread(str(mask), -1) == drawn).all() and files(desk.parent) == ["desk.mask-1.png", "desk.png"]


def test_no_result_replaces_another_photo(desk):
    other = desk.with_name("desk.segmented.png")
    shutil.copy(desk, other)
    before = other.read_bytes()
    done = run(desk, other, *CLOCK, "--overwrite")
    assert (
        done.exit_code == 1
        and "desk.segmented.png is read in the same run" in done.stderr
        and other.read_bytes() == before
    )


def test_results_are_no_photos(desk):
    """A folder can be given twice: what was written into it is not segmented in turn."""
    assert run(desk.parent, *CLOCK, "--masks", "--cutout", "--multimask").exit_code == 0
    found, failures = expand_photos([str(desk.parent), str(desk.parent / "*.png")])
    assert found == [desk] and not failures
    assert not is_result(Path("my.photo.png")) and is_result(Path("my.photo.mask-12.png"))


def test_names_folders_and_patterns(tmp_path):
    for name in ("b.png", "a.jpg", "img10.png", "img2.png", "notes.txt"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "empty").mkdir()
    found, failures = expand_photos(
        [
            str(tmp_path / "b.png"),
            str(tmp_path),
            str(tmp_path / "img*.png"),
            str(tmp_path / "empty"),
            str(tmp_path / "no*.png"),
        ]
    )
    assert [path.name for path in found] == ["b.png", "a.jpg", "img2.png", "img10.png"]
    assert len(failures) == 2 and "empty" in failures[0] and "no*.png" in failures[1]
    missing, failures = expand_photos([str(tmp_path / "none.png")])
    assert [path.name for path in missing] == [
        "none.png"
    ] and not failures  # it is said what is wrong when it is its turn


def test_results_go_where_they_are_asked_for(tmp_path):
    one, two, three = tmp_path / "a/x.png", tmp_path / "b/x.jpg", tmp_path / "a/y.png"
    beside, _ = place_results([one, two, three], None)
    assert (
        beside[one].path("tracks.jsonl") == tmp_path / "a/x.tracks.jsonl"
        and beside[two].path("tracks.jsonl") == tmp_path / "b/x.tracks.jsonl"
    )
    together, failures = place_results([one, two, three], tmp_path / "out")
    assert not failures
    assert together[one].path("segmented.png") == tmp_path / "out/x.png.segmented.png"
    assert (
        together[two].path("segmented.png") == tmp_path / "out/x.jpg.segmented.png" and together[three].stem.name == "y"
    )


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("none.png",), "none.png: cannot be read"),
        (("none*.png",), "no photo"),
        (("desk.png", "--output", "desk.png"), "cannot be made a folder"),
        (("desk.png", "--box", "481,1,490,9"), "outside the picture"),
        (("desk.png", "--mask", "none.png"), "none.png: cannot be read"),
    ],
)
def test_one_clear_line(desk, monkeypatch, arguments, message):
    monkeypatch.chdir(desk.parent)
    done = run(*arguments, *(() if "--box" in arguments or "--mask" in arguments else CLOCK))
    assert done.exit_code == 1 and message in done.stderr and done.stderr.count("\n") == 1
    assert files(desk.parent) == ["desk.png"]


def test_same_names_from_two_folders(desk, tmp_path):
    (tmp_path / "other").mkdir()
    shutil.copy(desk, tmp_path / "other/desk.png")
    done = run(desk, tmp_path / "other/desk.png", *CLOCK, "--output", tmp_path / "out")
    assert done.exit_code == 1 and "would have the names" in done.stderr
    assert files(tmp_path / "out") == ["desk.png.segmented.png", "desk.png.tracks.jsonl"]


@pytest.mark.parametrize(("threshold", "found"), [((), False), (("--box-threshold", "0.2"), True)])
def test_threshold(desk, threshold, found):
    done = run(SAMPLES / "desk.png", "--prompt", "car", "--output", desk.parent, *threshold)
    assert done.exit_code == 0, done.stderr
    assert ("found nothing (best score 0.32, see --box-threshold)" not in done.stdout) is found
    (frame,) = vidseg.read_tracks(desk.parent / "desk.tracks.jsonl")
    assert (len(frame.detections) > 0) is found
