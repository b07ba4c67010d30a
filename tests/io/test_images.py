"""Pictures of every kind that people have, read as RGB."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from PIL import Image

from vidseg.errors import InputError
from vidseg.io.images import read_image, read_mask, write_png

HEIGHT, WIDTH = 24, 36
QUARTER_TURN = 6  # EXIF orientation: the camera was held upright


@pytest.fixture
def picture():
    """Smooth colours, and a white corner that tells which way is up."""
    ys, xs = np.mgrid[:HEIGHT, :WIDTH]
    image = np.stack([xs * 6, ys * 9, 200 - xs * 3], 2).astype(np.uint8)
    image[:8, :8] = 255
    return image


def save(image, path, **options):
    Image.fromarray(image).save(path, **options)
    return path


@pytest.mark.parametrize(
    "name, options, tolerance",
    [
        ("a.png", {}, 0),
        ("a.bmp", {}, 0),
        ("a.tif", {}, 0),
        ("a.tif", {"compression": "tiff_lzw"}, 0),
        ("a.webp", {"lossless": True}, 0),
        ("a.jpg", {"quality": 97}, 8),
        ("a.jpg", {"quality": 97, "progressive": True}, 8),
        ("a.webp", {"quality": 95}, 12),
    ],
)
def test_formats(tmp_path, picture, name, options, tolerance):
    found = read_image(save(picture, tmp_path / name, **options))
    assert found.dtype == np.uint8 and found.shape == picture.shape
    assert np.abs(found.astype(int) - picture).mean() <= tolerance


@pytest.mark.parametrize(
    "name, alpha", [("a.jpg", False), ("a.png", False), ("a.webp", False), ("a.png", True), ("a.webp", True)]
)
def test_turned_upright(tmp_path, picture, name, alpha):
    exif = Image.Exif()
    exif[274] = QUARTER_TURN
    stored = np.dstack([picture, np.full((HEIGHT, WIDTH), 255, np.uint8)]) if alpha else picture
    found = read_image(save(stored, tmp_path / name, exif=exif))
    assert found.shape == (WIDTH, HEIGHT, 3)
    assert found[:6, -6:].mean() > 240 and found[-6:, :6].mean() < 200  # the white corner is at the upper right now


def test_more_bits_and_fewer_colours(tmp_path, picture):
    grey = picture[..., 0]
    cv2.imwrite(str(tmp_path / "deep.png"), picture[..., ::-1].astype(np.uint16) * 257)
    cv2.imwrite(str(tmp_path / "deep_grey.png"), grey.astype(np.uint16) * 257)
    cv2.imwrite(str(tmp_path / "float.tif"), picture[..., ::-1].astype(np.float32) / 255)
    cv2.imwrite(str(tmp_path / "float_grey.tif"), grey.astype(np.float32) / 255)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    Image.fromarray(picture).convert("CMYK").save(tmp_path / "cmyk.jpg", quality=97)
    Image.fromarray(picture).quantize(200).save(tmp_path / "palette.png")
    Image.fromarray(grey > 100).save(tmp_path / "two_colours.png")
    expected = {"deep": picture, "float": picture, "cmyk": picture, "palette": picture}
    for file in sorted(tmp_path.iterdir()):
        found = read_image(file)
        truth = expected.get(
            file.stem,
            np.repeat(grey[..., None], 3, 2)
            if "grey" in file.stem
            else np.repeat(((grey > 100) * 255)[..., None], 3, 2),
        )
        assert found.shape == truth.shape and found.dtype == np.uint8, file.name
        assert np.abs(found.astype(int) - truth).mean() < 4, file.name


@pytest.mark.parametrize(
    "pixels", [np.full((5, 6), 9, np.int32), np.full((5, 6, 4), 0.5, np.float32)], ids=["32 bit", "float with alpha"]
)
def test_kinds_that_nothing_reads_are_one_line(tmp_path, pixels):
    cv2.imwrite(str(tmp_path / "a.tif"), pixels)
    with pytest.raises(InputError, match="a.tif: .*cannot be read"):
        read_image(tmp_path / "a.tif")


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_transparency_is_over_white(tmp_path, picture, depth):
    alpha = np.zeros((HEIGHT, WIDTH), np.uint8)
    alpha[:, : WIDTH // 2] = 255
    alpha[:, -1] = 128
    pixels = np.dstack([picture[..., ::-1], alpha]).astype(depth) * (257 if depth == np.uint16 else 1)
    cv2.imwrite(str(tmp_path / "a.png"), pixels)
    found = read_image(tmp_path / "a.png")
    assert (found[:, : WIDTH // 2] == picture[:, : WIDTH // 2]).all()
    assert (found[:, WIDTH // 2 : -1] == 255).all()
    assert np.abs(found[:, -1].astype(int) - (picture[:, -1] / 2 + 127)).max() <= 2


def test_one_pixel(tmp_path):
    assert read_image(save(np.full((1, 1, 3), 7, np.uint8), tmp_path / "dot.png")).tolist() == [[[7, 7, 7]]]


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.tif"])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.9])
def test_broken_off(tmp_path, name, share, capfd):
    noise = np.random.default_rng(0).integers(0, 255, (120, 160, 3), np.uint8)
    whole = save(noise, tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(InputError, match=f"{name}: not an image that can be read"):
        read_image(tmp_path / name)
    assert capfd.readouterr().err == ""  # what is wrong is for us to say


def test_no_file(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_image(tmp_path / "none.png")
    with pytest.raises(InputError, match="cannot be read"):
        read_image(tmp_path)


# -- masks -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def shape():
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[4:12, 9:30] = True
    return mask


def test_masks(tmp_path, shape, picture):
    plane = shape.astype(np.uint8)
    palette = Image.fromarray(plane * 3, mode="P")
    palette.putpalette([0, 0, 0, 9, 9, 9, 128, 0, 0, 0, 128, 0])
    palette.save(tmp_path / "davis.png")
    write_png(tmp_path / "white.png", plane * 255)
    write_png(tmp_path / "ones.png", plane)
    cv2.imwrite(str(tmp_path / "deep.png"), plane.astype(np.uint16) * 4000)
    Image.fromarray(shape).save(tmp_path / "two_colours.png")
    write_png(tmp_path / "colour.png", np.where(shape[..., None], (10, 0, 200), 0).astype(np.uint8))
    write_png(tmp_path / "cutout.png", np.dstack([picture, plane * 255]))
    write_png(tmp_path / "opaque.png", np.dstack([np.repeat(plane[..., None] * 255, 3, 2), np.full_like(plane, 255)]))
    for file in sorted(tmp_path.iterdir()):
        assert (read_mask(file) == shape).all(), file.name


def test_masks_need_exact_pixels(tmp_path, shape):
    save(shape.astype(np.uint8) * 255, tmp_path / "a.jpg")
    with pytest.raises(InputError, match="a JPEG has no exact pixels"):
        read_mask(tmp_path / "a.jpg")


def test_png_comes_back(tmp_path, picture):
    for number, image in enumerate((picture, picture[..., 0], np.dstack([picture, picture[..., :1]]))):
        write_png(tmp_path / f"{number}.png", image)
        assert (np.asarray(Image.open(tmp_path / f"{number}.png")) == image).all()
