"""Pictures of every kind that people have, read as RGB."""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from vidseg.errors import InputError
from vidseg.io.clip import Clip
from vidseg.io.images import levels_warning, measure_levels, read_image, read_mask, sampled_files, write_png

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


# -- more than 8 bits --------------------------------------------------------------------------------------------------


def store(path, pixels):
    """Write pixels as they are, with their red first."""
    cv2.imwrite(str(path), pixels[..., [2, 1, 0, 3][: pixels.shape[2]]] if pixels.ndim == 3 else pixels)
    return path


PARTS = {  # of what the type can hold, from a picture of 0..255
    "10 bits.png": lambda picture: picture.astype(np.uint16) * 4,
    "12 bits.png": lambda picture: picture.astype(np.uint16) * 16,
    "14 bits.tif": lambda picture: picture.astype(np.uint16) * 64,
    "thermal camera.png": lambda picture: picture[..., 1].astype(np.uint16) * 9 + 27315,
    "bright.tif": lambda picture: picture.astype(np.uint16) * 100 + 40000,
    "signed.tif": lambda picture: picture.astype(np.int16) * 12 - 1000,
    "float 0 to 255.tif": lambda picture: picture.astype(np.float32),
    "float kelvin.tif": lambda picture: picture[..., 1].astype(np.float32) / 8 + 273,
    "float around 0.tif": lambda picture: picture.astype(np.float32) / 50 - 3,
    "float dark.tif": lambda picture: picture.astype(np.float32) / 4095,
    "float64.tif": lambda picture: picture.astype(np.float64) * 1000,
}


@pytest.mark.parametrize("name", PARTS)
def test_a_part_of_the_range_is_spread_and_said_once(tmp_path, picture, name):
    pixels = PARTS[name](picture)
    file = store(tmp_path / name, pixels)
    found = read_image(file)
    shown = picture if pixels.ndim == 3 else np.repeat(picture[..., 1:2], 3, 2)
    truth = (shown - shown.min()) * (255 / np.ptp(shown).astype(float))
    assert found.dtype == np.uint8 and found.min() == 0 and found.max() == 255
    assert np.abs(found - truth).mean() < 4
    with Clip(file) as clip:
        assert all((frame.image == found).all() for frame in clip.frames())
        assert clip.warning is not None and "\n" not in clip.warning
        assert clip.warning.startswith(f"{file} does not use the range of its {pixels.dtype} pixels: values from ")


@pytest.mark.parametrize(
    "name, whole",
    [
        ("a.png", lambda picture: picture),
        ("grey.png", lambda picture: picture[..., 0]),
        ("dark.png", lambda picture: picture // 16),
        ("deep.png", lambda picture: picture.astype(np.uint16) * 257),
        ("deep grey.tif", lambda picture: picture[..., 1].astype(np.uint16) * 257),
        ("half.png", lambda picture: picture.astype(np.uint16) * 129),
        ("one value.png", lambda picture: np.full_like(picture, 200, np.uint16)),
    ],
)
def test_the_whole_range_stays(tmp_path, picture, name, whole):
    file = store(tmp_path / name, whole(picture))
    assert (read_image(file) == cv2.imread(str(file), cv2.IMREAD_COLOR)[..., ::-1]).all()
    with Clip(file) as clip:
        assert [(frame.image == read_image(file)).all() for frame in clip.frames()] == [True]
        assert clip.warning is None


@pytest.mark.parametrize("low, high", [(0.0, 1.0), (-0.04, 1.03), (0.2, 0.8), (0.5, 0.5)])
def test_floats_from_0_to_1_stay(tmp_path, low, high):
    pixels = np.linspace(low, high, HEIGHT * WIDTH, dtype=np.float32).reshape(HEIGHT, WIDTH)
    found = read_image(store(tmp_path / "a.tif", pixels))
    assert (found == (pixels * 255).round().clip(0, 255).astype(np.uint8)[..., None]).all()


@pytest.mark.parametrize("hot", [65535, 30000])
def test_a_few_hot_pixels_do_not_count(tmp_path, hot):
    pixels = np.tile(np.arange(0, 4096, 8, dtype=np.uint16), (300, 1))
    pixels[0, :20] = hot
    found = read_image(store(tmp_path / "a.png", pixels))
    assert (found[0, :20] == 255).all() and (np.diff(found[1, :, 0].astype(int)) >= 0).all()
    assert np.abs(found[1, :, 0] - np.linspace(0, 255, 512)).max() < 2


def test_pixels_without_a_value_are_black(tmp_path):
    pixels = np.linspace(273, 305, HEIGHT * WIDTH, dtype=np.float32).reshape(HEIGHT, WIDTH)
    pixels[0, :3] = np.nan, np.inf, -np.inf
    found = read_image(store(tmp_path / "a.tif", pixels))
    assert found[0, :3, 0].tolist() == [0, 255, 0] and found[-1, -1, 0] == 255 and abs(int(found[12, 0, 0]) - 127) < 4


@pytest.mark.parametrize("turn", [1, QUARTER_TURN])
@pytest.mark.parametrize("name", ["a.png", "a.tif"])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_part_of_the_range_turned_and_transparent(tmp_path, picture, channels, name, turn):
    alpha = np.full((HEIGHT, WIDTH, 1), 65535, np.uint16)
    alpha[:, WIDTH // 2 :] = 0
    deep = np.dstack([picture.astype(np.uint16) * 16, alpha])[..., :channels]
    file = store(tmp_path / name, deep[..., 0] if channels == 1 else deep)
    turn_stored(file, turn)
    found = read_image(file)
    found = np.rot90(found) if turn == QUARTER_TURN else found
    shown = np.repeat(picture[..., :1], 3, 2) if channels == 1 else picture
    if channels == 4:
        assert (found[:, WIDTH // 2 :] == 255).all()
        found, shown = found[:, : WIDTH // 2], shown[:, : WIDTH // 2]
    assert np.abs(found - (shown - shown.min()) * (255 / np.ptp(shown).astype(float))).mean() < 4


def turn_stored(file, orientation):
    """Write an orientation into an image file that has none."""
    data = file.read_bytes()
    if file.suffix == ".png":
        exif = Image.Exif()
        exif[274] = orientation
        body = b"eXIf" + exif.tobytes().removeprefix(b"Exif\0\0")
        chunk = (len(body) - 4).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")
        file.write_bytes(data[:33] + chunk + data[33:])  # after the header
    else:  # a new list of tags at the end, with one more
        first = int.from_bytes(data[4:8], "little")
        count = int.from_bytes(data[first : first + 2], "little")
        tags = [data[first + 2 + 12 * i : first + 14 + 12 * i] for i in range(count)]
        tags = [tag for tag in tags if tag[:2] != b"\x12\x01"] + [struct.pack("<HHIHH", 274, 3, 1, orientation, 0)]
        tags.sort(key=lambda tag: int.from_bytes(tag[:2], "little"))
        ifd = len(tags).to_bytes(2, "little") + b"".join(tags) + bytes(4)
        data += b"\0" * (len(data) % 2)
        file.write_bytes(data[:4] + len(data).to_bytes(4, "little") + data[8:] + ifd)


@pytest.mark.parametrize("dtype, scale, offset", [(np.uint16, 16, 0), (np.uint16, 9, 27315), (np.float32, 0.125, 273)])
def test_the_images_of_a_folder_have_one_range(tmp_path, dtype, scale, offset):
    count = 40
    for number in range(count):  # which become brighter
        values = np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) % 100 + 3 * number
        store(tmp_path / f"{number}.tif", (values * scale + offset).astype(dtype))
    with Clip(tmp_path) as clip:
        means = [frame.image.mean() for frame in clip.frames()]
        assert clip.warning is not None and "measured on 16 of its 40 images" in clip.warning
    expected = [(49 + 3 * number) * 255 / 216 for number in range(count)]
    assert np.abs(np.subtract(means, expected)).max() < 4


def test_levels_of_a_folder_with_other_images_in_it(tmp_path, picture):
    files = [tmp_path / f"{number}.png" for number in range(4)]
    write_png(files[0], picture)
    files[1].write_bytes(b"")
    store(files[2], picture.astype(np.uint16) * 16)
    store(files[3], picture.astype(np.uint16) * 8)
    levels = measure_levels(files)
    assert levels is not None and levels.white > 3500
    assert (read_image(files[0], levels) == picture).all()
    assert read_image(files[3], levels).max() < 140
    assert measure_levels(files[:2]) is None and levels_warning("a", None, files) is None
    many = [tmp_path / str(number) for number in range(100)]
    assert [*sampled_files(many)][::15] == [many[0], many[99]] and len(sampled_files(many)) == 16


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
