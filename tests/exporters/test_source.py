"""Which frames and objects of a tracks file are exported."""

import json

import numpy as np
import pytest

from tests.support.truth import AWKWARD, RING, save
from vidseg.errors import InputError
from vidseg.exporters.source import Selection, Source, open_sources, tracks_files
from vidseg.tracks.file import read_tracks
from vidseg.tracks.rle import encode_mask


def kept(path, **selection):
    source = Source(tracks=read_tracks(path), name="t", selection=Selection(**selection))
    frames = [(frame.index, [found.id for found in frame.objects]) for frame in source.frames()]
    assert source.frame_count() == len(frames)
    return frames


def test_frames_and_objects_that_are_kept(tmp_path):
    path = save(tmp_path / "t.jsonl", AWKWARD, scores={3: 0.5, 5: 0.4})
    everything = [(index, list(objects)) for index, objects in AWKWARD.items()]
    assert kept(path) == everything
    assert kept(path, every=2) == [frame for frame in everything if frame[0] % 2]  # of those after 7: 9, 11, 15
    assert kept(path, every=100) == everything[:1]
    assert kept(path, min_score=0.5) == [(index, [i for i in ids if i != 5]) for index, ids in everything]
    assert kept(path, min_score=0.95) == [(index, []) for index in AWKWARD]


def test_empty_masks_are_left_out(tmp_path):
    path = save(tmp_path / "t.jsonl", {0: {1: ("dog", RING)}})
    empty = json.dumps(encode_mask(np.zeros_like(RING))["counts"])
    path.write_text(path.read_text().replace(json.dumps(encode_mask(RING)["counts"]), empty))
    assert kept(path) == [(0, [])]


@pytest.mark.parametrize(
    ("named", "there", "found"),
    [
        ("a.mp4", ["data/a.mp4", "here/a.mp4"], "data/a.mp4"),  # beside the tracks, and not here
        ("sub/a.mp4", ["data/sub/a.mp4", "data/a.mp4", "here/sub/a.mp4"], "data/sub/a.mp4"),
        ("sub/a.mp4", ["data/a.mp4", "here/sub/a.mp4"], "data/a.mp4"),  # moved beside the tracks
        ("../a.mp4", ["a.mp4", "here/a.mp4"], "data/../a.mp4"),
        ("{folder}/old/a.mp4", ["old/a.mp4", "data/a.mp4"], "data/a.mp4"),  # copied with the tracks
        ("{folder}/old/a.mp4", ["old/a.mp4", "here/a.mp4"], "old/a.mp4"),
        ("sub/a.mp4", ["here/sub/a.mp4"], "sub/a.mp4"),  # where it says, seen from here
        (".", ["data/t/0.png"], "data/t"),  # tracked from inside the folder that the tracks are named after
    ],
)
def test_where_the_clip_is(tmp_path, monkeypatch, named, there, found):
    for name in [*there, "here/x", "data/x"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path / "here")
    tracks = save(tmp_path / "data/t.tracks.jsonl", {}, clip=named.format(folder=tmp_path))
    (source,) = open_sources([tracks], Selection(), needs_clips=True)
    expected = found if there == ["here/sub/a.mp4"] else str(tmp_path / found)
    assert str(source.clip) == expected and source.clip.exists()


def test_tracks_files_of_a_folder(tmp_path):
    for name in ("b10.tracks.jsonl", "b2.tracks.jsonl", "truth.jsonl", ".b3.tracks.jsonl", "b.mp4"):
        (tmp_path / name).touch()
    (tmp_path / "c.tracks.jsonl").mkdir()
    assert tracks_files(tmp_path) == [tmp_path / "b2.tracks.jsonl", tmp_path / "b10.tracks.jsonl"]
    assert tracks_files(str(tmp_path / "none")) == [str(tmp_path / "none")]
    with pytest.raises(InputError, match="no tracks files"):
        tracks_files(tmp_path / "c.tracks.jsonl")
