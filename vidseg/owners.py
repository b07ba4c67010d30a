"""Whose a pixel is where masks of one frame overlap."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import torch
from torch import Tensor

from vidseg.identity import COVERED


def judged(logits: Mapping[int, Tensor], scores: Mapping[int, float], by_hand: Collection[int] = ()) -> tuple[set[int], list[tuple[int, int]]]:
    """Of masks that lie mostly on another: which cannot be seen, and which are in front.

    One that is hidden may still be drawn on what hides it, and one that is behind may spill over what is in front; logits
    are as large as the other's in either case. But who is hidden is less sure of itself as a whole, and who spills over
    is less sure there than elsewhere. So what counts is the mean logit where both are, in units of the mask's median one,
    times the square of the confidence.

    Args:
        logits: [h, w] low-resolution mask logits by object, each positive somewhere.
        scores: SAM's confidence in each mask.
        by_hand: who is never taken for hidden: a part of something else may be what the user has pointed at.

    Returns:
        Ids of those that cannot be seen; and pairs of a mask behind and the one in front, which has all that both claim.
    """
    ids = list(logits)
    if len(ids) < 2:
        return set(), []
    masks = torch.stack([logits[i] > 0 for i in ids])
    flat = masks.flatten(1).float()
    both = flat @ flat.T
    share = (both / both.diagonal().clamp(min=1)[:, None]).tolist()  # of the row's mask that the column's covers
    # Of a pair, it is the one covered more that may be hidden; the younger of two that are equally covered
    covered = [(share[a][b], a, b) for a in range(len(ids)) for b in range(len(ids)) if a != b and share[a][b] > COVERED and (share[a][b], a) > (share[b][a], b)]

    def sure(a: int, b: int) -> float:
        own = logits[ids[a]].float()
        return float(own[masks[a] & masks[b]].mean() / own[masks[a]].median()) * scores[ids[a]] ** 2

    hidden: set[int] = set()
    layers = []
    for _, a, b in sorted(covered, reverse=True):
        if ids[a] in by_hand or ids[a] in hidden or ids[b] in hidden:
            continue
        if sure(a, b) <= sure(b, a):
            hidden.add(ids[a])
        else:
            layers.append((ids[b], ids[a]))
    return hidden, [pair for pair in layers if hidden.isdisjoint(pair)]
