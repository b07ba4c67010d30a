from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from tests.support.clips import number_of, picture
from vidseg.io.gif import LONGEST, GifWriter
from vidseg.io.reader import ClipInfo

MS = Fraction(1, 1000)


def write(path, times, last=None):
    """Write pictures at these times (ms), the last one shown for `last` s; [(number, ms that it is shown)] of them."""
    info = ClipInfo("made", 64, 48, Fraction(25), MS, len(times), None, False)
    with GifWriter(path, info) as writer:
        for number, time in enumerate(times):
            writer.write(picture(number), time, last if number == len(times) - 1 else None)
    shown = []
    with Image.open(path) as gif:
        for number in range(gif.n_frames):
            gif.seek(number)
            shown.append((number_of(np.array(gif.convert("RGB"))), gif.info["duration"]))
    return shown


@pytest.mark.parametrize(
    "times, last, wanted",
    [
        ([1000, 1005, 1010, 6000], None, [(2, 5000), (3, 40)]),
        ([0, 500, 505, 509, 3000], 1, [(0, 500), (3, 2500), (4, 1000)]),
        ([0, 40, 80, 84], 30, [(0, 40), (1, 40), (3, 30000)]),
        ([0, 1, 2, 3], 2, [(3, 2000)]),
        ([7], 4, [(0, 4000)]),
        ([0, 40, 80], None, [(0, 40), (1, 40), (2, 40)]),
        ([0, 40, 80], 0.001, [(0, 40), (1, 40), (2, 20)]),
        (list(range(0, 100, 10)), 0.01, [(1, 20), (3, 20), (5, 20), (7, 20), (9, 20)]),
    ],
)
def test_the_last_picture_of_a_burst_is_shown_until_the_next(tmp_path, times, last, wanted):
    assert write(tmp_path / "a.gif", times, last) == wanted


@pytest.mark.parametrize("times, last", [([0, 40], 1500), ([0, 1_000_000], None), ([0, 40, 2_000_000], 700)])
def test_a_picture_is_shown_for_longer_than_a_gif_can(tmp_path, times, last):
    shown = write(tmp_path / "a.gif", times, last)
    assert max(ms for _, ms in shown) == LONGEST * 10
    assert sum(ms for _, ms in shown) == times[-1] + (last or 0.04) * 1000
    assert sorted({number for number, _ in shown}) == list(range(len(times)))
