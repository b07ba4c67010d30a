"""The course of the detector's training: phases with their sizes of pictures, and the learning rate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Short side: batch, sprite sizes (shares of the short side). Small pictures with big sprites teach the words cheaply;
# boxes have to be learnt at the size that is used, as they do not carry over.
SIZES = {112: (16, (0.22, 0.90)), 168: (16, (0.15, 0.65)), 224: (12, (0.12, 0.55))}
ASPECTS = ((1, 1), (1, 1.333), (1, 1.777), (1, 1.777), (1.333, 1))  # height, width in short sides
RATE = 6e-4


@dataclass(frozen=True)
class Phase:
    """A stretch of the training.

    Attributes:
        until: its end, as a share of the budget.
        detects: whether boxes are learnt; else the backbone alone learns as a classifier of sprites.
        mix: how often each short side is drawn.
    """

    until: float
    detects: bool
    mix: dict[int, float]


PHASES = (
    Phase(0.16, False, {112: 1.0}),
    Phase(0.47, True, {112: 1.0}),
    Phase(0.72, True, {112: 0.3, 168: 0.35, 224: 0.35}),
    Phase(1.00, True, {168: 0.25, 224: 0.75}),
)


def phase_at(share: float) -> int:
    """The place in PHASES at a share of the budget."""
    return next((i for i, phase in enumerate(PHASES) if share < phase.until), len(PHASES) - 1)


def rate_at(share: float, phase_steps: int) -> float:
    """The learning rate: down a cosine, after a warm-up of 100 steps."""
    first = min(1.0, (phase_steps + 1) / 100)
    return RATE * first * (0.01 + 0.99 * 0.5 * (1 + np.cos(np.pi * min(share, 1.0))))


def shape_of(short: int, rng: np.random.Generator) -> tuple[int, int]:
    """Height and width: as the processor makes them at full size, at small sizes such that they fill Swin's windows."""
    if short < 160:
        return short, short * int(rng.integers(1, 3))
    high, wide = ASPECTS[rng.integers(len(ASPECTS))]
    return round(short * high), int(short * wide)
