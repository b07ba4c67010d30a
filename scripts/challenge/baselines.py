"""Two common ways to follow objects by name, on the weights and the engine of vidseg, which is measured against them.

Both go through a clip once, frame by frame, and yield what they see on each frame; masks may overlap.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scripts.detections import boxes_of, iou, masks_by_id, names_of
from vidseg.io.clip import Clip, Frame
from vidseg.model import Model
from vidseg.prompts.geometry import Box
from vidseg.sam.frame import FrameMasks
from vidseg.tracking.options import THRESHOLDS, TrackOptions
from vidseg.tracking.pending import PendingFrame
from vidseg.tracking.registry import Identity


@dataclass
class Followed:
    """What a baseline sees on one frame.

    Attributes:
        frame: the frame.
        masks: the mask [H, W] bool of each object that is visible, by id.
        labels: the labels of all objects so far, by id.
    """

    frame: Frame
    masks: dict[int, np.ndarray]
    labels: Mapping[int, str]


def single_keyframe(model: Model, clip: Path, phrases: Sequence[str]) -> Iterator[Followed]:
    """Plain SAM 2: detect once, on the first frame on which anything is found, and propagate to the end.

    The detector looks twice a second until then.
    """
    propagator, labels = model.propagator(), {}
    next_scan = 0.0
    for frame in Clip(clip).frames():
        part = None
        if labels:
            part = propagator.step(propagator.embed(frame.image), frame.index)
        elif frame.time >= next_scan - 1e-6:
            next_scan = frame.time + THRESHOLDS.scan_interval
            boxes, names = find(model, frame, phrases)
            labels.update(enumerate(names, start=1))
            if labels:
                part = propagator.prompt(propagator.embed(frame.image), frame.index, dict(enumerate(boxes, start=1)))
        yield Followed(frame, drawn(model, part, frame), labels)


def detect_every(
    model: Model, clip: Path, phrases: Sequence[str], interval: int = 20, same: float = 0.8
) -> Iterator[Followed]:
    """The usual loop: detect every `interval` frames and start over there, with a fresh propagator for what was found.

    A box whose mask has an IoU of at least `same` with a mask that the old propagator has on this very frame takes over
    its id, best pairs first; any other box is a new object. An object without a box at that moment is lost.
    """
    propagator, labels = model.propagator(), {}
    ids: dict[int, int] = {}  # the propagator numbers its boxes from 0; these are the objects they stand for
    for frame in Clip(clip).frames():
        features = propagator.embed(frame.image)
        masks = drawn(model, propagator.step(features, frame.index), frame)
        if frame.index % interval == 0:
            old = {ids[key]: mask for key, mask in masks.items()}
            boxes, names = find(model, frame, phrases)
            propagator = model.propagator()
            part = propagator.prompt(features, frame.index, dict(enumerate(boxes))) if boxes else None
            masks = drawn(model, part, frame)
            ids = carry_over(masks, old, same)
            for key, name in enumerate(names):
                labels[ids.setdefault(key, len(labels) + 1)] = name
        yield Followed(frame, {ids[key]: mask for key, mask in masks.items()}, labels)


def find(model: Model, frame: Frame, phrases: Sequence[str]) -> tuple[list[Box], list[str]]:
    """Boxes and names of what the detector sees on a frame."""
    found = model.detector.detect(frame.image, phrases)
    return boxes_of(found), names_of(found)


def drawn(model: Model, part: FrameMasks | None, frame: Frame) -> dict[int, np.ndarray]:
    """The masks [H, W] bool of a frame that are not empty, drawn as the model draws them."""
    pending = PendingFrame(frame)
    pending.add(part)
    identities = {i: Identity(i, "") for i in pending.estimates}
    options = TrackOptions(allow_overlap=True, refine_edges=model.sharpen)
    return masks_by_id(pending.finalize(identities, options).detections)


def carry_over(fresh: Mapping[int, np.ndarray], old: Mapping[int, np.ndarray], same: float) -> dict[int, int]:
    """The old id that each fresh mask takes over: pairs with an IoU of at least `same`, best first, each side once."""
    pairs = sorted(((iou(a, b), key, i) for key, a in fresh.items() for i, b in old.items()), reverse=True)
    taken: dict[int, int] = {}
    for agreement, key, i in pairs:
        if agreement >= same and key not in taken and i not in taken.values():
            taken[key] = i
    return taken
