"""Labels in all scripts."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest
from PIL import features

from tests.rendering.test_fonts import NOBODYS, needs_dejavu
from tests.rendering.test_render import tracked
from vidseg.rendering.annotators import OverlayAnnotator
from vidseg.rendering.fonts import FONT, font_with
from vidseg.rendering.labels import draw_labels
from vidseg.rendering.objects import DrawnObject
from vidseg.rendering.text import TextStyle, shortened

STYLE = TextStyle(1.0, 2)
PAPER, INK = (200, 220, 90), (0, 0, 0)


def written(text, style=STYLE):
    """H×W bool: where the letters are."""
    picture = np.full((120, 600, 3), PAPER, np.uint8)
    style.write(picture, text, (20, 80), INK, PAPER)
    return (picture != PAPER).any(2)


def labelled(name, size=(360, 640)):
    picture = np.full((*size, 3), 128, np.uint8)
    box = np.array([40, 100, 300, 300], np.float32)
    draw_labels(picture, [DrawnObject(3, name, 0.91, box, np.zeros(size, bool))], [PAPER])
    return picture


@pytest.mark.parametrize("size", [(120, 160), (360, 640), (1080, 1920)])
@pytest.mark.parametrize("name", ["dog", "red ball, big", "a" * 200])
def test_latin_names_are_drawn_by_opencv_in_one_line(name, size):
    scale, padding = max(0.4, size[0] / 1200), max(3, round(max(0.4, size[0] / 1200) * 9))
    thickness, text = max(1, round(scale * 1.5)), f"{name} #3 0.91"
    while cv2.getTextSize(text, FONT, scale, thickness)[0][0] > size[1] - 2 * padding:
        name = name[:-1]
        text = f"{name} #3 0.91"
    (w, h), _ = cv2.getTextSize(text, FONT, scale, thickness)
    expected = np.full((*size, 3), 128, np.uint8)
    x = min(40, size[1] - w - 2 * padding)
    y = max(0, 100 - h - 2 * padding)
    cv2.rectangle(expected, (x, y), (x + w + 2 * padding - 1, y + h + 2 * padding - 1), PAPER, cv2.FILLED)
    cv2.putText(expected, text, (x + padding, y + padding + h), FONT, scale, INK, thickness, cv2.LINE_AA)
    assert (labelled(name, size) == expected).all()


@needs_dejavu
@pytest.mark.parametrize("text", ["كلب", "שלום", "ძაღლი", "Շուն", "e\u0301te\u0301", "🐕"])
def test_other_names_are_in_the_extent_that_they_claim(text):
    if font_with(text) is None:
        pytest.skip("no font has it")
    ink, extent = written(text), STYLE.extent(text)
    ys, xs = np.nonzero(ink)
    assert ys.min() >= 80 - extent.ascent and ys.max() < 80 + extent.descent
    assert xs.min() >= 20 and xs.max() < 20 + extent.width
    high = np.ptp(np.nonzero(written("H"))[0])
    assert 0.5 * high < np.ptp(ys) < 2.5 * high  # of the size of OpenCV's letters
    assert (labelled(text) != labelled("???")).any()


@needs_dejavu
@pytest.mark.skipif(not features.check("raqm"), reason="Pillow has no Raqm here")
@pytest.mark.parametrize("letters", ["كلب", "قطة", "بيت"])
def test_arabic_is_joined_and_from_right_to_left(letters):
    apart = "\u200c".join(letters)  # a non-joiner between each two

    def parts(ink):
        return cv2.connectedComponents((ink.any(0)).astype(np.uint8)[None])[0]

    assert parts(written(letters)) < parts(written(apart))
    first, rows = written("اس"), []  # a high letter, then a wide one that does not reach up so far
    for end in (slice(0, 4), slice(-4, None)):
        columns = np.flatnonzero(first.any(0))[end]
        rows.append(np.flatnonzero(first[:, columns].any(1)).min())
    assert rows[1] < rows[0]


@needs_dejavu
@pytest.mark.parametrize("name", [NOBODYS, f"{NOBODYS}\u0301", f"\u200d{NOBODYS}"])
def test_what_no_font_has_is_a_question_mark_and_said(name):
    frame = tracked((96, 64), [(8, 40, 40, 60)], [1], [name])
    annotator, plain = OverlayAnnotator(["label"]), OverlayAnnotator(["label"])
    picture = annotator.annotate(frame)
    assert (picture == plain.annotate(tracked((96, 64), [(8, 40, 40, 60)], [1], ["?"]))).all()
    assert annotator.note is not None and repr(name) in annotator.note and plain.note is None


@needs_dejavu
@pytest.mark.parametrize("name", ["كلب " * 30, "ძაღლი" * 30, "e\u0301" * 60, "🐕" * 40, "犬" * 60])
@pytest.mark.parametrize("size", [(48, 64), (360, 320), (20, 30)])
def test_long_names_are_cut_to_the_picture(name, size):
    picture = labelled(name, size)
    assert picture.shape == (*size, 3)
    parts = shortened(name, " #3 0.91", STYLE, 400)
    assert sum(STYLE.extent(part).width for part in parts) <= 400 and parts[-1].endswith(" #3 0.91")
    assert name.startswith("".join(parts).removesuffix(" #3 0.91"))
    assert not any(a == "e" and b == " " for a, b in itertools.pairwise("".join(parts)))  # no letter without its mark
