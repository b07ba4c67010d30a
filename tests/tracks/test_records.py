"""Records against decoded masks."""

import json

import numpy as np
import pytest

from tests.support.truth import ALL, AWKWARD, EDGE, HEIGHT, ISLAND, PARTS, PIXEL, RING, save, shape
from vidseg.tracks.file import frame_of, read_tracks
from vidseg.tracks.frame import mask_bounds
from vidseg.tracks.records import ObjectRecord, parse_record
from vidseg.tracks.rle import encode_mask


def record(mask):
    counts = encode_mask(mask)["counts"]
    return ObjectRecord(id=1, label="dog", score=0.5, box=(0, 0, 1, 1), size=mask.shape, counts=counts)


def masks():
    random = np.random.default_rng(0)
    yield from (
        RING,
        PARTS,
        EDGE,
        ISLAND,
        ALL,
        PIXEL,
        shape((0, 0, 1, 1)),
        shape((5, 0, 1, HEIGHT)),
        shape((5, 40, 2, 8)),
        shape((3, 0, 2, 4)),
    )
    for density in (0.001, 0.01, 0.5, 0.99):
        for _ in range(20):
            mask = random.random(random.integers(1, 40, 2)) < density
            if mask.any():
                yield mask
    big = np.zeros((3000, 4000), bool)  # numbers of five groups
    big[2999, 3999] = big[10:2000, 700:3000] = True
    yield big


def test_area_box_and_crop_are_those_of_the_mask():
    for mask in masks():
        found = record(mask)
        x1, y1, x2, y2 = mask_bounds(mask)
        assert (found.area, found.mask_box) == (mask.sum(), (x1, y1, x2 - x1, y2 - y1))
        assert np.array_equal(found.crop(), mask[y1:y2, x1:x2])
        assert np.array_equal(found.mask(), mask) and found.code() == encode_mask(mask)


def test_records_are_what_the_file_says(tmp_path):
    path = save(tmp_path / "t.jsonl", AWKWARD)
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()[1:]]
    records = list(read_tracks(path).records())
    assert [one.as_json() for one in records] == lines
    for one, frame in zip(records, read_tracks(path), strict=True):
        assert (one.index, one.time) == (frame.index, frame.time)
        assert frame.detections.tracker_id is not None
        assert [found.id for found in one.objects] == frame.detections.tracker_id.tolist()


@pytest.mark.parametrize("change", [{"frame": "x"}, {"objects": 3}, {"objects": [{"id": 1}]}])
def test_a_record_that_is_not_of_a_file_is_a_value_error(tmp_path, change):
    line = json.loads(save(tmp_path / "t.jsonl", AWKWARD).read_text(encoding="utf-8").splitlines()[1])
    assert len(frame_of(line, *RING.shape).detections) == 2
    with pytest.raises(ValueError):
        frame_of({**line, **change}, *RING.shape)
    with pytest.raises(ValueError, match="in a clip of"):
        frame_of(line, 3, 4)
    line["objects"][0]["mask"]["counts"] = "2"
    with pytest.raises(ValueError, match="do not fill a frame of 64×48"):
        frame_of(line, *RING.shape)


def test_run_lengths_are_checked_where_they_are_used(tmp_path):
    line = json.loads(save(tmp_path / "t.jsonl", AWKWARD).read_text(encoding="utf-8").splitlines()[1])
    line["objects"][0]["mask"]["counts"] = "2"
    found = parse_record(line, RING.shape).objects[0]
    for use in (lambda: found.lengths, lambda: found.area, lambda: found.mask_box, found.crop, found.mask):
        with pytest.raises(ValueError, match="do not fill"):
            use()
