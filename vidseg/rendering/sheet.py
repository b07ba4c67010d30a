"""A contact sheet: each object at its first, middle and last frame, to judge a long run at a glance."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

import cv2
import numpy as np

from vidseg.errors import InputError
from vidseg.io.clip import Clip, Frame
from vidseg.rendering.looks import Look
from vidseg.rendering.palette import Colours, colour_of
from vidseg.rendering.skimming import skim
from vidseg.tracks.file import Tracks
from vidseg.tracks.rle import decode_mask, run_lengths

GAP, HEAD, CAPTION = 16, 30, 22  # pixels: around an entry, of its title, below its views
PAPER, INK, FAINT = (250, 250, 250), (20, 20, 20), (110, 110, 110)
NEAR = 5.0  # s; frames closer than that are read on to, others are sought


@dataclass
class Entry:
    """What the sheet tells of an object."""

    id: int
    label: str
    frames: int = 0  # on which it is seen
    begins: float = 0.0  # s
    ends: float = 0.0
    views: list[tuple[int, dict]] = field(default_factory=list)  # frame number and mask of the frames to show
    extent: tuple[float, float] = (1.0, 1.0)  # width and height in pixels that it has at most on these


def contact_sheet(
    clip: Clip, tracks: Tracks, look: Look, progress: Callable[[int, int | None], None] | None = None
) -> np.ndarray:
    """H×W×3 uint8 RGB. InputError if there is no object to show.

    The tracks are read twice, first to count; masks are decoded and frames read where they are shown, and nowhere else.
    """
    colours = Colours(look.color_by, tracks.header.get("prompts") or ())
    entries, times = _entries(tracks, look, colours)
    wide = 240 if len(entries) <= 100 else 120  # pixels of a view
    size = wide, wide * 3 // 4
    title = HEAD + size[1] + CAPTION + GAP
    across = 3 * size[0] + 2 * 4 + GAP
    columns = max(1, round(math.sqrt(len(entries) * title / across * 1.2)))
    rows = -(-len(entries) // columns)
    sheet = np.full((rows * title + GAP, columns * across + GAP, 3), PAPER, np.uint8)
    places = defaultdict(list)
    for number, entry in enumerate(entries):
        x, y = GAP + number // rows * across, GAP + number % rows * title
        colour = colour_of(colours.number(entry.id, entry.label))
        cv2.rectangle(sheet, (x, y + 4), (x + 14, y + 18), colour, -1)
        _write(sheet, f"{entry.label} #{entry.id}", (x + 22, y + 17), size[0], INK, 0.55)
        span = f"{entry.frames} frames, {clock(entry.begins)} - {clock(entry.ends)}"
        _write(sheet, span, (x + size[0] + 4, y + 17), 2 * size[0], FAINT, 0.45)
        for slot, (index, mask) in enumerate(entry.views):
            places[index].append((x + slot * (size[0] + 4), y + HEAD, mask, entry.extent, colour))
    for done, frame in enumerate(_frames(clip, {index: times[index] for index in sorted(places)}), start=1):
        for x, y, mask, extent, colour in places[frame.index]:
            sheet[y : y + size[1], x : x + size[0]] = view(frame.image, decode_mask(mask), extent, colour, size)
            _write(sheet, f"frame {frame.index}, {clock(frame.time)}", (x, y + size[1] + 15), size[0], FAINT, 0.42)
        if progress is not None:
            progress(done, len(places))
    return sheet


def _entries(tracks: Tracks, look: Look, colours: Colours) -> tuple[list[Entry], dict[int, float]]:
    """The objects in the order of their first frames, and the time of each frame that shows one."""
    entries: dict[int, Entry] = {}
    for line in skim(tracks):
        colours.note(label for _, label, _ in line.objects)
        for object_id, label, _ in line.objects:
            if look.keeps(label, object_id):
                entry = entries.setdefault(object_id, Entry(object_id, label, begins=line.time))
                entry.frames, entry.ends = entry.frames + 1, line.time
    if not entries:
        raise InputError(f"{tracks.path} has no object to show" + ("; ask for others" if look.only else ""))
    seen, times = defaultdict(int), {}
    for line in skim(tracks):
        for object_id, label, mask in line.objects:
            if look.keeps(label, object_id):
                entry = entries[object_id]
                if seen[object_id] in (0, (entry.frames - 1) // 2, entry.frames - 1):
                    entry.views.append((line.index, mask))
                    try:
                        entry.extent = tuple(map(max, entry.extent, _size_of(mask)))
                    except ValueError as error:
                        raise InputError(
                            f"{tracks.path} is broken at frame {line.index} ({error}); write the file again"
                        ) from error
                    times[line.index] = line.time
                seen[object_id] += 1
    return list(entries.values()), times


def _size_of(mask: dict) -> tuple[float, float]:
    """Width and height of a mask in pixels, from its code. ValueError if that cannot be decoded."""
    from pycocotools import mask as coco

    run_lengths(mask["counts"], mask["size"])
    return tuple(coco.toBbox({"size": mask["size"], "counts": mask["counts"].encode("ascii")})[2:].tolist())


def _frames(clip: Clip, times: dict[int, float]):
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


def view(
    image: np.ndarray,
    mask: np.ndarray,
    extent: tuple[float, float],
    colour: tuple[int, int, int],
    size: tuple[int, int],
) -> np.ndarray:
    """The object outlined, with some of what is around it: H×W×3 uint8 of (width, height) `size`.

    extent: width and height of what should fit in, in pixels of the image: of the whole object where only a sliver is seen.
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


def _write(
    sheet: np.ndarray, text: str, at: tuple[int, int], room: int, colour: tuple[int, int, int], scale: float
) -> None:
    """A line of text from `at` on, cut to `room` pixels."""
    while text and cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)[0][0] > room:
        text = text[:-1]
    cv2.putText(sheet, text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, colour, 1, cv2.LINE_AA)
