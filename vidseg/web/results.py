"""Files to download: what `vidseg image`, `vidseg render` and `vidseg export` write, of what a visitor has."""

from __future__ import annotations

import json
import re
import shutil
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from fastapi import HTTPException

import vidseg
from vidseg.exporters.formats import FORMATS
from vidseg.rendering.options import RenderOptions
from vidseg.tracks.file import TracksWriter, frame_of, header_of, read_tracks
from vidseg.web.jobs import Job
from vidseg.web.schemas import Drawing, ResultRequest
from vidseg.web.sessions import Media, Session

if TYPE_CHECKING:
    from vidseg.model import Model
    from vidseg.tracks.frame import TrackedFrame

STEM = "result"  # of the names of files; those that visitors give never touch the file system
IMAGE_KINDS = ("overlay", "tracks", "masks", "cutout")
RENDERED_SUFFIXES = {  # of a clip, by kind
    "overlay": ".tracked.mp4",
    "cutout": ".cutout.mov",
    "matte": ".matte.mp4",
    "sheet": ".sheet.png",
}
VIDEO_KINDS = ("tracks", "masks", *RENDERED_SUFFIXES)


def check_request(session: Session, media: Media, wanted: ResultRequest) -> RenderOptions | None:
    """Check that a result can be made.

    Returns:
        How a rendering of a clip is drawn; None for other results.

    Raises:
        HTTPException: it cannot.
    """
    kinds = (*(IMAGE_KINDS if media.kind == "image" else VIDEO_KINDS), *FORMATS)
    if wanted.kind not in kinds:
        raise HTTPException(422, f"{wanted.kind!r} is no result for this {media.kind}; there are {', '.join(kinds)}")
    if media.kind == "video" and not media.tracks.exists():
        raise HTTPException(409, "this clip has not been tracked; track it first")
    if media.kind == "image" and wanted.objects is None:
        raise HTTPException(422, "a result for an image needs the objects that it should have")
    if media.kind == "video" and wanted.kind == "overlay":
        try:
            return overlay_options(session, wanted.drawing)
        except ValueError as error:
            raise HTTPException(422, str(error)) from None
    if media.kind == "video" and wanted.kind in RENDERED_SUFFIXES:
        return RenderOptions(suffix=Path(RENDERED_SUFFIXES[wanted.kind]).suffix, kind=wanted.kind)
    return None


def overlay_options(session: Session, drawing: Drawing) -> RenderOptions:
    """How an overlay is drawn.

    Raises:
        ValueError: choices that do not go together, or a background that is neither a color nor a picture of the
            session. (Names of files do not count.)
    """
    from PIL import ImageColor

    if (drawing.frame is None) == (drawing.file == "png"):
        raise ValueError("a still is one frame in a png; give both, or neither")
    arguments = drawing.model_dump(exclude={"file", "background_image"})
    if arguments["background"] is not None:
        red, green, blue = ImageColor.getrgb(arguments["background"])[:3]
        arguments["background"] = f"#{red:02x}{green:02x}{blue:02x}"
    if drawing.background_image is not None:
        picture = session.find(drawing.background_image)
        if picture.kind != "image" or arguments["background"] is not None:
            raise ValueError("the background is one picture, or one colour")
        arguments["background"] = picture.path
    return RenderOptions(suffix=f".{drawing.file}", **arguments)


def write_result(media: Media, job: Job, model: Model, wanted: ResultRequest, options: RenderOptions | None) -> None:
    """Write the file, and tell the job of it. `options` are those that `check_request` has returned."""
    with media.errors():
        tracks = job.folder / f"{STEM}.tracks.jsonl"
        if media.kind == "image":
            frame = frame_on_page(media, wanted)
            write_tracks(tracks, media, model, [frame])
            job.file = image_result(media, frame, tracks, wanted, job)
        else:
            write_edited_tracks(media, wanted, tracks, job)
            job.file = video_result(media, tracks, wanted, job, options)
    job.name = Path(media.name).stem + job.file.name.removeprefix(STEM)


def frame_on_page(media: Media, wanted: ResultRequest) -> TrackedFrame:
    """The objects that the page shows on an image. InputError if they do not fit it."""
    info = media.clip.info
    record = {"frame": 0, "time": 0.0, "objects": [one.model_dump() for one in wanted.objects or ()]}
    try:
        frame = frame_of(record, info.height, info.width)
    except ValueError as error:
        raise vidseg.InputError(f"the objects do not fit {media.name}: {error}") from None
    frame.image = media.reader.at(0)
    return frame


def write_tracks(path: Path, media: Media, model: Model, frames: list[TrackedFrame]) -> None:
    """Write frames of a picture or a clip as a tracks file."""
    info = media.clip.info
    with TracksWriter(
        path,
        header_of(media.name, info.width, info.height, info.frame_rate, info.time_base, media.phrases, model.names),
    ) as writer:
        for frame in frames:
            writer.write(frame)


def image_result(media: Media, frame: TrackedFrame, tracks: Path, wanted: ResultRequest, job: Job) -> Path:
    """Write a result of an image whose tracks file is there. Returns its path."""
    from vidseg.io.images import write_png
    from vidseg.rendering.cutout import cut_out, soft_alpha
    from vidseg.rendering.render import draw

    if wanted.kind == "tracks":
        return tracks
    if wanted.kind == "masks":
        return zip_masks(tracks, job.folder / f"{STEM}.masks.zip", None)
    if wanted.kind in FORMATS:
        return export(media, tracks, wanted, job)
    if wanted.kind == "overlay":
        picture, suffix = draw(frame), ".segmented.png"
    else:
        image = media.reader.at(0)
        covered = np.zeros(image.shape[:2], bool)
        for _, mask, *_ in frame.detections:
            covered |= np.asarray(mask)
        picture, suffix = cut_out(image, soft_alpha(covered.astype(np.uint8))), ".cutout.png"
    target = job.folder / f"{STEM}{suffix}"
    write_png(target, picture)
    return target


def write_edited_tracks(media: Media, wanted: ResultRequest, target: Path, job: Job) -> None:
    """Write the tracks with the visitor's labels and without deleted objects. Masks are copied as they are."""
    without = frozenset(wanted.without)
    with open(target, "w", encoding="utf-8") as file:
        tracks = read_tracks(media.tracks)
        file.write(json.dumps(tracks.header, ensure_ascii=False) + "\n")
        for record in tracks.records():
            job.check()
            line = record.as_json()
            line["objects"] = [one for one in line["objects"] if one["id"] not in without]
            for one in line["objects"]:
                one["label"] = wanted.labels.get(one["id"], one["label"])
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


def video_result(media: Media, tracks: Path, wanted: ResultRequest, job: Job, options: RenderOptions | None) -> Path:
    """Write a result of a clip whose edited tracks file is there. Returns its path."""
    if wanted.kind == "tracks":
        return tracks
    if wanted.kind == "masks":
        return zip_masks(tracks, job.folder / f"{STEM}.masks.zip", job)
    if options is None:
        return export(media, tracks, wanted, job)
    from vidseg.rendering.render import render_tracks

    suffix = RENDERED_SUFFIXES[wanted.kind]
    if wanted.kind == "overlay":
        frame = wanted.drawing.frame
        suffix = f".tracked.{wanted.drawing.file}" if frame is None else f".frame{frame}.png"
    target = job.folder / f"{STEM}{suffix}"
    render_tracks(media.path, tracks, target, options, progress=job.progress)
    return target


def zip_masks(tracks_path: Path, target: Path, job: Job | None) -> Path:
    """Write one black and white PNG for each object and frame; for an image (no job), without the frame's number."""
    import cv2

    tracks = read_tracks(tracks_path)
    total = tracks.frame_count()
    with zipfile.ZipFile(target, "w") as archive:  # PNGs are packed already
        for done, frame in enumerate(tracks, start=1):
            for _, mask, _, _, number, _ in frame.detections:
                name = f"mask-{number}.png" if job is None else f"mask-{number}/{frame.index:06d}.png"
                archive.writestr(name, cv2.imencode(".png", np.asarray(mask).astype("uint8") * 255)[1].tobytes())
            if job is not None:
                job.progress(done, total)
    return target


def export(media: Media, tracks: Path, wanted: ResultRequest, job: Job) -> Path:
    """Write an export as one file; a folder, or several files, are packed into an archive."""
    # The names of images in the export begin with it.
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", Path(media.name).stem)[:60].strip("_") or "clip"
    target = job.folder / "written" / f"{STEM}{FORMATS[wanted.kind].suffix}"
    target.parent.mkdir()
    written = vidseg.export(
        tracks, wanted.kind, target, clip=media.path, name=name, progress=job.progress, **wanted.sampling.model_dump()
    )
    if target.is_dir() or len(written) > 1:
        packed = shutil.make_archive(
            str(job.folder / target.name.removesuffix(".json")), "zip", target if target.is_dir() else target.parent
        )
        shutil.rmtree(target.parent)
        return Path(packed)
    return target
