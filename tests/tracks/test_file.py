import json
import os
from typing import Any

import numpy as np
import pytest
import supervision as sv

from vidseg.errors import InputError, OutputError
from vidseg.io.files import atomic_output, check_writable
from vidseg.tracks.file import TracksWriter, read_tracks
from vidseg.tracks.frame import TrackedFrame
from vidseg.tracks.rle import decode_mask, encode_mask

HEIGHT, WIDTH = 37, 52
HEADER = {
    "clip": "clip.mp4",
    "width": WIDTH,
    "height": HEIGHT,
    "frame_rate": "24/1",
    "time_base": "1/12288",
    "prompts": ["dog", "red ball"],
    "models": {"sam": "tiny"},
    "vidseg": "0.1.0",
}


def frame(index, count, seed=0):
    """A TrackedFrame with `count` objects of random masks, boxes and scores."""
    random = np.random.default_rng((seed, index))
    detections = sv.Detections(
        xyxy=random.uniform(0, 50, (count, 4)).astype(np.float32),
        mask=random.random((count, HEIGHT, WIDTH)) > 0.7,
        confidence=random.random(count).astype(np.float32),
        tracker_id=np.arange(count) * 3 + 1,
        data={"class_name": np.array(["dog", "red ball", 'größe "x"'] * count)[:count]},
    )
    return TrackedFrame(index, index / 24 + 1e-9, None, detections)


def detections_of(frame) -> Any:
    """A frame's detections, all fields of which are there."""
    return frame.detections


def write(path, frames, header=HEADER):
    with TracksWriter(path, header) as tracks:
        for one in frames:
            tracks.write(one)


def test_round_trip(tmp_path):
    frames = [frame(3, 2), frame(4, 0), frame(7, 5), frame(8, 1)]
    write(tmp_path / "t.jsonl", frames)
    tracks = read_tracks(tmp_path / "t.jsonl")
    assert tracks.header == {"format": "vidseg-tracks", "version": 1, **HEADER}
    for _ in range(2):  # it can be iterated again
        back = list(tracks)
        assert [(f.index, f.time, f.image) for f in back] == [(f.index, round(f.time, 6), None) for f in frames]
        for a, b in zip(map(detections_of, frames), map(detections_of, back)):
            assert b.mask.dtype == bool and np.array_equal(a.mask, b.mask)
            assert b.xyxy.dtype == np.float32 and np.abs(a.xyxy - b.xyxy).max(initial=0) < 0.00501
            assert b.confidence.dtype == np.float32 and np.abs(a.confidence - b.confidence).max(initial=0) < 0.0000501
            assert b.tracker_id.dtype.kind == "i" and b.tracker_id.tolist() == a.tracker_id.tolist()
            assert b.data["class_name"].tolist() == a.data["class_name"].tolist()


def test_reading_and_writing_again_changes_nothing(tmp_path):
    write(tmp_path / "a.jsonl", [frame(i, i % 4) for i in range(9)])
    write(tmp_path / "b.jsonl", read_tracks(tmp_path / "a.jsonl"))
    assert (tmp_path / "a.jsonl").read_bytes() == (tmp_path / "b.jsonl").read_bytes()


def test_a_line_is_what_the_format_says(tmp_path):
    one = frame(12, 1)
    detections_of(one).xyxy[0], detections_of(one).confidence[0] = (1.23456, 2, 3, 4), 0.912349
    write(tmp_path / "t.jsonl", [one])
    header, line = [json.loads(text) for text in (tmp_path / "t.jsonl").read_text(encoding="utf-8").splitlines()]
    assert (header["format"], header["version"], header["frame_rate"]) == ("vidseg-tracks", 1, "24/1")
    (found,) = line.pop("objects")
    assert line == {"frame": 12, "time": 0.5} and set(found) == {"id", "label", "score", "box", "mask"}
    assert (found["id"], found["label"], found["score"], found["box"]) == (1, "dog", 0.9123, [1.23, 2.0, 3.0, 4.0])
    assert found["mask"]["size"] == [HEIGHT, WIDTH] and isinstance(found["mask"]["counts"], str)


def test_masks_follow_coco():
    from pycocotools import mask as coco

    mask = np.zeros((4, 6), bool)
    mask[1:3, 2:5] = True
    assert coco.area({"size": [4, 6], "counts": encode_mask(mask)["counts"].encode()}) == 6
    assert coco.toBbox({"size": [4, 6], "counts": encode_mask(mask)["counts"].encode()}).tolist() == [2, 1, 3, 2]
    for extreme in (mask, ~mask, np.zeros((4, 6), bool), np.ones((4, 6), bool)):
        assert np.array_equal(decode_mask(encode_mask(extreme)), extreme)


def test_objects_with_an_empty_mask_are_absent(tmp_path):
    one = frame(0, 3)
    detections_of(one).mask[1] = False
    write(tmp_path / "t.jsonl", [one])
    (back,) = read_tracks(tmp_path / "t.jsonl")
    found = detections_of(back)
    assert found.tracker_id.tolist() == [1, 7] and found.mask.shape == (2, HEIGHT, WIDTH)


def test_a_frame_without_objects_works_in_supervision(tmp_path):
    write(tmp_path / "t.jsonl", [frame(0, 0)])
    (back,) = read_tracks(tmp_path / "t.jsonl")
    found = detections_of(back)
    assert len(found) == 0 and found.xyxy.shape == (0, 4) and found.mask.shape == (0, HEIGHT, WIDTH)
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    assert not sv.MaskAnnotator().annotate(picture, found).any()
    assert len(sv.Detections.merge([found, frame(1, 2).detections])) == 2


def test_reading_is_lazy_and_a_broken_line_is_named(tmp_path):
    path = tmp_path / "t.jsonl"
    write(path, [frame(i, 2) for i in range(5)])
    lines = path.read_text(encoding="utf-8").splitlines()

    def broken(number, text):
        path.write_text("\n".join(lines[: number - 1] + [text] + lines[number:]) + "\n", encoding="utf-8")
        seen = []
        with pytest.raises(InputError, match=f"line {number} is broken") as caught:
            for one in read_tracks(path):
                seen.append(one.index)
        assert str(path) in str(caught.value) and "\n" not in str(caught.value)
        assert seen == list(range(number - 2))

    broken(4, lines[3][:-20])
    broken(6, "[1, 2]")
    broken(3, '{"frame": 1, "time": 0.1}')
    broken(3, lines[2].replace(f'"size": [{HEIGHT}', '"size": [99'))
    broken(4, lines[1])  # frame 0 after frame 1
    broken(3, "")
    record = json.loads(lines[2])
    record["objects"][0]["mask"]["counts"] = 7
    broken(3, json.dumps(record))
    record = json.loads(lines[2])
    record["objects"][0]["id"] = 2**70
    broken(3, json.dumps(record))


@pytest.mark.parametrize(
    "text, says",
    [
        ("", "not a tracks file"),
        ("hello\n", "not a tracks file"),
        ('{"a": 1}\n', "not a tracks file"),
        ("[]\n", "not a tracks file"),
        ('{"format": "vidseg-tracks", "version": 2}\n', "version 2"),
        ('{"format": "vidseg-tracks", "version": 1}\n', "no width"),
    ],
)
def test_other_files_are_refused(tmp_path, text, says):
    (tmp_path / "t.jsonl").write_text(text)
    with pytest.raises(InputError, match=says):
        read_tracks(tmp_path / "t.jsonl")


def test_binary_and_missing_files_are_refused(tmp_path):
    (tmp_path / "t.jsonl").write_bytes(bytes(range(256)))
    with pytest.raises(InputError, match="not a tracks file"):
        read_tracks(tmp_path / "t.jsonl")
    with pytest.raises(InputError, match="cannot be read"):
        read_tracks(tmp_path / "none.jsonl")


def test_frames_are_written_in_order(tmp_path):
    with pytest.raises(ValueError, match="frame 4 was given after frame 5"):
        write(tmp_path / "t.jsonl", [frame(5, 0), frame(4, 0)])
    with pytest.raises(ValueError, match="lacks clip"):
        TracksWriter(tmp_path / "t.jsonl", {key: HEADER[key] for key in HEADER if key != "clip"})
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_nothing_is_left_after_an_exception(tmp_path, error):
    (tmp_path / "t.jsonl").write_text("older result")
    with pytest.raises(error), TracksWriter(tmp_path / "t.jsonl", HEADER) as tracks:
        tracks.write(frame(0, 1))
        assert (tmp_path / "t.jsonl").read_text() == "older result" and len(os.listdir(tmp_path)) == 2
        raise error
    assert os.listdir(tmp_path) == ["t.jsonl"] and (tmp_path / "t.jsonl").read_text() == "older result"


@pytest.mark.parametrize("count", [0, 1, 5])
def test_the_header_says_that_a_file_is_not_complete(tmp_path, count):
    path = tmp_path / "t.jsonl"
    with TracksWriter(path, HEADER) as tracks:
        for i in range(count):
            tracks.write(frame(i, 1))
        (temporary,) = tmp_path.iterdir()
        assert read_tracks(temporary).interrupted and read_tracks(temporary).frame_count() == count
    assert not read_tracks(path).interrupted and "interrupted" not in read_tracks(path).header
    assert len(list(read_tracks(path))) == count
    with TracksWriter(path, HEADER) as tracks:
        tracks.mark_interrupted()
    assert read_tracks(path).interrupted and os.listdir(tmp_path) == ["t.jsonl"]


def test_span_of_long_lines_and_of_broken_files(tmp_path):
    path = tmp_path / "t.jsonl"
    write(path, [frame(i, 2) for i in range(3, 9)])
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    assert read_tracks(path).span() == (3, 8) and read_tracks(path).frame_count() == 6
    path.write_text(lines[0] + "\n")
    assert read_tracks(path).span() is None and read_tracks(path).frame_count() == 0
    last = json.dumps({"frame": 99, "time": 9.0, "objects": [], "more": "x" * 3_000_000})
    path.write_text("\n".join([*lines[:5], last]) + "\n")
    assert read_tracks(path).span() == (3, 99)
    path.write_text("\n".join(lines[:2]))
    assert read_tracks(path).span() == (3, 3)
    path.write_text(text[: len(text) - 40])
    assert read_tracks(path).span() == (3, 3)


def test_check_writable(tmp_path):
    (tmp_path / "there").write_text("x")
    for path, says in [
        ("none/a", "no folder"),
        (".", "is a folder"),
        ("there", "exists already"),
        ("there/a", "no folder"),
    ]:
        with pytest.raises(OutputError, match=says) as caught:
            check_writable(tmp_path / path)
        assert "\n" not in str(caught.value)
    assert check_writable(tmp_path / "there", overwrite=True) == tmp_path / "there"
    assert check_writable(tmp_path / "new") == tmp_path / "new" and os.listdir(tmp_path) == ["there"]


def test_atomic_output(tmp_path):
    with atomic_output(tmp_path / "a") as temporary:
        temporary.write_text("done")
        assert os.listdir(tmp_path) == [temporary.name] and temporary.name != "a"
    assert os.listdir(tmp_path) == ["a"] and (tmp_path / "a").read_text() == "done"
