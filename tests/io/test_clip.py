import gc
import os
import threading
import time
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from av.stream import Disposition

from tests.support.clips import (
    CONSTANT,
    COUNT,
    VARIABLE,
    add_sound,
    make_clip,
    make_sound,
    noise,
    number_of,
    picture,
    sound_packets,
)
from vidseg.errors import InputError, OutputError
from vidseg.io import decoding, video
from vidseg.io.clip import Clip
from vidseg.io.reader import Reader
from vidseg.io.threads import Background, prefetch
from vidseg.io.timestamps import parse_time
from vidseg.io.writer import VideoWriter

MS = Fraction(1, 1000)
OPEN_GOP = {"crf": "4", "x264-params": "open-gop=1:keyint=8:min-keyint=8:bframes=3:b-adapt=0:scenecut=0"}

# name -> (file name, the time stamps of its frames in s, how to make it)
INPUTS = {
    "constant": ("a.mp4", CONSTANT, {"options": {"g": "12", "bf": "0", "crf": "4"}}),
    "b-frames": ("a.mkv", [40 * i for i in range(COUNT)], {"base": MS}),
    "variable": ("a.mp4", VARIABLE, {}),
    "variable, moov first": ("a.mov", VARIABLE, {"container": {"movflags": "+faststart"}}),
    "open gop": ("a.mp4", VARIABLE, {"options": OPEN_GOP}),
    "open gop, mkv": ("a.mkv", [40 * i for i in range(COUNT)], {"base": MS, "options": OPEN_GOP}),
    "starts at 5 s": ("a.mp4", [64000 + tick for tick in VARIABLE], {}),
    "ts": ("a.ts", CONSTANT, {}),
    "sound": ("a.mp4", CONSTANT, {"audio": "aac"}),
    "odd size": ("a.mkv", [40 * i for i in range(COUNT)], {"base": MS, "size": (63, 47), "pixels": "yuv444p"}),
    "vp9": ("a.webm", [40 * i for i in range(COUNT)], {"base": MS, "codec": "libvpx-vp9", "options": {"g": "12"}}),
    "vp9, transparent": (
        "a.webm",
        [40 * i for i in range(COUNT)],
        {"base": MS, "codec": "libvpx-vp9", "pixels": "yuva420p", "options": {"g": "12", "auto-alt-ref": "0"}},
    ),
    "vp8": (
        "a.webm",
        [40 * i for i in range(COUNT)],
        {"base": MS, "codec": "libvpx", "options": {"g": "12", "auto-alt-ref": "1", "lag-in-frames": "16", "b": "2M"}},
    ),
    "mpeg4, avi": (
        "a.avi",
        list(range(COUNT)),
        {"base": Fraction(1, 25), "codec": "mpeg4", "options": {"g": "12", "qmax": "2"}},
    ),
    "gif": ("a.gif", [4 * i for i in range(COUNT)], {"base": Fraction(1, 100), "codec": "gif", "pixels": "gray"}),
}


@pytest.fixture(params=INPUTS, scope="module")
def made(request, tmp_path_factory):
    name, pts, how = INPUTS[request.param]
    base = how.get("base", Fraction(1, 12800))
    return (
        make_clip(tmp_path_factory.mktemp("clip") / name, pts, **how),
        [float((tick - pts[0]) * base) for tick in pts],
        request.param,
    )


def test_every_frame_once_with_its_time(made):
    path, times, kind = made
    with Clip(path) as clip:
        frames = list(clip.frames())
    assert [frame.index for frame in frames] == list(range(COUNT))
    assert [number_of(frame.image) for frame in frames] == list(range(COUNT))
    assert [frame.time - clip.first_time for frame in frames] == pytest.approx(times, abs=float(clip.info.time_base))
    assert all(frame.time == float(frame.pts * clip.info.time_base) for frame in frames)
    assert clip.warning is None
    assert frames[0].image.shape == (clip.info.height, clip.info.width, 3) and frames[0].image.dtype == np.uint8
    assert clip.info.frame_count == pytest.approx(COUNT, abs=2) and clip.info.has_audio == (kind == "sound")
    if kind == "starts at 5 s":
        assert clip.first_time == pytest.approx(5, abs=0.001)


def test_a_frame_is_freed_as_soon_as_it_is_read(tmp_path):
    clip = Clip(make_clip(tmp_path / "a.mp4", CONSTANT))
    gc.collect()
    gc.disable()  # frames in a reference cycle would wait for it, and nobody knows for how many frames
    try:
        assert sum(1 for _ in clip.frames()) == len(CONSTANT)
        assert not [thing for thing in gc.get_objects() if type(thing) is av.VideoFrame]
    finally:
        gc.enable()


def test_range_keeps_true_numbers(made):
    path, times, _ = made
    clip = Clip(path)
    frames = list(clip.frames())
    for first, last in [(1, 3), (7, 9), (8, 9), (12, 14), (13, 30), (23, 26), (39, 40)]:
        whole = frames[first:last]
        end = times[last] if last < COUNT else None
        part = list(clip.frames(whole[0].time - clip.first_time, end))
        assert [(f.index, f.pts) for f in part] == [(f.index, f.pts) for f in whole]
        assert all(np.array_equal(a.image, b.image) for a, b in zip(part, whole))


def test_start_between_two_frames_takes_the_later(tmp_path):
    clip = Clip(make_clip(tmp_path / "a.mp4"))
    assert next(clip.frames(start=0.5)).index == 13  # frames 12 and 13 are at 0.48 and 0.52 s


def counted(monkeypatch, module):
    """The frames that are decoded through a module from now on."""
    decoded, decode = [], module.decode
    monkeypatch.setattr(module, "decode", lambda *a: (decoded.append(f) or f for f in decode(*a)))
    return decoded


def test_starting_late_decodes_little(tmp_path, monkeypatch):
    clip = Clip(make_clip(tmp_path / "a.mp4"))
    decoded = counted(monkeypatch, video)
    assert [f.index for f in clip.frames(start=37 * 0.04)] == [37, 38, 39]
    assert len(decoded) < 12  # from the key frame before, and there is one every 12 frames


@pytest.mark.parametrize("room", [1 << 20, 20_000], ids=["a whole group", "a few frames"])
def test_backwards_is_the_same_in_reverse(made, monkeypatch, room):
    path, times, _ = made
    monkeypatch.setattr(Reader, "back_room", room)
    clip = Clip(path)
    frames = list(clip.frames())
    for last, first in [(39, 0), (25, 0), (24, 11), (13, 12), (5, 5), (1, 0), (0, 0)]:
        back = list(clip.backwards(frames[last], times[first]))
        assert [(f.index, f.pts, f.time) for f in back] == [(f.index, f.pts, f.time) for f in frames[first:last]][::-1]
        assert all(np.array_equal(a.image, b.image) for a, b in zip(back, frames[first:last][::-1]))


def test_backwards_goes_from_key_frame_to_key_frame(tmp_path, monkeypatch):
    clip = Clip(make_clip(tmp_path / "a.mp4"))  # a key frame every 12 frames
    key = list(clip.frames())[36]
    decoded = counted(monkeypatch, decoding)
    assert [f.index for f in clip.backwards(key)] == list(range(35, -1, -1))
    assert len(decoded) <= 36 + 3 * 2  # each frame once, and the one after each group


def test_backwards_holds_no_more_than_it_may(tmp_path, monkeypatch):
    clip = Clip(make_clip(tmp_path / "a.mp4", options={"g": "40"}))  # 64×48 in yuv420p: some 5 kB a frame
    key = list(clip.frames())[39]
    sizes, portion = [], video.portion_before
    monkeypatch.setattr(Reader, "back_room", 50_000)
    monkeypatch.setattr(video, "portion_before", lambda *a: (part := portion(*a), sizes.append(len(part or ())))[0])
    assert len(list(clip.backwards(key))) == 39
    assert len(sizes) > 3 and max(sizes) <= 10


def test_backwards_through_images(tmp_path):
    for index in range(4):
        cv2.imwrite(str(tmp_path / f"{index}.png"), picture(index)[..., ::-1])
    clip = Clip(tmp_path)
    frames = list(clip.frames())
    assert [number_of(f.image) for f in clip.backwards(frames[3])] == [2, 1, 0]
    assert [(f.index, f.time) for f in clip.backwards(frames[3], start=0.04)] == [(2, 0.08), (1, 0.04)]
    assert list(clip.backwards(frames[0])) == []


def test_empty_ranges(tmp_path):
    clip = Clip(make_clip(tmp_path / "a.mp4"))
    with pytest.raises(InputError, match="lasts 1.6 s"):
        list(clip.frames(start=2))
    with pytest.raises(InputError, match="1 s to 1 s is empty"):
        clip.frames(start=1, end=1)


@pytest.mark.skipif(not hasattr(av.VideoStream, "set_display_rotation"), reason="this PyAV cannot write a rotation")
@pytest.mark.parametrize("degrees, row, column", [(0, 0, 0), (90, 1, 0), (180, 1, 1), (270, 0, 1)])
def test_rotation_is_applied(tmp_path, degrees, row, column):
    path = make_clip(tmp_path / "a.mp4", CONSTANT[:2], rotation=degrees)  # counter-clockwise
    clip = Clip(path)
    assert (clip.info.width, clip.info.height) == ((64, 48) if degrees in (0, 180) else (48, 64))
    image = next(clip.frames()).image
    assert image.shape == (clip.info.height, clip.info.width, 3) and image.flags.c_contiguous
    corners = image[2 :: image.shape[0] - 5, 2 :: image.shape[1] - 5].astype(int)
    assert (corners[..., 0] - corners[..., 1] > 100).tolist() == [
        [(r, c) == (row, column) for c in (0, 1)] for r in (0, 1)
    ]


def test_missing_timestamps_still_increase(tmp_path):
    path = make_clip(tmp_path / "a.h264", options={"bf": "2"})  # a raw stream has none
    frames = list(Clip(path).frames())
    assert len(frames) == COUNT and [number_of(f.image) for f in frames] == list(range(COUNT))
    assert all(a.pts < b.pts and a.time < b.time for a, b in zip(frames, frames[1:]))


# --- folders of images and single images ---


def test_image_folder(tmp_path):
    for index, name in enumerate(("img1.png", "img2.JPG", "img10.bmp", "img11.webp")):
        cv2.imwrite(str(tmp_path / name), picture(index)[..., ::-1])
    (tmp_path / "notes.txt").write_text("no image")
    clip = Clip(tmp_path)
    frames = list(clip.frames())
    assert [number_of(f.image) for f in frames] == [0, 1, 2, 3] and [f.index for f in frames] == [0, 1, 2, 3]
    assert [f.time for f in frames] == [0, 0.04, 0.08, 0.12] and clip.info.frame_count == 4
    assert frames[0].image[2, 2].tolist() == [250, 20, 20]
    assert [f.index for f in clip.frames(start=0.04, end=0.12)] == [1, 2]
    cv2.imwrite(str(tmp_path / "img3.png"), picture(0, 32, 32))
    with pytest.raises(InputError, match="img3.png has 32×32"):
        list(clip.__class__(tmp_path).frames())


def test_image_kinds(tmp_path):
    grey16 = np.full((8, 10), 0x8040, np.uint16)
    cv2.imwrite(str(tmp_path / "grey16.png"), grey16)
    (image,) = [f.image for f in Clip(tmp_path / "grey16.png").frames()]
    assert image.shape == (8, 10, 3) and image.dtype == np.uint8 and set(image.ravel()) == {0x80}
    clear = np.zeros((8, 10, 4), np.uint8)
    clear[:, 5:] = (255, 0, 0, 255)  # opaque blue in OpenCV's order
    cv2.imwrite(str(tmp_path / "clear.png"), clear)
    (image,) = [f.image for f in Clip(tmp_path / "clear.png").frames()]
    assert image[0, 0].tolist() == [255, 255, 255] and image[0, 9].tolist() == [0, 0, 255]


def test_image_exif_orientation(tmp_path):
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6  # shown after a quarter turn clockwise
    Image.fromarray(picture(0)).save(tmp_path / "a.jpg", exif=exif, quality=95)
    clip = Clip(tmp_path / "a.jpg")
    image = next(clip.frames()).image
    assert (clip.info.width, clip.info.height) == (48, 64) and image[5, 42, 0] > 200 > image[5, 5, 0]


# --- files that cannot be used, or only in part ---


def unusable(folder, kind):
    path = folder / "clip.mp4"
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_text("hello\n" * 100)
    elif kind == "text by name":
        path = folder / "clip.txt"
        path.write_text("hello\n" * 100)
    elif kind == "sound":
        make_sound(path)
    elif kind == "song with a cover":
        path = folder / "song.mp3"
        with av.open(str(path), "w") as out:
            sound, cover = out.add_stream("mp3", rate=48000, layout="mono"), out.add_stream("mjpeg", rate=1)
            cover.width, cover.height, cover.pix_fmt = 64, 48, "yuvj420p"
            cover.disposition = Disposition.attached_pic.value
            out.mux(cover.encode(av.VideoFrame.from_ndarray(picture(0), format="rgb24")))
            out.mux(cover.encode(None))
            add_sound(out, sound, 0.5)
    elif kind == "folder":
        path.mkdir()
    elif kind == "broken image":
        path = folder / "a.png"
        path.write_bytes(b"\x89PNG nothing")
    elif kind == "no frame left":
        make_clip(path, CONSTANT[:10], container={"movflags": "+faststart"}, paint=noise)
        data = path.read_bytes()
        path.write_bytes(data[: data.index(b"mdat") + 40])
    return path


@pytest.mark.parametrize(
    "kind, says",
    [
        ("missing", "no such file"),
        ("empty", "is empty"),
        ("text", "not a video"),
        ("text by name", "not a video"),
        ("sound", "sound without a picture"),
        ("song with a cover", "sound without a picture"),
        ("folder", "no images in this folder"),
        ("broken image", "not an image"),
        ("no frame left", "not a single frame"),
    ],
)
def test_unusable_input(tmp_path, kind, says):
    path = unusable(tmp_path, kind)
    with pytest.raises(InputError, match=says) as caught:
        Clip(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_truncated_file_gives_the_frames_before_the_break(tmp_path, name):
    faststart = {"movflags": "+faststart"} if name == "a.mp4" else {}
    base = MS if name == "a.mkv" else Fraction(1, 12800)
    pts = [round(i / 25 / base) for i in range(COUNT)]
    path = make_clip(tmp_path / name, pts, base, size=(160, 120), container=faststart, paint=noise)
    whole = list(Clip(path).frames())
    data = Path(path).read_bytes()
    Path(path).write_bytes(data[: len(data) * 6 // 10])
    clip = Clip(path)
    part = list(clip.frames())
    assert COUNT // 3 < len(part) < COUNT - 10
    good = [np.array_equal(a.image, b.image) and (a.index, a.pts) == (b.index, b.pts) for a, b in zip(part, whole)]
    if name == "a.ts":  # it has neither a length nor an index: only the last frame can look wrong
        assert all(good[:-1])
    else:
        assert all(good)
        last = part[-1]
        assert (
            clip.warning
            == f"{path} is damaged after frame {last.index} ({last.time:.1f} s): nothing after it can be read"
        )
        assert [f.index for f in clip.frames(end=0.2)] == [0, 1, 2, 3, 4] and clip.warning is None


def test_damage_in_the_middle_is_passed_over(tmp_path):
    path = make_clip(tmp_path / "a.mp4", options={"g": "6", "bf": "0"}, size=(160, 120), paint=noise)
    with av.open(path) as source:
        packet = [p for p in source.demux(video=0) if p.size][20]
        place, size = packet.pos, packet.size
    data = bytearray(Path(path).read_bytes())
    data[place : place + size] = b"\xff" * size
    Path(path).write_bytes(data)
    clip = Clip(path)
    frames = list(clip.frames())
    assert len(frames) >= COUNT - 1 and frames[-1].pts == CONSTANT[-1]
    assert "damaged near frame" in (clip.warning or "")


# --- writing ---


def copy(source, target, start=None, end=None):
    with Clip(source) as clip, VideoWriter(target, clip.info, source if clip.info.has_audio else None) as writer:
        for frame in clip.frames(start, end):
            writer.write(frame.image, frame.pts)
    return writer


def test_written_video_has_the_timing_and_pictures_of_its_source(made, tmp_path):
    path, _, kind = made
    suffix = {"variable": ".mov", "starts at 5 s": ".mkv", "ts": ".mkv"}.get(kind, ".mp4")
    target = tmp_path / f"out{suffix}"
    copy(path, target)
    result, source = Clip(target), Clip(path)
    tick = max(float(result.info.time_base), float(source.info.time_base))
    before, after = list(source.frames()), list(result.frames())
    assert [f.time for f in after] == pytest.approx([f.time - source.first_time for f in before], abs=tick * 1.01)
    height, width = before[0].image.shape[:2]
    assert (result.info.height, result.info.width) == (height + height % 2, width + width % 2)
    for a, b in zip(before, after):
        padded = np.pad(a.image, [(0, height % 2), (0, width % 2), (0, 0)], mode="edge")
        assert np.abs(padded.astype(int) - b.image).mean() < 4
    assert os.listdir(tmp_path) == [target.name]


def test_colours_survive(tmp_path):
    def red(index, width, height):
        return np.full((height, width, 3), (200, 30, 60), np.uint8)

    path = make_clip(
        tmp_path / "a.mp4", CONSTANT[:3], codec="libx264rgb", pixels="rgb24", options={"qp": "0"}, paint=red
    )
    copy(path, tmp_path / "b.mp4")
    assert np.abs(next(Clip(tmp_path / "b.mp4").frames()).image.astype(int) - (200, 30, 60)).max() <= 4
    with av.open(str(tmp_path / "b.mp4")) as result:
        assert result.streams.video[0].codec_context.colorspace == 1  # BT.709


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize("source", ["a.mp4", "a.mkv", "a.ts"])
def test_sound_is_copied(tmp_path, source, suffix):
    path = make_clip(tmp_path / source, audio="aac")
    assert copy(path, tmp_path / f"out{suffix}").note is None
    before, after = sound_packets(path), sound_packets(tmp_path / f"out{suffix}")
    shift = Clip(path).first_time
    kept = [(t - shift, data) for t, data in before if t - shift > -0.001 and t - shift < 1.6]
    if source == "a.ts":  # each packet has a header of 7 bytes there, which the other containers do without
        kept = [(t, data[7:]) for t, data in kept]
    if len(after) == len(kept) + 1:
        assert after[0][0] < 0  # the packet before the first, held outside the played range
        after = after[1:]
    assert [data for _, data in after] == [data for _, data in kept] and len(kept) > 70
    assert [t for t, _ in after] == pytest.approx([t for t, _ in kept], abs=0.0011)


def test_sound_stays_in_step_when_starting_late(tmp_path):
    path = make_clip(tmp_path / "a.mp4", VARIABLE, audio="aac")
    start, end = VARIABLE[17] / 12800, VARIABLE[30] / 12800
    copy(path, tmp_path / "out.mp4", start, end)
    frames = list(Clip(tmp_path / "out.mp4").frames())
    assert [number_of(f.image) for f in frames] == pytest.approx(list(range(17, 30)), abs=1) and frames[0].time == 0
    times = {data: t for t, data in sound_packets(path)}
    after = sound_packets(tmp_path / "out.mp4")
    assert len(after) > 20
    assert all(t == pytest.approx(times[data] - start, abs=1e-4) for t, data in after)
    assert -0.05 < after[0][0] <= 0 and after[-1][0] < frames[-1].time + 0.05


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_nothing_is_left_after_an_exception(tmp_path, error):
    path = make_clip(tmp_path / "a.mp4", audio="aac")
    (tmp_path / "out.mp4").write_bytes(b"older result")
    with pytest.raises(error), Clip(path) as clip, VideoWriter(tmp_path / "out.mp4", clip.info, path) as writer:
        for frame in clip.frames():
            writer.write(frame.image, frame.pts)
            if frame.index == 20:
                assert len(os.listdir(tmp_path)) == 3
                raise error
    assert sorted(os.listdir(tmp_path)) == ["a.mp4", "out.mp4"]
    assert (tmp_path / "out.mp4").read_bytes() == b"older result"


def test_a_full_disk_is_reported_and_leaves_nothing(tmp_path):
    resource = pytest.importorskip("resource")
    path = make_clip(tmp_path / "a.mp4", CONSTANT[:20], size=(160, 120), paint=noise)
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, old[1]))  # as if there were room for 50 kB
    try:
        with pytest.raises(OutputError, match="out.mp4 cannot be written"):
            copy(path, tmp_path / "out.mp4")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    assert os.listdir(tmp_path) == ["a.mp4"]


def test_no_frames_make_no_file(tmp_path):
    path = make_clip(tmp_path / "a.mp4", CONSTANT[:2])
    with pytest.raises(OutputError, match="no frame to write"), VideoWriter(tmp_path / "out.mp4", Clip(path).info):
        pass
    assert os.listdir(tmp_path) == ["a.mp4"]


def test_unwritable_output_is_refused_at_once(tmp_path):
    info = Clip(make_clip(tmp_path / "a.mp4", CONSTANT[:2])).info
    for target, says in [("none/out.mp4", "no folder"), ("out.avi", ".mp4 .mkv .mov"), (".", "is a folder")]:
        with pytest.raises(OutputError, match=says):
            VideoWriter(tmp_path / target, info)
    if os.getuid() != 0:  # root may write everywhere
        (tmp_path / "locked").mkdir(mode=0o500)
        with pytest.raises(OutputError, match="no permission"):
            VideoWriter(tmp_path / "locked" / "out.mp4", info)
    assert "out.mp4" not in os.listdir(tmp_path)


# --- threads and times ---


def test_prefetch_is_bounded_and_in_order():
    made = 0

    def count():
        nonlocal made
        while made < 30:
            made += 1
            yield made

    for taken, value in enumerate(prefetch(count(), depth=3), start=1):
        assert value == taken
        time.sleep(0.002)
        assert made <= taken + 3
    assert taken == 30


def test_prefetch_passes_errors_on_in_their_place():
    def fail():
        yield 1
        raise InputError("broken")

    items = prefetch(fail())
    assert next(items) == 1
    with pytest.raises(InputError, match="broken"):
        next(items)


def test_prefetch_ends_with_its_consumer():
    closed = threading.Event()

    def forever():
        try:
            while True:
                yield 0
        finally:
            closed.set()

    items = prefetch(forever())
    next(items)
    items.close()
    assert closed.is_set() and not any(t.name == "vidseg-prefetch" for t in threading.enumerate())


def test_background_works_in_order_and_waits_for_room():
    done, gate = [], threading.Event()

    def work(item):
        gate.wait()
        done.append(item)

    submitted = 0

    def submit_all():
        nonlocal submitted
        with Background(work, depth=2) as background:
            for submitted in range(1, 11):
                background.submit(submitted)

    thread = threading.Thread(target=submit_all)
    thread.start()
    time.sleep(0.05)
    assert submitted <= 4  # one at work, two waiting, one about to be submitted
    gate.set()
    thread.join()
    assert done == list(range(1, 11))


def test_background_raises_what_its_work_raised():
    def fail(item):
        raise OutputError("disk full")

    with pytest.raises(OutputError, match="disk full"), Background(fail) as background:
        for item in range(100):
            background.submit(item)
    with pytest.raises(KeyError), Background(fail) as background:  # the exception of the block comes first
        background.submit(0)
        raise KeyError


@pytest.mark.parametrize(
    "text, seconds",
    [("90", 90), ("1:30", 90), ("00:01:30.5", 90.5), ("0.25", 0.25), ("2:00:00", 7200), ("90:00", 5400)],
)
def test_parse_time(text, seconds):
    assert parse_time(text) == seconds


@pytest.mark.parametrize("text", ["", "x", "-1", "1:60", "1:60:00", "1:2:3:4", "nan", "1e3", "1:"])
def test_parse_time_refuses(text):
    with pytest.raises(InputError, match="is not a time"):
        parse_time(text)


# --- names that FFmpeg would take for something else ---

NAMES = ["take:2.mp4", "cam1:12-30.mp4", "concat:a.mp4", "file:a.mp4", "http:a.mp4", "pipe:0.mp4", "data:,a.mp4"]


@pytest.mark.parametrize("name", [*NAMES, "http://host/a.mp4", "-a.mp4", "a?b#c.mp4"])
def test_a_file_that_exists_is_a_file(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    os.rename(make_clip(tmp_path / "made.mp4", audio="aac"), tmp_path / name)
    with Clip(name) as clip:
        assert clip.path == name and not clip.once and clip.info.has_audio
        frames = list(clip.frames())
        assert [number_of(frame.image) for frame in frames] == list(range(COUNT))
        assert len(list(clip.backwards(frames[20], start=0.6))) == 5
    assert copy(name, "out.mkv").note is None and Clip("out.mkv").info.has_audio


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov", ".webm"])
@pytest.mark.parametrize("name", ["out:1", "file:a", "concat:a", "pipe:1"])
def test_outputs_may_have_such_names(tmp_path, monkeypatch, name, suffix):
    monkeypatch.chdir(tmp_path)
    path = make_clip(tmp_path / "a.mp4", CONSTANT[:5])
    copy(path, f"{name}{suffix}")
    assert sorted(os.listdir()) == sorted(["a.mp4", f"{name}{suffix}"])
    assert len(list(Clip(f"{name}{suffix}").frames())) == 5
