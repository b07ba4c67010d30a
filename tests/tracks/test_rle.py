"""Run lengths against decoded masks."""

import numpy as np
import pytest

from vidseg.tracks.rle import encode_mask, iou, mask_from, run_lengths, union_area

HEIGHT, WIDTH = 48, 64
BOX = np.zeros((HEIGHT, WIDTH), bool)
BOX[5:20, 7:30] = True


def masks():
    random = np.random.default_rng(0)
    yield from (BOX, ~BOX, np.zeros_like(BOX), np.ones_like(BOX), np.ones((1, 1), bool), np.zeros((1, 1), bool))
    for density in (0, 0.01, 0.5, 0.99):
        for _ in range(20):
            yield random.random(random.integers(1, 40, 2)) < density
    big = np.zeros((3000, 4000), bool)  # numbers of five groups, and large negative differences
    big[2999, 3999] = big[10:2000, 700:3000] = True
    yield big


def test_they_paint_the_mask():
    for mask in masks():
        lengths = run_lengths(encode_mask(mask)["counts"], mask.shape)
        assert lengths.dtype == np.int64
        assert np.array_equal(np.repeat(np.arange(len(lengths)) % 2 == 1, lengths).reshape(mask.shape[::-1]).T, mask)
        assert np.array_equal(mask_from(lengths, mask.shape), mask)


@pytest.mark.parametrize("counts", ["", "0", "P", "~", "ä", "\n1", "P" * 40 + "0", "5L5", "oooooooo0"])
def test_broken_run_lengths_are_refused(counts):
    with pytest.raises(ValueError):
        run_lengths(counts, (48, 64))


def test_run_lengths_of_another_size_are_refused():
    with pytest.raises(ValueError, match="64×47"):
        run_lengths(encode_mask(BOX)["counts"], (HEIGHT - 1, WIDTH))


def test_overlaps_are_counted_without_decoding():
    random = np.random.default_rng(0)
    many = random.random((5, HEIGHT, WIDTH)) < 0.3
    codes = [encode_mask(mask) for mask in many]
    assert union_area(codes) == many.any(axis=0).sum()
    expected = [[(a & b).sum() / (a | b).sum() for b in many[3:]] for a in many[:3]]
    assert iou(codes[:3], codes[3:]) == pytest.approx(np.array(expected))
    assert iou([], codes).shape == (0, 5) and iou(codes, []).shape == (5, 0)
