"""Two objects that look alike pass each other: where appearance cannot tell who is who, motion does.

While one hides the other, both masks come to lie on whichever is in front, and memory fills with it under both ids.
What was seen before that tells where each goes: straight on, as in SORT (Bewley et al. 2016,
https://arxiv.org/abs/1602.00763).

`CrossingResolver` watches and decides; it changes neither masks nor memories.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np
import supervision as sv
from torch import Tensor

from vidseg.sam.frame import FrameFeatures
from vidseg.tracking.appearance import appearance_embedding
from vidseg.tracking.matching import overlap_coefficient
from vidseg.tracking.motion import MotionHistory, trimmed_boxes
from vidseg.tracking.options import THRESHOLDS, Thresholds
from vidseg.tracking.pending import PendingFrame

Pair = tuple[int, int]  # internal ids of two tracks, the lower first


@dataclass
class Encounter:
    """Two objects whose boxes touch.

    Attributes:
        began: time in s.
        histories: of both, up to then.
        alike: whether they look alike.
        ambiguous: whether one mask has come to lie on the other, or has vanished.
        frames_apart: for how many frames in a row the masks have been apart since.
        distance: how far from each other they were predicted on the last frame: along both axes together, in pixels.
        resolved: whether it is known who is who, if only from what can be seen while they still overlap.
    """

    began: float
    histories: tuple[MotionHistory, MotionHistory]
    alike: bool
    ambiguous: bool = False
    frames_apart: int = 0
    distance: float = np.inf
    resolved: bool = False

    @property
    def embeddings(self) -> list[Tensor]:
        """How both looked before they met."""
        return [history.embedding for history in self.histories]

    def predict(self, time: float) -> np.ndarray:
        """Where the two are predicted to be, [2, 4]."""
        return np.stack([history.predict(time) for history in self.histories])


@dataclass(frozen=True)
class Resolution:
    """What should happen to two tracks that pass each other.

    Attributes:
        pair: their internal ids.
        swap_frames: on how many of the last frames they get each other's masks, with their memories; 0: none.
        boxes: [2, 4] boxes in which both should be prompted anew, in pixels; None: they stay as they are. The prompts
            count if `CrossingResolver.accepts` their masks.
        resolves: whether it is known who is who after that.
        ends: whether the encounter is over after that, if it is resolved.
    """

    pair: Pair
    swap_frames: int = 0
    boxes: np.ndarray | None = None
    resolves: bool = True
    ends: bool = False


@dataclass
class CrossingState:
    """What a resolver remembers.

    Attributes:
        free: how each object moved while nothing touched it, by internal id.
        encounters: those under way, by the ids of the two.
    """

    free: dict[int, MotionHistory] = field(default_factory=dict)
    encounters: dict[Pair, Encounter] = field(default_factory=dict)


class CrossingResolver:
    """Watches all objects of a pass, and says who is who when two that look alike have passed each other.

    Args:
        thresholds: the constants of the tracker.
        state: of an earlier resolver, to go on with.

    Attributes:
        state: all that it remembers. For reading, and for writing it down.
    """

    def __init__(self, thresholds: Thresholds = THRESHOLDS, state: CrossingState | None = None):
        self.state = state or CrossingState()
        self._thresholds = thresholds

    def reset(self) -> None:
        """Forget all objects."""
        self.state.free.clear()
        self.state.encounters.clear()

    def forget(self, ids: Collection[int]) -> None:
        """Forget objects that begin anew, and their encounters."""
        for internal_id in ids:
            self.state.free.pop(internal_id, None)
        for pair in [pair for pair in self.state.encounters if set(pair) & set(ids)]:
            del self.state.encounters[pair]

    def predicted_boxes(self, time: float) -> dict[int, np.ndarray]:
        """Boxes [4] of the objects whose masks say nothing about them now, by internal id."""
        return {
            i: box
            for pair, encounter in self.state.encounters.items()
            if encounter.ambiguous and not encounter.resolved
            for i, box in zip(pair, encounter.predict(time))
        }

    # -- watching ------------------------------------------------------------------------------------------------------

    def observe(self, now: PendingFrame, features: FrameFeatures) -> set[Pair]:
        """Note how objects move that nothing touches. Returns the pairs whose boxes touch."""
        ids, boxes = trimmed_boxes(now, self._thresholds.trim_scale)
        touch = sv.box_iou_batch(boxes, boxes) > 0 if ids else np.zeros((0, 0), bool)
        np.fill_diagonal(touch, False)
        for row, internal_id in enumerate(ids):
            if not touch[row].any():
                history = self.state.free.setdefault(internal_id, MotionHistory(self._thresholds.motion_span))
                embedding = appearance_embedding(features.top, now.estimates[internal_id].logits)
                history.add(now.time, boxes[row], embedding)
        return {(min(ids[a], ids[b]), max(ids[a], ids[b])) for a, b in np.argwhere(np.triu(touch))}

    def close_finished(self, pair: Pair, touching: Collection[Pair], ids: Collection[int], time: float) -> bool:
        """End an encounter with nothing to put right. Returns whether it has ended.

        That is when a track has ended, when the two have parted without being mistaken for each other, and when it took
        too long.
        """
        encounter = self.state.encounters[pair]
        parted = not encounter.ambiguous and pair not in touching
        over = abs(time - encounter.began) > self._thresholds.encounter_timeout or parted
        if over or not all(i in ids for i in pair):
            self._close(pair)
            return True
        return False

    def begin_encounters(self, touching: set[Pair], ids: Collection[int], time: float) -> None:
        """Note who has come to touch, and forget who is tracked no longer."""
        for pair in touching - set(self.state.encounters):
            # Without knowing where both are going, nothing can be said later.
            histories = [self.state.free[i].copy() if i in self.state.free else MotionHistory(0) for i in pair]
            for history in histories:
                history.forget(time)
            if all(len(history.seen) >= self._thresholds.motion_frames for history in histories):
                similarity = float(histories[0].embedding @ histories[1].embedding)
                alike = similarity >= self._thresholds.twin_similarity
                self.state.encounters[pair] = Encounter(time, (histories[0], histories[1]), alike)
        for internal_id in [i for i in self.state.free if i not in ids]:
            del self.state.free[internal_id]

    # -- deciding ------------------------------------------------------------------------------------------------------

    def resolve(self, pair: Pair, now: PendingFrame, features: FrameFeatures) -> Resolution | None:
        """See whether two that look alike are ambiguous, or apart again, and what should happen; None: nothing now."""
        encounter = self.state.encounters[pair]
        if not encounter.alike:
            return None
        masks = [now.estimates[i].mask for i in pair if i in now.estimates]
        apart = len(masks) == 2 and overlap_coefficient(*masks) <= self._thresholds.max_coverage
        encounter.frames_apart = encounter.frames_apart + 1 if apart else 0
        encounter.ambiguous |= not apart
        predicted = encounter.predict(now.time)
        overlap, near = (
            float(sv.box_iou_batch(boxes[:1], boxes[1:])[0, 0])
            for boxes in (predicted, sv.scale_boxes(predicted, self._thresholds.free_scale))
        )
        before = encounter.distance
        encounter.distance = float(np.abs((predicted[0] - predicted[1]).reshape(2, 2).mean(0)).sum())
        if not encounter.ambiguous or overlap > self._thresholds.separable_iou:
            return None
        if encounter.distance <= before:  # they have not met yet
            return None if apart else Resolution(pair, boxes=predicted, resolves=False)
        if encounter.resolved and apart and near:
            return None
        # Once as soon as both show, and again when all of both does
        return self._who_is_who(pair, predicted, now, features, ends=not near)

    def accepts(self, resolution: Resolution, trial: PendingFrame, features: FrameFeatures) -> bool:
        """Whether two prompts in the boxes of a resolution show the two objects, side by side, where they should be.

        Args:
            resolution: with boxes.
            trial: the frame, with the estimates of the two prompts, in their order.
            features: of the frame.
        """
        assert resolution.boxes is not None
        ids, found = trimmed_boxes(trial, self._thresholds.trim_scale)
        estimates = list(trial.estimates.values())
        if len(ids) < len(resolution.boxes):
            return False
        if overlap_coefficient(*(estimate.mask for estimate in estimates)) > self._thresholds.restart_coverage:
            return False
        if (np.diag(sv.box_iou_batch(found, resolution.boxes)) < self._thresholds.match_iou).any():
            return False
        embeddings = self.state.encounters[resolution.pair].embeddings
        return not any(
            float(appearance_embedding(features.top, estimate.logits) @ embedding) < self._thresholds.reid_similarity
            for estimate, embedding in zip(estimates, embeddings)
        )

    def conclude(self, resolution: Resolution, carried_out: bool) -> None:
        """Note what has become of a resolution: whether its prompts were accepted, or it had none."""
        if not resolution.resolves:
            return
        self.state.encounters[resolution.pair].resolved = carried_out
        if carried_out and resolution.ends:
            self._close(resolution.pair)

    def _close(self, pair: Pair) -> None:
        if self.state.encounters[pair].ambiguous:
            self.forget(pair)
        else:
            del self.state.encounters[pair]

    def _who_is_who(
        self, pair: Pair, predicted: np.ndarray, now: PendingFrame, features: FrameFeatures, ends: bool
    ) -> Resolution:
        """Each should have the mask where it is predicted: by a swap if need be, or by a prompt there."""
        encounter = self.state.encounters[pair]
        vote = self._appearance_vote(pair, encounter, now, features) if encounter.frames_apart else 0
        if vote:
            return Resolution(pair, swap_frames=encounter.frames_apart if vote < 0 else 0, ends=ends)
        boxes = dict(zip(*trimmed_boxes(now, self._thresholds.trim_scale)))
        agree = np.zeros((2, 2))  # IoU of the mask in a row with the predicted box in a column
        for row, internal_id in enumerate(pair):
            if internal_id in boxes:
                agree[row] = sv.box_iou_batch(boxes[internal_id][None], predicted)[0]
        swap_frames = 0
        if agree[[0, 1], [1, 0]].max() > agree.diagonal().max():
            swap_frames = max(1, encounter.frames_apart)
            boxes = {i: boxes[j] for i, j in (pair, pair[::-1]) if j in boxes}
            agree = agree[::-1]
        placed = self._thresholds.placed_iou
        places = [boxes[i] if agree[row, row] >= placed else predicted[row] for row, i in enumerate(pair)]
        return Resolution(pair, swap_frames, np.stack(places), ends=ends)

    def _appearance_vote(self, pair: Pair, encounter: Encounter, now: PendingFrame, features: FrameFeatures) -> int:
        """1 if each looks more like itself than like the other, −1 the other way round, 0 if that cannot be told."""
        seen = [appearance_embedding(features.top, now.estimates[i].logits) for i in pair]
        same, crossed = (
            sum(float(a @ b) for a, b in zip(seen, embeddings))
            for embeddings in (encounter.embeddings, encounter.embeddings[::-1])
        )
        if abs(same - crossed) < self._thresholds.appearance_margin:
            return 0
        return 1 if same > crossed else -1
