"""Video frames in, through PyAV: a video, a folder of images, an image, a pipe or a live stream, one frame at a time.

`docs/video.md` says what is read, and how its pictures and times are to be understood. PyAV, OpenCV and numpy are imported
where they are used, so that importing this module is free.
"""

from __future__ import annotations

import itertools
import math
import os
import re
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from vidseg.errors import InputError
from vidseg.io.decoding import Damage, announced, cut_short, decode, decoded, entry, opened, portion_before, timed
from vidseg.io.deinterlacing import deinterlaced
from vidseg.io.live import Newest, Source, held, is_live, paced, source_of
from vidseg.io.picture import orientation, upright
from vidseg.io.stills import IMAGE_RATE, ImageFiles, WebP, stills_of

if TYPE_CHECKING:
    import numpy as np

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
    has_audio: bool  # and it can be copied: not from what is read once
    pixel_aspect: Fraction = Fraction(1)  # width to height of a pixel; pictures are not stretched by it


@dataclass
class Frame:
    """One decoded frame."""

    index: int  # number in the whole clip, 0-based, also where reading starts later
    time: float  # s: pts × time base, so a clip's first frame need not be at 0
    pts: int  # ticks of the clip's time base; strictly increasing
    image: np.ndarray  # H×W×3 uint8 RGB, upright


class Clip:
    """A video, read in order and one frame at a time.

        with Clip("dog.mp4") as clip:
            for frame in clip.frames(start=1.5, end=3):
                ...

    Opening decodes the first frame, so what cannot be used fails here, with InputError. Each call of `frames` reads a
    file anew. A pipe or a live source can be read `once`: the clip is open from here on until `close`.

    path: a video file, a folder of images, an image; "-" (standard input), a named pipe, an address such as rtsp://…, a
        camera's device or number.

    info: ClipInfo.
    first_time: s, time of the clip's first frame; `start` and `end` of `frames` count from it.
    once: whether `frames` can be called a single time, and `backwards` not at all.
    warning: None, or one line if the latest `frames` met damage.
    """

    def __init__(self, path: str | os.PathLike | int):
        self.path = str(path) if isinstance(path, int) else os.fspath(path)
        self.warning: str | None = None
        self._first_pts = 0
        self._stills: ImageFiles | WebP | None = None
        self._coming: tuple | None = None  # what can be read once: frames, damage and stream as `_between` has them
        self._taken = False
        self._release: Callable[[], None] | None = None
        source = source_of(self.path)
        self.once = source is not None
        if self.once:
            self.path = source.name
            self._open_once(source)
        else:
            self._open_file(Path(self.path))
        self.first_time = float(self._first_pts * self.info.time_base)

    def _open_file(self, file: Path) -> None:
        if not os.path.exists(file):  # not file.exists(), which raises where a name is too long
            raise InputError(f"{self.path}: no such file or folder; check the path")
        if file.is_file() and file.stat().st_size == 0:
            raise InputError(f"{self.path}: the file is empty; copy or download it again")
        self._stills = stills = stills_of(file)
        if stills is not None:
            rate, seconds = stills.count / (stills.length * stills.tick), float(stills.length * stills.tick)
            self.info = ClipInfo(
                self.path, stills.width, stills.height, rate, stills.tick, stills.count, seconds, has_audio=False
            )
            return
        with opened(self.path) as (container, stream):
            self.info = self._probe_video(container, stream, next(decoded(container, stream, Damage()), None))

    def __enter__(self) -> Clip:
        return self

    def __exit__(self, *exception) -> None:
        self.close()

    def close(self) -> None:
        """Let go of a pipe or a live source. A file is open only while `frames` is being iterated."""
        if self._release is not None:
            self._release()
            self._coming = self._release = None

    def frames(self, start: float | None = None, end: float | None = None) -> Iterator[Frame]:
        """Frames with start <= t < end, where t is in seconds after the clip's first frame.

        The bounds are rounded to the clip's time base. InputError if no frame lies between them.
        """
        tick = self.info.time_base
        first = self._first_pts + round(Fraction(start or 0) / tick)
        stop = math.inf if end is None else self._first_pts + round(Fraction(end) / tick)
        if stop <= first:
            raise InputError(
                f"{self.path}: the range {start or 0:g} s to {end:g} s is empty; let it end after its start"
            )
        if self._taken:
            raise InputError(f"{self.path} can be read once only; save it to a file to read it again")
        self._taken = self.once
        self.warning = None
        return self._not_empty(self._read(first, stop), start)

    def backwards(self, before: Frame, start: float | None = None) -> Iterator[Frame]:
        """Frames before the given one of this clip, the latest first, down to `start` (seconds after the clip's first frame).

        The clip is entered at one key packet after the other, from behind. What lies between two of them is held in
        memory, up to a bound; what lies further apart is decoded again for each portion, and so is a whole clip of a format
        that cannot be entered. Where a file is damaged, a frame may have another number than forwards; its time is right.
        """
        if self.once:
            raise InputError(f"{self.path} can be read forwards only; begin on its first frame, or save it to a file")
        return self._read_back(before, start)

    def _read_back(self, before: Frame, start: float | None) -> Iterator[Frame]:
        first = self._first_pts + round(Fraction(start or 0) / self.info.time_base)
        if isinstance(self._stills, ImageFiles):
            for pts in range(before.pts - 1, first - 1, -1):
                yield from self._read(pts, pts + 1)
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
                    yield frame if isinstance(frame, Frame) else self._shown(index, frame.pts, frame)

    def _portion(self, first: int, stop: int) -> list:
        """Some frames right before `stop` (ticks), in order: of PyAV, or where the clip cannot be entered, our own."""
        portion = (
            None if self._stills else portion_before(self.path, self._first_pts, stop, BACK_ROOM, self._interlaced)
        )
        if portion is None:
            length = max(1, BACK_ROOM // (3 * self.info.width * self.info.height))
            portion = list(deque(self._read(first, stop, seek=False), maxlen=length))
        return portion

    def _read(self, first: int, stop: float, seek: bool = True) -> Iterator[Frame]:
        if self._stills is not None:
            return (
                Frame(index, float(pts * self.info.time_base), pts, image)
                for index, pts, image in self._stills.read(first, stop)
            )
        return self._read_once(first, stop) if self.once else self._read_video(first, stop, seek)

    def _not_empty(self, frames: Iterator[Frame], start: float | None) -> Iterator[Frame]:
        frame = None
        for frame in frames:
            yield frame
        if frame is None:
            length = "" if self.info.duration is None else f" (the clip lasts {self.info.duration:g} s)"
            raise InputError(f"{self.path}: no frame in the range from {start or 0:g} s{length}; choose another range")

    def _probe_video(self, container, stream, frame, advice: str = "copy or download it again") -> ClipInfo:
        """What the header and the first frame say; without a frame, InputError with advice."""
        if frame is None:
            raise InputError(f"{self.path}: damaged, not a single frame can be decoded; {advice}")
        self._first_pts = frame.pts or 0
        self._coded_size = frame.width, frame.height
        self._interlaced = frame.interlaced_frame
        height, width = upright(frame, *self._coded_size, self.path).shape[:2]
        aspect = stream.sample_aspect_ratio or Fraction(1)
        aspect = 1 / aspect if orientation(frame).transposed else aspect
        rate = stream.average_rate or stream.guessed_rate or Fraction(IMAGE_RATE)
        duration = announced(stream) or (container.duration / 1e6 if container.duration else None)
        count = stream.frames or (round(duration * rate) if duration else None)
        audio = bool(container.streams.audio) and not self.once
        return ClipInfo(self.path, width, height, rate, stream.time_base, count, duration, audio, aspect)

    def _open_once(self, source: Source) -> None:
        damage = Damage()
        with ExitStack() as stack:
            container, stream = stack.enter_context(opened(self.path, source))
            frames = decoded(container, stream, damage)
            first = next(frames, None)
            self.info = self._probe_video(container, stream, first, source.advice)
            frames = timed(deinterlaced(itertools.chain([first], frames)), self._first_pts, self._step)
            live, stack = is_live(source, container), stack.pop_all()
        if live:  # it is read from now on: nobody has to wait for a slow consumer, and what is handed out is new
            newest = Newest(held(stack, paced(frames, float(self.info.time_base))))
            self._coming, self._release = (newest, damage, None), newest.close
            weakref.finalize(self, newest.close)
        else:
            self._coming, self._release = (frames, damage, stream), stack.close

    def _read_video(self, first: int, stop: float, seek: bool = True) -> Iterator[Frame]:
        damage = Damage()
        with opened(self.path) as (container, stream):
            frames, index = decode(container, stream, damage), 0
            place = (
                entry(self.path, self._first_pts, first, self._interlaced) if seek and first > self._first_pts else None
            )
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
            yield from self._between(first, stop, timed(frames, self._first_pts, self._step, index), damage, stream)

    def _read_once(self, first: int, stop: float) -> Iterator[Frame]:
        try:
            yield from self._between(first, stop, *self._coming)
        finally:
            self.close()

    def _between(self, first: int, stop: float, frames: Iterable, damage: Damage, stream) -> Iterator[Frame]:
        """The frames from `first` to `stop` (ticks) of (number, pts, PyAV frame), and at the end a word on damage.

        stream: where they come from, if its header can say that some are missing; else None.
        """
        index, pts, near = 0, None, None
        for index, pts, frame in frames:
            if pts >= stop:
                break
            if damage.found and near is None:
                near = index
            if pts >= first:
                yield self._shown(index, pts, frame)
        else:
            damage.found |= stream is not None and cut_short(self.path, stream, pts)
        if damage.resumed and near is not None:
            self.warning = f"{self.path} is damaged near frame {near}: frames there may be missing or wrong"
        elif damage.found and pts is not None:
            at = f"frame {index} ({float(pts * self.info.time_base) - self.first_time:.1f} s)"
            self.warning = (
                f"{self.path} {'broke off' if self.once else 'is damaged'} after {at}: nothing after it can be read"
            )

    @property
    def _step(self) -> int:
        """Ticks from one frame to the next, where they have no timestamps."""
        return max(1, round(1 / (self.info.frame_rate * self.info.time_base)))

    def _shown(self, index: int, pts: int, frame) -> Frame:
        return Frame(index, float(pts * self.info.time_base), pts, upright(frame, *self._coded_size, self.path))


def parse_time(text: str) -> float:
    """Seconds from "90", "1:30" or "00:01:30.5"."""
    match = re.fullmatch(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d*)?|\.\d+)", text.strip(), re.ASCII)
    hours, minutes, seconds = (float(group or 0) for group in match.groups()) if match else (0, 0, 0)
    if not match or (match[2] and seconds >= 60) or (match[1] and minutes >= 60):
        raise InputError(f"{text!r} is not a time; write seconds (90), minutes (1:30) or hours (00:01:30.5)")
    return hours * 3600 + minutes * 60 + seconds
