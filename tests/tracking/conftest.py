"""The demo pair, and sprites cut out of the park sample, for all tests of the tracker."""

import pytest

import vidseg
from tests.support.sprites import IDS, SAMPLES
from vidseg.io.clip import Clip


@pytest.fixture(scope="module", autouse=True)
def each_image_is_encoded_once(encoded_once):
    """However many tests of the tracker there are for a clip."""


@pytest.fixture(scope="module")
def demo():
    return vidseg.load("demo", device="cpu")


@pytest.fixture(scope="module")
def sprites():
    """Picture and mask of each, from the first frame of the park."""
    image = next(Clip(SAMPLES / "park.mp4").frames()).image
    truth = next(iter(vidseg.read_tracks(SAMPLES / "park.truth.jsonl"))).detections
    cut = {}
    for name, i in IDS.items():
        row = truth.tracker_id.tolist().index(i)
        x1, y1, x2, y2 = truth.xyxy[row].astype(int)
        cut[name] = image[y1:y2, x1:x2], truth.mask[row][y1:y2, x1:x2]
    return cut
