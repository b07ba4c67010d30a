"""A run over a clip: choose the keyframe, track its objects in both directions, and hand out the frames in order.

What happens on the way is in `vidseg.tracking.propagation_pass`. Frames before the keyframe are tracked last to first,
wait on disk, and are read a second time when they are handed out; those after it flow through. A clip that can be read
only once is tracked forwards alone.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import supervision as sv

from vidseg.errors import InputError
from vidseg.io.clip import Clip, Frame
from vidseg.io.threads import prefetch
from vidseg.prompts.object_prompt import clip_to_frame
from vidseg.sam.propagator import Propagator
from vidseg.tracking.detections import FrameDetections, PhraseDetector
from vidseg.tracking.frame_store import FrameStack
from vidseg.tracking.options import TrackOptions, TrackPrompts
from vidseg.tracking.pass_state import begin_pass
from vidseg.tracking.pending import PendingFrame
from vidseg.tracking.propagation_pass import PropagationPass
from vidseg.tracking.registry import Identity, TrackRegistry
from vidseg.tracks.frame import ClassIds, TrackedFrame, empty_detections

if TYPE_CHECKING:
    from vidseg.detection.base import Detector
    from vidseg.prompts.object_prompt import ObjectPrompt


class ClipRun:
    """The work of one run; `vidseg.tracking.iterator.Tracking` is what users see of it.

    Args:
        clip: where the frames come from.
        propagator: fresh, without objects.
        prompts: what to look for, in text or by hand.
        options: how to track.
        detector: what finds the phrases of the prompts; needed where there are any.
        on_frame: is called before each frame that is worked on, in whatever direction. What it raises ends the run.

    Attributes:
        clip: as given.
        registry: the tracks so far.
        status: what is under way before the first frame comes out, for those who watch; else empty.
    """

    def __init__(
        self,
        clip: Clip,
        propagator: Propagator,
        prompts: TrackPrompts,
        options: TrackOptions,
        detector: Detector | None = None,
        on_frame: Callable[[], None] | None = None,
    ):
        self.clip, self.status = clip, ""
        width, height = clip.info.width, clip.info.height
        self._on_keyframe = clip_to_frame(prompts.on_keyframe, width, height)
        self._prompts = {i: tuple(clip_to_frame(some, width, height)) for i, some in prompts.by_frame.items()}
        in_order = [self._on_keyframe, *(self._prompts[i] for i in sorted(self._prompts))]
        by_user = [one for some in in_order for one in some]
        labels = {one.id: one.label for one in by_user if one.label is not None}  # the same on all frames
        user_labels = {one.id: labels.get(one.id) for one in by_user}
        open_ids = _ids_that_may_correct(by_user, user_labels, prompts.phrases)
        self.registry = TrackRegistry(user_labels, options.reserved_ids, options.thresholds, open_ids=open_ids)
        self._classes = ClassIds(prompts.phrases)
        self._propagator = propagator
        self._detect = PhraseDetector(detector, prompts.phrases) if detector is not None else None
        if detector is None:
            options = replace(options, redetect=None)
        if self._on_keyframe and options.keyframe == "auto":
            options = replace(options, keyframe="first")
        self._options, self._on_frame = options, on_frame
        self._first = 0  # number of the first frame that is read
        self._forward: PropagationPass | None = None
        self._backward: PropagationPass | None = None
        self._untracked = 0  # frames that were handed out, and that no pass took
        self._damage: str | None = None  # what the first reading met, before frames are read a second time

    @property
    def best_score(self) -> float:
        """Highest detection score so far, also below the threshold; 0.0 without a detector."""
        return self._detect.best_score if self._detect else 0.0

    @property
    def best_scores(self) -> dict[str, float]:
        """The same for each phrase; empty without a detector."""
        return dict(self._detect.best_scores) if self._detect else {}

    @property
    def frames_done(self) -> int:
        """Number of frames that need no more tracking, in whatever direction; in the end, that of all frames."""
        passes = (self._backward, self._forward)
        return self._untracked + sum(one.frames_done for one in passes if one is not None)

    @property
    def warning(self) -> str | None:
        """One line if the clip is damaged, ended before a frame with prompts, or an id was not free; else None."""
        # The second reading only meets what lies before the keyframe: the longer line is of the whole clip.
        damage = max(self._damage or "", self.clip.warning or "", key=len)
        lines = [damage] if damage else []
        unmet = self._forward.state.prompts if self._forward else self._prompts
        if unmet:
            where = f"{self.clip.path} has no frame {min(unmet)} in the part that was read"
            lines.append(f"{where}: the prompts on it were not used")
        for user_id in sorted(self.registry.state.ignored):
            lines.append(f"prompt {user_id} only says what does not belong, and lies on no object: it was not used")
        for user_id, track_id in self.registry.renumbered().items():
            lines.append(
                f'prompt {user_id} began object {track_id}, as id {user_id} was in use ("new": true reserves it)'
            )
        return "; ".join(lines) or None

    def frames(self) -> Generator[TrackedFrame, None, None]:
        """The frames of the clip, tracked, in order."""
        span = self._options.start, self._options.end
        patience = 1.0 if self.clip.once else None
        with closing(self._read(self.clip.frames(*span), patience=patience)) as frames:
            key, found = yield from self._find_keyframe(frames)
            self.status = ""
            if key is None:
                yield from () if self.clip.once else self._frames_before(None, None)
                return
            if self._on_keyframe:
                both = [*self._on_keyframe, *self._prompts.get(key.index, ())]
                width, height = self.clip.info.width, self.clip.info.height
                self._prompts[key.index] = tuple(clip_to_frame(both, width, height))
            self._forward = self._begin_pass(self._propagator)
            self._forward.push(key, found)
            following = self._forward.run(frames)
            if key.index > self._first and not self.clip.once:
                with FrameStack(self.clip.info.height, self.clip.info.width) as earlier:
                    self._track_backwards(key, earlier)
                    final = next(following)  # the keyframe: now it is known which of the tracks on it are confirmed
                    self._damage = self.clip.warning
                    yield from self._frames_before(key, earlier)
                    yield self._hand_out(self._finalize(final))
            for pending in following:
                yield self._hand_out(self._finalize(pending))

    def _read(self, frames: Iterator[Frame], patience: float | None = None) -> Generator[Frame, None, None]:
        """Frames, read ahead."""
        with closing(prefetch(frames, patience=patience)) as ahead:
            for frame in ahead:
                if self._on_frame is not None:
                    self._on_frame()
                yield frame

    # -- the keyframe --------------------------------------------------------------------------------------------------

    def _find_keyframe(
        self, frames: Iterator[Frame]
    ) -> Generator[TrackedFrame, None, tuple[Frame | None, FrameDetections | None]]:
        """The frame to begin on, and what is on it if the detector has run; (None, None) if nothing is found anywhere.

        Frames before it are handed out at once, without objects, if they cannot be read again.
        """
        wanted, last = self._options.keyframe, None
        scan = self._options.thresholds.scan_interval
        interval = min(scan, self._options.redetect or scan)
        for number, frame in enumerate(frames):
            if number == 0:
                self._first = frame.index
                self._check_order()
            if wanted in ("first", frame.index):
                return frame, None
            if wanted == "auto" and frame.index in self._prompts:
                return frame, None
            if wanted == "auto" and self._detect and (last is None or frame.time - last >= interval - 1e-6):
                last, found = frame.time, self._detect(frame)
                if len(found.boxes):
                    return frame, found
            self.status = f"looking for a keyframe: {frame.index}"
            if self.clip.once:
                self._untracked += 1
                yield TrackedFrame(frame.index, frame.time, frame.image, self._nothing(), frame.duration)
        if wanted != "auto":
            raise InputError(f"{self.clip.path}: frame {wanted}, the keyframe, is not in the part that was read")
        return None, None

    def _check_order(self) -> None:
        """Raise InputError if there are prompts that come before everything that is tracked forwards."""
        wanted = self._options.keyframe
        start, what = (self._first, "first frame that is read") if isinstance(wanted, str) else (wanted, "keyframe")
        if self._prompts and min(self._prompts) < start:
            raise InputError(
                f"there are prompts on frame {min(self._prompts)}, before the {what}, {start}; begin on that frame"
            )

    def _begin_pass(self, propagator: Propagator, origin: Frame | None = None) -> PropagationPass:
        """A pass forwards, or backwards from a frame. Where the detector looked for a keyframe, it need not again."""
        looked = origin is not None and (self._options.keyframe == "auto" or self._options.redetect is None)
        frame_rate, prompts = self.clip.info.frame_rate or 25, None if origin else self._prompts
        state = begin_pass(self.registry, self._options, frame_rate, origin, prompts)
        detect = None if looked else self._detect
        return PropagationPass(
            self.registry, propagator, detect, self._options, state, origin is not None, self._on_frame
        )

    # -- before the keyframe -------------------------------------------------------------------------------------------

    def _track_backwards(self, key: Frame, earlier: FrameStack) -> None:
        """Follow the objects of the keyframe, and others that turn up on the way, back to the first frame."""
        backward = self._begin_pass(self._propagator.fork(self._propagator.object_ids), origin=key)
        self._backward = backward
        with closing(self._read(self.clip.backwards(key, self._options.start))) as frames:
            for pending in backward.run(frames):
                self.status = f"tracking backwards: {pending.frame.index}"
                # Which of the tracks are confirmed, and what they are called, is only known in the end.
                identities = {i: Identity(i, "", track.user_prompted) for i, track in self.registry.tracks.items()}
                earlier.push(pending.finalize(identities, self._options))
                if not backward.detects and not backward.propagator.object_ids:
                    break  # nothing is left to be tracked, and nothing will be found
        self.status = ""

    def _frames_before(self, key: Frame | None, earlier: FrameStack | None) -> Iterator[TrackedFrame]:
        """The frames before the keyframe, read again, with what was tracked backwards; all if there is no keyframe."""
        with closing(self._read(self.clip.frames(self._options.start, self._options.end))) as frames:
            for frame in frames:
                if key is not None and frame.index >= key.index:
                    return
                tracked = earlier.pop_at(frame.time) if earlier else None
                self._untracked += tracked is None
                found = self._nothing() if tracked is None else self._identify(tracked.detections)
                yield self._hand_out(TrackedFrame(frame.index, frame.time, frame.image, found, frame.duration))

    def _nothing(self) -> sv.Detections:
        """What is on a frame without objects."""
        return empty_detections(self.clip.info.height, self.clip.info.width)

    def _identify(self, found: sv.Detections) -> sv.Detections:
        """Detections that go by internal ids, as users know them; without what turned out to be a false alarm."""
        assert found.tracker_id is not None
        identities = self.registry.identities()
        kept = [(identities[i], row) for row, i in enumerate(found.tracker_id.tolist()) if i in identities]
        kept.sort(key=lambda one: one[0].track_id)
        rows = [row for _, row in kept]
        assert found.mask is not None and found.confidence is not None
        return sv.Detections(
            xyxy=found.xyxy[rows],
            mask=found.mask[rows],
            confidence=found.confidence[rows],
            tracker_id=np.array([identity.track_id for identity, _ in kept], int),
            data={"class_name": np.array([identity.label for identity, _ in kept], dtype=str)},
        )

    # -- handing out ---------------------------------------------------------------------------------------------------

    def _finalize(self, pending: PendingFrame) -> TrackedFrame:
        return pending.finalize(self.registry.identities(pending.frame.index), self._options)

    def _hand_out(self, frame: TrackedFrame) -> TrackedFrame:
        found = frame.detections
        assert found.tracker_id is not None
        self.registry.count_visible(found.tracker_id.tolist())
        # Here, where frames come in the order of the clip: readers of the tracks file see labels in the same order.
        found.class_id = self._classes.number(found.data["class_name"])
        return frame


def _ids_that_may_correct(
    prompts: Sequence[ObjectPrompt], labels: Mapping[int, str | None], phrases: Sequence[str]
) -> set[int]:
    """Ids of the user's that are not kept free for new objects, since their prompts may correct what the text finds.

    Frames come out before it is known what later prompts lie on. A label that the text does not look for says that it
    is another object; without one, the ids of what the text finds stay what they are without the prompts.

    Args:
        prompts: of all frames.
        labels: of the objects by the ids of the prompts; None: the prompts give none.
        phrases: what the detector looks for.
    """
    sought = {None, *(phrase.lower() for phrase in phrases)}
    alike = {i for i, label in labels.items() if (label and label.lower()) in sought}
    return alike - {one.id for one in prompts if one.new}
