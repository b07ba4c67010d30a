"""Image files as RGB arrays, through OpenCV, and Pillow where that cannot."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from vidseg.errors import InputError, OutputError
from vidseg.io.files import atomic_output
from vidseg.io.levels import WHOLE_RANGE, Levels, levels_of, sample
from vidseg.io.picture import over_white

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
SAMPLE_FILES = 16  # of a folder, to find out which values are black and white in it
BITS_PER_SAMPLE, ORIENTATION = 258, 274  # TIFF's tags
UNREADABLE = "an image of a kind that cannot be read ({error}); save it as a PNG with 8 bits a colour"


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


def read_image(file: Path, levels: Levels | None = None) -> np.ndarray:
    """Read an image for the models.

    Args:
        file: the image.
        levels: which values are black and white, if it has more than 8 bits a colour. By default its own, as
            `measure_levels` finds them.

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
    if not _is_deep(image):
        levels = None
    elif levels is None or levels.dtype != image.dtype.name:
        levels = levels_of([sample(image)], image.dtype.name)
    measured = levels if levels is not None and levels.measured else None
    if _is_transparent(image):
        return over_white(_turned(_scaled_rgba(image, measured), file)) if measured else _over_white(file)
    if levels is not None and image.dtype.kind == "f":
        image = levels.scale(image[..., None] if image.ndim == 2 else image)
        image = np.broadcast_to(image, (*image.shape[:2], 3))
    else:  # IMREAD_UNCHANGED ignores EXIF and keeps grey; these modes do what is needed
        image = _decoded(data, cv2.IMREAD_COLOR | (cv2.IMREAD_ANYDEPTH if measured else 0))
        if image is None:
            raise InputError(f"{file}: an image of a kind that cannot be read; save it with 8 or 16 bits a colour")
        image = measured.scale(image) if measured else image
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def measure_levels(files: Sequence[Path]) -> Levels | None:
    """Find out which values are black and white in images that belong together.

    Args:
        files: the images. SAMPLE_FILES of them are read, spread over all; those that cannot be read are passed over.

    Returns:
        The same levels for all of them, or None if those that were read have no more than 8 bits a colour.
    """
    import cv2

    samples: list[np.ndarray] = []
    dtype = None
    for file in sampled_files(files):
        try:
            image = _decoded(_bytes(file), cv2.IMREAD_UNCHANGED) if _may_be_deep(file) else None
        except InputError:
            continue
        if image is not None and _is_deep(image) and dtype in (None, image.dtype.name):
            dtype = image.dtype.name
            samples.append(sample(image))
    return None if dtype is None else levels_of(samples, dtype)


def sampled_files(files: Sequence[Path]) -> Sequence[Path]:
    """The files that `measure_levels` reads: all, or SAMPLE_FILES spread over them."""
    if len(files) <= SAMPLE_FILES:
        return files
    return [files[i * (len(files) - 1) // (SAMPLE_FILES - 1)] for i in range(SAMPLE_FILES)]


def levels_warning(path: str | os.PathLike[str], levels: Levels | None, files: Sequence[Path]) -> str | None:
    """One line that says how the images of a path are shown, or None where they are shown as they are."""
    if levels is None or levels.note is None:
        return None
    count = len(sampled_files(files))
    measured = f", measured on {count} of its {len(files)} images" if count < len(files) else ""
    return f"{os.fspath(path)} does not use the range of its {levels.dtype} pixels: {levels.note}{measured}"


def _is_deep(image: np.ndarray) -> bool:
    """Whether an image as it is stored has more than 8 bits a colour and can be shown."""
    return image.dtype.name in WHOLE_RANGE and (image.dtype.name == "uint16" or not _is_transparent(image))


def _is_transparent(image: np.ndarray) -> bool:
    return image.ndim == 3 and image.shape[2] == 4


def _may_be_deep(file: Path) -> bool:
    """Whether an image may have more than 8 bits a colour, from the beginning of its file alone."""
    try:
        with file.open("rb") as data:
            head = data.read(25)
    except OSError:
        return False
    if head[:4] == b"\x89PNG":
        return head[24:25] == b"\x10"
    if head[:2] not in (b"II", b"MM"):
        return False
    from PIL import Image

    try:
        with Image.open(file) as image:
            bits = getattr(image, "tag_v2", {}).get(BITS_PER_SAMPLE, (1,))
    except Exception:  # Pillow knows fewer kinds of TIFF than OpenCV, and says so in many ways
        return True
    return max(bits) > 8


def _scaled_rgba(image: np.ndarray, levels: Levels) -> np.ndarray:
    """H×W×4 uint16 BGRA as uint8 RGBA."""
    import cv2
    import numpy as np

    alpha = (image[..., 3] / 257).round().astype(np.uint8)
    return np.dstack([cv2.cvtColor(levels.scale(image[..., :3]), cv2.COLOR_BGR2RGB), alpha])


def _turned(image: np.ndarray, file: Path) -> np.ndarray:
    """Pixels as OpenCV has them without EXIF data, turned upright by those. It turns a TIFF by itself."""
    import numpy as np
    from PIL import Image, ImageOps

    with opened_by_pillow(file, UNREADABLE) as stored:
        orientation = 1 if stored.format == "TIFF" else stored.getexif().get(ORIENTATION, 1)
    picture = Image.fromarray(image)
    picture.getexif()[ORIENTATION] = orientation
    return np.asarray(ImageOps.exif_transpose(picture))


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

    with opened_by_pillow(file, UNREADABLE) as image:
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
