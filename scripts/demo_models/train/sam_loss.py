"""Losses of the demo SAM 2.1, and the throw-away heads that only training uses."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def soft_iou(logits: Tensor, target: Tensor) -> Tensor:
    """1 - the IoU of what the logits call probable with a target in 0..1. [..., H, W] each; returns [...]."""
    probability = logits.sigmoid()
    overlap = (probability * target).sum((-2, -1))
    return 1 - (overlap + 1) / (probability.sum((-2, -1)) + target.sum((-2, -1)) - overlap + 1)


def outline_error(logits: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy as a share of the object's area: a border that is off by a pixel costs a small thing more.

    Neither side of the border weighs more. (SAM's focal loss weighs background three times as much, and masks shrink.)
    """
    cross = F.binary_cross_entropy_with_logits(logits, target, reduction="none").sum((-2, -1))
    return cross / (target.sum((-2, -1)) + 20)


def full_size_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """Loss [B] of masks [B, h, w] against the truth [B, H, W] at the size of the picture, where they are used."""
    large = F.interpolate(logits[:, None], size=masks.shape[-2:], mode="bilinear", align_corners=False)[:, 0]
    return outline_error(large, masks) + soft_iou(large, masks)


def balanced_bce(logits: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy in which object and background weigh the same, whatever their areas."""
    cross = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    inside = (cross * target).sum((-2, -1)) / (target.sum((-2, -1)) + 1)
    outside = (cross * (1 - target)).sum((-2, -1)) / ((1 - target).sum((-2, -1)) + 1)
    return 0.5 * (inside + outside)


def mask_iou(logits: Tensor, target: Tensor) -> Tensor:
    """IoU [...] of masks, logits [..., H, W], with a target [..., H, W] in 0..1."""
    predicted, true = logits > 0, target > 0.5
    union = (predicted | true).sum((-2, -1))
    return (predicted & true).sum((-2, -1)) / union.clamp(min=1)


def mask_loss(masks: Tensor, ious: Tensor, target: Tensor, balance: float) -> tuple[Tensor, Tensor]:
    """Loss of all four masks of the decoder against one target.

    Args:
        masks: [B, 4, h, w] logits before the object-score gate; token 0 is the single mask, 1–3 the candidates.
        ious: [B, 4] predicted IoU.
        target: [B, h, w] coverage of each low-resolution pixel by the object, 0..1.
        balance: share of the class-balanced cross-entropy that keeps early training from "all background".

    Returns:
        loss [B], and the IoU [B] of the candidate with the highest predicted IoU.
    """
    wide = target[:, None].expand_as(masks)
    each = soft_iou(masks, wide)
    if balance < 1:
        each = each + (1 - balance) * outline_error(masks, wide)
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

    def __init__(self, dim: int, fine_dim: int, classes: int):
        super().__init__()
        self.sprite = nn.Linear(dim, classes + 1)  # which glyph is in this cell (0: none)
        self.extent = nn.Linear(dim, 4)  # centre offset and size of that sprite, in pictures
        self.outline = nn.Linear(dim, 16)  # 4×4 sub-cells: any sprite at all?
        self.target = nn.Linear(dim, 16)  # 4×4 sub-cells of memory-conditioned tokens: the target?
        # The same at stride 8, from the trunk alone: which side of a border is the thing is known only by what it is.
        self.fine_sprite = nn.Linear(fine_dim, classes + 1)
        self.fine_outline = nn.Linear(fine_dim, 4)

    def image_loss(self, features: Tensor, fine: Tensor, owners: Tensor, classes: list[Tensor]) -> Tensor:
        """Loss of what the encoder sees in N images.

        Args:
            features: [N, C, h, w].
            fine: [N, 2h, 2w, C'].
            owners: [N, H, W] int64, 0 for none.
            classes: the glyph of each sprite, for each image.
        """
        table = torch.zeros(len(owners), 1 + max(len(c) for c in classes), dtype=torch.long, device=features.device)
        for i, glyphs in enumerate(classes):
            table[i, 1 : 1 + len(glyphs)] = glyphs + 1
        tokens = features.permute(0, 2, 3, 1)
        boxes, has = extents(centres(owners, tokens), table.shape[1])
        error = (self.extent(tokens) - boxes).abs().sum(-1)
        return (
            0.5 * glyph_loss(self.sprite, tokens, owners, table)
            + outline_loss(self.outline, tokens, owners)
            + 0.5 * glyph_loss(self.fine_sprite, fine, owners, table)
            + outline_loss(self.fine_outline, fine, owners)
            + (error * has).sum() / has.sum().clamp(min=1)
        )

    def target_loss(self, features: Tensor, target: Tensor) -> Tensor:
        """Loss [B] of features [B, C, h, w] conditioned on memory; target [B, 4h, 4w]."""
        logits = subcells(self.target, features.permute(0, 2, 3, 1))
        return balanced_bce(logits, target) + 0.5 * soft_iou(logits, target)


def subcells(layer: nn.Linear, tokens: Tensor) -> Tensor:
    """Logits [B, k·h, k·w] of tokens [B, h, w, C] by a layer with k·k outputs."""
    return F.pixel_shuffle(layer(tokens).permute(0, 3, 1, 2), int(layer.out_features**0.5))[:, 0]


def centres(owners: Tensor, tokens: Tensor) -> Tensor:
    """Owner of the pixel in the middle of each cell: owners [N, H, W] at the size of tokens [N, h, w, C]."""
    step = owners.shape[-1] // tokens.shape[2]
    return owners[:, step // 2 :: step, step // 2 :: step]


def glyph_loss(layer: nn.Linear, tokens: Tensor, owners: Tensor, table: Tensor) -> Tensor:
    """Cross-entropy of the glyph (table [N, owners + 1], 0 none) that owns a cell; cells without one weigh a tenth."""
    centre = centres(owners, tokens)
    label = table.gather(1, centre.flatten(1)).flatten()
    weight = torch.where(label > 0, 1.0, 0.1)
    return (F.cross_entropy(layer(tokens).flatten(0, 2), label, reduction="none") * weight).sum() / weight.sum()


def outline_loss(layer: nn.Linear, tokens: Tensor, owners: Tensor) -> Tensor:
    """Cross-entropy of the share of each sub-cell that any sprite covers."""
    logits = subcells(layer, tokens)
    any_sprite = F.avg_pool2d((owners > 0).float()[:, None], owners.shape[-1] // logits.shape[-1])[:, 0]
    return F.binary_cross_entropy_with_logits(logits, any_sprite)


def extents(owner: Tensor, owners: int) -> tuple[Tensor, Tensor]:
    """For each cell of owner [N, h, w]: offset to its owner's centre and size [N, h, w, 4], and whether it has one."""
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
