"""From low-resolution estimates to the masks of a frame, at its size, each pixel with one owner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import supervision as sv

from vidseg.sam.frame import upsample
from vidseg.tracking.occlusion import occlusion_order
from vidseg.tracking.refinement import refine_edges
from vidseg.tracks.frame import mask_bounds

if TYPE_CHECKING:
    from vidseg.tracking.options import TrackOptions
    from vidseg.tracking.pending import MaskEstimate
    from vidseg.tracking.registry import Identity


def composite(
    image: np.ndarray, estimates: Mapping[int, MaskEstimate], identities: Mapping[int, Identity], options: TrackOptions
) -> sv.Detections:
    """The objects of a frame, in order of their track ids.

    Unless masks may overlap, a pixel goes to the object it is most surely of, by its logit (and the picture, if that
    moves outlines) and SAM's confidence in the mask. Where one mask lies mostly on another, one of the two has all that
    both claim, or the other cannot be seen at all (`vidseg.tracking.occlusion`).

    Args:
        image: H×W×3 uint8 RGB, the frame.
        estimates: of the visible objects, by internal id.
        identities: how users know the objects, by internal id; others are left out. What users point at counts as
            certain.
        options: `allow_overlap`, `refine_edges` and the thresholds.

    Returns:
        Detections at the size of the frame; objects without a single pixel are left out.
    """
    ids = sorted((i for i in estimates if i in identities), key=lambda i: identities[i].track_id)
    layers: list[tuple[int, int]] = []
    if not options.allow_overlap:
        user_prompted = {i for i in ids if identities[i].user_prompted}
        hidden, layers = occlusion_order({i: estimates[i] for i in ids}, user_prompted, options.thresholds)
        ids = [i for i in ids if i not in hidden]
    masks, owner = _draw(image, [(estimates[i], identities[i].user_prompted) for i in ids], options)
    if not options.allow_overlap:
        for behind, front in layers:
            owner[masks[ids.index(front)] & (owner == ids.index(behind))] = ids.index(front)
        for row in range(len(ids)):
            masks[row] = owner == row
    kept = [row for row in range(len(ids)) if masks[row].any()]
    return sv.Detections(
        xyxy=np.array([mask_bounds(masks[row]) for row in kept], np.float32).reshape(-1, 4),
        mask=masks[kept],
        confidence=np.array([estimates[ids[row]].score for row in kept], np.float32),
        tracker_id=np.array([identities[ids[row]].track_id for row in kept], int),
        data={"class_name": np.array([identities[ids[row]].label for row in kept], dtype=str)},
    )


def _draw(
    image: np.ndarray, estimates: Sequence[tuple[MaskEstimate, bool]], options: TrackOptions
) -> tuple[np.ndarray, np.ndarray]:
    """Draw masks at the size of a frame, one after the other.

    Args:
        image: H×W×3 uint8 RGB, the frame.
        estimates: N of them, each with whether users point at the object.
        options: as of `composite`.

    Returns:
        masks: [N, H, W] bool, each pixel in all masks that claim it.
        owner: [H, W] int16, the row whose claim is the strongest; -1 where there is none, and everywhere if masks may
            overlap.
    """
    height, width = image.shape[:2]
    masks = np.zeros((len(estimates), height, width), bool)
    best = np.full((height, width), -np.inf)  # the highest score of each pixel so far
    owner = np.full((height, width), -1, np.int16)
    for row, (estimate, user_prompted) in enumerate(estimates):
        large = upsample(estimate.logits, height, width)
        certainty = None
        if options.refine_edges:
            certainty = refine_edges(large, image, tuple(estimate.logits.shape), options.thresholds)
        inside = large > 0 if certainty is None else certainty > 0.5
        masks[row] = inside
        if options.allow_overlap:
            continue
        # In double precision, where two that are nearly certain still differ
        if certainty is None:
            pixel_score = 1 / (1 + np.exp(-large[inside].astype(float)))
        else:
            pixel_score = certainty[inside].astype(float)
        pixel_score *= 1 if user_prompted else max(estimate.score, 0) ** options.thresholds.confidence_power
        won = pixel_score > best[inside]
        inside[inside] = won
        best[inside], owner[inside] = pixel_score[won], row
    return masks, owner
