"""What a pass remembers from frame to frame."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from vidseg.prompts.object_prompt import ObjectPrompt
from vidseg.tracking.crossing import CrossingState
from vidseg.tracking.pending import PendingFrame
from vidseg.tracking.scene_change import SceneChangeState


@dataclass
class PassState:
    """What a pass remembers, beside the tracks and their memories.

    Attributes:
        pending: frames that were pushed, but not handed out, in the order of the pass.
        prompts: what the user points at on frames still to come, by frame number.
        last_visible: time in s of the last frame on which each track was visible, by internal id.
        crossed: ids of tracks that have passed one that looks alike since the last detection run.
        duplicates: for how many frames in a row two tracks were on the same pixels, by their ids.
        deferred: ids of tentative tracks of the origin: it takes both directions to give them up.
        last_detection: time in s of the last detection run; None before the first.
        detected_at: position of the last detection run.
        detected_before: position of the one before.
        crossings: what the crossing resolver remembers.
        scenes: what the scene change detector remembers; None if there is none.
    """

    pending: list[PendingFrame] = field(default_factory=list)
    prompts: dict[int, tuple[ObjectPrompt, ...]] = field(default_factory=dict)
    last_visible: dict[int, float] = field(default_factory=dict)
    crossed: set[int] = field(default_factory=set)
    duplicates: dict[tuple[int, int], int] = field(default_factory=dict)
    deferred: frozenset[int] = frozenset()
    last_detection: float | None = None
    detected_at: float = -np.inf
    detected_before: float = -np.inf
    crossings: CrossingState = field(default_factory=CrossingState)
    scenes: SceneChangeState | None = None
