import gc
from fractions import Fraction

import av
import numpy as np
import pytest

from tests.support.clips import picture
from vidseg.io import decoding
from vidseg.io.clip import Clip
from vidseg.io.deinterlacing import deinterlaced
from vidseg.io.reader import Reader

N = 24


def scene(moment, width=96, height=64):
    """A bright bar that moves to the right by 3 pixels a moment."""
    image = np.full((height, width, 3), 40, np.uint8)
    image[:, 10 + 3 * moment % 70 : 20 + 3 * moment % 70] = 220
    return image


def woven(index, width=96, height=64):
    """Odd lines of one moment and even lines of the next: the encoder will say that the lower field comes first."""
    image = scene(2 * index, width, height)
    image[::2] = scene(2 * index + 1, width, height)[::2]
    return image


def store(path, base=Fraction(1, 12800), flagged=True, paint=woven, size=(96, 64), count=N):
    options = {"crf": "4", "g": "8", "bf": "2", "sc_threshold": "0"} | ({"x264-params": "tff=1"} if flagged else {})
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.codec_context.time_base = base
        for index in range(count):
            frame = av.VideoFrame.from_ndarray(paint(index, *size), format="rgb24")
            frame.pts, frame.time_base = round(index / 25 / base), base
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return str(path)


def combing(image):
    """How much neighbouring lines differ more than lines of one field do."""
    grey = image[..., 0].astype(int)
    return np.abs(grey[1:-1] - (grey[:-2] + grey[2:]) / 2).mean()


def test_flagged_frames_lose_their_combs(tmp_path):
    plain = list(Clip(store(tmp_path / "plain.mp4", flagged=False)).frames())
    clip = Clip(store(tmp_path / "flagged.mp4"))
    frames = list(clip.frames())
    assert [(f.index, f.pts) for f in frames] == [(i, i * 512) for i in range(N)] and clip.warning is None
    assert all(combing(f.image) > 3 for f in plain)
    assert all(combing(f.image) < 0.5 for f in frames[1:-1]) and all(combing(f.image) < 1.5 for f in frames)
    for frame in frames[1:-1]:  # the first field is kept as it is
        assert np.abs(frame.image[1::2].astype(int) - scene(2 * frame.index)[1::2]).mean() < 4


@pytest.mark.parametrize(
    "name, base", [("a.mp4", Fraction(1, 12800)), ("a.mkv", Fraction(1, 1000)), ("a.ts", Fraction(1, 12800))]
)
def test_starting_late_and_going_back_give_the_same_pictures(tmp_path, monkeypatch, name, base):
    clip = Clip(store(tmp_path / name, base))
    frames = list(clip.frames())
    assert len(frames) == N
    for first in (1, 7, 8, 9, 15, 16, 23):  # a key frame every 8 frames
        part = list(clip.frames(start=frames[first].time - clip.first_time))
        assert [(f.index, f.pts) for f in part] == [(f.index, f.pts) for f in frames[first:]]
        assert all(np.array_equal(a.image, b.image) for a, b in zip(part, frames[first:]))
    for room in (1 << 20, 30_000):
        monkeypatch.setattr(Reader, "back_room", room)
        for last in (23, 16, 9, 8, 1):
            back = list(clip.backwards(frames[last]))
            assert [(f.index, f.pts) for f in back] == [(f.index, f.pts) for f in frames[:last]][::-1]
            assert all(np.array_equal(a.image, b.image) for a, b in zip(back, frames[:last][::-1]))


def test_starting_late_decodes_little(tmp_path, monkeypatch):
    clip = Clip(store(tmp_path / "a.mp4"))
    decoded, plain = [], decoding.decoded
    monkeypatch.setattr(decoding, "decoded", lambda *a: (decoded.append(f) or f for f in plain(*a)))
    assert [f.index for f in clip.frames(start=22 * 0.04)] == [22, 23] and len(
        decoded
    ) == 8  # from the key frame before


def test_frames_are_freed_as_they_are_read(tmp_path):
    clip = Clip(store(tmp_path / "a.mp4"))
    gc.collect()
    gc.disable()
    gc.freeze()  # what torch and the others have made is not looked through for every frame
    try:
        for _ in clip.frames():
            assert len([thing for thing in gc.get_objects() if type(thing) is av.VideoFrame]) < 6
        del _
        assert not [thing for thing in gc.get_objects() if type(thing) is av.VideoFrame]
    finally:
        gc.unfreeze()
        gc.enable()


def frames_of(path):
    with av.open(path) as source:
        yield from source.decode(video=0)


def test_frames_pass_untouched_until_one_is_flagged(tmp_path):
    plain, flagged = store(tmp_path / "a.mp4", flagged=False), store(tmp_path / "b.mp4")
    frames = list(frames_of(plain))
    assert all(a is b for a, b in zip(deinterlaced(iter(frames)), frames))
    mixed = frames + list(frames_of(flagged)) + frames
    result = list(deinterlaced(iter(mixed)))
    assert [f.pts for f in result] == [f.pts for f in mixed] and not any(f.interlaced_frame for f in result)
    pairs = list(zip(result, mixed))
    assert all(np.array_equal(a.to_ndarray(), b.to_ndarray()) for a, b in pairs[:N] + pairs[2 * N :])
    assert all(not np.array_equal(a.to_ndarray(), b.to_ndarray()) for a, b in pairs[N : 2 * N])


def test_a_change_of_size_loses_nothing(tmp_path):
    small = list(frames_of(store(tmp_path / "a.mp4", count=5)))
    large = list(frames_of(store(tmp_path / "b.mp4", count=5, size=(128, 96), paint=picture)))
    large[2].pts = None
    result = list(deinterlaced(iter(small + large)))
    assert [(f.width, f.pts) for f in result] == [(f.width, f.pts) for f in small + large]
    assert list(deinterlaced(iter([]))) == [] and len(list(deinterlaced(iter(small[:1])))) == 1
