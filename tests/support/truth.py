"""An awkward truth, and tracks files of it."""

from __future__ import annotations

import json

import cv2
import numpy as np

from vidseg.tracks.frame import mask_bounds
from vidseg.tracks.rle import encode_mask

WIDTH, HEIGHT = 64, 48  # of the clips that `tests.support.clips.make_clip` makes
RATE = 25


def shape(*rectangles, holes=()):
    """H×W bool: rectangles (x, y, width, height), less holes of the same kind."""
    mask = np.zeros((HEIGHT, WIDTH), bool)
    for value, parts in ((True, rectangles), (False, holes)):
        for x, y, width, height in parts:
            mask[y : y + height, x : x + width] = value
    return mask


def disc(x, y, radius):
    return cv2.circle(np.zeros((HEIGHT, WIDTH), np.uint8), (x, y), radius, 1, -1).astype(bool)


RING = disc(30, 24, 15) & ~disc(30, 24, 7)
PARTS = shape((2, 2, 20, 12), (2, 16, 20, 14), (24, 5, 9, 20), holes=((6, 5, 3, 3), (10, 20, 4, 4)))
CORNER = shape((50, 0, 14, 10))
PIXEL = shape((63, 47, 1, 1))
EDGE = shape((0, 0, 1, HEIGHT), (0, HEIGHT - 1, WIDTH, 1))
ISLAND = disc(30, 24, 20) & ~disc(30, 24, 12) | disc(30, 24, 5)
ALL = shape((0, 0, WIDTH, HEIGHT))

QUOTED = 'größe "x", 50% \\ 犬'
# {frame: {id: (label, mask)}}: begins late, has gaps in frames and ids; 3 vanishes and comes back; one frame is empty
AWKWARD = {
    7: {3: ("red ball", RING), 5: (QUOTED, CORNER)},
    8: {3: ("red ball", PARTS), 40: ("dog", PIXEL)},
    9: {},
    11: {5: (QUOTED, EDGE), 40: ("dog", disc(40, 30, 6))},
    12: {200: ("dog", ALL)},
    15: {3: ("red ball", ISLAND), 5: (QUOTED, CORNER), 40: ("dog", PIXEL)},
}
OVERLAPPING = {
    0: {2: ("cat", shape((0, 0, 10, 10))), 1: ("dog", shape((5, 5, 10, 10))), 7: ("cat", shape((6, 6, 2, 2)))}
}


def save(path, frames, clip="clip.mp4", prompts=(), scores=None, size=(HEIGHT, WIDTH), rate=RATE):
    """Write a tracks file; an object's score is 0.9, or that of its id in `scores`."""
    header = {
        "format": "vidseg-tracks",
        "version": 1,
        "clip": clip,
        "width": size[1],
        "height": size[0],
        "frame_rate": str(rate),
        "time_base": "1/12800",
        "prompts": list(prompts),
        "models": {},
        "vidseg": "0",
    }
    with open(path, "w", encoding="utf-8") as file:
        file.write(json.dumps(header) + "\n")
        for index, objects in frames.items():
            entries = [
                {
                    "id": number,
                    "label": label,
                    "score": (scores or {}).get(number, 0.9),
                    "box": [float(value) for value in mask_bounds(mask)],
                    "mask": encode_mask(mask),
                }
                for number, (label, mask) in objects.items()
            ]
            file.write(json.dumps({"frame": index, "time": index / rate, "objects": entries}) + "\n")
    return path


def iou(a, b):
    return (a & b).sum() / (a | b).sum()
