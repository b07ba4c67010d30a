"""How objects look: embeddings of what is under a mask, and how similar they are."""

from __future__ import annotations

from collections.abc import Iterable

import torch.nn.functional as F
from torch import Tensor


def appearance_embedding(features: Tensor, logits: Tensor) -> Tensor:
    """The mean of a frame's features under a mask, as a unit vector [C].

    SAM 2's object pointers tell objects of the demo world apart less well (docs/tracking.md).

    Args:
        features: [1, C, h, w] of the frame, without any memory.
        logits: [4h, 4w] of the mask, positive somewhere.
    """
    weights = F.interpolate((logits > 0).float()[None, None], features.shape[2:], mode="area")[0, 0]
    return F.normalize((features[0].float() * weights).sum((1, 2)), dim=0)


def similarity(embedding: Tensor, others: Iterable[Tensor]) -> float:
    """Cosine similarity in -1..1 of an embedding with the most similar of some others; 1 if there are none."""
    return max((float(embedding @ other) for other in others), default=1.0)
