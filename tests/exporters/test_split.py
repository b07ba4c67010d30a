"""Training and validation have nothing in common."""

from __future__ import annotations

import itertools

import pytest

import vidseg
from tests.support.truth import save
from vidseg.errors import InputError
from vidseg.exporters.formats import FORMATS
from vidseg.exporters.source import Selection, open_sources
from vidseg.exporters.split import split


def parts_of(tmp_path, counts, *, rate=25, clips=None, every=1, **choice):
    """For each clip with so many frames [(time, part) …]."""
    paths = []
    for number, count in enumerate(counts):
        clip = (clips or {}).get(number, f"{number}.mp4")
        (tmp_path / clip).touch()
        frames = {index: {} for index in range(count)}
        paths.append(save(tmp_path / f"{number:02}.tracks.jsonl", frames, clip, rate=rate))
    sources = open_sources(paths, Selection(every=every, **choice), needs_clips=True)
    return [
        [(time, part_of(time)) for time in source.frame_times()] for source, part_of in zip(sources, split(sources))
    ]


def side(frames):
    (part,) = {part for _, part in frames}
    return part


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("counts", "val", "least", "most"),
    [
        ([40] * 12, 0.2, 2, 3),
        ([40] * 12, 0.5, 6, 6),
        ([30] * 2, 0.2, 1, 1),
        ([5, 100, 5], 0.2, 1, 2),
        ([1] * 50, 0.1, 5, 5),
        ([100, 200, 0, 50], 0.9, 1, 2),
    ],
)
def test_whole_clips_go_to_one_side(tmp_path, counts, val, least, most, seed):
    parts = [side(frames) for frames in parts_of(tmp_path, counts, val=val, seed=seed) if frames]
    assert least <= parts.count("val") <= most and "train" in parts
    assert parts == [side(frames) for frames in parts_of(tmp_path, counts, val=val, seed=seed) if frames]


def test_another_seed_chooses_other_clips(tmp_path):
    chosen = {tuple(side(frames) for frames in parts_of(tmp_path, [40] * 12, seed=seed)) for seed in range(10)}
    assert len(chosen) > 5


def test_the_order_of_the_files_does_not_matter(tmp_path):
    parts_of(tmp_path, [40, 30, 20, 50, 40])
    paths = sorted(tmp_path.glob("*.jsonl"))
    splits = []
    for order in (paths, paths[::-1], paths[2:] + paths[:2]):
        sources = open_sources(order, Selection(), needs_clips=True)
        splits.append({source.name: part_of(0) for source, part_of in zip(sources, split(sources))})
    assert splits[0] == splits[1] == splits[2]


@pytest.mark.parametrize("seed", range(8))
def test_tracks_of_one_clip_stay_together(tmp_path, seed):
    parts = parts_of(tmp_path, [40] * 5, clips={0: "a.mp4", 2: "a.mp4", 4: "a.mp4"}, seed=seed)
    assert side(parts[0]) == side(parts[2]) == side(parts[4])
    assert {side(frames) for frames in parts} == {"train", "val"}


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("every", [1, 7, 60])
@pytest.mark.parametrize(("count", "rate"), [(100, 25), (60, 25), (2000, 30), (250, 5), (40, 1)])
@pytest.mark.parametrize("val", [0.2, 0.5])
def test_one_clip_is_split_by_time_with_a_gap(tmp_path, count, rate, every, val, seed):
    (frames,) = parts_of(tmp_path, [count], rate=rate, every=every, val=val, seed=seed)
    if frames[-1][0] <= 1:
        assert side(frames) == "train"
        return
    times = {part: [time for time, its in frames if its == part] for part in ("train", "val")}
    assert times["train"] and times["val"]
    assert min(abs(a - b) for a, b in itertools.product(times["train"], times["val"])) >= 1 - 1e-9
    assert len([1 for (_, a), (_, b) in itertools.pairwise(frames) if (a == "val") != (b == "val")]) <= 2  # one block
    share = len(times["val"]) / (len(times["val"]) + len(times["train"]))
    assert abs(share - val) < 0.02 + 1.5 / len(frames)
    assert len(frames) - len(times["val"]) - len(times["train"]) <= 2 * rate / every + 3  # the gaps
    assert parts_of(tmp_path, [count], rate=rate, every=every, val=val, seed=seed) == [frames]


def test_another_seed_chooses_another_time(tmp_path):
    starts = set()
    for seed in range(10):
        (frames,) = parts_of(tmp_path, [2000], seed=seed)
        starts.add(next(time for time, part in frames if part == "val"))
    assert len(starts) > 4


@pytest.mark.parametrize("counts", [[1], [20], [26], [40, 40], []])
def test_what_cannot_be_split(tmp_path, counts):
    for frames in parts_of(tmp_path, counts, val=0 if len(counts) == 2 else 0.2) if counts else ():
        assert side(frames) == "train"


@pytest.mark.parametrize("val", [-0.1, 1.0, 2, float("nan")])
def test_shares_that_make_no_sense(tmp_path, val):
    with pytest.raises(InputError, match="cannot be for validation; give a number from 0 to below 1"):
        vidseg.export(save(tmp_path / "a.tracks.jsonl", {0: {}}), "yolo-seg", val=val)


@pytest.mark.parametrize("kind", [name for name, its in FORMATS.items() if not its.splits])
@pytest.mark.parametrize("choice", [{"val": 0.3}, {"seed": 1}])
def test_formats_that_are_not_split(tmp_path, kind, choice):
    with pytest.raises(InputError, match=f"val and seed go with yolo-seg; {kind} is not split"):
        vidseg.export(save(tmp_path / "a.tracks.jsonl", {0: {}}), kind, **choice)
