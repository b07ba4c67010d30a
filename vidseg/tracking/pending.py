"""A frame on its way through: tracked, but not final while later frames may still change what is on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor

from vidseg.io.clip import Frame
from vidseg.sam.frame import FrameMasks
from vidseg.tracking.compositing import composite
from vidseg.tracking.options import TrackOptions
from vidseg.tracking.registry import Identity
from vidseg.tracks.frame import TrackedFrame


@dataclass(frozen=True)
class MaskEstimate:
    """The mask of one object on one frame, as far as it is known.

    Attributes:
        logits: [h, w] float16 low-resolution mask logits, > 0 is object. Float16 takes half the memory and leaves masks
            as they are (a logit too small for it counts as none).
        score: SAM's own confidence: predicted IoU × P(visible), 0..1.
    """

    logits: Tensor
    score: float

    @property
    def mask(self) -> Tensor:
        """[h, w] bool."""
        return self.logits > 0


@dataclass
class PendingFrame:
    """One frame and the estimates of the objects that are visible on it; the only writer of these.

    Attributes:
        frame: as it was decoded.
        estimates: of every visible object, by internal id. For reading.
    """

    frame: Frame
    _estimates: dict[int, MaskEstimate] = field(default_factory=dict)

    @property
    def estimates(self) -> Mapping[int, MaskEstimate]:
        """The estimates by internal id, to read."""
        return MappingProxyType(self._estimates)

    @property
    def time(self) -> float:
        """Seconds since the clip began."""
        return self.frame.time

    def copy(self) -> PendingFrame:
        """The same frame with estimates of its own, to try out what would become of them."""
        return PendingFrame(self.frame, dict(self._estimates))

    def add(self, masks: FrameMasks | None) -> None:
        """Note what the network says about some objects; those that are not visible have no estimate."""
        if masks is None:
            return
        logits = masks.logits.half()
        # One synchronization with the device for all objects.
        confidence = (masks.ious * masks.object_scores.sigmoid()).tolist()
        visible = ((masks.object_scores > 0) & (logits > 0).flatten(1).any(1)).tolist()
        for row, internal_id in enumerate(masks.ids):
            if visible[row]:
                # A copy, so that an object that is dropped frees its share of the batch.
                self.set(internal_id, MaskEstimate(logits[row].clone(), confidence[row]))
            else:
                self.drop(internal_id)

    def set(self, internal_id: int, estimate: MaskEstimate) -> None:
        """Give an object an estimate, in place of the one that it has."""
        self._estimates[internal_id] = estimate

    def drop(self, internal_id: int) -> None:
        """Take an object from the frame, if it is there."""
        self._estimates.pop(internal_id, None)

    def swap(self, a: int, b: int) -> None:
        """Let two objects have each other's estimate, or none if the other has none."""
        self._estimates |= {i: self._estimates.pop(j) for i, j in ((a, b), (b, a)) if j in self._estimates}

    def boxes(self) -> tuple[list[int], np.ndarray]:
        """Ids of the visible objects, and the bounding boxes of their masks in pixels of the frame, [N, 4]."""
        height, width = self.frame.image.shape[:2]
        found = []
        for estimate in self._estimates.values():
            inside = estimate.mask
            rows, columns = (torch.nonzero(inside.any(axis)).flatten() for axis in (1, 0))
            step = height / inside.shape[0], width / inside.shape[1]
            left, right = int(columns[0]) * step[1], (int(columns[-1]) + 1) * step[1]
            top, bottom = int(rows[0]) * step[0], (int(rows[-1]) + 1) * step[0]
            found.append((left, top, right, bottom))
        return list(self._estimates), np.array(found, np.float32).reshape(-1, 4)

    def finalize(self, identities: Mapping[int, Identity], options: TrackOptions) -> TrackedFrame:
        """The frame as users get it.

        Args:
            identities: how users know the objects, by internal id; others are left out.
            options: whether masks may overlap, and whether outlines follow the picture.
        """
        detections = composite(self.frame.image, self._estimates, identities, options)
        frame = self.frame
        return TrackedFrame(frame.index, frame.time, frame.image, detections, frame.duration)
