"""The engine against the stock predictor, full-size networks with random weights, one table a command.

    uv run python -m scripts.benchmarks.engine speed            # time of a frame (--device cuda --compile: on a GPU)
    uv run python -m scripts.benchmarks.engine parts            # where the time of a frame goes
    uv run python -m scripts.benchmarks.engine products         # how fast matrices multiply here, which bounds it

Each line says what was measured on which machine. (Whether the numbers are the same: `scripts.benchmarks.parity`.)
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from unittest.mock import patch

import click

from scripts.benchmarks.frames import SIZES, our_frame, stock_frame, transformers_frame
from scripts.common import clock, machine, plural


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

    cuda = torch.device(device).type == "cuda"
    pixels = torch.randn(1, 3, 1024, 1024, device=device)
    click.echo(machine())
    for size, count in itertools.product(sizes.split(","), map(int, objects.split(","))):
        runs = contenders(size, pixels, count, dtypes.split(","), compile)
        times = in_turn(runs, repeats, cuda)
        where = f"{size}, " * (sizes != "tiny")
        for line in compared(times, 4 if cuda else 2):
            click.echo(f"{where}{plural(count, 'object')}, {line}")


def contenders(size: str, pixels, count: int, dtypes: list[str], compile: bool) -> dict[str, Callable[[], None]]:
    """What takes part, by name: a call of each processes one frame with `count` objects."""
    import torch

    from tests.support import stock
    from vidseg.sam.build import instantiate_config

    device = pixels.device
    torch.manual_seed(0)
    config = stock.FULL.with_name(f"sam2.1_hiera_{SIZES[size]}.yaml")
    network = instantiate_config(config).eval()
    weights = network.state_dict()
    predictor = stock.stock_predictor(config, weights).to(device)
    quick = None
    if device.type == "cuda" and compile:
        quick = stock.stock_predictor(config, weights, vos_optimized=True).to(device)
    network.to(device)
    runs = {}
    for dtype in dtypes:
        runs[f"stock, {dtype}"] = stock_frame(predictor, pixels, count, dtype)
        if quick:
            runs[f"stock vos_optimized, {dtype}"] = stock_frame(quick, pixels, count, dtype)
        if size == "tiny":  # transformers' default config
            runs[f"transformers, {dtype}"] = transformers_frame(pixels, count, dtype)
        runs[f"vidseg, {dtype}"] = our_frame(network, pixels, count, dtype)
        if compile:
            runs[f"vidseg compiled, {dtype}"] = our_frame(network, pixels, count, dtype, compile=True)
    return runs


def in_turn(runs: dict[str, Callable[[], None]], repeats: int, cuda: bool) -> dict[str, list[float]]:
    """Seconds that each takes, one after the other, round by round."""
    # A CUDA graph is recorded in the second round, and run from the third on.
    warm_up = 4 if cuda else 1
    times: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(repeats + warm_up):
        for name, run in runs.items():
            began = clock(cuda)
            run()
            if number >= warm_up:
                times[name].append(clock(cuda) - began)
    return times


def compared(times: dict[str, list[float]], digits: int) -> Iterator[str]:
    """A line for each contender: its time, and how many times that of ours it is."""
    medians = {name: statistics.median(values) for name, values in times.items()}
    for name, values in times.items():
        ours = [
            f"{medians[name] / medians[other]:.1f} × {other}"
            for other in times
            if other.startswith("vidseg") and other != name
        ]
        spread = f"{min(values):.{digits}f}–{max(values):.{digits}f}"
        yield f"{name}: median {medians[name]:.{digits}f} s a frame ({spread}); {'; '.join(ours)}"


@main.command()
@click.option("--objects", default=1, show_default=True)
@click.option("--dtype", default="float32", type=click.Choice(["float32", "bfloat16"]), show_default=True)
@click.option("--repeats", default=3, show_default=True)
def parts(objects: int, dtype: str, repeats: int) -> None:
    """Where the time of one of our frames goes: hiera tiny at 1024², bank full, random weights."""
    import torch

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
    click.echo(f"{machine()}; {plural(objects, 'object')}, {dtype}, median of {repeats}")
    for name in rounds[0]:
        click.echo(f"{name}: {statistics.median(each[name] for each in rounds):.3f} s")


def timed(function: Callable, spent: dict[str, float], name: str) -> Callable:
    """The same function, which adds the seconds of each call to `spent[name]`."""

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
    times: list[list[float]] = [[] for _ in sides]
    for number in range(repeats + 1):
        for side, some in zip(sides, times):
            began = clock(cuda)
            torch.matmul(side, side)
            if number:
                some.append(clock(cuda) - began)
    for side, some in zip(sides, times):
        rates = [2 * 4096**3 / seconds / 1e9 for seconds in some]
        spread = f"{min(rates):.0f}–{max(rates):.0f}"
        name = str(side.dtype).removeprefix("torch.")
        click.echo(f"{machine()}; {name}: median {statistics.median(rates):.0f} GF/s ({spread})")


if __name__ == "__main__":
    main()
