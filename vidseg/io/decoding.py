"""Below a clip: opening, decoding and seeking through PyAV. What comes out is shown by `vidseg.io.picture`."""

from __future__ import annotations

import os
import re
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from vidseg.errors import InputError
from vidseg.io.deinterlacing import deinterlaced
from vidseg.io.live import Source

ADVICE = "give a video, an image or a folder of images"
of_this_thread = threading.local()  # holds converters by use, which must not be used by two threads at once


@dataclass
class Damage:
    found: bool = False  # a packet or the file's end is missing or cannot be decoded
    resumed: bool = False  # and frames could be read after it


@contextmanager
def opened(path: str, source: Source | None = None) -> Iterator:
    """The open container and its video stream: (container, stream). InputError if there is none.

    source: where to read instead of the file at `path`.
    """
    import av

    try:
        container = av.open(source.url, **source.how) if source else av.open(path)
    except (av.FFmpegError, OSError, ValueError) as error:
        kind, advice = ("cannot be read", source.advice) if source else ("not a video that can be read", ADVICE)
        why = (
            "no answer" if isinstance(error, av.ExitError) else reason(error)
        )  # which would say "immediate exit requested"
        raise InputError(f"{path}: {kind} ({why}); {advice}") from error
    with container:
        # FFmpeg shows plain text as video (its "tty" format), and a song's cover is a video stream
        pictures = [s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic]
        if container.format.name == "tty" or not (pictures or container.streams.audio):
            raise InputError(f"{path}: not a video; {ADVICE}")
        if not pictures:
            raise InputError(f"{path}: sound without a picture; {ADVICE}")
        # An animated AVIF has its first picture in a stream of its own, before the one with all of them
        yield container, next((stream for stream in pictures if stream.frames != 1), pictures[0])


def decode(container, stream, damage: Damage) -> Iterator:
    """PyAV frames in display order, without interlacing. Damage is noted in `damage`, not raised, and reading goes on after it."""
    return deinterlaced(decoded(container, stream, damage))


def decoded(container, stream, damage: Damage) -> Iterator:
    """What `decode` gives, as it is stored."""
    import av

    packets, decoder = container.demux(stream), decoder_of(stream)
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
            yield from decoder.decode(packet)
            if damage.found and packet is not None and packet.size and not packet.is_corrupt:
                damage.resumed = True
        except EOFError:
            return
        except av.FFmpegError:
            damage.found = True
        if packet is None:
            return


def decoder_of(stream):
    """The stream's decoder; for VP8 and VP9 with transparency, which FFmpeg's own decoders leave out, that of libvpx."""
    import av

    library = {"vp8": "libvpx", "vp9": "libvpx-vp9"}.get(stream.codec_context.codec.canonical_name)
    if library is None or stream.metadata.get("alpha_mode") != "1":
        return stream.codec_context
    return av.CodecContext.create(library, "r")


def timed(frames: Iterator, first_pts: int, step: int, number: int = 0) -> Iterator:
    """(number, pts, frame) of each frame, with pts that increase: a frame without one, or that goes back, comes `step` ticks later.

    number: of the first one, in its clip.
    """
    pts = None
    for number, frame in enumerate(frames, number):
        if frame.pts is not None and (pts is None or frame.pts > pts):
            pts = frame.pts
        else:
            pts = first_pts if pts is None else pts + step
        yield number, pts, frame


def can_be_entered(container, stream) -> bool:
    """Whether packets lead to frames without decoding: one packet is one frame, and each has its timestamp.

    So it is in MP4/MOV and Matroska/WebM, but for VP8 with its hidden frames.
    """
    hidden_frames = "vp8" in (stream.codec_context.codec.canonical_name, stream.codec_context.name)
    return container.format.name.startswith(("mov", "matroska")) and not hidden_frames


def entry(path: str, first_pts: int, first: int, interlaced: bool = False) -> tuple[int, int | None, int] | None:
    """Where to enter a clip that begins at `first_pts` to get the first frame with pts >= `first` (ticks), without decoding.

    Gives the frame's number, its pts (None if the clip ends before) and the pts of the key
    frame to seek to. Packets are read without decoding them, and those with an earlier pts are counted: exact
    for any frame rate. None where that cannot be done: the clip is then decoded from its beginning, which is slower
    and as exact.

    interlaced: the key frame must lie before the frame, whose lines are woven with the help of the frame before it.
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
            if packet.is_keyframe and packet.pts <= first - interlaced:
                key = packet.pts
            # B-frames are stored after a frame shown later; dts <= pts says when none can follow
            if wanted is not None and packet.dts is not None and packet.dts > wanted:
                break
        return None if key is None else (before, wanted, key)


def portion_before(path: str, first_pts: int, stop: int, room: int, interlaced: bool = False) -> list | None:
    """The last frames with pts < `stop` (ticks) of a clip that begins at `first_pts`: PyAV frames in display order, from a key frame on.

    They take `room` bytes at most as they are decoded: where the key frame lies further back, the earliest are
    missing. None if the clip cannot be entered there.

    interlaced: the key frame itself is left out, for the frame before it is missing here. (But for the clip's first.)
    """
    with opened(path) as (container, stream):
        if not can_be_entered(container, stream):
            return None
        target, step = stop - 1, max(1, round(1 / stream.time_base))
        while True:  # some formats look for the key frame by decoding time, and so find one that is shown too late
            container.seek(max(target, first_pts), stream=stream)
            frames: deque = deque()
            size, entered = 0, False
            for frame in decode(container, stream, Damage()):
                if frame.pts is None:
                    return None
                if frame.pts >= stop:
                    break
                if not entered:  # what comes before the key frame may lean on what is missing
                    entered = frame.key_frame
                    if not entered or (interlaced and frame.pts > first_pts):
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
    if "mp4" in stream.container.format.name and os.path.isfile(path):  # the header lists where every packet lies
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


def scaler(use: str = ""):
    """PyAV's converter of this thread. By default every frame makes its own, with threads of its own (up to PyAV 18).

    use: a name for conversions that get a converter to themselves, for it takes long to prepare.
    """
    from av.video.reformatter import VideoReformatter

    scalers = of_this_thread.__dict__
    if use not in scalers:
        scalers[use] = VideoReformatter()
    return scalers[use]


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
