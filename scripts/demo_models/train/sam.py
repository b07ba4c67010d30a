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
from hydra.utils import instantiate
from omegaconf import OmegaConf
from safetensors.torch import save_file

from scripts.demo_models.train.muon import Muon
from scripts.demo_models.train.sam_clips import make_batch, normalised, run_clip, to_device
from scripts.demo_models.train.sam_data import prompts
from scripts.demo_models.train.sam_loss import TrainingHeads
from scripts.demo_models.train.sam_stills import make_stills, run_stills
from scripts.demo_models.world.sprites import all_sprites

ROOT = Path(__file__).resolve().parents[3]
CONFIG = ROOT / "vidseg/demo/sam/config.yaml"
# share of the budget, picture side, frames a clip, clips a step and process (two objects each)
PHASES = [
    (0.04, 128, 1, 16),
    (0.03, 128, 2, 8),
    (0.03, 128, 3, 6),
    (0.34, 128, 7, 4),
    (0.13, 256, 7, 2),
    (0.12, 320, 7, 1),
    (0.08, 352, 7, 1),
    (0.10, 256, 7, 2),
    (0.13, 384, 7, 1),
]
STILLS_FROM = (
    0.77  # from this share of the budget on, two steps of three are stills, and things are as large as in FULL pixels
)
FULL = 384
STILLS = 4  # pictures of such a step and process


def build() -> torch.nn.Module:
    return instantiate(OmegaConf.load(CONFIG).model)


def set_image_size(model, side: int) -> None:
    """No weight of SAM 2 depends on the size of the picture; these numbers do."""
    cells = side // model.backbone_stride
    model.image_size, model.sam_image_embedding_size = side, cells
    encoder = model.sam_prompt_encoder
    encoder.input_image_size, encoder.image_embedding_size = (side, side), (cells, cells)
    encoder.mask_input_size = (4 * cells, 4 * cells)


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
            line = {
                "minutes": round(spent / 60, 2),
                "step": step,
                "side": side,
                "frames": frames,
                **{k: round(float(np.nanmean(v)), 4) for k, v in recent.items()},
            }
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
    inner, matrices, others, plain = (
        ("image_encoder.trunk.blocks", "memory_", "sam_mask_decoder.transformer"),
        [],
        [],
        [],
    )
    for name, parameter in [*model.named_parameters(), *heads.named_parameters()]:
        kind = plain if parameter.ndim <= 1 else matrices if parameter.ndim == 2 and name.startswith(inner) else others
        kind.append(parameter)
    return [
        Muon(matrices, lr=1e-3),
        torch.optim.AdamW(
            [{"params": others, "weight_decay": 0.05}, {"params": plain, "weight_decay": 0.0}],
            lr=1e-3,
            betas=(0.9, 0.98),
        ),
    ]


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
    torch.save(
        {
            "model": both.state_dict(),
            "optimisers": [one.state_dict() for one in optimisers],
            "average": average,
            "step": step,
            "spent": spent,
        },
        scratch,
    )
    scratch.replace(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--out", type=Path, default=ROOT / "runs/sam", help="folder of the checkpoint (resumed from if there)"
    )
    parser.add_argument(
        "--minutes", type=float, default=100, help="budget: processor minutes on a CPU, wall minutes on a GPU"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--processes", type=int, default=1, help="data-parallel processes of one thread each")
    parser.add_argument("--batch-scale", type=int, default=1, help="multiplies the clips a step (for a GPU)")
    parser.add_argument("--log", type=Path, default=ROOT / "scripts/demo_models/logs/sam.jsonl")
    parser.add_argument(
        "--export", type=Path, metavar="FOLDER", help="only write the averaged weights of the checkpoint there"
    )
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
