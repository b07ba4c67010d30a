"""How soon a result has what comes into the picture: the figures that `challenge/run.py` prints about entries.

An object enters on the first frame on which a tenth of its full area shows (`plan.entries`). Its delay is the
number of frames from there to the first one on which the result writes the object that stands for it, below 0 if the
result has it earlier.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

import numpy as np
from scipy.optimize import linear_sum_assignment

from scripts.demo_models.score.clips import MATCH
from vidseg.evaluation.metrics import FramePairs

SOON = 2  # frames: what is asked for


def partners(frames: Sequence[FramePairs]) -> dict[int, int]:
    """Which object of the result stands for which one of the truth: result id by truth id.

    They are paired one to one such that the sum of all IoUs is the largest. An object whose partner agrees with it by
    MATCH on no frame was not found, and is left out.
    """
    truth, result = (sorted({int(i) for frame in frames for i in getattr(frame, side)}) for side in ("truth", "result"))
    total, best = np.zeros((2, len(truth), len(result)))
    for frame in frames:
        place = np.ix_(np.searchsorted(truth, frame.truth), np.searchsorted(result, frame.result))
        total[place] += frame.iou
        best[place] = np.maximum(best[place], frame.iou)
    rows, columns = linear_sum_assignment(total, maximize=True)
    return {truth[row]: result[column] for row, column in zip(rows, columns) if best[row, column] >= MATCH}


def delays(frames: Sequence[FramePairs], entries: Mapping[int, int]) -> dict[int, int | None]:
    """By truth id, the delay of every object that enters in frames, None for one that was not found.

    Args:
        frames: result against truth, all frames of the clip.
        entries: the frame on which each of these objects enters, by id.
    """
    first: dict[int, int] = {}
    for number, frame in enumerate(frames):
        for object_id in frame.result.tolist():
            first.setdefault(object_id, number)
    paired = partners(frames)
    return {i: first[paired[i]] - entered if i in paired else None for i, entered in entries.items()}


def summary(values: Sequence[int | None]) -> str:
    """Delays in words: how many there are, their median, and the one farthest from 0."""
    found = [value for value in values if value is not None]
    text = f"{len(values):3d} enter, {len(values) - len(found)} never found"
    if found:
        soon = sum(abs(value) <= SOON for value in found)
        text += (
            f"; median {median(found):+g}, worst {max(found, key=abs):+d}, {soon} of {len(found)} within {SOON} frames"
        )
    return text


def entry_table(scores: Sequence[Mapping]) -> str:
    """One line for each family in which something enters and each method, then one for each method over all clips.

    Args:
        scores: one entry for each clip and method, with "family", "method" and "delays" (a list, as of `delays`).
    """
    methods, families = (list(dict.fromkeys(entry[key] for entry in scores)) for key in ("method", "family"))
    lines = ["delay in frames of the first mask of what enters, after a tenth of it shows:"]
    for family in [*families, "all"]:
        for method in methods:
            part = [entry for entry in scores if entry["method"] == method and family in (entry["family"], "all")]
            values = [value for entry in part for value in entry["delays"]]
            if values:
                lines.append(f"{family:10} {method:9} {summary(values)}")
    return "\n".join(lines if len(lines) > 1 else [])
