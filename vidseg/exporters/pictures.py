"""The images of frames: each is found in the clip by its index, and written as JPEG."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from vidseg.errors import InputError
from vidseg.exporters.records import FrameRecord
from vidseg.io.clip import Clip, Frame
from vidseg.io.threads import prefetch
from vidseg.tracks.file import Tracks

QUALITY = 95  # of 100: no loss that a training run would see


def add_images(frames: Iterator[FrameRecord], clip_path: Path, tracks: Tracks) -> Iterator[FrameRecord]:
    """Frames with their images. InputError if the clip has another size than the tracks, or lacks one of the frames."""
    clip = Clip(clip_path)
    tracks.check_size(clip.path, clip.info.width, clip.info.height)
    pictures = None
    for frame in frames:
        if pictures is None:
            pictures = prefetch(_from(clip, frame))
        picture = next((picture for picture in pictures if picture.index >= frame.index), None)
        if picture is None or picture.index != frame.index:
            damage = f" ({clip.warning})" if clip.warning else ""
            raise InputError(
                f"{clip.path} has no frame {frame.index}, which {tracks.path} has{damage}; give the clip that was tracked"
            )
        frame.image = picture.image
        yield frame


def _from(clip: Clip, frame: FrameRecord) -> Iterator[Frame]:
    """The clip from a frame on, by its time; from the beginning if the clip has another timing than the tracks say."""
    first = None
    try:
        pictures = clip.frames(max(frame.time - clip.first_time - 1e-6, 0))  # times in the file are rounded to 1e-6
        first = next(pictures)
    except InputError:  # there is no such time in it
        pass
    if first is None or first.index > frame.index:
        pictures = clip.frames()
    else:
        yield first
    yield from pictures


def save_jpeg(path: Path, image: np.ndarray) -> None:
    """Write an H×W×3 uint8 RGB image. OSError if it cannot be."""
    _, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    path.write_bytes(data)  # not cv2.imwrite, which fails on some file names on Windows and does not say why
