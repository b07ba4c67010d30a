"""A contact sheet: each object at its first, middle and last frame, to judge a long run at a glance."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import cv2
import numpy as np

from vidseg.errors import InputError
from vidseg.io.clip import Clip, Frame
from vidseg.rendering.options import RenderOptions
from vidseg.rendering.palette import RGB, Colours
from vidseg.rendering.text import TextStyle, shortened
from vidseg.tracks.file import Tracks
from vidseg.tracks.records import ObjectRecord

GAP, HEAD, CAPTION = 16, 30, 22  # pixels: around an entry, of its title, below its views
VIEW_GAP = 4  # pixels between views
PAPER, INK, FAINT = (250, 250, 250), (20, 20, 20), (110, 110, 110)
NEAR = 5.0  # s; frames closer than that are read on to, others are sought


@dataclass
class Entry:
    """What the sheet tells of an object.

    Attributes:
        id: the same all through the clip.
        label: its class name.
        frames: how many it is seen on.
        begins: s, of the first of them.
        ends: s, of the last.
        views: number of each frame to show, and the object on it.
        extent: greatest width and height in pixels on these.
    """

    id: int
    label: str
    frames: int = 0
    begins: float = 0.0
    ends: float = 0.0
    views: list[tuple[int, ObjectRecord]] = field(default_factory=list)
    extent: tuple[float, float] = (1.0, 1.0)


class View(NamedTuple):
    """One picture of an object on the sheet.

    Attributes:
        x: of its left edge on the sheet.
        y: of its upper edge.
        record: of the object on the frame.
        extent: of its entry.
        colour: of the object.
    """

    x: int
    y: int
    record: ObjectRecord
    extent: tuple[float, float]
    colour: RGB


class Layout:
    """Where `count` entries are on a sheet that is about as wide as high, in pixels.

    Attributes:
        view: (width, height) of a view.
    """

    def __init__(self, count: int):
        wide = 240 if count <= 100 else 120
        self.view = wide, wide * 3 // 4
        self._down = HEAD + self.view[1] + CAPTION + GAP  # from one entry to the next
        self._across = 3 * wide + 2 * VIEW_GAP + GAP
        self._columns = max(1, round(math.sqrt(count * self._down / self._across * 1.2)))
        self._rows = -(-count // self._columns)

    def blank(self) -> np.ndarray:
        """An empty sheet, H×W×3 uint8 RGB."""
        return np.full((self._rows * self._down + GAP, self._columns * self._across + GAP, 3), PAPER, np.uint8)

    def place(self, number: int) -> tuple[int, int]:
        """(x, y) of an entry's upper left corner; they are numbered down the columns."""
        return GAP + number // self._rows * self._across, GAP + number % self._rows * self._down


def contact_sheet(
    clip: Clip, tracks: Tracks, options: RenderOptions, progress: Callable[[int, int | None], None] | None = None
) -> np.ndarray:
    """Draw the sheet.

    The tracks are read twice, first to count; masks are decoded and frames read only where they are shown.

    Returns:
        H×W×3 uint8 RGB.

    Raises:
        InputError: if there is no object to show, or tracks and clip do not fit each other.
    """
    colours = Colours(options.color_by, tracks.header.get("prompts") or ())
    entries = _entries(tracks, options, colours)
    times = _choose_views(tracks, options, entries)
    layout = Layout(len(entries))
    sheet, (wide, high) = layout.blank(), layout.view
    views = defaultdict(list)
    for number, entry in enumerate(entries.values()):
        x, y = layout.place(number)
        colour = colours.of(entry.id, entry.label)
        _write_title(sheet, entry, (x, y), wide, colour)
        for slot, (index, record) in enumerate(entry.views):
            views[index].append(View(x + slot * (wide + VIEW_GAP), y + HEAD, record, entry.extent, colour))
    for done, frame in enumerate(_read_frames(clip, {index: times[index] for index in sorted(views)}), start=1):
        for x, y, record, extent, colour in views[frame.index]:
            sheet[y : y + high, x : x + wide] = draw_view(frame.image, record.mask(), extent, colour, layout.view)
            _write(sheet, f"frame {frame.index}, {clock(frame.time)}", (x, y + high + 15), wide, FAINT, 0.42)
        if progress is not None:
            progress(done, len(views))
    return sheet


def _entries(tracks: Tracks, options: RenderOptions, colours: Colours) -> dict[int, Entry]:
    """The objects to show by id, in the order of their first frames and still without views."""
    entries: dict[int, Entry] = {}
    for frame in tracks.records():
        colours.note(one.label for one in frame.objects)
        for one in frame.objects:
            if options.shows(one.label, one.id):
                entry = entries.setdefault(one.id, Entry(one.id, one.label, begins=frame.time))
                entry.frames, entry.ends = entry.frames + 1, frame.time
    if not entries:
        raise InputError(f"{tracks.path} has no object to show" + ("; ask for others" if options.selection else ""))
    return entries


def _choose_views(tracks: Tracks, options: RenderOptions, entries: dict[int, Entry]) -> dict[int, float]:
    """Give each entry its views. Returns the time of each frame that is shown."""
    seen: dict[int, int] = defaultdict(int)
    times: dict[int, float] = {}
    for frame in tracks.records():
        for one in frame.objects:
            if not options.shows(one.label, one.id):
                continue
            entry = entries[one.id]
            if seen[one.id] in (0, (entry.frames - 1) // 2, entry.frames - 1):
                entry.views.append((frame.index, one))
                if one.area:
                    _, _, width, height = one.mask_box
                    entry.extent = max(entry.extent[0], width), max(entry.extent[1], height)
                times[frame.index] = frame.time
            seen[one.id] += 1
    return times


def _read_frames(clip: Clip, times: dict[int, float]) -> Iterator[Frame]:
    """The frames with those numbers, given with their times in order. InputError if the clip does not have one."""
    frames, at = iter(()), -math.inf
    for number, time in times.items():
        if time - at > NEAR:
            frames = clip.frames(max(0.0, time - clip.first_time - 1e-6))
        frame: Frame | None = next((frame for frame in frames if frame.index >= number), None)
        if frame is None or frame.index != number:
            raise InputError(
                f"{clip.path} has no frame {number}, which its tracks show; give the clip that was tracked"
            )
        at = frame.time
        yield frame


def draw_view(
    image: np.ndarray, mask: np.ndarray, extent: tuple[float, float], colour: RGB, size: tuple[int, int]
) -> np.ndarray:
    """Draw an object outlined, with some of what is around it.

    Args:
        image: of the frame, H×W×3 uint8 RGB.
        mask: H×W bool.
        extent: width and height of what should fit in, in pixels of the image: of the whole object where only a sliver
            is seen.
        colour: of the outline.
        size: (width, height) of the view.

    Returns:
        H×W×3 uint8 RGB of that size.
    """
    height, width = mask.shape
    x, y, w, h = cv2.boundingRect(mask.view(np.uint8))
    scale = min(size[0] / (1.6 * extent[0]), size[1] / (1.6 * extent[1]), 4.0)
    scale = max(scale, min(size[0] / width, size[1] / height))  # no more than the whole picture
    # Where the view begins in the picture; inside it as far as the picture is large enough
    starts = []
    for middle, room, side in ((x + w / 2, size[0] / scale, width), (y + h / 2, size[1] / scale, height)):
        starts.append((side - room) / 2 if room >= side else min(max(middle - room / 2, 0), side - room))
    move = np.array([[scale, 0, -starts[0] * scale], [0, scale, -starts[1] * scale]])
    if scale < 1:  # else thin lines would come out broken
        image = cv2.GaussianBlur(image, (0, 0), 0.45 / scale)
    shown = cv2.warpAffine(image, move, size, flags=cv2.INTER_LINEAR, borderValue=PAPER)
    inside = cv2.warpAffine(mask.view(np.uint8) * 255, move, size, flags=cv2.INTER_LINEAR)
    contours = cv2.findContours((inside > 127).view(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)[0]
    cv2.drawContours(shown, contours, -1, INK, 3, cv2.LINE_AA)  # a dark edge, so that the colour shows on any picture
    cv2.drawContours(shown, contours, -1, colour, 2, cv2.LINE_AA)
    return shown


def clock(seconds: float) -> str:
    """1:02.5, or 1:00:02.5."""
    tenths = round(seconds * 10)
    hours, minutes, rest = tenths // 36000, tenths // 600 % 60, tenths % 600
    return (f"{hours}:{minutes:02}" if hours else f"{minutes}") + f":{rest // 10:02}.{rest % 10}"


def _write_title(sheet: np.ndarray, entry: Entry, at: tuple[int, int], wide: int, colour: RGB) -> None:
    """Mark, name and time of an entry at (x, y), above views that are `wide` pixels wide."""
    x, y = at
    cv2.rectangle(sheet, (x, y + 4), (x + 14, y + 18), colour, -1)
    _write(sheet, f"{entry.label} #{entry.id}", (x + 22, y + 17), wide, INK, 0.55)
    span = f"{entry.frames} frames, {clock(entry.begins)} - {clock(entry.ends)}"
    _write(sheet, span, (x + wide + VIEW_GAP, y + 17), 2 * wide, FAINT, 0.45)


def _write(sheet: np.ndarray, text: str, at: tuple[int, int], room: int, colour: RGB, scale: float) -> None:
    """A line of text from `at` on, cut to `room` pixels."""
    style, (x, y) = TextStyle(scale, 1), at
    for part in shortened(text, "", style, room):
        style.write(sheet, part, (x, y), colour, PAPER)
        x += style.extent(part).width
