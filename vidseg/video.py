"""Video frames in, through PyAV: a video, a folder of images or a single image, one frame at a time.

PyAV, OpenCV and numpy are imported where they are used, so that importing this module is free.
"""

from __future__ import annotations

import itertools
import math
import os
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from vidseg.decoding import Damage, announced, cut_short, decode, entry, opened, portion_before, upright
from vidseg.errors import InputError
from vidseg.images import IMAGE_SUFFIXES, list_images, read_image

if TYPE_CHECKING:
    import numpy as np

IMAGE_RATE = 25  # frames/s given to a folder of images, which has no timing of its own
BACK_ROOM = 256 << 20  # bytes of frames that are held where a clip is read backwards


@dataclass(frozen=True)
class ClipInfo:
    """What is known of a clip before it is read."""

    path: str
    width: int  # pixels, as displayed: after rotation
    height: int
    frame_rate: Fraction  # average, frames/s
    time_base: Fraction  # seconds in one tick of pts
    frame_count: int | None  # announced by the file, or duration × rate: good for progress only
    duration: float | None  # s
    has_audio: bool


@dataclass
class Frame:
    """One decoded frame."""

    index: int  # number in the whole clip, 0-based, also where reading starts later
    time: float  # s: pts × time base, so a clip's first frame need not be at 0
    pts: int  # ticks of the clip's time base; strictly increasing
    image: np.ndarray  # H×W×3 uint8 RGB, upright


class Clip:
    """A video file, a folder of images or one image, read in order and one frame at a time.

        with Clip("dog.mp4") as clip:
            for frame in clip.frames(start=1.5, end=3):
                ...

    Opening decodes the first frame, so a file that cannot be used fails here, with InputError.
    Each call of `frames` reads the file anew.

    info: ClipInfo.
    first_time: s, time of the clip's first frame; `start` and `end` of `frames` count from it.
    warning: None, or one line if the latest `frames` met damage.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = os.fspath(path)
        self.warning: str | None = None
        self._first_pts = 0
        file = Path(self.path)
        if not os.path.exists(file):  # not file.exists(), which raises where a name is too long
            raise InputError(f"{self.path}: no such file or folder; check the path")
        self._images: list[Path] = []
        if file.is_dir():
            self._images = list_images(file)
        elif file.stat().st_size == 0:
            raise InputError(f"{self.path}: the file is empty; copy or download it again")
        elif file.suffix.lower() in IMAGE_SUFFIXES:
            self._images = [file]
        self.info = self._probe_images() if self._images else self._probe_video()
        self.first_time = float(self._first_pts * self.info.time_base)

    def __enter__(self) -> Clip:
        return self

    def __exit__(self, *exception) -> None:
        """Nothing to release: the file is open only while `frames` is being iterated."""

    def frames(self, start: float | None = None, end: float | None = None) -> Iterator[Frame]:
        """Frames with start <= t < end, where t is in seconds after the clip's first frame.

        The bounds are rounded to the clip's time base. InputError if no frame lies between them.
        """
        tick = self.info.time_base
        first = self._first_pts + round(Fraction(start or 0) / tick)
        stop = math.inf if end is None else self._first_pts + round(Fraction(end) / tick)
        if stop <= first:
            raise InputError(f"{self.path}: the range {start or 0:g} s to {end:g} s is empty; let it end after its start")
        self.warning = None
        return self._not_empty(self._read_images(first, stop) if self._images else self._read_video(first, stop), start)

    def backwards(self, before: Frame, start: float | None = None) -> Iterator[Frame]:
        """Frames before the given one of this clip, the latest first, down to `start` (seconds after the clip's first frame).

        The clip is entered at one key packet after the other, from behind. What lies between two of them is held in
        memory, up to a bound; what lies further apart is decoded again for each portion, and so is a whole clip of a format
        that cannot be entered. Where a file is damaged, a frame may have another number than forwards; its time is right.
        """
        first = self._first_pts + round(Fraction(start or 0) / self.info.time_base)
        if self._images:
            for index in range(before.index - 1, first - 1, -1):
                yield from self._read_images(index, index + 1)
            return
        index, stop = before.index, before.pts
        while index > 0 and stop > first:
            portion = self._portion(first, stop)
            if not portion:
                return
            stop = portion[0].pts
            while portion:  # each is dropped as it is handed out
                frame, index = portion.pop(), index - 1
                if frame.pts >= first:
                    yield frame if isinstance(frame, Frame) else Frame(index, float(frame.pts * self.info.time_base), frame.pts, upright(frame, *self._coded_size))

    def _portion(self, first: int, stop: int) -> list:
        """Some frames right before `stop` (ticks), in order: of PyAV, or where the clip cannot be entered, our own."""
        portion = portion_before(self.path, self._first_pts, stop, BACK_ROOM)
        if portion is None:
            length = max(1, BACK_ROOM // (3 * self.info.width * self.info.height))
            portion = list(deque(self._read_video(first, stop, seek=False), maxlen=length))
        return portion

    def _not_empty(self, frames: Iterator[Frame], start: float | None) -> Iterator[Frame]:
        frame = None
        for frame in frames:
            yield frame
        if frame is None:
            length = "" if self.info.duration is None else f" (the clip lasts {self.info.duration:g} s)"
            raise InputError(f"{self.path}: no frame in the range from {start or 0:g} s{length}; choose another range")

    # --- images ---

    def _probe_images(self) -> ClipInfo:
        height, width = read_image(self._images[0]).shape[:2]
        rate, count = Fraction(IMAGE_RATE), len(self._images)
        return ClipInfo(self.path, width, height, rate, 1 / rate, count, float(count / rate), has_audio=False)

    def _read_images(self, first: int, stop: float) -> Iterator[Frame]:
        for index, file in enumerate(self._images):
            if first <= index < stop:
                image = read_image(file)
                height, width = image.shape[:2]
                if (width, height) != (self.info.width, self.info.height):
                    raise InputError(
                        f"{file} has {width}×{height} pixels and {self._images[0].name} has "
                        f"{self.info.width}×{self.info.height}; give all images of a folder one size"
                    )
                yield Frame(index, index / IMAGE_RATE, index, image)

    # --- video ---

    def _probe_video(self) -> ClipInfo:
        with opened(self.path) as (container, stream):
            frame = next(decode(container, stream, Damage()), None)
            if frame is None:
                raise InputError(f"{self.path}: damaged, not a single frame can be decoded; copy or download it again")
            self._first_pts = frame.pts or 0
            self._coded_size = frame.width, frame.height
            height, width = upright(frame, *self._coded_size).shape[:2]
            rate = stream.average_rate or stream.guessed_rate or Fraction(IMAGE_RATE)
            duration = announced(stream) or (container.duration / 1e6 if container.duration else None)
            count = stream.frames or (round(duration * rate) if duration else None)
            audio = bool(container.streams.audio)
            return ClipInfo(self.path, width, height, rate, stream.time_base, count, duration, audio)

    def _read_video(self, first: int, stop: float, seek: bool = True) -> Iterator[Frame]:
        tick, damage, near = self.info.time_base, Damage(), None
        step = max(1, round(1 / (self.info.frame_rate * tick)))  # ticks, for frames without a timestamp
        with opened(self.path) as (container, stream):
            frames, index, pts = decode(container, stream, damage), 0, None
            place = entry(self.path, self._first_pts, first) if seek and first > self._first_pts else None
            if place is not None:
                index, wanted, key = place
                if wanted is None:
                    return
                container.seek(key, stream=stream)
                frames = itertools.dropwhile(lambda f: f.pts is None or f.pts < wanted, frames)
                frame = next(frames, None)
                if frame is None or frame.pts != wanted:  # the seek went wrong: decode from the beginning
                    yield from self._read_video(first, stop, seek=False)
                    return
                frames = itertools.chain([frame], frames)
            for frame in frames:
                if frame.pts is not None and (pts is None or frame.pts > pts):
                    pts = frame.pts
                else:
                    pts = self._first_pts if pts is None else pts + step
                if pts >= stop:
                    break
                if damage.found and near is None:
                    near = index
                if pts >= first:
                    yield Frame(index, float(pts * tick), pts, upright(frame, *self._coded_size))
                index += 1
            else:
                damage.found |= cut_short(self.path, stream, pts)
        if damage.resumed and near is not None:
            self.warning = f"{self.path} is damaged near frame {near}: frames there may be missing or wrong"
        elif damage.found and pts is not None:
            at = f"frame {index - 1} ({float(pts * tick) - self.first_time:.1f} s)"
            self.warning = f"{self.path} is damaged after {at}: nothing after it can be read"


def parse_time(text: str) -> float:
    """Seconds from "90", "1:30" or "00:01:30.5"."""
    match = re.fullmatch(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d*)?|\.\d+)", text.strip(), re.ASCII)
    hours, minutes, seconds = (float(group or 0) for group in match.groups()) if match else (0, 0, 0)
    if not match or (match[2] and seconds >= 60) or (match[1] and minutes >= 60):
        raise InputError(f"{text!r} is not a time; write seconds (90), minutes (1:30) or hours (00:01:30.5)")
    return hours * 3600 + minutes * 60 + seconds
