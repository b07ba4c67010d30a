"""Overlays, cut-outs and other pictures of tracked objects, from saved tracks."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from vidseg.errors import InputError
from vidseg.io.clip import Clip, ClipInfo
from vidseg.io.threads import Background, prefetch
from vidseg.io.writer import VideoWriter
from vidseg.rendering.options import DEFAULT_STYLES, RenderOptions
from vidseg.tracks.file import Tracks, read_tracks
from vidseg.tracks.frame import TrackedFrame

if TYPE_CHECKING:
    import numpy as np

    from vidseg.io.gif import GifWriter

Progress = Callable[[int, "int | None"], None]


def draw(frame: TrackedFrame) -> np.ndarray:
    """Draw a translucent fill, an outline and a label for each object.

    Args:
        frame: its image is left as it is.

    Returns:
        H×W×3 uint8 RGB, a new array.
    """
    from vidseg.rendering.annotators import OverlayAnnotator

    return OverlayAnnotator(DEFAULT_STYLES).annotate(frame)


def render(  # noqa: PLR0913 - the keywords of RenderOptions, for callers who should not need to know it
    clip_path: str | os.PathLike[str],
    tracks_path: str | os.PathLike[str],
    output_path: str | os.PathLike[str],
    *,
    kind: str = "overlay",
    style: str | Iterable[str] | None = None,
    only: str | Iterable[str] = (),
    color_by: str = "id",
    opacity: float | None = None,
    background: str | os.PathLike[str] | None = None,
    frame: int | None = None,
    side_by_side: bool = False,
    height: int | None = None,
    width: int | None = None,
    codec: str | None = None,
    crf: int | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> str | None:
    """Draw saved tracks on their clip again and write the video, with the clip's timing and sound.

    The video runs from the first to the last tracked frame; frames between that the tracks lack are shown without
    objects.

    Args:
        clip_path: the clip that was tracked.
        tracks_path: its tracks file.
        output_path: its suffix says what is written: .mp4 .mkv .mov .webm, or an animation in .gif; .png for a sheet
            and for stills.
        kind: "overlay"; "cutout", the objects on nothing, with soft edges: ProRes 4444 in .mov or VP9 in .webm;
            "matte", the objects white on black; "sheet", one picture of each object at its first, middle and last
            frame.
        style: some of vidseg.rendering.options.STYLES, as names or as one text with commas. None: mask, contour, label,
            and none of them with a background.
        only: "label=NAME" and "id=NUMBER": objects that are any of these, and no others.
        color_by: "id", or "label" for one colour each label.
        opacity: 0–1, of the style mask.
        background: image file or colour (a CSS name or #rrggbb) in place of what is behind the objects.
        frame: write only this frame, as a still.
        side_by_side: the clip's own picture at the left, what is drawn at the right.
        height: pixels of the drawing; the width follows. None: the clip's.
        width: pixels of the drawing; the height follows. None: the clip's.
        codec: "h264", "h265", "vp9" or "av1".
        crf: quality of the encoding, the lower the better.
        overwrite: replace a file that exists.
        progress: is called after each frame with how many are done, and how many there will be if that is known.

    Returns:
        None, or one line on what is amiss: damage in the clip, sound left out, no object that `only` names, or a label
        that no font has the letters of.

    Raises:
        ValueError: for choices that do not go together.
        InputError: for a clip or tracks that cannot be used or do not fit each other, a frame that they do not have, or
            a background that cannot be read.
        OutputError: if the file cannot be written.
    """
    options = RenderOptions(
        suffix=Path(output_path).suffix,
        kind=kind,
        style=style,
        only=only,
        color_by=color_by,
        opacity=opacity,
        background=background,
        frame=frame,
        side_by_side=side_by_side,
        height=height,
        width=width,
        codec=codec,
        crf=crf,
    )
    return render_tracks(clip_path, tracks_path, output_path, options, overwrite=overwrite, progress=progress)


def render_tracks(
    clip_path: str | os.PathLike[str],
    tracks_path: str | os.PathLike[str],
    output_path: str | os.PathLike[str],
    options: RenderOptions,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> str | None:
    """Do what `render` does, with options that have been checked. They must be for the suffix of `output_path`."""
    output = options.check_output(output_path, overwrite, clip_path)
    with Clip(clip_path) as clip:
        tracks = read_tracks(tracks_path)
        tracks.check_size(clip.path, clip.info.width, clip.info.height)
        if options.kind == "sheet":
            return _write_sheet(clip, tracks, output, options, progress)
        if options.frame is not None:
            return _write_still(clip, tracks, output, options, options.frame)
        return _write_video(clip, tracks, output, options, progress)


def _write_sheet(
    clip: Clip, tracks: Tracks, output: Path, options: RenderOptions, progress: Progress | None
) -> str | None:
    from vidseg.io.images import write_png
    from vidseg.rendering.sheet import contact_sheet

    write_png(output, contact_sheet(clip, tracks, options, progress))
    return clip.warning


def _write_still(clip: Clip, tracks: Tracks, output: Path, options: RenderOptions, number: int) -> str | None:
    from vidseg.io.images import write_png
    from vidseg.rendering.frame_renderer import FrameRenderer
    from vidseg.rendering.still import render_still

    renderer = FrameRenderer(options, tracks.header)
    write_png(output, render_still(clip, tracks, number, renderer))
    return _joined(clip.warning, renderer.note)


def _write_video(
    clip: Clip, tracks: Tracks, output: Path, options: RenderOptions, progress: Progress | None
) -> str | None:
    from vidseg.rendering.frame_renderer import FrameRenderer

    renderer = FrameRenderer(options, tracks.header)
    span = tracks.span()
    if span is None:
        raise InputError(f"{tracks.path} has no frames; track the clip again")
    total = span[1] - span[0] + 1
    info = replace(clip.info, width=renderer.width, height=renderer.height)
    # Reading and encoding are done in threads of their own; masks are decoded and drawn here
    with (
        _open_writer(output, info, clip, options) as writer,
        Background(lambda item: writer.write(*item)) as encoder,
    ):
        for done, (frame, pts) in enumerate(_tracked_frames(clip, tracks), start=1):
            encoder.submit((renderer.draw(frame), pts, frame.duration))
            if progress is not None:
                progress(done, total)
    return _joined(clip.warning, writer.note, renderer.note)


def _joined(*notes: str | None) -> str | None:
    """One line of those that there are."""
    return "; ".join(note for note in notes if note) or None


def _open_writer(output: Path, info: ClipInfo, clip: Clip, options: RenderOptions) -> GifWriter | VideoWriter:
    if options.encoding is None:
        from vidseg.io.gif import GifWriter

        return GifWriter(output, info)
    return VideoWriter(output, info, clip.path if info.has_audio else None, options.encoding, options.crf)


def _tracked_frames(clip: Clip, tracks: Tracks) -> Iterator[tuple[TrackedFrame, int]]:
    """Each frame from the first tracked one to the last, with its pts; without objects where the tracks lack it."""
    import supervision as sv

    records = iter(tracks)
    record = next(records)
    start = record.time - clip.first_time - 1e-6  # times in the file are rounded to 1e-6
    for frame in prefetch(clip.frames(start)):
        while record is not None and record.index < frame.index:
            record = next(records, None)
        if record is None:
            return
        if record.index == frame.index:
            record.image, record.duration = frame.image, frame.duration
            yield record, frame.pts
        else:
            nothing = sv.Detections.empty()
            yield TrackedFrame(frame.index, frame.time, frame.image, nothing, frame.duration), frame.pts
