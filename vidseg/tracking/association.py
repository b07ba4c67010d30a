"""What the detections on one frame are of: tracks in view, tracks that were lost, or new ones.

Nothing here changes a track, a mask or a memory: `match` and `associate` say what should happen, and
`vidseg.tracking.update` does it. Where one decision depends on another, both are tried out on copies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import supervision as sv
from torch import Tensor

from vidseg.tracking.appearance import appearance_embedding, similarity
from vidseg.tracking.detections import FrameDetections
from vidseg.tracking.matching import coverage, mask_iou, match_boxes, overlap_coefficient
from vidseg.tracking.pending import MaskEstimate, PendingFrame
from vidseg.tracking.registry import TrackRegistry


@dataclass(frozen=True)
class Candidate:
    """A detection that no track in view accounts for, and the mask that it prompts.

    Attributes:
        internal_id: of its own, for the memory that the prompt has made.
        label, score: as detected.
        estimate: its mask; None if SAM sees nothing there.
    """

    internal_id: int
    label: str
    score: float
    estimate: MaskEstimate | None


@dataclass(frozen=True)
class Match:
    """A detection of a track that is known: by internal id, with the detection's label and score."""

    track: int
    label: str
    score: float


@dataclass(frozen=True)
class Matches:
    """What `match` has found out.

    Attributes:
        ambiguous: detections of tracks that pass each other: they only say that the tracks are there.
        matched: detections of tracks in view, by their masks.
        unmatched: the other detections that no track passing another accounts for.
        unmatched_tracks: ids of tracks in view that no detection agrees with.
    """

    ambiguous: tuple[Match, ...]
    matched: tuple[Match, ...]
    unmatched: FrameDetections
    unmatched_tracks: frozenset[int]


@dataclass(frozen=True)
class Reprompt:
    """A candidate is of a track in view, whose mask has come to show only a part of it, or too much."""

    candidate: Candidate
    track: int


@dataclass(frozen=True)
class CandidateOutcome:
    """What becomes of a candidate that no track in view accounts for.

    Attributes:
        candidate: the detection.
        track: internal id of the track that it is of from now on: its own, or that of a lost track; None: it shows
            nothing new.
        confirmed: whether a new track needs no second detection.
        same_mask: ids of tracks that have the same mask, so that its label is evidence for theirs.
    """

    candidate: Candidate
    track: int | None = None
    confirmed: bool = False
    same_mask: tuple[int, ...] = ()

    @property
    def recovered(self) -> bool:
        """Whether it is a track that was lost."""
        return self.track is not None and self.track != self.candidate.internal_id


@dataclass(frozen=True)
class Association:
    """What should happen to the tracks on a frame, in this order.

    Attributes:
        reprompted: tracks in view that get the mask of a candidate.
        removed: ids of tracks that are carried no further: tentative ones that were not detected a second time, and
            those whose mask has drifted onto something else.
        outcomes: what becomes of the other candidates, in the order in which they choose.
    """

    reprompted: tuple[Reprompt, ...] = ()
    removed: tuple[int, ...] = ()
    outcomes: tuple[CandidateOutcome, ...] = ()


def match(
    found: FrameDetections, now: PendingFrame, registry: TrackRegistry, predicted_boxes: Mapping[int, np.ndarray]
) -> Matches:
    """Match detections to the tracks in view by their boxes.

    Args:
        found: on the frame.
        now: the frame, with the masks of the tracks in view.
        registry: of the run.
        predicted_boxes: boxes [4] of tracks that pass each other, by internal id: their masks are not to be trusted.
    """
    min_iou = registry.thresholds.match_iou
    ids, boxes = now.boxes()
    ambiguous, found = _split_ambiguous(found, registry, predicted_boxes)
    names = [registry.tracks[i].label_scores for i in ids]
    rows = match_boxes(found.boxes, found.labels, boxes, names, min_iou)
    matched = tuple(Match(ids[column], found.labels[row], float(found.scores[row])) for row, column in rows.items())
    unmatched = found.keep(np.array([row not in rows for row in range(len(found.boxes))], bool))
    unmatched_tracks = set(ids) - {one.track for one in matched} - set(predicted_boxes)
    return Matches(ambiguous, matched, unmatched, frozenset(unmatched_tracks))


def _split_ambiguous(
    found: FrameDetections, registry: TrackRegistry, predicted_boxes: Mapping[int, np.ndarray]
) -> tuple[tuple[Match, ...], FrameDetections]:
    """Detections of tracks that pass each other, and the others."""
    ids = [i for i in predicted_boxes if i in registry.tracks]
    if not ids or not len(found.boxes):
        return (), found
    iou = sv.box_iou_batch(found.boxes, np.stack([predicted_boxes[i] for i in ids]))
    theirs = iou.max(1) >= registry.thresholds.match_iou
    matches = []
    for row in np.flatnonzero(theirs):
        track = ids[int(iou[row].argmax())]
        if found.labels[row] in registry.tracks[track].label_scores:
            matches.append(Match(track, found.labels[row], float(found.scores[row])))
    return tuple(matches), found.keep(~theirs)


def associate(
    candidates: Sequence[Candidate],
    unmatched_tracks: frozenset[int],
    now: PendingFrame,
    registry: TrackRegistry,
    top: Tensor | None,
    deferred: frozenset[int] = frozenset(),
    will_redetect: bool = True,
) -> Association:
    """Decide what the candidates are of, and which tracks end (docs/tracking.md says how).

    Args:
        candidates: detections without a track, with their masks.
        unmatched_tracks: ids of tracks in view that no detection agrees with.
        now: the frame, with the masks of the tracks in view.
        registry: of the run, with what the matched detections say.
        top: [1, C, h, w] features of the frame; may be None if there are neither candidates nor tracks in view.
        deferred: ids of tentative tracks that another detection run is to decide about.
        will_redetect: whether there were other detection runs and will be more. Else all that is found is confirmed.
    """
    trial = _Trial(now.copy(), registry.copy(), top, will_redetect)
    reprompted, removed = [], []
    if will_redetect:
        left = set(unmatched_tracks)
        for candidate in candidates:
            track = trial.reprompt(candidate, left)
            if track is not None:
                left.remove(track)
                reprompted.append(Reprompt(candidate, track))
        removed = trial.prune(left, deferred)
        taken = {one.candidate.internal_id for one in reprompted}
        candidates = [candidate for candidate in candidates if candidate.internal_id not in taken]
    # A lost track goes to the candidate that looks most like it; then the best score chooses.
    ordered = sorted(candidates, key=lambda candidate: -max(trial.similarities(candidate).values(), default=0.0))
    outcomes = [trial.initialize_or_reidentify(candidate) for candidate in ordered]
    return Association(tuple(reprompted), tuple(removed), tuple(outcomes))


@dataclass
class _Trial:
    """Copies of a frame's masks and of the tracks, on which decisions are tried out one after the other."""

    now: PendingFrame
    registry: TrackRegistry
    top: Tensor | None
    will_redetect: bool

    def reprompt(self, candidate: Candidate, unmatched_tracks: set[int]) -> int | None:
        """Id of the track whose mask a candidate's should replace; the track keeps its earlier prompts."""
        estimate = candidate.estimate
        if estimate is None:
            return None
        for internal_id in sorted(unmatched_tracks):
            track = self.registry.tracks[internal_id]
            old = self.now.estimates[internal_id].mask
            known = not track.user_prompted and candidate.label in track.label_scores
            if known and overlap_coefficient(old, estimate.mask) > self.registry.thresholds.max_coverage:
                self.now.set(internal_id, estimate)
                self.registry.add_detection(internal_id, candidate.label, candidate.score)
                return internal_id
        return None

    def prune(self, unmatched_tracks: set[int], deferred: frozenset[int]) -> list[int]:
        """Ids of tracks to give up: false alarms, and masks that have drifted onto something else."""
        removed = []
        for internal_id in self.registry.tentative() - deferred:
            self.now.drop(internal_id)
            self.registry.discard(internal_id)
            removed.append(internal_id)
        for internal_id in unmatched_tracks & set(self.now.estimates):
            embedding = self._embedding(self.now.estimates[internal_id])
            known = self.registry.tracks[internal_id].embeddings
            if similarity(embedding, known) < self.registry.thresholds.drift_similarity:
                self.now.drop(internal_id)
                removed.append(internal_id)
        return removed

    def initialize_or_reidentify(self, candidate: Candidate) -> CandidateOutcome:
        """Let a candidate be a track: one that was lost, or a new one; or none, if it shows nothing new."""
        limits, estimate = self.registry.thresholds, candidate.estimate
        if estimate is None:
            return CandidateOutcome(candidate)
        others = {i: other.mask for i, other in self.now.estimates.items()}
        if coverage(estimate.mask, list(others.values())) > limits.max_coverage:
            # One thing by two names: evidence for the other name
            same = [i for i, mask in others.items() if mask_iou([estimate.mask], [mask]) > limits.max_coverage]
            for internal_id in same:
                self.registry.add_label(internal_id, candidate.label, candidate.score)
            return CandidateOutcome(candidate, same_mask=tuple(same))
        similarities = self.similarities(candidate)
        if similarities:
            lost = max(similarities, key=lambda i: similarities[i])
            self.now.set(lost, estimate)
            self.registry.add_label(lost, candidate.label, candidate.score)
            return CandidateOutcome(candidate, lost)
        confirmed = not self.will_redetect or candidate.score >= limits.strong_score
        self.now.set(candidate.internal_id, estimate)
        self.registry.create(candidate.internal_id, self.now.frame.index, candidate.label, candidate.score)
        if confirmed:
            self.registry.confirm(candidate.internal_id)
        return CandidateOutcome(candidate, candidate.internal_id, confirmed)

    def similarities(self, candidate: Candidate) -> dict[int, float]:
        """How much a candidate looks like tracks of its label that are out of view, where that is enough to be one."""
        if not self.will_redetect or candidate.estimate is None:
            return {}
        embedding = self._embedding(candidate.estimate)
        found = {
            i: similarity(embedding, track.embeddings)
            for i, track in self.registry.tracks.items()
            if track.confirmed and track.label == candidate.label and i not in self.now.estimates
        }
        return {i: value for i, value in found.items() if value >= self.registry.thresholds.reid_similarity}

    def _embedding(self, estimate: MaskEstimate) -> Tensor:
        assert self.top is not None  # there are masks, so the frame is encoded
        return appearance_embedding(self.top, estimate.logits)
