"""Overlays: tracked objects drawn on their frames."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import TYPE_CHECKING

from vidseg.errors import InputError
from vidseg.overlap import Background, prefetch
from vidseg.tracks import TrackedFrame, read_tracks
from vidseg.video import Clip
from vidseg.writer import VideoWriter, check_video_output

if TYPE_CHECKING:
    import numpy as np

# RGB. Hues after Okabe and Ito, then in-between ones that differ in lightness as well, so that
# neighbours in the list stay apart for colour-blind viewers. An object keeps colour id mod 12.
PALETTE = (
    "#E69F00", "#56B4E9", "#009E73", "#F0E442", "#CC79A7", "#D55E00",
    "#0072B2", "#A6E06C", "#882255", "#B4A7FF", "#1FD6C8", "#FFB3A1",
)  # fmt: skip
FILL = 0.45  # opacity of the fill; the outline is opaque


def colour_of(object_id: int) -> tuple[int, int, int]:
    """The (red, green, blue) of an object, 0–255: the same in every frame and every run."""
    code = PALETTE[object_id % len(PALETTE)]
    return tuple(int(code[i : i + 2], 16) for i in (1, 3, 5))


def draw(frame: TrackedFrame) -> np.ndarray:
    """The frame's image with a translucent fill, an outline and a name tag for each object.

    Returns H×W×3 uint8 RGB, a new array; frame.image is left as it is.
    """
    import cv2
    import numpy as np

    picture, found = frame.image.copy(), frame.detections
    thickness = max(1, round(min(picture.shape[:2]) / 360))
    outlines = []
    if not len(found):
        return picture
    for mask, object_id in zip(found.mask, found.tracker_id):
        mask = np.ascontiguousarray(mask).view(np.uint8)
        x, y, w, h = cv2.boundingRect(mask)  # work in the object's box: a frame holds far more background
        if w == 0:
            continue
        colour, inside = colour_of(int(object_id)), mask[y : y + h, x : x + w]
        area = picture[y : y + h, x : x + w]
        tinted = cv2.addWeighted(area, 1 - FILL, np.full_like(area, colour), FILL, 0)
        cv2.copyTo(tinted, inside, area)
        outlines.append((cv2.findContours(inside, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE, offset=(x, y))[0], colour))
    for contours, colour in outlines:  # over all fills
        cv2.drawContours(picture, contours, -1, colour, thickness, cv2.LINE_AA)
    _tag(picture, found)
    return picture


def _tag(picture: np.ndarray, found) -> None:
    """Draw a tag with name, id and score at each object, inside the picture and apart from each other."""
    import cv2
    import numpy as np

    height, width = picture.shape[:2]
    annotator = _annotator(min(height, width))
    room = width - 2 * annotator.text_padding

    def text_width(text: str) -> int:
        return cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, annotator.text_scale, annotator.text_thickness)[0][0]

    labels = []
    for name, object_id, score in zip(found.data["class_name"], found.tracker_id, found.confidence):
        name, rest = str(name), f" #{object_id} {score:.2f}"
        while name and text_width(name + rest) > room:
            name = name[:-1]
        labels.append(name + rest)
    annotator.annotate(picture, found, labels, custom_color_lookup=np.asarray(found.tracker_id) % len(PALETTE))


@lru_cache(maxsize=4)
def _annotator(side: int):
    """supervision's label annotator, sized for pictures whose shorter side is `side` pixels."""
    import supervision as sv

    # supervision gives OpenCV colours as blue, green, red, and the picture is RGB: swap them here
    tags = [sv.Color(*reversed(colour_of(i))) for i in range(len(PALETTE))]
    texts = [sv.Color.BLACK if _luminance(colour_of(i)) > 0.18 else sv.Color.WHITE for i in range(len(PALETTE))]
    scale = max(0.4, side / 1200)
    return sv.LabelAnnotator(
        color=sv.ColorPalette(tags),
        text_color=sv.ColorPalette(texts),
        text_scale=scale,
        text_thickness=max(1, round(scale * 1.5)),
        text_padding=max(3, round(scale * 9)),
        smart_position=True,
    )


def _luminance(colour: tuple[int, int, int]) -> float:
    """Relative luminance of an RGB colour, 0–1; black text contrasts more than white from 0.18 on."""
    return sum(weight * (value / 255) ** 2.2 for weight, value in zip((0.2126, 0.7152, 0.0722), colour))


def render(
    clip_path: str | os.PathLike,
    tracks_path: str | os.PathLike,
    output_path: str | os.PathLike,
    *,
    overwrite: bool = False,
) -> str | None:
    """Draw saved tracks on their clip again and write the video, with the clip's timing and sound.

    The video runs from the first to the last tracked frame; frames between that the tracks lack
    are shown bare. Returns None, or one line on what is amiss: damage in the clip, or sound left out.
    """
    output = check_video_output(output_path, overwrite, clip_path)
    with Clip(clip_path) as clip:
        tracks = read_tracks(tracks_path)
        size, tracked = (clip.info.width, clip.info.height), (tracks.header["width"], tracks.header["height"])
        if size != tracked:
            raise InputError(
                f"{tracks.path} is for a clip of {tracked[0]}×{tracked[1]} pixels and {clip.path} has "
                f"{size[0]}×{size[1]}; give the clip that was tracked"
            )
        records = iter(tracks)
        record = next(records, None)
        if record is None:
            raise InputError(f"{tracks.path} has no frames; track the clip again")
        start = record.time - clip.first_time - 1e-6  # times in the file are rounded to 1e-6
        audio = clip.path if clip.info.has_audio else None
        with VideoWriter(output, clip.info, audio) as writer, Background(lambda item: writer.write(*item)) as encoder:
            for frame in prefetch(clip.frames(start)):
                while record is not None and record.index < frame.index:
                    record = next(records, None)
                if record is None:
                    break
                image = frame.image
                if record.index == frame.index:
                    record.image = image
                    image = draw(record)
                encoder.submit((image, frame.pts))
        return clip.warning or writer.note
