"""Video files, and what they share with streams: PyAV's frames become upright images with a number and a time."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

from vidseg.errors import InputError
from vidseg.io.cropping import crop_of
from vidseg.io.decoding import (
    Damage,
    decode,
    decoded,
    entry,
    opened,
    portion_before,
    tick_of,
    timed,
)
from vidseg.io.length import cut_short, length
from vidseg.io.picture import orientation, upright
from vidseg.io.reader import ClipInfo, Frame, Reader
from vidseg.io.stills import IMAGE_RATE

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream


FASTEST = 10_000  # frames/s that a file may announce


class VideoReader(Reader):
    """Reads what PyAV opens.

    Args:
        path: the source, as it is named in messages.
        container: the open source.
        stream: the video in it.
        picture: its first frame; None if nothing can be decoded.
        advice: what to do in that case.
    """

    def __init__(
        self, path: str, container: InputContainer, stream: VideoStream, picture: VideoFrame | None, advice: str
    ):
        if picture is None:
            raise InputError(f"{path}: damaged, not a single frame can be decoded; {advice}")
        self._path = path
        self.first_pts = picture.pts or 0
        self._coded_size = picture.width, picture.height
        self._interlaced = picture.interlaced_frame
        self._crop = crop_of(path, container, stream)
        height, width = upright(picture, *self._coded_size, path, self._crop).shape[:2]
        aspect = stream.sample_aspect_ratio or Fraction(1)
        rate = stream.average_rate or stream.guessed_rate or Fraction(IMAGE_RATE)
        if rate > FASTEST:  # FFmpeg has seen too few frames, and takes the clock's rate for theirs
            rate = Fraction(IMAGE_RATE)
        # Of what is read once, the end cannot be looked at first
        duration = length(container, stream, self.first_pts, None if self.once else path)
        self.info = ClipInfo(
            path,
            width,
            height,
            frame_rate=rate,
            time_base=tick_of(stream),
            frame_count=stream.frames or (round(duration * rate) if duration else None),
            duration=duration,
            has_audio=bool(container.streams.audio) and not self.once,
            pixel_aspect=1 / aspect if orientation(picture).transposed else aspect,
        )

    @property
    def _step(self) -> int:
        """Ticks from one frame to the next, where they have no timestamps."""
        return max(1, round(1 / (self.info.frame_rate * self.info.time_base)))

    def _frame(self, index: int, pts: int, picture: VideoFrame) -> Frame:
        image = upright(picture, *self._coded_size, self._path, self._crop)
        return Frame(index, float(pts * self.info.time_base), pts, image)

    def _lasting(self, frame: Frame, until: float) -> Frame:
        """The frame, shown `until` (ticks)."""
        frame.duration = (int(until) - frame.pts) * float(self.info.time_base)
        return frame

    def _range(
        self,
        first: int,
        stop: float,
        pictures: Iterable[tuple[int, int, VideoFrame]],
        damage: Damage,
        stream: VideoStream | None,
    ) -> Iterator[Frame]:
        """The frames from `first` to `stop` (ticks), and at the end a word on damage.

        Args:
            first: pts of the first frame.
            stop: pts that is too late.
            pictures: (number, pts, PyAV frame) of each frame.
            damage: what decoding has met so far.
            stream: where the frames come from, if its header can say that some are missing; else None.
        """
        index, pts, near = 0, None, None
        end, waiting = self.first_pts, None
        for index, pts, picture in pictures:
            if waiting is not None:
                yield self._lasting(waiting, min(pts, stop))
                waiting = None
            if pts >= stop:
                break
            if damage.found and near is None:
                near = index
            end = pts + (picture.duration or self._step)
            if pts >= first:
                waiting = self._frame(index, pts, picture)
                if self.once:  # the next frame may be long in coming
                    yield self._lasting(waiting, min(end, stop))
                    waiting = None
        else:
            if waiting is not None:
                yield self._lasting(waiting, min(self._end(end, stream), stop))
            damage.found |= stream is not None and cut_short(self._path, stream, self.first_pts, damage.end)
        if damage.resumed and near is not None:
            self.warning = f"{self._path} is damaged near frame {near}: frames there may be missing or wrong"
        elif damage.found and pts is not None:
            at = f"frame {index} ({float(pts * self.info.time_base) - self._first_time:.1f} s)"
            self.warning = (
                f"{self._path} {'broke off' if self.once else 'is damaged'} after {at}: nothing after it can be read"
            )

    def _end(self, end: int, stream: VideoStream | None) -> int:
        """Ticks at which the clip ends, where the last frame says that it ends at `end`."""
        if stream is None or not stream.container.format.name.startswith("mov"):
            return end
        # MP4 has durations in the order in which frames are stored: the last of them may be of a frame shown earlier.
        # Its header has the sum; where it lists no frames, as for fragments, not all that it announces need be there
        announced = stream.duration if stream.frames and stream.duration else 0
        return max(end, (stream.start_time or 0) + announced)

    @property
    def _first_time(self) -> float:
        return float(self.first_pts * self.info.time_base)


class VideoFile(VideoReader):
    """Reads a video file, anew for each call."""

    def __init__(self, path: str):
        with opened(path) as (container, stream):
            first = next(decoded(container, stream, Damage()), None)
            super().__init__(path, container, stream, first, "copy or download it again")

    def read(self, first: int, stop: float) -> Iterator[Frame]:
        """Frames with first <= pts < stop (ticks), in order."""
        return self._read(first, stop, seek=first > self.first_pts)

    def _read(self, first: int, stop: float, seek: bool) -> Iterator[Frame]:
        damage = Damage()
        with opened(self._path) as (container, stream):
            pictures, index = decode(container, stream, damage), 0
            place = entry(self._path, self.first_pts, first, self._interlaced) if seek else None
            if place is not None:
                index, wanted, key = place
                if wanted is None:
                    return
                container.seek(key, stream=stream)
                pictures = itertools.dropwhile(lambda p: p.pts is None or p.pts < wanted, pictures)
                picture = next(pictures, None)
                if picture is None or picture.pts != wanted:  # the seek went wrong: decode from the beginning
                    yield from self._read(first, stop, seek=False)
                    return
                pictures = itertools.chain([picture], pictures)
            pictures = timed(pictures, self.first_pts, self._step, index)
            yield from self._range(first, stop, pictures, damage, stream)

    def read_back(self, first: int, before: Frame) -> Iterator[Frame]:
        """Frames before the given one, the latest first, down to `first` (ticks)."""
        index, stop = before.index, before.pts
        while index > 0 and stop > first:
            portion = self._portion(first, stop)
            if not portion:
                return
            stop = portion[0].pts
            while portion:  # each is dropped as it is handed out
                item, index = portion.pop(), index - 1
                if item.pts >= first:
                    yield item if isinstance(item, Frame) else self._frame(index, item.pts, item)

    def _portion(self, first: int, stop: int) -> list:
        """Some frames right before `stop` (ticks), in order: PyAV's, or our own where the clip cannot be entered."""
        portion = portion_before(self._path, self.first_pts, stop, self.back_room, self._interlaced)
        return self._last(self._read(first, stop, seek=False)) if portion is None else portion
