"""Train the demo Grounding DINO from scratch on the made-up world, by elapsed time.

    uv run python -m scripts.demo_models.train.detector --minutes 80      # into runs/detector; run again, it goes on
    uv run python -m scripts.demo_models.train.detector --export-only     # the averaged weights → vidseg/demo/detector

Phases (shares of the budget): the backbone alone as a classifier of sprites, then detection at growing sizes.
SIGTERM saves a checkpoint and ends the run.
"""

from __future__ import annotations

import copy
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np
import torch

from scripts.common import ROOT
from scripts.demo_models.train.detector_data import batch_of, to_tensor
from scripts.demo_models.train.detector_loss import WEIGHTS, detection_loss, probe_loss
from scripts.demo_models.train.detector_model import Probe, build_model, build_processor, projected_features
from scripts.demo_models.train.detector_pictures import Painter, feature_shapes
from scripts.demo_models.train.detector_schedule import PHASES, RATE, SIZES, phase_at, rate_at, shape_of
from scripts.demo_models.train.detector_score import evaluate
from scripts.demo_models.train.progress import Interval, Log, Means

DECAY, SMOOTHING, CLIP = 0.02, 0.998, 5.0


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a training run is told.

    Attributes:
        out: folder of the checkpoint and the log.
        minutes: training time in all, over every resumed run.
        seed: of pictures and start values.
        device: "cpu" or "cuda".
        bf16: whether to use bfloat16 autocast.
    """

    out: Path
    minutes: float
    seed: int
    device: str
    bf16: bool


class Trainer:
    """The network with all that training it needs.

    Args:
        run: what it is told.

    Attributes:
        model: the network.
        average: the moving average of its weights, which is what is exported.
        elapsed: seconds of training so far.
        step: number of steps so far.
    """

    def __init__(self, run: Run):
        torch.manual_seed(run.seed)
        self.run, self.device = run, torch.device(run.device)
        self.model: Any = build_model().to(run.device)
        self.probe = Probe().to(run.device)
        self.average = copy.deepcopy(self.model).requires_grad_(False)
        members = [p for m in (self.model, self.probe) for p in m.parameters()]
        groups = [
            {"params": [p for p in members if p.ndim > 1], "weight_decay": DECAY},
            {"params": [p for p in members if p.ndim <= 1], "weight_decay": 0.0},
        ]
        self.optimiser = torch.optim.AdamW(groups, lr=RATE, betas=(0.9, 0.98), fused=True)
        self.rng = np.random.default_rng(run.seed)
        self.painter = Painter(self.rng)
        self.elapsed, self.step, self.phase_steps, self.skipped = 0.0, 0, 0, 0
        self.maps: list[torch.Tensor] = [torch.empty(0)] * 3
        for i, project in enumerate(self.model.model.input_proj_vision):
            project.register_forward_hook(lambda _module, _inputs, out, i=i: self.maps.__setitem__(i, out))

    @property
    def share(self) -> float:
        """Of the budget that is spent."""
        return self.elapsed / (self.run.minutes * 60)

    @property
    def rate(self) -> float:
        """The learning rate now."""
        return rate_at(self.share, self.phase_steps)

    def train_step(self, index: int) -> dict[str, float]:
        """One step in a phase. Returns its figures."""
        phase = PHASES[index]
        short = int(self.rng.choice(list(phase.mix), p=list(phase.mix.values())))
        loss, figures = self._detection(short) if phase.detects else self._sprites(short)
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        members = [p for g in self.optimiser.param_groups for p in g["params"] if p.grad is not None]
        norm = torch.nn.utils.clip_grad_norm_(members, CLIP)
        if torch.isfinite(norm) and torch.isfinite(loss):
            self.optimiser.step()
            keep = min(SMOOTHING, (1 + self.step) / (10 + self.step))
            with torch.no_grad():
                for mean, value in zip(self.average.parameters(), self.model.parameters()):
                    mean.lerp_(value, 1 - keep)
        else:
            self.skipped += 1
        self.step += 1
        self.phase_steps += 1
        return {**figures, "loss": float(loss.detach()), "norm": float(norm)}

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.run.bf16)

    def _sprites(self, short: int) -> tuple[torch.Tensor, dict[str, float]]:
        """Loss and figures of the backbone as a classifier of sprites."""
        count, sizes = SIZES[short]
        height, width = shape_of(short, self.rng)
        pictures = [self.painter.paint(height, width, sizes, any_sprite=True) for _ in range(2 * count)]
        pixels = to_tensor([p.image for p in pictures]).to(self.device)
        cells = [np.stack([p.cells[level] for p in pictures]) for level in range(3)]
        with self._autocast():
            scores = self.probe(projected_features(self.model, pixels))
        loss, hits = probe_loss(scores, [torch.from_numpy(each).flatten(1).to(self.device) for each in cells])
        return loss, {"hits": hits}

    def _detection(self, short: int) -> tuple[torch.Tensor, dict[str, float]]:
        """Loss and figures of detection."""
        count, sizes = SIZES[short]
        height, width = shape_of(short, self.rng)
        batch = {
            key: [part.to(self.device) for part in value] if isinstance(value, list) else value.to(self.device)
            for key, value in batch_of(self.painter, self.rng, count, height, width, sizes).items()
        }
        with self._autocast():
            outputs = self.model(pixel_values=batch["pixels"], input_ids=batch["ids"], attention_mask=batch["mask"])
            scores = self.probe(self.maps)
        loss, parts = detection_loss(self.model, outputs, batch, feature_shapes(height, width))
        extra, hits = probe_loss(scores, batch["cells"])
        return loss + WEIGHTS["probe"] * extra, {**parts, "hits": hits}

    def save(self) -> None:
        """Write the checkpoint."""
        state = {name: getattr(self, name).state_dict() for name in ("model", "average", "probe", "optimiser")}
        state |= {name: getattr(self, name) for name in ("elapsed", "step", "phase_steps")}
        state |= {"rng": self.rng.bit_generator.state, "torch_rng": torch.get_rng_state()}
        path = self.run.out / "checkpoint.pt"
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(state, path.with_suffix(".tmp"))
        path.with_suffix(".tmp").replace(path)

    def load(self) -> bool:
        """Go on from the checkpoint. Returns whether there is one."""
        path = self.run.out / "checkpoint.pt"
        if not path.exists():
            return False
        state = torch.load(path, map_location=self.device, weights_only=False)
        for name in ("model", "average", "probe", "optimiser"):
            getattr(self, name).load_state_dict(state[name])
        for group in self.optimiser.param_groups:
            group.update(fused=True, foreach=False)
        self.elapsed, self.step, self.phase_steps = state["elapsed"], state["step"], state["phase_steps"]
        self.rng.bit_generator.state = state["rng"]
        torch.set_rng_state(state["torch_rng"].cpu())
        return True

    def export(self, folder: Path) -> None:
        """The moving average in half precision, as transformers' from_pretrained expects it."""
        folder.mkdir(parents=True, exist_ok=True)
        copy.deepcopy(self.average).half().save_pretrained(folder)
        build_processor().save_pretrained(folder)

    def train(self) -> bool:
        """Train until the budget is spent or SIGTERM comes. Returns whether the budget is spent."""
        resumed, log, means = self.load(), Log(self.run.out), Means()
        log.write(
            event="start",
            resumed=resumed,
            **self._place(),
            seed=self.run.seed,
            bf16=self.run.bf16,
            budget=self.run.minutes,
        )
        to_log, to_save, to_test = (Interval(seconds, self.elapsed) for seconds in (30, 180, 360))
        current, stop, clock = phase_at(self.share), [], time.perf_counter()
        signal.signal(signal.SIGTERM, lambda *_: stop.append(True))
        while not stop and self.share < 1:
            if phase_at(self.share) != current:  # warm up the new heads
                self.phase_steps = 0 if current == 0 else self.phase_steps
                current = phase_at(self.share)
            means.add(self.train_step(current))
            now = time.perf_counter()
            self.elapsed, clock = self.elapsed + now - clock, now
            if to_log.due(self.elapsed):
                rate = round(self.rate, 6)
                log.write(**self._place(), phase=current, rate=rate, skipped=self.skipped, **means.take())
            if to_save.due(self.elapsed):
                self.save()
            if to_test.due(self.elapsed) and PHASES[current].detects:
                log.write(event="evaluation", **self._place(), **evaluate(self.average, self.device))
        self.save()
        if stop:
            log.write(event="stopped", **self._place())
        else:
            log.write(event="end", **self._place(), **evaluate(self.average, self.device, 200))
        return not stop

    def _place(self) -> dict[str, float]:
        return {"elapsed": round(self.elapsed), "step": self.step}


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=ROOT / "runs/detector", help="Checkpoint and log.")
@click.option("--minutes", default=80.0, show_default=True, help="Training time in all, over every resumed run.")
@click.option("--seed", default=7, show_default=True)
@click.option("--device", default="cpu", show_default=True)
@click.option("--threads", default=1, show_default=True)
@click.option("--bf16/--no-bf16", default=False, help="bfloat16 autocast.")
@click.option("--export", type=click.Path(path_type=Path), default=ROOT / "vidseg/demo/detector", help="Folder.")
@click.option("--export-only", is_flag=True, help="Export the averaged weights of the latest checkpoint.")
def main(
    out: Path, minutes: float, seed: int, device: str, threads: int, bf16: bool, export: Path, export_only: bool
) -> None:
    """Train the demo Grounding DINO from scratch on the made-up world, by elapsed time, and export it."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)  # the focal loss of sure negatives is denormal, and those are slow
    cv2.setNumThreads(threads)
    trainer = Trainer(Run(out=out, minutes=minutes, seed=seed, device=device, bf16=bf16))
    if export_only and not trainer.load():
        raise click.UsageError(f"no checkpoint in {out}")
    if export_only or trainer.train():
        trainer.export(export)
        click.echo(f"exported step {trainer.step}, {trainer.elapsed / 60:.0f} min, to {export}")


if __name__ == "__main__":
    main()
