"""Who is who: what is known of every object, which detections are of objects in view, and who looks like whom.

The thresholds were chosen on clips of the demo world (docs/tracking.md shows how far apart the two sides lie).
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field

import numpy as np
import supervision as sv
import torch
import torch.nn.functional as F
from torch import Tensor

AGREE = 0.4  # IoU of a detection's box with the box of an object's mask, from which it is of that object
COVERED = 0.5  # share of a mask that others cover, from which it shows nothing new
ALIKE = 0.8  # similarity of looks from which a newcomer is an object that was lost
STRANGE = 0.5  # similarity below which a mask has moved on to something else
STRONG = 0.6  # detection score that needs no second look
ENOUGH = 0.9  # sum of two scores that confirm a newcomer; two weak ones may be the same mistake made twice
LOOKS = 8  # how many looks of an object are kept


@dataclass
class Known:
    """What is known of one object.

    Attributes:
        born: number of the frame on which it was found (its first visible frame may lie before).
        evidence: sum of its detection scores, one a look.
        votes: sum of detection scores for every label, also of those that call it something else.
        looks: unit vectors [C] of how it looked, the latest last.
        by_hand: the user has pointed at it: no detection replaces its mask, and of two objects on the same pixels it stays.
        number: what users know it by; None as long as it is not confirmed, that is found strongly or more than once.
    """

    born: int
    evidence: float = 0.0
    votes: Counter = field(default_factory=Counter)
    looks: deque[Tensor] = field(default_factory=lambda: deque(maxlen=LOOKS))
    by_hand: bool = False
    number: int | None = None

    @property
    def confirmed(self) -> bool:
        return self.number is not None

    @property
    def label(self) -> str:
        """The label with most evidence: another one takes over when more speaks for it than for the first."""
        return self.votes.most_common(1)[0][0] if self.votes else "object"

    def likeness(self, look: Tensor) -> float:
        """Cosine similarity in -1..1 of a look with the most similar one so far; 1 if none is known."""
        return max((float(look @ other) for other in self.looks), default=1.0)


def look_of(features: Tensor, logits: Tensor) -> Tensor:
    """How the object under a mask looks: the mean of the frame's features there, as a unit vector [C].

    features: [1, C, h, w] of the frame, without any memory. logits: [4h, 4w] of the mask, somewhere positive.

    SAM 2's object pointers were tried first: on the demo pair they tell objects apart less well (docs/tracking.md).
    """
    weights = F.interpolate((logits > 0).float()[None, None], features.shape[2:], mode="area")[0, 0]
    return F.normalize((features[0].float() * weights).sum((1, 2)), dim=0)


def assign(boxes: np.ndarray, labels: list[str], masks: np.ndarray, known: list[Known]) -> dict[int, int]:
    """Which detection is of which object in view: row of `boxes` → row of `masks`, as good as it gets in total.

    boxes: [N, 4] of detections, with their labels. masks: [M, 4] boxes of the objects' masks, with what is known of them.
    A detection is only ever of an object that has been called so before.
    """
    if not len(boxes) or not len(masks):
        return {}
    from scipy.optimize import linear_sum_assignment  # here, since the first mask should not wait for scipy

    named = np.array([[label in other.votes for other in known] for label in labels])
    overlap = np.where(named, sv.box_iou_batch(boxes, masks), 0)
    rows, columns = linear_sum_assignment(np.where(overlap >= AGREE, overlap, 0), maximize=True)
    return {int(r): int(c) for r, c in zip(rows, columns) if overlap[r, c] >= AGREE}


def covered(mask: Tensor, others: list[Tensor]) -> float:
    """Share of a mask [h, w] bool that any of the others covers."""
    if not others:
        return 0.0
    return float((mask & torch.stack(others).any(0)).sum() / mask.sum().clamp(min=1))


def in_common(a: Tensor, b: Tensor) -> float:
    """Share of a mask [h, w] bool that another covers, for whichever of the two is covered more."""
    return max(covered(a, [b]), covered(b, [a]))


def mask_iou(a: list[Tensor], b: list[Tensor]) -> Tensor:
    """IoU of N and M masks [h, w] bool → [N, M], in one product for all pairs."""
    if not a or not b:
        return torch.zeros(len(a), len(b))
    a, b = (torch.stack(masks).flatten(1).float() for masks in (a, b))
    both = a @ b.T
    return both / (a.sum(1)[:, None] + b.sum(1)[None] - both).clamp(min=1)
