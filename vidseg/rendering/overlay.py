"""The overlay video of a run, drawn and written as its frames come."""

from __future__ import annotations

import os
from types import TracebackType

from vidseg.io.clip import ClipInfo
from vidseg.io.writer import VideoWriter
from vidseg.rendering.annotators import OverlayAnnotator
from vidseg.rendering.options import DEFAULT_STYLES
from vidseg.tracks.frame import TrackedFrame


class OverlayWriter:
    """Writes a clip with the masks, outlines and labels of its objects.

    The file appears under its name when it is complete; if the `with` block raises, nothing is left behind.

    Args:
        path: the video; an existing file is replaced.
        info: of the clip.
        audio_from: file whose first sound stream is copied, or None.
    """

    def __init__(self, path: str | os.PathLike[str], info: ClipInfo, audio_from: str | os.PathLike[str] | None = None):
        self._video = VideoWriter(path, info, audio_from)
        self._annotator = OverlayAnnotator(DEFAULT_STYLES)
        self._tick = info.time_base

    def __enter__(self) -> OverlayWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._video.__exit__(kind, error, trace)

    @property
    def note(self) -> str | None:
        """None, or one line that says why the sound was left out, or which labels could not be drawn."""
        return "; ".join(note for note in (self._video.note, self._annotator.note) if note) or None

    def write(self, frame: TrackedFrame) -> None:
        """Draw a frame and add it to the video."""
        self._video.write(self._annotator.annotate(frame), round(frame.time / self._tick), frame.duration)
