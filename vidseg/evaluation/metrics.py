"""How good a result is, measured against the truth: J and F, HOTA, IDF1 and id switches.

Both sides (see `vidseg.evaluation.readers`) are read together, frame by frame. Of a frame, the ids are kept, and how
well each truth object agrees with each result object; masks are dropped.

Every frame of the truth counts. One that the result lacks counts as a frame on which the result has no object, and
frames that the truth lacks (YouTube-VOS has truth on every fifth) are left out. Labels play no role, and neither do the
values of ids: result objects are paired with truth objects by their masks alone.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import cv2
import numpy as np

from vidseg.errors import InputError, VidsegError
from vidseg.evaluation.readers import read_masks
from vidseg.tracks import rle

TOLERANCE = 0.008  # of the image's diagonal: how far off a boundary pixel may be (Perazzi et al. 2016)


@dataclass(frozen=True)
class Scores:
    """Figures of one clip. All but the counts are between 0 and 1, and 1 is best.

    Attributes:
        j: region similarity, mean over truth objects; see `davis_scores`.
        f: boundary accuracy, mean over truth objects; see `davis_scores`.
        hota: higher order tracking accuracy, mean over the IoU thresholds 0.05, 0.1 … 0.95 (Luiten et al. 2021).
        det_a: its factor detection accuracy.
        ass_a: its factor association accuracy.
        idf1: share of masks that keep the right id for the clip, at IoU 0.5 (Ristani et al. 2016).
        id_switches: how often a truth object's mask passes to another id, at IoU 0.5 (Bernardin and Stiefelhagen 2008).
        frames: number of frames compared: all of the truth.
        missing: how many of them the result lacks.
    """

    j: float
    f: float
    hota: float
    det_a: float
    ass_a: float
    idf1: float
    id_switches: int
    frames: int
    missing: int

    def figures(self) -> dict[str, float]:
        """The figures under the names that papers use, in the order to show them."""
        return {
            "J": self.j,
            "F": self.f,
            "J&F": (self.j + self.f) / 2,
            "HOTA": self.hota,
            "DetA": self.det_a,
            "AssA": self.ass_a,
            "IDF1": self.idf1,
            "IDSW": self.id_switches,
        }


@dataclass
class FramePairs:
    """One frame's T truth objects against its R result objects, those that are visible.

    Attributes:
        truth: ids as the file has them, [T] int.
        result: the same of the result, [R] int.
        iou: IoU of each pair, T×R.
        f: boundary F of each pair, T×R.
        missing: the result lacks this frame.
    """

    truth: np.ndarray
    result: np.ndarray
    iou: np.ndarray
    f: np.ndarray
    missing: bool


def evaluate(result: str | os.PathLike, truth: str | os.PathLike) -> Scores:
    """Measure a result against the truth.

        evaluate("park.tracks.jsonl", "park.truth.jsonl").hota

    Args:
        result: a tracks file, a COCO file or a folder of PNGs; see `vidseg.evaluation.readers`.
        truth: the same.

    Raises:
        InputError: a side cannot be read, the two have no frame in common or frames of different sizes, or the truth
            has no object.
        VidsegError: the packages of the extra `eval` are not installed.
    """
    require_extra()
    frames = list(compare(result, truth))
    missing = sum(frame.missing for frame in frames)
    if missing == len(frames):
        raise InputError(f"{result} and {truth} have no frame in common; give two files of the same clip")
    truth_count = number_ids(frames, "truth")
    if not truth_count:
        raise InputError(f"{truth}: no object on any of its {len(frames)} frames; give a truth that has some")
    result_count = number_ids(frames, "result")
    j, f = davis_scores(frames, truth_count, result_count)
    return Scores(j, f, **tracking_scores(frames, truth_count, result_count), frames=len(frames), missing=missing)


def require_extra() -> None:
    """Raise VidsegError if what only `vidseg eval` needs is not installed."""
    try:
        import_module("scipy.optimize")
        import_module("trackeval")
    except ImportError as error:
        raise VidsegError('vidseg eval needs the eval extra: pip install ".[eval]" in the clone of vidseg') from error


def number_ids(frames: list[FramePairs], side: str) -> int:
    """Number the ids of a side ("truth" or "result") 0, 1, 2 … in place, in all frames. Returns how many there are."""
    ids = np.unique(np.concatenate([getattr(frame, side) for frame in frames]))
    for frame in frames:
        setattr(frame, side, np.searchsorted(ids, getattr(frame, side)))
    return len(ids)


def davis_scores(frames: list[FramePairs], truth_count: int, result_count: int) -> tuple[float, float]:
    """J and F of DAVIS 2017 (Perazzi et al. 2016, Pont-Tuset et al. 2017).

    J of an object on a frame is the IoU of its masks in truth and result. F is 2PR / (P + R), where P is the share of
    the result's boundary pixels within TOLERANCE of the truth's boundary, and R that of the truth's near the result's.
    On a frame where neither side has the object both are 1, as in the DAVIS toolkit; where only one has it both are 0.

    An object's J and F are means from the frame where the truth shows it first to the end of the clip. (The toolkit
    counts all frames, which is the same wherever all objects are there at the beginning. DAVIS's semi-supervised
    protocol leaves out the first and the last frame, because its trackers are given the first mask; nothing is left out
    here.)

    Objects are paired one to one such that the sum of their J is the largest (the toolkit: of J + F). A truth object
    without a partner scores 0 wherever it is visible. A result object without one costs nothing here: DetA and IDF1 are
    for that.

    Args:
        frames: of the truth, with ids numbered from 0 on either side; see `number_ids`.
        truth_count: how many objects the truth has.
        result_count: how many objects the result has.

    Returns:
        J and F, mean over the truth objects.
    """
    from scipy.optimize import linear_sum_assignment

    # As many columns as rows at least: a result object that is never seen stands for "no partner".
    j, f = np.zeros((2, truth_count, max(truth_count, result_count)))
    length, begun = np.zeros((truth_count, 1)), np.zeros(truth_count, bool)
    for frame in frames:
        begun[frame.truth] = True
        hidden, absent = np.ones(truth_count, bool), np.ones(j.shape[1], bool)
        hidden[frame.truth], absent[frame.result] = False, False
        both, neither = np.ix_(frame.truth, frame.result), np.ix_(hidden & begun, absent)
        for total, values in ((j, frame.iou), (f, frame.f)):
            total[both] += values
            total[neither] += 1
        length[begun] += 1
    j, f = j / length, f / length
    pairs = linear_sum_assignment(-j)
    return float(j[pairs].mean()), float(f[pairs].mean())


def tracking_scores(frames: list[FramePairs], truth_count: int, result_count: int) -> dict[str, Any]:
    """HOTA with its factors, IDF1 and id switches, by the reference code, with the IoU of masks as similarity."""
    from trackeval.metrics import CLEAR, HOTA, Identity

    data = {
        "num_timesteps": len(frames),
        "similarity_scores": [frame.iou for frame in frames],
        "gt_ids": [frame.truth for frame in frames],
        "num_gt_ids": truth_count,
        "tracker_ids": [frame.result for frame in frames],
        "num_tracker_ids": result_count,
        "num_gt_dets": sum(len(frame.truth) for frame in frames),
        "num_tracker_dets": sum(len(frame.result) for frame in frames),
    }
    quiet = {"THRESHOLD": 0.5, "PRINT_CONFIG": False}
    hota = HOTA().eval_sequence(data)
    return {
        "hota": float(np.mean(hota["HOTA"])),
        "det_a": float(np.mean(hota["DetA"])),
        "ass_a": float(np.mean(hota["AssA"])),
        "idf1": float(Identity(quiet).eval_sequence(data)["IDF1"]),
        "id_switches": int(CLEAR(quiet).eval_sequence(data)["IDSW"]),
    }


# -- one frame -------------------------------------------------------------------------------------------------------


def compare(result: str | os.PathLike, truth: str | os.PathLike) -> Iterator[FramePairs]:
    """The frames of the truth, each with what the result has on it. Holds the masks of one frame at a time."""
    nothing = np.zeros(0, int)
    results = read_masks(result)
    candidate = next(results, None)
    for index, ids, masks in read_masks(truth):
        while candidate is not None and candidate[0] < index:
            candidate = next(results, None)
        if candidate is None or candidate[0] > index:
            yield FramePairs(ids, nothing, np.zeros((len(ids), 0)), np.zeros((len(ids), 0)), missing=True)
            continue
        _, found_ids, found = candidate
        if found.shape[1:] != masks.shape[1:]:
            sizes = [f"{width}×{height}" for height, width in (found.shape[1:], masks.shape[1:])]
            raise InputError(
                f"frame {index} is {sizes[0]} in {result} and {sizes[1]} in {truth}; give two files of the same clip"
            )
        yield FramePairs(ids, found_ids, mask_iou(masks, found), boundary_f(masks, found), missing=False)


def mask_iou(truth: np.ndarray, result: np.ndarray) -> np.ndarray:
    """Intersection over union of T×H×W with R×H×W bool masks, T×R."""
    return rle.iou([rle.encode_mask(mask) for mask in truth], [rle.encode_mask(mask) for mask in result])


def boundary_f(truth: np.ndarray, result: np.ndarray) -> np.ndarray:
    """Boundary F of T×H×W with R×H×W bool masks, T×R; see `davis_scores`."""
    reach = math.ceil(TOLERANCE * math.hypot(*truth.shape[1:]))
    scores = np.zeros((len(truth), len(result)))
    if not scores.size:
        return scores
    found = [outline(mask, reach) for mask in result]
    for row, (true_line, near_truth) in enumerate(outline(mask, reach) for mask in truth):
        for column, (found_line, near_found) in enumerate(found):
            if len(true_line[0]) and len(found_line[0]):
                precision, recall = near_truth[found_line].mean(), near_found[true_line].mean()
                scores[row, column] = 2 * precision * recall / (precision + recall) if precision + recall else 0
            else:  # a mask that fills the image has no boundary
                scores[row, column] = len(true_line[0]) == len(found_line[0])
    return scores


def outline(mask: np.ndarray, reach: int) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
    """Find the boundary of a mask.

    A pixel is on it if it differs from its neighbour to the right, below, or both ways, as in the DAVIS toolkit.

    Args:
        mask: H×W bool, not empty.
        reach: pixels.

    Returns:
        The rows and columns of the boundary's pixels, and an H×W bool array: what lies within `reach` of one of them.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    # Beside the mask there is only background: the boundary lies up to a pixel outside, its surroundings `reach` more.
    top, left = max(rows[0] - 1 - reach, 0), max(columns[0] - 1 - reach, 0)
    window = slice(top, rows[-1] + 2 + reach), slice(left, columns[-1] + 2 + reach)
    part = mask[window]
    line = np.zeros(part.shape, np.uint8)
    line[:-1] |= part[:-1] != part[1:]
    line[:, :-1] |= part[:, :-1] != part[:, 1:]
    line[:-1, :-1] |= part[:-1, :-1] != part[1:, 1:]
    y, x = np.ogrid[-reach : reach + 1, -reach : reach + 1]
    near = np.zeros(mask.shape, bool)
    near[window] = cv2.dilate(line, (x * x + y * y <= reach * reach).astype(np.uint8))
    rows, columns = np.nonzero(line)
    return (rows + top, columns + left), near
