"""What the detections on a frame change: the one place where tracks, masks and memories follow `associate`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from vidseg.sam.frame import FrameFeatures
from vidseg.sam.propagator import Propagator
from vidseg.tracking.association import Candidate, CandidateOutcome, associate, match
from vidseg.tracking.detections import FrameDetections, as_box
from vidseg.tracking.pending import PendingFrame
from vidseg.tracking.registry import TrackRegistry


@dataclass(frozen=True)
class Outcome:
    """What has become of the detections on a frame.

    Attributes:
        matched: ids of the tracks in view whose mask a detection agrees with.
        begun: ids of tracks that were not in view before.
    """

    matched: list[int]
    begun: list[int]


@dataclass(frozen=True, kw_only=True)
class TrackUpdate:
    """Brings the tracks on one frame in line with the detections on it.

    Attributes:
        registry, propagator: of the run.
        now: the frame, with the masks of the tracks in view.
        features: of the frame; may be None if there are neither detections nor tracks in view.
        predicted_boxes: boxes [4] of tracks that pass each other, by internal id: their masks are not to be trusted,
            nor do they count as drifted.
        deferred: ids of tentative tracks that another detection run is to decide about.
        will_redetect: whether there were other detection runs and will be more. Else all that is found is confirmed.
    """

    registry: TrackRegistry
    propagator: Propagator
    now: PendingFrame
    features: FrameFeatures | None
    predicted_boxes: Mapping[int, np.ndarray] = field(default_factory=dict)
    deferred: frozenset[int] = frozenset()
    will_redetect: bool = True

    def apply(self, found: FrameDetections) -> Outcome:
        """Match, reprompt, prune, and begin tracks."""
        matches = match(found, self.now, self.registry, self.predicted_boxes)
        for one in (*matches.ambiguous, *matches.matched):
            self.registry.add_detection(one.track, one.label, one.score)
        candidates = self._prompt(matches.unmatched)
        association = associate(
            candidates,
            matches.unmatched_tracks,
            self.now,
            self.registry,
            self.features.top if self.features else None,
            self.deferred,
            self.will_redetect,
        )
        for one in association.reprompted:
            self._take_over(one.candidate, one.track)
            self.registry.add_detection(one.track, one.candidate.label, one.candidate.score)
        for internal_id in association.removed:
            self._remove(internal_id)
        for one in association.outcomes:
            self._begin_or_recover(one)
        begun = [one.track for one in association.outcomes if one.track is not None]
        return Outcome([one.track for one in matches.matched], begun)

    def _prompt(self, found: FrameDetections) -> list[Candidate]:
        """Masks for detections, under ids of their own."""
        ids = self.registry.reserve(len(found.boxes))
        if not ids or self.features is None:
            return []
        prompts = {i: as_box(box) for i, box in zip(ids, found.boxes)}
        shown = PendingFrame(self.now.frame)
        shown.add(self.propagator.prompt(self.features, self.now.frame.index, prompts))
        return [
            Candidate(i, label, float(score), shown.estimates.get(i))
            for i, label, score in zip(ids, found.labels, found.scores)
        ]

    def _take_over(self, candidate: Candidate, track: int) -> None:
        """Give a candidate's mask and prompt to a track, which keeps its earlier prompts if it is still carried."""
        self.propagator.transfer(candidate.internal_id, track, self.now.frame.index)
        if candidate.estimate is not None:
            self.now.set(track, candidate.estimate)

    def _remove(self, internal_id: int) -> None:
        """Carry a track no further. It can be reidentified, unless it was a false alarm: that is forgotten."""
        self.propagator.discard(internal_id)
        self.now.drop(internal_id)
        if internal_id in self.registry.tentative() - self.deferred:
            self.registry.discard(internal_id)

    def _begin_or_recover(self, one: CandidateOutcome) -> None:
        candidate = one.candidate
        if one.track is None:
            self.propagator.discard(candidate.internal_id)
            for internal_id in one.same_mask:
                self.registry.add_label(internal_id, candidate.label, candidate.score)
        elif one.recovered:
            self._take_over(candidate, one.track)
            self.registry.add_label(one.track, candidate.label, candidate.score)
        else:
            assert candidate.estimate is not None
            self.now.set(candidate.internal_id, candidate.estimate)
            self.registry.create(candidate.internal_id, self.now.frame.index, candidate.label, candidate.score)
            if one.confirmed:
                self.registry.confirm(candidate.internal_id)
