"""One pass over the frames of a clip, forwards or backwards: propagate the tracks, and detect others again and again.

What the detector finds that no track in view accounts for is a track that was lost or a new one; either is backfilled,
against the direction of the pass, to the previous detection run, so that it begins where it came in. So is an object
that SAM lost and found again in between: it segments an object better once it has seen all of it. Frames
are pending until that is decided: no longer than two detection runs lie apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from vidseg.io.clip import Frame
from vidseg.prompts.object_prompt import ObjectPrompt
from vidseg.sam.frame import FrameFeatures
from vidseg.sam.propagator import Propagator
from vidseg.tracking.appearance import appearance_embedding, similarity
from vidseg.tracking.backfill import backfill, reappeared
from vidseg.tracking.crossing import CrossingResolver
from vidseg.tracking.crossing_update import update_crossings
from vidseg.tracking.detections import FrameDetections
from vidseg.tracking.matching import mask_iou
from vidseg.tracking.options import TrackOptions
from vidseg.tracking.pass_state import PassState
from vidseg.tracking.pending import PendingFrame
from vidseg.tracking.prompt_update import PromptUpdate
from vidseg.tracking.registry import TrackRegistry
from vidseg.tracking.scene_change import SceneChangeDetector
from vidseg.tracking.update import TrackUpdate


class PropagationPass:
    """Takes frames in the order of the pass, and hands them out, final, in the same order.

    Args:
        registry: of the run.
        propagator: engine of this pass; the tracks that it has memories of are propagated.
        detect: what is on a frame; asked on the first frame, and again on later ones. None: only what the propagator
            has, or the user points at, is propagated.
        options: of the run. With `redetect` None there is one detection run, and tracks are carried to the end.
        state: from `begin_pass`, or of an earlier pass, to go on with.
        reverse: whether frame numbers go down.
        on_frame: is called before each frame that is backfilled. What it raises ends the pass.

    Attributes:
        registry, propagator: as given.
        state: what it remembers. For reading, and for writing it down.
        frames_done: how many frames it has taken since it was made.
    """

    def __init__(
        self,
        registry: TrackRegistry,
        propagator: Propagator,
        detect: Callable[[Frame], FrameDetections] | None,
        options: TrackOptions,
        state: PassState,
        reverse: bool = False,
        on_frame: Callable[[], None] | None = None,
    ):
        self.registry, self.propagator, self.state = registry, propagator, state
        self.frames_done = 0
        self._detector, self._options, self._reverse, self._on_frame = detect, options, reverse, on_frame
        self._crossings = CrossingResolver(options.thresholds, state.crossings)
        self._scenes = SceneChangeDetector(state.scenes, options.thresholds) if state.scenes else None

    @property
    def detects(self) -> bool:
        """Whether it looks for objects."""
        return self._detector is not None

    # -- frames in and out ---------------------------------------------------------------------------------------------

    def run(self, frames: Iterator[Frame]) -> Iterator[PendingFrame]:
        """Push all frames; yields each as soon as nothing can change it any more."""
        yield from self.pop_final()
        for frame in self.propagator.prefetch(frames):
            self.push(frame)
            yield from self.pop_final()
        self.finish()
        yield from self.pop_final(everything=True)

    def push(self, frame: Frame, found: FrameDetections | None = None) -> None:
        """Propagate all tracks to the next frame, and detect others if it is time, or take what was found on it."""
        now, features = PendingFrame(frame), None
        self.state.pending.append(now)
        scene_begins = self._scenes is not None and self._scenes.update(frame.image)
        if scene_begins:
            self.state.backfill_limit = self._position(frame) - 1  # nothing is backfilled over a scene change
        if self.propagator.object_ids:
            features = self.propagator.embed(frame.image)
            now.add(self.propagator.step(features, frame.index, self._reverse))
            if scene_begins:
                self._crossings.reset()
                self._close_scene(now, features)
            update_crossings(self._crossings, self.propagator, self.state.pending, features)
        update, corrections = None, []
        if prompts := self.state.prompts.pop(frame.index, ()):
            features = features or self.propagator.embed(frame.image)
            update = self._prompt_update(now, features)
            if update.undecided(prompts) and self._detector and self._is_detection_time(frame, scene_begins):
                found = found or self._detector(frame)
                prompts, corrections = update.split(prompts, found)
            self._prompt(update, prompts)
        self._end_unseen_and_duplicates(now)  # what is prompted here may lie on another track already
        if found is not None or self._is_detection_time(frame, scene_begins):
            self._detect(now, features, found)
        if update and corrections:
            self._prompt(update, corrections)
        self.frames_done += 1

    def pop_final(self, everything: bool = False) -> Iterator[PendingFrame]:
        """Frames that nothing can change any more, in order."""
        # Tentative tracks were found on the last detection run, and backfilled no further than to the one before.
        tentative = self.registry.tentative() - self.state.deferred
        last = self.state.previous_backfill_limit if tentative else self.state.backfill_limit
        waits = self._options.redetect is not None and self.detects and not everything
        pending = self.state.pending
        while pending and not (waits and self._position(pending[0].frame) > last):
            yield pending.pop(0)

    def finish(self) -> None:
        """At the end, detect once more for tentative and reappeared tracks; or confirm what could not be seen twice."""
        state = self.state
        tentative = self.registry.tentative() - state.deferred
        last = state.pending[-1] if state.pending else None
        if last is not None and state.last_run_time != last.time and (tentative or self._any_reappeared(last)):
            self._detect(last, None)
            for internal_id in self.registry.tentative() - state.deferred:
                self.registry.discard(internal_id)  # what is new on the very last frame alone stays out
            return
        for internal_id in sorted(tentative):
            self.registry.confirm(internal_id)

    def _any_reappeared(self, last: PendingFrame) -> bool:
        """Whether there is a track on the last frame that a detection run there would backfill."""
        return bool(self._options.redetect) and self.detects and bool(self._reappeared(last, last.estimates))

    def _position(self, frame: Frame) -> int:
        """Place of a frame in the order of the pass: grows by one a frame."""
        return -frame.index if self._reverse else frame.index

    # -- tracks in view ------------------------------------------------------------------------------------------------

    def _close_scene(self, now: PendingFrame, features: FrameFeatures) -> None:
        """After a scene change, a track goes on only where it looks like itself."""
        for internal_id in list(self.propagator.object_ids):
            estimate = now.estimates.get(internal_id)
            if estimate is not None:
                embedding = appearance_embedding(features.top, estimate.logits)
                known = self.registry.tracks[internal_id].embeddings
                if similarity(embedding, known) >= self._options.thresholds.reid_similarity:
                    continue
            self._terminate(internal_id, now)

    def _prompt_update(self, now: PendingFrame, features: FrameFeatures) -> PromptUpdate:
        """What the user's prompts on a frame may change."""
        return PromptUpdate(
            registry=self.registry,
            propagator=self.propagator,
            options=self._options,
            now=now,
            features=features,
            predicted_boxes=self._crossings.predicted_boxes(now.time),
            reverse=self._reverse,
        )

    def _prompt(self, update: PromptUpdate, prompts: Sequence[ObjectPrompt]) -> None:
        """Begin or correct the tracks of objects that the user points at on a frame."""
        ids = update.apply(prompts)
        self._crossings.forget(ids)
        self.state.prompted |= set(ids)

    def _end_unseen_and_duplicates(self, now: PendingFrame) -> None:
        """Note which tracks are visible; terminate those that have not been for long, and duplicates.

        Of two tracks on the same pixels the one stays that the user points at, else the older one.
        """
        if not self._options.redetect:
            return  # nothing would find again what is terminated
        state = self.state
        for internal_id in list(self.propagator.object_ids):
            if internal_id in now.estimates:
                state.last_visible[internal_id] = now.time
            elif abs(now.time - state.last_visible.setdefault(internal_id, now.time)) > self._options.forget_after:
                self._terminate(internal_id, now)
        passing = set(self._crossings.predicted_boxes(now.time))
        state.crossed |= passing
        self._count_duplicates(now, passing)
        for (older, newer), frames in state.duplicates.items():
            if not (older in self.propagator and newer in self.propagator):
                continue  # one of them is gone already
            of_user = [self.registry.tracks[i].user_prompted for i in (older, newer)]
            if frames >= self._options.thresholds.patience and not all(of_user):
                gone = older if of_user[1] else newer
                for pending in state.pending[-frames:]:
                    pending.drop(gone)
                self._terminate(gone, now)

    def _count_duplicates(self, now: PendingFrame, passing: set[int]) -> None:
        """Note for how many frames in a row two tracks are on the same pixels; those that pass each other may be."""
        state = self.state
        ids = sorted(now.estimates)  # the older have the lower ids
        masks = [now.estimates[i].mask for i in ids]
        same = (mask_iou(masks, masks) > self._options.thresholds.duplicate_iou).triu(1).nonzero().tolist()
        pairs = [(ids[a], ids[b]) for a, b in same if not {ids[a], ids[b]} <= passing]
        state.duplicates = {pair: state.duplicates.get(pair, 0) + 1 for pair in pairs}

    def _terminate(self, internal_id: int, now: PendingFrame) -> None:
        """Carry a track no further. It can be reidentified, unless it is tentative: then it is forgotten."""
        self.propagator.discard(internal_id)
        self.state.last_visible.pop(internal_id, None)
        now.drop(internal_id)
        if internal_id in self.registry.tentative() - self.state.deferred:
            self.registry.discard(internal_id)
            self._drop_false_alarms()

    def _drop_false_alarms(self) -> None:
        """Take from pending frames what has turned out to be no track."""
        for pending in self.state.pending:
            for internal_id in [i for i in pending.estimates if i not in self.registry.tracks]:
                pending.drop(internal_id)

    # -- detection -----------------------------------------------------------------------------------------------------

    def _is_detection_time(self, frame: Frame, scene_begins: bool) -> bool:
        """Whether to detect objects on this frame."""
        last = self.state.last_run_time
        if not self.detects or last is None:
            return self.detects
        interval = self._options.redetect
        if self._options.keyframe == "auto" and self.registry.state.keyframe is None:
            scan = self._options.thresholds.scan_interval
            interval = min(scan, interval or scan)
        return interval is not None and (scene_begins or abs(frame.time - last) >= interval - 1e-6)

    def _detect(self, now: PendingFrame, features: FrameFeatures | None, found: FrameDetections | None = None) -> None:
        """Find what is on a frame, and update the tracks by it."""
        if found is None:
            assert self._detector is not None  # there would be nothing to detect for
            found = self._detector(now.frame)
        state, redetects = self.state, bool(self._options.redetect)
        state.last_run_time = now.time
        if features is None and (len(found.boxes) or now.estimates):
            features = self.propagator.embed(now.frame.image)
        update = TrackUpdate(
            registry=self.registry,
            propagator=self.propagator,
            now=now,
            features=features,
            predicted_boxes=self._crossings.predicted_boxes(now.time),
            deferred=state.deferred,
            will_redetect=redetects,
        )
        outcome = update.apply(found)
        self._drop_false_alarms()
        if redetects:
            for internal_id, estimate in now.estimates.items():
                assert features is not None
                state.last_visible[internal_id] = now.time
                embedding = appearance_embedding(features.top, estimate.logits)
                self.registry.add_embedding(internal_id, embedding)
            self._backfill(now, outcome.begun, self._reappeared(now, outcome.matched))
        state.previous_backfill_limit, state.backfill_limit = state.backfill_limit, self._position(now.frame)
        state.crossed, state.prompted = set(), set()

    def _since_last_run(self, now: PendingFrame) -> list[PendingFrame]:
        """The frames between the last detection run and this frame."""
        last, present = self.state.backfill_limit, self._position(now.frame)
        return [pending for pending in self.state.pending if last < self._position(pending.frame) < present]

    def _reappeared(self, now: PendingFrame, ids: Iterable[int]) -> list[int]:
        """Those of some tracks that are to be backfilled although they were there before."""
        # Nothing is sure of those that passed one that looks alike, and what the user points at stays as it is. But
        # what a detection found, and a correction put right, is backfilled when it comes back later.
        begun = {i for i, track in self.registry.tracks.items() if track.user_prompted and track.corrected_from is None}
        fixed = self.state.crossed | self.state.prompted | begun
        candidates = [i for i in ids if i not in fixed]
        share = self._options.thresholds.reappeared_confidence
        return reappeared(candidates, now, self._since_last_run(now), share)

    def _backfill(self, now: PendingFrame, begun: list[int], returned: list[int]) -> None:
        """Propagate what was found on a frame back over those since the last detection run, to where it came in."""
        past = self._since_last_run(now)
        ids = [*begun, *returned]
        if ids and past:
            fork = self.propagator.fork(ids)
            backfill(fork, past[::-1], frozenset(returned), self._options.thresholds, not self._reverse, self._on_frame)
