"""Train the demo SAM 2.1 from scratch on the made-up world (see vidseg/demo/README.md for what comes out).

    uv run python -m scripts.demo_models.train.sam --minutes 320               # into runs/sam
    uv run python -m scripts.demo_models.train.sam --export runs/sam_new       # the averaged weights of the checkpoint

One run, in phases of growing length and size, measured in processor time (so that a busy machine gives the same
model, only later). Stop it at any time: it goes on from its last checkpoint.
"""

from __future__ import annotations

import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor
from torch.multiprocessing.spawn import spawn

from scripts.common import ROOT
from scripts.demo_models.train.progress import Interval, Log, Means
from scripts.demo_models.train.sam_clips import make_batch, normalised, run_clip, to_device
from scripts.demo_models.train.sam_data import prompts
from scripts.demo_models.train.sam_loss import TrainingHeads
from scripts.demo_models.train.sam_network import RATE, build, export, optimisers_of, set_image_size
from scripts.demo_models.train.sam_schedule import FULL, STILLS_FROM, phase_at, rate
from scripts.demo_models.train.sam_stills import make_stills, run_stills
from scripts.demo_models.world.sprites import all_sprites

STILLS = 4  # pictures of such a step and process
SMOOTHING, CLIP = 0.996, 1.0


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a training run is told.

    Attributes:
        out: folder of the checkpoint and the log.
        minutes: budget: of processor time on a CPU, of wall time on a GPU.
        seed: of clips and start values.
        device: "cpu" or "cuda".
        processes: data-parallel processes of one thread each.
        batch_scale: multiplies the clips a step.
    """

    out: Path
    minutes: float
    seed: int
    device: str
    processes: int
    batch_scale: int

    @property
    def checkpoint(self) -> Path:
        """Where the state is written."""
        return self.out / "checkpoint.pt"


class Trainer:
    """One of the processes of a run, each with clips of its own; they share gradients, so all hold the same weights.

    Args:
        run: what the run is told.
        rank: number of the process. The first one sets the schedule, logs and saves.

    Attributes:
        step: number of steps so far.
        spent: seconds of the budget so far.
    """

    def __init__(self, run: Run, rank: int):
        self.run, self.rank = run, rank
        self.step, self.spent = 0, 0.0
        torch.manual_seed(run.seed)
        self.model = build().to(run.device)
        self.heads = TrainingHeads(128, 48, len(all_sprites())).to(run.device)
        with torch.no_grad():
            self.model.sam_mask_decoder.pred_obj_score_head.layers[-1].bias.fill_(2.0)
        self.both = torch.nn.ModuleDict({"model": self.model, "heads": self.heads}).train()
        self.optimisers = optimisers_of(self.model, self.heads)
        self.average = {k: v.detach().clone() for k, v in self.both.state_dict().items()}
        if run.checkpoint.exists():
            self._load()
        self.rng = np.random.default_rng([run.seed, self.step, rank])
        self._first = self.step

    def train(self) -> None:
        """Train until the budget is spent."""
        clock = time.perf_counter if self.run.device.startswith("cuda") else time.process_time
        began, budget, parent = clock() - self.spent, self.run.minutes * 60, os.getppid()
        log, means = Log(self.run.out), Means()
        to_log, to_save, to_test = (Interval(seconds, self.spent) for seconds in (30, 180, 480))
        # Left behind by the process that started it, it would write over the checkpoint of the next run.
        while self.spent < budget and os.getppid() == parent:
            progress = self.spent / budget
            loss, figures = self._loss(progress)
            self._set_rate(progress)
            loss.backward()
            self.spent = clock() - began
            if self.run.processes > 1:
                self.spent = share(list(self.both.parameters()), self.spent, self.rank, self.run.processes)
            norm = self._take_step()
            if self.rank > 0:
                continue
            self._average_in()
            means.add({"loss": loss.item(), "norm": norm, **figures})
            if to_log.due(self.spent):
                score = self._evaluate() if to_test.due(self.spent) else {}
                phase = phase_at(progress)
                place = {"minutes": round(self.spent / 60, 2), "step": self.step}
                log.write(**place, side=phase.side, frames=phase.frames, **means.take(), **score)
            if to_save.due(self.spent):
                self._save()
        if self.rank == 0 and os.getppid() == parent:
            self._save()

    def _loss(self, progress: float) -> tuple[Tensor, dict[str, float]]:
        """Loss and figures of a batch. Its kind is chosen by the step, so that no process waits for another."""
        phase, scale, step = phase_at(progress), self.run.batch_scale, self.step
        set_image_size(self.model, phase.side)
        zoom = FULL / phase.side if progress >= STILLS_FROM else 1.0
        if progress >= STILLS_FROM and step % 3 > 0:
            batch = to_device(make_stills(self.rng, phase.side, STILLS * scale, zoom), self.run.device)
            batch["images"] = normalised(batch["images"])
            return run_stills(self.model, self.heads, batch, self.rng)
        frames, clips = phase.frames, phase.clips
        if frames > 1 and step % 10 == 9:  # stills all along
            frames, clips = 1, 2 * clips
        batch = to_device(make_batch(self.rng, phase.side, frames, clips * scale, progress, zoom), self.run.device)
        return run_clip(self.model, self.heads, batch, max(0.0, 1 - step / 1500), phase.side >= 256)

    def _set_rate(self, progress: float) -> None:
        for optimiser in self.optimisers:
            optimiser.zero_grad(set_to_none=True)
            for group in optimiser.param_groups:
                group["lr"] = RATE * rate(progress, self.step - self._first)

    def _take_step(self) -> float:
        """Returns the norm of the gradients."""
        norm = torch.nn.utils.clip_grad_norm_(self.both.parameters(), CLIP)
        if torch.isfinite(norm):
            for optimiser in self.optimisers:
                optimiser.step()
        self.step += 1
        return float(norm)

    def _average_in(self) -> None:
        keep = min(SMOOTHING, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for key, value in self.both.state_dict().items():
                if value.is_floating_point():
                    self.average[key].lerp_(value.float(), 1 - keep)
                else:
                    self.average[key].copy_(value)

    def _evaluate(self) -> dict[str, float]:
        """Score the averaged weights."""
        kept = {k: v.clone() for k, v in self.both.state_dict().items()}
        self.both.load_state_dict(self.average)
        score = evaluate(self.model, self.heads, self.run.device)
        self.both.load_state_dict(kept)
        return score

    def _save(self) -> None:
        state = {
            "model": self.both.state_dict(),
            "optimisers": [one.state_dict() for one in self.optimisers],
            "average": self.average,
            "step": self.step,
            "spent": self.spent,
        }
        scratch = self.run.checkpoint.with_suffix(".tmp")
        torch.save(state, scratch)
        scratch.replace(self.run.checkpoint)

    def _load(self) -> None:
        saved = torch.load(self.run.checkpoint, map_location=self.run.device, weights_only=True)
        self.both.load_state_dict(saved["model"])
        for optimiser, state in zip(self.optimisers, saved["optimisers"]):
            optimiser.load_state_dict(state)
        self.average, self.step, self.spent = saved["average"], saved["step"], saved["spent"]
        print(f"resumed at step {self.step}, {self.spent / 60:.1f} minutes", flush=True)


@torch.no_grad()
def evaluate(model: Any, heads: TrainingHeads, device: str) -> dict[str, float]:
    """Later-frame IoU and absence on clips that training never sees.

    They are eight fixed ones of 12 frames of 256 pixels, prompted by boxes, with no memories but the network's own.
    """
    rng = np.random.default_rng(987_654)
    totals: dict[str, list[float]] = {}
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


def share(parameters: list[torch.nn.Parameter], spent: float, rank: int, processes: int) -> float:
    """Average the gradients over all processes. Returns the time that the first one has spent: it sets the schedule."""
    parts = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
    flat = torch.cat([part.flatten() for part in parts] + [parts[0].new_tensor([spent * (rank == 0)])])
    dist.all_reduce(flat)
    start = 0
    for parameter in parameters:
        parameter.grad = (flat[start : start + parameter.numel()] / processes).view_as(parameter)
        start += parameter.numel()
    return float(flat[-1])


def work(rank: int, run: Run, meeting: str) -> None:
    """What one process does."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # gradients of sure background are denormal, and those are slow on a CPU
    cv2.setNumThreads(1)
    if run.processes > 1:
        dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=run.processes)
    Trainer(run, rank).train()


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=ROOT / "runs/sam", help="Checkpoint and log.")
@click.option("--minutes", default=100.0, show_default=True, help="Of processor time on a CPU, of wall time on a GPU.")
@click.option("--seed", default=1, show_default=True)
@click.option("--device", help="cpu or cuda; the GPU if there is one.")
@click.option("--processes", default=1, show_default=True, help="Data-parallel processes of one thread each.")
@click.option("--batch-scale", default=1, show_default=True, help="Multiplies the clips a step (for a GPU).")
@click.option(
    "--export",
    "folder",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Only write the averaged weights of the checkpoint there.",
)
def main(
    out: Path, minutes: float, seed: int, device: str | None, processes: int, batch_scale: int, folder: Path | None
) -> None:
    """Train the demo SAM 2.1 from scratch on the made-up world, or export what was trained."""
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    run = Run(out=out, minutes=minutes, seed=seed, device=device, processes=processes, batch_scale=batch_scale)
    if folder:
        saved = torch.load(run.checkpoint, map_location="cpu", weights_only=True)["average"]
        export({k.removeprefix("model."): v for k, v in saved.items() if k.startswith("model.")}, folder)
        return
    with tempfile.TemporaryDirectory() as meeting:
        spawn(work, (run, f"{meeting}/meeting"), nprocs=processes)


if __name__ == "__main__":
    main()
