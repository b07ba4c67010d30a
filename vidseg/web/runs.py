"""Tracking a visitor's clip: a whole run, or a correction that resumes from a frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from fastapi import HTTPException

from vidseg.detection.phrases import parse_phrases
from vidseg.errors import InputError
from vidseg.tracks.file import TracksWriter, header_of, read_tracks, record_of
from vidseg.tracks.records import FrameRecord, ObjectRecord
from vidseg.web.fair_lock import FairLock
from vidseg.web.jobs import Cancelled, Job
from vidseg.web.schemas import TrackRequest
from vidseg.web.sessions import Media

if TYPE_CHECKING:
    from vidseg.model import Model
    from vidseg.tracking.iterator import Tracking
    from vidseg.tracks.frame import TrackedFrame

REACH = 5.0  # seconds before a correction: an object that was last seen within them resumes from where it was seen
PromptsByFrame = dict[int, list[dict[str, Any]]]


@dataclass(frozen=True, kw_only=True)
class ResumePoint:
    """Where a correction resumes.

    Attributes:
        time: where reading begins, in seconds after the clip's first frame.
        prompts: the objects there, and the corrections, by frame number.
        reserved_ids: ids that no new object gets, since earlier ones had them.
    """

    time: float
    prompts: PromptsByFrame
    reserved_ids: frozenset[int]


def check_request(media: Media, request: TrackRequest) -> None:
    """HTTPException or InputError if a run cannot begin."""
    from vidseg.prompts.object_prompt import clip_to_frame, object_prompt

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
        clip_to_frame([object_prompt(one.model_dump(exclude_none=True)) for one in some], info.width, info.height)
        if request.from_frame is not None and int(index) < request.from_frame:
            raise HTTPException(
                422,
                f"there are prompts on frame {index}, before frame {request.from_frame}, where the correction begins",
            )


def track(media: Media, job: Job, model: Model, model_lock: FairLock, request: TrackRequest) -> None:
    """Track a clip into its tracks file.

    Raises:
        Cancelled: the job has been cancelled. The frames made until then are kept; if there are none, so is the earlier
            file.
        VidsegError: the run has failed; the earlier file is kept.
    """
    prompts: PromptsByFrame = {
        int(index): [one.model_dump(exclude_none=True) for one in some] for index, some in request.prompts.items()
    }
    phrases = parse_phrases(request.text) if request.text else []
    resume = None
    if request.from_frame is not None:
        resume = resume_from(media, request.from_frame, prompts, frozenset(request.without))
    info = media.clip.info
    # What is only named must be found first, so there is no total if the clip does not say how many frames it has.
    job.total = info.frame_count and max(1, info.frame_count - (request.from_frame or 0))
    run: Tracking | None = None

    def on_frame() -> None:
        job.check()
        job.status = run.status if run is not None else ""
        model_lock.yield_turn()

    with media.errors():
        run = model.track(
            media.clip,
            phrases or None,
            prompts={**(resume.prompts if resume else prompts)},
            start=resume.time if resume else None,
            reserved=resume.reserved_ids if resume else (),
            between=on_frame,
            box_threshold=request.box_threshold,
        )
        header = header_of(media.name, info.width, info.height, info.frame_rate, info.time_base, phrases, model.names)
        cancelled = write_frames(media, job, run, header, model_lock, request.from_frame)
        media.phrases = phrases
    if cancelled is not None:
        raise cancelled
    job.total = job.done
    job.detail = summary(run, phrases, job.done)


def write_frames(
    media: Media, job: Job, run: Tracking, header: dict[str, Any], model_lock: FairLock, from_frame: int | None
) -> Cancelled | None:
    """Write the frames of a run after those that stay, and tell the job of each.

    Args:
        media: the clip; its tracks file is replaced at the end.
        job: what counts the frames.
        run: not yet begun.
        header: of the tracks file.
        model_lock: held while the run goes on.
        from_frame: number of the first frame that is written anew; None: all are.

    Returns:
        What ended the run early after frames had been made, or None.

    Raises:
        Cancelled: before any frame had been made; the earlier file is kept.
    """
    with TracksWriter(media.tracks, header) as writer, closing(run):
        for frame in frames_before(media, from_frame):
            writer.write(frame)
        made = 0
        try:
            with model_lock.hold():
                for frame in run:
                    if frame.index < (from_frame or 0):
                        continue  # a correction may have to read earlier ones
                    writer.write(frame)
                    job.add_frame(record_of(frame))
                    made += 1
                    job.done = made
        except Cancelled as error:
            if not made:
                raise
            return error
    return None


def summary(run: Tracking, phrases: list[str], made: int) -> str:
    """One line on what a run has found."""
    names = [f"{label} {number}" for number, label in sorted(run.labels.items()) if run.seen[number]]
    if not names:
        best = f" (best score {run.best_score:.2f}, see the threshold)" if phrases else ""
        return f"nothing was found in {made} frames{best}"
    line = f"{len(names)} object{'s' * (len(names) > 1)} in {made} frames: {', '.join(names)}"
    return line if run.warning is None else f"{line}; {run.warning}"


def frames_before(media: Media, frame: int | None) -> Iterator[TrackedFrame]:
    """The frames that an earlier run tracked before a frame; None: no frames."""
    if frame is None:
        return
    for tracked in read_tracks(media.tracks):
        if tracked.index >= frame:
            return
        yield tracked


def resume_from(media: Media, frame: int, corrections: PromptsByFrame, without: frozenset[int]) -> ResumePoint:
    """All objects as an earlier run has them on a frame, with corrections.

    An object that is hidden on the frame and was seen not long before is prompted where it was last seen, and reading
    begins there, so that it keeps its id. All others are then followed from there as well, or the detector would take
    them for new ones.

    Args:
        media: the clip.
        frame: number of the frame.
        corrections: prompts by frame number. Those on `frame` get the labels that the objects have.
        without: ids of objects that end there.

    Raises:
        InputError: the frame has not been tracked, or there is no object near it.
    """
    last_seen: dict[int, tuple[int, float]] = {}  # number and time of the last frame on which each object is seen
    now, time = -1, 0.0
    on_frame: list[ObjectRecord] = []
    for record in records_until(media, frame):
        now, time = record.index, record.time
        on_frame = [one for one in record.objects if one.id not in without]
        last_seen |= {one.id: (now, time) for one in on_frame}
    if now != frame:
        raise InputError(f"frame {frame} has not been tracked yet; correct a frame that has been")
    first, start = min((seen for seen in last_seen.values() if time - seen[1] <= REACH), default=(frame, time))
    known = tracked_ids(media) | without
    # Objects of the earlier run begin under the ids that they have, whatever the text finds there.
    prompts = {
        index: [one | {"new": one["new"] or one["id"] in known} for one in some] for index, some in corrections.items()
    }
    if frame in prompts:
        prompts[frame] = with_ids_of_objects(prompts[frame], on_frame)
    corrected = {one["id"]: one for one in prompts.get(frame, ())}
    prompted: set[int] = set()
    for record in records_until(media, frame):
        for one in record.objects if record.index >= first else ():
            number = one.id
            if number in without:
                continue
            if number in corrected:
                corrected[number].setdefault("label", one.label)
            # Once where it comes first, and again on the frame itself, where a correction takes the place of its mask.
            is_due = number not in corrected if record.index == frame else number not in prompted
            if is_due:
                mask = {"id": number, "label": one.label, "mask": one.code(), "new": True}
                prompts.setdefault(record.index, []).append(mask)
                prompted.add(number)
    if not prompts:
        raise InputError(
            f"no object is near frame {frame}, so there is nothing to resume; point at one, or track the whole clip"
        )
    return ResumePoint(
        time=max(0.0, start - media.clip.first_time),
        prompts=prompts,
        reserved_ids=known,
    )


def with_ids_of_objects(prompts: list[dict[str, Any]], objects: Sequence[ObjectRecord]) -> list[dict[str, Any]]:
    """The prompts on a frame; those that lie on an object there get its id, unless they are new or it has another."""
    from vidseg.prompts.object_prompt import object_prompt
    from vidseg.tracking.correction import object_at
    from vidseg.tracking.options import THRESHOLDS

    masks = np.array([one.mask() for one in objects])
    ids = [one["id"] for one in prompts]
    for place, one in enumerate(prompts):
        row = None if one["new"] else object_at(object_prompt(one).prompt, masks, THRESHOLDS.prompt_iou)
        if row is not None and objects[row].id not in ids:
            ids[place] = objects[row].id
    return [one | {"id": i, "new": one["new"] or i != one["id"]} for one, i in zip(prompts, ids)]


def tracked_ids(media: Media) -> frozenset[int]:
    """Ids of all objects of the earlier run."""
    return frozenset(one.id for record in read_tracks(media.tracks).records() for one in record.objects)


def records_until(media: Media, last: int) -> Iterator[FrameRecord]:
    """The records of the tracks file up to and with a frame."""
    for record in read_tracks(media.tracks).records():
        if record.index > last:
            return
        yield record
