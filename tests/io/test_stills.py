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


def spoilt(folder, kinds):
    """A folder of eight images, of which some cannot be read: {number: how}."""
    for number in range(8):
        file = folder / f"{number}.jpg"
        Image.fromarray(picture(number)).save(file, quality=95)
        data = file.read_bytes()
        kind = kinds.get(number)
        if kind == "folder":
            file.unlink()
            file.mkdir()
        elif kind is not None:
            file.write_bytes({"empty": b"", "half": data[: len(data) // 2], "text": b"hello\n" * 100}[kind])
    return folder


@pytest.mark.parametrize(
    "kinds, says",
    [
        ({3: "half", 5: "empty"}, "2 of 8 images cannot be read and are left out (3.jpg, 5.jpg)"),
        ({0: "empty"}, "1 of 8 images cannot be read and are left out (0.jpg)"),
        ({0: "half", 7: "text"}, "2 of 8 images cannot be read and are left out (0.jpg, 7.jpg)"),
        ({1: "folder"}, "1 of 8 images cannot be read and are left out (1.jpg)"),
        (dict.fromkeys(range(5), "empty"), "5 of 8 images cannot be read and are left out (0.jpg, 1.jpg, 2.jpg, …)"),
    ],
)
def test_bad_images_of_a_folder_are_left_out(tmp_path, kinds, says):
    clip = Clip(spoilt(tmp_path, kinds))
    whole = [n for n in range(8) if n not in kinds]
    frames = list(clip.frames())
    assert [(f.index, f.pts, number_of(f.image)) for f in frames] == [(n, n, n) for n in whole]
    assert clip.warning == f"{tmp_path}: {says}"
    assert [f.index for f in clip.backwards(frames[-1])] == whole[-2::-1]
    assert clip.warning == f"{tmp_path}: {says}"
    part = [n for n in whole if n >= 6]
    assert [f.index for f in clip.frames(start=6 / 25)] == part
    assert clip.warning == (
        None if 7 not in kinds else f"{tmp_path}: 1 of 8 images cannot be read and are left out (7.jpg)"
    )


@pytest.mark.parametrize("kind", ["empty", "half", "text"])
def test_a_folder_without_a_whole_image_is_refused(tmp_path, kind):
    with pytest.raises(InputError, match="0.jpg"):
        Clip(spoilt(tmp_path, dict.fromkeys(range(8), kind)))
