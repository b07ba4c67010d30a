"""Opening, decoding and seeking through PyAV. `vidseg.io.picture` makes images of the frames that come out."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, cast

from vidseg.errors import InputError
from vidseg.io.deinterlacing import deinterlaced
from vidseg.io.files import for_ffmpeg
from vidseg.io.live import Source
from vidseg.io.timestamps import Clock

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.stream import Stream
    from av.video.codeccontext import VideoCodecContext
    from av.video.frame import VideoFrame
    from av.video.reformatter import VideoReformatter
    from av.video.stream import VideoStream

ADVICE = "give a video, an image or a folder of images"
NUMBERED = 2  # packets before a joint of which FFmpeg takes one for damaged: MPEG-TS numbers its packets
of_this_thread = threading.local()  # converters by use: two threads must not use one at once


@dataclass
class Damage:
    """What is wrong with a file, as far as it has been read.

    Attributes:
        found: whether a packet or the file's end is missing or cannot be decoded.
        resumed: whether frames could be read after it.
        end: ticks, at which the last of the packets read ends; None if they have no times.
    """

    found: bool = False
    resumed: bool = False
    end: int | None = None


@contextmanager
def opened(path: str, source: Source | None = None) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a file or a source while the block runs.

    Args:
        path: the file, or the source's name.
        source: where to read instead of the file at `path`.

    Yields:
        (container, stream): the open container and the video in it.

    Raises:
        InputError: if there is no video that can be read.
    """
    import av
    from av.error import ExitError, FFmpegError

    try:
        container = av.open(source.url, **source.how) if source else av.open(for_ffmpeg(path))
    except (FFmpegError, OSError, ValueError) as error:
        kind, advice = ("cannot be read", source.advice) if source else ("not a video that can be read", ADVICE)
        # Of a source that does not answer, FFmpeg says "immediate exit requested"
        why = "no answer" if isinstance(error, ExitError) else reason(error)
        raise InputError(f"{path}: {kind} ({why}); {advice}") from error
    with container:
        stream = pictures_of(container)
        if container.format.name == "tty" or (stream is None and not container.streams.audio):
            raise InputError(f"{path}: not a video; {ADVICE}")  # FFmpeg shows plain text as video (its "tty" format)
        if stream is None:
            raise InputError(f"{path}: sound without a picture; {ADVICE}")
        yield container, stream


def pictures_of(container: InputContainer) -> VideoStream | None:
    """The video of an open source; None if it has none. A song's cover is a video stream, but no video."""
    from av.stream import Disposition

    streams = [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
    # An animated AVIF has its first picture in a stream of its own, before the one with all of them
    return next((stream for stream in streams if stream.frames != 1), streams[0] if streams else None)


def decode(container: InputContainer, stream: VideoStream, damage: Damage) -> Iterator[VideoFrame]:
    """Decode PyAV frames in display order, without interlacing.

    Damage is noted in `damage`, not raised, and reading goes on after it.
    """
    return deinterlaced(decoded(container, stream, damage))


def decoded(container: InputContainer, stream: VideoStream, damage: Damage) -> Iterator[VideoFrame]:
    """Decode PyAV frames like `decode`, interlaced where they are stored so."""
    from av.error import FFmpegError

    clock, decoder = Clock(container, stream), decoder_of(stream)
    packets = container.demux(clock.streams)
    doubtful = 0  # packets from a damaged one on, which is none if a recording ends here
    while True:
        try:
            packet = next(packets, None)
        except FFmpegError:  # the file breaks off here: hand out what the decoder still holds
            damage.found = True
            packet = None
        joints = len(clock.joints)
        if packet is not None:
            if not clock.is_picture(packet):
                continue
            clock.move(packet)
        if len(clock.joints) > joints:
            doubtful = 0
        elif packet is not None and packet.is_corrupt and container.format.name != "mpegts":
            damage.found = True
            continue  # cut by the end of the file; it would give a half grey frame
        elif doubtful or (packet is not None and packet.is_corrupt):
            doubtful += 1
            damage.found |= doubtful > NUMBERED or packet is None
        if packet is not None and packet.pts is not None:
            end = packet.pts + (packet.duration or 0)
            damage.end = end if damage.end is None else max(damage.end, end)
        try:
            yield from decoder.decode(packet)
            if damage.found and packet is not None and packet.size and not packet.is_corrupt:
                damage.resumed = True
        except EOFError:
            return
        except FFmpegError:
            damage.found = True
        if packet is None:
            return


def decoder_of(stream: VideoStream) -> VideoCodecContext:
    """The stream's decoder. Of VP8 and VP9 with transparency, which FFmpeg's own decoders leave out, that of libvpx."""
    import av

    library = {"vp8": "libvpx", "vp9": "libvpx-vp9"}.get(stream.codec_context.codec.canonical_name)
    if library is None or stream.metadata.get("alpha_mode") != "1":
        return stream.codec_context
    return cast("VideoCodecContext", av.CodecContext.create(library, "r"))


def timed(
    frames: Iterator[VideoFrame], first_pts: int, step: int, first_number: int = 0
) -> Iterator[tuple[int, int, VideoFrame]]:
    """Number the frames, and give them pts that increase.

    Args:
        frames: PyAV's.
        first_pts: of the first frame, if it has none.
        step: ticks after the frame before, of a frame that has no pts or an earlier one.
        first_number: of the first frame, in its clip.

    Yields:
        (number, pts, frame).
    """
    pts = None
    for number, frame in enumerate(frames, first_number):
        if frame.pts is not None and (pts is None or frame.pts > pts):
            pts = frame.pts
        else:
            pts = first_pts if pts is None else pts + step
        yield number, pts, frame


def can_be_entered(container: InputContainer, stream: VideoStream) -> bool:
    """Whether packets lead to frames without decoding: one packet is one frame, and each has its timestamp.

    That is so in MP4/MOV and Matroska/WebM, except for VP8 with its hidden frames.
    """
    hidden_frames = "vp8" in (stream.codec_context.codec.canonical_name, stream.codec_context.name)
    return container.format.name.startswith(("mov", "matroska")) and not hidden_frames


def entry(path: str, first_pts: int, first: int, interlaced: bool = False) -> tuple[int, int | None, int] | None:
    """Find where to enter a clip to get its first frame with pts >= `first`.

    Packets are read without decoding them, and those with an earlier pts are counted: exact for any frame rate.

    Args:
        path: the file.
        first_pts: ticks at which the clip begins.
        first: ticks.
        interlaced: whether the key frame must lie before the frame, whose lines are woven with those of the frame
            before it.

    Returns:
        The frame's number, its pts (None if the clip ends before) and the pts of the key frame to seek to. None where
        that cannot be known: the clip must be decoded from its beginning, which is slower and as exact.
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
            # Not a later key frame, even if it is stored before: frames shown before it might be missing
            if packet.is_keyframe and packet.pts <= first - interlaced:
                key = packet.pts
            # B-frames are stored after a frame shown later; dts <= pts says when none can follow
            if wanted is not None and packet.dts is not None and packet.dts > wanted:
                break
        return None if key is None else (before, wanted, key)


def portion_before(
    path: str, first_pts: int, stop: int, room: int, interlaced: bool = False
) -> list[VideoFrame] | None:
    """Decode the frames right before `stop`, from a key frame on.

    Args:
        path: the file.
        first_pts: ticks at which the clip begins.
        stop: ticks.
        room: bytes that the decoded frames may take; the earliest are missing if the key frame lies further back.
        interlaced: whether to leave out the key frame itself, because the frame before it is missing here. The clip's
            first frame is never left out.

    Returns:
        PyAV frames in display order; None if the clip cannot be entered there.
    """
    with opened(path) as (container, stream):
        if not can_be_entered(container, stream):
            return None
        target, step = stop - 1, max(1, round(1 / tick_of(stream)))
        while True:  # some formats look for the key frame by decoding time, and find one that is shown too late
            container.seek(max(target, first_pts), stream=stream)
            frames: deque[VideoFrame] = deque()
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


def tick_of(stream: Stream) -> Fraction:
    """Seconds in one tick of the stream's pts."""
    assert stream.time_base is not None  # FFmpeg gives one to every stream that it opens
    return stream.time_base


def scaler(use: str = "") -> VideoReformatter:
    """PyAV's converter of this thread. By default every frame makes its own, with threads of its own (up to PyAV 18).

    Args:
        use: a name for conversions that get a converter to themselves, because it takes long to prepare.
    """
    from av.video.reformatter import VideoReformatter

    scalers = of_this_thread.__dict__
    if use not in scalers:
        scalers[use] = VideoReformatter()
    return scalers[use]


def packets(container: InputContainer, *streams: Stream) -> Iterator[Packet]:
    """Packets of the streams, up to the end or to the first damage."""
    from av.error import FFmpegError

    try:
        for packet in container.demux(streams):
            if packet.size:
                yield packet
    except FFmpegError:
        return


def reason(error: Exception) -> str:
    """What the system or FFmpeg says went wrong, without error numbers."""
    return (getattr(error, "strerror", None) or str(error)).lower()
