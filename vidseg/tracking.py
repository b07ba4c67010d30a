"""The loop over a clip: find objects, give them ids, carry them forward, one record a frame.

The detector looks at the clip again and again (`redetect`), and at every scene cut. What it finds is matched to the
objects in view. What matches nothing is an object that was lost, if it looks like one, or a new one; either is carried
back to the previous look, so that it begins where it came in. Frames wait until that is settled: no longer than two
looks lie apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from vidseg.cuts import SceneCuts
from vidseg.errors import InputError
from vidseg.identity import ALIKE, COVERED, ENOUGH, STRANGE, STRONG, Known, assign, covered, look_of, mask_iou
from vidseg.overlap import prefetch
from vidseg.sam.prompts import Box
from vidseg.sam.propagator import FrameFeatures, Propagator
from vidseg.tracks import TrackedFrame
from vidseg.video import Clip, Frame
from vidseg.waiting import WaitingFrame

if TYPE_CHECKING:
    from vidseg.detection import Detector

SCAN_INTERVAL = 0.5  # seconds between the frames that are searched until something is found
COLLAPSED = 0.8  # IoU of two masks that are of the same pixels
PATIENCE = 3  # frames in a row for which two masks must agree to be one, or a mask carried back must be empty to end


@dataclass
class Newcomer:
    """A detection that no object in view accounts for, and the mask [h, w] that it prompts (None if nothing is visible)."""

    object_id: int
    label: str
    score: float
    logits: Tensor | None
    score_of_mask: float

    @property
    def mask(self) -> Tensor | None:
        return None if self.logits is None else self.logits > 0


class Tracking:
    """One run over a clip: iterate it for the frames, once, then ask it what happened.

    Args:
        clip: where the frames come from.
        propagator: fresh, without objects.
        detector, phrases: text prompt and who understands it; without them `boxes` says where the objects are.
        boxes: [N, 4] x1, y1, x2, y2 in pixels of the keyframe.
        keyframe: number of the frame to prompt on first. By default the first one (boxes), or the first one on which
            the detector finds anything, looking twice a second (text).
        redetect: seconds between two looks of the detector; None for a single keyframe.
        forget_after: seconds out of view after which an object is carried no further; it can still be found again.
        allow_overlap: keep masks as the network draws them; else every pixel has one owner at most.
        start, end: part of the clip in seconds, None for all of it.

    Attributes:
        keyframe: number of the frame the first object was found on; None as long as there was none.
        best_score: highest detection score seen so far, also below the threshold; 0.0 without a detector.
        labels: label of every object by id.
        seen: number of frames in which each object was visible, by id.
    """

    def __init__(
        self,
        clip: Clip,
        propagator: Propagator,
        detector: Detector | None = None,
        phrases: Sequence[str] = (),
        boxes: np.ndarray | None = None,
        keyframe: int | None = None,
        redetect: float | None = None,
        forget_after: float = 30.0,
        allow_overlap: bool = False,
        start: float | None = None,
        end: float | None = None,
    ):
        self.clip = clip
        self.keyframe: int | None = None
        self.best_score = 0.0
        self.labels: dict[int, str] = {}
        self.seen: dict[int, int] = {}
        self._propagator = propagator
        self._detector, self._phrases, self._boxes = detector, list(phrases), boxes
        self._wanted_keyframe = keyframe
        self._redetect = redetect if boxes is None else None
        self._forget_after, self._allow_overlap = forget_after, allow_overlap
        self._range = start, end
        self._known: dict[int, Known] = {}
        self._waiting: list[WaitingFrame] = []
        self._next_id = 1
        self._looks = 0  # how many there were; the time of the last, its frame, and the frame of the one before
        self._last_look = -np.inf
        self._looked_at = self._looked_before = -1
        self._agreeing: dict[tuple[int, int], int] = {}  # pairs of objects on the same pixels: for how many frames
        self._cuts = SceneCuts(float(clip.info.frame_rate or 25)) if self._redetect else None

    @property
    def warning(self) -> str | None:
        """One line if the clip turned out to be damaged, else None."""
        return self.clip.warning

    def __iter__(self) -> Iterator[TrackedFrame]:
        for frame in prefetch(self.clip.frames(*self._range)):
            self._take(frame)
            yield from self._settled()
        if self._wanted_keyframe is not None and not self._looks:
            raise InputError(f"{self.clip.path}: frame {self._wanted_keyframe}, the keyframe, is not in the part that was read")
        self._last_words()
        yield from self._settled(everything=True)

    # -- one frame ---------------------------------------------------------------------------------------------------

    def _take(self, frame: Frame) -> None:
        """Carry all objects to the next frame, and look for others if it is time."""
        now, features = WaitingFrame(frame), None
        self._waiting.append(now)
        cut = self._cuts is not None and self._cuts.begins(frame.image)
        if cut:
            self._looked_at = frame.index - 1  # nothing is carried back over a cut
        if self._propagator.banks:
            features = self._propagator.embed(frame.image)
            now.add(self._propagator.step(features, frame.index))
            if cut:
                self._close_scene(now, features)
            self._tidy(now)
        if self._is_keyframe(frame, cut):
            self._look(now, features)

    def _is_keyframe(self, frame: Frame, cut: bool) -> bool:
        """Whether to look for objects on this frame."""
        if self._wanted_keyframe is not None and not self._looks:
            return frame.index == self._wanted_keyframe
        if self._boxes is not None or (self._wanted_keyframe is not None and self._redetect is None):
            return not self._looks
        interval = self._redetect
        if self.keyframe is None:
            interval = min(SCAN_INTERVAL, interval or SCAN_INTERVAL)
        return interval is not None and (cut or frame.time - self._last_look >= interval - 1e-6)

    def _close_scene(self, now: WaitingFrame, features: FrameFeatures) -> None:
        """After a cut, an object goes on only where it looks like itself."""
        for object_id in list(self._propagator.banks):
            logits = now.logits.get(object_id)
            if logits is None or self._known[object_id].likeness(look_of(features.top, logits)) < ALIKE:
                self._put_to_sleep(object_id, now)

    def _tidy(self, now: WaitingFrame) -> None:
        """Note who is in view; forget who has not been for long; let the older keep the pixels that two objects share."""
        for object_id in now.logits:
            self._known[object_id].seen = now.frame.time
        if not self._redetect:
            return  # nothing would find again what is let go
        for object_id in list(self._propagator.banks):
            if now.frame.time - self._known[object_id].seen > self._forget_after:
                self._put_to_sleep(object_id, now)
        ids = sorted(now.logits, key=lambda i: (self._known[i].born, i))
        masks = [now.logits[i] > 0 for i in ids]
        together = [(ids[a], ids[b]) for a, b in (mask_iou(masks, masks) > COLLAPSED).triu(1).nonzero().tolist()]
        self._agreeing = {pair: self._agreeing.get(pair, 0) + 1 for pair in together}
        for (older, younger), frames in self._agreeing.items():
            if frames >= PATIENCE and younger in self._propagator.banks and older in self._propagator.banks:
                for waiting in self._waiting[-frames:]:
                    waiting.drop(younger)
                self._put_to_sleep(younger, now)

    def _put_to_sleep(self, object_id: int, now: WaitingFrame) -> None:
        """Carry an object no further. It stays known, and can be found again by its looks."""
        self._propagator.remove(object_id)
        now.drop(object_id)
        if not self._known[object_id].confirmed:
            self._discard(object_id)

    def _discard(self, object_id: int) -> None:
        """Drop a newcomer that was a false alarm, and all traces of it."""
        self._propagator.banks.pop(object_id, None)
        del self._known[object_id]
        for waiting in self._waiting:
            waiting.drop(object_id)

    # -- looking for objects -------------------------------------------------------------------------------------------

    def _look(self, now: WaitingFrame, features: FrameFeatures | None) -> None:
        """Run the detector on a frame, and settle what it has found."""
        boxes, labels, scores = self._find(now.frame)
        if features is None and (len(boxes) or now.logits):
            features = self._propagator.embed(now.frame.image)
        ids, masks = now.boxes()
        matched = assign(boxes, labels, masks, [self._known[i] for i in ids])
        for row, column in matched.items():
            self._second(ids[column], labels[row], float(scores[row]))
        spare = set(ids) - {ids[column] for column in matched.values()}
        newcomers = self._prompted(now, features, [(boxes[row], labels[row], float(scores[row])) for row in range(len(boxes)) if row not in matched])
        if self._redetect:
            newcomers = [newcomer for newcomer in newcomers if not self._corrected(now, newcomer, spare)]
            self._doubt(now, features, spare)
        found = [object_id for newcomer in self._most_alike_first(now, features, newcomers) for object_id in self._admit(now, features, newcomer)]
        if self._redetect:
            for object_id, logits in now.logits.items():
                self._known[object_id].looks.append(look_of(features.top, logits))
            self._look_back(now, found)
        self._looked_before, self._looked_at = self._looked_at, now.frame.index

    def _find(self, frame: Frame) -> tuple[np.ndarray, list[str], np.ndarray]:
        """Boxes [N, 4] of the objects on a frame, their labels and scores, best first."""
        self._looks += 1
        self._last_look = frame.time
        if self._boxes is not None:
            return self._boxes, ["object"] * len(self._boxes), np.ones(len(self._boxes))
        found = self._detector.detect(frame.image, self._phrases)
        self.best_score = max(self.best_score, self._detector.best_score)
        found = found[np.argsort(-found.confidence, kind="stable")]
        return found.xyxy, [str(name) for name in found.data["class_name"]], found.confidence

    def _prompted(self, now: WaitingFrame, features: FrameFeatures, detections) -> list[Newcomer]:
        """Masks for detections (box, label, score) that no object in view accounts for, under ids of their own."""
        first = self._next_id
        self._next_id += len(detections)
        prompts = {first + n: Box(tuple(float(value) for value in box)) for n, (box, *_) in enumerate(detections)}
        if not prompts:
            return []
        shown = WaitingFrame(now.frame)
        shown.add(self._propagator.prompt(features, now.frame.index, prompts))
        return [Newcomer(i, label, score, shown.logits.get(i), shown.scores.get(i, 0.0)) for i, (_, label, score) in zip(prompts, detections)]

    def _corrected(self, now: WaitingFrame, newcomer: Newcomer, spare: set[int]) -> bool:
        """Whether a detection is of an object in view whose mask has come to show only a part of it, or too much.

        spare: objects that no detection agrees with. The mask of the detection takes the place of the object's.
        """
        mask = newcomer.mask
        for object_id in sorted(spare) if mask is not None else ():
            old = now.logits[object_id] > 0
            if newcomer.label in self._known[object_id].votes and max(covered(old, [mask]), covered(mask, [old])) > COVERED:
                spare.remove(object_id)
                self._propagator.banks[object_id] = self._propagator.banks.pop(newcomer.object_id)
                now.logits[object_id], now.scores[object_id] = newcomer.logits, newcomer.score_of_mask
                self._second(object_id, newcomer.label, newcomer.score)
                return True
        return False

    def _second(self, object_id: int, label: str, score: float) -> None:
        """An object was detected once more."""
        known = self._known[object_id]
        known.votes[label] += score
        known.evidence += score
        if known.confirmed or known.evidence >= ENOUGH:
            self._confirm(object_id)

    def _doubt(self, now: WaitingFrame, features: FrameFeatures, spare: set[int]) -> None:
        """Give up newcomers that were not detected a second time, and objects whose mask has moved on to something else."""
        for object_id in [i for i, known in self._known.items() if not known.confirmed]:
            self._discard(object_id)
        for object_id in spare & set(now.logits):
            if self._known[object_id].likeness(look_of(features.top, now.logits[object_id])) < STRANGE:
                self._put_to_sleep(object_id, now)

    def _admit(self, now: WaitingFrame, features: FrameFeatures, newcomer: Newcomer) -> list[int]:
        """Let a newcomer be an object: one that was lost, or a new one. Returns its id, or nothing if it shows nothing new."""
        mask = newcomer.mask
        others = {i: logits > 0 for i, logits in now.logits.items()}
        if self._boxes is None and (mask is None or covered(mask, list(others.values())) > COVERED):
            self._propagator.remove(newcomer.object_id)
            for other in others if self._redetect and mask is not None else ():
                if mask_iou([mask], [others[other]]) > COVERED:  # one thing by two names: evidence for the other name
                    self._known[other].votes[newcomer.label] += newcomer.score
                    if self._known[other].confirmed:
                        self._confirm(other)
            return []
        if mask is not None:
            now.logits[newcomer.object_id], now.scores[newcomer.object_id] = newcomer.logits, newcomer.score_of_mask
        likeness = self._likeness(now, features, newcomer)
        if likeness:
            lost = max(likeness, key=likeness.get)
            self._take_back(now, newcomer.object_id, lost)
            self._known[lost].votes[newcomer.label] += newcomer.score
            return [lost]
        self._known[newcomer.object_id] = known = Known(now.frame.index, now.frame.time, evidence=newcomer.score)
        known.votes[newcomer.label] += newcomer.score
        if self._redetect is None or newcomer.score >= STRONG:
            self._confirm(newcomer.object_id)
        return [newcomer.object_id]

    def _likeness(self, now: WaitingFrame, features: FrameFeatures, newcomer: Newcomer) -> dict[int, float]:
        """How much a newcomer looks like the objects of its label that are out of view, for those that are alike enough."""
        if not self._redetect or newcomer.logits is None:
            return {}
        look = look_of(features.top, newcomer.logits)
        candidates = {i: known.likeness(look) for i, known in self._known.items()
                      if known.confirmed and known.label == newcomer.label and i not in now.logits}
        return {i: value for i, value in candidates.items() if value >= ALIKE}

    def _most_alike_first(self, now: WaitingFrame, features: FrameFeatures, newcomers: list[Newcomer]) -> list[Newcomer]:
        """Newcomers in the order in which they choose: an id goes to whoever looks most like its object, then by score."""
        return sorted(newcomers, key=lambda newcomer: -max(self._likeness(now, features, newcomer).values(), default=0.0))

    def _take_back(self, now: WaitingFrame, newcomer: int, lost: int) -> None:
        """Let the newcomer be an object that was lost: its id, its prompts of old if it is still carried, its present mask."""
        banks, bank = self._propagator.banks, self._propagator.banks.pop(newcomer)
        if lost in banks:
            present = bank.conditioning[now.frame.index]
            bank.conditioning = dict(banks[lost].conditioning)
            bank.add_conditioning(now.frame.index, present)  # if there are too many, the one farthest from now goes
        banks[lost] = bank
        now.rename(newcomer, lost)
        self._known[lost].seen = now.frame.time

    def _confirm(self, object_id: int) -> None:
        known = self._known[object_id]
        known.confirmed = True
        if known.number is None:
            known.number = len(self.labels) + 1
            self.seen[known.number] = 0
            self.keyframe = known.born if self.keyframe is None else self.keyframe
        self.labels[known.number] = known.label

    def _look_back(self, now: WaitingFrame, found: list[int]) -> None:
        """Carry what was found on a frame back over those since the last look, so that it begins where it came in."""
        past = [waiting for waiting in self._waiting if self._looked_at < waiting.frame.index < now.frame.index]
        if not found or not past:
            return
        back = self._propagator.branch(found)
        empty = dict.fromkeys(found, 0)
        for waiting in reversed(past):
            features = self._propagator.embed(waiting.frame.image)
            masks = back.step(features, waiting.frame.index, reverse=True)
            others = [logits > 0 for logits in waiting.logits.values()]
            before = set(waiting.logits)
            shown = WaitingFrame(waiting.frame)
            shown.add(masks)
            for object_id in list(back.banks):
                visible = object_id in shown.logits and object_id not in before
                if visible and covered(shown.logits[object_id] > 0, others) <= COVERED:
                    waiting.logits[object_id], waiting.scores[object_id] = shown.logits[object_id], shown.scores[object_id]
                    others.append(shown.logits[object_id] > 0)
                    empty[object_id] = 0
                else:
                    empty[object_id] += 1
                if empty[object_id] >= PATIENCE:
                    back.remove(object_id)
            if not back.banks:
                return

    # -- handing out ---------------------------------------------------------------------------------------------------

    def _last_words(self) -> None:
        """At the end of the clip, a newcomer gets its second look on the last frame, or the benefit of the doubt."""
        unsure = [i for i, known in self._known.items() if not known.confirmed]
        if unsure and self._last_look < self._waiting[-1].frame.time:
            self._look(self._waiting[-1], None)
            unsure = []  # what is new on the very last frame alone stays out
        for object_id in unsure:
            self._confirm(object_id)

    def _settled(self, everything: bool = False) -> Iterator[TrackedFrame]:
        """Frames that nothing can change any more, in order."""
        # Newcomers that are unsure were found on the last look, and carried back no further than to the one before.
        unsure = any(not known.confirmed for known in self._known.values())
        last = self._looked_before if unsure else self._looked_at
        while self._waiting:
            # Before a keyframe that the user chose, there is nothing to wait for.
            settling = self._redetect is not None and (self._wanted_keyframe is None or self._looks)
            if settling and not everything and self._waiting[0].frame.index > last:
                return
            yield self._hand_out(self._waiting.pop(0))

    def _hand_out(self, waiting: WaitingFrame) -> TrackedFrame:
        numbers = {i: known.number for i, known in self._known.items() if known.number is not None}
        frame = waiting.finished({i: known.label for i, known in self._known.items()}, numbers, self._allow_overlap)
        for number in frame.detections.tracker_id.tolist():
            self.seen[number] += 1
        return frame
