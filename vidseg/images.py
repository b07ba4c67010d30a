"""Image files as RGB arrays, through OpenCV."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from vidseg.errors import InputError

if TYPE_CHECKING:
    import numpy as np

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")


def list_images(folder: Path) -> list[Path]:
    """The image files of a folder, img2 before img10. InputError if there is none."""
    found = [file for file in folder.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES and not file.name.startswith(".")]
    if not found:
        raise InputError(f"{folder}: no images in this folder; it needs {' '.join(IMAGE_SUFFIXES)} files")
    return sorted(found, key=_natural)


def read_image(file: Path) -> np.ndarray:
    """H×W×3 uint8 RGB: turned upright by the EXIF data, 16 bit scaled to 8, transparency over white."""
    import cv2
    import numpy as np

    data = np.fromfile(file, np.uint8)  # not cv2.imread, which fails on some file names on Windows
    image = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if data.size else None
    if image is None:
        raise InputError(f"{file}: not an image that can be read; replace or remove it")
    if image.ndim == 3 and image.shape[2] == 4:
        top = np.iinfo(image.dtype).max if image.dtype.kind == "u" else 1
        alpha = image[..., 3:].astype(np.float32) / top
        image = (image[..., :3] * (255 / top) * alpha + 255 * (1 - alpha)).round().clip(0, 255).astype(np.uint8)
    else:  # IMREAD_UNCHANGED ignores EXIF and keeps 16 bit; this mode does what is needed
        image = cv2.imdecode(data, cv2.IMREAD_COLOR)
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def _natural(file: Path) -> list[tuple[int, str]]:
    parts = re.split(r"(\d+)", file.name.lower())
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]
