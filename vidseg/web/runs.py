"""Tracking a visitor's clip: a first run, or one that adds to what is there or corrects it."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fastapi import HTTPException

from vidseg.detection.phrases import parse_phrases
from vidseg.errors import InputError
from vidseg.tracks.file import TracksWriter, header_of, read_tracks, record_of
from vidseg.web.fair_lock import FairLock
from vidseg.web.jobs import Cancelled, Job
from vidseg.web.merging import Change, Earlier, merge
from vidseg.web.resuming import PromptsByFrame, ResumePoint, first_frames, on_earlier_objects, resume_from
from vidseg.web.schemas import TrackRequest
from vidseg.web.sessions import Media

if TYPE_CHECKING:
    from vidseg.model import Model
    from vidseg.tracking.iterator import Tracking
    from vidseg.tracks.frame import TrackedFrame


@dataclass
class Written:
    """What is in a tracks file.

    Attributes:
        frames: how many.
        labels: of its objects, by id.
    """

    frames: int = 0
    labels: dict[int, str] = field(default_factory=dict)


def check_request(media: Media, request: TrackRequest) -> None:
    """HTTPException or InputError if a run cannot begin."""
    from vidseg.prompts.object_prompt import clip_to_frame, object_prompt

    if media.kind != "video":
        raise HTTPException(422, "this is an image; segment it instead")
    if media.tracking is not None and not media.tracking.ended:
        raise HTTPException(409, "this clip is being tracked already; wait, or cancel that first")
    if request.anew and request.from_frame is not None:
        raise HTTPException(422, "a run that begins anew begins with the first frame; leave from_frame out")
    if request.from_frame is not None and not media.tracks.exists():
        raise HTTPException(409, "this clip has not been tracked; track it before you correct it")
    prompts = [(int(index), one) for index, some in request.prompts.items() for one in some]
    if not request.text and not prompts and (request.anew or not media.tracks.exists()):
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
    """Track a clip into its tracks file; what an earlier run has found stays in it.

    Raises:
        Cancelled: the job has been cancelled. The frames made until then are kept, and after them those of the earlier
            run.
        VidsegError: the run has failed; the earlier file is kept.
    """
    prompts: PromptsByFrame = {
        int(index): [one.model_dump(exclude_none=True) for one in some] for index, some in request.prompts.items()
    }
    phrases = parse_phrases(request.text) if request.text else []
    adds = media.tracks.exists() and not request.anew
    begin = request.from_frame or 0
    resume = ResumePoint(time=0.0, prompts=prompts, known=frozenset())
    if adds:
        prompts = on_earlier_objects(media, prompts, frozenset(request.without))
        resume = resume_from(media, request.from_frame, prompts, frozenset(request.without))
    if not resume.prompts and not phrases:
        raise InputError(
            f"no object is near frame {begin}, so there is nothing to resume; point at one, or track the whole clip"
        )
    change = Change(
        begin=begin,
        known=resume.known,
        prompted=first_frames(prompts),
        ended=frozenset(request.without),
    )
    info = media.clip.info
    # What is only named must be found first, so there is no total if the clip does not say how many frames it has.
    job.total = info.frame_count and max(1, info.frame_count - begin)
    run: Tracking | None = None

    def on_frame() -> None:
        job.check()
        job.status = run.status if run is not None else ""
        model_lock.yield_turn()

    with media.errors():
        run = model.track(
            media.clip,
            phrases or None,
            prompts={**resume.prompts},
            start=resume.time or None,
            reserved=resume.known | change.ended,
            between=on_frame,
            box_threshold=request.box_threshold,
        )
        asked = list(dict.fromkeys([*media.phrases, *phrases])) if adds else phrases
        header = header_of(media.name, info.width, info.height, info.frame_rate, info.time_base, asked, model.names)
        written, cancelled = write_frames(media, job, run, header, model_lock, change, adds)
        media.phrases = asked
    if cancelled is not None:
        raise cancelled
    job.total = job.done
    job.notes = notes(media, run, written)
    job.detail = "; ".join([summary(run, written), *job.notes])


def write_frames(
    media: Media, job: Job, run: Tracking, header: dict[str, Any], model_lock: FairLock, change: Change, adds: bool
) -> tuple[Written, Cancelled | None]:
    """Write the frames of a run, merged with those of the earlier one, and tell the job of each.

    Args:
        media: the clip; its tracks file is replaced at the end.
        job: what counts the frames.
        run: not yet begun.
        header: of the tracks file.
        model_lock: held while the run goes on.
        change: what the run may change.
        adds: whether the frames of the earlier run stay, apart from what changes.

    Returns:
        What is in the file, and what ended the run early after frames had been made, or None.

    Raises:
        Cancelled: before any frame had been made; the earlier file is kept.
    """
    written, cancelled = Written(), None
    earlier = Earlier(read_tracks(media.tracks).records() if adds else iter(()))

    with TracksWriter(media.tracks, header) as writer, closing(run):

        def write(frame: TrackedFrame) -> None:
            writer.write(frame)
            written.frames += 1
            found: Any = frame.detections
            written.labels |= zip(found.tracker_id.tolist(), found.data["class_name"].tolist())

        for record in earlier.up_to(change.begin - 1):
            write(record.decode())
        try:
            with model_lock.hold():
                for frame in run:
                    job.check()  # frames that waited for the detector come out at once
                    if frame.index < change.begin:
                        continue  # a correction may have to read earlier ones
                    merged = merge(frame, earlier.at(frame.index), change)
                    write(merged)
                    job.add_frame(record_of(merged))
                    job.done += 1
        except Cancelled as error:
            if not job.done:
                raise
            cancelled = error
        for record in earlier.up_to(float("inf")):
            write(record.decode())
    return written, cancelled


def summary(run: Tracking, written: Written) -> str:
    """One line on what is in the whole clip now."""
    names = [f"{label} {number}" for number, label in sorted(written.labels.items())]
    if not names:
        best = f" (best score {run.best_score:.2f}, see the threshold)" if run.best_scores else ""
        return f"nothing was found in {written.frames} frames{best}"
    return f"{len(names)} object{'s' * (len(names) > 1)} in {written.frames} frames: {', '.join(names)}"


def notes(media: Media, run: Tracking, written: Written) -> list[str]:
    """What else there is to say: of phrases that found nothing where others did, and of the clip."""
    found = set(written.labels.values())
    lines = [
        f"nothing was found for {phrase!r}: its best score is {score:.2f}; lower the threshold, or try another word"
        for phrase, score in run.best_scores.items()
        if found and phrase not in found
    ]
    # Visitors know the clip by its name, and need not know where it lies.
    return lines if run.warning is None else [*lines, run.warning.replace(str(media.clip.path), media.name)]
