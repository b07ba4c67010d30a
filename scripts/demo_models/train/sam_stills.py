"""Lessons on single pictures for the demo SAM 2.1: a first prompt, then correcting clicks on top of the last mask.

The mask of the prompted frame bounds everything that follows in a clip, and a still costs a fraction of a clip.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from scripts.demo_models.train.sam_data import click_in, prompts, training_clip
from scripts.demo_models.train.sam_loss import full_size_loss, mask_loss

OBJECTS = 3  # targets a picture
ROUNDS = 2  # correcting clicks after the first prompt, at most


def encode(model, images: Tensor):
    """`SAM2Base.forward_image`, and the second stage of the trunk besides, [N, h, w, C] at stride 8."""
    levels = model.image_encoder.trunk(images)
    maps, positions = model.image_encoder.neck(levels)
    maps, decoder = maps[: -model.image_encoder.scalp], model.sam_mask_decoder
    maps = [decoder.conv_s0(maps[0]), decoder.conv_s1(maps[1]), maps[2]]
    return {"backbone_fpn": maps, "vision_pos_enc": positions[: len(maps)]}, levels[1].permute(0, 2, 3, 1)


def decode(model, features: Tensor, high_res: list[Tensor], points=None, mask: Tensor | None = None):
    """The mask decoder without the object-score gate: masks [B, 4, h, w], ious [B, 4], tokens [B, 4, C], score [B, 1].

    `points` are coordinates [B, N, 2] and labels [B, N]; `mask` is an earlier answer, logits [B, 1, h, w].
    """
    batch = len(features)
    if points is None:
        points = (features.new_zeros(batch, 1, 2), -torch.ones(batch, 1, dtype=torch.int32, device=features.device))
    sparse, dense = model.sam_prompt_encoder(points=points, boxes=None, masks=mask)
    return model.sam_mask_decoder.predict_masks(
        image_embeddings=features,
        image_pe=model.sam_prompt_encoder.get_dense_pe(),
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense,
        repeat_image=False,
        high_res_features=high_res,
    )


def make_stills(rng: np.random.Generator, side: int, pictures: int, zoom: float) -> dict:
    """Pictures [P, 3, side, side] in 0..255, masks [P · OBJECTS, side, side], and a first prompt: a box or a click."""
    made = [training_clip(rng, side, 1, OBJECTS, jump=0.5, zoom=zoom) for _ in range(pictures)]
    masks = np.concatenate([clip.masks[0] for clip in made])
    return {
        "images": torch.from_numpy(np.stack([clip.images[0] for clip in made])).permute(0, 3, 1, 2).contiguous(),
        "masks": torch.from_numpy(masks),
        "owners": torch.from_numpy(np.stack([clip.owners[0] for clip in made])).long(),
        "classes": [torch.from_numpy(clip.classes) for clip in made],
        "points": tuple(map(torch.from_numpy, prompts(rng, rng.choice(["box", "click"]), masks))),
    }


def run_stills(model, heads, batch: dict, rng: np.random.Generator):
    """Loss of one batch of normalised stills, and the IoU after the first prompt and after each click."""
    masks, side = batch["masks"].float(), batch["images"].shape[-1]
    out, fine = encode(model, batch["images"])
    _, feats, _, sizes = model._prepare_backbone_features(out)
    loss = heads.image_loss(out["backbone_fpn"][-1], fine, batch["owners"], batch["classes"])
    figures = {"image": loss.item()}
    feats = [f.repeat_interleave(OBJECTS, 1) for f in feats]
    *high, features = [f.permute(1, 2, 0).reshape(f.shape[1], f.shape[2], *size) for f, size in zip(feats, sizes)]
    features = features + model.no_mem_embed.transpose(1, 2)[..., None]
    low = F.avg_pool2d(masks[None], 4)[0]
    points, previous = batch["points"], None
    boxed = bool((points[1][:, 0] == 2).all())
    rows = torch.arange(len(masks), device=masks.device)
    rounds = int(rng.integers(ROUNDS + 1))
    for turn in range(1 + rounds):
        logits, guess, _, score = decode(model, features, high, points, previous)
        each, _ = mask_loss(logits, guess, low, 0.0)
        # As at inference: one click is ambiguous and chooses among three, everything else gets the single mask.
        chosen = torch.zeros_like(rows) if boxed or turn else guess[:, 1:].argmax(1) + 1
        picked = logits[rows, chosen]
        each = each + full_size_loss(picked, masks)
        loss = loss + (each.mean() + F.softplus(-score).mean()) / (1 + rounds)
        found = (
            F.interpolate(picked.detach()[:, None], size=(side, side), mode="bilinear", align_corners=False)[:, 0] > 0
        )
        union = (found | batch["masks"]).sum((1, 2)).clamp(min=1)
        figures[f"iou_{'box' if boxed else 'click'}_{turn}"] = (
            ((found & batch["masks"]).sum((1, 2)) / union).mean().item()
        )
        if turn < rounds:
            points = with_correction(points, found.cpu().numpy(), batch["masks"].cpu().numpy(), rng)
            previous = picked.detach()[:, None].clamp(-32, 32)  # the range that the predictors of the package feed back
    return loss, figures


def with_correction(points, found: np.ndarray, true: np.ndarray, rng: np.random.Generator):
    """Add a click to each object where its mask [B, H, W] is wrong."""
    where, sign = np.zeros((len(found), 1, 2), np.float32), np.zeros((len(found), 1), np.int32)
    for i, (mine, truth) in enumerate(zip(found, true)):
        faults = mine != truth
        if not faults.any():
            faults = truth
        x, y = where[i, 0] = click_in(rng, faults)
        sign[i, 0] = int(truth[int(y), int(x)])
    device = points[0].device
    return (
        torch.cat([points[0], torch.from_numpy(where).to(device)], 1),
        torch.cat([points[1], torch.from_numpy(sign).to(device)], 1),
    )
