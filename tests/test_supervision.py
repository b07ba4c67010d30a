"""What supervision makes of our results with its defaults, and the class ids that it needs."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import supervision as sv
from pycocotools.coco import COCO

import vidseg
from tests.support.clips import make_clip
from vidseg.io.images import write_png
from vidseg.tracks.file import TracksWriter, header_of

SAMPLES = Path(__file__).parents[1] / "samples"
PARK, DESK = SAMPLES / "park.mp4", SAMPLES / "desk.png"
SKY = [20.0, 20.0, 60.0, 60.0]
LABELLED = {
    2: [{"id": 7, "box": SKY}],
    4: [{"id": 5, "label": "roof", "box": [400.0, 20.0, 460.0, 60.0]}, {"id": 9, "label": "ball", "box": SKY}],
}
RUNS: dict[str, Any] = {
    "words": {"prompt": "unicorn. ball. dog"},
    "hand": {"boxes": [SKY]},
    "words and labels": {"prompt": "unicorn. ball. dog", "prompts": LABELLED},
    "after the keyframe": {"prompt": "dog. ball", "keyframe": 5},
}

pytestmark = pytest.mark.usefixtures("encoded_once")


@pytest.fixture(scope="module")
def demo():
    return vidseg.load("demo", device="cpu")


@pytest.fixture(scope="module", params=RUNS)
def run(request, demo, tmp_path_factory):
    """The phrases of a run, its frames, and the same read from its tracks file."""
    options = RUNS[request.param]
    phrases = options.get("prompt", "").split(". ") if "prompt" in options else []
    tracking = demo.track(PARK, end=0.3, **options)
    frames = list(tracking)
    info, path = tracking.clip.info, tmp_path_factory.mktemp("run") / "t.tracks.jsonl"
    with TracksWriter(
        path, header_of(PARK, info.width, info.height, info.frame_rate, info.time_base, phrases, {})
    ) as t:
        for frame in frames:
            t.write(frame)
    return phrases, frames, list(vidseg.read_tracks(path))


def names_of(frames) -> dict[int, str]:
    """What each class id stands for; it must be one label on all frames."""
    names: dict[int, str] = {}
    for frame in frames:
        for number, name in zip(frame.detections.class_id.tolist(), frame.detections.data["class_name"].tolist()):
            assert names.setdefault(number, name) == name
    return names


def test_phrases_come_in_the_order_of_the_prompt_and_other_labels_as_they_appear(run):
    phrases, frames, _ = run
    names, expected = names_of(frames), list(phrases)
    for frame in frames:
        expected += [name for name in frame.detections.data["class_name"].tolist() if name not in expected]
    assert names and all(expected[number] == name for number, name in names.items())
    assert set(names) >= set(range(len(phrases), len(expected)))


def test_users_labels_follow_the_phrases(demo):
    frames = list(demo.track(PARK, prompt="unicorn. ball. dog", prompts=LABELLED, end=0.3))
    names = names_of(frames)
    assert names[2] == "dog" and names[1] == "ball" and names[3] == "object" and names[4] == "roof" and len(names) == 4


def test_a_tracks_file_gives_the_same_numbers(run):
    _, frames, back = run
    for frame, other in zip(frames, back):
        assert frame.detections.class_id.dtype.kind == other.detections.class_id.dtype.kind == "i"
        assert frame.detections.class_id.tolist() == other.detections.class_id.tolist()


@pytest.mark.parametrize("header", [[], ["ball"], ["ball", "ball", "dog"], "dog", None, [3, "dog"]])
def test_any_header_of_a_tracks_file(tmp_path, run, header):
    _, frames, _ = run
    with TracksWriter(tmp_path / "t.jsonl", header_of("a", 640, 360, 24, 1, [], {}) | {"prompts": header}) as tracks:
        for frame in frames:
            tracks.write(frame)
    assert names_of(vidseg.read_tracks(tmp_path / "t.jsonl"))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"prompt": "phone. clock"}, {0: "phone", 1: "clock"}),
        ({"prompt": "unicorn. clock", "boxes": [SKY]}, {1: "clock", 2: "object"}),
        (
            {"prompts": [{"id": 1, "label": "b", "box": SKY}, {"id": 2, "label": "a", "box": [9.0, 200.0, 80.0, 300]}]},
            {0: "b", 1: "a"},
        ),
        ({"prompt": "unicorn"}, {}),
    ],
)
def test_one_image(demo, tmp_path, options, expected):
    frame = demo.segment(DESK, **options)
    assert names_of([frame]) == expected and frame.detections.class_id.dtype.kind == "i"
    draw_everything([frame])
    with sv.CSVSink(str(tmp_path / "a.csv")) as sink:
        sink.append(frame.detections)
    header, *rows = (tmp_path / "a.csv").read_text().splitlines()
    assert "class_id" in header and len(rows) == len(frame.detections)


def test_candidates_have_a_class(demo):
    found = demo.embed(DESK).candidates({"id": 4, "label": "cup", "box": SKY}).detections
    assert found.class_id.tolist() == [0] * len(found)


@pytest.mark.parametrize("options", [{"prompt": "unicorn"}, {"prompt": "dog", "redetect": None}])
def test_frames_without_objects(demo, tmp_path, options):
    clip = make_clip(tmp_path / "grey.mp4", [0, 512, 1024], size=(160, 120))
    frames = list(demo.track(clip, **options))
    assert all(frame.detections.class_id.shape == (0,) for frame in frames)
    assert all(frame.detections.class_id.dtype.kind == "i" for frame in frames)
    draw_everything(frames)


def draw_everything(frames):
    """Whatever draws or counts, as its defaults have it; return how often something was drawn, or was in the zone."""
    line = sv.LineZone(sv.Point(0, 100), sv.Point(640, 100), triggering_anchors=[sv.Position.CENTER])
    zone = sv.PolygonZone(np.array([[0, 0], [2000, 0], [2000, 2000], [0, 2000]]))
    drawn = inside = 0
    for frame in frames:
        found = frame.detections
        canvas = np.zeros(found.mask.shape[1:] + (3,), np.uint8)
        for annotator in (sv.MaskAnnotator(), sv.BoxAnnotator(), sv.LabelAnnotator()):
            canvas[:] = 0
            drawn += bool(annotator.annotate(canvas, found).any())
        line.trigger(found)
        inside += int(zone.trigger(found).sum())
    sv.LineZoneAnnotator().annotate(np.zeros((360, 640, 3), np.uint8), line)
    return drawn, inside


@pytest.mark.parametrize("read", [False, True])
def test_annotators_and_zones(run, read):
    frames = run[1 + read]
    drawn, inside = draw_everything(frames)
    assert drawn == 3 * sum(len(frame.detections) > 0 for frame in frames) > 0
    assert inside == sum(len(frame.detections) for frame in frames)


def test_csv(run, tmp_path):
    _, frames, _ = run
    with sv.CSVSink(str(tmp_path / "a.csv")) as sink:
        for frame in frames:
            sink.append(frame.detections, {"frame": frame.index})
    with (tmp_path / "a.csv").open(newline="") as file:
        rows = [(int(row["frame"]), int(row["class_id"]), row["class_name"]) for row in csv.DictReader(file)]
    assert rows == [
        (frame.index, number, name)
        for frame in frames
        for number, name in zip(frame.detections.class_id.tolist(), frame.detections.data["class_name"].tolist())
    ]


@pytest.mark.parametrize("read", [False, True])
def test_coco(run, tmp_path, read):
    frames = run[1 + read]
    names = names_of(frames)
    classes = [names.get(number, "-") for number in range(max(names) + 1)]
    images = {str(tmp_path / f"{frame.index}.png"): frame for frame in frames}
    for path, frame in images.items():
        write_png(Path(path), np.zeros(frame.detections.mask.shape[1:] + (3,), np.uint8))
    dataset = sv.DetectionDataset(classes, list(images), {path: one.detections for path, one in images.items()})
    dataset.as_coco(annotations_path=str(tmp_path / "a.json"))
    coco = COCO(str(tmp_path / "a.json"))
    for image in coco.loadImgs(coco.getImgIds()):
        found = images[str(tmp_path / image["file_name"])].detections
        entries = coco.loadAnns(coco.getAnnIds(imgIds=image["id"]))
        labels = [coco.loadCats(entry["category_id"])[0]["name"] for entry in entries]
        assert labels == found.data["class_name"].tolist()
        for entry, mask in zip(entries, found.mask):
            decoded = coco.annToMask(entry).astype(bool)
            assert (decoded & mask).sum() > 0.8 * (decoded | mask).sum()  # it writes polygons
