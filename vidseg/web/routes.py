"""The HTTP API. Each endpoint is a call of the public Python API, with a session around it."""

from __future__ import annotations

import shutil
import time
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Header, HTTPException, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, StreamingResponse

import vidseg
from vidseg.detection.base import best_score, best_scores
from vidseg.detection.phrases import parse_phrases
from vidseg.exporters.formats import FORMATS
from vidseg.io.codecs import codecs_of
from vidseg.rendering.options import DEFAULT_STYLES, STYLES
from vidseg.rendering.palette import PALETTE
from vidseg.samples import SAMPLES, sample
from vidseg.tracks.file import record_of
from vidseg.tracks.frame import CORRECTED
from vidseg.web import limits, results, runs, schemas
from vidseg.web.events import events
from vidseg.web.sessions import Media, Session
from vidseg.web.uploads import open_upload, receive

if TYPE_CHECKING:
    import numpy as np

    from vidseg.tracks.frame import TrackedFrame
    from vidseg.web.app import Server

ERRORS: dict[int | str, dict[str, Any]] = {
    code: {"description": what}
    for code, what in {404: "gone, or never there", 422: "it cannot be done: `detail` says why"}.items()
}
router = APIRouter(prefix="/api", responses=ERRORS)


def the_server(request: Request) -> Server:
    """What all requests share."""
    return request.app.state.server


def the_session(session: str, request: Request) -> Session:
    """The session that the path names. HTTPException if it has ended."""
    return the_server(request).sessions.find(session)


def the_media(media: str, session: Annotated[Session, Depends(the_session)]) -> Media:
    """The picture or clip that the path names. HTTPException if there is none."""
    return session.find(media)


Visitor = Annotated[Session, Depends(the_session)]
File = Annotated[Media, Depends(the_media)]


@router.get("/info")
def info(request: Request) -> dict[str, Any]:
    """What this server has, and what it allows."""
    server = the_server(request)
    return {
        "version": vidseg.__version__,
        "model": server.model.names,
        "box_threshold": server.model.thresholds.box,
        "token_needed": server.token_needed,
        "palette": list(PALETTE),
        "formats": list(FORMATS),
        "image_formats": [name for name, one in FORMATS.items() if one.images],
        "styles": list(STYLES),
        "usual_styles": list(DEFAULT_STYLES),
        "codecs": {suffix: codecs_of(f".{suffix}") for suffix in ("mp4", "webm", "gif")},
        "samples": [
            {"name": name, "kind": "video" if name.endswith(".mp4") else "image", "prompt": prompt}
            for name, prompt in SAMPLES.items()
        ],
        "limits": {"bytes": limits.UPLOAD_BYTES, "pixels": limits.PIXELS, "seconds": limits.SECONDS},
    }


@router.post(
    "/sessions",
    status_code=201,
    responses={
        401: {"description": "the token is missing or wrong"},
        403: {"description": "asked by a page elsewhere"},
        429: {"description": "too many visitors"},
    },
)
def begin(request: Request) -> schemas.SessionAnswer:
    """Begin a session.

    Its name is a secret: whoever knows it sees its files. Send `Authorization: Bearer TOKEN` if the server has one.
    """
    server = the_server(request)
    server.check_visitor(request)
    return schemas.SessionAnswer(session=server.sessions.begin().id)


@router.delete("/sessions/{session}", status_code=204)
def end(session: Visitor, request: Request) -> Response:
    """End a session: jobs are cancelled, files removed."""
    the_server(request).end(session.id)
    return Response(status_code=204)


UPLOAD = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.post(
    "/sessions/{session}/media",
    status_code=201,
    openapi_extra=UPLOAD,
    responses={
        408: {"description": "too slow"},
        409: {"description": "too many files"},
        413: {"description": "too large"},
        415: {"description": "neither a picture nor a clip"},
    },
)
async def upload(
    session: Visitor, request: Request, name: Annotated[str, Query(max_length=300)] = "upload"
) -> schemas.MediaAnswer:
    """Send a picture or a clip as the body of the request: `curl --data-binary @clip.mp4 '…/media?name=clip.mp4'`."""
    with session.receiving() as room:
        folder = session.new_folder()
        try:
            await receive(request, folder / "input", room)
            return await run_in_threadpool(add_media, session, folder, name)
        except BaseException:  # also if the visitor goes away in the middle
            shutil.rmtree(folder, ignore_errors=True)
            raise


@router.post("/sessions/{session}/samples/{name}", status_code=201, responses={409: {"description": "too many files"}})
def take_sample(session: Visitor, name: str) -> schemas.MediaAnswer:
    """Use one of the samples that come with vidseg."""
    if name not in SAMPLES:
        raise HTTPException(404, f"there is no such sample; there are {', '.join(SAMPLES)}")
    with session.receiving():
        folder = session.new_folder()
        shutil.copyfile(sample(name), folder / "input")
        return add_media(session, folder, name)


def add_media(session: Session, folder: Path, name: str) -> schemas.MediaAnswer:
    """Add the file `input` in a folder to a session.

    Args:
        session: whose it is.
        folder: the file's own.
        name: what the visitor calls the file.

    Raises:
        HTTPException, InputError: the file cannot be used.
    """
    name = "".join(c for c in PurePath(name.replace("\\", "/")).name if c.isprintable())[:120] or "upload"
    path = folder / "input"
    try:
        path, kind, clip = open_upload(path)
    except vidseg.VidsegError as error:
        message = str(error)
        for known in (path, *path.parent.glob("input*")):
            message = message.replace(str(known), name)
        raise type(error)(message) from None
    media = session.add(Media(kind=kind, name=name, path=path, clip=clip, folder=folder))
    return schemas.MediaAnswer(**media.as_json())


@router.delete("/sessions/{session}/media/{media}", status_code=204)
def remove(session: Visitor, media: File, request: Request) -> Response:
    """Remove a picture or a clip, and all that was made of it."""
    session.remove(media)
    the_server(request).forget([media])
    return Response(status_code=204)


@router.get(
    "/sessions/{session}/media/{media}/frames/{index}",
    response_class=Response,
    responses={200: {"content": {"image/jpeg": {}}}, 416: {"description": "past the end"}},
)
def frame(media: File, index: int) -> Response:
    """A frame as a JPEG, upright, with all its pixels."""
    import cv2

    image = read_frame(media, index)
    packed = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()
    return Response(packed, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=600"})


def read_frame(media: Media, index: int) -> np.ndarray:
    """A frame, H×W×3 uint8 RGB. HTTPException if there is none of this number."""
    try:
        with media.errors():
            return media.reader.at(index)
    except IndexError:
        raise HTTPException(416, f"there is no frame {index} in {media.name}") from None


@router.post("/sessions/{session}/media/{media}/segment")
def segment(media: File, wanted: schemas.SegmentRequest, request: Request) -> schemas.SegmentAnswer:
    """Outline what is named, or pointed at, on one frame.

    The frame is encoded once; each further click costs the mask decoder alone.
    """
    server = the_server(request)
    prompts = [one.model_dump(exclude_none=True) for one in wanted.prompts]
    read_frame(media, wanted.frame)  # before the model is held, as this needs none

    def answer() -> tuple[TrackedFrame, float]:
        with server.model_lock.hold(), media.errors():
            began = time.perf_counter()
            photo = server.embedded(media, wanted.frame)
            frame = photo.segment(wanted.text or None, prompts=prompts, box_threshold=wanted.box_threshold)
            return frame, time.perf_counter() - began

    found, seconds = server.segment_pool.submit(answer).result()
    best = best_score(found.detections) if wanted.text else 0.0
    phrases = parse_phrases(wanted.text) if wanted.text else []
    objects, corrected = record_of(found)["objects"], found.detections.metadata[CORRECTED]
    own = {one["id"] for one in prompts if one["id"] not in corrected}  # what else there is, the text has found
    free = (number for number in range(wanted.first_id, 10**9) if number not in own)
    for one in objects:
        if one["id"] not in own:
            one["id"] = next(free)
    scores = dict(zip(phrases, best_scores(found.detections, phrases)))
    return schemas.SegmentAnswer(objects=objects, best_score=best, best_scores=scores, seconds=seconds)


@router.post(
    "/sessions/{session}/media/{media}/track",
    status_code=202,
    responses={
        409: {"description": "it is being tracked, or must be tracked first"},
        429: {"description": "too many jobs"},
    },
)
def start_tracking(session: Visitor, media: File, wanted: schemas.TrackRequest, request: Request) -> schemas.JobStarted:
    """Follow objects through a clip. Listen to the job's events for the masks."""
    server = the_server(request)
    runs.check_request(media, wanted)
    job = media.tracking = session.new_job("track")
    server.track_pool.submit(job.run, lambda job: runs.track(media, job, server.model, server.model_lock, wanted))
    return schemas.JobStarted(job=job.id)


@router.post(
    "/sessions/{session}/media/{media}/results",
    status_code=202,
    responses={409: {"description": "it must be tracked first"}, 429: {"description": "too many jobs"}},
)
def start_result(session: Visitor, media: File, wanted: schemas.ResultRequest, request: Request) -> schemas.JobStarted:
    """Make a file to download: when the job is done, get its `file`."""
    server = the_server(request)
    options = results.check_request(session, media, wanted)
    job = session.new_job(wanted.kind)
    server.result_pool.submit(job.run, lambda job: results.write_result(media, job, server.model, wanted, options))
    return schemas.JobStarted(job=job.id)


@router.get("/sessions/{session}/jobs/{job}")
def job(session: Visitor, job: str) -> schemas.JobAnswer:
    """How far a job is."""
    return schemas.JobAnswer(**session.find_job(job).as_json())


@router.delete("/sessions/{session}/jobs/{job}", status_code=202)
def cancel(session: Visitor, job: str) -> schemas.JobAnswer:
    """Cancel a job. It ends before its next frame; what was tracked until then stays."""
    found = session.find_job(job)
    found.cancel()
    return schemas.JobAnswer(**found.as_json())


@router.get(
    "/sessions/{session}/jobs/{job}/events",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}}},
)
async def listen(
    session: Visitor, job: str, request: Request, last_event_id: Annotated[str | None, Header()] = None
) -> StreamingResponse:
    """Server-sent events: `frame` with the masks of one frame, `progress`, and at last `end`."""
    found = session.find_job(job)
    after = int(last_event_id) if last_event_id and last_event_id.isascii() and last_event_id.isdecimal() else 0

    def alive() -> bool:
        the_server(request).sessions.find(session.id)  # a session with a listener is not idle
        return not the_server(request).closing

    return StreamingResponse(
        events(found, after, alive), media_type="text/event-stream", headers={"Cache-Control": "no-store"}
    )


@router.get(
    "/sessions/{session}/jobs/{job}/file",
    response_class=FileResponse,
    responses={409: {"description": "it is not done"}},
)
def file(session: Visitor, job: str) -> FileResponse:
    """The file that a job has made."""
    found = session.find_job(job)
    if found.state != "done" or found.file is None:
        raise HTTPException(409, "there is no file: the job is not done, or makes none")
    return FileResponse(found.file, filename=found.name)
