"""Times as people write them, and times of files whose clock begins anew."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vidseg.errors import InputError
from vidseg.io.live import LEAP

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.stream import Stream
    from av.video.stream import VideoStream

JOINED = ("mpegts", "mpeg", "flv", "hls", "rtsp", "rtp", "sdp")  # formats in which a clock may begin anew
LEAPING = ("mpegts", "mpeg", "hls")  # those in which a long gap means that it does, and not that nothing happened
JITTER = 0.1  # s by which timestamps may go back without meaning that
WAITING = 500  # sound packets that wait at most until it is known which recording they belong to


def parse_time(text: str) -> float:
    """Seconds from "90", "1:30" or "00:01:30.5". InputError for anything else."""
    match = re.fullmatch(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d*)?|\.\d+)", text.strip(), re.ASCII)
    hours, minutes, seconds = (float(group or 0) for group in match.groups()) if match else (0, 0, 0)
    if not match or (match[2] and seconds >= 60) or (match[1] and minutes >= 60):
        raise InputError(f"{text!r} is not a time; write seconds (90), minutes (1:30) or hours (00:01:30.5)")
    return hours * 3600 + minutes * 60 + seconds


@dataclass(frozen=True)
class Joint:
    """Where another recording begins in a file.

    Attributes:
        position: bytes, of its first picture packet.
        offset: ticks of the pictures' time base that are added to its timestamps.
    """

    position: int
    offset: int


class Clock:
    """Lets time go on where a file's clock begins anew, as in recordings that were joined: MPEG-TS and the like.

    It is given the packets of one reading, in the file's order, and moves their timestamps. The pictures of the next
    recording follow the last one's without a gap, and its sound is moved as far as they are. The first recording keeps
    its times, and so does every file of a format that has one clock.

    Args:
        container: the open source.
        video: its pictures.

    Attributes:
        may_restart: whether the format lets the clock begin anew. If not, the clock moves nothing.
        joints: the recordings found so far; the first one is not moved.
        end: ticks, at which the last of the pictures so far ends, moved; None if they have no times.
    """

    def __init__(self, container: InputContainer, video: VideoStream):
        names = container.format.name.split(",")
        self.may_restart = any(name in JOINED for name in names)
        self.joints = [Joint(-1, 0)]
        self.end: int | None = None
        self._leaping = any(name in LEAPING for name in names)
        self._video = video
        assert video.time_base is not None  # FFmpeg gives one to every stream that it opens
        self.tick = video.time_base
        self._jitter, self._leap = round(JITTER / self.tick), round(LEAP / self.tick)
        self._sound = next(iter(container.streams.audio), None)
        self._last: int | None = None  # ticks, dts of the latest picture packet, before it was moved
        self._step = 0  # ticks from one picture packet to the next
        self._lag = 0  # ticks by which the latest one's pts is after its dts
        self._heard: tuple[float, float] | None = None  # s, first and latest time of sound without a gap

    @property
    def streams(self) -> list[Stream]:
        """What has to be demuxed to move pictures: without sound, a long gap between them tells nothing."""
        return [self._video, self._sound] if self._leaping and self._sound is not None else [self._video]

    def is_picture(self, packet: Packet) -> bool:
        """Whether a packet is of the pictures; if not, it has been heard, and is of no more use to them."""
        if packet.stream.index == self._video.index:
            return True
        if packet.dts is not None:
            time = float(packet.dts * packet.time_base)
            first, last = self._heard or (time, time)
            self._heard = (first if -JITTER <= time - last <= LEAP else time), time
        return False

    def move(self, packet: Packet) -> None:
        """Move the timestamps of a picture packet, and notice whether another recording begins with it."""
        if not self.may_restart:
            return
        if packet.dts is not None:
            if self._last is not None and self._begins_anew(packet.dts):
                offset = self._next_offset(packet, packet.dts)
                self.joints.append(Joint(-1 if packet.pos is None else packet.pos, offset))
            elif self._last is not None and packet.dts > self._last:
                self._step = packet.dts - self._last
            self._last = packet.dts
            # At a joint FFmpeg may give the last packet a pts that it takes from the next recording
            if packet.pts is not None and not 0 <= packet.pts - packet.dts <= self._leap:
                packet.pts = packet.dts + self._lag
            self._lag = self._lag if packet.pts is None else packet.pts - packet.dts
        shift(packet, self.joints[-1].offset)
        if packet.pts is not None:
            end = packet.pts + (packet.duration or self._step)
            self.end = end if self.end is None else max(self.end, end)

    def sound(self, packets: Iterable[Packet], stream: Stream) -> Iterator[Packet]:
        """Move the timestamps of a sound as those of the pictures are moved.

        Args:
            packets: of the pictures and of the sound, in the file's order.
            stream: the sound.

        Yields:
            The packets of the sound.
        """
        sound = SoundTimes(self)
        waiting: deque[Packet] = deque()
        for packet in packets:
            seen = -1  # bytes up to which it is known where recordings begin
            if packet.stream.index == stream.index:
                waiting.append(packet)
            if self.is_picture(packet):
                self.move(packet)
                seen = packet.pos or 0
            while waiting:
                known = seen > (waiting[0].pos or -1) or len(waiting) > WAITING
                if not sound.place(waiting[0], known):
                    break
                yield waiting.popleft()
        for packet in waiting:
            sound.place(packet, known=True)
            yield packet

    def _begins_anew(self, dts: int) -> bool:
        """Whether a picture packet's dts does not follow the last one's."""
        assert self._last is not None
        if dts < self._last - self._jitter:
            return True
        if dts > self._last + self._step + self._jitter and self._fitting(dts) is not None:
            return True
        # Pictures may come slowly all along
        if not (self._leaping and self._step) or dts - self._last <= max(self._leap, 10 * self._step):
            return False
        # A picture may be held for long; then sound goes on meanwhile
        first, last = self._heard or (0.0, 0.0)
        held = first <= self._last * self.tick + LEAP and last >= dts * self.tick - LEAP
        return self._heard is None or not held

    def _next_offset(self, packet: Packet, dts: int) -> int:
        """Offset with which a packet of that dts follows the pictures before it."""
        fitting = self._fitting(dts)
        if fitting is not None:
            return fitting
        if packet.is_keyframe and packet.pts is not None and self.end is not None:
            return self.end - packet.pts
        return self._due - dts

    @property
    def _due(self) -> int:
        """Ticks, moved, at which the next picture packet is due."""
        assert self._last is not None
        return self._last + self._step + self.joints[-1].offset

    def _fitting(self, dts: int) -> int | None:
        """An earlier offset with which that dts is due: the packets since then had wrong timestamps."""
        offsets = [joint.offset for joint in self.joints[-9:-1]]
        return next((offset for offset in offsets if abs(dts + offset - self._due) <= self._jitter), None)


class SoundTimes:
    """Says by how much sound packets are moved: as the pictures of the same recording.

    Sound and picture of a recording do not begin at the same byte. Near a joint, sound belongs to the recording whose
    offset lets it go on best.

    Args:
        clock: of the pictures.
    """

    def __init__(self, clock: Clock):
        self._clock = clock
        self._number = 0  # of the recording, in clock.joints
        self._due: float | None = None  # s, end of the latest packet, moved

    def place(self, packet: Packet, known: bool) -> bool:
        """Move a packet, or leave it until more is known of the pictures.

        Args:
            packet: the next one.
            known: whether the pictures behind it in the file have been seen.

        Returns:
            Whether it is done.
        """
        if packet.pts is None:
            return True
        joints, tick = self._clock.joints, self._clock.tick
        time, position = float(packet.pts * packet.time_base), packet.pos or -1
        while self._number + 1 < len(joints) and 0 <= joints[self._number + 1].position < position:
            self._number += 1
        if self._due is not None:
            gaps = {n: time + float(joints[n].offset * tick) - self._due for n in range(self._number, len(joints))}
            best = min(gaps, key=lambda n: abs(gaps[n]))
            if not known and not -JITTER <= gaps[best] <= LEAP:
                return False
            self._number = best
        shift(packet, round(joints[self._number].offset * tick / packet.time_base))
        self._due = float((packet.pts + (packet.duration or 0)) * packet.time_base)
        return True


def shift(packet: Packet, ticks: int) -> None:
    """Add ticks to the timestamps of a packet."""
    if ticks and packet.pts is not None:
        packet.pts += ticks
    if ticks and packet.dts is not None:
        packet.dts += ticks
