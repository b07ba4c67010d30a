"""Losses of the demo SAM 2.1, and the throw-away heads that only training uses."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def focal(logits: Tensor, target: Tensor) -> Tensor:
    """Sigmoid focal loss (alpha 0.25, gamma 2), mean over pixels. logits, target [..., H, W]; returns [...]."""
    probability = logits.sigmoid()
    cross = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    agreement = probability * target + (1 - probability) * (1 - target)
    weight = 0.25 * target + 0.75 * (1 - target)
    return (weight * (1 - agreement) ** 2 * cross).mean((-2, -1))


def dice(logits: Tensor, target: Tensor) -> Tensor:
    probability = logits.sigmoid()
    overlap = (probability * target).sum((-2, -1))
    return 1 - (2 * overlap + 1) / (probability.sum((-2, -1)) + target.sum((-2, -1)) + 1)


def balanced_bce(logits: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy in which object and background weigh the same, whatever their areas."""
    cross = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    inside = (cross * target).sum((-2, -1)) / (target.sum((-2, -1)) + 1)
    outside = (cross * (1 - target)).sum((-2, -1)) / ((1 - target).sum((-2, -1)) + 1)
    return 0.5 * (inside + outside)


def mask_iou(logits: Tensor, target: Tensor) -> Tensor:
    predicted, true = logits > 0, target > 0.5
    union = (predicted | true).sum((-2, -1))
    return (predicted & true).sum((-2, -1)) / union.clamp(min=1)


def mask_loss(masks: Tensor, ious: Tensor, target: Tensor, balance: float) -> tuple[Tensor, Tensor]:
    """Loss of all four masks of the decoder against one target.

    Args:
        masks: [B, 4, h, w] logits before the object-score gate; token 0 is the single mask, 1–3 the candidates.
        ious: [B, 4] predicted IoU.
        target: [B, h, w] coverage of each low-resolution pixel by the object, 0..1.
        balance: weight of the class-balanced cross-entropy that keeps early training from "all background".

    Returns:
        loss [B], and the IoU [B] of the candidate with the highest predicted IoU.
    """
    wide = target[:, None].expand_as(masks)
    each = 20 * focal(masks, wide) + dice(masks, wide)
    if balance > 0:
        each = each + balance * balanced_bce(masks, wide)
    true_iou = mask_iou(masks.detach(), wide)
    iou_error = (ious - true_iou).abs().mean(1)
    candidates = each[:, 1:]
    loss = 0.75 * candidates.min(1).values + 0.25 * candidates.mean(1) + each[:, 0] + 0.5 * iou_error
    chosen = ious[:, 1:].argmax(1, keepdim=True)
    return loss, true_iou[:, 1:].gather(1, chosen)[:, 0]


class TrainingHeads(nn.Module):
    """Extra predictions that teach the encoder and the memory attention directly. Never exported."""

    def __init__(self, dim: int, classes: int):
        super().__init__()
        self.sprite = nn.Linear(dim, classes + 1)  # which glyph is in this cell (0: none)
        self.extent = nn.Linear(dim, 4)  # centre offset and size of that sprite, in pictures
        self.outline = nn.Linear(dim, 16)  # 4×4 sub-cells: any sprite at all?
        self.target = nn.Linear(dim, 16)  # 4×4 sub-cells of memory-conditioned tokens: the target?

    def subcells(self, layer: nn.Linear, features: Tensor) -> Tensor:
        """features [B, C, H, W] → logits [B, 4H, 4W]."""
        return F.pixel_shuffle(layer(features.permute(0, 2, 3, 1)).permute(0, 3, 1, 2), 4)[:, 0]

    def image_loss(self, features: Tensor, owners: Tensor, classes: list[Tensor]) -> Tensor:
        """features [N, C, h, w] of N images; owners [N, H, W] int64 (0 none); classes: glyphs a sprite, per image."""
        count, _, height, width = features.shape
        step = owners.shape[-1] // width
        centre = owners[:, step // 2 :: step, step // 2 :: step]
        table = torch.zeros(count, 1 + max(len(c) for c in classes), dtype=torch.long, device=features.device)
        for i, glyphs in enumerate(classes):
            table[i, 1 : 1 + len(glyphs)] = glyphs + 1
        tokens = features.permute(0, 2, 3, 1)
        label = table.gather(1, centre.flatten(1)).view_as(centre)
        weight = torch.where(label > 0, 1.0, 0.1)
        glyph_loss = (F.cross_entropy(self.sprite(tokens).flatten(0, 2), label.flatten(), reduction="none")
                      * weight.flatten()).sum() / weight.sum()
        fine = F.avg_pool2d((owners > 0).float()[:, None], step // 4)[:, 0]
        outline_loss = F.binary_cross_entropy_with_logits(self.subcells(self.outline, features), fine)
        boxes, has = extents(centre, table.shape[1])
        error = (self.extent(tokens) - boxes).abs().sum(-1)
        return 0.5 * glyph_loss + outline_loss + (error * has).sum() / has.sum().clamp(min=1)

    def target_loss(self, features: Tensor, target: Tensor) -> Tensor:
        """features [B, C, h, w] conditioned on memory; target [B, 4h, 4w]; returns [B]."""
        logits = self.subcells(self.target, features)
        return balanced_bce(logits, target) + 0.5 * dice(logits, target)


def extents(owner: Tensor, owners: int) -> tuple[Tensor, Tensor]:
    """For each cell of owner [N, h, w]: offset to its owner's centre and the owner's size [N, h, w, 4], and who has one."""
    count, height, width = owner.shape
    onehot = F.one_hot(owner, owners).float()  # N h w K
    ys = torch.linspace(0, 1, height, device=owner.device)[None, :, None, None]
    xs = torch.linspace(0, 1, width, device=owner.device)[None, None, :, None]
    area = onehot.sum((1, 2)).clamp(min=1)
    cy, cx = (onehot * ys).sum((1, 2)) / area, (onehot * xs).sum((1, 2)) / area
    sy = (((ys - cy[:, None, None]) ** 2 * onehot).sum((1, 2)) / area).sqrt()
    sx = (((xs - cx[:, None, None]) ** 2 * onehot).sum((1, 2)) / area).sqrt()
    own = torch.stack([cx, cy, sx, sy], -1)  # N K 4
    cells = torch.einsum("nhwk,nkc->nhwc", onehot, own)
    place = torch.stack([xs.expand(1, height, width, 1)[..., 0], ys.expand(1, height, width, 1)[..., 0]], -1)
    return torch.cat([cells[..., :2] - place, cells[..., 2:]], -1), (owner > 0).float()
