"""Which object is in front where masks of one frame overlap."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

import torch

from vidseg.tracking.options import THRESHOLDS, Thresholds

if TYPE_CHECKING:
    from vidseg.tracking.pending import MaskEstimate


def occlusion_order(
    estimates: Mapping[int, MaskEstimate], user_prompted: Collection[int] = (), thresholds: Thresholds = THRESHOLDS
) -> tuple[set[int], list[tuple[int, int]]]:
    """Of masks that lie mostly on a larger one: which cannot be seen, and which are in front.

    A hidden mask may still be drawn on what hides it, and one behind may spill over what is in front; logits are as
    large as the other's in either case. But a hidden mask is less certain as a whole, and one that spills over is less
    certain there than elsewhere. So what counts is the mean logit where both are, in units of the mask's median one,
    times the square of the confidence. A mask that is hidden but for a part, `visible_share` of it at least, is seen in
    that part alone.

    Args:
        estimates: of the objects on a frame, each positive somewhere.
        user_prompted: ids of those that the user points at: never hidden, and in front of others that are; one may be
            meant as a part of the other.
        thresholds: `max_coverage` and `visible_share`.

    Returns:
        Ids of those that cannot be seen; and pairs of a mask behind and the one in front, which has all that both
        claim: the pairs are to be applied in their order.
    """
    ids = list(estimates)
    if len(ids) < 2:
        return set(), []
    masks = torch.stack([estimates[i].mask for i in ids])
    flat = masks.flatten(1).float()
    both = (flat @ flat.T).tolist()

    def certainty(a: int, b: int) -> float:
        """Of mask a where b is, too."""
        own = estimates[ids[a]].logits.float()
        return float(own[masks[a] & masks[b]].mean() / own[masks[a]].median()) * estimates[ids[a]].score ** 2

    def in_front(a: int, b: int) -> bool:
        prompted = (ids[a] in user_prompted, ids[b] in user_prompted)
        return prompted == (True, True) or (prompted != (False, True) and certainty(a, b) > certainty(b, a))

    shown: list[int] = []  # from the largest on: what cannot be seen hides nothing
    hidden, fronts, behinds = set(), [], []
    for a in sorted(range(len(ids)), key=lambda a: -both[a][a]):  # of two of a size the older comes first
        below = [b for b in shown if both[a][b] > thresholds.max_coverage * both[a][a]]
        front = [b for b in below if in_front(a, b)]
        behind = [b for b in below if b not in front] if ids[a] not in user_prompted else []
        if behind and (masks[a] & ~masks[behind].any(0)).sum() < thresholds.visible_share * both[a][a]:
            hidden.add(ids[a])
            continue
        shown.append(a)
        fronts += [(ids[b], ids[a]) for b in front]
        behinds += [(ids[a], ids[b]) for b in behind]
    return hidden, fronts + behinds  # what a mask has got from one behind, it still gives to the one in front
