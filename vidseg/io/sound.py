"""Sound beside a video: copied as it is, or encoded again where a container does not take it."""

from __future__ import annotations

import io
import math
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, cast

from vidseg.errors import InputError
from vidseg.io.codecs import VIDEO_FORMATS
from vidseg.io.decoding import packets, pictures_of, reason, tick_of
from vidseg.io.files import for_ffmpeg
from vidseg.io.timestamps import Clock

if TYPE_CHECKING:
    from av.audio.codeccontext import AudioCodecContext
    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer, OutputContainer
    from av.filter import Graph
    from av.packet import Packet

BIT_RATE = 96_000  # of each channel that is encoded
TRIAL = 1  # s of sound that are written to find out whether a container takes it
# Layouts of sound that only says how many channels it has; MP4 and MOV refuse it without
LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}


@dataclass(frozen=True, kw_only=True)
class SoundPlan:
    """How the sound of a file gets into a video.

    Attributes:
        path: the file. Its first sound stream is used.
        suffix: of the video.
        start: s, of the first frame in the file's clock: time 0 of the video.
        encoder: FFmpeg's name for it; None to copy the sound.
        layout: of the channels where it is encoded.
    """

    path: str
    suffix: str
    start: Fraction
    encoder: str | None = None
    layout: str = "stereo"

    @property
    def early(self) -> bool:
        """Whether a packet before time 0 is kept, unheard: MP4 and MOV can, Matroska and WebM cannot."""
        return self.suffix in (".mp4", ".mov")

    def works(self) -> bool:
        """Whether the first second of the sound can be written like this; it is written into memory."""
        import av
        from av.error import FFmpegError

        try:
            with ExitStack() as stack:
                source = open_sound(self.path, stack)
                if source is None:
                    return False
                container = stack.enter_context(av.open(io.BytesIO(), "w", format=VIDEO_FORMATS[self.suffix]))
                sound = SoundWriter(source, container, self)
                container.start_encoding()
                sound.write(self.start + TRIAL)
        except (FFmpegError, OSError, ValueError, RuntimeError):
            return False
        return True


def open_sound(path: str | os.PathLike[str], stack: ExitStack) -> AudioStream | None:
    """Open the first sound stream of a file until `stack` is left. None if it has none; InputError if it is damaged."""
    import av
    from av.error import FFmpegError

    try:
        container = stack.enter_context(av.open(for_ffmpeg(path)))
    except FFmpegError as error:
        raise InputError(f"{path}: the sound cannot be read ({reason(error)})") from error
    return container.streams.audio[0] if container.streams.audio else None


def plan_sound(source: AudioStream, suffix: str, start: Fraction) -> SoundPlan | None:
    """Find a way to write sound into a video that works, the best first. None if there is none.

    Args:
        source: the sound.
        suffix: of the video.
        start: s, of the first frame in the source's clock.
    """
    plan = SoundPlan(path=source.container.name, suffix=suffix, start=start)
    # FFmpeg can put uncompressed sound into MP4, but browsers and most players do not know it there
    plans = [] if suffix == ".mp4" and name_of(source).startswith("pcm_") else [plan]
    if source.codec_context is not None:  # else there is no decoder
        encoder = "libopus" if suffix == ".webm" else "aac"
        layouts = dict.fromkeys([layout_of(source), LAYOUTS.get(source.channels, "stereo"), "stereo"])
        plans += [replace(plan, encoder=encoder, layout=layout) for layout in layouts]
    return next((plan for plan in plans if plan.works()), None)


def name_of(source: AudioStream) -> str:
    """FFmpeg's name for the sound's codec."""
    return "its codec" if source.codec_context is None else source.codec_context.name


def layout_of(sound: AudioStream | AudioFrame) -> str:
    """The channel layout, with a name if it has none: 2 channels are stereo."""
    name, count = sound.layout.name, sound.layout.nb_channels
    return LAYOUTS.get(count, name) if name == f"{count} channels" else name


class SoundWriter:
    """Writes the packets of a sound stream, as far as the video has come.

    Args:
        source: the sound.
        container: the output, whose header has not been written.
        plan: how.
    """

    def __init__(self, source: AudioStream, container: OutputContainer, plan: SoundPlan):
        self._container, self._plan = container, plan
        self._pending: Packet | None = None  # is not due yet
        if plan.encoder is None:
            target = container.add_stream_from_template(source)
            if source.codec_context is not None:
                target.codec_context.layout = layout_of(source)
            self._packets = copied(source, plan)
        else:
            target = _add_encoder(container, plan, source.rate)
            self._packets = encoded(source, target, plan.start)
        self._target = target

    def write(self, until: Fraction) -> None:
        """Write the packets that begin before `until` (s, in the source's clock)."""
        while True:
            packet = self._pending = self._pending or next(self._packets, None)
            if packet is None or (packet.pts or 0) * packet.time_base >= until - self._plan.start:
                return
            self._pending = None
            packet.stream = self._target
            self._container.mux(packet)


def copied(source: AudioStream, plan: SoundPlan) -> Iterator[Packet]:
    """The packets of the sound in the video's clock, from time 0 on."""
    latest = -math.inf
    for packet in _read(source, plan.start):
        if packet.pts is None or packet.pts <= latest:
            continue
        latest = packet.pts
        # The packet that touches the start is needed to decode the next one cleanly
        earliest = plan.start - (packet.duration or 0) * packet.time_base if plan.early else plan.start
        if packet.pts * packet.time_base < earliest:
            continue
        packet.pts = packet.dts = packet.pts - round(plan.start / packet.time_base)
        yield packet


def encoded(source: AudioStream, target: AudioStream, start: Fraction) -> Iterator[Packet]:
    """What an encoder makes of the sound, in the video's clock.

    Args:
        source: the sound.
        target: has the encoder.
        start: s, of time 0 in the source's clock.
    """
    for frame in _fitted(_decoded(source, start), target.codec_context):
        yield from target.encode(frame)
    yield from target.encode(None)


def _add_encoder(container: OutputContainer, plan: SoundPlan, rate: int) -> AudioStream:
    """Add a stream with an encoder, at the sample rate nearest to the given one."""
    from av.codec import Codec

    assert plan.encoder is not None
    rates = Codec(plan.encoder, "w").audio_rates or [rate]
    nearest = min(rates, key=lambda known: abs(known - rate))
    target = cast("AudioStream", container.add_stream(plan.encoder, rate=nearest, layout=plan.layout))
    target.codec_context.bit_rate = BIT_RATE * target.layout.nb_channels
    return target


def _decoded(source: AudioStream, start: Fraction) -> Iterator[AudioFrame]:
    """Frames of the sound from `start` (s) on, with pts in samples from there, but for damaged packets."""
    from av.error import FFmpegError

    for packet in _read(source, start):
        with suppress(FFmpegError):
            for frame in source.decode(packet):
                if frame.pts is not None:
                    tick = frame.time_base or tick_of(source)
                    frame.pts, frame.time_base = (
                        round((frame.pts * tick - start) * frame.sample_rate),
                        Fraction(1, frame.sample_rate),
                    )
                    if frame.pts + frame.samples <= 0:
                        continue
                yield frame


def _fitted(frames: Iterable[AudioFrame], encoder: AudioCodecContext) -> Iterator[AudioFrame]:
    """Frames in the encoder's format, from time 0 on without a hole: FFmpeg fills holes with silence."""
    graph, kind, following = None, None, 0
    for frame in frames:
        new = frame.format.name, frame.layout.name, frame.sample_rate
        if graph is not None and kind != new:  # a filter keeps to one kind of frame
            for fitted in _through(graph, None):
                following += fitted.samples
                yield fitted
            graph = None
        if graph is None:
            graph, kind = _graph(frame, encoder, following), new
        for fitted in _through(graph, frame):
            following += fitted.samples
            yield fitted
    if graph is not None:
        yield from _through(graph, None)


def _through(graph: Graph, frame: AudioFrame | None) -> Iterator[AudioFrame]:
    """What comes out for a frame that goes in; for None, all that is left."""
    graph.push(frame)
    while True:
        try:
            yield cast("AudioFrame", graph.pull())
        except (BlockingIOError, EOFError):
            return


def _graph(frame: AudioFrame, encoder: AudioCodecContext, first: int) -> Graph:
    """Filters that make frames like this one what the encoder takes, the first of them at `first` (samples)."""
    from av.filter import Graph

    graph = Graph()
    source = graph.add_abuffer(
        sample_rate=frame.sample_rate,
        format=frame.format,
        layout=layout_of(frame),
        time_base=Fraction(1, frame.sample_rate),
    )
    # The rate comes first: `first_pts` counts in samples that come out of the filter
    resample = graph.add("aresample", f"{encoder.sample_rate}:async=1:first_pts={first}")
    wanted = f"sample_fmts={encoder.format.name}:channel_layouts={encoder.layout.name}"
    graph.link_nodes(source, resample, graph.add("aformat", wanted), graph.add("abuffersink")).configure()
    return graph


def _read(source: AudioStream, start: Fraction) -> Iterator[Packet]:
    """Packets of the sound from just before `start` (s) on, with times that go on as those of the pictures do."""
    from av.error import FFmpegError

    container = cast("InputContainer", source.container)
    pictures = pictures_of(container)
    clock = None if pictures is None else Clock(container, pictures)
    if clock is not None and pictures is not None and clock.may_restart:  # read from the beginning, as they are
        yield from clock.sound(packets(container, pictures, source), source)
        return
    if start > 1:
        with suppress(FFmpegError):  # then it is read from its beginning, which only takes longer
            container.seek(int((start - 1) / tick_of(source)), stream=source)
    yield from packets(container, source)
