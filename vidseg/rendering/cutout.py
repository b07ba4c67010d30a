"""Tracked objects without what is behind them: alpha, cut-outs and other backgrounds."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
from PIL import ImageColor

from vidseg.errors import InputError
from vidseg.io.images import read_image

# Least alpha in a mask, most outside: far enough from the half that a codec does not cross it
INSIDE, OUTSIDE = 144, 111
RIM = 6  # pixels of the frame that are kept around an object, for decoders that smear colour across its edge


def soft_alpha(covered: np.ndarray) -> np.ndarray:
    """Give masks edges that are about a pixel soft.

    Args:
        covered: H×W uint8, 1 on the objects, else 0.

    Returns:
        Opacity, H×W uint8: above 127 where `covered` is 1, and only there.
    """
    mask = covered * 255
    soft = cv2.GaussianBlur(mask, (3, 3), 0)  # weights ¼ ½ ¼
    return np.where(mask, np.maximum(soft, INSIDE), np.minimum(soft, OUTSIDE))


def cut_out(image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Make an image transparent.

    The background is not merely transparent, but black: whoever drops the alpha does not get it back.

    Args:
        image: H×W×3 uint8 RGB.
        alpha: H×W uint8.

    Returns:
        H×W×4 uint8, with straight alpha.
    """
    near = cv2.dilate(np.minimum(alpha, 1), np.ones((2 * RIM + 1, 2 * RIM + 1), np.uint8))
    return cv2.merge([*cv2.split(cv2.copyTo(image, near)), alpha])


def composite(image: np.ndarray, alpha: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Put an image on a background of the same size, both H×W×3 uint8: a new array."""
    weight = alpha * np.float32(1 / 255)
    return cv2.blendLinear(image, background, weight, 1 - weight)


def load_background(file_or_colour: str | os.PathLike[str], width: int, height: int) -> np.ndarray:
    """Make a background of one colour, or of an image that is cut and scaled to cover the frame.

    Args:
        file_or_colour: an image file, a CSS name or #rrggbb.
        width: of the frame, in pixels.
        height: the same.

    Returns:
        H×W×3 uint8 RGB.

    Raises:
        InputError: if it is neither a colour nor an image that can be read.
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
