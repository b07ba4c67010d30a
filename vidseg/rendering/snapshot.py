"""One frame of a clip as a picture, without drawing what comes before it."""

from __future__ import annotations

from collections import deque

import numpy as np
import supervision as sv

from vidseg.errors import InputError
from vidseg.io.clip import Clip
from vidseg.rendering.drawing import Drawing
from vidseg.rendering.skimming import Line, skim
from vidseg.tracks.file import Tracks, frame_of
from vidseg.tracks.frame import TrackedFrame


def snapshot(clip: Clip, tracks: Tracks, number: int, drawing: Drawing) -> np.ndarray:
    """The picture of one tracked frame. InputError if the tracks or the clip do not have it."""
    lines = _lines_up_to(tracks, number, drawing)
    height, width = tracks.header["height"], tracks.header["width"]
    try:
        while len(lines) > 1:  # one at a time: masks of some seconds would fill the memory
            drawing.see(frame_of(lines.popleft().record, height, width))
        tracked = frame_of(lines[0].record, height, width)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
        raise InputError(f"{tracks.path} is broken near frame {number} ({error}); write the file again") from error
    for frame in clip.frames(max(0.0, tracked.time - clip.first_time - 1e-6)):
        if frame.index >= number:
            break
    if frame.index != number:
        raise InputError(f"{clip.path} has no frame {number}, which its tracks have; give the clip that was tracked")
    if tracked.index != number:  # between two frames that are tracked
        drawing.see(tracked)
        tracked = TrackedFrame(number, frame.time, None, sv.Detections.empty())
    tracked.image = frame.image
    return drawing.make(tracked)


def _lines_up_to(tracks: Tracks, number: int, drawing: Drawing) -> deque[Line]:
    """The last line up to that frame, and those before that it is drawn with."""
    first, lines = None, deque()
    for line in skim(tracks):
        first = line.index if first is None else first
        if line.index > number:
            break
        drawing.colours.note(label for _, label, _ in line.objects)
        lines.append(line)
        while lines[0].time < line.time - drawing.past:
            lines.popleft()
    else:
        if first is None:
            raise InputError(f"{tracks.path} has no frames; track the clip again")
        if lines[-1].index < number:
            raise InputError(f"{tracks.path} has no frame {number}: its last one is {lines[-1].index}")
    if not lines:
        raise InputError(f"{tracks.path} has no frame {number}: its first one is {first}")
    return lines
