import numpy as np
import pytest
from PIL import Image, features

from tests.support.clips import number_of, picture
from vidseg.errors import InputError
from vidseg.io.clip import Clip
from vidseg.io.stills import is_animated_png, is_animated_webp

DURATIONS = [40, 80, 20, 120, 0, 60]
STARTS = [0, 40, 120, 140, 260, 360]  # ms; a picture without a duration stays for 100


@pytest.fixture
def webp(tmp_path):
    first, *rest = [Image.fromarray(picture(i)) for i in range(6)]
    first.save(
        tmp_path / "a.webp", save_all=True, append_images=rest, duration=DURATIONS, lossless=True, minimize_size=False
    )
    return tmp_path / "a.webp"


def test_animated_webp(webp):
    with Clip(webp) as clip:
        frames = list(clip.frames())
        assert [(f.index, f.pts, f.time, number_of(f.image)) for f in frames] == [
            (i, t, t / 1000, i) for i, t in enumerate(STARTS)
        ]
        assert (clip.info.width, clip.info.height, clip.info.frame_count, clip.info.duration) == (64, 48, 6, 0.42)
        assert float(clip.info.frame_rate) == pytest.approx(6 / 0.42) and not clip.info.has_audio and not clip.once
        part = list(clip.frames(start=0.1, end=0.3))
        assert [f.index for f in part] == [2, 3, 4] and all(
            np.array_equal(a.image, b.image) for a, b in zip(part, frames[2:])
        )
        back = list(clip.backwards(frames[5], start=0.1))
        assert [(f.index, f.pts) for f in back] == [(4, 260), (3, 140), (2, 120)]
        assert all(np.array_equal(a.image, b.image) for a, b in zip(back, frames[4:1:-1]))
        with pytest.raises(InputError, match="lasts 0.42 s"):
            list(clip.frames(start=1))


def test_still_pictures_are_no_animations(tmp_path):
    one = Image.fromarray(picture(3))
    for name in ("a.png", "a.webp"):
        one.save(tmp_path / name)
        clip = Clip(tmp_path / name)
        assert [number_of(f.image) for f in clip.frames()] == [3] and clip.info.frame_count == 1
        assert not is_animated_png(tmp_path / name) and not is_animated_webp(tmp_path / name)
    one.save(tmp_path / "b.webp", save_all=True, append_images=[one.rotate(90)])
    one.save(tmp_path / "b.png", save_all=True, append_images=[one.rotate(90)])
    assert is_animated_webp(tmp_path / "b.webp") and is_animated_png(tmp_path / "b.png")
    (tmp_path / "c.png").write_bytes((tmp_path / "b.png").read_bytes()[:20])
    (tmp_path / "c.webp").write_bytes((tmp_path / "b.webp").read_bytes()[:20])
    assert not is_animated_webp(tmp_path / "c.webp") and not is_animated_png(tmp_path / "c.png")


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow cannot write AVIF")
def test_avif_still_and_animated(tmp_path):
    first, *rest = [Image.fromarray(picture(i)) for i in range(6)]
    first.save(tmp_path / "a.avif", quality=100)
    first.save(tmp_path / "b.avif", quality=100, save_all=True, append_images=rest, duration=80)
    assert [number_of(f.image) for f in Clip(tmp_path / "a.avif").frames()] == [0]
    clip = Clip(tmp_path / "b.avif")
    frames = list(clip.frames())
    assert [(f.index, number_of(f.image)) for f in frames] == [(i, i) for i in range(6)] and clip.info.frame_count == 6
    assert [f.time for f in frames] == pytest.approx([0.08 * i for i in range(6)])


def test_heic_is_refused(tmp_path):
    (tmp_path / "IMG_1.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
    with pytest.raises(InputError, match="convert it to JPEG or PNG"):
        Clip(tmp_path / "IMG_1.HEIC")


@pytest.mark.parametrize("keep", [25, 60, 0.5, 0.95])
def test_a_damaged_animation(webp, keep):
    data = webp.read_bytes()
    webp.write_bytes(data[: keep if keep > 1 else int(len(data) * keep)])
    with pytest.raises(InputError, match="a.webp: a damaged or too large animation") as caught:
        list(Clip(webp).frames())
    assert "\n" not in str(caught.value)
