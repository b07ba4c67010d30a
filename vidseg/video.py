"""Video frames in, through PyAV: a video, a folder of images or a single image, one frame at a time.

PyAV, OpenCV and numpy are imported where they are used, so that importing this module is free.
"""

from __future__ import annotations

import itertools
import math
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from vidseg.errors import InputError
from vidseg.images import IMAGE_SUFFIXES, list_images, read_image

if TYPE_CHECKING:
    import numpy as np

IMAGE_RATE = 25  # frames/s given to a folder of images, which has no timing of its own
ADVICE = "give a video, an image or a folder of images"


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


@dataclass
class _Damage:
    found: bool = False  # a packet or the file's end is missing or cannot be decoded
    resumed: bool = False  # and frames could be read after it


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

    @contextmanager
    def _open(self):
        """The open container and its video stream; InputError if there is none."""
        import av

        try:
            container = av.open(self.path)
        except (av.FFmpegError, OSError, ValueError) as error:
            raise InputError(f"{self.path}: not a video that can be read ({reason(error)}); {ADVICE}") from error
        with container:
            # FFmpeg shows plain text as video (its "tty" format), and a song's cover is a video stream
            pictures = [s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic]
            if container.format.name == "tty" or not (pictures or container.streams.audio):
                raise InputError(f"{self.path}: not a video; {ADVICE}")
            if not pictures:
                raise InputError(f"{self.path}: sound without a picture; {ADVICE}")
            yield container, pictures[0]

    def _probe_video(self) -> ClipInfo:
        with self._open() as (container, stream):
            frame = next(self._decode(container, stream, _Damage()), None)
            if frame is None:
                raise InputError(f"{self.path}: damaged, not a single frame can be decoded; copy or download it again")
            self._first_pts = frame.pts or 0
            self._coded_size = frame.width, frame.height
            height, width = _image(frame, *self._coded_size).shape[:2]
            rate = stream.average_rate or stream.guessed_rate or Fraction(IMAGE_RATE)
            duration = _announced(stream) or (container.duration / 1e6 if container.duration else None)
            count = stream.frames or (round(duration * rate) if duration else None)
            audio = bool(container.streams.audio)
            return ClipInfo(self.path, width, height, rate, stream.time_base, count, duration, audio)

    def _decode(self, container, stream, damage: _Damage):
        """PyAV frames in display order. Damage is noted, not raised, and reading goes on after it."""
        import av

        packets = container.demux(stream)
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except av.FFmpegError:  # the file breaks off here: hand out what the decoder still holds
                damage.found = True
                packet = None
            if packet is not None and packet.is_corrupt:
                damage.found = True
                if container.format.name != "mpegts":  # cut by the end of the file; it would give a half grey frame
                    continue
            try:
                yield from stream.codec_context.decode(packet)
                if damage.found and packet is not None and packet.size and not packet.is_corrupt:
                    damage.resumed = True
            except EOFError:
                return
            except av.FFmpegError:
                damage.found = True
            if packet is None:
                return

    def _read_video(self, first: int, stop: float, seek: bool = True) -> Iterator[Frame]:
        tick, damage, near = self.info.time_base, _Damage(), None
        step = max(1, round(1 / (self.info.frame_rate * tick)))  # ticks, for frames without a timestamp
        with self._open() as (container, stream):
            frames, index, pts = self._decode(container, stream, damage), 0, None
            entry = self._entry(first) if seek and first > self._first_pts else None
            if entry is not None:
                index, wanted, key = entry
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
                    yield Frame(index, float(pts * tick), pts, _image(frame, *self._coded_size))
                index += 1
            else:
                damage.found |= self._cut_short(stream, pts)
        if damage.resumed and near is not None:
            self.warning = f"{self.path} is damaged near frame {near}: frames there may be missing or wrong"
        elif damage.found and pts is not None:
            at = f"frame {index - 1} ({float(pts * tick) - self.first_time:.1f} s)"
            self.warning = f"{self.path} is damaged after {at}: nothing after it can be read"

    def _entry(self, first: int) -> tuple[int, int | None, int] | None:
        """Where to enter the clip to get the first frame with pts >= `first` (ticks), without decoding.

        Gives the frame's number, its pts (None if the clip ends before) and the pts of the key
        frame to seek to. Packets are read without decoding them, and those with an earlier pts are counted: exact
        for any frame rate where one packet is one frame. That is so in MP4/MOV and Matroska/WebM,
        but for VP8 with its hidden frames. Elsewhere None: the clip is then decoded from its
        beginning, which is slower and as exact.
        """
        with self._open() as (container, stream):
            hidden_frames = "vp8" in (stream.codec_context.codec.canonical_name, stream.codec_context.name)
            if hidden_frames or not container.format.name.startswith(("mov", "matroska")):
                return None
            before, wanted, key = 0, None, None
            for packet in packets(container, stream):
                if packet.pts is None:
                    return None
                if packet.is_discard or packet.pts < self._first_pts:
                    continue
                if packet.pts < first:
                    before += 1
                elif wanted is None or packet.pts < wanted:
                    wanted = packet.pts
                # Not a later key frame, even if it is stored before: frames shown before it may be missing then
                if packet.is_keyframe and packet.pts <= first:
                    key = packet.pts
                # B-frames are stored after a frame shown later; dts <= pts says when none can follow
                if wanted is not None and packet.dts is not None and packet.dts > wanted:
                    break
            return None if key is None else (before, wanted, key)

    def _cut_short(self, stream, pts: int | None) -> bool:
        """Whether the file ends before what its header announces. Some demuxers do not report that."""
        if "mp4" in stream.container.format.name:  # the header lists where every packet lies
            entries = stream.index_entries
            return len(entries) > 0 and entries[-1].pos + entries[-1].size > os.path.getsize(self.path)
        announced = _announced(stream)
        return bool(announced and pts is not None and announced - float(pts * self.info.time_base) > 0.5)


def _announced(stream) -> float | None:
    """Length of the stream in seconds as its header has it, or None."""
    if stream.duration:
        return float(stream.duration * stream.time_base)
    match = re.fullmatch(r"(\d+):(\d\d):(\d\d\.\d+)", stream.metadata.get("DURATION", ""))  # Matroska
    return match and int(match[1]) * 3600 + int(match[2]) * 60 + float(match[3]) or None


def _image(frame, width: int, height: int) -> np.ndarray:
    """H×W×3 uint8 RGB image of a PyAV frame of width×height, turned upright."""
    import numpy as np

    image = frame.to_ndarray(format="rgb24", width=width, height=height)  # rescales if a stream changes size midway
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return image
    # x' = a·x + c·y, y' = b·x + d·y, with the signs of a quarter turn or a mirror image
    a, b, _, c, d = np.frombuffer(matrix, np.int32)[:5].tolist()
    if abs(a) >= abs(b):
        flip_x, flip_y = a < 0, d < 0
    else:
        image, flip_x, flip_y = image.transpose(1, 0, 2), c < 0, b < 0
    return np.ascontiguousarray(image[:: -1 if flip_y else 1, :: -1 if flip_x else 1])


def parse_time(text: str) -> float:
    """Seconds from "90", "1:30" or "00:01:30.5"."""
    match = re.fullmatch(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d*)?|\.\d+)", text.strip(), re.ASCII)
    hours, minutes, seconds = (float(group or 0) for group in match.groups()) if match else (0, 0, 0)
    if not match or (match[2] and seconds >= 60) or (match[1] and minutes >= 60):
        raise InputError(f"{text!r} is not a time; write seconds (90), minutes (1:30) or hours (00:01:30.5)")
    return hours * 3600 + minutes * 60 + seconds


def packets(container, stream):
    """Packets of the stream, up to the end or to the first damage."""
    import av

    try:
        for packet in container.demux(stream):
            if packet.size:
                yield packet
    except av.FFmpegError:
        return


def reason(error: Exception) -> str:
    """What the system or FFmpeg says went wrong, without error numbers."""
    return (getattr(error, "strerror", None) or str(error)).lower()
