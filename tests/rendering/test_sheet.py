"""The contact sheet."""

import json

import cv2
import numpy as np
import pytest

from tests.rendering.test_render import tracked
from tests.support.clips import COUNT, make_clip, read_png
from vidseg.errors import InputError
from vidseg.io.clip import Clip
from vidseg.rendering.palette import colour_of
from vidseg.rendering.render import render
from vidseg.rendering.sheet import clock, draw_view
from vidseg.tracks.file import TracksWriter

SIZE = (160, 120)


def make(tmp_path, seen, clip=None):
    """(clip, tracks): object i is a square seen on the frames seen[i]; the clip's brightness tells its frames apart."""
    path = clip or make_clip(tmp_path / "a.mp4", size=SIZE)
    header = {
        "clip": path,
        "width": SIZE[0],
        "height": SIZE[1],
        "frame_rate": "25",
        "time_base": "1/12800",
        "prompts": [],
        "models": {},
        "vidseg": "0",
    }
    with Clip(path) as source, TracksWriter(tmp_path / "t.jsonl", header) as tracks:
        for frame in source.frames():
            ids = [i for i, frames in seen.items() if frame.index in frames]
            boxes = [(70 + 2 * i, 50 + i, 90 + 2 * i, 70 + i) for i in ids]
            tracks.write(tracked(SIZE, boxes, ids, ["dog"] * len(ids), frame.index, frame.time))
    return path, tmp_path / "t.jsonl"


def sheet_of(tmp_path, clip, tracks, **choices):
    assert render(clip, tracks, tmp_path / "sheet.png", kind="sheet", overwrite=True, **choices) is None
    return read_png(tmp_path / "sheet.png")


def brightness(sheet, row, column):
    """Frame number of a view, from the clip's brightness in its upper right corner (see tests/support/clips.py)."""
    x, y = 16 + column * 244, 16 + 30 + row * (30 + 180 + 22 + 16)
    return round((float(sheet[y + 4 : y + 14, x + 200 : x + 236].mean()) - 40) / 4)


def test_each_object_is_shown_at_its_first_middle_and_last_frame(tmp_path):
    clip, tracks = make(tmp_path, {3: range(2, 31), 5: [7, 8, 20, 33], 6: [10], 9: [12, 13]})
    sheet = sheet_of(tmp_path, clip, tracks)
    views = [[brightness(sheet, row, column) for column in range(3)] for row in range(4)]
    paper = round((250 - 40) / 4)
    assert views == [[2, 16, 30], [7, 8, 33], [10, paper, paper], [12, 13, paper]]
    for row, number in enumerate((3, 5, 6, 9)):
        part = sheet[16 + row * 248 : 16 + (row + 1) * 248]
        assert (part == colour_of(number)).all(axis=2).sum() > 200  # its mark and its outlines
    only = sheet_of(tmp_path, clip, tracks, only="id=5")
    assert only.shape[0] == 16 + 248 and brightness(only, 0, 2) == 33


def test_columns_grow_with_the_number_of_objects(tmp_path):
    clip, tracks = make(tmp_path, {i: [i] for i in range(24)})
    height, width = sheet_of(tmp_path, clip, tracks).shape[:2]
    assert 0.4 < width / height < 2.5


def test_far_frames_are_sought_and_a_clip_that_lacks_them_is_refused(tmp_path, monkeypatch):
    slow = make_clip(tmp_path / "slow.mp4", [12800 * i for i in range(COUNT)], size=SIZE)  # a frame a second
    clip, tracks = make(tmp_path, {1: range(COUNT)}, slow)
    starts, frames = [], Clip.frames
    monkeypatch.setattr(
        Clip, "frames", lambda self, start=None, end=None: starts.append(start) or frames(self, start, end)
    )
    calls = []
    sheet = sheet_of(tmp_path, clip, tracks, progress=lambda *call: calls.append(call))
    assert [brightness(sheet, 0, column) for column in range(3)] == [0, 19, 39] and len(starts) == 3
    assert calls == [(1, 3), (2, 3), (3, 3)]
    short = make_clip(tmp_path / "short.mp4", [12800 * i for i in range(30)], size=SIZE)
    with pytest.raises(InputError, match="short.mp4"):
        sheet_of(tmp_path, short, tracks)


def test_nothing_to_show_is_one_line(tmp_path):
    clip, tracks = make(tmp_path, {})
    with pytest.raises(InputError, match="no object to show"):
        sheet_of(tmp_path, clip, tracks)
    clip, tracks = make(tmp_path, {1: [3]}, clip)
    with pytest.raises(InputError, match="no object to show; ask for others"):
        sheet_of(tmp_path, clip, tracks, only="label=cat")
    assert not (tmp_path / "sheet.png").exists()


def test_masks_that_cannot_be_decoded_are_one_line(tmp_path):
    clip, tracks = make(tmp_path, {1: [3]})
    text = tracks.read_text()
    for counts in ("zzzz", "2", "é"):
        lines = [json.loads(line) for line in text.splitlines()]
        lines[4]["objects"][0]["mask"]["counts"] = counts
        tracks.write_text("".join(json.dumps(line) + "\n" for line in lines))
        with pytest.raises(InputError, match=r"t.jsonl: line 5 is broken \(run lengths"):
            sheet_of(tmp_path, clip, tracks)
        with pytest.raises(InputError, match=r"t.jsonl: line 5 is broken \(run lengths"):
            render(clip, tracks, tmp_path / "still.png", frame=3)


@pytest.mark.parametrize(
    "box", [(0, 0, 160, 120), (0, 0, 3, 3), (157, 117, 160, 120), (70, 50, 71, 51), (5, 0, 9, 120), (0, 60, 160, 64)]
)
def test_views_show_the_whole_object(box):
    mask = np.zeros((120, 160), bool)
    mask[box[1] : box[3], box[0] : box[2]] = True
    image = np.full((120, 160, 3), 128, np.uint8)
    image[mask] = (0, 255, 0)
    shown = draw_view(image, mask, (box[2] - box[0], box[3] - box[1]), (255, 0, 0), (240, 180))
    assert shown.shape == (180, 240, 3)
    red = (np.abs(shown.astype(int) - (255, 0, 0)).max(axis=2) < 90).astype(np.uint8)
    x, y, w, h = cv2.boundingRect(red)
    assert w > 3 and h > 3 and abs(w / h - (box[2] - box[0]) / (box[3] - box[1])) < 0.6 * max(1, w / h)


def test_clock():
    assert [clock(s) for s in (0, 0.449, 59.96, 62.5, 3723.04)] == ["0:00.0", "0:00.4", "1:00.0", "1:02.5", "1:02:03.0"]
