"""Tracking a visitor's clip: a whole run, or a correction that goes on from a frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fastapi import HTTPException

from vidseg.detection.phrases import parse_phrases
from vidseg.errors import InputError
from vidseg.tracks.file import TracksWriter, header_of, read_tracks, record_of
from vidseg.web.jobs import Cancelled, Job
from vidseg.web.schemas import Track
from vidseg.web.sessions import Media
from vidseg.web.turns import Turns

if TYPE_CHECKING:
    from vidseg.model import Model

REACH = 5.0  # s before a correction within which an object that is hidden there is picked up


@dataclass
class Start:
    """Where a correction goes on. time: s after the clip's first frame at which it is read. prompts: by frame number."""

    time: float
    prompts: dict[int, list[dict[str, Any]]] = field(default_factory=dict)


def check_request(media: Media, request: Track) -> None:
    """HTTPException or InputError for a run that cannot begin."""
    from vidseg.prompts.object_prompt import fitted, object_prompt

    if media.kind != "video":
        raise HTTPException(422, "this is an image; segment it instead")
    if media.tracking is not None and not media.tracking.ended:
        raise HTTPException(409, "this clip is being tracked already; wait, or cancel that first")
    if request.from_frame is not None and not media.tracks.exists():
        raise HTTPException(409, "this clip has not been tracked; track it before you correct it")
    prompts = [(int(index), one) for index, some in request.prompts.items() for one in some]
    if not request.text and not prompts and request.from_frame is None:
        raise HTTPException(422, "what should be tracked? give a text, or point at something")
    if request.text:
        parse_phrases(request.text)
    info = media.clip.info
    for index, some in request.prompts.items():
        fitted([object_prompt(one.model_dump(exclude_none=True)) for one in some], info.width, info.height)
        if request.from_frame is not None and int(index) < request.from_frame:
            raise HTTPException(
                422,
                f"there are prompts on frame {index}, before frame {request.from_frame}, where the correction begins",
            )


def track(media: Media, job: Job, model: Model, turns: Turns, request: Track) -> None:
    """Track a clip into its tracks file. Raises Cancelled when the job is, with the frames kept that had been made."""
    prompts = {
        int(index): [one.model_dump(exclude_none=True) for one in some] for index, some in request.prompts.items()
    }
    phrases, start, reserved = parse_phrases(request.text) if request.text else [], None, set()
    if request.from_frame is not None:
        start = going_on(media, request.from_frame, prompts, frozenset(request.without))
        reserved = {*ids(media), *request.without}  # who turns up later is none of those, seen or deleted
    info = media.clip.info
    # One that is only named must be found first; hence no end to how far the rate of frames may be from the announced one.
    job.total = info.frame_count and max(1, info.frame_count - (request.from_frame or 0))
    run = None

    def between() -> None:
        job.check()
        job.doing = run.doing if run is not None else ""
        turns.between()

    with media.errors():
        run = model.track(
            media.clip,
            phrases or None,
            prompts=start.prompts if start else prompts,
            start=start.time if start else None,
            reserved=reserved,
            between=between,
        )
        header = header_of(media.name, info.width, info.height, info.frame_rate, info.time_base, phrases, model.names)
        ended = None
        with TracksWriter(media.tracks, header) as writer:
            for frame in before(media, request.from_frame):
                writer.write(frame)
            made, frames = 0, iter(run)
            try:
                with turns.turn():
                    for frame in frames:
                        if request.from_frame is not None and frame.index < request.from_frame:
                            continue
                        writer.write(frame)
                        job.add_frame(record_of(frame))
                        made += 1
                        job.done = made
            except Cancelled as error:
                if not made:
                    raise  # the tracks of an earlier run stay
                ended = error
            finally:
                frames.close()
        media.text = phrases
    if ended is not None:
        raise ended
    job.total = made
    job.detail = summary(run, phrases, made)


def summary(run, phrases: list[str], made: int) -> str:
    """What a run has found, in a line."""
    names = [f"{label} {number}" for number, label in sorted(run.labels.items()) if run.seen[number]]
    if not names:
        return f"nothing was found in {made} frames" + (f" (best score {run.best_score:.2f})" if phrases else "")
    line = f"{len(names)} object{'s' * (len(names) > 1)} in {made} frames: {', '.join(names)}"
    return line if run.warning is None else f"{line}; {run.warning}"


def before(media: Media, frame: int | None) -> Iterator:
    """What was tracked before a frame."""
    if frame is None:
        return
    for tracked in read_tracks(media.tracks):
        if tracked.index >= frame:
            return
        yield tracked


def going_on(media: Media, frame: int, corrections: dict[int, list[dict]], without: frozenset[int]) -> Start:
    """All objects as they are on a frame, with corrections.

    Where one is hidden there that was seen not long ago, reading begins where it was: so it keeps its id. All others are then
    followed from there as well, lest the detector take them for new ones.
    """
    seen: dict[int, tuple[int, float]] = {}  # number and time of the last frame on which each object is seen
    time = now = None
    for record in records(media, frame):
        now, time = record["frame"], record["time"]
        seen |= {one["id"]: (now, time) for one in record["objects"] if one["id"] not in without}
    if now != frame:
        raise InputError(f"frame {frame} has not been tracked yet; correct a frame that has been")
    first, start = min((place for place in seen.values() if time - place[1] <= REACH), default=(frame, time))
    prompts = {index: list(some) for index, some in corrections.items()}
    corrected = {one["id"]: one for one in corrections.get(frame, ())}
    begun: set[int] = set()
    for record in records(media, frame):
        for one in record["objects"] if record["frame"] >= first else ():
            number = one["id"]
            known = {"id": number, "label": one["label"], "mask": one["mask"]}
            if number in without:
                continue
            if number in corrected:
                corrected[number].setdefault("label", one["label"])
            if (record["frame"] == frame and number not in corrected) or (
                record["frame"] < frame and number not in begun
            ):
                prompts.setdefault(record["frame"], []).append(known)
                begun.add(number)
    if not prompts:
        raise InputError(
            f"no object is near frame {frame}: nothing to go on from; point at one, or track the whole clip"
        )
    return Start(max(0.0, start - media.clip.first_time), prompts)


def ids(media: Media) -> set[int]:
    """Of all objects that were tracked."""
    return {one["id"] for record in read_tracks(media.tracks).records() for one in record.get("objects", ())}


def records(media: Media, last: int) -> Iterator[dict]:
    """The lines of the tracks up to a frame."""
    for record in read_tracks(media.tracks).records():
        if record.get("frame", -1) > last:
            return
        if "frame" in record:
            yield record
