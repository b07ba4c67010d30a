import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
import supervision as sv

from tests.support.clips import COUNT, VARIABLE, make_clip, read_png, sound_packets
from vidseg.errors import InputError, OutputError
from vidseg.io.clip import Clip
from vidseg.rendering.palette import PALETTE, colour_of
from vidseg.rendering.render import draw, render
from vidseg.tracks.file import TracksWriter
from vidseg.tracks.frame import TrackedFrame


def tracked(size, boxes, ids, names=None, index=0, time=0.0, grey=128) -> Any:
    """A TrackedFrame on a grey picture of (width, height), whose masks fill the boxes. Nothing of it is None."""
    width, height = size
    masks = np.zeros((len(boxes), height, width), bool)
    for mask, (x1, y1, x2, y2) in zip(masks, boxes):
        mask[y1:y2, x1:x2] = True
    detections = sv.Detections(
        xyxy=np.array(boxes, np.float32).reshape(-1, 4),
        mask=masks,
        confidence=np.full(len(boxes), 0.5, np.float32),
        tracker_id=np.array(ids, int),
        data={"class_name": np.array(names or ["dog"] * len(boxes), str)},
    )
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
    assert np.abs(picture[199, 150].astype(int) - colour_of(1)).max() <= 8  # the outline, in RGB order
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
Pair = tuple[str, Path]


def tracks_for(path, target, frames, size=SIZE):
    """Tracks of one moving square in those frames of the clip that `frames` names."""
    with Clip(path) as clip:
        header = {
            "clip": path,
            "width": size[0],
            "height": size[1],
            "frame_rate": str(clip.info.frame_rate),
            "time_base": str(clip.info.time_base),
            "prompts": ["dog"],
            "models": {},
            "vidseg": "0",
        }
        with TracksWriter(target, header) as tracks:
            for frame in clip.frames():
                if frame.index in frames:
                    tracks.write(
                        tracked(
                            size, [(40 + frame.index, 60, 80 + frame.index, 100)], [ID], None, frame.index, frame.time
                        )
                    )
    return target


def test_render_draws_the_tracked_range(tmp_path):
    pts = [6400 + tick for tick in VARIABLE]
    path = make_clip(tmp_path / "a.mp4", pts, size=SIZE, audio="aac")
    tracks = tracks_for(path, tmp_path / "t.jsonl", {*range(10, 31)} - {20, 21})
    assert render(path, tracks, tmp_path / "out.mp4") is None
    source = {frame.index: frame for frame in Clip(path).frames()}
    result = list(Clip(tmp_path / "out.mp4").frames())
    assert [f.time for f in result] == pytest.approx(
        [source[i].time - source[10].time for i in range(10, 31)], abs=1e-4
    )
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
    with pytest.raises(OutputError, match="is read in the same run"):
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


# --- choices ---


def two_tracks(path, target, size=SIZE, frames: Iterable[int] = range(12)):
    """Tracks of a still dog at the left, id 1, and a cat at the right, id 7."""
    with Clip(path) as clip:
        header = {
            "clip": path,
            "width": size[0],
            "height": size[1],
            "frame_rate": str(clip.info.frame_rate),
            "time_base": str(clip.info.time_base),
            "prompts": ["cat"],
            "models": {},
            "vidseg": "0",
        }
        with TracksWriter(target, header) as tracks:
            for frame in clip.frames():
                if frame.index in frames:
                    boxes = [(10, 60, 50, 100), (90, 60, 130, 100)]
                    tracks.write(tracked(size, boxes, [1, 7], ["dog", "cat"], frame.index, frame.time))
    return target


@pytest.fixture
def pair(tmp_path):
    """(clip, tracks) of `two_tracks`; the first frames of the clip are not tracked."""
    path = make_clip(tmp_path / "a.mp4", [512 * i for i in range(20)], size=SIZE, audio="aac")
    return path, two_tracks(path, tmp_path / "t.jsonl", frames=range(4, 16))


def still(pair: Pair, target, **choices):
    """A still of frame 10 as H×W×3 RGB."""
    assert render(*pair, target, frame=10, overwrite=True, **choices) is None
    return read_png(target)


def tint(picture, x, source=40 + 4 * 10):
    """Number of the colour that the picture was tinted with at (x, 80), or None."""
    if np.abs(picture[80, x].astype(int) - source).max() < 4:
        return None
    return min(range(12), key=lambda i: np.abs(picture[80, x] - (0.55 * source + 0.45 * np.array(colour_of(i)))).sum())


def test_only_the_chosen_objects_are_drawn(pair: Pair, tmp_path):
    for only, left, right in [
        ((), 1, 7),
        ("label=dog", 1, None),
        (["id=7"], None, 7),
        (["id=1", "label=cat"], 1, 7),
        (["label=cat", "id=9"], None, 7),
    ]:
        picture = still(pair, tmp_path / "out.png", only=only, style="mask")
        assert (tint(picture, 30), tint(picture, 110)) == (left, right)
    note = render(*pair, tmp_path / "none.mp4", only=["label=horse"])
    assert note == "nothing is shown: no object is label=horse; the labels are cat, dog"


def test_colours_by_label_follow_the_prompts(pair: Pair, tmp_path):
    picture = still(pair, tmp_path / "out.png", color_by="label", style="mask")
    assert (tint(picture, 110), tint(picture, 30)) == (0, 1)  # the prompt was "cat"
    picture = still(pair, tmp_path / "out.png", color_by="label", style="mask", only="label=dog")
    assert (tint(picture, 110), tint(picture, 30)) == (None, 1)  # the same without the other


def test_stills_are_frames_of_the_video(pair: Pair, tmp_path):
    styles = "mask,contour,trail,label"
    assert render(*pair, tmp_path / "out.mkv", style=styles, crf=0) is None
    frames = list(Clip(tmp_path / "out.mkv").frames())
    assert len(frames) == 12
    picture = still(pair, tmp_path / "out.png", style=styles)
    assert np.abs(picture.astype(int) - frames[6].image).mean() < 2
    assert np.abs(picture.astype(int) - frames[0].image).mean() > 10


def test_a_still_of_a_frame_that_the_tracks_lack_is_bare(tmp_path):
    path = make_clip(tmp_path / "a.mp4", size=SIZE)
    tracks = two_tracks(path, tmp_path / "t.jsonl", frames=(2, 3, 30))
    render(path, tracks, tmp_path / "out.png", frame=10)
    source = next(frame.image for frame in Clip(path).frames() if frame.index == 10)
    assert np.array_equal(read_png(tmp_path / "out.png"), source)
    for number, says in (
        (1, "no frame 1: its first one is 2"),
        (31, "no frame 31: its last one is 30"),
        (500, "no frame 500"),
    ):
        with pytest.raises(InputError, match=says):
            render(path, tracks, tmp_path / "none.png", frame=number)
    short = make_clip(tmp_path / "short.mp4", [512 * i for i in range(8)], size=SIZE)
    for number in (10, 30):
        with pytest.raises(InputError, match="short.mp4"):
            render(short, tracks, tmp_path / "none.png", frame=number)
    assert not (tmp_path / "none.png").exists()


@pytest.mark.parametrize(
    ("choice", "size"),
    [
        ({"height": 60}, (80, 60)),
        ({"width": 320}, (320, 240)),
        ({"height": 61}, (82, 61)),
        ({"height": 480}, (640, 480)),
        ({"side_by_side": True}, (320, 120)),
        ({"side_by_side": True, "width": 80}, (160, 60)),
    ],
)
def test_sizes_keep_the_aspect(pair: Pair, tmp_path, choice, size):
    picture = still(pair, tmp_path / "out.png", style="mask", **choice)
    assert picture.shape[1::-1] == size
    half = picture[:, picture.shape[1] // 2 :] if "side_by_side" in choice else picture
    scale = half.shape[1] / SIZE[0]
    inside = np.abs(half.astype(int) - 80).max(axis=2) > 30
    inside[: half.shape[0] // 2, : half.shape[1] // 2] = False  # the red mark of the clip
    x, y, w, h = cv2.boundingRect(inside.astype(np.uint8))
    assert np.abs(np.array([x, x + w, y + h]) / scale - (10, 130, 100)).max() <= 1.5 / min(1, scale)
    if "side_by_side" in choice:
        assert np.abs(picture[half.shape[0] // 2 :, : half.shape[1]].astype(int) - 80).max() < 8
    assert render(*pair, tmp_path / "out.mp4", **choice) is None
    info = Clip(tmp_path / "out.mp4").info
    assert (info.width, info.height) == (size[0] + size[0] % 2, size[1] + size[1] % 2)


def test_masks_are_scaled_with_the_picture():
    from vidseg.rendering.frame_renderer import _scaled

    found = tracked((160, 120), [(10, 60, 50, 100)], [1]).detections
    for size in [(80, 60), (320, 240), (53, 40)]:
        scaled: Any = _scaled(found, size)
        x, y, w, h = cv2.boundingRect(scaled.mask[0].astype(np.uint8))
        assert np.abs(np.array([x, y, x + w, y + h]) - scaled.xyxy[0]).max() <= 1 and scaled.mask.shape == (
            1,
            *size[::-1],
        )


@pytest.mark.parametrize(
    ("name", "choice", "codec"),
    [
        ("a.mp4", {}, "h264"),
        ("a.mkv", {"codec": "h265"}, "hevc"),
        ("b.mp4", {"codec": "h265"}, "hevc"),
        ("a.webm", {}, "vp9"),
        ("c.mp4", {"codec": "av1"}, "av1"),
        ("b.webm", {"codec": "av1"}, "av1"),
        ("b.mkv", {"codec": "vp9"}, "vp9"),
    ],
)
def test_codecs_keep_timing_and_sound(tmp_path, name, choice, codec, capfd):
    pts = [6400 + tick for tick in VARIABLE[:20]]
    path = make_clip(tmp_path / "in.mp4", pts, size=SIZE, audio="aac")
    tracks = two_tracks(path, tmp_path / "t.jsonl", frames=range(4, 20))
    assert render(path, tracks, tmp_path / name, **choice) is None
    with av.open(str(tmp_path / name)) as out:
        stream = out.streams.video[0]
        assert stream.codec_context.codec.canonical_name == codec and (
            codec != "hevc" or name != "b.mp4" or stream.codec_context.codec_tag == "hvc1"
        )
    times = [frame.time for frame in Clip(tmp_path / name).frames()]
    assert times == pytest.approx([(tick - pts[4]) / 12800 for tick in pts[4:]], abs=0.0011)
    assert len(sound_packets(tmp_path / name)) > 5
    assert capfd.readouterr() == ("", "")  # encoders may not talk


def test_a_size_that_a_codec_does_not_take_is_one_line(pair: Pair, tmp_path):
    with pytest.raises(OutputError, match="libx264 does not take 21846×16384 pixels .* choose another size or codec"):
        render(*pair, tmp_path / "out.mp4", height=16384)
    assert sorted(os.listdir(tmp_path)) == ["a.mp4", "t.jsonl"]


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "h264"), ("b.mp4", "h265"), ("c.webm", "vp9"), ("d.mp4", "av1")])
def test_clips_of_a_frame_or_two(tmp_path, name, codec, count):
    path = make_clip(tmp_path / "in.mkv", [0, 512], size=(64, 48), codec="ffv1")
    tracks = two_tracks(path, tmp_path / "t.jsonl", size=(64, 48), frames=range(count))
    assert render(path, tracks, tmp_path / name, codec=codec) is None
    assert len(list(Clip(tmp_path / name).frames())) == count


def test_crf_chooses_quality(pair: Pair, tmp_path):
    sizes = []
    for crf in (2, 40):
        render(*pair, tmp_path / "out.mp4", crf=crf, overwrite=True)
        sizes.append((tmp_path / "out.mp4").stat().st_size)
    assert sizes[0] > 1.2 * sizes[1]


def test_progress_counts_the_tracked_frames(pair: Pair, tmp_path):
    calls = []
    render(*pair, tmp_path / "out.mp4", progress=lambda *call: calls.append(call))
    assert calls == [(i, 12) for i in range(1, 13)]


def test_gifs_repeat_and_keep_the_time(tmp_path):
    """At 25 frames/s each frame is 4 ticks long; at 100 frames/s every other one is left out."""
    image_module = pytest.importorskip("PIL.Image")
    for rate, shown in ((25, 20), (100, 10)):
        path = make_clip(tmp_path / f"{rate}.mp4", [12800 // rate * i for i in range(20)], size=SIZE)
        tracks = two_tracks(path, tmp_path / f"{rate}.jsonl", frames=range(20))
        assert render(path, tracks, tmp_path / f"{rate}.gif", style="mask", height=60) is None
        with image_module.open(tmp_path / f"{rate}.gif") as gif:
            assert gif.size == (80, 60) and gif.info["loop"] == 0
            lengths, pictures = [], []
            for index in range(gif.n_frames):
                gif.seek(index)
                pictures.append(np.array(gif.convert("RGB")))
                lengths.append(gif.info["duration"])
        assert (
            len(pictures) == shown and abs(sum(lengths) - (19 * 1000 / rate + 40)) <= 20
        )  # the last is shown for 40 ms
        assert tint(pictures[0].repeat(2, axis=0).repeat(2, axis=1), 110, 40) == 7
        assert pictures[0][40, 40].mean() == pytest.approx(40, abs=6) and pictures[-1][40, 40].mean() > 105
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".gif"] * 2 + [".jsonl"] * 2 + [".mp4"] * 2
