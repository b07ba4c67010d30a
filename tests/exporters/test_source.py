"""Which frames and objects of a tracks file are exported."""

import json

import numpy as np

from tests.support.truth import AWKWARD, RING, save
from vidseg.exporters.source import Selection, Source
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
