"""One sweep over the frames of a clip, forwards or backwards: carry the objects along, and look for others.

The detector looks again and again. What it finds that no object in view accounts for is an object that was lost or a new
one; either is carried back, against the sweep, to the previous look, so that it begins where it came in. So is an object that
SAM lost and found again in between: what was half hidden then it knows better once it has seen the rest. Frames wait until
that is settled: no longer than two looks lie apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction

import numpy as np

from vidseg.io.clip import Frame
from vidseg.prompts.object_prompt import ObjectPrompt
from vidseg.sam.frame import FrameFeatures
from vidseg.sam.propagator import Propagator
from vidseg.tracking.association import Found, Settling
from vidseg.tracking.crossing import Passing
from vidseg.tracking.matching import ALIKE, COVERED, covered, look_of, mask_iou
from vidseg.tracking.pending import WaitingFrame
from vidseg.tracking.registry import Objects
from vidseg.tracking.scene_change import SceneCuts

SCAN_INTERVAL = 0.5  # seconds between two looks as long as nothing has been found
COLLAPSED = 0.8  # IoU of two masks that are of the same pixels
UNSURE = 0.75  # share of the present confidence in a mask below which an earlier one is taken for poor
PATIENCE = 3  # frames in a row for which two masks must agree to be one, or a mask carried back must be empty to end


class Sweep:
    """Takes frames in the order of the sweep, and hands them out, settled, in the same order.

    Args:
        objects: of the run.
        propagator: engine of this sweep; the objects that it has are carried along.
        find: what is on a frame; asked on the first frame, and again on later ones.
        redetect: seconds between two looks. None: there is one look, and objects are carried to the end, whatever comes.
        forget_after: seconds out of view after which an object is carried no further, if there are looks that may find it.
        scanning: look twice a second as long as there is no object.
        frame_rate: of the clip, for the detection of scene cuts.
        origin: the frame that a sweep backwards starts before: it has been looked at. None: the sweep goes forwards.
        looking: whether to look at all; else only what the propagator has, or is pointed at, is carried along.
        pointed: what the user points at, by frame number. Frames that were taken are removed.
        between: is called before each frame on which objects are carried back. What it raises ends the sweep.

    Attributes:
        waiting: frames that were taken, but not handed out.
        pointed: what the user points at on frames still to come.
        looks: whether it looks for objects.
    """

    def __init__(
        self,
        objects: Objects,
        propagator: Propagator,
        find: Callable[[Frame], Found],
        redetect: float | None,
        forget_after: float,
        frame_rate: float | Fraction,
        scanning: bool = False,
        origin: Frame | None = None,
        looking: bool = True,
        pointed: dict[int, list[ObjectPrompt]] | None = None,
        between: Callable[[], None] | None = None,
    ):
        self.objects, self.propagator = objects, propagator
        self.waiting: list[WaitingFrame] = []
        self._find, self._redetect, self._forget_after = find, redetect, forget_after
        self.looks = looking
        self._scanning, self._reverse = scanning, origin is not None
        self.pointed = pointed or {}
        self._between = between
        self._undecided = frozenset(objects.unsure())  # newcomers of the origin: it takes both directions to doubt them
        self._cuts = SceneCuts(frame_rate) if redetect else None
        if self._cuts and origin:
            self._cuts.begins(origin.image)  # or a cut right before the origin would go unseen
        self._in_view: dict[int, float] = {}  # time in s of the last frame on which each object was visible
        self._passing = Passing(propagator)
        self._passed: set[int] = set()  # who has passed somebody alike since the last look
        self._agreeing: dict[tuple[int, int], int] = {}  # pairs of objects on the same pixels: for how many frames
        # Time of the last look, its turn, and the turn of the one before
        self._last_look = origin.time if origin else None
        self._looked_at = self._looked_before = self._turn(origin) if origin else -np.inf

    def run(self, frames: Iterator[Frame]) -> Iterator[WaitingFrame]:
        """Take all frames; yields each as soon as nothing can change it any more."""
        yield from self.settled()
        for frame in self.propagator.ahead(frames):
            self.take(frame)
            yield from self.settled()
        self._last_words()
        yield from self.settled(everything=True)

    def take(self, frame: Frame, found: Found | None = None) -> None:
        """Carry all objects to the next frame, and look for others if it is time, or if what is there is given."""
        now, features = WaitingFrame(frame), None
        self.waiting.append(now)
        cut = self._cuts is not None and self._cuts.begins(frame.image)
        if cut:
            self._looked_at = self._turn(frame) - 1  # nothing is carried back over a cut
        if self.propagator.banks:
            features = self.propagator.embed(frame.image)
            now.add(self.propagator.step(features, frame.index, self._reverse))
            if cut:
                self._passing.forget()
                self._close_scene(now, features)
            self._passing.watch(self.waiting, features)
        if prompts := self.pointed.pop(frame.index, None):
            features = features or self.propagator.embed(frame.image)
            self._point(now, features, prompts)
        self.tidy(now)  # who is pointed at here may lie on somebody already
        if found is not None or self._is_time(frame, cut):
            self._look(now, features, found)

    def settled(self, everything: bool = False) -> Iterator[WaitingFrame]:
        """Frames that nothing can change any more, in order."""
        # Newcomers that are unsure were found on the last look, and carried back no further than to the one before.
        unsure = self.objects.unsure() - self._undecided
        last = self._looked_before if unsure else self._looked_at
        settling = self._redetect is not None and self.looks and not everything
        while self.waiting and not (settling and self._turn(self.waiting[0].frame) > last):
            yield self.waiting.pop(0)

    def _turn(self, frame: Frame) -> int:
        """Place of a frame in the order of the sweep: grows by one a frame."""
        return -frame.index if self._reverse else frame.index

    def _is_time(self, frame: Frame, cut: bool) -> bool:
        """Whether to look for objects on this frame."""
        if not self.looks or self._last_look is None:
            return self.looks
        interval = self._redetect
        if self._scanning and self.objects.keyframe is None:
            interval = min(SCAN_INTERVAL, interval or SCAN_INTERVAL)
        return interval is not None and (cut or abs(frame.time - self._last_look) >= interval - 1e-6)

    # -- objects that are carried along -------------------------------------------------------------------------------

    def _close_scene(self, now: WaitingFrame, features: FrameFeatures) -> None:
        """After a cut, an object goes on only where it looks like itself."""
        for object_id in list(self.propagator.banks):
            logits = now.logits.get(object_id)
            if logits is None or self.objects.known[object_id].likeness(look_of(features.top, logits)) < ALIKE:
                self._put_to_sleep(object_id, now)

    def tidy(self, now: WaitingFrame) -> None:
        """Note who is in view; forget who has not been for long; of two objects on the same pixels keep one: by hand, or else the older."""
        if not self._redetect:
            return  # nothing would find again what is let go
        for object_id in list(self.propagator.banks):
            if object_id in now.logits:
                self._in_view[object_id] = now.frame.time
            elif abs(now.frame.time - self._in_view.setdefault(object_id, now.frame.time)) > self._forget_after:
                self._put_to_sleep(object_id, now)
        ids = sorted(now.logits)  # the older have the lower ids
        masks = [now.logits[i] > 0 for i in ids]
        passing = set(self._passing.expected(now.frame.time))  # may well be on the same pixels for a while
        self._passed |= passing
        together = [
            (ids[a], ids[b])
            for a, b in (mask_iou(masks, masks) > COLLAPSED).triu(1).nonzero().tolist()
            if not {ids[a], ids[b]} <= passing
        ]
        self._agreeing = {pair: self._agreeing.get(pair, 0) + 1 for pair in together}
        for (kept, gone), frames in self._agreeing.items():
            if self.objects.known[gone].by_hand:
                kept, gone = gone, kept
            if (
                frames >= PATIENCE
                and kept in self.propagator.banks
                and gone in self.propagator.banks
                and not self.objects.known[gone].by_hand
            ):
                for waiting in self.waiting[-frames:]:
                    waiting.drop(gone)
                self._put_to_sleep(gone, now)

    def _point(self, now: WaitingFrame, features: FrameFeatures, prompts: list[ObjectPrompt]) -> None:
        """Begin or correct the objects that the user points at on a frame."""
        named = {self.objects.pointed_at(one.id, now.frame.index): one.prompt for one in prompts}
        self._passing.forget(*named)
        now.add(self.propagator.prompt(features, now.frame.index, named, self._reverse, lasting=True))

    def _put_to_sleep(self, object_id: int, now: WaitingFrame) -> None:
        """Carry an object no further. It stays known, and can be found again by its looks."""
        self.propagator.remove(object_id)
        self._in_view.pop(object_id, None)
        now.drop(object_id)
        if object_id in self.objects.unsure() - self._undecided:
            del self.objects.known[object_id]
            self._forget_false_alarms()

    def _forget_false_alarms(self) -> None:
        """Take from the frames that wait what has turned out to be none of the objects."""
        for waiting in self.waiting:
            for object_id in [i for i in waiting.logits if i not in self.objects.known]:
                waiting.drop(object_id)

    # -- looking for objects -------------------------------------------------------------------------------------------

    def _look(self, now: WaitingFrame, features: FrameFeatures | None, found: Found | None = None) -> None:
        """Find what is on a frame, and settle what it is."""
        found = found or self._find(now.frame)
        self._last_look = now.frame.time
        if features is None and (len(found.boxes) or now.logits):
            features = self.propagator.embed(now.frame.image)
        settling = Settling(
            self.objects,
            self.propagator,
            now,
            features,
            bool(self._redetect),
            self._undecided,
            self._passing.expected(now.frame.time),
        )
        fresh = settling.settle(found)
        self._forget_false_alarms()
        if self._redetect:
            for object_id, logits in now.logits.items():
                self._in_view[object_id] = now.frame.time
                self.objects.known[object_id].looks.append(look_of(features.top, logits))
            self._look_back(now, fresh, self._back_again(now, settling.agreed))
        self._looked_before, self._looked_at, self._passed = self._looked_at, self._turn(now.frame), set()

    def _since_last_look(self, now: WaitingFrame) -> list[WaitingFrame]:
        """The frames between the last look and this frame."""
        return [
            waiting for waiting in self.waiting if self._looked_at < self._turn(waiting.frame) < self._turn(now.frame)
        ]

    def _back_again(self, now: WaitingFrame, ids: Iterable[int]) -> list[int]:
        """Those of some objects in view that SAM was much less sure of at some time since the last look, or did not see at all.

        Not those that passed somebody alike, of whom nobody is sure; and what the user points at stays as it is pointed at.
        """
        past = self._since_last_look(now)
        ids = [i for i in ids if i in now.logits and i not in self._passed and not self.objects.known[i].by_hand]
        return [i for i in ids if any(waiting.scores.get(i, 0) < UNSURE * now.scores[i] for waiting in past)]

    def _look_back(self, now: WaitingFrame, fresh: list[int], back_again: list[int]) -> None:
        """Carry what was found on a frame back over those since the last look, so that it begins where it came in.

        Of those that came back by themselves, masks that SAM is surer of this way take the place of the present ones.
        """
        past = self._since_last_look(now)
        ids = [*fresh, *back_again]
        if not ids or not past:
            return
        back = self.propagator.branch(ids)
        empty = dict.fromkeys(ids, 0)
        for waiting in reversed(past):
            if self._between is not None:
                self._between()
            features = self.propagator.embed(waiting.frame.image)
            masks = back.step(features, waiting.frame.index, not self._reverse)
            present = {i: logits > 0 for i, logits in waiting.logits.items()}
            shown = WaitingFrame(waiting.frame)
            shown.add(masks)
            for object_id in list(back.banks):
                visible = object_id in shown.logits and (object_id in back_again or object_id not in present)
                others = [mask for i, mask in present.items() if i != object_id]
                if visible and covered(shown.logits[object_id] > 0, others) <= COVERED:
                    if object_id not in present or shown.scores[object_id] > waiting.scores[object_id]:
                        waiting.logits[object_id], waiting.scores[object_id] = (
                            shown.logits[object_id],
                            shown.scores[object_id],
                        )
                        present[object_id] = waiting.logits[object_id] > 0
                    empty[object_id] = 0
                else:
                    empty[object_id] += 1
                if empty[object_id] >= PATIENCE:
                    back.remove(object_id)
            if not back.banks:
                return

    def _last_words(self) -> None:
        """At the end, newcomers and those that came back get their look on the last frame; or newcomers the benefit of the doubt."""
        unsure = self.objects.unsure() - self._undecided
        late = bool(self.waiting) and self._last_look != self.waiting[-1].frame.time
        if late and (
            unsure or self._redetect and self.looks and self._back_again(self.waiting[-1], self.waiting[-1].logits)
        ):
            self._look(self.waiting[-1], None)
            for object_id in (
                self.objects.unsure() - self._undecided
            ):  # what is new on the very last frame alone stays out
                del self.objects.known[object_id]
            return
        for object_id in sorted(unsure):
            self.objects.confirm(object_id)
