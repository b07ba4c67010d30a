"""Files of visitors: received within limits, and trusted only once they have been decoded."""

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

IMAGE_SUFFIXES = {  # by Pillow's name of the format
    "PNG": ".png",
    "JPEG": ".jpg",
    "MPO": ".jpg",
    "WEBP": ".webp",
    "BMP": ".bmp",
    "TIFF": ".tif",
    "GIF": ".gif",
}
# Of FFmpeg's: only those that carry their own pictures. A playlist would make it read other files, or addresses.
DEMUXERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,asf,flv,gif,ogg,mxf,h264,hevc"


async def receive(request: Request, path: Path, room: int) -> None:
    """Write the body of a request to a file.

    Args:
        request: the upload.
        path: the file.
        room: bytes that it may have.

    Raises:
        HTTPException: it is larger, empty, or too slow.
    """
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > room:
        raise too_large(room)
    began, received, chunks = time.monotonic(), 0, request.stream()
    with open(path, "wb") as file:
        while True:
            try:
                chunk = await asyncio.wait_for(anext(chunks, None), limits.STALL_SECONDS)
            except asyncio.TimeoutError:
                raise HTTPException(408, "the upload stopped; send the file again") from None
            if chunk is None:
                break
            received += len(chunk)
            if received > room:
                raise too_large(room)
            elapsed = time.monotonic() - began
            if elapsed > limits.STALL_SECONDS and received < limits.UPLOAD_RATE * elapsed:
                raise HTTPException(408, "the upload is too slow; try a better connection, or a smaller file")
            file.write(chunk)
    if not received:
        raise HTTPException(422, "the file is empty; choose another one")


def too_large(room: int) -> HTTPException:
    """The error for an upload of more bytes than `room`."""
    return HTTPException(413, f"the file is too large: {room >> 20} MiB at most; cut or scale it first")


def open_upload(path: Path) -> tuple[Path, str, Clip]:
    """Find out what an upload is, and check that it can be read.

    Args:
        path: the file; a picture is renamed, so that its suffix says what it is.

    Returns:
        Its path now, "image" or "video", and how to read it.

    Raises:
        HTTPException: 413 for too many pixels or seconds, 415 for what is neither a picture nor a clip.
        InputError: it is damaged.
    """
    from vidseg.io.clip import Clip
    from vidseg.io.images import read_image

    header = read_image_header(path)
    if header is not None:
        suffix, moving = header
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
    if moving and not is_measured(clip.info):
        clip.info = measure(path, clip.info)
    return path, "video" if moving else "image", clip


def is_measured(info: ClipInfo) -> bool:
    """Whether a clip's header has its length, and as many frames as that takes: a cut clip may count those cut off."""
    if info.duration is None or info.frame_count is None:
        return False
    return abs(info.duration * float(info.frame_rate) - info.frame_count) < 1.5


def measure(path: Path, info: ClipInfo) -> ClipInfo:
    """Add the length of a clip whose header lacks it, such as a browser's recording, or does not agree with itself.

    Counts the packets that are shown, without decoding.

    Raises:
        HTTPException: 413 if it lasts too long.
    """
    import av

    count, first, last = 0, None, 0.0
    with av.open(str(path), options={"format_whitelist": DEMUXERS}) as container:
        stream = container.streams.video[0]
        for packet in container.demux(stream):
            if packet.size == 0 or packet.is_discard:
                continue
            count += 1
            if packet.pts is not None:
                at = float(packet.pts * packet.time_base)
                first, last = at if first is None else min(first, at), max(last, at)
            if first is not None and last - first > limits.SECONDS:
                raise HTTPException(413, f"the clip lasts more than {limits.SECONDS} s: cut it first")
    rate = float(info.frame_rate or 25)
    duration = last - first + 1 / rate if first is not None else count / rate
    return replace(info, frame_count=count, duration=info.duration or duration)


def read_image_header(path: Path) -> tuple[str, bool] | None:
    """Suffix of a picture, and whether it moves; None if the file is no picture.

    Raises:
        HTTPException: 413 for too many pixels, which are counted without decoding them.
    """
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # there is a limit of our own
            with Image.open(path) as picture:
                if picture.format not in IMAGE_SUFFIXES:
                    return None
                width, height = picture.size
                if width * height > limits.PIXELS:
                    raise too_many_pixels(width, height)
                moving = picture.format in ("GIF", "WEBP") and getattr(picture, "n_frames", 1) > 1
                return IMAGE_SUFFIXES[picture.format] if picture.format != "GIF" or moving else ".png", moving
    except Image.DecompressionBombError:
        raise HTTPException(413, f"the picture has too many pixels: {limits.PIXELS:,} at most") from None
    except HTTPException:
        raise
    except Exception:  # whatever Pillow raises for a file that is no picture
        return None


def check_container(path: Path) -> None:
    """Check that a file is a video of the formats that are allowed.

    Raises:
        HTTPException: 413 for too many pixels, 415 for what cannot be read.
        InputError: it has no video.
    """
    import av
    from av.error import FFmpegError

    try:
        with av.open(str(path), options={"format_whitelist": DEMUXERS}) as container:
            if not container.streams.video:
                raise InputError(f"{path}: there is no video in it; choose another file")
            context = container.streams.video[0].codec_context
            if context.width * context.height > limits.PIXELS:
                raise too_many_pixels(context.width, context.height)
    except (FFmpegError, ValueError):
        raise HTTPException(
            415, "this is neither a picture nor a video that can be read; choose another file"
        ) from None


def too_many_pixels(width: int, height: int) -> HTTPException:
    """The error for a picture of this size."""
    return HTTPException(413, f"{width}×{height} pixels are too many: {limits.PIXELS:,} at most; scale it down first")
