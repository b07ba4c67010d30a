"""Files to take away: what `vidseg image`, `vidseg render` and `vidseg export` write, from what a visitor has."""

from __future__ import annotations

import json
import re
import shutil
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import HTTPException

import vidseg
from vidseg.exporters.export import FORMATS
from vidseg.rendering.looks import look_for
from vidseg.tracks.file import TracksWriter, frame_of, header_of, read_tracks
from vidseg.web.jobs import Job
from vidseg.web.schemas import Wanted
from vidseg.web.sessions import Media, Session

if TYPE_CHECKING:
    from vidseg.model import Model
    from vidseg.tracks.frame import TrackedFrame

IMAGE_KINDS = ("overlay", "tracks", "masks", "cutout")
RENDERED = {
    "overlay": ("overlay", ".tracked.mp4"),
    "cutout": ("cutout", ".cutout.mov"),
    "matte": ("matte", ".matte.mp4"),
    "sheet": ("sheet", ".sheet.png"),
}
VIDEO_KINDS = ("tracks", "masks", *RENDERED)


def check_wanted(session: Session, media: Media, wanted: Wanted) -> dict:
    """How an overlay of a clip is drawn, as arguments of `vidseg.render`. HTTPException for a result that there cannot be."""
    kinds = (*(IMAGE_KINDS if media.kind == "image" else VIDEO_KINDS), *FORMATS)
    if wanted.kind not in kinds:
        raise HTTPException(422, f"{wanted.kind!r} is no result for this {media.kind}; there are {', '.join(kinds)}")
    if media.kind == "video" and not media.tracks.exists():
        raise HTTPException(409, "this clip has not been tracked; track it first")
    if media.kind == "image" and wanted.objects is None:
        raise HTTPException(422, "a result for an image needs the objects that shall be in it")
    if media.kind == "video" and wanted.kind == "overlay":
        try:
            if (wanted.drawing.frame is None) == (wanted.drawing.file == "png"):
                raise ValueError("a still is one frame in a png; give both, or neither")
            how = how_drawn(session, wanted)
            look_for(f"result.{wanted.drawing.file}", **how)
            return how
        except ValueError as error:
            raise HTTPException(422, str(error)) from None
    return {}


def how_drawn(session: Session, wanted: Wanted) -> dict:
    """Arguments of `vidseg.render` for an overlay. ValueError for a background that is neither a colour nor one of the session's pictures.

    (Names are no files here.)
    """
    from PIL import ImageColor

    how = wanted.drawing.model_dump(exclude={"file", "background_image"})
    if how["background"] is not None:
        how["background"] = "#%02x%02x%02x" % ImageColor.getrgb(how["background"])[:3]
    if wanted.drawing.background_image is not None:
        picture = session.find(wanted.drawing.background_image)
        if picture.kind != "image" or how["background"] is not None:
            raise ValueError("the background is one picture, or one colour")
        how["background"] = picture.path
    return how


def make(media: Media, job: Job, model: Model, wanted: Wanted, how: dict) -> None:
    """Write the file, and tell the job of it. how: see `check_wanted`."""
    stem = Path(media.name).stem
    with media.errors():
        tracks = job.folder / f"{stem_of(stem)}.tracks.jsonl"
        if media.kind == "image":
            frame = frame_from(media, wanted)
            write_tracks(tracks, media, model, [frame])
            job.file = image_result(media, frame, tracks, wanted, job)
        else:
            edited_tracks(media, wanted, tracks, job)
            job.file = video_result(media, tracks, wanted, job, how)
    job.name = stem + job.file.name.removeprefix(stem_of(stem))


def stem_of(name: str) -> str:
    """The visitor's names do not touch the file system: all results are called alike there."""
    return "result"


def frame_from(media: Media, wanted: Wanted) -> TrackedFrame:
    """What is on the page, as a frame. InputError if it does not fit the image."""
    info = media.clip.info
    record = {"frame": 0, "time": 0.0, "objects": [one.model_dump() for one in wanted.objects]}
    try:
        frame = frame_of(record, info.height, info.width)
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise vidseg.InputError(f"the objects do not fit {media.name}: {error}") from None
    frame.image = media.reader.at(0)
    return frame


def write_tracks(path: Path, media: Media, model: Model, frames: list[TrackedFrame]) -> None:
    info = media.clip.info
    with TracksWriter(
        path, header_of(media.name, info.width, info.height, info.frame_rate, info.time_base, media.text, model.names)
    ) as writer:
        for frame in frames:
            writer.write(frame)


def image_result(media: Media, frame: TrackedFrame, tracks: Path, wanted: Wanted, job: Job) -> Path:
    import numpy as np

    from vidseg.io.images import write_png
    from vidseg.rendering.cutout import cut_out, soft_alpha
    from vidseg.rendering.render import draw

    kind, folder = wanted.kind, job.folder
    if kind == "tracks":
        return tracks
    if kind == "masks":
        return zipped_masks(tracks, folder / "result.masks.zip", None)
    if kind in FORMATS:
        return exported(media, tracks, wanted, job)
    picture = draw(frame)
    if kind == "cutout":
        masks = frame.detections.mask
        covered = masks.any(0) if len(masks) else np.zeros(picture.shape[:2], bool)
        picture = cut_out(frame.image, soft_alpha(covered.astype(np.uint8)))
    target = folder / ("result.segmented.png" if kind == "overlay" else "result.cutout.png")
    write_png(target, picture)
    return target


def edited_tracks(media: Media, wanted: Wanted, target: Path, job: Job) -> None:
    """The tracks with the visitor's names, without what was deleted. Masks are passed on as they are."""
    without = frozenset(wanted.without)
    with open(target, "w", encoding="utf-8") as file:
        for record in read_tracks(media.tracks).records():
            if "objects" in record:
                job.check()
                record["objects"] = [one for one in record["objects"] if one["id"] not in without]
                for one in record["objects"]:
                    one["label"] = wanted.labels.get(one["id"], one["label"])
            file.write(json.dumps(record, ensure_ascii=False) + "\n")


def video_result(media: Media, tracks: Path, wanted: Wanted, job: Job, how: dict) -> Path:
    kind = wanted.kind
    if kind == "tracks":
        return tracks
    if kind == "masks":
        return zipped_masks(tracks, job.folder / "result.masks.zip", job)
    if kind in RENDERED:
        look, suffix = RENDERED[kind]
        target, drawing = job.folder / f"result{suffix}", wanted.drawing
        if kind == "overlay":
            target = job.folder / (
                f"result.tracked.{drawing.file}" if drawing.frame is None else f"result.frame{drawing.frame}.png"
            )
        vidseg.render(media.path, tracks, target, kind=look, progress=job.progress, **how)
        return target
    return exported(media, tracks, wanted, job)


def zipped_masks(tracks: Path, target: Path, job: Job | None) -> Path:
    """One black and white PNG an object and frame; of an image without the number of the frame."""
    import cv2

    tracks = read_tracks(tracks)
    total = tracks.frame_count()
    with zipfile.ZipFile(target, "w") as archive:  # PNGs are packed already
        for done, frame in enumerate(tracks, start=1):
            for number, mask in zip(frame.detections.tracker_id.tolist(), frame.detections.mask):
                name = f"mask-{number}.png" if job is None else f"mask-{number}/{frame.index:06d}.png"
                archive.writestr(name, cv2.imencode(".png", mask.astype("uint8") * 255)[1].tobytes())
            if job is not None:
                job.progress(done, total)
    return target


def exported(media: Media, tracks: Path, wanted: Wanted, job: Job) -> Path:
    """One file: what is a folder, or several files, in an archive."""
    name = (
        re.sub(r"[^A-Za-z0-9_-]+", "_", Path(media.name).stem)[:60].strip("_") or "clip"
    )  # of images, in a folder of ours
    target = job.folder / "written" / f"result{FORMATS[wanted.kind].suffix}"
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
