"""How long the pictures of a file last, by its header or by its end, and whether it breaks off before that."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from vidseg.io.decoding import opened, packets, tick_of
from vidseg.io.timestamps import Clock

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

MATROSKA = "matroska,webm"
# Formats whose header has the end of the whole file in its own clock, and not its length
ENDS = (MATROSKA, "nut", "asf")
WALKED = 16 << 20  # bytes of a file that is read through once to know its length
MISSING = 0.5  # s that may lie between what a header announces and what is there


def length(container: InputContainer, stream: VideoStream, first_pts: int, path: str | None) -> float | None:
    """Seconds from the first picture to the end of the last one; None if not known.

    Args:
        container: the open source.
        stream: the video in it.
        first_pts: ticks, of its first frame.
        path: the file, to look at its end if its header knows only how long picture and sound last together. The
            container is left there. None: the source can be read only once.
    """
    start, tick, end = float(first_pts * tick_of(stream)), tick_of(stream), None
    if path is not None and Clock(container, stream).may_restart and os.path.getsize(path) <= WALKED:
        end = walked_end(path)
    if end is None:
        own = own_length(container, stream, first_pts)
        if own is not None or not container.duration:
            return own
        end = last_end(container, stream, first_pts) if path is not None else None
    whole = container.duration / 1e6 if container.duration else 0
    if container.format.name in ENDS and whole > start:
        whole -= start
    if end is None:
        return whole
    seen = float(end * tick) - start
    alone = len(container.streams) == 1 and container.format.name in (*ENDS, "flv")
    return max(seen, whole) if alone else seen  # its last picture may be held, of which the packet knows nothing


def own_length(container: InputContainer, stream: VideoStream, first_pts: int) -> float | None:
    """Seconds that a header gives to this very stream, from its first picture at `first_pts` (ticks); or None."""
    name = container.format.name
    if name == MATROSKA:
        return announced(stream, float(first_pts * tick_of(stream)))
    # FFmpeg gives the whole file's length to a stream that it has seen nothing of; so does ASF. In MPEG-PS it leaves
    # out what lies after the last timestamp
    if name in ("asf", "mpeg") or not (name.startswith(("mov", "avi")) or stream.start_time == first_pts):
        return None
    return float(stream.duration * tick_of(stream)) if stream.duration else None


def announced(stream: VideoStream, start: float) -> float | None:
    """Length in seconds that Matroska's tags give to this very stream, which begins at `start` (s); or None."""
    match = re.fullmatch(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)", stream.metadata.get("DURATION", ""))
    seconds = int(match[1]) * 3600 + int(match[2]) * 60 + float(match[3]) if match else 0
    # FFmpeg writes when the stream ends. mkvmerge writes how long it is, among other statistics, which FFmpeg copies
    tags = stream.container.metadata
    by_ffmpeg = any(value.startswith("Lavf") for key, value in tags.items() if key.lower() == "encoder")
    if seconds > start and (by_ffmpeg or "_STATISTICS_TAGS" not in stream.metadata):
        seconds -= start
    return seconds or None


def walked_end(path: str) -> int | None:
    """Ticks at which the last picture of a file ends, from all its packets; None if they have no times."""
    with opened(path) as (container, stream):
        clock = Clock(container, stream)
        for packet in packets(container, *clock.streams):
            if clock.is_picture(packet):
                clock.move(packet)
        return clock.end


def last_end(container: InputContainer, stream: VideoStream, first_pts: int) -> int | None:
    """Ticks at which the last picture ends, from the packets at the end of a file; None if they have no times."""
    from av.error import FFmpegError

    tick = tick_of(stream)
    usual = round(1 / (stream.average_rate * tick)) if stream.average_rate else 0
    assert container.duration is not None
    start = first_pts * tick
    stop = max(start, (container.start_time or 0) / 10**6) + container.duration / 10**6
    step = 1.0
    while True:  # some formats find nothing near the end
        target = max(float(start), float(stop) - step)
        try:
            container.seek(int(target / tick), stream=stream)
        except FFmpegError:
            return None
        found = [p.pts + (p.duration or usual) for p in packets(container, stream) if p.pts is not None]
        if found or target <= start:
            return max(found, default=None)
        step *= 8


def cut_short(path: str, stream: VideoStream, first_pts: int, end: int | None) -> bool:
    """Whether a file ends before what its header announces. Not all demuxers report it.

    Args:
        path: the file.
        stream: the video in it, read to its end.
        first_pts: ticks, of its first frame.
        end: ticks, of the end of its last packet.
    """
    name = stream.container.format.name
    if "mp4" in name and os.path.isfile(path):  # the header lists where every packet lies
        entries = stream.index_entries
        return len(entries) > 0 and entries[-1].pos + entries[-1].size > os.path.getsize(path)
    if name != MATROSKA or end is None:  # of others, the header's length may be that of the sound
        return False
    seconds = announced(stream, float(first_pts * tick_of(stream)))
    return bool(seconds and seconds - float((end - first_pts) * tick_of(stream)) > MISSING)
