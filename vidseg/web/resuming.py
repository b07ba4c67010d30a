"""How a run begins that adds to an earlier one: which objects it follows, from where, and which it corrects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vidseg.errors import InputError
from vidseg.tracks.file import read_tracks
from vidseg.tracks.records import ObjectRecord
from vidseg.web.sessions import Media

REACH = 5.0  # seconds before a correction: an object that was last seen within them resumes from where it was seen
PromptsByFrame = dict[int, list[dict[str, Any]]]


@dataclass(frozen=True, kw_only=True)
class ResumePoint:
    """Where a run resumes that adds to an earlier one.

    Attributes:
        time: where reading begins, in seconds after the clip's first frame.
        prompts: the objects of the earlier run, and those of the request, by frame number.
        known: ids of all objects of the earlier run.
    """

    time: float
    prompts: PromptsByFrame
    known: frozenset[int]


def on_earlier_objects(media: Media, requested: PromptsByFrame, without: frozenset[int]) -> PromptsByFrame:
    """The prompts of a request under the ids of the objects of the earlier run that they are of.

    The first prompt with an id that is new decides for all of that id: if it lies on an object, it corrects that one,
    unless it says that it is new (`vidseg.tracking.correction`). Prompts of objects that are known are marked as new,
    so that what the text finds in the same place takes no id from them.

    Args:
        media: the clip.
        requested: prompts by frame number.
        without: ids of objects that end there, and are not corrected.
    """
    records = {one.index: one for one in read_tracks(media.tracks).records() if one.index in requested}
    known, meant = tracked_ids(media), dict[int, int]()
    prompts: PromptsByFrame = {}
    for index in sorted(requested):
        taken = {one["id"] for one in requested[index]}
        objects = [one for one in records[index].objects if one.id not in without] if index in records else []
        for one in requested[index]:
            number = one["id"]
            if number not in known and number not in meant:
                found = None if one.get("new") else object_under(one, objects)
                meant[number] = number if found is None or found in taken else found
                taken.add(meant[number])
            meaning = meant.get(number, number)
            as_new = one.get("new", False) or meaning in known
            prompts.setdefault(index, []).append(one | {"id": meaning, "new": as_new})
    return prompts


def object_under(prompt: dict[str, Any], objects: Sequence[ObjectRecord]) -> int | None:
    """Id of the object that a prompt lies on."""
    from vidseg.prompts.object_prompt import object_prompt
    from vidseg.tracking.correction import object_at
    from vidseg.tracking.options import THRESHOLDS

    masks = np.array([one.mask() for one in objects])
    row = object_at(object_prompt(prompt).prompt, masks, THRESHOLDS.prompt_iou)
    return None if row is None else objects[row].id


def tracked_ids(media: Media) -> frozenset[int]:
    """Ids of all objects of the earlier run."""
    return frozenset(one.id for record in read_tracks(media.tracks).records() for one in record.objects)


def first_frames(prompts: PromptsByFrame) -> dict[int, int]:
    """Number of the first frame with a prompt, by id."""
    return {one["id"]: index for index in sorted(prompts, reverse=True) for one in prompts[index]}


def resume_from(
    media: Media, from_frame: int | None, requested: PromptsByFrame, without: frozenset[int]
) -> ResumePoint:
    """Prompts for all objects of an earlier run, so that no object of it is taken for a new one.

    Each is prompted where it is first seen. If a correction begins at a frame, what lies before is left out; but an
    object that is hidden there and was seen not long before is prompted where it was last seen, and reading begins
    there, so that it keeps its id.

    Args:
        media: the clip.
        from_frame: number of the frame where a correction begins; None: the whole clip is read.
        requested: prompts by frame number. Those without a label get the label that their object has.
        without: ids of objects that end there. They are followed, too, or they would be found again.

    Raises:
        InputError: the frame has not been tracked.
    """
    frame = from_frame or 0
    last_seen: dict[int, tuple[int, float]] = {}  # number and time of the last frame up to there that shows each object
    labels: dict[int, str] = {}
    now, time = -1, 0.0
    for record in read_tracks(media.tracks).records():
        labels |= {one.id: one.label for one in record.objects}
        if record.index <= frame:
            now, time = record.index, record.time
            last_seen |= {one.id: (now, time) for one in record.objects}
    if from_frame is not None and now != frame:
        raise InputError(f"frame {frame} has not been tracked yet; correct a frame that has been")
    near = [seen for number, seen in last_seen.items() if time - seen[1] <= REACH and number not in without]
    first, start = min(near, default=(frame, time))
    prompts = {index: [{"label": labels.get(one["id"]), **one} for one in some] for index, some in requested.items()}
    corrected, prompted = first_frames(requested), set[int]()
    for record in read_tracks(media.tracks).records():
        for one in record.objects if record.index >= first else ():
            # Once where it comes first, and again on the frame itself; a correction takes the place of its mask.
            is_due = one.id not in prompted or record.index == frame
            if is_due and record.index < corrected.get(one.id, record.index + 1):
                known = {"id": one.id, "label": one.label, "mask": one.code(), "new": True}
                prompts.setdefault(record.index, []).append(known)
                prompted.add(one.id)
    return ResumePoint(time=max(0.0, start - media.clip.first_time), prompts=prompts, known=frozenset(labels))
