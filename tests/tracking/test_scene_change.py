"""Where scenes begin: on the street sample, which has one cut, and on pictures of one colour."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vidseg.io.clip import Clip
from vidseg.tracking.scene_change import SceneChangeDetector, SceneChangeState

SAMPLES = Path(__file__).parents[2] / "samples"
RATE = 24.0
CUT = 120  # first frame of the street's second scene
A, B, C = (200, 60, 40), (40, 70, 210), (60, 190, 80)  # red, blue, green


def cuts_of(images) -> list[int]:
    """Places in a list of images at which a scene begins."""
    cuts = SceneChangeDetector(SceneChangeState(RATE))
    return [place for place, image in enumerate(images) if cuts.update(image)]


def plain(colour, height=90, width=160):
    return np.full((height, width, 3), colour, np.uint8)


def test_the_cut_of_the_street():
    frames = list(Clip(SAMPLES / "street.mp4").frames(start=(CUT - 10) / RATE, end=(CUT + 11) / RATE))
    assert [frame.index for frame in frames] == list(range(CUT - 10, CUT + 11))
    assert [frames[place].index for place in cuts_of(frame.image for frame in frames)] == [CUT]


def test_dogs_that_run_are_no_cut():
    assert cuts_of(frame.image for frame in Clip(SAMPLES / "park.mp4").frames(end=1.0)) == []


@pytest.mark.parametrize(
    ("colours", "expected"),
    [
        ([A], []),
        ([A, A, A, A], []),
        ([A, B], [1]),
        ([A, A, B, B], [2]),
        ([A, A, B, C, C], [2, 3]),  # a scene of a single frame
        ([A, B, A, B], [1, 2, 3]),
        ([A] * 5 + [B] * 2 + [A] * 5, [5, 7]),
        ([A] * 40 + [B] * 40, [40]),
    ],
    ids=lambda value: f"{len(value)}",
)
def test_every_cut_counts_however_close_they_are(colours, expected):
    assert cuts_of(map(plain, colours)) == expected


def test_slow_change_is_no_cut():
    assert cuts_of(plain((200 - 3 * t, 60 + 3 * t, 40 + t)) for t in range(40)) == []


@pytest.mark.parametrize(
    ("height", "width"),
    [
        (1, 1),
        (3, 5),
        (64, 48),
        (640, 16),
        (16, 640),
        (1, 4000),
        (4000, 1),
        (1080, 1920),
        (257, 255),
    ],
)
def test_any_shape_of_picture(height, width):
    assert cuts_of(plain(colour, height, width) for colour in (A, A, B, B)) == [2]


def test_channels_are_red_green_blue(monkeypatch):
    """The detector weighs hue, and is told blue, green, red."""
    given = []
    cuts = SceneChangeDetector(SceneChangeState(RATE))
    monkeypatch.setattr(
        cuts._detector, "process_frame", lambda timecode, image: given.append((timecode.frame_num, image)) or []
    )
    for _ in range(2):
        cuts.update(plain(A, 720, 1280))
    assert [number for number, _ in given] == [0, 1]
    assert given[0][1].shape == (144, 256, 3) and tuple(given[0][1][5, 5]) == A[::-1]


def test_it_goes_on_where_it_was():
    """A detector for every frame, made of the state of the one before."""
    state, found = SceneChangeDetector(SceneChangeState(RATE)).state, []
    for place, colour in enumerate([A, A, B, C, C]):
        detector = SceneChangeDetector(SceneChangeState(state.frame_rate, state.previous, state.count))
        found += [place] if detector.update(plain(colour)) else []
        state = detector.state
    assert found == [2, 3]
