"""A run over a clip: choose the keyframe, follow its objects in both directions, and hand out the frames in order.

What happens on the way is in `vidseg.tracking.propagation_pass`. Frames before the keyframe are tracked last to first, wait on disk, and are
read a second time when they are handed out; those after it flow through. A clip that can be read only once is tracked
forwards alone.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
import supervision as sv

from vidseg.errors import InputError
from vidseg.io.clip import Clip, Frame
from vidseg.io.threads import prefetch
from vidseg.prompts.object_prompt import ObjectPrompt, fitted
from vidseg.sam.propagator import Propagator
from vidseg.tracking.association import Found
from vidseg.tracking.frame_store import FrameStack
from vidseg.tracking.pending import WaitingFrame
from vidseg.tracking.propagation_pass import SCAN_INTERVAL, Sweep
from vidseg.tracking.registry import Objects
from vidseg.tracks.frame import TrackedFrame

if TYPE_CHECKING:
    from vidseg.detection.grounding_dino import Detector


class Tracking:
    """One run over a clip: iterate it for the frames, once, then ask it what happened.

    Args:
        clip: where the frames come from.
        propagator: fresh, without objects.
        detector, phrases: text prompt and who understands it, if there is one.
        pointed: objects that the user points at on the keyframe.
        prompts: objects that the user points at, and corrections, by frame number.
        keyframe: number of the frame to prompt on first, "first", or "auto": the first one where `pointed` are on it, else
            the first one that has prompts, or on which the detector finds anything, looking twice a second.
        redetect: seconds between two looks of the detector; None for a single keyframe.
        forget_after: seconds out of view after which an object is carried no further; it can still be found again.
        allow_overlap: keep masks as they are drawn; else every pixel has one owner at most.
        sharpen: move the outlines of masks to edges in the picture.
        start, end: part of the clip in seconds, None for all of it.
        reserved: ids that no object gets that is found, since others had them in an earlier run.
        between: is called before each frame that is worked on, in whatever direction. What it raises ends the run.

    Attributes:
        best_score: highest detection score seen so far, also below the threshold; 0.0 without a detector.
        doing: what is under way before the first frame comes out, for those who watch; else empty.
    """

    def __init__(
        self,
        clip: Clip,
        propagator: Propagator,
        detector: Detector | None = None,
        phrases: Sequence[str] = (),
        pointed: Sequence[ObjectPrompt] = (),
        prompts: Mapping[int, Sequence[ObjectPrompt]] | None = None,
        keyframe: int | str = "auto",
        redetect: float | None = None,
        forget_after: float = 30.0,
        allow_overlap: bool = False,
        sharpen: bool = False,
        start: float | None = None,
        end: float | None = None,
        reserved: Iterable[int] = (),
        between: Callable[[], None] | None = None,
    ):
        self.clip = clip
        self.best_score = 0.0
        self.doing = ""
        self._pointed = fitted(pointed, clip.info.width, clip.info.height)
        self._prompts = {
            index: fitted(some, clip.info.width, clip.info.height) for index, some in (prompts or {}).items()
        }
        by_hand = [
            one for some in (self._pointed, *(self._prompts[index] for index in sorted(self._prompts))) for one in some
        ]
        names = {one.id: one.label for one in by_hand if one.label is not None}  # the same on all frames
        self.objects = Objects({one.id: names.get(one.id) for one in by_hand}, reserved)
        self._propagator = propagator
        self._detector, self._phrases = detector, list(phrases)
        self._wanted = "first" if self._pointed and keyframe == "auto" else keyframe
        self._redetect = redetect if detector is not None else None
        self._forget_after = forget_after
        self._allow_overlap, self._sharpen = allow_overlap, sharpen
        self._range, self._between = (start, end), between
        self._first = 0  # number of the first frame that is read

    @property
    def keyframe(self) -> int | None:
        """Number of the frame the first object was found on; None as long as there was none."""
        return self.objects.keyframe

    @property
    def labels(self) -> dict[int, str]:
        """Label of every object by id."""
        return self.objects.labels

    @property
    def seen(self) -> dict[int, int]:
        """Number of frames in which each object was visible, by id."""
        return self.objects.seen

    @property
    def warning(self) -> str | None:
        """One line if the clip turned out to be damaged, or to have ended before a frame with prompts; else None."""
        lines = [self.clip.warning] if self.clip.warning else []
        if self._prompts:  # those that were met are gone
            lines.append(
                f"{self.clip.path} has no frame {min(self._prompts)} in the part that was read: the prompts on it were not used"
            )
        return "; ".join(lines) or None

    def __iter__(self) -> Iterator[TrackedFrame]:
        with closing(self._coming(self.clip.frames(*self._range), patience=1.0 if self.clip.once else None)) as frames:
            key, found = yield from self._find_keyframe(frames)
            self.doing = ""
            if key is None:
                yield from () if self.clip.once else self._frames_before(None, None)
                return
            if self._pointed:
                self._prompts[key.index] = fitted(
                    [*self._pointed, *self._prompts.get(key.index, ())], self.clip.info.width, self.clip.info.height
                )
            sweep = self._sweep(self._propagator)
            sweep.take(key, found)
            following = sweep.run(frames)
            if key.index > self._first and not self.clip.once:
                with FrameStack(self.clip.info.height, self.clip.info.width) as earlier:
                    self._track_back(key, earlier)
                    settled = next(following)  # the keyframe: now it is known which of the objects on it are some
                    yield from self._frames_before(key, earlier)
                    yield self._handed_out(self._finished(settled))
            for waiting in following:
                yield self._handed_out(self._finished(waiting))

    def _coming(self, frames: Iterator[Frame], patience: float | None = None) -> Iterator[Frame]:
        """Frames, read ahead; before each there is time for others."""
        with closing(prefetch(frames, patience=patience)) as ahead:
            for frame in ahead:
                if self._between is not None:
                    self._between()
                yield frame

    # -- the keyframe --------------------------------------------------------------------------------------------------

    def _find_keyframe(
        self, frames: Iterator[Frame]
    ) -> Generator[TrackedFrame, None, tuple[Frame | None, Found | None]]:
        """The frame to begin on, and what is on it if the detector has looked; (None, None) if nothing is found anywhere.

        Frames before it are handed out at once, without objects, if they cannot be read again.
        """
        last_look = None
        for number, frame in enumerate(frames):
            if number == 0:
                self._first = frame.index
                self._check_order()
            if self._wanted == "first" or frame.index == self._wanted:
                return frame, None
            if self._wanted == "auto" and frame.index in self._prompts:
                return frame, None
            if (
                self._wanted == "auto"
                and self._detector
                and (
                    last_look is None
                    or frame.time - last_look >= min(SCAN_INTERVAL, self._redetect or SCAN_INTERVAL) - 1e-6
                )
            ):
                last_look, found = frame.time, self._find(frame)
                if len(found.boxes):
                    return frame, found
            self.doing = f"looking for a keyframe: {frame.index}"
            if self.clip.once:
                yield TrackedFrame(frame.index, frame.time, frame.image, self._nothing())
        if self._wanted != "auto":
            raise InputError(f"{self.clip.path}: frame {self._wanted}, the keyframe, is not in the part that was read")
        return None, None

    def _check_order(self) -> None:
        """Raise InputError if there are prompts that come before everything that is tracked forwards."""
        start = self._wanted if isinstance(self._wanted, int) else self._first
        if self._prompts and min(self._prompts) < start:
            what = "keyframe" if isinstance(self._wanted, int) else "first frame that is read"
            raise InputError(
                f"there are prompts on frame {min(self._prompts)}, before the {what}, {start}; begin on that frame"
            )

    def _find(self, frame: Frame) -> Found:
        """What the detector finds on a frame, best first."""
        found = self._detector.detect(frame.image, self._phrases)
        self.best_score = max(self.best_score, self._detector.best_score)
        found = found[np.argsort(-found.confidence, kind="stable")]
        return Found(found.xyxy, [str(name) for name in found.data["class_name"]], found.confidence)

    def _sweep(self, propagator: Propagator, origin: Frame | None = None) -> Sweep:
        """A sweep forwards, or backwards from a frame. Where the detector has looked for a keyframe, it need not look again."""
        looking = self._detector is not None and (
            origin is None or (self._wanted != "auto" and self._redetect is not None)
        )
        return Sweep(
            self.objects,
            propagator,
            self._find,
            self._redetect,
            self._forget_after,
            self.clip.info.frame_rate or 25,
            scanning=self._wanted == "auto",
            origin=origin,
            looking=looking,
            pointed=None if origin else self._prompts,
            between=self._between,
        )

    # -- what lies before it -------------------------------------------------------------------------------------------

    def _track_back(self, key: Frame, earlier: FrameStack) -> None:
        """Follow the objects of the keyframe, and others that turn up on the way, back to the first frame."""
        sweep = self._sweep(self._propagator.branch(list(self._propagator.banks)), origin=key)
        with closing(self._coming(self.clip.backwards(key, self._range[0]))) as frames:
            for waiting in sweep.run(frames):
                self.doing = f"tracking backwards: {waiting.frame.index}"
                ids = dict.fromkeys(self.objects.known, "")
                earlier.push(
                    waiting.finished(
                        ids, {i: i for i in ids}, self._allow_overlap, self._sharpen, self.objects.by_hand()
                    )
                )
                if not sweep.looks and not sweep.propagator.banks:
                    break  # nobody is left to be followed, and nobody will be found
        self.doing = ""

    def _frames_before(self, key: Frame | None, earlier: FrameStack | None) -> Iterator[TrackedFrame]:
        """The frames before the keyframe, read again, with what was tracked backwards; all frames if there is no keyframe."""
        with closing(self._coming(self.clip.frames(*self._range))) as frames:
            for frame in frames:
                if key is not None and frame.index >= key.index:
                    return
                tracked = earlier and earlier.pop_at(frame.time)
                found = self._nothing() if tracked is None else self._named(tracked.detections)
                yield self._handed_out(TrackedFrame(frame.index, frame.time, frame.image, found))

    def _nothing(self) -> sv.Detections:
        """What is on a frame without objects."""
        return sv.Detections(
            np.zeros((0, 4), np.float32),
            np.zeros((0, self.clip.info.height, self.clip.info.width), bool),
            np.zeros(0, np.float32),
            tracker_id=np.zeros(0, int),
            data={"class_name": np.zeros(0, str)},
        )

    def _named(self, found: sv.Detections) -> sv.Detections:
        """Detections that go by ids, under numbers and labels; without what turned out to be a false alarm."""
        numbers = self.objects.numbers()
        found = found[np.array([i in numbers for i in found.tracker_id.tolist()], bool)]
        found.tracker_id = np.array([numbers[i] for i in found.tracker_id.tolist()], int)
        found.data["class_name"] = np.array([self.labels[number] for number in found.tracker_id.tolist()], dtype=str)
        return found[np.argsort(found.tracker_id)]

    # -- handing out ---------------------------------------------------------------------------------------------------

    def _finished(self, waiting: WaitingFrame) -> TrackedFrame:
        labels = {i: known.label for i, known in self.objects.known.items()}
        return waiting.finished(
            labels, self.objects.numbers(), self._allow_overlap, self._sharpen, self.objects.by_hand()
        )

    def _handed_out(self, frame: TrackedFrame) -> TrackedFrame:
        for number in frame.detections.tracker_id.tolist():
            self.seen[number] += 1
        return frame
