"""Clips made of pictures: image files, and animated WebP, which FFmpeg cannot read, through Pillow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from vidseg.errors import InputError
from vidseg.io.images import (
    IMAGE_SUFFIXES,
    levels_warning,
    list_images,
    measure_levels,
    opened_by_pillow,
    read_image,
)
from vidseg.io.picture import over_white
from vidseg.io.reader import ClipInfo, Frame, Reader

if TYPE_CHECKING:
    import numpy as np

IMAGE_RATE = 25  # frames/s given to image files, which have no timing of their own
NAMED = 3  # unreadable images that a warning names
UNTIMED = 100  # ms that browsers give a picture of an animation without a duration


def stills_of(path: str) -> ImageFiles | WebP | None:
    """Open a folder or a file of pictures; None for a file that FFmpeg reads, as it does animated PNG and AVIF."""
    file = Path(path)
    suffix = file.suffix.lower()
    if file.is_dir():
        return ImageFiles(path, list_images(file))
    if suffix in (".heic", ".heif"):  # stored in tiles, of which FFmpeg would show one
        raise InputError(f"{file}: HEIC photos cannot be read; convert it to JPEG or PNG")
    if suffix not in IMAGE_SUFFIXES or (suffix == ".png" and is_animated_png(file)):
        return None
    return WebP(path) if suffix == ".webp" and is_animated_webp(file) else ImageFiles(path, [file])


class ImageFiles(Reader):
    """Reads image files as the frames of a clip. What is not an image, or not a whole one, is left out.

    Args:
        path: the folder or the file, as it is named in messages.
        files: the images, in order. A frame has the number of its file here, also where others are left out.

    Raises:
        InputError: if no image can be read.
    """

    def __init__(self, path: str, files: list[Path]):
        self._path, self._files, self._levels = path, files, measure_levels(files)
        first = next(self._images(range(len(files)), []), None)
        if first is None:
            read_image(files[0], self._levels)  # which says what is wrong
            raise InputError(f"{path}: none of its images can be read; copy or download them again")
        number, image = first
        self._sized = files[number]
        height, width = image.shape[:2]
        info = _info(path, (width, height), len(files), length=len(files), tick=Fraction(1, IMAGE_RATE))
        self.info = replace(info, frame_names=tuple(file.name for file in files))

    def read(self, first: int, stop: float) -> Iterator[Frame]:
        """Frames with first <= pts < stop (ticks), in order. InputError for an image of another size."""
        numbers, left_out = range(max(0, first), int(min(stop, len(self._files)))), []
        self._warn(left_out)
        for number, image in self._images(numbers, left_out):
            self._warn(left_out)
            yield self._frame(number, image)
        self._warn(left_out)

    def read_back(self, first: int, before: Frame) -> Iterator[Frame]:
        """Frames before the given one, the latest first, down to `first` (ticks)."""
        for number, image in self._images(range(before.pts - 1, first - 1, -1), []):
            yield self._frame(number, image)

    def _images(self, numbers: Iterable[int], left_out: list[str]) -> Iterator[tuple[int, np.ndarray]]:
        """(number, image) of the files that can be read; the names of the others are added to `left_out`."""
        for number in numbers:
            try:
                image = read_image(self._files[number], self._levels)
            except InputError:
                left_out.append(self._files[number].name)
                continue
            yield number, image

    def _frame(self, number: int, image: np.ndarray) -> Frame:
        height, width = image.shape[:2]
        if (width, height) != (self.info.width, self.info.height):
            raise InputError(
                f"{self._files[number]} has {width}×{height} pixels and {self._sized.name} has "
                f"{self.info.width}×{self.info.height}; give all images of a folder one size"
            )
        return Frame(number, float(number * self.info.time_base), number, image, 1 / IMAGE_RATE)

    def _warn(self, left_out: list[str]) -> None:
        levels = levels_warning(self._path, self._levels, self._files)
        lines = [levels] if levels else []
        if left_out:
            names = ", ".join(left_out[:NAMED]) + (", …" if len(left_out) > NAMED else "")
            count = f"{len(left_out)} of {len(self._files)} images"
            lines.append(f"{self._path}: {count} cannot be read and are left out ({names})")
        self.warning = "; ".join(lines) or None


class WebP(Reader):
    """Reads an animated WebP file, which is in memory as it is stored while it is read.

    Raises:
        InputError: if the file is damaged.
    """

    def __init__(self, path: str):
        self._file = Path(path)
        height, width = next(self._images()).shape[:2]
        count = length = 0
        for start, duration in self._times():
            count, length = count + 1, start + duration
        self.info = _info(path, (width, height), count, length=length, tick=Fraction(1, 1000))

    def read(self, first: int, stop: float) -> Iterator[Frame]:
        """Frames with first <= pts < stop (ticks), in order; transparency over white."""
        for index, ((start, duration), image) in enumerate(zip(self._times(), self._images())):
            if start >= stop:
                return
            if start >= first:
                tick = float(self.info.time_base)
                yield Frame(index, start * tick, start, image, (int(min(start + duration, stop)) - start) * tick)

    def read_back(self, first: int, before: Frame) -> Iterator[Frame]:
        """Frames before the given one, the latest first, down to `first` (ticks)."""
        stop = before.pts
        while stop > first and (portion := self._last(self.read(first, stop))):
            stop = portion[0].pts
            while portion:  # each is dropped as it is handed out
                yield portion.pop()

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

    def _images(self) -> Iterator[np.ndarray]:
        import numpy as np

        with opened_by_pillow(
            self._file, "a damaged or too large animation ({error}); copy or download it again"
        ) as pictures:
            for number in range(getattr(pictures, "n_frames", 1)):
                pictures.seek(number)
                yield over_white(np.asarray(pictures.convert("RGBA")))


def _info(path: str, size: tuple[int, int], count: int, length: int, tick: Fraction) -> ClipInfo:
    """What is known of `count` pictures of (width, height) `size` that are shown for `length` ticks in all."""
    return ClipInfo(
        path,
        *size,
        frame_rate=count / (length * tick),
        time_base=tick,
        frame_count=count,
        duration=float(length * tick),
        has_audio=False,
    )


def is_animated_png(file: Path) -> bool:
    """Whether a PNG holds an animation; its control chunk comes before the first picture."""
    with file.open("rb") as data:
        if data.read(8) != b"\x89PNG\r\n\x1a\n":
            return False
        while len(head := data.read(8)) == 8 and head[4:] != b"IDAT":
            if head[4:] == b"acTL":
                return True
            data.seek(int.from_bytes(head[:4], "big") + 4, 1)
    return False


def is_animated_webp(file: Path) -> bool:
    """Whether a WebP holds an animation, which a flag in its header says."""
    with file.open("rb") as data:
        head = data.read(21)
    return head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and len(head) == 21 and bool(head[20] & 2)
