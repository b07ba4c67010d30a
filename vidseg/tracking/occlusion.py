"""Whose a pixel is where masks of one frame overlap."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import torch
from torch import Tensor

from vidseg.tracking.matching import COVERED

BESIDE = 0.3  # share of a mask beside what hides the rest of it, from which it is seen there


def hidden_and_layers(
    logits: Mapping[int, Tensor], scores: Mapping[int, float], by_hand: Collection[int] = ()
) -> tuple[set[int], list[tuple[int, int]]]:
    """Of masks that lie mostly on a larger one: which cannot be seen, and which are in front.

    One that is hidden may still be drawn on what hides it, and one that is behind may spill over what is in front; logits
    are as large as the other's in either case. But who is hidden is less sure of itself as a whole, and who spills over
    is less sure there than elsewhere. So what counts is the mean logit where both are, in units of the mask's median one,
    times the square of the confidence. Who is hidden but for a part, `BESIDE` of the mask at least, is seen there and no more.

    Args:
        logits: [h, w] low-resolution mask logits by object, each positive somewhere.
        scores: SAM's confidence in each mask.
        by_hand: who is pointed at: never hidden, and in front of others that are; it may be meant as a part of them.

    Returns:
        Ids of those that cannot be seen; and pairs of a mask behind and the one in front, which has all that both claim:
        the pairs are to be applied in their order.
    """
    ids = list(logits)
    if len(ids) < 2:
        return set(), []
    masks = torch.stack([logits[i] > 0 for i in ids])
    flat = masks.flatten(1).float()
    both = (flat @ flat.T).tolist()

    def sure(a: int, b: int) -> float:
        own = logits[ids[a]].float()
        return float(own[masks[a] & masks[b]].mean() / own[masks[a]].median()) * scores[ids[a]] ** 2

    def in_front(a: int, b: int) -> bool:
        pointed = (ids[a] in by_hand, ids[b] in by_hand)
        return pointed == (True, True) or pointed != (False, True) and sure(a, b) > sure(b, a)

    shown: list[int] = []  # from the largest on: who cannot be seen hides nobody
    hidden, fronts, behinds = set(), [], []
    for a in sorted(range(len(ids)), key=lambda a: -both[a][a]):  # of two of a size the older comes first
        below = [b for b in shown if both[a][b] > COVERED * both[a][a]]
        front = [b for b in below if in_front(a, b)]
        behind = [b for b in below if b not in front] if ids[a] not in by_hand else []
        if behind and (masks[a] & ~masks[behind].any(0)).sum() < BESIDE * both[a][a]:
            hidden.add(ids[a])
            continue
        shown.append(a)
        fronts += [(ids[b], ids[a]) for b in front]
        behinds += [(ids[a], ids[b]) for b in behind]
    return hidden, fronts + behinds  # what somebody has got from one behind, it still gives to the one in front
