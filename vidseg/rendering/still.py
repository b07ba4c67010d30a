"""One frame of a clip as a picture, without drawing what comes before it."""

from __future__ import annotations

from collections import deque

import numpy as np
import supervision as sv

from vidseg.errors import InputError
from vidseg.io.clip import Clip, Frame
from vidseg.rendering.frame_renderer import FrameRenderer
from vidseg.tracks.file import Tracks
from vidseg.tracks.frame import TrackedFrame
from vidseg.tracks.records import FrameRecord


def render_still(clip: Clip, tracks: Tracks, number: int, renderer: FrameRenderer) -> np.ndarray:
    """Draw one frame, between the first tracked one and the last. InputError if tracks or clip do not have it."""
    records = _records_up_to(tracks, number, renderer)
    while len(records) > 1:  # one at a time: masks of some seconds would fill the memory
        renderer.observe(records.popleft().decode())
    tracked = records[0].decode()
    frame = _read_frame(clip, number, tracked.time)
    if tracked.index != number:  # between two frames that are tracked
        renderer.observe(tracked)
        tracked = TrackedFrame(number, frame.time, None, sv.Detections.empty())
    tracked.image = frame.image
    return renderer.draw(tracked)


def _read_frame(clip: Clip, number: int, time: float) -> Frame:
    """The frame with that number, which comes at `time` (s) or later."""
    frames = clip.frames(max(0.0, time - clip.first_time - 1e-6))  # times in the file are rounded to 1e-6
    frame = next((frame for frame in frames if frame.index >= number), None)
    if frame is None or frame.index != number:
        raise InputError(f"{clip.path} has no frame {number}, which its tracks have; give the clip that was tracked")
    return frame


def _records_up_to(tracks: Tracks, number: int, renderer: FrameRenderer) -> deque[FrameRecord]:
    """The last record up to that frame, and those before that it is drawn with."""
    first, records = None, deque[FrameRecord]()
    for record in tracks.records():
        first = record.index if first is None else first
        if record.index > number:
            break
        renderer.colours.note(one.label for one in record.objects)
        records.append(record)
        while records[0].time < record.time - renderer.past:
            records.popleft()
    else:
        if first is None:
            raise InputError(f"{tracks.path} has no frames; track the clip again")
        if records[-1].index < number:
            raise InputError(f"{tracks.path} has no frame {number}: its last one is {records[-1].index}")
    if not records:
        raise InputError(f"{tracks.path} has no frame {number}: its first one is {first}")
    return records
