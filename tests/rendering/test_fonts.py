"""Which letters are drawn by OpenCV, which in a font of the system, and which by none."""

from __future__ import annotations

import shutil

import pytest
from PIL import ImageFont

from vidseg.rendering import fonts
from vidseg.rendering.fonts import Font, clusters, drawable, drawn_by_opencv, font_with, undrawn_note

NOBODYS = "\U000f1234"  # for private use


def has_dejavu():
    try:
        ImageFont.truetype("DejaVuSans.ttf")
    except OSError:
        return False
    return True


needs_dejavu = pytest.mark.skipif(not has_dejavu(), reason="DejaVu Sans is not installed")


@pytest.fixture(autouse=True)
def forgotten():
    """Nothing that was found under another setting."""
    yield
    font_with.cache_clear()
    drawable.cache_clear()


@pytest.mark.parametrize(
    "text",
    ["dog #1 0.93", "", *(["Löwe, groß", "Αλεπού", "Собака", "犬", "개"] if fonts.cv2.__version__ > "5" else [])],
)
def test_what_opencv_draws_stays_with_it(text):
    assert drawn_by_opencv(text) and drawable(text) == text


@pytest.mark.parametrize("text", ["หมา", "कुत्ता", "كلب", "כלב", "🐕", "e\u0301te\u0301", "ძაღლი", NOBODYS])
def test_what_opencv_does_not_draw_as_it_should(text):
    assert not drawn_by_opencv(text) and not drawn_by_opencv(f"dog {text}")


@pytest.mark.parametrize(
    ("text", "count"),
    [("dog", 3), ("e\u0301te", 3), ("หมู", 2), ("👩‍🚀🐕", 2), ("👍🏽!", 2), ("❤\ufe0f", 1), ("", 0)],
)
def test_letters_as_a_reader_sees_them(text, count):
    assert len(clusters(text)) == count and "".join(clusters(text)) == text


@needs_dejavu
@pytest.mark.parametrize("text", ["كلب", "שלום dog", "ძაღლი", "Շուն"])
@pytest.mark.parametrize("fontconfig", [True, False])
def test_a_font_that_has_the_letters(monkeypatch, text, fontconfig):
    if not fontconfig:
        monkeypatch.setattr(shutil, "which", lambda command: None)
    found = font_with(text)
    assert found is not None and found.has(text) and drawable(text) == text and undrawn_note([text]) is None


@needs_dejavu
@pytest.mark.parametrize("text", [NOBODYS, f"dog {NOBODYS}", f"كلب {NOBODYS}\u0301"])
def test_a_letter_that_no_font_has(text):
    assert not Font("DejaVuSans.ttf").has(text)
    assert drawable(text) == text.replace(f"{NOBODYS}\u0301", "?").replace(NOBODYS, "?")
    note = undrawn_note(["dog", text, text])
    assert note is not None and "\n" not in note and note.count(repr(text)) == 1


@pytest.mark.parametrize("answer", ["", "nonsense\n", "0 /no/such/font.ttf\n", "0 \n"])
def test_fontconfig_that_does_not_help(monkeypatch, tmp_path, answer):
    (tmp_path / "fc-match").write_text(f"#!/bin/sh\nprintf '{answer}'\n")
    (tmp_path / "fc-match").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert font_with(NOBODYS) is None
    assert (font_with("كلب") is not None) or not has_dejavu()
