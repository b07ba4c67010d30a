"""Matroska names how much of a stored picture is to be shown. Players cut the rest off, and so does a clip."""

import io
from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest

from tests.support.clips import picture
from vidseg.errors import InputError
from vidseg.io.clip import Clip
from vidseg.io.cropping import Crop, crop_of

IDS = {"top": 0x54BB, "bottom": 0x54AA, "left": 0x54CC, "right": 0x54DD}


def grid(index, width, height):
    """Columns in red, rows in green."""
    image = picture(index, width, height)
    image[...] = 0
    image[..., 0] = np.arange(width) * 2
    image[..., 1] = (np.arange(height) * 4)[:, None]
    return image


def cropped(path, rotation=0, **sides):
    """A video of 96×48 pixels whose header asks for sides to be cropped."""
    with av.open(str(path), "w", options={"write_crc32": "0", "live": "1"}) as out:
        codec = "libvpx-vp9" if path.suffix == ".webm" else "libx264"
        video: Any = out.add_stream(codec, rate=25, options={"crf": "4", "bf": "0"} if codec == "libx264" else {})
        video.width, video.height, video.pix_fmt = 96, 48, "yuv444p"
        if rotation:
            video.set_display_rotation(rotation)
        for index in range(12):
            frame = av.VideoFrame.from_ndarray(grid(index, 96, 48), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
    data = bytearray(path.read_bytes())
    crops = [IDS[side].to_bytes(2, "big") + b"\x82" + pixels.to_bytes(2, "big") for side, pixels in sides.items()]
    width = data.index(b"\xb0\x81\x60")  # the first element in that of the video
    data[width - 1] += 5 * len(crops)
    data[width:width] = b"".join(crops)
    tracks = data.rindex(b"\x16\x54\xae\x6b", 0, width) + 4
    track = tracks + 10 - data[tracks].bit_length()  # a size has as many bytes as the first one has zeros, and one
    for size in (track, tracks):  # both get eight
        end = size + 9 - data[size].bit_length()
        number = int.from_bytes(data[size:end], "big") - (1 << 7 * (end - size)) + 5 * len(crops)
        data[size:end] = ((1 << 56) + number).to_bytes(8, "big")
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("name", ["a.mkv", "a.webm"])
@pytest.mark.parametrize(
    "sides",
    [
        {"left": 20, "right": 20},
        {"top": 6, "bottom": 10},
        {"left": 7, "bottom": 1},
        {"top": 13, "right": 0},
        dict.fromkeys(IDS, 9),
    ],
)
def test_the_crop_is_applied(tmp_path, name, sides):
    clip = Clip(cropped(tmp_path / name, **sides))
    crop = Crop(**sides)
    size = 96 - crop.left - crop.right, 48 - crop.top - crop.bottom
    assert (clip.info.width, clip.info.height) == size
    frames = list(clip.frames())
    expected = grid(0, 96, 48)[crop.top : 48 - crop.bottom, crop.left : 96 - crop.right]
    for frame in (*frames, *clip.backwards(frames[-1])):
        assert frame.image.shape == expected.shape and frame.image.flags.c_contiguous
        assert np.abs(frame.image.astype(int) - expected)[..., :2].mean() < 5


@pytest.mark.skipif(not hasattr(av.VideoStream, "set_display_rotation"), reason="this PyAV cannot write a rotation")
@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_the_crop_comes_before_the_rotation(tmp_path, rotation):
    clip = Clip(cropped(tmp_path / "a.mkv", rotation=rotation, left=20, top=6))
    expected = np.rot90(grid(0, 96, 48)[6:, 20:], rotation // 90)  # counter-clockwise
    image = next(clip.frames()).image
    assert image.shape == expected.shape == (clip.info.height, clip.info.width, 3)
    assert np.abs(image.astype(int) - expected)[..., :2].mean() < 5


@pytest.mark.parametrize("sides", [{"left": 96, "right": 0}, {"top": 40, "bottom": 8}, {"left": 60, "right": 300}])
def test_a_crop_that_leaves_nothing_is_refused(tmp_path, sides):
    with pytest.raises(InputError, match="not a video"):
        Clip(cropped(tmp_path / "a.mkv", **sides))
    assert not Crop(**sides).fits(96, 48)


@pytest.mark.parametrize("keep", [0, 1, 5, 40, 200, 300, 400])
def test_a_broken_header_means_no_crop(tmp_path, keep):
    path = cropped(tmp_path / "a.mkv", left=20, right=20)
    with av.open(io.BytesIO(path.read_bytes())) as container:
        path.write_bytes(path.read_bytes()[:keep])
        assert crop_of(str(path), container, container.streams.video[0]) in (Crop(), Crop(left=20, right=20))
