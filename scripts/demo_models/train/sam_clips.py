"""A step of the demo SAM's training on clips: some clips at once, frame by frame with the memory in between as at inference."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F

from scripts.demo_models.train.sam_data import MIN_VISIBLE, RECENT, prompts, training_clip
from scripts.demo_models.train.sam_loss import full_size_loss, mask_iou, mask_loss
from scripts.demo_models.train.sam_stills import decode, encode

MEAN, STD = torch.tensor([0.485, 0.456, 0.406])[:, None, None], torch.tensor([0.229, 0.224, 0.225])[:, None, None]
OBJECTS = 2  # of a clip


def normalised(images: torch.Tensor) -> torch.Tensor:
    """[..., 3, H, W] in 0..255 as the image encoder takes it."""
    return (images / 255 - MEAN.to(images.device)) / STD.to(images.device)


def make_batch(rng, side, frames, clips, progress, zoom=1.0):
    """Stack `clips` training clips and choose the prompt. Objects lie clip by clip along B = clips · OBJECTS."""
    jump = 0.7 - 0.5 * progress if progress < 0.85 else 0.05  # end as the world is: things move, they do not jump
    made = [training_clip(rng, side, frames, OBJECTS, jump, zoom) for _ in range(clips)]
    kind = (
        rng.choice(["box", "mask", "click"], p=[0.55, 0.35, 0.10])
        if frames > 1
        else rng.choice(["box", "click"], p=[0.85, 0.15])
    )
    first = np.concatenate([clip.masks[0] for clip in made])
    points = None if kind == "mask" else tuple(map(torch.from_numpy, prompts(rng, kind, first)))
    images = torch.from_numpy(np.stack([clip.images for clip in made], 1))  # T clips H W 3
    return {
        "images": normalised(images.permute(0, 1, 4, 2, 3)).contiguous(),
        "masks": torch.from_numpy(np.concatenate([c.masks for c in made], 1)),  # T B H W
        "visible": torch.from_numpy(np.concatenate([c.visible for c in made], 1)).float(),  # T B
        "owners": torch.from_numpy(np.stack([c.owners for c in made], 1)).long(),
        "classes": [torch.from_numpy(c.classes) for c in made],
        "points": points,
        "start": int(rng.integers(1, 40)) if rng.random() < 0.5 else 1,  # number of the second frame
        "missed": torch.from_numpy(missed(rng, frames, clips * OBJECTS)),  # T B
        "truth": torch.from_numpy(rng.random(clips * OBJECTS) < 0.7 - 0.6 * progress),  # whose memories are true masks
    }


def missed(rng, frames: int, count: int) -> np.ndarray:
    """[frames, count] bool: frames whose memory shall say "absent", whatever is true, for a third of the objects.

    An object that comes back bit by bit is missed at first, and then the memory shows it plainly visible and marked as
    absent. Such a memory must not be believed, or the object is lost for good.
    """
    wrong = np.zeros((frames, count), bool)
    for column in wrong.T if frames > 3 else ():
        if rng.random() < 0.35:
            start = int(rng.integers(1, frames - 1))
            column[start : start + int(rng.integers(1, RECENT + 2))] = True
    return wrong


def run_clip(model, heads, batch, balance: float, fine: bool):
    """Loss of one batch of clips, frame by frame with the memory in between as at inference. Returns loss and figures."""
    images, masks = batch["images"], batch["masks"].float()
    frames, clips = images.shape[:2]
    side = images.shape[-1]
    out, sharp = encode(model, images.flatten(0, 1))
    _, feats, positions, sizes = model._prepare_backbone_features(out)
    top = out["backbone_fpn"][-1]
    loss = heads.image_loss(top, sharp, batch["owners"].flatten(0, 1), batch["classes"] * frames)
    figures = {"image": loss.item()}
    low = F.avg_pool2d(masks, 4)  # T B h w
    bank = {"cond_frame_outputs": {}, "non_cond_frame_outputs": {}}
    ious, felt = [], []
    for t in range(frames):
        number = 0 if t == 0 else batch["start"] + t - 1
        # [HW, T·clips, C] → this frame, each clip once an object
        now = [f.view(f.shape[0], frames, clips, -1)[:, t].repeat_interleave(OBJECTS, 1) for f in feats]
        where = [p.view(p.shape[0], frames, clips, -1)[:, t].repeat_interleave(OBJECTS, 1) for p in positions]
        high = [x.permute(1, 2, 0).reshape(x.size(1), x.size(2), *s) for x, s in zip(now[:-1], sizes[:-1])]
        present = batch["visible"][t] >= MIN_VISIBLE
        absent = batch["visible"][t] <= 0
        if t == 0 and batch["points"] is None:
            plain = now[-1].permute(1, 2, 0).reshape(now[-1].size(1), -1, *sizes[-1])
            *_, pointer, score = model._use_mask_as_output(plain, high, masks[0][:, None])
            written = masks[0][:, None] * 20 - 10
        else:
            features = model._prepare_memory_conditioned_features(
                frame_idx=number,
                is_init_cond_frame=t == 0,
                current_vision_feats=now[-1:],
                current_vision_pos_embeds=where[-1:],
                feat_sizes=sizes[-1:],
                output_dict=bank,
                num_frames=1000,
            )
            logits, guess, tokens, score = decode(model, features, high, batch["points"] if t == 0 else None)
            single = t == 0 and bool(
                (batch["points"][1][:, 0] == 2).all()
            )  # a box asks for one mask, the rest for three
            each, iou = mask_loss(logits, guess, low[t], balance)
            chosen = torch.zeros_like(iou, dtype=torch.long) if single else guess[:, 1:].argmax(1) + 1
            rows = torch.arange(len(chosen), device=logits.device)
            picked = logits[rows, chosen]
            if fine:  # boundaries at the size of the picture, for the mask that will be used
                each = each + full_size_loss(picked, masks[t])
            if t > 0:
                each = each + heads.target_loss(features, low[t])
                ious.append((mask_iou(picked.detach(), low[t]), present))
            else:
                figures["iou0"] = mask_iou(picked.detach(), low[t])[present].mean().item()
            # Seen although a recent memory says "absent", rightly or wrongly.
            back = present & ((batch["visible"] <= 0) | batch["missed"])[max(1, t - RECENT) : t].any(0)
            loss = loss + (each * (present.float() + back.float())).mean()
            weight = present.float() + 5 * absent.float() + 5 * back.float()
            cross = F.binary_cross_entropy_with_logits(score[:, 0], present.float(), reduction="none")
            loss = loss + (cross * weight).mean()
            if t > 0:
                felt.append((score[:, 0] > 0, absent, back))
            appears = (score.detach() > 0).float()
            pointer = model.obj_ptr_proj(tokens[rows, chosen])
            pointer = appears * pointer + (1 - appears) * model.no_obj_ptr
            gated = torch.where(appears[..., None] > 0, picked.detach(), torch.tensor(-1024.0))[:, None]
            written = F.interpolate(gated, size=(side, side), mode="bilinear", align_corners=False)
            if t == 0:
                written = (written > 0).float() * 20 - 10
            true_now = batch["truth"] & (present | absent)
            written = torch.where(true_now[:, None, None, None], masks[t][:, None] * 20 - 10, written)
            score = torch.where(true_now[:, None], present.float()[:, None] * 20 - 10, score.detach())
            wrong = batch["missed"][t]
            written = torch.where(wrong[:, None, None, None], torch.tensor(-1024.0), written)
            score = torch.where(wrong[:, None], torch.tensor(-10.0), score)
            pointer = torch.where(wrong[:, None], model.no_obj_ptr, pointer)
        memory, memory_pos = model._encode_new_memory(now, sizes, written, score, is_mask_from_pts=False)
        kept = {"maskmem_features": memory, "maskmem_pos_enc": memory_pos, "obj_ptr": pointer}
        bank["cond_frame_outputs" if t == 0 else "non_cond_frame_outputs"][number] = kept
    if ious:
        values, which = torch.cat([i for i, _ in ious]), torch.cat([w for _, w in ious])
        figures["iou"] = values[which].mean().item() if which.any() else float("nan")
        appears, absent, back = map(torch.cat, zip(*felt))
        figures["absent_found"] = 1 - appears[absent].float().mean().item()
        figures["back_found"] = appears[back].float().mean().item()
    return loss / frames, figures


def to_device(batch, device):
    move = lambda x: (
        x.to(device) if isinstance(x, torch.Tensor) else type(x)(map(move, x)) if isinstance(x, (list, tuple)) else x
    )
    return {key: move(value) for key, value in batch.items()}
