"""Lessons on clips for the demo SAM 2.1: some clips at once, frame by frame, with its memory in between."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from scripts.demo_models.train.sam_data import MIN_VISIBLE, RECENT, prompts, training_clip
from scripts.demo_models.train.sam_loss import TrainingHeads, full_size_loss, mask_iou, mask_loss
from scripts.demo_models.train.sam_stills import decode, encode

MEAN, STD = torch.tensor([0.485, 0.456, 0.406])[:, None, None], torch.tensor([0.229, 0.224, 0.225])[:, None, None]
OBJECTS = 2  # of a clip


def normalised(images: torch.Tensor) -> torch.Tensor:
    """[..., 3, H, W] in 0..255 as the image encoder takes it."""
    return (images / 255 - MEAN.to(images.device)) / STD.to(images.device)


def make_batch(
    rng: np.random.Generator, side: int, frames: int, clips: int, progress: float, zoom: float = 1.0
) -> dict[str, Any]:
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


def missed(rng: np.random.Generator, frames: int, count: int) -> np.ndarray:
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


def run_clip(
    model: Any, heads: TrainingHeads, batch: dict[str, Any], balance: float, fine: bool
) -> tuple[Tensor, dict[str, float]]:
    """Loss of one batch of clips, and figures.

    Args:
        model: the network.
        heads: what only training uses.
        batch: as of `make_batch`.
        balance: share of the class-balanced cross-entropy, see `mask_loss`.
        fine: whether masks are also compared at the size of the picture.
    """
    return ClipLesson(model, heads, batch, balance, fine).run()


class ClipLesson:
    """One batch of clips on its way through the network; see `run_clip` for the arguments."""

    def __init__(self, model: Any, heads: TrainingHeads, batch: dict[str, Any], balance: float, fine: bool):
        self._model, self._heads, self._batch = model, heads, batch
        self._balance, self._fine = balance, fine
        images = batch["images"]
        self._frames, self._clips = images.shape[:2]
        self._masks = batch["masks"].float()  # T B H W
        self._low = F.avg_pool2d(self._masks, 4)  # T B h w
        out, sharp = encode(model, images.flatten(0, 1))
        _, self._maps, self._positions, self._sizes = model._prepare_backbone_features(out)
        owners, classes = batch["owners"].flatten(0, 1), batch["classes"] * self._frames
        self._loss = heads.image_loss(out["backbone_fpn"][-1], sharp, owners, classes)
        self._figures = {"image": self._loss.item()}
        self._bank: dict[str, dict[int, dict[str, Any]]] = {"cond_frame_outputs": {}, "non_cond_frame_outputs": {}}
        self._ious: list[tuple[Tensor, Tensor]] = []  # of later frames: IoU, and where an object shows
        self._felt: list[tuple[Tensor, Tensor, Tensor]] = []  # of later frames: has a mask, is absent, is back

    def run(self) -> tuple[Tensor, dict[str, float]]:
        """Loss and figures."""
        for t in range(self._frames):
            self._see(t)
        if self._ious:
            values, which = (torch.cat(parts) for parts in zip(*self._ious))
            self._figures["iou"] = values[which].mean().item() if which.any() else float("nan")
            appears, absent, back = (torch.cat(parts) for parts in zip(*self._felt))
            self._figures["absent_found"] = 1 - appears[absent].float().mean().item()
            self._figures["back_found"] = appears[back].float().mean().item()
        return self._loss / self._frames, self._figures

    def _see(self, t: int) -> None:
        """Learn from frame `t`, and remember it."""
        number = 0 if t == 0 else self._batch["start"] + t - 1
        now, high = self._of_frame(self._maps, t), self._high_res(t)
        if t == 0 and self._batch["points"] is None:
            first = self._masks[0][:, None]
            *_, pointer, score = self._model._use_mask_as_output(self._top(now), high, first)
            written = first * 20 - 10
        else:
            written, pointer, score = self._predict(t, number, now, high)
        memory, memory_pos = self._model._encode_new_memory(now, self._sizes, written, score, is_mask_from_pts=False)
        kept = {"maskmem_features": memory, "maskmem_pos_enc": memory_pos, "obj_ptr": pointer}
        self._bank["cond_frame_outputs" if t == 0 else "non_cond_frame_outputs"][number] = kept

    def _of_frame(self, maps: list[Tensor], t: int) -> list[Tensor]:
        """[HW, T·clips, C] → frame `t`, each clip once an object."""
        return [m.view(m.shape[0], self._frames, self._clips, -1)[:, t].repeat_interleave(OBJECTS, 1) for m in maps]

    def _high_res(self, t: int) -> list[Tensor]:
        maps = self._of_frame(self._maps[:-1], t)
        return [x.permute(1, 2, 0).reshape(x.size(1), x.size(2), *s) for x, s in zip(maps, self._sizes[:-1])]

    def _top(self, now: list[Tensor]) -> Tensor:
        return now[-1].permute(1, 2, 0).reshape(now[-1].size(1), -1, *self._sizes[-1])

    def _predict(self, t: int, number: int, now: list[Tensor], high: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Predict the masks of frame `t` and learn from them. Returns what to remember, see `_remembered`."""
        points = self._batch["points"] if t == 0 else None
        features = self._model._prepare_memory_conditioned_features(
            frame_idx=number,
            is_init_cond_frame=t == 0,
            current_vision_feats=now[-1:],
            current_vision_pos_embeds=self._of_frame(self._positions, t)[-1:],
            feat_sizes=self._sizes[-1:],
            output_dict=self._bank,
            num_frames=1000,
        )
        logits, guess, tokens, score = decode(self._model, features, high, points)
        each, iou = mask_loss(logits, guess, self._low[t], self._balance)
        single = points is not None and bool(
            (points[1][:, 0] == 2).all()
        )  # a box asks for one mask, the rest for three
        chosen = torch.zeros_like(iou, dtype=torch.long) if single else guess[:, 1:].argmax(1) + 1
        rows = torch.arange(len(chosen), device=logits.device)
        picked = logits[rows, chosen]
        if self._fine:  # boundaries at the size of the picture, for the mask that will be used
            each = each + full_size_loss(picked, self._masks[t])
        if t > 0:
            each = each + self._heads.target_loss(features, self._low[t])
        self._learn(t, each, picked.detach(), score)
        return self._remembered(t, picked.detach(), tokens[rows, chosen], score)

    def _learn(self, t: int, each: Tensor, picked: Tensor, score: Tensor) -> None:
        """Add the losses of masks [B] and of object scores [B, 1] on frame `t`, and note how good they are."""
        visible = self._batch["visible"]
        present, absent = visible[t] >= MIN_VISIBLE, visible[t] <= 0
        # Seen although a recent memory says "absent", rightly or wrongly.
        back = present & ((visible <= 0) | self._batch["missed"])[max(1, t - RECENT) : t].any(0)
        self._loss = self._loss + (each * (present.float() + back.float())).mean()
        weight = present.float() + 5 * absent.float() + 5 * back.float()
        cross = F.binary_cross_entropy_with_logits(score[:, 0], present.float(), reduction="none")
        self._loss = self._loss + (cross * weight).mean()
        iou = mask_iou(picked, self._low[t])
        if t > 0:
            self._ious.append((iou, present))
            self._felt.append((score[:, 0] > 0, absent, back))
        else:
            self._figures["iou0"] = iou[present].mean().item()

    def _remembered(self, t: int, picked: Tensor, tokens: Tensor, score: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What goes into the memory of frame `t`: mask logits at the size of the picture, pointers and object scores.

        They are those that were predicted, save for objects whose memories are to be true, or to say "absent".
        """
        visible, nothing = self._batch["visible"], torch.tensor(-1024.0)
        present, absent = visible[t] >= MIN_VISIBLE, visible[t] <= 0
        appears = (score.detach() > 0).float()
        pointer = self._model.obj_ptr_proj(tokens)
        pointer = appears * pointer + (1 - appears) * self._model.no_obj_ptr
        gated = torch.where(appears[..., None] > 0, picked, nothing)[:, None]
        size = self._masks.shape[-1]
        written = F.interpolate(gated, size=(size, size), mode="bilinear", align_corners=False)
        if t == 0:
            written = (written > 0).float() * 20 - 10
        true_now = self._batch["truth"] & (present | absent)
        written = torch.where(true_now[:, None, None, None], self._masks[t][:, None] * 20 - 10, written)
        score = torch.where(true_now[:, None], present.float()[:, None] * 20 - 10, score.detach())
        wrong = self._batch["missed"][t]
        written = torch.where(wrong[:, None, None, None], nothing, written)
        score = torch.where(wrong[:, None], torch.tensor(-10.0), score)
        pointer = torch.where(wrong[:, None], self._model.no_obj_ptr, pointer)
        return written, pointer, score


def to_device(batch: dict[str, Any], device: str | torch.device) -> dict[str, Any]:
    """The same batch with its tensors on a device."""
    return {key: moved(value, device) for key, value in batch.items()}


def moved(value: Any, device: str | torch.device) -> Any:
    """The same value with its tensors on a device."""
    if isinstance(value, torch.Tensor):
        return value.to(device)
    if isinstance(value, (list, tuple)):
        return type(value)(moved(part, device) for part in value)
    return value
