"""Run lengths, areas, boxes and crops against decoded masks."""

import json

import numpy as np
import pytest

from tests.support.truth import ALL, AWKWARD, EDGE, HEIGHT, ISLAND, PARTS, PIXEL, RING, WIDTH, box_of, save, shape
from vidseg.errors import InputError
from vidseg.exporters.records import ObjectRecord, read_frames
from vidseg.tracks.file import read_tracks
from vidseg.tracks.rle import encode_mask, run_lengths


def record(mask):
    counts = encode_mask(mask)["counts"]
    return ObjectRecord(1, "dog", 0.5, mask.shape, counts, run_lengths(counts, mask.shape))


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


def test_everything_is_had_without_decoding():
    for mask in masks():
        found = record(mask)
        x1, y1, x2, y2 = box_of(mask)
        assert np.array_equal(
            np.repeat(np.arange(len(found.lengths)) % 2 == 1, found.lengths).reshape(mask.shape[::-1]).T, mask
        )
        assert (found.area, found.box) == (mask.sum(), (x1, y1, x2 - x1, y2 - y1))
        assert np.array_equal(found.crop(), mask[int(y1) : int(y2), int(x1) : int(x2)])


def read(path, **options):
    return [(frame.index, [found.id for found in frame.objects]) for frame in read_frames(read_tracks(path), **options)]


def test_frames_and_objects_that_are_kept(tmp_path):
    path = save(tmp_path / "t.jsonl", AWKWARD, scores={3: 0.5, 5: 0.4})
    everything = [(index, list(objects)) for index, objects in AWKWARD.items()]
    assert read(path) == everything
    assert read(path, every=2) == [frame for frame in everything if frame[0] % 2]  # of those after 7: 9, 11, 15
    assert read(path, every=100) == everything[:1]
    assert read(path, min_score=0.5) == [(index, [i for i in ids if i != 5]) for index, ids in everything]
    assert read(path, min_score=0.95) == [(index, []) for index in AWKWARD]


def test_empty_masks_are_left_out(tmp_path):
    path = save(tmp_path / "t.jsonl", {0: {1: ("dog", RING)}})
    empty = json.dumps(encode_mask(np.zeros_like(RING))["counts"])
    path.write_text(path.read_text().replace(json.dumps(encode_mask(RING)["counts"]), empty))
    assert read(path) == [(0, [])]


def spoiled(entry):
    size = [HEIGHT, WIDTH]
    for key, value in (
        ("id", "1"),
        ("id", 1.5),
        ("id", True),
        ("id", None),
        ("id", 2**63),
        ("label", 3),
        ("label", "\ud800"),
        ("label", None),
        ("score", float("nan")),
        ("score", "high"),
        ("mask", None),
        ("mask", {"size": [3, 4], "counts": "0"}),
        ("mask", {"size": size, "counts": "0"}),
        ("mask", {"size": size, "counts": [1, 2]}),
    ):
        yield {**entry, key: value}
    yield {key: value for key, value in entry.items() if key != "label"}


def test_broken_lines_are_named(tmp_path):
    path = save(tmp_path / "t.jsonl", {0: {1: ("dog", RING)}, 1: {1: ("dog", RING)}, 2: {1: ("dog", RING)}})
    lines = path.read_text().splitlines()
    frame = json.loads(lines[2])
    (entry,) = frame["objects"]
    broken = [{**frame, "objects": [other]} for other in spoiled(entry)]
    broken += [
        {**frame, "objects": [entry, entry]},
        {**frame, "frame": 0},
        {**frame, "frame": "x"},
        {**frame, "frame": 2**63},
        {"frame": 1},
        [],
        7,
    ]
    for text in [*map(json.dumps, broken), lines[2][:-9], ""]:
        path.write_text("\n".join([*lines[:2], text, lines[3]]) + "\n")
        with pytest.raises(InputError, match="t.jsonl: line 3 is broken") as caught:
            read(path)
        assert "\n" not in str(caught.value)
