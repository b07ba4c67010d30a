"""MOTChallenge and MOTS text, read back by TrackEval and py-motmetrics."""

import motmetrics
import numpy as np
import pytest
from pycocotools import mask as coco
from trackeval.datasets import MotChallenge2DBox, MOTSChallenge
from trackeval.metrics import HOTA

import vidseg
from tests.support.truth import AWKWARD, HEIGHT, OVERLAPPING, WIDTH, save, shape
from vidseg.tracks.frame import mask_bounds

PEOPLE = {
    index: {number: ("person", mask) for number, (_, mask) in objects.items() if number != 200}
    for index, objects in AWKWARD.items()
}
PEOPLE[15] = {3: ("person", shape((20, 10, 9, 9))), 5: ("person", shape((50, 0, 14, 10)))}
PEOPLE[11].pop(5)


def reader(kind, tmp_path, tracks, length):
    """TrackEval's, with the same file as truth and as result."""
    (path,) = vidseg.export(tracks, "mot" if kind is MotChallenge2DBox else "mots")
    for folder, name in (("gt/clip/gt", "gt.txt"), ("results/ours/data", "clip.txt")):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / name).write_bytes(path.read_bytes())
    settings = {
        "GT_FOLDER": str(tmp_path / "gt"),
        "TRACKERS_FOLDER": str(tmp_path / "results"),
        "TRACKERS_TO_EVAL": ["ours"],
        "SEQ_INFO": {"clip": length},
        "SKIP_SPLIT_FOL": True,
        "PRINT_CONFIG": False,
    }
    return kind(settings)


def test_trackeval_reads_the_boxes_back(tmp_path):
    dataset = reader(MotChallenge2DBox, tmp_path, save(tmp_path / "clip.tracks.jsonl", AWKWARD), 16)
    raw = dataset.get_raw_seq_data("ours", "clip")
    for index in range(16):
        objects = AWKWARD.get(index, {})
        boxes = {
            int(number): box.tolist() for number, box in zip(raw["tracker_ids"][index], raw["tracker_dets"][index])
        }
        expected = {number: mask_bounds(mask) for number, (_, mask) in objects.items()}
        assert boxes == {number: [x1 + 1, y1 + 1, x2 - x1, y2 - y1] for number, (x1, y1, x2, y2) in expected.items()}
        numbers = {"red ball": 1, "dog": 3}
        assert raw["tracker_classes"][index].tolist() == [numbers.get(label, 2) for label, _ in objects.values()]
        assert np.allclose(raw["tracker_confidences"][index], 0.9)


@pytest.mark.parametrize("kind", [MotChallenge2DBox, MOTSChallenge])
def test_trackeval_finds_a_result_as_good_as_itself(tmp_path, kind):
    scores = dict.fromkeys((3, 5, 40), 1.0)  # as truth, a line with a score below 1 is passed over
    dataset = reader(kind, tmp_path, save(tmp_path / "clip.tracks.jsonl", PEOPLE, scores=scores), 16)
    data = dataset.get_preprocessed_seq_data(dataset.get_raw_seq_data("ours", "clip"), "pedestrian")
    assert data["num_gt_dets"] == data["num_tracker_dets"] == sum(len(objects) for objects in PEOPLE.values())
    assert np.min(HOTA().eval_sequence(data)["HOTA"]) == 1


@pytest.mark.filterwarnings("ignore::DeprecationWarning:motmetrics")
def test_motmetrics_reads_the_boxes_back(tmp_path):
    (path,) = vidseg.export(save(tmp_path / "clip.tracks.jsonl", AWKWARD), "mot")
    assert path == tmp_path / "clip.mot.txt"
    table = motmetrics.io.loadtxt(path, fmt=motmetrics.io.Format.MOT16)
    expected = {
        (index + 1, number): mask_bounds(mask)
        for index, objects in AWKWARD.items()
        for number, (_, mask) in objects.items()
    }
    assert table.index.tolist() == list(expected)
    for (x1, y1, x2, y2), row in zip(expected.values(), table.itertuples()):
        assert (row.X, row.Y, row.Width, row.Height) == (x1, y1, x2 - x1, y2 - y1)  # it counts from 0 again
        assert (row.Confidence, row.Visibility) == (0.9, -1)


def lines(path):
    return [line.split(" ") for line in path.read_text().splitlines()]


def test_mots_masks(tmp_path):
    (path,) = vidseg.export(save(tmp_path / "clip.tracks.jsonl", PEOPLE), "mots")
    assert path == tmp_path / "clip.mots.txt"
    expected = [(index + 1, number, mask) for index, objects in PEOPLE.items() for number, (_, mask) in objects.items()]
    for line, (frame, number, mask) in zip(lines(path), expected, strict=True):
        assert line[:5] == [str(frame), str(number), "2", str(HEIGHT), str(WIDTH)]
        assert np.array_equal(coco.decode({"size": [HEIGHT, WIDTH], "counts": line[5].encode()}), mask)


def test_mots_masks_do_not_overlap(tmp_path):
    (path,) = vidseg.export(save(tmp_path / "clip.tracks.jsonl", OVERLAPPING), "mots")
    first, second = lines(path)  # 7 lies under 1 and is gone
    assert (first[1], second[1]) == ("1", "2")
    masks = [coco.decode({"size": [HEIGHT, WIDTH], "counts": line[5].encode()}) for line in (first, second)]
    assert np.array_equal(masks[0], shape((5, 5, 10, 10))) and np.array_equal(
        masks[1], shape((0, 0, 10, 10), holes=[(5, 5, 5, 5)])
    )


def test_mots_classes(tmp_path):
    labels = ["Person", "car", "dog", *"abcdefgh", "pedestrian"]
    frames = {0: {number: (label, shape((number, 0, 1, 1))) for number, label in enumerate(labels, start=1)}}
    (path,) = vidseg.export(save(tmp_path / "clip.tracks.jsonl", frames), "mots")
    assert [int(line[2]) for line in lines(path)] == [2, 1, 3, 4, 5, 6, 7, 8, 9, 11, 12, 2]


@pytest.mark.parametrize("kind", ["mot", "mots"])
def test_nothing_in_the_file(tmp_path, kind):
    (path,) = vidseg.export(save(tmp_path / "clip.tracks.jsonl", {3: {}}), kind)
    assert path.read_bytes() == b""
