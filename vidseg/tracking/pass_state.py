"""What a pass remembers from frame to frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from vidseg.io.clip import Frame
from vidseg.prompts.object_prompt import ObjectPrompt
from vidseg.tracking.crossing import CrossingState
from vidseg.tracking.options import TrackOptions
from vidseg.tracking.pending import PendingFrame
from vidseg.tracking.registry import TrackRegistry
from vidseg.tracking.scene_change import SceneChangeDetector, SceneChangeState


@dataclass
class PassState:
    """What a pass remembers, beside the tracks and their memories.

    Attributes:
        pending: frames that were pushed, but not handed out, in the order of the pass.
        prompts: what the user points at on frames still to come, by frame number.
        last_visible: time in s of the last frame on which each track was visible, by internal id.
        crossed: ids of tracks that have passed one that looks alike since the last detection run.
        prompted: ids of tracks that the user has pointed at since the last detection run.
        duplicates: for how many frames in a row two tracks were on the same pixels, by their ids.
        deferred: ids of tentative tracks of the origin: they are pruned only after both directions.
        last_run_time: time in s of the last detection run; None before the first.
        backfill_limit: position up to which the next detection run backfills nothing: that of the last run, or the end
            of the last scene.
        previous_backfill_limit: the same of the last detection run.
        crossings: what the crossing resolver remembers.
        scenes: what the scene change detector remembers; None if there is none.
    """

    pending: list[PendingFrame] = field(default_factory=list)
    prompts: dict[int, tuple[ObjectPrompt, ...]] = field(default_factory=dict)
    last_visible: dict[int, float] = field(default_factory=dict)
    crossed: set[int] = field(default_factory=set)
    prompted: set[int] = field(default_factory=set)
    duplicates: dict[tuple[int, int], int] = field(default_factory=dict)
    deferred: frozenset[int] = frozenset()
    last_run_time: float | None = None
    backfill_limit: float = -np.inf
    previous_backfill_limit: float = -np.inf
    crossings: CrossingState = field(default_factory=CrossingState)
    scenes: SceneChangeState | None = None


def begin_pass(
    registry: TrackRegistry,
    options: TrackOptions,
    frame_rate: float | Fraction,
    origin: Frame | None = None,
    prompts: Mapping[int, tuple[ObjectPrompt, ...]] | None = None,
) -> PassState:
    """The state of a pass before its first frame.

    Args:
        registry: of the run.
        options: of the run.
        frame_rate: of the clip in frames/s, for scene changes.
        origin: the frame that a pass backwards starts before: detection has run on it. None: the pass goes forwards.
        prompts: what the user points at, by frame number.
    """
    state = PassState(prompts=dict(prompts or {}), deferred=frozenset(registry.tentative()))
    if options.redetect:
        state.scenes = SceneChangeState(float(frame_rate))
    if origin is not None:
        state.last_run_time = origin.time
        state.backfill_limit = state.previous_backfill_limit = -origin.index
        if state.scenes:
            # Or a change right before the origin would go unseen
            SceneChangeDetector(state.scenes, options.thresholds).update(origin.image)
    return state
