import av
import numpy as np
import pytest

from tests.support.clips import CONSTANT, make_clip
from vidseg.errors import InputError
from vidseg.io.clip import Clip
from vidseg.io.decoding import scaler
from vidseg.io.picture import EXACT, conversion, layout, over_white, upright

MODERN = int(av.__version__.split(".")[0]) >= 18  # converts HDR
WEIGHTS = {
    1: (0.2126, 0.0722),
    5: (0.299, 0.114),
    9: (0.2627, 0.0593),
}  # of red and blue in the luma of BT.709, BT.601, BT.2020
COLOURS = (
    np.array([(200, 30, 60), (20, 180, 40), (30, 50, 220), (240, 230, 20), (128, 128, 128), (255, 255, 255), (0, 0, 0)])
    / 255
)


def coded(colours, matrix, full=False, bits=8, size=(112, 64), **tags):
    """A PyAV frame in yuv444p with a column of each colour (R'G'B', 0–1), coded by the book (ITU-T H.273)."""
    red, blue = WEIGHTS[matrix]
    r, g, b = np.moveaxis(np.asarray(colours, float), -1, 0)
    y = red * r + (1 - red - blue) * g + blue * b
    u, v = (b - y) / (2 - 2 * blue), (r - y) / (2 - 2 * red)
    top = 255 if full else 219, 255 if full else 224
    scale = 2 ** (bits - 8) if not full else (2**bits - 1) / 255
    planes = [y * top[0] + (0 if full else 16), u * top[1] + 128, v * top[1] + 128]
    planes = [np.round(plane * scale).astype(np.uint8 if bits == 8 else np.uint16) for plane in planes]
    width, height = size
    planes = np.stack([np.tile(np.repeat(plane, width // len(plane)), (height, 1)) for plane in planes])
    frame = av.VideoFrame(width, height, "yuv444p" if bits == 8 else f"yuv444p{bits}le")
    for plane, values in zip(frame.planes, planes):
        padded = np.zeros((height, plane.line_size // values.itemsize), values.dtype)
        padded[:, :width] = values
        plane.update(padded.tobytes())
    frame.color_range = 2 if full else 1
    for name, value in tags.items():
        setattr(frame, name, value)
    return frame


def seen(frame, count):
    image = upright(frame, frame.width, frame.height, "a.mp4")
    assert image.shape == (frame.height, frame.width, 3) and image.dtype == np.uint8
    step = frame.width // count
    return image[frame.height // 2, step // 2 :: step][:count].astype(int)


@pytest.mark.parametrize("bits", [8, 10])
@pytest.mark.parametrize("full", [False, True], ids=["limited", "full"])
@pytest.mark.parametrize("matrix, tag", [(1, 1), (5, 5), (5, 6), (9, 9)])
def test_colours_are_those_that_were_coded(matrix, tag, full, bits):
    frame = coded(COLOURS, matrix, full, bits, colorspace=tag)
    assert np.abs(seen(frame, len(COLOURS)) - COLOURS * 255).max() <= 2


@pytest.mark.parametrize("tag", [2, 3], ids=["unknown", "reserved"])
@pytest.mark.parametrize("size, matrix", [((1008, 576), 5), ((960, 720), 1), ((1281, 540), 1)])
def test_where_the_matrix_is_not_named_it_goes_by_the_size(size, matrix, tag):
    frame = coded(COLOURS, matrix, size=(size[0] // 7 * 7, size[1]), colorspace=tag)
    assert np.abs(seen(frame, len(COLOURS)) - COLOURS * 255).max() <= 2


def test_ten_bits_are_as_bright_as_eight():
    greys = np.repeat(np.arange(0, 256, 4)[:, None], 3, 1) / 255
    for form in ("yuv420p10le", "yuv422p10le", "yuv420p"):
        source = av.VideoFrame.from_ndarray(
            np.tile(np.repeat(np.uint8(greys * 255 + 0.5), 4, 0), (16, 1, 1)), format="rgb24"
        ).reformat(format=form)
        assert np.abs(seen(source, 64) - greys * 255).max() <= 1
        assert np.abs((seen(source, 64) - greys * 255).mean()) <= 0.6


def hlg_light(x):
    """Light (0–1) of an HLG signal, and below the signals of HLG and PQ, from ITU-R BT.2100."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(x <= 0.5, x**2 / 3, (np.exp((x - c) / a) + b) / 12)


def hlg_signal(light):
    return np.where(
        light <= 1 / 12, np.sqrt(3 * light), 0.17883277 * np.log(np.maximum(12 * light - 0.28466892, 1e-6)) + 0.55991073
    )


def pq_signal(nits):
    y = (np.asarray(nits) / 10000) ** (2610 / 16384)
    return ((3424 / 4096 + 2413 / 128 * y) / (1 + 2392 / 128 * y)) ** (2523 / 32)


@pytest.mark.skipif(not MODERN, reason="this PyAV cannot convert HDR")
class TestHDR:
    def test_pq_is_shown_with_the_curve_of_hlg_and_white_beyond(self):
        signal = np.array([0, 0.1, 0.25, 0.4, 0.5, 0.75, 0.9, 1.0])  # as it should be seen
        nits = np.append(1000 * hlg_light(signal[:-1]) ** 1.2, 4000)
        frame = coded(
            np.repeat(pq_signal(nits)[:, None], 3, 1), 9, bits=10, colorspace=9, color_primaries=9, color_trc=16
        )
        assert np.abs(seen(frame, 8) - signal[:, None] * 255).max() <= 3

    def test_hlg_keeps_its_greys_and_its_colours_get_the_primaries_of_the_screen(self):
        to_bt2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])
        linear = np.array(
            [(0.2, 0.2, 0.2), (0.2, 0.03, 0.03), (0.03, 0.2, 0.03), (0.03, 0.03, 0.2)]
        )  # of the scene, BT.709
        signal = hlg_signal(linear @ to_bt2020.T)
        wanted = 255 * hlg_signal(linear)
        frame = coded(
            signal, 9, bits=10, colorspace=9, color_primaries=2, color_trc=18
        )  # often only the curve is named
        for form in (None, "yuv420p10le", "yuv422p10le", "p010le", "yuv420p12le", "rgb48le"):
            got = seen(frame.reformat(format=form, interpolation=EXACT) if form else frame, 4)
            assert np.abs(got - wanted).max() <= 9 and np.abs(got[0] - wanted[0]).max() <= 2, form
        plain = seen(
            coded(signal, 9, bits=10, colorspace=9, color_trc=1), 4
        )  # without the conversion the colours are pale
        assert np.abs(plain - wanted).max() > 40


def test_where_hdr_does_not_name_its_matrix_it_is_that_of_bt2020():
    frame = coded(COLOURS, 9, bits=10, colorspace=2, color_trc=16)
    assert conversion(frame, layout(frame.format.name))["src_colorspace"] == 9


def test_hdr_is_refused_where_it_would_be_wrong(monkeypatch):
    monkeypatch.setattr(av, "__version__", "17.1.0")
    with pytest.raises(InputError, match="a.mp4: HDR video needs PyAV 18"):
        seen(coded(COLOURS, 9, bits=10, colorspace=9, color_primaries=9, color_trc=16), 7)


def test_colours_that_nobody_can_show_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"a.mp4: its colours \(H.273 matrix 14\) cannot be shown"):
        seen(coded(COLOURS, 9, bits=10, colorspace=14), 7)
    path = make_clip(
        tmp_path / "ictcp.mp4",
        CONSTANT[:4],
        codec="libx265",
        options={"x265-params": "log-level=none:colormatrix=ictcp"},
        pixels="yuv420p10le",
    )
    with pytest.raises(InputError, match="ictcp.mp4: its colours"):
        Clip(path)


@pytest.mark.parametrize("form", ["rgba", "bgra", "argb", "yuva444p10le", "yuva420p", "ya8"])
def test_transparency_is_over_white(form):
    image = np.zeros((32, 64, 4), np.uint8)
    image[..., 3] = np.repeat((0, 85, 170, 255), 16)  # black, less and less transparent
    frame = av.VideoFrame.from_ndarray(image, format="rgba").reformat(format=form)
    assert np.abs(seen(frame, 4) - np.array([[255], [170], [85], [0]])).max() <= 3


def test_over_white():
    image = np.random.default_rng(0).integers(0, 256, (20, 30, 4), np.uint8)
    alpha = image[..., 3:] / 255
    assert np.abs(over_white(image) - (image[..., :3] * alpha + 255 * (1 - alpha))).max() <= 0.51
    image[..., 3] = 255
    assert np.array_equal(over_white(image), image[..., :3])


@pytest.mark.skipif(not MODERN, reason="this PyAV cannot convert HDR")
def test_the_table_for_hdr_is_kept(monkeypatch):
    """It takes a second; other conversions in the same thread, as of a writer, must not throw it away."""
    made = []
    monkeypatch.setattr("vidseg.io.picture.scaler", lambda use="": made.append(use) or scaler(use))
    frame = coded(COLOURS, 9, bits=10, colorspace=9, color_primaries=9, color_trc=18)
    seen(frame, 7)
    seen(coded(COLOURS, 1, colorspace=1), 7)
    assert made == ["", "hdr", ""] and scaler("hdr") is scaler("hdr") is not scaler()
