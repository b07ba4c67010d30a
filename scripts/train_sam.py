"""Train the demo SAM 2.1 from scratch on the made-up world (see vidseg/demo/README.md for what comes out).

One run, in phases of growing length and size, measured in processor time (so that a busy machine gives the same
model, only later). Stop it at any time: it goes on from its last checkpoint.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
from hydra.utils import instantiate
from omegaconf import OmegaConf
from safetensors.torch import save_file

from demo_world import all_sprites
from muon import Muon
from sam_data import MIN_VISIBLE, RECENT, prompts, training_clip
from sam_loss import TrainingHeads, full_size_loss, mask_iou, mask_loss
from sam_stills import decode, encode, make_stills, run_stills

ROOT = Path(__file__).resolve().parent.parent
CONFIG = ROOT / "vidseg/demo/sam/config.yaml"
MEAN, STD = torch.tensor([0.485, 0.456, 0.406])[:, None, None], torch.tensor([0.229, 0.224, 0.225])[:, None, None]
# share of the budget, picture side, frames a clip, clips a step and process (two objects each)
PHASES = [(0.04, 128, 1, 16), (0.03, 128, 2, 8), (0.03, 128, 3, 6), (0.34, 128, 7, 4), (0.13, 256, 7, 2), (0.12, 320, 7, 1),
          (0.08, 352, 7, 1), (0.10, 256, 7, 2), (0.13, 384, 7, 1)]
STILLS_FROM = 0.77  # from this share of the budget on, two steps of three are stills, and things are as large as in FULL pixels
FULL = 384
STILLS = 4  # pictures of such a step and process
OBJECTS = 2


def build() -> torch.nn.Module:
    return instantiate(OmegaConf.load(CONFIG).model)


def set_image_size(model, side: int) -> None:
    """No weight of SAM 2 depends on the size of the picture; these numbers do."""
    cells = side // model.backbone_stride
    model.image_size, model.sam_image_embedding_size = side, cells
    encoder = model.sam_prompt_encoder
    encoder.input_image_size, encoder.image_embedding_size = (side, side), (cells, cells)
    encoder.mask_input_size = (4 * cells, 4 * cells)


def normalised(images: torch.Tensor) -> torch.Tensor:
    """[..., 3, H, W] in 0..255 as the image encoder takes it."""
    return (images / 255 - MEAN.to(images.device)) / STD.to(images.device)


def make_batch(rng, side, frames, clips, progress, zoom=1.0):
    """Stack `clips` training clips and choose the prompt. Objects lie clip by clip along B = clips · OBJECTS."""
    jump = 0.7 - 0.5 * progress if progress < 0.85 else 0.05  # end as the world is: things move, they do not jump
    made = [training_clip(rng, side, frames, OBJECTS, jump, zoom) for _ in range(clips)]
    kind = rng.choice(["box", "mask", "click"], p=[0.55, 0.35, 0.10]) if frames > 1 else rng.choice(["box", "click"], p=[0.85, 0.15])
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
                frame_idx=number, is_init_cond_frame=t == 0, current_vision_feats=now[-1:],
                current_vision_pos_embeds=where[-1:], feat_sizes=sizes[-1:], output_dict=bank, num_frames=1000)
            logits, guess, tokens, score = decode(model, features, high, batch["points"] if t == 0 else None)
            single = t == 0 and bool((batch["points"][1][:, 0] == 2).all())  # a box asks for one mask, the rest for three
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
            back = present & ((batch["visible"] <= 0) | batch["missed"])[max(1, t - RECENT):t].any(0)
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


@torch.no_grad()
def evaluate(model, heads, device) -> dict:
    """Later-frame IoU and absence on fixed clips that training never sees: 12 frames of 256 pixels, box prompts, own memories only."""
    rng, totals = np.random.default_rng(987_654), {}
    set_image_size(model, 256)
    for _ in range(8):
        batch = make_batch(rng, 256, 12, 1, 1.0)
        batch["points"] = tuple(map(torch.from_numpy, prompts(rng, "box", batch["masks"][0].numpy())))
        batch["truth"][:], batch["missed"][:], batch["start"] = False, False, 1
        _, figures = run_clip(model, heads, to_device(batch, device), 0.0, False)
        for key, value in figures.items():
            if np.isfinite(value):
                totals.setdefault(key, []).append(value)
    return {f"eval_{key}": round(float(np.mean(value)), 4) for key, value in totals.items()}


def to_device(batch, device):
    move = lambda x: x.to(device) if isinstance(x, torch.Tensor) else type(x)(map(move, x)) if isinstance(x, (list, tuple)) else x
    return {key: move(value) for key, value in batch.items()}


def phase_at(progress: float):
    passed = 0.0
    for share, *rest in PHASES:
        passed += share
        if progress < passed:
            return rest
    return PHASES[-1][1:]


def rate(progress: float, step: int) -> float:
    """Warm-up of 100 steps (again where a run goes on), flat to 45 % of the budget, then linear to 1 %."""
    late = max(0.0, (progress - 0.45) / 0.55)
    return min(1.0, (step + 1) / 100) * (1 - 0.99 * late)


def export(state: dict, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if folder.resolve() != CONFIG.parent:
        shutil.copy(CONFIG, folder)
    save_file({k: v.half().contiguous() for k, v in state.items()}, folder / "model.safetensors")


def train(rank: int, options: argparse.Namespace, meeting: str) -> None:
    """One of `options.processes` processes, each with clips of its own; they share gradients, so all hold the same weights."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # gradients of sure background are denormal, and those are slow on a CPU
    cv2.setNumThreads(1)
    torch.manual_seed(options.seed)
    device, checkpoint = options.device, options.out / "checkpoint.pt"
    if options.processes > 1:
        dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=options.processes)
    clock = time.perf_counter if device.startswith("cuda") else time.process_time
    model, heads = build().to(device), TrainingHeads(128, 48, len(all_sprites())).to(device)
    with torch.no_grad():
        model.sam_mask_decoder.pred_obj_score_head.layers[-1].bias.fill_(2.0)
    both = torch.nn.ModuleDict({"model": model, "heads": heads}).train()
    optimisers = optimisers_of(model, heads)
    average = {k: v.detach().clone() for k, v in both.state_dict().items()}
    step, spent = 0, 0.0
    if checkpoint.exists():
        saved = torch.load(checkpoint, map_location=device, weights_only=True)
        both.load_state_dict(saved["model"])
        for optimiser, state in zip(optimisers, saved["optimisers"]):
            optimiser.load_state_dict(state)
        average, step, spent = saved["average"], saved["step"], saved["spent"]
        print(f"resumed at step {step}, {spent / 60:.1f} minutes", flush=True)
    rng = np.random.default_rng([options.seed, step, rank])

    began, budget = clock() - spent, options.minutes * 60
    last_log = last_save = last_eval = spent
    recent: dict[str, list] = {}
    first = step
    parent = os.getppid()
    while spent < budget and os.getppid() == parent:  # left behind, it would write over the checkpoint of the next run
        progress = spent / budget
        side, frames, clips = phase_at(progress)
        set_image_size(model, side)
        zoom = FULL / side if progress >= STILLS_FROM else 1.0
        # Chosen by the step, so that no process waits for another.
        if progress >= STILLS_FROM and step % 3 > 0:
            batch = to_device(make_stills(rng, side, STILLS * options.batch_scale, zoom), device)
            batch["images"] = normalised(batch["images"])
            loss, figures = run_stills(model, heads, batch, rng)
        else:
            if frames > 1 and step % 10 == 9:  # stills all along
                frames, clips = 1, 2 * clips
            batch = make_batch(rng, side, frames, clips * options.batch_scale, progress, zoom)
            loss, figures = run_clip(model, heads, to_device(batch, device), max(0.0, 1 - step / 1500), side >= 256)
        for optimiser in optimisers:
            optimiser.zero_grad(set_to_none=True)
            for group in optimiser.param_groups:
                group["lr"] = 1e-3 * rate(progress, step - first)
        loss.backward()
        spent = clock() - began
        if options.processes > 1:
            spent = share(list(both.parameters()), spent, rank, options.processes)
        norm = torch.nn.utils.clip_grad_norm_(both.parameters(), 1.0)
        if torch.isfinite(norm):
            for optimiser in optimisers:
                optimiser.step()
        step += 1
        if rank > 0:
            continue
        keep = min(0.996, (1 + step) / (10 + step))
        with torch.no_grad():
            for key, value in both.state_dict().items():
                average[key].lerp_(value.float(), 1 - keep) if value.is_floating_point() else average[key].copy_(value)
        for key, value in {"loss": loss.item(), "norm": float(norm), **figures}.items():
            recent.setdefault(key, []).append(value)
        if spent - last_log > 30:
            line = {"minutes": round(spent / 60, 2), "step": step, "side": side, "frames": frames,
                    **{k: round(float(np.nanmean(v)), 4) for k, v in recent.items()}}
            if spent - last_eval > 480:
                last_eval = spent
                kept = {k: v.clone() for k, v in both.state_dict().items()}
                both.load_state_dict(average)
                line |= evaluate(model, heads, device)
                both.load_state_dict(kept)
            with options.log.open("a") as file:
                file.write(json.dumps(line) + "\n")
            print(json.dumps(line), flush=True)
            last_log, recent = spent, {}
        if spent - last_save > 180:
            last_save = spent
            save(checkpoint, both, optimisers, average, step, spent)
    if rank == 0 and os.getppid() == parent:
        save(checkpoint, both, optimisers, average, step, spent)


def optimisers_of(model, heads) -> list[torch.optim.Optimizer]:
    """Muon for the matrices within the network, AdamW for the rest, with one learning rate: Muon's is scaled to match."""
    inner, matrices, others, plain = ("image_encoder.trunk.blocks", "memory_", "sam_mask_decoder.transformer"), [], [], []
    for name, parameter in [*model.named_parameters(), *heads.named_parameters()]:
        kind = plain if parameter.ndim <= 1 else matrices if parameter.ndim == 2 and name.startswith(inner) else others
        kind.append(parameter)
    return [Muon(matrices, lr=1e-3),
            torch.optim.AdamW([{"params": others, "weight_decay": 0.05}, {"params": plain, "weight_decay": 0.0}], lr=1e-3, betas=(0.9, 0.98))]


def share(parameters: list, spent: float, rank: int, processes: int) -> float:
    """Average the gradients over all processes. Returns the time that the first one has spent: it sets the schedule."""
    parts = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
    flat = torch.cat([part.flatten() for part in parts] + [parts[0].new_tensor([spent * (rank == 0)])])
    dist.all_reduce(flat)
    start = 0
    for parameter in parameters:
        parameter.grad = (flat[start : start + parameter.numel()] / processes).view_as(parameter)
        start += parameter.numel()
    return float(flat[-1])


def save(path: Path, both, optimisers, average, step, spent) -> None:
    scratch = path.with_suffix(".tmp")
    torch.save({"model": both.state_dict(), "optimisers": [one.state_dict() for one in optimisers], "average": average, "step": step,
                "spent": spent}, scratch)
    scratch.replace(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "runs/sam", help="folder of the checkpoint (resumed from if there)")
    parser.add_argument("--minutes", type=float, default=100, help="budget: processor minutes on a CPU, wall minutes on a GPU")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--processes", type=int, default=1, help="data-parallel processes of one thread each")
    parser.add_argument("--batch-scale", type=int, default=1, help="multiplies the clips a step (for a GPU)")
    parser.add_argument("--log", type=Path, default=ROOT / "scripts/logs/sam.jsonl")
    parser.add_argument("--export", type=Path, metavar="FOLDER", help="only write the averaged weights of the checkpoint there")
    options = parser.parse_args()
    if options.export:
        saved = torch.load(options.out / "checkpoint.pt", map_location="cpu", weights_only=True)["average"]
        export({k.removeprefix("model."): v for k, v in saved.items() if k.startswith("model.")}, options.export)
        return
    options.out.mkdir(parents=True, exist_ok=True)
    options.log.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        torch.multiprocessing.spawn(train, (options, f"{folder}/meeting"), nprocs=options.processes)


if __name__ == "__main__":
    main()
