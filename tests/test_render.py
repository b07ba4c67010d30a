import os

import cv2
import numpy as np
import pytest
import supervision as sv

from vidseg.errors import InputError, OutputError
from vidseg.render import PALETTE, colour_of, draw, render
from vidseg.tracks import TrackedFrame, TracksWriter
from vidseg.video import Clip

from .clips import COUNT, VARIABLE, make_clip, sound_packets


def tracked(size, boxes, ids, names=None, index=0, time=0.0, grey=128):
    """A TrackedFrame on a grey picture of (width, height), whose masks fill the boxes."""
    width, height = size
    masks = np.zeros((len(boxes), height, width), bool)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes):
        mask[y1:y2, x1:x2] = True
    detections = sv.Detections(
        xyxy=np.array(boxes, np.float32).reshape(-1, 4), mask=masks, confidence=np.full(len(boxes), 0.5, np.float32),
        tracker_id=np.array(ids, int), data={"class_name": np.array(names or ["dog"] * len(boxes), str)},
    )  # fmt: skip
    return TrackedFrame(index, time, np.full((height, width, 3), grey, np.uint8), detections)


def tag_box(picture, object_id):
    """(x1, y1, x2, y2) of the pixels in exactly the object's colour, less thin lines: its tag."""
    plain = (picture == colour_of(object_id)).all(axis=2).astype(np.uint8)
    outline = 3 + min(plain.shape) // 240
    plain = cv2.morphologyEx(plain, cv2.MORPH_OPEN, np.ones((outline, outline), np.uint8))
    x, y, w, h = cv2.boundingRect(plain)
    return x, y, x + w, y + h


def test_fill_is_a_blend_inside_the_mask_only():
    frame = tracked((320, 240), [(100, 100, 200, 200)], [1])
    picture = draw(frame)
    assert picture.shape == (240, 320, 3) and picture.dtype == np.uint8 and (frame.image == 128).all()
    blend = 0.55 * 128 + 0.45 * np.array(colour_of(1))
    assert np.abs(picture[150, 150] - blend).max() <= 1
    assert picture[100, 150].tolist() == list(colour_of(1))  # the outline, in RGB order
    assert (picture[205:, :] == 128).all() and (picture[:, 205:] == 128).all()


def test_an_object_keeps_its_colour():
    alone = draw(tracked((320, 240), [(100, 100, 200, 200)], [5]))
    others = draw(tracked((320, 240), [(10, 150, 60, 220), (100, 100, 200, 200)], [2, 5], ["cat", "dog"]))
    assert others[150, 150].tolist() == alone[150, 150].tolist()
    assert colour_of(5) == colour_of(5 + len(PALETTE)) and len({colour_of(i) for i in range(12)}) == 12


@pytest.mark.parametrize("size", [(426, 240), (240, 426), (1280, 720), (3840, 2160)])
def test_tags_stay_inside_and_readable(size):
    width, height = size
    w, h = width // 8, height // 8
    middle = tag_box(draw(tracked(size, [(width // 3, height // 2, width // 3 + w, height // 2 + h)], [1])), 1)
    tag_width, tag_height = middle[2] - middle[0], middle[3] - middle[1]
    assert max(12, min(size) / 40) <= tag_height <= max(24, min(size) / 12) and tag_width < 0.6 * width
    for x, y in [(0, 0), (width - w, 0), (0, height - h), (width - w, height - h), (width - w // 3, 0)]:
        box = tag_box(draw(tracked(size, [(x, y, min(x + w, width), y + h)], [1])), 1)
        # all of it is there: what left the picture would be missing from its width or height
        slack = 2 + min(size) // 360  # an outline of the same colour may touch it
        assert abs(box[2] - box[0] - tag_width) <= slack and abs(box[3] - box[1] - tag_height) <= slack


def test_long_names_are_cut_to_the_picture():
    frame = tracked((426, 240), [(300, 100, 400, 200)], [3], ["a very long name " * 9])
    x1, y1, x2, y2 = tag_box(draw(frame), 3)
    assert x1 >= 0 and x2 <= 426 and x2 - x1 > 300


def test_tags_do_not_cover_each_other():
    frame = tracked((640, 360), [(200, 150, 320, 300), (205, 152, 330, 290), (210, 149, 300, 280)], [1, 2, 3])
    picture = draw(frame)
    boxes = [tag_box(picture, object_id) for object_id in (1, 2, 3)]
    for i, a in enumerate(boxes):
        for b in boxes[:i]:
            assert min(a[2], b[2]) - max(a[0], b[0]) <= 2 or min(a[3], b[3]) - max(a[1], b[1]) <= 2


def test_nothing_tracked_and_empty_masks_draw_nothing_new():
    frame = tracked((320, 240), [], [])
    assert np.array_equal(draw(frame), frame.image) and draw(frame) is not frame.image


# --- render ---

SIZE = (160, 120)
ID = 3


def tracks_for(path, target, frames, size=SIZE):
    """Tracks of one moving square in those frames of the clip that `frames` names."""
    with Clip(path) as clip:
        header = dict(
            clip=path, width=size[0], height=size[1], frame_rate=str(clip.info.frame_rate),
            time_base=str(clip.info.time_base), prompts=["dog"], models={}, vidseg="0",
        )  # fmt: skip
        with TracksWriter(target, header) as tracks:
            for frame in clip.frames():
                if frame.index in frames:
                    tracks.write(tracked(size, [(40 + frame.index, 60, 80 + frame.index, 100)], [ID], None, frame.index, frame.time))
    return target


def test_render_draws_the_tracked_range(tmp_path):
    pts = [6400 + tick for tick in VARIABLE]
    path = make_clip(tmp_path / "a.mp4", pts, size=SIZE, audio="aac")
    tracks = tracks_for(path, tmp_path / "t.jsonl", {*range(10, 31)} - {20, 21})
    assert render(path, tracks, tmp_path / "out.mp4") is None
    source = {frame.index: frame for frame in Clip(path).frames()}
    result = list(Clip(tmp_path / "out.mp4").frames())
    assert [f.time for f in result] == pytest.approx([source[i].time - source[10].time for i in range(10, 31)], abs=1e-4)
    for index, frame in zip(range(10, 31), result):
        change = np.abs(frame.image.astype(int) - source[index].image).mean(axis=(0, 1)).max()
        assert change < 2 if index in (20, 21) else change > 4
        if index not in (20, 21):  # the square is where the tracks have it
            blend = 0.55 * source[index].image[80, 60 + index] + 0.45 * np.array(colour_of(ID))
            assert np.abs(frame.image[80, 60 + index] - blend).max() < 20
    assert len(sound_packets(tmp_path / "out.mp4")) > 10
    assert sorted(os.listdir(tmp_path)) == ["a.mp4", "out.mp4", "t.jsonl"]


def test_render_refuses_what_does_not_fit(tmp_path):
    path = make_clip(tmp_path / "a.mp4", size=SIZE)
    tracks = tracks_for(path, tmp_path / "t.jsonl", {1, 2})
    other = make_clip(tmp_path / "b.mp4", size=(64, 48))
    with pytest.raises(InputError, match="160×120 pixels and .*b.mp4 has 64×48"):
        render(other, tracks, tmp_path / "out.mp4")
    with pytest.raises(InputError, match="no frames"):
        render(path, tracks_for(path, tmp_path / "none.jsonl", ()), tmp_path / "out.mp4")
    with pytest.raises(OutputError, match="exists already"):
        render(path, tracks, other)
    with pytest.raises(OutputError, match="the clip itself"):
        render(path, tracks, path, overwrite=True)
    assert len(list(Clip(path).frames())) == COUNT and not (tmp_path / "out.mp4").exists()
    render(path, tracks, other, overwrite=True)
    assert len(list(Clip(other).frames())) == 2


def test_render_leaves_nothing_behind_when_the_tracks_break(tmp_path):
    path = make_clip(tmp_path / "a.mp4", size=SIZE)
    tracks = tracks_for(path, tmp_path / "t.jsonl", set(range(30)))
    with open(tracks, "r+") as file:
        text = file.read()
        file.seek(0)
        file.truncate()
        file.write(text[: len(text) * 2 // 3])
    with pytest.raises(InputError, match="is broken"):
        render(path, tracks, tmp_path / "out.mp4")
    assert sorted(os.listdir(tmp_path)) == ["a.mp4", "t.jsonl"]
