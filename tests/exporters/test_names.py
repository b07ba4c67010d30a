"""Exports name images like the files that were tracked."""

from __future__ import annotations

import csv
import json
import shutil
from fractions import Fraction

import pytest
from PIL import Image

import vidseg
from tests.rendering.test_render import tracked as frame_with
from tests.support.clips import number_of, picture
from vidseg.errors import InputError
from vidseg.evaluation.metrics import evaluate
from vidseg.io.clip import Clip
from vidseg.tracks.file import TracksWriter, header_of

CAMERA = [f"cam1_{number:06d}.jpg" for number in range(120, 145, 5)]
NAMES = {
    "camera": CAMERA,
    "mixed": ["a.jpg", "a.png", "B.tif", "shot 3 (größe).png"],
    "numbers": ["7.png", "8.png", "10.png"],
}


def folder_of(path, names):
    path.mkdir(parents=True)
    for number, name in enumerate(names):
        Image.fromarray(picture(number)).save(path / name, **({"quality": 100} if name.endswith(".jpg") else {}))
    return path


def tracked(folder, tracks):
    """Write tracks of a folder of images as `vidseg track` does, with an object on each frame."""
    info = Clip(folder).info
    header = header_of(
        info.path, info.width, info.height, info.frame_rate, info.time_base, ["dog"], {}, info.frame_names
    )
    with TracksWriter(tracks, header) as writer:
        for frame in Clip(folder).frames():
            writer.write(frame_with((64, 48), [(5, 5, 20, 20)], [4], ["dog"], frame.index, frame.time))
    return tracks


@pytest.mark.parametrize("case", NAMES)
def test_names_alone_are_those_of_the_files(tmp_path, case):
    tracks = tracked(folder_of(tmp_path / "in/shots", NAMES[case]), tmp_path / "shots.tracks.jsonl")
    shutil.rmtree(tmp_path / "in")  # the folder has moved
    for kind in ("coco", "labels"):
        data = json.loads(vidseg.export(tracks, kind)[0].read_text(encoding="utf-8"))
        assert [image["file_name"] for image in data["images"]] == NAMES[case]
        assert evaluate(tracks, tmp_path / f"shots.{kind}.json").frames == len(NAMES[case])
    data = json.loads(vidseg.export(tracks, "youtube-vis", every=2)[0].read_text(encoding="utf-8"))
    assert data["videos"][0]["file_names"] == [f"shots/{name}" for name in NAMES[case][::2]]
    with open(vidseg.export(tracks, "csv")[0], encoding="utf-8", newline="") as file:
        assert [row["name"] for row in csv.DictReader(file)] == NAMES[case]
    pandas = pytest.importorskip("pandas")
    assert list(pandas.read_parquet(vidseg.export(tracks, "parquet")[0])["name"]) == NAMES[case]


@pytest.mark.parametrize(
    ("case", "written"),
    [
        ("camera", CAMERA),
        ("mixed", ["a.jpg.jpg", "a.png.jpg", "B.jpg", "shot 3 (größe).jpg"]),
        ("numbers", ["7.jpg", "8.jpg", "10.jpg"]),
    ],
)
def test_images_that_are_written_keep_their_stems(tmp_path, case, written):
    tracks = tracked(folder_of(tmp_path / "shots", NAMES[case]), tmp_path / "shots.tracks.jsonl")
    for kind, inside in (("coco", ""), ("labels", ""), ("youtube-vis", "shots/")):
        file, images = vidseg.export(tracks, kind, images=True)
        assert sorted(path.relative_to(images).as_posix() for path in images.rglob("*.jpg")) == sorted(
            inside + name for name in written
        )
        data = json.loads(file.read_text(encoding="utf-8"))
        names = data["videos"][0]["file_names"] if inside else [image["file_name"] for image in data["images"]]
        assert names == [inside + name for name in written]
        for number, name in enumerate(names):
            assert number_of(next(Clip(images / name).frames()).image) == number
    (data,) = vidseg.export(tracks, "yolo-seg")
    assert sorted(path.name for path in data.glob("images/*/*")) == sorted(written)
    assert sorted(path.name for path in data.glob("labels/*/*")) == sorted(f"{name[:-4]}.txt" for name in written)


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        (["d1.jpg", "d2.jpg"], [*CAMERA, "d1.jpg", "d2.jpg"]),
        (CAMERA[:2], [*(f"a_{name}" for name in CAMERA), *(f"b_{name}" for name in CAMERA[:2])]),
        (["CAM1_000120.png"], [*(f"a_{name}" for name in CAMERA), "b_CAM1_000120.jpg"]),
    ],
)
def test_images_of_several_folders(tmp_path, others, expected):
    paths = [
        tracked(folder_of(tmp_path / name, names), tmp_path / f"{name}.tracks.jsonl")
        for name, names in (("a", CAMERA), ("b", others))
    ]
    file, images = vidseg.export(paths, "coco", tmp_path / "set.json", images=True)
    data = json.loads(file.read_text())
    assert [image["file_name"] for image in data["images"]] == expected
    assert sorted(path.name for path in images.iterdir()) == sorted(expected)
    (data,) = vidseg.export(paths, "yolo-seg", tmp_path / "set")
    assert sorted(path.name for path in data.glob("images/*/*")) == sorted(expected)


def test_a_file_that_is_called_like_a_frame_of_a_video(tmp_path):
    names = ["v_000000.jpg", "v_000001.jpg"]
    own = tracked(folder_of(tmp_path / "shots", names), tmp_path / "shots.tracks.jsonl")
    video = tmp_path / "v.tracks.jsonl"
    lines = own.read_text().splitlines()
    header = json.loads(lines[0])
    del header["frame_names"]
    video.write_text("\n".join([json.dumps(header), *lines[1:]]) + "\n")
    data = json.loads(vidseg.export([own, video], "coco", tmp_path / "set.json")[0].read_text())
    assert [image["file_name"] for image in data["images"]] == [*(f"shots_{name}" for name in names), *names]


def test_a_name_that_is_asked_for(tmp_path):
    tracks = tracked(folder_of(tmp_path / "shots", CAMERA), tmp_path / "shots.tracks.jsonl")
    data = json.loads(vidseg.export(tracks, "coco", name="mine")[0].read_text())
    assert [image["file_name"] for image in data["images"]][:2] == ["mine_000000.jpg", "mine_000001.jpg"]


@pytest.mark.parametrize("names", [["../../x.jpg"], ["a", 1], "abc", ["/etc/passwd"], [".."], ["a\\b"], {"a": 1}, [""]])
@pytest.mark.parametrize("kind", ["coco", "csv", "yolo-seg"])
def test_names_that_lead_elsewhere_are_refused(tmp_path, names, kind):
    tracks = tracked(folder_of(tmp_path / "shots", ["1.png", "2.png"]), tmp_path / "shots.tracks.jsonl")
    lines = tracks.read_text().splitlines()
    tracks.write_text("\n".join([json.dumps({**json.loads(lines[0]), "frame_names": names}), *lines[1:]]) + "\n")
    with pytest.raises(InputError, match="line 1 is broken .frame_names are not names of files"):
        vidseg.export(tracks, kind)


@pytest.mark.parametrize("kind", ["coco", "labels"])
@pytest.mark.parametrize("clips", [1, 3])
def test_attributes_of_which_cvat_makes_tracks(tmp_path, kind, clips):
    paths = [
        tracked(folder_of(tmp_path / f"{number}", CAMERA), tmp_path / f"{number}.tracks.jsonl")
        for number in range(clips)
    ]
    data = json.loads(vidseg.export(paths, kind, tmp_path / "set.json")[0].read_text())
    attributes = [annotation["attributes"] for annotation in data["annotations"]]
    assert all(its["keyframe"] is True and its["occluded"] is False for its in attributes)
    expected = [number for number in range(1, clips + 1) for _ in CAMERA] if clips > 1 else [4] * len(CAMERA)
    assert [its["track_id"] for its in attributes] == expected
    assert {annotation["track_id"] for annotation in data["annotations"]} == {4}


def test_the_header_without_names(tmp_path):
    header = header_of("a.mp4", 4, 4, Fraction(25), Fraction(1, 25), [], {})
    assert "frame_names" not in header
