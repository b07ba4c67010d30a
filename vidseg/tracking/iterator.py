"""A run as users see it: an iterator of frames that says what happened."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vidseg.io.clip import Clip
    from vidseg.tracking.run import ClipRun
    from vidseg.tracks.frame import TrackedFrame


class Tracking:
    """One run over a clip: an iterator of its frames, one each, in order. Once it is through, ask it what happened.

    A run can be iterated once. To leave it early and go on later is fine; one that has ended raises RuntimeError.
    """

    def __init__(self, run: ClipRun):
        # The generator must not know this object: dropping it closes the clip's files at once, without a collection.
        self._run, self._frames, self._ended = run, run.frames(), False

    def __iter__(self) -> Iterator[TrackedFrame]:
        if self._ended:
            raise RuntimeError("this run is over, and its frames are gone; call track() again for another one")
        return self

    def __next__(self) -> TrackedFrame:
        try:
            return next(self._frames)
        except BaseException:
            self._ended = True
            raise

    def close(self) -> None:
        """End the run and close the clip's files; frames that were not handed out are lost."""
        self._ended = True
        self._frames.close()

    @property
    def clip(self) -> Clip:
        """Where the frames come from."""
        return self._run.clip

    @property
    def best_score(self) -> float:
        """Highest detection score so far, also below the threshold; 0.0 without a detector."""
        return self._run.best_score

    @property
    def best_scores(self) -> Mapping[str, float]:
        """The same for each phrase of the prompt; empty without a detector."""
        return self._run.best_scores

    @property
    def keyframe(self) -> int | None:
        """Number of the frame the first object was found on; None as long as there was none."""
        return self._run.registry.state.keyframe

    @property
    def labels(self) -> Mapping[int, str]:
        """Label of every object by track id."""
        return self._run.registry.state.labels

    @property
    def seen(self) -> Mapping[int, int]:
        """Number of frames on which each object was visible, by track id."""
        return self._run.registry.state.frames_visible

    @property
    def frames_done(self) -> int:
        """Number of frames that are tracked, in both directions; runs ahead of the frames that are handed out."""
        return self._run.frames_done

    @property
    def status(self) -> str:
        """What is under way before the first frame comes out, for those who watch; else empty."""
        return self._run.status

    @property
    def warning(self) -> str | None:
        """One line if the clip turned out to be damaged, or to have ended before a frame with prompts; else None."""
        return self._run.warning
