"""Clips that are made of pictures: image files, and animated WebP, which FFmpeg cannot read, through Pillow.

Either has its width and height in pixels, count (of pictures), tick (s), length (ticks), and `read`.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from vidseg.errors import InputError
from vidseg.io.images import IMAGE_SUFFIXES, list_images, read_image
from vidseg.io.picture import over_white

if TYPE_CHECKING:
    import numpy as np

IMAGE_RATE = 25  # frames/s given to image files, which have no timing of their own
UNTIMED = 100  # ms that browsers give a picture of an animation without a duration


def stills_of(path: Path) -> ImageFiles | WebP | None:
    """What a folder or a file of pictures holds; None for a file that FFmpeg reads, as it does animated PNG and AVIF."""
    suffix = path.suffix.lower()
    if path.is_dir():
        return ImageFiles(list_images(path))
    if suffix in (".heic", ".heif"):  # stored in tiles, of which FFmpeg would show one
        raise InputError(f"{path}: HEIC photos cannot be read; convert it to JPEG or PNG")
    if suffix not in IMAGE_SUFFIXES or (suffix == ".png" and is_animated_png(path)):
        return None
    return WebP(path) if suffix == ".webp" and is_animated_webp(path) else ImageFiles([path])


class ImageFiles:
    """Image files as the frames of a clip. InputError if the first one cannot be read."""

    tick = Fraction(1, IMAGE_RATE)

    def __init__(self, files: list[Path]):
        self._files = files
        self.count = self.length = len(files)
        self.height, self.width = read_image(files[0]).shape[:2]

    def read(self, first: int, stop: float) -> Iterator[tuple[int, int, np.ndarray]]:
        """(number, ticks, H×W×3 uint8 RGB image) with first <= ticks < stop. InputError for an image of another size."""
        for index, file in enumerate(self._files):
            if first <= index < stop:
                image = read_image(file)
                height, width = image.shape[:2]
                if (width, height) != (self.width, self.height):
                    raise InputError(
                        f"{file} has {width}×{height} pixels and {self._files[0].name} has "
                        f"{self.width}×{self.height}; give all images of a folder one size"
                    )
                yield index, index, image


class WebP:
    """The pictures of an animated WebP file. The file as it is stored is in memory while it is read. InputError if it is damaged."""

    tick = Fraction(1, 1000)

    def __init__(self, file: Path):
        self._file = file
        self.height, self.width = next(self._pictures()).shape[:2]
        self.count, self.length = 0, 0
        for start, duration in self._times():
            self.count, self.length = self.count + 1, start + duration

    def read(self, first: int, stop: float) -> Iterator[tuple[int, int, np.ndarray]]:
        """(number, ticks, H×W×3 uint8 RGB image) with first <= ticks < stop; transparency over white."""
        for index, ((start, _), image) in enumerate(zip(self._times(), self._pictures())):
            if start >= stop:
                return
            if start >= first:
                yield index, start, image

    def _times(self) -> Iterator[tuple[int, int]]:
        """(start, duration) of each picture in ms, without decoding any."""
        start = 0
        with self._file.open("rb") as data:
            data.seek(12)
            while len(head := data.read(8)) == 8:
                size = int.from_bytes(head[4:], "little")
                if head[:4] == b"ANMF" and len(shape := data.read(16)) == 16:
                    duration = int.from_bytes(shape[12:15], "little") or UNTIMED
                    yield start, duration
                    start, size = start + duration, size - 16
                data.seek(size + size % 2, 1)

    def _pictures(self) -> Iterator[np.ndarray]:
        import numpy as np
        from PIL import Image

        try:
            with Image.open(self._file) as pictures:
                for number in range(pictures.n_frames):
                    pictures.seek(number)
                    yield over_white(np.asarray(pictures.convert("RGBA")))
        except (OSError, EOFError, ValueError, Image.DecompressionBombError) as error:
            raise InputError(
                f"{self._file}: a damaged or too large animation ({error}); copy or download it again"
            ) from error


def is_animated_png(file: Path) -> bool:
    with file.open("rb") as data:
        if data.read(8) != b"\x89PNG\r\n\x1a\n":
            return False
        while len(head := data.read(8)) == 8 and head[4:] != b"IDAT":
            if head[4:] == b"acTL":
                return True
            data.seek(int.from_bytes(head[:4], "big") + 4, 1)
    return False


def is_animated_webp(file: Path) -> bool:
    with file.open("rb") as data:
        head = data.read(21)
    return head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and len(head) == 21 and bool(head[20] & 2)
