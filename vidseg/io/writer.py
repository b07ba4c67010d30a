"""Videos written through PyAV, with the source's timing and sound."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, cast

from vidseg.errors import OutputError
from vidseg.io.codecs import VIDEO_FORMATS, WITH_ALPHA, Codec, codec_for
from vidseg.io.decoding import reason, scaler
from vidseg.io.files import atomic_output, check_writable, for_ffmpeg
from vidseg.io.reader import ClipInfo
from vidseg.io.scheduling import usual_scheduling
from vidseg.io.sound import SoundWriter, name_of, open_sound, plan_sound

if TYPE_CHECKING:
    import numpy as np
    from av.container import OutputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

HELD = 1.5  # times the gap before it, from which on a last frame counts as held


def check_video_output(
    path: str | os.PathLike[str], overwrite: bool = False, source: str | os.PathLike[str] | None = None
) -> Path:
    """Check like `check_writable`, and that the suffix is one of VIDEO_FORMATS."""
    path = check_writable(path, overwrite, source)
    if path.suffix.lower() not in VIDEO_FORMATS:
        raise OutputError(f"{path}: videos are written as {' '.join(VIDEO_FORMATS)}; choose one of these names")
    return path


@contextmanager
def writing_errors(path: Path) -> Iterator[None]:
    """Turn what FFmpeg and the file system raise in this block into an OutputError."""
    from av.error import FFmpegError

    try:
        yield
    except (FFmpegError, OSError) as error:
        raise OutputError(f"{path} cannot be written: {reason(error)}; check space and permissions") from error


class VideoWriter:
    """Writes frames with their source's timing, and copies its sound, or encodes it again if the file cannot hold it.

        with VideoWriter("out.mp4", clip.info, audio_from=clip.path) as writer:
            for frame in clip.frames(start=2):
                writer.write(frame.image, frame.pts, frame.duration)

    The first frame written is at time 0 of the output, and pictures and sound are shifted alike; sound before the first
    frame and after the end of the last is left out. The file appears under its name when it is complete; if the `with`
    block raises, nothing is left behind.

    Args:
        path: .mp4, .mkv, .mov or .webm; an existing file is replaced (ask `check_writable` first).
        info: of the clip the frames come from, in the size of the frames.
        audio_from: file whose first sound stream is taken, or None. Its clock is the frames' clock.
        codec: how to encode; None: H.264, VP9 in .webm.
        crf: its quality, the lower the better; None: one that looks like the source.

    Attributes:
        path: the file.
        note: None, or one line that says why the sound was left out.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        info: ClipInfo,
        audio_from: str | os.PathLike[str] | None = None,
        codec: Codec | None = None,
        crf: int | None = None,
    ):
        import av

        self.path = check_video_output(path, overwrite=True)
        self.note: str | None = None
        self._suffix = self.path.suffix.lower()
        self._codec = codec or codec_for(self._suffix)
        self._crf = self._codec.crf if crf is None else crf
        self._info = info
        self._first: int | None = None  # pts of the first frame
        self._waiting: VideoFrame | None = None  # the latest frame, which may be the last
        self._gap = 0  # ticks from the frame before to the latest one
        self._duration: Fraction = 1 / info.frame_rate  # s, of the latest frame
        self._sound: SoundWriter | None = None
        # With its index in front, players can start before the end has arrived
        options = {"movflags": "+faststart"} if self._suffix in (".mp4", ".mov") else {}
        with writing_errors(self.path), ExitStack() as stack:
            temporary = stack.enter_context(atomic_output(self.path))
            self._source = open_sound(audio_from, stack) if audio_from is not None else None
            self._container = av.open(for_ffmpeg(temporary), "w", format=VIDEO_FORMATS[self._suffix], options=options)
            stack.callback(self._container.close)
            self._video = self._add_video(self._container)
            self._stack = stack.pop_all()
        self._open = True

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self._stack.__exit__(kind, error, trace)  # closes, and removes the temporary file

    def write(self, image: np.ndarray, pts: int, duration: float | None = None) -> None:
        """Add one frame.

        Args:
            image: H×W×3 uint8 RGB, or H×W×4 with straight alpha for a codec that keeps it. Where colour is stored at
                half size, an odd side is padded by repeating its last row or column.
            pts: ticks of info.time_base, increasing.
            duration: s that the frame is shown if it is the last one; None: as long as others.
        """
        import av
        import cv2
        import numpy as np
        from av.video.reformatter import Colorspace

        below, right = self._video.height - image.shape[0], self._video.width - image.shape[1]
        if below or right:
            image = cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_REPLICATE)
        alpha = image.shape[2] == 4
        # Lends the array's memory, and does not copy it: the conversion is done before this returns
        given = av.VideoFrame.from_numpy_buffer(np.ascontiguousarray(image), format="rgba" if alpha else "rgb24")
        # With several threads the converter spoils a few samples of alpha and of 10 bits, unless the width is a
        # multiple of 16
        threads = 1 if alpha else 0
        frame = scaler().reformat(given, format=self._codec.pixels, dst_colorspace=Colorspace.ITU709, threads=threads)
        with writing_errors(self.path):
            if self._first is None:
                self._first = pts
                self._start(pts * self._info.time_base)
            frame.pts, frame.time_base = pts - self._first, self._info.time_base
            if self._waiting is not None:
                self._gap = frame.pts - (self._waiting.pts or 0)
                self._mux(self._video.encode(self._waiting), pts * self._info.time_base)
            self._waiting = frame
            self._duration = 1 / self._info.frame_rate if duration is None else Fraction(duration)

    def close(self) -> None:
        """Finish the file and give it its name. OutputError if no frame was written."""
        if not self._open:
            return
        self._open = False
        with writing_errors(self.path), self._stack:  # leaving the stack closes the file and renames it, or removes it
            if self._first is None or self._waiting is None:
                raise OutputError(f"{self.path}: there was no frame to write")
            self._finish(self._waiting, self._first)

    def _finish(self, last: VideoFrame, first: int) -> None:
        """Encode the last frame, and write what is left."""
        from av.video.frame import PictureType

        if self._duration > HELD * self._gap * self._info.time_base:
            # A B-frame, shown before, would be stored after it, and MP4 takes the duration of what is stored last
            last.pict_type = PictureType.I
        packets = self._video.encode(last) + self._video.encode(None)
        final = max(packets, key=lambda packet: packet.pts or 0, default=None)
        if final is not None:
            final.duration = round(self._duration / final.time_base)
        self._mux(packets, (first + (last.pts or 0)) * self._info.time_base + self._duration)

    def _start(self, start: Fraction) -> None:
        """Write the header, for a video whose first frame is at `start` (s), and decide about the sound before."""
        if self._source is not None:
            plan = plan_sound(self._source, self._suffix, start)
            if plan is not None:
                self._sound = SoundWriter(self._source, self._container, plan)
            else:
                other = ".mov" if self._suffix == ".mkv" or self._codec is WITH_ALPHA[".webm"] else ".mkv"
                self._leave_out_sound(f"{name_of(self._source)} does not fit into {self._suffix}; try {other}")
        self._container.start_encoding()

    def _mux(self, pictures: list[Packet], until: Fraction) -> None:
        """Write encoded pictures, and the sound up to `until` (s, in the source's clock)."""
        for packet in pictures:
            with self._without_sound_on_error(until):
                self._container.mux(packet)
        if self._sound is not None:
            with self._without_sound_on_error(until):
                self._sound.write(until)

    @contextmanager
    def _without_sound_on_error(self, until: Fraction) -> Iterator[None]:
        """Leave out the rest of the sound if it cannot be written, rather than lose the picture.

        FFmpeg sorts packets before it writes them, so one of the sound may fail while a picture is handed over.
        """
        from av.error import FFmpegError

        try:
            yield
        except OSError:  # a full disk
            raise
        except (FFmpegError, ValueError, RuntimeError) as error:
            if len(self._container.streams) == 1:
                raise
            self._leave_out_sound(f"after {float(until):.1f} s it cannot be written ({reason(error)})")

    def _leave_out_sound(self, why: str) -> None:
        self._sound = None
        self.note = f"{self.path} is without sound: {why}"

    def _add_video(self, container: OutputContainer) -> VideoStream:
        """Add a video stream with an open encoder. OutputError if it does not take frames of this size."""
        from av.error import FFmpegError

        codec, info = self._codec, self._info
        if codec.encoder == "libsvtav1":  # it would list its settings on stderr
            os.environ.setdefault("SVT_LOG", "1")
        quality = {} if self._crf is None else {"crf": str(self._crf)}
        stream = container.add_stream(codec.encoder, rate=info.frame_rate, options={**dict(codec.options), **quality})
        video = cast("VideoStream", stream)
        step = 2 if "420" in codec.pixels else 1  # colour at half size: sides must be even
        width, height = (-(-side // step) * step for side in (info.width, info.height))
        video.width, video.height = width, height
        video.pix_fmt = codec.pixels
        context = video.codec_context
        context.time_base = info.time_base
        # A nominal rate, for the encoder alone: times come from timestamps. libvpx refuses frames shorter than a tick
        context.framerate = Fraction(min(info.frame_rate, 1 / info.time_base, codec.fastest or math.inf))
        if codec.tag and self._suffix in (".mp4", ".mov"):
            context.codec_tag = codec.tag
        context.sample_aspect_ratio = info.pixel_aspect
        # Say which colours these are: players guess from the size otherwise (1 = BT.709, limited range)
        context.colorspace = context.color_primaries = context.color_trc = context.color_range = 1
        try:
            with usual_scheduling():
                context.open()
        except FFmpegError as error:
            raise OutputError(
                f"{self.path}: {codec.encoder} does not take {width}×{height} pixels ({reason(error)}); "
                "choose another size or codec"
            ) from error
        return video
