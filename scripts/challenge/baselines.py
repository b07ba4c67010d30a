"""Two common ways to follow objects by name, on the same weights and the same engine as vidseg: what it is measured against.

Both go through a clip once, frame by frame, and yield what they see on each frame; overlaps of masks are left as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scripts.demo_models.score.clips import iou
from vidseg.io.clip import Clip, Frame
from vidseg.model import Model
from vidseg.prompts.geometry import Box
from vidseg.sam.frame import FrameMasks
from vidseg.tracking.pending import WaitingFrame
from vidseg.tracking.propagation_pass import SCAN_INTERVAL


@dataclass
class Followed:
    """One frame: the mask [H, W] bool of each object that is visible, and the labels of all objects so far, by id."""

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
            next_scan = frame.time + SCAN_INTERVAL
            boxes, names = find(model, frame, phrases)
            labels.update(enumerate(names, start=1))
            if labels:
                part = propagator.prompt(propagator.embed(frame.image), frame.index, dict(enumerate(boxes, start=1)))
        yield Followed(frame, masks_by_id(model, part, frame), labels)


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
        masks = masks_by_id(model, propagator.step(features, frame.index), frame)
        if frame.index % interval == 0:
            old = {ids[key]: mask for key, mask in masks.items()}
            boxes, names = find(model, frame, phrases)
            propagator = model.propagator()
            masks = masks_by_id(
                model, propagator.prompt(features, frame.index, dict(enumerate(boxes))) if boxes else None, frame
            )
            ids = carry_over(masks, old, same)
            for key, name in enumerate(names):
                labels[ids.setdefault(key, len(labels) + 1)] = name
        yield Followed(frame, {ids[key]: mask for key, mask in masks.items()}, labels)


def find(model: Model, frame: Frame, phrases: Sequence[str]) -> tuple[list[Box], list[str]]:
    """Boxes and names of what the detector sees on a frame."""
    found = model.detector.detect(frame.image, phrases)
    return [Box(tuple(float(value) for value in box)) for box in found.xyxy], [
        str(name) for name in found.data["class_name"]
    ]


def masks_by_id(model: Model, part: FrameMasks | None, frame: Frame) -> dict[int, np.ndarray]:
    """The masks [H, W] bool of a frame that are not empty, drawn as the model draws them."""
    now = WaitingFrame(frame)
    now.add(part)
    shown = now.finished(
        dict.fromkeys(now.logits, ""), {i: i for i in now.logits}, allow_overlap=True, sharpen=model.sharpen
    ).detections
    return dict(zip(shown.tracker_id.tolist(), shown.mask))


def carry_over(fresh: Mapping[int, np.ndarray], old: Mapping[int, np.ndarray], same: float) -> dict[int, int]:
    """Which old id each fresh mask takes over: pairs with an IoU of at least `same`, best first, each side used once."""
    pairs = sorted(((iou(a, b), key, i) for key, a in fresh.items() for i, b in old.items()), reverse=True)
    taken: dict[int, int] = {}
    for agreement, key, i in pairs:
        if agreement >= same and key not in taken and i not in taken.values():
            taken[key] = i
    return taken
