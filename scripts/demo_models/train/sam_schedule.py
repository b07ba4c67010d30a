"""The course of the SAM's training: phases of growing length and size, and the learning rate."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Phase:
    """A stretch of the training.

    Attributes:
        share: of the budget.
        side: of a picture, in pixels.
        frames: of a clip.
        clips: a step and process (two objects each).
    """

    share: float
    side: int
    frames: int
    clips: int


PHASES = (
    Phase(0.04, 128, 1, 16),
    Phase(0.03, 128, 2, 8),
    Phase(0.03, 128, 3, 6),
    Phase(0.34, 128, 7, 4),
    Phase(0.13, 256, 7, 2),
    Phase(0.12, 320, 7, 1),
    Phase(0.08, 352, 7, 1),
    Phase(0.10, 256, 7, 2),
    Phase(0.13, 384, 7, 1),
)
# From this share of the budget on, two steps of three are stills, and things are as large as in FULL pixels.
STILLS_FROM = 0.77
FULL = 384


def phase_at(progress: float) -> Phase:
    """The phase at a share of the budget."""
    passed = 0.0
    for phase in PHASES:
        passed += phase.share
        if progress < passed:
            return phase
    return PHASES[-1]


def rate(progress: float, step: int) -> float:
    """Warm-up of 100 steps (again where a run goes on), flat to 45 % of the budget, then linear to 1 %."""
    late = max(0.0, (progress - 0.45) / 0.55)
    return min(1.0, (step + 1) / 100) * (1 - 0.99 * late)
