"""The images of frames: each is found in the clip by its index, and written as JPEG."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from vidseg.errors import InputError
from vidseg.exporters.source import ExportFrame
from vidseg.io.clip import Clip, Frame
from vidseg.io.threads import prefetch
from vidseg.tracks.file import Tracks

QUALITY = 95  # of 100: no loss that a training run would see


def add_images(frames: Iterator[ExportFrame], clip_path: Path, tracks: Tracks) -> Iterator[ExportFrame]:
    """Give frames their images.

    Raises:
        InputError: the clip has another size than the tracks, or lacks one of the frames.
    """
    clip = Clip(clip_path)
    tracks.check_size(clip.path, clip.info.width, clip.info.height)
    decoded = None
    for frame in frames:
        if decoded is None:
            decoded = prefetch(_decoded_from(clip, frame))
        found = next((other for other in decoded if other.index >= frame.index), None)
        if found is None or found.index != frame.index:
            damage = f" ({clip.warning})" if clip.warning else ""
            raise InputError(
                f"{clip.path} has no frame {frame.index}, which {tracks.path} has{damage}; "
                "give the clip that was tracked"
            )
        frame.image = found.image
        yield frame


def _decoded_from(clip: Clip, frame: ExportFrame) -> Iterator[Frame]:
    """The clip from a frame on, by its time; from the beginning if the clip has another timing than the tracks say."""
    first = None
    try:
        frames = clip.frames(max(frame.time - clip.first_time - 1e-6, 0))  # times in the file are rounded to 1e-6
        first = next(frames)
    except InputError:  # there is no such time in it
        frames = iter(())
    if first is None or first.index > frame.index:
        frames = clip.frames()
    else:
        yield first
    yield from frames


def save_jpeg(path: Path, image: np.ndarray) -> None:
    """Write an H×W×3 uint8 RGB image. OSError if it cannot be."""
    _, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    path.write_bytes(data.tobytes())  # not cv2.imwrite, which fails on some file names on Windows and does not say why
