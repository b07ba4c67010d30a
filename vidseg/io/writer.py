"""Video out, through PyAV, with the source's timing and sound."""

from __future__ import annotations

import math
import os
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from vidseg.errors import InputError, OutputError
from vidseg.io.clip import ClipInfo
from vidseg.io.codecs import VIDEO_FORMATS, WITH_ALPHA, Codec, codec_for
from vidseg.io.decoding import packets, reason, scaler
from vidseg.io.files import atomic_output, check_writable
from vidseg.io.scheduling import usual_scheduling

if TYPE_CHECKING:
    import numpy as np


def check_video_output(
    path: str | os.PathLike, overwrite: bool = False, source: str | os.PathLike | None = None
) -> Path:
    """`check_writable` for a video: also raises OutputError for a name whose suffix is none of VIDEO_FORMATS."""
    path = check_writable(path, overwrite, source)
    if path.suffix.lower() not in VIDEO_FORMATS:
        raise OutputError(f"{path}: videos are written as {' '.join(VIDEO_FORMATS)}; choose one of these names")
    return path


@contextmanager
def writing_errors(path: Path):
    """Turn what FFmpeg and the file system raise in this block into an OutputError."""
    import av

    try:
        yield
    except (av.FFmpegError, OSError) as error:
        raise OutputError(f"{path} cannot be written: {reason(error)}; check space and permissions") from error


class VideoWriter:
    """Writes frames with their source's timing, and copies its sound without re-encoding.

        with VideoWriter("out.mp4", clip.info, audio_from=clip.path) as writer:
            for frame in clip.frames(start=2):
                writer.write(frame.image, frame.pts)

    The first frame written is at time 0 of the output, and pictures and sound are shifted alike;
    sound before the first and after the last frame is left out. The file appears under its name
    when it is complete; if the `with` block raises, nothing is left behind.

    path: .mp4, .mkv, .mov or .webm; an existing file is replaced (ask `check_writable` first).
    info: of the clip the frames come from; its size is that of the frames.
    audio_from: file whose first sound stream is copied, or None. Its clock is the frames' clock.
    codec: how to encode; None: H.264, VP9 in .webm.
    crf: its quality, the lower the better; None: one that looks like the source.
    note: None, or one line that says why the sound was left out.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        info: ClipInfo,
        audio_from: str | os.PathLike | None = None,
        codec: Codec | None = None,
        crf: int | None = None,
    ):
        self.path = check_video_output(path, overwrite=True)
        self.note: str | None = None
        self._codec = codec or codec_for(self.path.suffix.lower())
        self._crf = self._codec.crf if crf is None else crf
        self._info, self._first, self._last = info, None, None
        with writing_errors(self.path), ExitStack() as stack:
            temporary = stack.enter_context(atomic_output(self.path))
            source = self._open_audio(audio_from, stack)
            self._container, self._video, self._audio = self._start(temporary, source)
            stack.callback(self._container.close)
            self._audio_packets = self._read_audio(source)
            self._stack = stack.pop_all()
        self._pending = None  # a sound packet that was read and is not due yet
        self._audio_pts = -math.inf  # of the latest sound packet written
        self._open = True

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, kind, error, trace) -> None:
        if kind is None:
            self.close()
        else:
            self._stack.__exit__(kind, error, trace)  # closes, and removes the temporary file

    def write(self, image: np.ndarray, pts: int) -> None:
        """Add one frame.

        image: H×W×3 uint8 RGB, or H×W×4 with straight alpha for a codec that keeps it. Where colour is stored at half
            size, an odd side is padded by repeating its last row or column.
        pts: ticks of info.time_base, increasing.
        """
        import av
        import cv2
        import numpy as np

        below, right = self._video.height - image.shape[0], self._video.width - image.shape[1]
        if below or right:
            image = cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_REPLICATE)
        # Lends the array's memory, and does not copy it: the conversion is done before this returns
        given = av.VideoFrame.from_numpy_buffer(
            np.ascontiguousarray(image), format="rgba" if image.shape[2] == 4 else "rgb24"
        )
        # With several threads the converter spoils a few samples of alpha and of 10 bits, where widths are no multiple of 16
        threads = 1 if image.shape[2] == 4 else 0
        frame = scaler().reformat(given, format=self._codec.pixels, dst_colorspace="ITU709", threads=threads)
        self._first = pts if self._first is None else self._first
        self._last = pts
        frame.pts, frame.time_base = pts - self._first, self._info.time_base
        with writing_errors(self.path):
            self._container.mux(self._video.encode(frame))
            self._copy_audio(pts)

    def close(self) -> None:
        """Finish the file and give it its name. OutputError if no frame was written."""
        if not self._open:
            return
        self._open = False
        with writing_errors(self.path), self._stack:  # leaving the stack closes the file and renames it, or removes it
            if self._first is None:
                raise OutputError(f"{self.path}: there was no frame to write")
            self._container.mux(self._video.encode(None))
            self._copy_audio(self._last + 1 / (self._info.frame_rate * self._info.time_base))

    def _start(self, temporary: Path, source):
        """Container, video stream and sound stream (None without source), with the header written."""
        import av

        suffix = self.path.suffix.lower()
        options = (
            {"movflags": "+faststart"} if suffix in (".mp4", ".mov") else {}
        )  # players can start before the end arrived
        container = av.open(str(temporary), "w", format=VIDEO_FORMATS[suffix], options=options)
        try:
            codec = self._codec
            if codec.encoder == "libsvtav1":  # it would tell its settings on stderr
                os.environ.setdefault("SVT_LOG", "1")
            quality = {} if self._crf is None else {"crf": str(self._crf)}
            video = container.add_stream(
                codec.encoder, rate=self._info.frame_rate, options={**dict(codec.options), **quality}
            )
            step = 2 if "420" in codec.pixels else 1  # colour at half size: sides must be even
            width, height = (-(-side // step) * step for side in (self._info.width, self._info.height))
            video.width, video.height = width, height
            video.pix_fmt = codec.pixels
            context = video.codec_context
            context.time_base = self._info.time_base
            if codec.tag and suffix in (".mp4", ".mov"):
                context.codec_tag = codec.tag
            context.sample_aspect_ratio = self._info.pixel_aspect
            # Say which colours these are: players guess from the size otherwise (1 = BT.709, limited range)
            context.colorspace = context.color_primaries = context.color_trc = context.color_range = 1
            try:
                with usual_scheduling():
                    context.open()
            except av.FFmpegError as error:
                container.close()
                raise OutputError(
                    f"{self.path}: {codec.encoder} does not take {width}×{height} pixels ({reason(error)}); choose another size or codec"
                ) from error
            audio = container.add_stream_from_template(source) if source is not None else None
            container.start_encoding()
        except (av.FFmpegError, ValueError):
            container.close()
            if source is None:
                raise
            other = ".mov" if suffix == ".mkv" or self._codec is WITH_ALPHA[".webm"] else ".mkv"
            self.note = (
                f"{self.path} is without sound: {source.codec_context.name} does not fit into {suffix}; try {other}"
            )
            return self._start(temporary, None)
        return container, video, audio

    def _open_audio(self, path, stack: ExitStack):
        """First sound stream of the file, or None."""
        import av

        if path is None:
            return None
        try:
            container = stack.enter_context(av.open(os.fspath(path)))
        except av.FFmpegError as error:
            raise InputError(f"{path}: the sound cannot be read ({reason(error)})") from error
        return container.streams.audio[0] if container.streams.audio else None

    def _read_audio(self, source):
        """Sound packets from just before the first frame on; runs only when that frame is known."""
        import av

        start = self._first * self._info.time_base
        if start > 1:
            with suppress(av.FFmpegError):  # then it is read from its beginning, which only takes longer
                source.container.seek(int((start - 1) / source.time_base), stream=source)
        yield from packets(source.container, source)

    def _copy_audio(self, until) -> None:
        """Mux the sound packets that begin before `until` (ticks of the video, in the source's clock)."""
        if self._audio is None or self._first is None:
            return
        tick = self._info.time_base
        start, until = self._first * tick, until * tick
        while True:
            packet = self._pending or next(self._audio_packets, None)
            self._pending = packet
            if packet is None:
                return
            time = packet.pts * packet.time_base if packet.pts is not None else start
            if time >= until:
                return
            self._pending = None
            # The packet that touches the start is needed to decode the next one cleanly. MP4 and MOV
            # can hold it before time 0, where it is not played; Matroska and WebM cannot.
            earliest = (
                start
                if self.path.suffix.lower() in (".mkv", ".webm")
                else start - (packet.duration or 0) * packet.time_base
            )
            if packet.pts is None or time < earliest or packet.pts <= self._audio_pts:
                continue
            self._audio_pts = packet.pts
            packet.pts = packet.dts = packet.pts - round(start / packet.time_base)
            packet.stream = self._audio
            self._container.mux(packet)
