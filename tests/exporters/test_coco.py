"""COCO, read back by pycocotools, supervision and our own evaluation."""

import json
from typing import Any

import numpy as np
import pytest
import supervision as sv
from pycocotools.coco import COCO

import vidseg
from tests.support.clips import make_clip, number_of
from tests.support.truth import AWKWARD, HEIGHT, OVERLAPPING, QUOTED, WIDTH, iou, save
from vidseg.evaluation.metrics import evaluate
from vidseg.exporters import images
from vidseg.io.clip import Clip
from vidseg.tracks.records import ObjectRecord


def exported(tmp_path, frames=AWKWARD, **options):
    tracks = save(tmp_path / "clip.tracks.jsonl", frames, prompts=options.pop("prompts", ()))
    path, *_ = vidseg.export(tracks, options.pop("kind", "coco"), **options)
    return path


def masks_of(coco):
    """{frame: {id: (label, mask)}}, as the truth is written down."""
    names = {category["id"]: category["name"] for category in coco.dataset["categories"]}
    return {
        image["frame_id"]: {
            entry["track_id"]: (names[entry["category_id"]], coco.annToMask(entry).astype(bool))
            for entry in coco.loadAnns(coco.getAnnIds(imgIds=image["id"]))
        }
        for image in coco.dataset["images"]
    }


@pytest.mark.parametrize(("kind", "least"), [("coco", 1), ("labels", 0.98)])
@pytest.mark.parametrize("frames", [AWKWARD, OVERLAPPING])
def test_pycocotools_reads_the_masks_back(tmp_path, kind, least, frames):
    found = masks_of(COCO(exported(tmp_path, frames, kind=kind)))
    assert list(found) == list(frames)
    for index, objects in frames.items():
        assert list(found[index]) == list(objects)
        for number, (label, mask) in objects.items():
            assert found[index][number][0] == label
            assert iou(found[index][number][1], mask) >= least


def test_fields(tmp_path):
    coco = COCO(exported(tmp_path))
    data: Any = coco.dataset
    assert [image["file_name"] for image in data["images"]][:2] == ["clip_000007.jpg", "clip_000008.jpg"]
    assert all((image["width"], image["height"], image["video_id"]) == (WIDTH, HEIGHT, 1) for image in data["images"])
    assert [image["id"] for image in data["images"]] == [1, 2, 3, 4, 5, 6]
    assert [entry["id"] for entry in data["annotations"]] == list(range(1, len(data["annotations"]) + 1))
    for entry in data["annotations"]:
        mask = coco.annToMask(entry)
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        assert entry["area"] == mask.sum() and entry["iscrowd"] == 0 and entry["score"] == 0.9
        assert entry["bbox"] == [columns[0], rows[0], columns[-1] + 1 - columns[0], rows[-1] + 1 - rows[0]]


@pytest.mark.parametrize(
    ("prompts", "names"),
    [
        ((), ["red ball", QUOTED, "dog"]),
        (["dog", "cat", "red ball"], ["dog", "cat", "red ball", QUOTED]),
    ],
)
def test_categories_are_prompts_and_then_what_appears(tmp_path, prompts, names):
    data = json.loads(exported(tmp_path, prompts=prompts).read_text(encoding="utf-8"))
    assert data["categories"] == [{"id": number, "name": name} for number, name in enumerate(names, start=1)]


@pytest.mark.parametrize("kind", ["coco", "labels"])
@pytest.mark.parametrize("frames", [{}, {3: {}, 4: {}}])
def test_nothing_in_the_file(tmp_path, kind, frames):
    coco = COCO(exported(tmp_path, frames, kind=kind))
    assert (
        len(coco.dataset["images"]) == len(frames) and coco.dataset["annotations"] == coco.dataset["categories"] == []
    )


def test_labels_are_simple_polygons_that_annotation_tools_take(tmp_path):
    data = json.loads(exported(tmp_path, kind="labels").read_text(encoding="utf-8"))
    for entry in data["annotations"]:
        assert {"bbox", "score", "iscrowd", "area"} <= set(entry)
        for polygon in entry["segmentation"]:
            xs, ys = polygon[::2], polygon[1::2]
            assert len(polygon) % 2 == 0 and len(xs) >= 3
            assert min(xs) >= 0 and max(xs) <= WIDTH and min(ys) >= 0 and max(ys) <= HEIGHT
    parts = {(entry["image_id"], entry["track_id"]): len(entry["segmentation"]) for entry in data["annotations"]}
    assert parts[1, 3] == 1 and parts[2, 3] == 3 and parts[6, 3] == 2  # a ring, three parts, a ring with an island


def test_images_are_those_of_the_frames(tmp_path):
    make_clip(tmp_path / "clip.mp4")
    path = exported(tmp_path, images=True)
    folder = tmp_path / "clip.coco.images"
    data = json.loads(path.read_text(encoding="utf-8"))
    assert sorted(file.name for file in folder.iterdir()) == [image["file_name"] for image in data["images"]]
    for image in data["images"]:
        (frame,) = Clip(folder / image["file_name"]).frames()
        assert number_of(frame.image) == image["frame_id"]
    loaded = sv.DetectionDataset.from_coco(str(folder), str(path), force_masks=True)
    assert loaded.classes == ["red ball", QUOTED, "dog"]
    for name, image, found in loaded:
        objects = AWKWARD[int(name[-10:-4])]
        masks: Any = found.mask if len(found) else ()
        assert image.shape == (HEIGHT, WIDTH, 3) and len(masks) == len(objects)
        assert all(np.array_equal(mask, other) for mask, (_, other) in zip(masks, objects.values()))


def test_colours_are_not_swapped(tmp_path):
    make_clip(tmp_path / "clip.mp4")
    exported(tmp_path, images=True)
    (frame,) = Clip(tmp_path / "clip.coco.images/clip_000007.jpg").frames()
    red, green, blue = frame.image[5, 5].tolist()
    assert red > 200 and green < 60 and blue < 60


@pytest.mark.parametrize("rate", [25, 3])  # with the wrong rate, times are not those of the clip, and indices still are
def test_images_are_found_by_index(tmp_path, rate):
    make_clip(tmp_path / "clip.mp4")
    vidseg.export(save(tmp_path / "clip.tracks.jsonl", AWKWARD, rate=rate), "coco", images=True, every=2)
    found = {file.name: next(Clip(file).frames()).image for file in (tmp_path / "clip.coco.images").iterdir()}
    assert {name: number_of(image) for name, image in found.items()} == {f"clip_{i:06d}.jpg": i for i in (7, 9, 11, 15)}


def test_several_clips_make_one_set(tmp_path):
    paths = []
    for folder, name, frames, prompts in (
        ("a", "x", AWKWARD, ["dog"]),
        ("b", "X", OVERLAPPING, ["cat"]),
        ("a", "y", {2: {}}, ["dog"]),
    ):
        (tmp_path / folder).mkdir(exist_ok=True)
        make_clip(tmp_path / folder / f"{name}.mp4")
        paths.append(save(tmp_path / folder / f"{name}.tracks.jsonl", frames, f"{name}.mp4", prompts))
    written = vidseg.export(paths, "coco", tmp_path / "set.json", images=True)
    assert written == [tmp_path / "set.json", tmp_path / "set.images"]
    coco = COCO(written[0])
    data: Any = coco.dataset
    images = data["images"]
    assert sorted(image["file_name"] for image in images) == sorted(file.name for file in written[1].iterdir())
    assert len({image["file_name"].casefold() for image in images}) == len(images) == 8
    assert [video["name"] for video in data["videos"]] == ["x", "X-2", "y"]
    assert [image["video_id"] for image in images] == [1] * 6 + [2, 3]
    assert [category["name"] for category in data["categories"]] == ["dog", "cat", "red ball", QUOTED]
    second: Any = coco.loadAnns(coco.getAnnIds(imgIds=7))
    assert [(entry["track_id"], entry["category_id"]) for entry in second] == [(2, 2), (1, 1), (7, 2)]


@pytest.mark.parametrize("kind", ["coco", "labels"])
def test_our_own_evaluation_reads_it(tmp_path, kind):
    tracks = save(tmp_path / "clip.tracks.jsonl", AWKWARD)
    path, *_ = vidseg.export(tracks, kind)
    scores = evaluate(tracks, path)
    assert (scores.frames, scores.missing, scores.id_switches) == (6, 0, 0)
    assert scores.j == 1 if kind == "coco" else scores.j > 0.99


def test_masks_are_never_decoded(tmp_path, monkeypatch):
    """What makes it fast."""
    monkeypatch.setattr("pycocotools.mask.decode", None)
    monkeypatch.setattr(ObjectRecord, "crop", None)
    monkeypatch.setattr(images, "Clip", None)
    for kind in ("coco", "youtube-vis", "mot", "csv"):
        assert vidseg.export(save(tmp_path / "clip.tracks.jsonl", AWKWARD), kind)[0].stat().st_size > 200
