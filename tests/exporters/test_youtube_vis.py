"""YouTube-VIS, read back by TrackEval."""

import json

import numpy as np
import pytest
from pycocotools import mask as coco
from trackeval.datasets import YouTubeVIS

import vidseg
from tests.support.clips import make_clip, number_of
from tests.support.truth import AWKWARD, HEIGHT, QUOTED, WIDTH, save, shape
from vidseg.io.clip import Clip
from vidseg.tracks.frame import mask_bounds

PLACES = list(AWKWARD)


def reader(tmp_path, path):
    """TrackEval's, with the same objects as truth and as result."""
    data = json.loads(path.read_text(encoding="utf-8"))
    for folder, content in (("gt/youtube_vis_all", data), ("results/youtube_vis_all/ours/data", as_result(data))):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "all.json").write_text(json.dumps(content), encoding="utf-8")
    return YouTubeVIS(
        {
            "GT_FOLDER": f"{tmp_path}/gt/",
            "TRACKERS_FOLDER": f"{tmp_path}/results/",
            "TRACKERS_TO_EVAL": ["ours"],
            "SPLIT_TO_EVAL": "all",
            "PRINT_CONFIG": False,
        }
    )


def as_result(data):
    """A result is a list of tracks with a score, and compressed masks."""
    tracks = json.loads(json.dumps(data["annotations"]))
    for track in tracks:
        track["score"] = 0.5
        for place, code in enumerate(track["segmentations"]):
            if code:
                compressed = coco.frPyObjects(code, *code["size"])
                track["segmentations"][place] = {"size": compressed["size"], "counts": compressed["counts"].decode()}
    return tracks


def test_trackeval_reads_the_masks_back(tmp_path):
    (path,) = vidseg.export(save(tmp_path / "clip.tracks.jsonl", AWKWARD), "youtube-vis")
    assert path == tmp_path / "clip.ytvis.json"
    dataset = reader(tmp_path, path)
    assert dataset.class_list == ["red ball", QUOTED, "dog"] and dataset.seq_list == ["clip"]
    raw = dataset.get_raw_seq_data("ours", "clip")
    assert raw["num_timesteps"] == len(AWKWARD)
    names = {entry["id"]: entry["track_id"] for entry in json.loads(path.read_text(encoding="utf-8"))["annotations"]}
    for objects, ids, codes, agreement in zip(
        AWKWARD.values(), raw["gt_ids"], raw["gt_dets"], raw["similarity_scores"]
    ):
        found = {names[number]: coco.decode(code).astype(bool) for number, code in zip(ids, codes)}
        assert found.keys() == objects.keys() and all(
            np.array_equal(found[number], objects[number][1]) for number in found
        )
        assert np.array_equal(np.diag(agreement), np.ones(len(objects)))
    for label in dataset.class_list:
        dataset.get_preprocessed_seq_data(raw, label)


def test_lists_have_a_value_for_each_frame(tmp_path):
    (path,) = vidseg.export(save(tmp_path / "clip.tracks.jsonl", AWKWARD), "youtube-vis")
    data = json.loads(path.read_text(encoding="utf-8"))
    (video,) = data["videos"]
    assert video == {
        "id": 1,
        "width": WIDTH,
        "height": HEIGHT,
        "length": 6,
        "file_names": [f"clip/{index:05d}.jpg" for index in AWKWARD],
    }
    assert [entry["track_id"] for entry in data["annotations"]] == [3, 5, 40, 200]
    for entry in data["annotations"]:
        for place, objects in enumerate(AWKWARD.values()):
            values = [entry[field][place] for field in ("segmentations", "bboxes", "areas")]
            if entry["track_id"] in objects:
                mask = objects[entry["track_id"]][1]
                x1, y1, x2, y2 = mask_bounds(mask)
                assert values[1:] == [[x1, y1, x2 - x1, y2 - y1], mask.sum()]
            else:
                assert values == [None] * 3
        assert {len(entry[field]) for field in ("segmentations", "bboxes", "areas")} == {6}
        assert (entry["length"], entry["width"], entry["height"], entry["iscrowd"], entry["video_id"]) == (
            6,
            WIDTH,
            HEIGHT,
            0,
            1,
        )


def test_the_label_of_a_track_is_its_most_frequent(tmp_path):
    box = shape((1, 1, 4, 4))
    frames = {index: {1: (label, box)} for index, label in enumerate(["cat", "dog", "dog", "cat", "dog"])}
    (path,) = vidseg.export(save(tmp_path / "clip.tracks.jsonl", frames, prompts=["cat", "dog"]), "youtube-vis")
    (entry,) = json.loads(path.read_text())["annotations"]
    assert entry["category_id"] == 2


@pytest.mark.parametrize("frames", [{}, {3: {}, 4: {}}])
def test_nothing_in_the_file(tmp_path, frames):
    (path,) = vidseg.export(save(tmp_path / "clip.tracks.jsonl", frames), "youtube-vis")
    data = json.loads(path.read_text())
    assert (
        data["videos"][0]["length"] == len(frames) == len(data["videos"][0]["file_names"]) and data["annotations"] == []
    )


def test_several_videos_with_their_images(tmp_path):
    paths = []
    for name, frames in (("a", AWKWARD), ("b", {0: {3: ("dog", shape((0, 0, 5, 5)))}, 30: {}})):
        make_clip(tmp_path / f"{name}.mp4")
        paths.append(save(tmp_path / f"{name}.tracks.jsonl", frames, f"{name}.mp4"))
    written = vidseg.export(paths, "youtube-vis", tmp_path / "set.json", images=True)
    data = json.loads(written[0].read_text(encoding="utf-8"))
    assert [(entry["video_id"], entry["track_id"], entry["length"]) for entry in data["annotations"]] == [
        (1, 3, 6),
        (1, 5, 6),
        (1, 40, 6),
        (1, 200, 6),
        (2, 3, 2),
    ]
    for video in data["videos"]:
        for name in video["file_names"]:
            assert number_of(next(Clip(written[1] / name).frames()).image) == int(name[-9:-4])
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "a.mp4",
        "a.tracks.jsonl",
        "b.mp4",
        "b.tracks.jsonl",
        "set.images",
        "set.json",
    ]
