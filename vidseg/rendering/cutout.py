"""Tracked objects without what is behind them: alpha, cut-outs, mattes, and other backgrounds."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
from PIL import ImageColor

from vidseg.errors import InputError
from vidseg.io.images import read_image

INSIDE, OUTSIDE = (
    144,
    111,
)  # least alpha in a mask, most outside: far enough from the half that a codec does not cross it
RIM = 6  # pixels of the frame that are kept around an object, for decoders that smear colour across its edge


def soft_alpha(covered: np.ndarray) -> np.ndarray:
    """Opacity with edges about a pixel soft: H×W uint8, above 127 where `covered` (H×W uint8, 0 or 1) is 1, and there only."""
    mask = covered * 255
    soft = cv2.GaussianBlur(mask, (3, 3), 0)  # weights ¼ ½ ¼
    return np.where(mask, np.maximum(soft, INSIDE), np.minimum(soft, OUTSIDE))


def cut_out(image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """H×W×4 uint8: the image with straight alpha, black where nothing of it can be seen.

    The background is not merely transparent: whoever drops the alpha does not get it back.
    """
    near = cv2.dilate(np.minimum(alpha, 1), np.ones((2 * RIM + 1, 2 * RIM + 1), np.uint8))
    return cv2.merge([*cv2.split(cv2.copyTo(image, near)), alpha])


def put_on(image: np.ndarray, alpha: np.ndarray, background: np.ndarray) -> np.ndarray:
    """The image over the background, both H×W×3 uint8: a new array."""
    weight = alpha * np.float32(1 / 255)
    return cv2.blendLinear(image, background, weight, 1 - weight)


def background_of(file_or_colour: str | os.PathLike, width: int, height: int) -> np.ndarray:
    """H×W×3 uint8 RGB of one colour (a CSS name or #rrggbb), or of an image that is cut and scaled to cover the frame.

    InputError if it is neither a colour nor an image that can be read.
    """
    file = Path(file_or_colour)
    if not os.path.exists(file):
        try:
            colour = ImageColor.getrgb(os.fspath(file_or_colour))[:3]
        except ValueError:
            raise InputError(
                f"{file_or_colour}: neither an image file nor a colour; give a file, a name such as navy, or #rrggbb"
            ) from None
        return np.full((height, width, 3), colour, np.uint8)
    if file.is_dir():
        raise InputError(f"{file}: a folder; give one image as the background")
    image = read_image(file)
    scale = max(width / image.shape[1], height / image.shape[0])
    w, h = max(width, round(image.shape[1] * scale)), max(height, round(image.shape[0] * scale))
    image = cv2.resize(image, (w, h), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    x, y = (w - width) // 2, (h - height) // 2
    return np.ascontiguousarray(image[y : y + height, x : x + width])
