"""Clips with sprites that are cut out of the park sample and moved over smooth backgrounds; and looks at results."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from tests.support.clips import make_clip

SAMPLES = Path(__file__).parents[2] / "samples"
IDS = {"dog": 1, "poodle": 3, "cat": 4, "ball": 5}  # in the truth of the park
WIDTH, HEIGHT, RATE = 640, 360, 24


def sky():
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return np.stack([120 + y / 6, 170 + y / 8, 220 + 0 * x], -1).astype(np.uint8)


def sand():
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return np.stack([210 - y / 10, 190 - y / 10, 150 + x / 32], -1).astype(np.uint8)


def painted(sprites, places, background):
    """A frame with sprites centred on {name: (x, y)}, later ones in front, and {name: mask of what shows of it}."""
    image, masks = background.copy(), {}
    for name, (x, y) in places.items():
        picture, mask = sprites[name]
        height, width = mask.shape
        left, top = round(x - width / 2), round(y - height / 2)
        rows, columns = slice(max(top, 0), min(top + height, HEIGHT)), slice(max(left, 0), min(left + width, WIDTH))
        if rows.start >= rows.stop or columns.start >= columns.stop:
            continue
        part = slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left)
        image[rows, columns][mask[part]] = picture[part][mask[part]]
        shown = np.zeros((HEIGHT, WIDTH), bool)
        shown[rows, columns] = mask[part]
        masks = {other: before & ~shown for other, before in masks.items()} | {name: shown}
    return image, masks


def film(path, sprites, count, places, background=lambda t: sky()):
    """Write a clip of `count` frames with sprites at `places(t)`. Returns its path and true masks by frame."""
    frames = [painted(sprites, places(t), background(t)) for t in range(count)]
    make_clip(
        path,
        [512 * t for t in range(count)],
        Fraction(1, 512 * RATE),
        options={"crf": "10"},
        size=(WIDTH, HEIGHT),
        paint=lambda t, *_: frames[t][0],
    )
    return SimpleNamespace(path=path, truth=[masks for _, masks in frames])


# -- looking at results ----------------------------------------------------------------------------------------------


def iou(a, b):
    return (a & b).sum() / max((a | b).sum(), 1)


def frames_of(run, count):
    """Detections by frame; each frame has come out once, in order."""
    frames = list(run)
    assert [frame.index for frame in frames] == list(range(count))
    return [frame.detections for frame in frames]


def mask_of(found, object_id):
    masks = found.mask[found.tracker_id == object_id]
    return masks[0] if len(masks) else np.zeros((HEIGHT, WIDTH), bool)


def box_around(clip, name, t=-1):
    ys, xs = np.nonzero(clip.truth[t][name])
    return [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
