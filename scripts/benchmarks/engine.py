"""The engine against the stock predictor, full-size networks with random weights, one table a command:

    uv run python -m scripts.benchmarks.engine speed            # time of a frame, side by side (--device cuda --compile: on a GPU)
    uv run python -m scripts.benchmarks.engine parts            # where the time of a frame goes
    uv run python -m scripts.benchmarks.engine products         # how fast matrices multiply here, which bounds it
    uv run python -m scripts.benchmarks.engine parity dog.mp4   # the same numbers, on real footage?

Each line says what was measured on which machine.
"""

from __future__ import annotations

import itertools
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import patch

import click

from scripts.benchmarks.frames import SIZES, clock, our_frame, stock_frame, transformers_frame
from scripts.benchmarks.pipeline import ROOT, machine


@click.group()
def main() -> None:
    """The engine against the stock predictor."""


@main.command()
@click.option("--objects", default="1,4", show_default=True, help="Numbers of objects, with commas.")
@click.option("--repeats", default=3, show_default=True)
@click.option("--dtypes", default="float32,bfloat16", show_default=True)
@click.option("--device", default="cpu", show_default=True, help="cpu or cuda.")
@click.option("--sizes", default="tiny", show_default=True, help=f"With commas: {', '.join(SIZES)}.")
@click.option(
    "--compile", is_flag=True, help="Ours compiled as well, and on CUDA the stock predictor with `vos_optimized=True`."
)
def speed(objects: str, repeats: int, dtypes: str, device: str, sizes: str, compile: bool) -> None:
    """Time of one frame (encoding, propagation, memory), hiera tiny at 1024², bank full, ours and others' in turn.

    Random weights: timing does not depend on them. The others are the stock predictor and transformers' Sam2VideoModel,
    as their users run them and under bfloat16 autocast.
    """
    import torch

    sys.path.insert(0, str(ROOT))
    from tests.support import stock
    from vidseg.sam.build import instantiate_config

    cuda = torch.device(device).type == "cuda"
    warm_up, digits = (
        (4, 4) if cuda else (1, 2)
    )  # rounds; a CUDA graph is recorded in the second round, and run from the third on
    pixels = torch.randn(1, 3, 1024, 1024, device=device)
    click.echo(machine())
    for size, count in itertools.product(sizes.split(","), map(int, objects.split(","))):
        torch.manual_seed(0)
        config = stock.FULL.with_name(f"sam2.1_hiera_{SIZES[size]}.yaml")
        network = instantiate_config(config).eval()
        predictor = stock.stock_predictor(config, network.state_dict()).to(device)
        quick = (
            stock.stock_predictor(config, network.state_dict(), vos_optimized=True).to(device)
            if cuda and compile
            else None
        )
        network.to(device)
        runs = {}
        for dtype in dtypes.split(","):
            runs[f"stock, {dtype}"] = stock_frame(predictor, pixels, count, dtype)
            if quick:
                runs[f"stock vos_optimized, {dtype}"] = stock_frame(quick, pixels, count, dtype)
            if size == "tiny":  # transformers' default config
                runs[f"transformers, {dtype}"] = transformers_frame(pixels, count, dtype)
            runs[f"vidseg, {dtype}"] = our_frame(network, pixels, count, dtype)
            if compile:
                runs[f"vidseg compiled, {dtype}"] = our_frame(network, pixels, count, dtype, compile=True)
        times = {name: [] for name in runs}
        for number in range(repeats + warm_up):
            for name, run in runs.items():
                began = clock(cuda)
                run()
                if number >= warm_up:
                    times[name].append(clock(cuda) - began)
        medians = {name: statistics.median(values) for name, values in times.items()}
        where = f"{size}, " * (sizes != "tiny")
        for name, values in times.items():
            ours = [
                f"{medians[name] / medians[other]:.1f} × {other}"
                for other in runs
                if other.startswith("vidseg") and other != name
            ]
            click.echo(
                f"{where}{count} object{'s' * (count > 1)}, {name}: median {medians[name]:.{digits}f} s a frame "
                f"({min(values):.{digits}f}–{max(values):.{digits}f}); {'; '.join(ours)}"
            )


@main.command()
@click.option("--objects", default=1, show_default=True)
@click.option("--dtype", default="float32", type=click.Choice(["float32", "bfloat16"]), show_default=True)
@click.option("--repeats", default=3, show_default=True)
def parts(objects: int, dtype: str, repeats: int) -> None:
    """Where the time of one of our frames goes: hiera tiny at 1024², bank full, random weights."""
    import torch

    sys.path.insert(0, str(ROOT))
    from tests.support import stock
    from vidseg.sam import propagator, step
    from vidseg.sam.build import instantiate_config

    network = instantiate_config(stock.FULL).eval()
    run = our_frame(network, torch.randn(1, 3, 1024, 1024), objects, dtype)
    names = {
        "image encoder": (propagator.Propagator, "embed_tensor"),
        "memory attention": (step.Step, "read"),
        "mask decoder": (type(network), "_forward_sam_heads"),
        "hole filling": (propagator, "fill_holes"),
        "memory encoder": (step.Step, "write"),
    }
    run()
    rounds: list[dict[str, float]] = []
    for _ in range(repeats):
        spent = dict.fromkeys(names, 0.0)
        with ExitStack() as stack:
            for name, (owner, attribute) in names.items():
                stack.enter_context(patch.object(owner, attribute, timed(getattr(owner, attribute), spent, name)))
            began = time.perf_counter()
            run()
            spent["whole frame"] = time.perf_counter() - began
        rounds.append(spent)
    click.echo(f"{machine()}; {objects} object{'s' * (objects > 1)}, {dtype}, median of {repeats}")
    for name in rounds[0]:
        click.echo(f"{name}: {statistics.median(each[name] for each in rounds):.3f} s")


def timed(function, spent: dict[str, float], name: str):
    def wrapper(*args, **kwargs):
        began = time.perf_counter()
        try:
            return function(*args, **kwargs)
        finally:
            spent[name] += time.perf_counter() - began

    return wrapper


@main.command()
@click.option("--device", default="cpu", show_default=True, help="cpu or cuda.")
@click.option("--repeats", default=5, show_default=True)
def products(device: str, repeats: int) -> None:
    """How many operations a second matrix products of 4096³ do: what a frame would take if it were nothing else."""
    import torch

    cuda = torch.device(device).type == "cuda"
    sides = [torch.randn(4096, 4096, device=device, dtype=dtype) for dtype in (torch.float32, torch.bfloat16)]
    times = [[] for _ in sides]
    for number in range(repeats + 1):
        for side, some in zip(sides, times):
            began = clock(cuda)
            side @ side
            if number:
                some.append(clock(cuda) - began)
    for side, some in zip(sides, times):
        rates = [2 * 4096**3 / seconds / 1e9 for seconds in some]
        click.echo(
            f"{machine()}; {str(side.dtype).removeprefix('torch.')}: median {statistics.median(rates):.0f} GF/s ({min(rates):.0f}–{max(rates):.0f})"
        )


@main.command()
@click.argument("clip", type=click.Path(exists=True, path_type=Path))
@click.option("--frames", default=24, show_default=True)
@click.option(
    "--weights",
    default="random",
    type=click.Choice(["random", "demo"]),
    show_default=True,
    help="Hiera tiny with random weights, or the bundled pair.",
)
def parity(clip: Path, frames: int, weights: str) -> None:
    """Logits, object scores and pointers against `SAM2VideoPredictor`, on real footage, in float32.

    Four objects come on frames 0, 0, 3 and 9 (by box, clicks, mask and box), the one by clicks is corrected on frame 6,
    and the first leaves after frame 12; then one object by box, backwards. Full-size checkpoints are written to files in
    Meta's and in transformers' layout and loaded as a user's.
    """
    import numpy as np
    import pytest
    import torch

    sys.path.insert(0, str(ROOT))
    import vidseg
    from tests.sam.test_propagator import add_to_stock
    from tests.support import stock
    from tests.support.standins import save_grounding_dino, save_sam
    from vidseg.detection.base import best_score
    from vidseg.io.clip import Clip
    from vidseg.prompts.geometry import Box, MaskPrompt, Points

    config = stock.FULL if weights == "random" else stock.SMALL
    with tempfile.TemporaryDirectory() as folder:
        if weights == "random":
            sam = save_sam(config, Path(folder) / "sam2.1_hiera_tiny.pt")
            model = vidseg.load(
                sam=sam,
                detector=save_grounding_dino(Path(folder) / "grounding-dino", full_size=True),
                device="cpu",
                dtype="float32",
            )
        else:
            model = vidseg.load("demo", device="cpu", dtype="float32")
        began, first = time.perf_counter(), next(iter(Clip(clip).frames())).image
        found = model.detector.detect(first, ["dog", "ball"])
        click.echo(
            f"{machine()}\nGrounding DINO: {len(found)} boxes, best score {best_score(found):.3f}, {time.perf_counter() - began:.1f} s"
        )
    height, width = first.shape[:2]

    def box(x1, y1, x2, y2):
        return Box((x1 * width, y1 * height, x2 * width, y2 * height))

    inside = np.zeros((height, width), bool)
    inside[height // 4 : height // 2, width // 3 : width // 2] = True
    lives = {  # object: its prompts by frame, and the last frame it is followed to
        1: ({0: box(0.3, 0.2, 0.6, 0.8)}, 12),
        2: (
            {
                0: Points(((0.5 * width, 0.5 * height), (0.1 * width, 0.1 * height)), (1, 0)),
                6: Points(((0.6 * width, 0.5 * height),), (1,)),
            },
            frames - 1,
        ),
        3: ({3: MaskPrompt(inside)}, frames - 1),
        4: ({9: box(0.1, 0.5, 0.3, 0.9)}, frames - 1),
    }
    engine, pixels, ours = model.propagator(), [], {}
    original = engine.embed_tensor
    engine.embed_tensor = lambda tensor, *size: pixels.append(tensor) or original(tensor, *size)
    for frame in Clip(clip).frames():
        t = frame.index
        if t == max(frames, 17):  # the stock predictor scales pointer times by the length of clips under 16 frames
            break
        features = engine.embed(frame.image)
        if t >= frames:
            continue
        begin = {i: prompts[t] for i, (prompts, _) in lives.items() if min(prompts) == t}
        correct = {i: prompts[t] for i, (prompts, _) in lives.items() if t in prompts and i not in begin}
        for part in (
            begin and engine.prompt(features, t, begin),
            engine.step(features, t),
            correct and engine.prompt(features, t, correct),
        ):
            for row, i in enumerate(part.ids if part else []):
                ours[i, t] = part, row
        for i in [i for i, (_, last) in lives.items() if last == t and i in engine.banks]:
            engine.discard(i)
    backward = model.propagator()
    for t in range(frames - 1, -1, -1):
        features = backward.embed_tensor(pixels[t], height, width)
        part = backward.step(features, t, reverse=True) or backward.prompt(
            features, t, {5: box(0.3, 0.2, 0.6, 0.8)}, reverse=True
        )
        ours[5, t] = part, 0

    predictor = stock.stock_predictor(config, engine.network.state_dict())
    worst, specks = {}, 0
    for i, (prompts, last) in {**lives, 5: ({frames - 1: box(0.3, 0.2, 0.6, 0.8)}, 0)}.items():
        with pytest.MonkeyPatch.context() as monkeypatch:
            state = stock.start(predictor, torch.cat(pixels), height, width, monkeypatch)
            for number, (t, prompt) in enumerate(sorted(prompts.items())):
                if number:  # as a user does: look at the result up to there, then correct it
                    stock.propagate(predictor, state, max_frame_num_to_track=t)
                add_to_stock(predictor, state, t, i, prompt)
            start = max(prompts) + (len(prompts) > 1)
            stock.propagate(
                predictor, state, start_frame_idx=start, reverse=i == 5, max_frame_num_to_track=abs(last - start)
            )
        shown = 0
        for (object_id, t), (part, row) in ours.items():
            if object_id == i:
                expected = stock.result(state, i, t)
                logits = expected["pred_masks"][0, 0]
                speck = filled_once(part.logits[row], logits)
                specks += int(speck.sum())
                for name, mine, theirs, floor in (
                    ("logits", part.logits[row].masked_fill(speck, 0), logits.masked_fill(speck, 0), 0.0),
                    ("scores", part.object_scores[row], expected["object_score_logits"][0, 0], 1.0),
                    ("pointers", part.pointers[row], expected["obj_ptr"][0], 0.0),
                ):
                    worst[name] = max(
                        worst.get(name, 0.0), float((mine - theirs).abs().max() / theirs.abs().max().clamp(min=floor))
                    )
                shown += int((part.logits[row] > 0).any())
        click.echo(
            f"object {i}: prompts on {sorted(prompts)}, visible on {shown} frames; largest relative differences so far: "
            + ", ".join(f"{name} {value:.1e}" for name, value in worst.items())
            + f"; pixels filled on one side only: {specks}"
        )


def filled_once(mine, theirs):
    """Pixels [h, w] in holes that one side has filled (with 0.1), and the other not, since its logits there are 0 or hardly more."""
    near = 1e-4 * theirs.abs().max()
    return ((mine == 0.1) & (theirs.abs() < near)) | ((theirs == 0.1) & (mine.abs() < near))


if __name__ == "__main__":
    main()
