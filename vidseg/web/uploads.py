"""Files of visitors: received within bounds, and believed only once they have been decoded."""

from __future__ import annotations

import asyncio
import time
import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import HTTPException, Request

from vidseg.errors import InputError
from vidseg.web import limits

if TYPE_CHECKING:
    from vidseg.io.clip import Clip, ClipInfo

SUFFIXES = {
    "PNG": ".png",
    "JPEG": ".jpg",
    "MPO": ".jpg",
    "WEBP": ".webp",
    "BMP": ".bmp",
    "TIFF": ".tif",
    "GIF": ".gif",
}  # Pillow's names
# Of FFmpeg: only what carries its own pictures. A playlist would make it read other files of this machine, or addresses.
DEMUXERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,asf,flv,gif,ogg,mxf,h264,hevc"


async def receive(request: Request, path: Path, room: int) -> None:
    """Write the body of a request to a file. HTTPException if it is larger than `room`, empty, or comes too slowly."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > room:
        raise too_large(room)
    began, received, chunks = time.monotonic(), 0, request.stream()
    with open(path, "wb") as file:
        while True:
            try:
                chunk = await asyncio.wait_for(anext(chunks, None), limits.WAIT)
            except asyncio.TimeoutError:
                raise HTTPException(408, "the upload stopped; send the file again") from None
            if chunk is None:
                break
            received += len(chunk)
            if received > room:
                raise too_large(room)
            lasted = time.monotonic() - began
            if lasted > limits.WAIT and received < limits.SLOWEST * lasted:
                raise HTTPException(408, "the upload is too slow; try a better connection, or a smaller file")
            file.write(chunk)
    if not received:
        raise HTTPException(422, "the file is empty; choose another one")


def too_large(room: int) -> HTTPException:
    return HTTPException(413, f"the file is too large: {room >> 20} MiB at most; cut or scale it first")


def admit(path: Path) -> tuple[Path, str, Clip]:
    """Where an upload lies now (its suffix says what it is), "image" or "video", and how to read it.

    Raises:
        HTTPException: 413 for too many pixels or seconds, 415 for what is neither a picture nor a clip.
        InputError: it is damaged.
    """
    from vidseg.io.clip import Clip
    from vidseg.io.images import read_image

    picture = header_of_image(path)
    if picture is not None:
        suffix, moving = picture
        path = path.rename(path.with_suffix(suffix))
        if not moving:
            read_image(path)
    else:
        moving = True
        check_container(path)
    clip = Clip(path)
    if clip.info.width * clip.info.height > limits.PIXELS:
        raise too_many_pixels(clip.info.width, clip.info.height)
    if moving and clip.info.duration is not None and clip.info.duration > limits.SECONDS:
        raise HTTPException(413, f"the clip lasts {clip.info.duration:.0f} s; {limits.SECONDS} s at most: cut it first")
    if moving and (clip.info.duration is None or clip.info.frame_count is None):
        clip.info = measured(path, clip.info)
    return path, "video" if moving else "image", clip


def measured(path: Path, info: ClipInfo) -> ClipInfo:
    """What a clip does not say of itself, such as a recording of a browser: counted packet by packet, without decoding.

    HTTPException 413 if it lasts too long.
    """
    import av

    count, first, last = 0, None, 0.0
    with av.open(str(path), options={"format_whitelist": DEMUXERS}) as container:
        stream = container.streams.video[0]
        for packet in container.demux(stream):
            if packet.size == 0:
                continue
            count += 1
            if packet.pts is not None:
                at = float(packet.pts * packet.time_base)
                first, last = at if first is None else min(first, at), max(last, at)
            if first is not None and last - first > limits.SECONDS:
                raise HTTPException(413, f"the clip lasts more than {limits.SECONDS} s: cut it first")
    rate = float(info.frame_rate or 25)
    lasted = last - first + 1 / rate if first is not None else count / rate
    return replace(info, frame_count=info.frame_count or count, duration=info.duration or lasted)


def header_of_image(path: Path) -> tuple[str, bool] | None:
    """Suffix of a picture, and whether it moves; None if it is none. Its pixels are counted before they are decoded."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the bound here is our own
            with Image.open(path) as picture:
                if picture.format not in SUFFIXES:
                    return None
                width, height = picture.size
                if width * height > limits.PIXELS:
                    raise too_many_pixels(width, height)
                moving = picture.format in ("GIF", "WEBP") and getattr(picture, "n_frames", 1) > 1
                return SUFFIXES[picture.format] if picture.format != "GIF" or moving else ".png", moving
    except Image.DecompressionBombError:
        raise HTTPException(413, f"the picture has too many pixels: {limits.PIXELS:,} at most") from None
    except HTTPException:
        raise
    except Exception:  # whatever Pillow raises for what is no picture
        return None


def check_container(path: Path) -> None:
    import av

    try:
        with av.open(str(path), options={"format_whitelist": DEMUXERS}) as container:
            if not container.streams.video:
                raise InputError(f"{path}: there is no video in it; choose another file")
            context = container.streams.video[0].codec_context
            if context.width * context.height > limits.PIXELS:
                raise too_many_pixels(context.width, context.height)
    except (av.FFmpegError, ValueError):
        raise HTTPException(
            415, "this is neither a picture nor a video that can be read; choose another file"
        ) from None


def too_many_pixels(width: int, height: int) -> HTTPException:
    return HTTPException(413, f"{width}×{height} pixels are too many: {limits.PIXELS:,} at most; scale it down first")
