"""Image files as RGB arrays, through OpenCV, and Pillow where that cannot."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from vidseg.errors import InputError, OutputError
from vidseg.io.files import atomic_output
from vidseg.io.picture import over_white

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")


def list_images(folder: Path) -> list[Path]:
    """The images of a folder, img2 before img10, without those that vidseg wrote. InputError if there is none."""
    found = [file for file in files_in(folder) if file.suffix.lower() in IMAGE_SUFFIXES and not is_result(file)]
    if not found:
        raise InputError(f"{folder}: no images in this folder; it needs {' '.join(IMAGE_SUFFIXES)} files")
    return sorted(found, key=natural_order)


def files_in(folder: Path) -> list[Path]:
    """Everything in a folder that is not hidden. InputError if the folder cannot be read."""
    try:
        return [file for file in folder.iterdir() if not file.name.startswith(".")]
    except OSError as error:
        raise InputError(f"{folder}: this folder cannot be read ({error.strerror}); check its permissions") from error


def is_result(file: Path) -> bool:
    """Whether an image is one that `vidseg image` wrote for a photo."""
    return re.search(r"\.(segmented|(mask|cutout|candidate)-\d+)\.png$", file.name) is not None


def read_image(file: Path) -> np.ndarray:
    """Read an image for the models.

    Returns:
        H×W×3 uint8 RGB: turned upright by the EXIF data, more than 8 bits scaled to 8, transparency over white.

    Raises:
        InputError: if the file is not an image, or not a whole one.
    """
    import cv2
    import numpy as np

    data = _bytes(file)
    image = _decoded(data, cv2.IMREAD_UNCHANGED)
    if image is None:
        raise InputError(f"{file}: not an image that can be read; replace or remove it")
    if image.ndim == 3 and image.shape[2] == 4:
        return _over_white(file)
    if image.dtype.kind == "f":  # 0..1 in a TIFF
        image = np.nan_to_num(image[..., None] if image.ndim == 2 else image)
        image = np.broadcast_to((image * 255).round().clip(0, 255).astype(np.uint8), (*image.shape[:2], 3))
    else:  # IMREAD_UNCHANGED ignores EXIF and keeps 16 bit; this mode does what is needed
        image = _decoded(data, cv2.IMREAD_COLOR)
        if image is None:
            raise InputError(f"{file}: an image of a kind that cannot be read; save it with 8 or 16 bits a colour")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def read_mask(file: Path) -> np.ndarray:
    """Read a mask from a lossless image.

    Returns:
        H×W bool: where the image is not black, or if some of it is transparent, where it is opaque.

    Raises:
        InputError: if the file is a JPEG, or not an image.
    """
    import cv2

    if file.suffix.lower() in (".jpg", ".jpeg"):
        raise InputError(f"{file}: a JPEG has no exact pixels; save the mask as a PNG")
    image = _decoded(_bytes(file), cv2.IMREAD_UNCHANGED)
    if image is None:
        raise InputError(f"{file}: not an image that can be read; give a PNG whose pixels are 0 outside the object")
    if image.ndim == 2:
        return image != 0
    alpha = image[..., 3] if image.shape[2] == 4 else None
    if alpha is not None and (alpha != alpha.max()).any():
        return alpha > alpha.max() / 2
    return (image[..., :3] != 0).any(2)


def _over_white(file: Path) -> np.ndarray:
    """An image with transparency, through Pillow: OpenCV does not turn those upright."""
    import numpy as np
    from PIL import ImageOps

    says = "an image of a kind that cannot be read ({error}); save it as a PNG with 8 bits a colour"
    with opened_by_pillow(file, says) as image:
        image.load()  # which turns a TIFF upright by itself
        return over_white(np.asarray(ImageOps.exif_transpose(image).convert("RGBA")))


@contextmanager
def opened_by_pillow(file: Path, says: str) -> Iterator[Image]:
    """Open an image with Pillow, for what OpenCV does not read as it should.

    Args:
        file: the image.
        says: what is wrong and what to do, for the message; "{error}" stands for what Pillow says.

    Raises:
        InputError: for whatever Pillow raises in this block.
    """
    from PIL import Image

    try:
        with Image.open(file) as image:
            yield image
    except (OSError, EOFError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"{file}: {says.format(error=error)}") from error


def _bytes(file: Path) -> np.ndarray:
    import numpy as np

    try:
        return np.fromfile(file, np.uint8)  # not cv2.imread, which fails on some file names on Windows
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror or error}); check the path") from error


def _decoded(data: np.ndarray, mode: int) -> np.ndarray | None:
    """The image as OpenCV has it, or None. OpenCV logs nothing: InputError says what is wrong with a file."""
    import cv2

    if not data.size or (data[:4].tobytes() == b"\x89PNG" and b"IEND" not in data.tobytes()):
        return None  # libpng would say on stderr that the end is missing
    log = cv2.utils.logging
    level = log.setLogLevel(log.LOG_LEVEL_SILENT)
    try:
        return cv2.imdecode(data, mode)
    except cv2.error:  # such as an image of more pixels than it will decode
        return None
    finally:
        log.setLogLevel(level)


def write_png(path: Path, image: np.ndarray) -> None:
    """Write H×W grey, H×W×3 RGB or H×W×4 RGBA uint8. OutputError if the file cannot be written."""
    import cv2

    codes = {3: cv2.COLOR_RGB2BGR, 4: cv2.COLOR_RGBA2BGRA}
    packed = cv2.imencode(".png", cv2.cvtColor(image, codes[image.shape[2]]) if image.ndim == 3 else image)[1]
    try:
        with atomic_output(path) as temporary:
            temporary.write_bytes(packed.tobytes())
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}; check space and permissions") from error


def natural_order(file: Path) -> list[tuple[int, str]]:
    """A key to sort by: img2 before img10."""
    parts = re.split(r"(\d+)", file.name.lower())
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]
