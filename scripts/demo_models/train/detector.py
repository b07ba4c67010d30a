"""Train the demo Grounding DINO from scratch on the made-up world, by elapsed time.

    python -m scripts.demo_models.train.detector --minutes 80          # runs/detector, resumes by itself
    python -m scripts.demo_models.train.detector --export-only         # the moving average of the latest checkpoint → vidseg/demo/detector

Phases (shares of the budget): the backbone alone as a classifier of sprites, then detection at growing sizes.
SIGTERM saves a checkpoint and ends the run.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import signal
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import cv2
import numpy as np
import torch
from torchvision.ops import batched_nms

from scripts.demo_models.train.detector_data import (
    NAMES,
    Painter,
    batch_of,
    encode_prompt,
    feature_shapes,
    stranger,
    to_tensor,
)
from scripts.demo_models.train.detector_loss import WEIGHTS, corners, detection_loss, overlaps, probe_loss
from scripts.demo_models.train.detector_model import Probe, build_model, build_processor, projected_features

HERE = Path(__file__).resolve().parent
LOG = HERE / "logs" / "detector.jsonl"
# Short side: batch, sprite sizes (shares of the short side). Small pictures with big sprites teach the words cheaply;
# boxes have to be learnt at the size that is used, as they do not carry over.
SIZES = {112: (16, (0.22, 0.90)), 168: (16, (0.15, 0.65)), 224: (12, (0.12, 0.55))}
# name, end (share of the budget), how often each short side is drawn
PHASES = (
    ("sprites", 0.16, {112: 1.0}),
    ("detect", 0.47, {112: 1.0}),
    ("detect", 0.72, {112: 0.3, 168: 0.35, 224: 0.35}),
    ("detect", 1.00, {168: 0.25, 224: 0.75}),
)
ASPECTS = ((1, 1), (1, 1.333), (1, 1.777), (1, 1.777), (1.333, 1))  # height, width in short sides
RATE, DECAY, SMOOTHING, CLIP = 6e-4, 0.02, 0.998, 5.0


def shape_of(short: int, rng) -> tuple[int, int]:
    """A picture size: those that a processor makes at full size, simple ones that fill Swin's windows at small sizes."""
    if short < 160:
        return short, short * int(rng.integers(1, 3))
    high, wide = ASPECTS[rng.integers(len(ASPECTS))]
    return round(short * high), int(short * wide)


class Trainer:
    def __init__(self, args):
        torch.manual_seed(args.seed)
        self.args, self.device = args, torch.device(args.device)
        self.model, self.probe = build_model().to(self.device), Probe().to(self.device)
        self.average = copy.deepcopy(self.model).requires_grad_(False)
        decayed = [p for m in (self.model, self.probe) for p in m.parameters() if p.ndim > 1]
        plain = [p for m in (self.model, self.probe) for p in m.parameters() if p.ndim <= 1]
        self.optimiser = torch.optim.AdamW(
            [dict(params=decayed, weight_decay=DECAY), dict(params=plain, weight_decay=0.0)],
            lr=RATE,
            betas=(0.9, 0.98),
            fused=True,
        )
        self.rng = np.random.default_rng(args.seed)
        self.painter = Painter(self.rng)
        self.elapsed, self.step, self.skipped = 0.0, 0, 0
        self.phase_steps = 0
        self.maps: list[torch.Tensor] = [None] * 3
        for i, project in enumerate(self.model.model.input_proj_vision):
            project.register_forward_hook(lambda _m, _i, out, i=i: self.maps.__setitem__(i, out))

    # -- one step ----------------------------------------------------------------------------------------------------

    def phase(self) -> int:
        share = self.elapsed / (self.args.minutes * 60)
        return next((i for i, p in enumerate(PHASES) if share < p[1]), len(PHASES) - 1)

    def rate(self) -> float:
        share = min(self.elapsed / (self.args.minutes * 60), 1.0)
        first = min(1.0, (self.phase_steps + 1) / 100)
        return RATE * first * (0.01 + 0.99 * 0.5 * (1 + np.cos(np.pi * share)))

    def train_step(self, index: int) -> dict:
        name, _, mix = PHASES[index]
        short = int(self.rng.choice(list(mix), p=list(mix.values())))
        count, sizes = SIZES[short]
        height, width = shape_of(short, self.rng)
        cast = torch.autocast(self.device.type, torch.bfloat16, enabled=self.args.bf16)
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate()
        if name == "sprites":
            pictures = [self.painter.paint(height, width, sizes, any_sprite=True) for _ in range(2 * count)]
            pixels = to_tensor([p.image for p in pictures]).to(self.device)
            cells = [
                torch.from_numpy(np.stack([p.cells[i] for p in pictures])).flatten(1).to(self.device) for i in range(3)
            ]
            with cast:
                scores = self.probe(projected_features(self.model, pixels))
            loss, hits = probe_loss(scores, cells)
            parts = dict(hits=hits)
        else:
            batch = batch_of(self.painter, self.rng, count, height, width, sizes)
            batch = {
                k: [v.to(self.device) for v in b] if isinstance(b, list) else b.to(self.device)
                for k, b in batch.items()
            }
            with cast:
                outputs = self.model(pixel_values=batch["pixels"], input_ids=batch["ids"], attention_mask=batch["mask"])
                scores = self.probe(self.maps)
            loss, parts = detection_loss(self.model, outputs, batch, feature_shapes(height, width))
            extra, hits = probe_loss(scores, batch["cells"])
            loss, parts = loss + WEIGHTS["probe"] * extra, dict(parts, hits=hits)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        members = [p for g in self.optimiser.param_groups for p in g["params"] if p.grad is not None]
        norm = torch.nn.utils.clip_grad_norm_(members, CLIP)
        if torch.isfinite(norm) and torch.isfinite(loss):
            self.optimiser.step()
            keep = min(SMOOTHING, (1 + self.step) / (10 + self.step))
            with torch.no_grad():
                torch._foreach_lerp_(list(self.average.parameters()), list(self.model.parameters()), 1 - keep)
        else:
            self.skipped += 1
        self.step += 1
        self.phase_steps += 1
        return dict(parts, loss=float(loss.detach()), norm=float(norm))

    # -- checkpoint --------------------------------------------------------------------------------------------------

    def save(self) -> None:
        state = dict(
            model=self.model.state_dict(),
            average=self.average.state_dict(),
            probe=self.probe.state_dict(),
            optimiser=self.optimiser.state_dict(),
            elapsed=self.elapsed,
            step=self.step,
            phase_steps=self.phase_steps,
            rng=self.rng.bit_generator.state,
            torch_rng=torch.get_rng_state(),
        )
        path = Path(self.args.out) / "checkpoint.pt"
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(state, path.with_suffix(".tmp"))
        os.replace(path.with_suffix(".tmp"), path)

    def load(self) -> bool:
        path = Path(self.args.out) / "checkpoint.pt"
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

    def export(self, folder: str) -> None:
        """The moving average in half precision, as transformers' from_pretrained expects it."""
        Path(folder).mkdir(parents=True, exist_ok=True)
        model = copy.deepcopy(self.average).half()
        model.save_pretrained(folder)
        build_processor().save_pretrained(folder)

    # -- the run -----------------------------------------------------------------------------------------------------

    def run(self) -> None:
        args, budget = self.args, self.args.minutes * 60
        resumed = self.load()
        log(
            dict(
                event="start",
                resumed=resumed,
                elapsed=round(self.elapsed),
                step=self.step,
                minutes=args.minutes,
                seed=args.seed,
                bf16=args.bf16,
            )
        )
        clock = time.perf_counter()
        marks = dict(log=self.elapsed, save=self.elapsed, test=self.elapsed)
        sums, seen, current = {}, 0, self.phase()
        stop = []
        signal.signal(signal.SIGTERM, lambda *_: stop.append(True))
        while not stop and self.elapsed < budget:
            if self.phase() != current:
                current, self.phase_steps = (
                    self.phase(),
                    0 if current == 0 else self.phase_steps,
                )  # warm up the new heads
            parts = self.train_step(current)
            now = time.perf_counter()
            self.elapsed, clock = self.elapsed + now - clock, now
            for key, value in parts.items():
                sums[key] = sums.get(key, 0.0) + value
            seen += 1
            if self.elapsed - marks["log"] >= 30:
                log(
                    dict(
                        elapsed=round(self.elapsed),
                        phase=current,
                        step=self.step,
                        rate=round(self.rate(), 6),
                        skipped=self.skipped,
                        **{k: round(v / seen, 4) for k, v in sums.items()},
                    )
                )
                sums, seen, marks["log"] = {}, 0, self.elapsed
            if self.elapsed - marks["save"] >= 180:
                self.save()
                marks["save"] = self.elapsed
            if self.elapsed - marks["test"] >= 360:
                if PHASES[current][0] == "detect":
                    log(
                        dict(
                            event="evaluation",
                            elapsed=round(self.elapsed),
                            step=self.step,
                            **evaluate(self.average, self.device),
                        )
                    )
                marks["test"] = self.elapsed
        self.save()
        if stop:
            return log(dict(event="stopped", elapsed=round(self.elapsed), step=self.step))
        log(dict(event="end", elapsed=round(self.elapsed), step=self.step, **evaluate(self.average, self.device, 200)))
        if args.export:
            self.export(args.export)


@torch.no_grad()
def evaluate(model, device, count: int = 60, threshold: float = 0.3, seed: int = 987, strangers: bool = False) -> dict:
    """Recall and precision at IoU 0.5 on fixed pictures; each prompt asks for the names present and three absent ones."""
    model.eval()
    rng = np.random.default_rng(seed)
    painter = Painter(rng, pool=1, renew=1.0)
    hits = found = wanted = 0
    for _ in range(count):
        height, width = shape_of(224, rng)
        picture = painter.paint(height, width, dense=False)
        present = list(dict.fromkeys(n for n in picture.names if n))
        absent = [n for n in NAMES if n not in picture.names + picture.ignored_names]
        phrases = present + [absent[i] for i in rng.permutation(len(absent))[:3]]
        if strangers:
            phrases += [stranger(rng, held_out=True), stranger(rng, held_out=True)]
        ids, spans = encode_prompt(phrases)
        ids = torch.tensor([ids], device=device)
        outputs = model(
            pixel_values=to_tensor([picture.image]).to(device), input_ids=ids, attention_mask=torch.ones_like(ids)
        )
        prob = outputs.logits[0].float().sigmoid().cpu()
        scores, kinds = torch.stack([prob[:, a:b].amax(-1) for a, b in spans], -1).max(-1)
        boxes = outputs.pred_boxes[0].float().cpu() * torch.tensor([width, height, width, height])
        keep = scores > threshold
        scores, kinds, boxes = scores[keep], kinds[keep], boxes[keep]
        order = batched_nms(corners(boxes), scores, kinds, 0.6)
        truth = [(i, n) for i, n in enumerate(picture.names) if n]
        centred = torch.from_numpy(
            np.concatenate(
                [(picture.boxes[:, :2] + picture.boxes[:, 2:]) / 2, picture.boxes[:, 2:] - picture.boxes[:, :2]], 1
            )
        )
        hidden = torch.from_numpy(picture.ignored)
        hidden = torch.cat([(hidden[:, :2] + hidden[:, 2:]) / 2, hidden[:, 2:] - hidden[:, :2]], 1)
        free = dict(truth)
        wanted += len(truth)
        for q in order.tolist():
            name = phrases[int(kinds[q])]
            match = [(float(overlaps(boxes[q], centred[i])[0]), i) for i, n in free.items() if n == name]
            if match and max(match)[0] >= 0.5:
                hits, found = hits + 1, found + 1
                del free[max(match)[1]]
            elif not any(overlaps(boxes[q], h)[0] > 0.3 and n == name for h, n in zip(hidden, picture.ignored_names)):
                found += 1
    return dict(recall=round(hits / max(wanted, 1), 4), precision=round(hits / max(found, 1), 4), wanted=wanted)


def log(record: dict) -> None:
    LOG.parent.mkdir(exist_ok=True)
    if not os.environ.get("NO_LOG"):
        with LOG.open("a") as file:
            file.write(json.dumps(record) + "\n")
    print(json.dumps(record), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="runs/detector", help="folder of the checkpoint")
    parser.add_argument("--minutes", type=float, default=80.0, help="training time in all, over every resumed run")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--bf16", action=argparse.BooleanOptionalAction, default=False, help="bfloat16 autocast")
    parser.add_argument("--export", default=str(HERE.parent / "vidseg" / "demo" / "detector"))
    parser.add_argument("--export-only", action="store_true", help="export the latest checkpoint and score it")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.set_flush_denormal(True)  # the focal loss of sure negatives is denormal, and those are slow
    cv2.setNumThreads(args.threads)
    trainer = Trainer(args)
    if args.export_only:
        if not trainer.load():
            parser.error(f"no checkpoint in {args.out}")
        trainer.export(args.export)
        print(f"exported step {trainer.step}, {trainer.elapsed / 60:.0f} min, to {args.export}")
        return
    trainer.run()


if __name__ == "__main__":
    main()
