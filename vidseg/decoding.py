"""Below a clip: opening, decoding and seeking through PyAV, and turning what comes out upright."""

from __future__ import annotations

import os
import re
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vidseg.errors import InputError

if TYPE_CHECKING:
    import numpy as np

ADVICE = "give a video, an image or a folder of images"
of_this_thread = threading.local()  # holds a converter, which must not be used by two threads at once


@dataclass
class Damage:
    found: bool = False  # a packet or the file's end is missing or cannot be decoded
    resumed: bool = False  # and frames could be read after it


@contextmanager
def opened(path: str) -> Iterator:
    """The open container and its video stream: (container, stream). InputError if there is none."""
    import av

    try:
        container = av.open(path)
    except (av.FFmpegError, OSError, ValueError) as error:
        raise InputError(f"{path}: not a video that can be read ({reason(error)}); {ADVICE}") from error
    with container:
        # FFmpeg shows plain text as video (its "tty" format), and a song's cover is a video stream
        pictures = [s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic]
        if container.format.name == "tty" or not (pictures or container.streams.audio):
            raise InputError(f"{path}: not a video; {ADVICE}")
        if not pictures:
            raise InputError(f"{path}: sound without a picture; {ADVICE}")
        yield container, pictures[0]


def decode(container, stream, damage: Damage) -> Iterator:
    """PyAV frames in display order. Damage is noted in `damage`, not raised, and reading goes on after it."""
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


def can_be_entered(container, stream) -> bool:
    """Whether packets lead to frames without decoding: one packet is one frame, and each has its timestamp.

    So it is in MP4/MOV and Matroska/WebM, but for VP8 with its hidden frames.
    """
    hidden_frames = "vp8" in (stream.codec_context.codec.canonical_name, stream.codec_context.name)
    return container.format.name.startswith(("mov", "matroska")) and not hidden_frames


def entry(path: str, first_pts: int, first: int) -> tuple[int, int | None, int] | None:
    """Where to enter a clip that begins at `first_pts` to get the first frame with pts >= `first` (ticks), without decoding.

    Gives the frame's number, its pts (None if the clip ends before) and the pts of the key
    frame to seek to. Packets are read without decoding them, and those with an earlier pts are counted: exact
    for any frame rate. None where that cannot be done: the clip is then decoded from its beginning, which is slower
    and as exact.
    """
    with opened(path) as (container, stream):
        if not can_be_entered(container, stream):
            return None
        before, wanted, key = 0, None, None
        for packet in packets(container, stream):
            if packet.pts is None:
                return None
            if packet.is_discard or packet.pts < first_pts:
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


def portion_before(path: str, first_pts: int, stop: int, room: int) -> list | None:
    """The last frames with pts < `stop` (ticks) of a clip that begins at `first_pts`: PyAV frames in display order, from a key frame on.

    They take `room` bytes at most as they are decoded: where the key frame lies further back, the earliest are
    missing. None if the clip cannot be entered there.
    """
    with opened(path) as (container, stream):
        if not can_be_entered(container, stream):
            return None
        target, step = stop - 1, max(1, round(1 / stream.time_base))
        while True:  # some formats look for the key frame by decoding time, and so find one that is shown too late
            container.seek(max(target, first_pts), stream=stream)
            frames: deque = deque()
            size = 0
            for frame in decode(container, stream, Damage()):
                if frame.pts is None:
                    return None
                if frame.pts >= stop:
                    break
                if not frames and not frame.key_frame:  # it may lean on what lies before the key frame
                    continue
                frames.append(frame)
                size += sum(plane.buffer_size for plane in frame.planes)
                while size > room and len(frames) > 1:
                    size -= sum(plane.buffer_size for plane in frames.popleft().planes)
            if frames:
                return list(frames)
            if target <= first_pts:
                return None
            target, step = target - step, 2 * step


def cut_short(path: str, stream, pts: int | None) -> bool:
    """Whether a file ends before what its header announces; `pts` is of its last frame. Some demuxers do not report that."""
    if "mp4" in stream.container.format.name:  # the header lists where every packet lies
        entries = stream.index_entries
        return len(entries) > 0 and entries[-1].pos + entries[-1].size > os.path.getsize(path)
    length = announced(stream)
    return bool(length and pts is not None and length - float(pts * stream.time_base) > 0.5)


def announced(stream) -> float | None:
    """Length of the stream in seconds as its header has it, or None."""
    if stream.duration:
        return float(stream.duration * stream.time_base)
    match = re.fullmatch(r"(\d+):(\d\d):(\d\d\.\d+)", stream.metadata.get("DURATION", ""))  # Matroska
    return match and int(match[1]) * 3600 + int(match[2]) * 60 + float(match[3]) or None


def upright(frame, width: int, height: int) -> np.ndarray:
    """H×W×3 uint8 RGB image of a PyAV frame of width×height, turned upright."""
    import numpy as np
    from av.sidedata.sidedata import SideDataContainer

    # Rescales if a stream changes size midway.
    image = scaler().reformat(frame, format="rgb24", width=width, height=height).to_ndarray()
    # Not `frame.side_data`: frame and container would keep each other alive until the garbage collector comes by, and in
    # a long clip frames would pile up by the hundred.
    matrix = SideDataContainer(frame).get("DISPLAYMATRIX")
    if matrix is None:
        return image
    # x' = a·x + c·y, y' = b·x + d·y, with the signs of a quarter turn or a mirror image
    a, b, _, c, d = np.frombuffer(matrix, np.int32)[:5].tolist()
    if abs(a) >= abs(b):
        flip_x, flip_y = a < 0, d < 0
    else:
        image, flip_x, flip_y = image.transpose(1, 0, 2), c < 0, b < 0
    return np.ascontiguousarray(image[:: -1 if flip_y else 1, :: -1 if flip_x else 1])


def scaler():
    """PyAV's converter of this thread. By default every frame makes its own, with threads of its own (up to PyAV 18)."""
    from av.video.reformatter import VideoReformatter

    if not hasattr(of_this_thread, "scaler"):
        of_this_thread.scaler = VideoReformatter()
    return of_this_thread.scaler


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
