"""YOLO segmentation, read back by supervision."""

import cv2
import numpy as np
import pytest
import supervision as sv
import yaml

import vidseg
from tests.support.clips import make_clip, number_of
from tests.support.truth import AWKWARD, HEIGHT, QUOTED, WIDTH, iou, save, shape
from vidseg.io.clip import Clip


def exported(tmp_path, frames=AWKWARD, prompts=(), **options):
    make_clip(tmp_path / "clip.mp4")
    tracks = save(tmp_path / "clip.tracks.jsonl", frames, prompts=prompts, rate=3)
    (folder,) = vidseg.export(tracks, "yolo-seg", **options)
    return folder


def loaded(folder, part):
    return sv.DetectionDataset.from_yolo(
        str(folder / "images" / part), str(folder / "labels" / part), str(folder / "data.yaml"), force_masks=True
    )


def indices(folder, part):
    names = [sorted(int(file.stem[-6:]) for file in (folder / kind / part).iterdir()) for kind in ("images", "labels")]
    assert names[0] == names[1]
    return names[0]


def test_supervision_reads_the_masks_back(tmp_path):
    folder = exported(tmp_path)
    assert folder == tmp_path / "clip.yolo"
    assert (indices(folder, "train"), indices(folder, "val")) == ([7, 8, 9, 11], [15])  # 12 is the gap of a second
    for part in ("train", "val"):
        data = loaded(folder, part)
        assert data.classes == ["red ball", QUOTED, "dog"]
        for name, image, found in data:
            objects = AWKWARD[int(name[-10:-4])]
            assert number_of(image) == int(name[-10:-4]) and len(found) == len(objects)
            classes, masks = np.array(found.class_id), np.array(found.mask)
            for position, (label, mask) in enumerate(objects.values()):
                assert data.classes[classes[position]] == label
                assert iou(masks[position], mask) >= 0.97


def test_readers_that_cut_off_come_to_the_same_pixels(tmp_path):
    folder = exported(tmp_path)
    for index in (7, 8, 11):
        lines = (folder / f"labels/train/clip_{index:06d}.txt").read_text().splitlines()
        for line, (_, mask) in zip(lines, AWKWARD[index].values(), strict=True):
            values = np.array(line.split()[1:], np.float32)
            assert values.min() >= 0 and values.max() < 1 and len(values) >= 6
            points = (values.reshape(-1, 2) * (WIDTH, HEIGHT)).astype(np.int32)  # as Ultralytics does
            assert iou(cv2.fillPoly(np.zeros((HEIGHT, WIDTH), np.uint8), [points], 1).astype(bool), mask) >= 0.97


def test_data_yaml(tmp_path):
    folder = exported(tmp_path, prompts=["dog", "yes"])
    data = yaml.safe_load((folder / "data.yaml").read_text(encoding="utf-8"))
    assert data == {
        "train": "images/train",
        "val": "images/val",
        "names": {0: "dog", 1: "yes", 2: "red ball", 3: QUOTED},
    }


@pytest.mark.parametrize("frames", [{3: {}}, {3: {1: ("dog", shape((1, 1, 9, 9)))}}])
def test_a_single_frame_is_for_training_and_looked_at_again(tmp_path, frames):
    folder = exported(tmp_path, frames)
    assert (indices(folder, "train"), indices(folder, "val")) == ([3], [])
    data = yaml.safe_load((folder / "data.yaml").read_text())
    assert (data["val"], data["names"]) == ("images/train", {0: "dog"} if frames[3] else {})
    assert "no frames are for validation" in (folder / "data.yaml").read_text()


@pytest.mark.parametrize("seed", range(4))
def test_several_clips_make_one_set(tmp_path, seed):
    paths = []
    for number in range(6):
        make_clip(tmp_path / f"c{number}.mp4")
        frames = {index: {1: (f"label {number % 2}", shape((number, 2, 9, 9)))} for index in range(2, 4)}
        paths.append(save(tmp_path / f"c{number}.tracks.jsonl", frames, f"c{number}.mp4"))
    (folder,) = vidseg.export(paths, "yolo-seg", tmp_path / "data", seed=seed)
    train, val = ([file.name for file in sorted((folder / "images" / part).iterdir())] for part in ("train", "val"))
    assert sorted(train + val) == [f"c{number}_{index:06d}.jpg" for number in range(6) for index in (2, 3)]
    assert len(val) == 2 and val[0][:2] == val[1][:2]
    data = loaded(folder, "val")
    assert data.classes == ["label 0", "label 1"] and len(data) == 2
    assert [number_of(next(Clip(folder / "images/val" / name).frames()).image) for name in val] == [2, 3]
