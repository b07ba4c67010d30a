"""Sound that is copied beside a video, without encoding it again."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from fractions import Fraction
from typing import TYPE_CHECKING, cast

from vidseg.errors import InputError
from vidseg.io.decoding import packets, pictures_of, reason, tick_of
from vidseg.io.files import for_ffmpeg
from vidseg.io.timestamps import Clock

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet


def open_sound(path: str | os.PathLike[str], stack: ExitStack) -> AudioStream | None:
    """Open the first sound stream of a file until `stack` is left. None if it has none; InputError if it is damaged."""
    import av
    from av.error import FFmpegError

    try:
        container = stack.enter_context(av.open(for_ffmpeg(path)))
    except FFmpegError as error:
        raise InputError(f"{path}: the sound cannot be read ({reason(error)})") from error
    return container.streams.audio[0] if container.streams.audio else None


class SoundCopy:
    """Copies the packets of a sound stream, as far as the video has come.

    Args:
        source: the sound.
        container: the open output.
        target: its sound stream.
        early: whether the container can hold a packet before time 0, where it is not played: MP4 and MOV can, Matroska
            and WebM cannot.
    """

    def __init__(self, source: AudioStream, container: OutputContainer, target: AudioStream, early: bool):
        self._source, self._container, self._target, self._early = source, container, target, early
        self._packets: Iterator[Packet] | None = None
        self._pending: Packet | None = None  # was read and is not due yet
        self._last = -math.inf  # pts of the latest packet written

    def copy(self, start: Fraction, until: Fraction) -> None:
        """Write the packets that begin before `until`.

        Args:
            start: s, of the first video frame in the source's clock: time 0 of the output.
            until: s, in the source's clock.
        """
        if self._packets is None:
            self._packets = self._read(start)
        while True:
            packet = self._pending = self._pending or next(self._packets, None)
            if packet is None:
                return
            time = start if packet.pts is None else packet.pts * packet.time_base
            if time >= until:
                return
            self._pending = None
            # The packet that touches the start is needed to decode the next one cleanly
            earliest = start - (packet.duration or 0) * packet.time_base if self._early else start
            if packet.pts is None or time < earliest or packet.pts <= self._last:
                continue
            self._last = packet.pts
            packet.pts = packet.dts = packet.pts - round(start / packet.time_base)
            packet.stream = self._target
            self._container.mux(packet)

    def _read(self, start: Fraction) -> Iterator[Packet]:
        """Sound packets from just before `start` (s) on, with times that go on as those of the pictures do."""
        from av.error import FFmpegError

        container, stream = cast("InputContainer", self._source.container), self._source
        pictures = pictures_of(container)
        clock = None if pictures is None else Clock(container, pictures)
        if clock is not None and pictures is not None and clock.may_restart:  # read from the beginning, as they are
            yield from clock.sound(packets(container, pictures, stream), stream)
            return
        if start > 1:
            with suppress(FFmpegError):  # then it is read from its beginning, which only takes longer
                container.seek(int((start - 1) / tick_of(stream)), stream=stream)
        yield from packets(container, stream)
