"""What the user's prompts on a frame change: the one place where tracks, masks and memories follow them."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from vidseg.prompts.object_prompt import ObjectPrompt
from vidseg.sam.frame import FrameFeatures
from vidseg.sam.propagator import Propagator
from vidseg.tracking.association import match
from vidseg.tracking.correction import prompted_objects
from vidseg.tracking.detections import FrameDetections, as_box
from vidseg.tracking.options import TrackOptions
from vidseg.tracking.pending import PendingFrame
from vidseg.tracking.registry import TrackRegistry

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class PromptUpdate:
    """Begins and corrects the tracks of objects that the user points at on one frame.

    Attributes:
        registry, propagator, options: of the run.
        now: the frame, with the masks of the tracks in view.
        features: of the frame.
        predicted_boxes: boxes [4] of tracks that pass each other, by internal id.
        reverse: whether frame numbers go down.
    """

    registry: TrackRegistry
    propagator: Propagator
    options: TrackOptions
    now: PendingFrame
    features: FrameFeatures
    predicted_boxes: Mapping[int, np.ndarray] = field(default_factory=dict)
    reverse: bool = False

    def undecided(self, prompts: Sequence[ObjectPrompt]) -> list[ObjectPrompt]:
        """Those that may correct an object with another id, or begin one: where they lie decides."""
        return [one for one in prompts if not one.new and one.id not in self.registry.state.prompted]

    def split(
        self, prompts: Sequence[ObjectPrompt], found: FrameDetections
    ) -> tuple[list[ObjectPrompt], list[ObjectPrompt]]:
        """The prompts to apply before the detections on the frame, and those to apply after them.

        The second correct what is only found on this very frame. The others come first, so that no detection begins a
        second track of what the user points at.
        """
        in_view = self._prompted_objects(prompts, self.now)
        left = [one for one in self.undecided(prompts) if one.id not in in_view]
        unmatched = match(found, self.now, self.registry, self.predicted_boxes).unmatched.boxes
        if not left or not len(unmatched):
            return list(prompts), []
        boxes = {-1 - row: as_box(box) for row, box in enumerate(unmatched)}  # under ids that no track has
        trial = PendingFrame(self.now.frame)
        trial.add(self.propagator.fork([]).prompt(self.features, self.now.frame.index, boxes))
        after = self._prompted_objects(left, trial)
        self.registry.release(after)
        return [one for one in prompts if one.id not in after], [one for one in prompts if one.id in after]

    def usable(self, prompts: Sequence[ObjectPrompt]) -> list[ObjectPrompt]:
        """Those that begin an object or correct one: all but clicks on what does not belong, which lie on no object."""
        known = self.registry.state.prompted.keys() | self._prompted_objects(prompts, self.now).keys()
        return [one for one in prompts if one.begins or one.id in known]

    def targets(self, prompts: Sequence[ObjectPrompt]) -> list[int]:
        """Internal ids of the tracks that prompts are of, one each: those they lie on, or new ones."""
        frame, corrected = self.now.frame.index, self._prompted_objects(prompts, self.now)
        ids = [self.registry.prompt(one.id, frame, corrected.get(one.id)) for one in prompts]
        for one, track in zip(prompts, (self.registry.tracks[i] for i in ids)):
            if one.id in corrected:
                logger.info("Frame %d: prompt %d corrects %s %d", frame, one.id, track.label, track.track_id)
        return ids

    def apply(self, prompts: Sequence[ObjectPrompt]) -> list[int]:
        """Begin and correct tracks, as far as the prompts are usable. Returns their internal ids."""
        usable = self.usable(prompts)
        self.registry.ignore({one.id for one in prompts} - {one.id for one in usable})
        ids = self.targets(usable)
        for internal_id, one in zip(ids, usable):
            masks = self.propagator.prompt(
                self.features, self.now.frame.index, {internal_id: one.prompt}, self.reverse, as_conditioning=True
            )
            self.now.add(masks)
        return ids

    def _prompted_objects(self, prompts: Sequence[ObjectPrompt], now: PendingFrame) -> dict[int, int]:
        undecided = self.undecided(prompts)
        return prompted_objects(undecided, now, self.registry, self.options) if undecided and now.estimates else {}
