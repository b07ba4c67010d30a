"""Make docs/park.jpg, the picture of the README: four frames of the park sample, tracked with the bundled pair."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

import vidseg
from vidseg.render import draw

ROOT = Path(__file__).resolve().parent.parent
SHOWN = (24, 66, 112, 150)  # before the tree, going behind it, coming out, found again


def main() -> None:
    model = vidseg.load("demo", device="cpu")
    pictures = [draw(frame) for frame in model.track(ROOT / "samples/park.mp4", prompt="dog") if frame.index in SHOWN]
    sheet = np.vstack([np.hstack(pictures[:2]), np.hstack(pictures[2:])])
    (ROOT / "docs").mkdir(exist_ok=True)
    cv2.imwrite(str(ROOT / "docs/park.jpg"), sheet[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])


if __name__ == "__main__":
    main()
