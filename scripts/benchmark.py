"""Figures about speed and memory, one table a command:

    uv run python scripts/benchmark.py startup     # how soon the command answers, and shows its first mask
    uv run python scripts/benchmark.py memory      # peak memory of a long clip against a short one
    uv run python scripts/benchmark.py engine      # time of a frame against the stock predictor
    uv run python scripts/benchmark.py parity dog.mp4   # full-size network against the stock predictor on real footage

Each line says what was measured on which machine. Nothing here is a test: figures differ from machine to machine.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parent.parent
PARK = ROOT / "samples/park.mp4"


def machine() -> str:
    """The machine in a few words."""
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "CPU")
    import torch

    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{os.cpu_count()} cores of {model}{gpu}, torch {torch.__version__}"


@click.group()
def main() -> None:
    """Figures about speed and memory."""


@main.command()
@click.option("--repeats", default=5, show_default=True)
def startup(repeats: int) -> None:
    """Time of `vidseg --help`, and from the start of `vidseg track` to the first mask of the demo pair."""
    vidseg = Path(sys.executable).with_name("vidseg")
    helps, masks = [], []
    first_mask = (
        "import sys, time, vidseg.cli as cli\n"
        "def note(run, total):\n"
        "    for frame in run:\n"
        "        if len(frame.detections): print(time.time()); sys.exit()\n"
        "cli.progress = note\n"
        "cli.main(['track', sys.argv[1], '--prompt', 'dog', '--model', 'demo', '--output', sys.argv[2]], standalone_mode=False)\n"
    )
    for _ in range(repeats):
        began = time.time()
        subprocess.run([vidseg, "--help"], check=True, capture_output=True)
        helps.append(time.time() - began)
        with tempfile.TemporaryDirectory() as folder:
            began = time.time()
            done = subprocess.run([sys.executable, "-c", first_mask, PARK, folder], capture_output=True, text=True)
            masks.append(float(done.stdout.split()[-1]) - began)
    click.echo(machine())
    for name, values in (("vidseg --help", helps), ("first mask, vidseg track samples/park.mp4 --prompt dog --model demo", masks)):
        click.echo(f"{name}: median {statistics.median(values):.2f} s of {repeats} ({min(values):.2f}–{max(values):.2f})")


def looped_clip(path: Path, frames: int) -> None:
    """The park sample forwards and backwards until there are enough frames: objects stay in view, nothing jumps."""
    import av

    with av.open(str(PARK)) as container:
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)][:72]
    swing = pictures + pictures[-2:0:-1]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=24, options={"preset": "ultrafast"})
        stream.height, stream.width, stream.pix_fmt = *pictures[0].shape[:2], "yuv420p"
        for number in range(frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(swing[number % len(swing)], format="rgb24")))
        container.mux(stream.encode())


@main.command()
@click.option("--short", default=200, show_default=True, help="Frames of the short clip.")
@click.option("--long", "long_", default=2000, show_default=True, help="Frames of the long clip.")
def memory(short: int, long_: int) -> None:
    """Peak resident memory of `vidseg track` (demo pair, overlay and tracks written) on a long and a short clip."""
    vidseg = Path(sys.executable).with_name("vidseg")
    peaks = []
    for frames in (short, long_):
        with tempfile.TemporaryDirectory() as folder:
            clip = Path(folder) / "clip.mp4"
            looped_clip(clip, frames)
            began = time.perf_counter()
            process = subprocess.Popen([vidseg, "track", clip, "--prompt", "dog. cat", "--model", "demo"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            _, status, usage = os.wait4(process.pid, 0)
            if status:
                raise click.ClickException(f"vidseg track failed on {frames} frames")
            peaks.append(usage.ru_maxrss / 1024)
            click.echo(f"{frames} frames: peak {peaks[-1]:.0f} MiB, {time.perf_counter() - began:.0f} s")
    click.echo(f"{machine()}\nratio {peaks[1] / peaks[0]:.3f}")


@main.command()
@click.argument("clip", type=click.Path(exists=True, path_type=Path))
@click.option("--frames", default=10, show_default=True)
def parity(clip: Path, frames: int) -> None:
    """Full-size checkpoints with random weights, from their files, on real footage, against the stock predictor.

    Writes a sam2.1_hiera_tiny.pt in Meta's layout and a Grounding DINO tiny folder, loads both as a user's, tracks two
    boxes through CLIP, and compares low-resolution logits with `SAM2VideoPredictor` on the same frames.
    """
    import torch

    sys.path.insert(0, str(ROOT))
    from tests.sam import stock
    from tests.standins import save_grounding_dino, save_sam
    from vidseg.video import Clip

    import vidseg

    with tempfile.TemporaryDirectory() as folder:
        sam = save_sam(stock.FULL, Path(folder) / "sam2.1_hiera_tiny.pt")
        detector = save_grounding_dino(Path(folder) / "grounding-dino", full_size=True)
        model = vidseg.load(sam=sam, detector=detector, device="cpu", dtype="float32")
        state = torch.load(sam, weights_only=True)["model"]
        frame = next(iter(Clip(clip).frames()))
        began = time.perf_counter()
        found = model.detector.detect(frame.image, ["dog", "ball"])
        click.echo(f"Grounding DINO, random weights: {len(found)} boxes, best score {model.detector.best_score:.3f}, {time.perf_counter() - began:.1f} s")
    height, width = frame.image.shape[:2]
    boxes = {1: (0.3 * width, 0.2 * height, 0.6 * width, 0.8 * height), 2: (0.1 * width, 0.5 * height, 0.3 * width, 0.9 * height)}
    compare(model.propagator(), stock.stock_predictor(stock.FULL, state), Clip(clip), boxes, frames, (height, width))


@main.command()
@click.option("--objects", default="1,4", show_default=True, help="Numbers of objects, with commas.")
@click.option("--repeats", default=3, show_default=True)
@click.option("--dtypes", default="float32,bfloat16", show_default=True)
def engine(objects: str, repeats: int, dtypes: str) -> None:
    """Time of one frame (encoding, propagation, memory), hiera tiny at 1024², bank full, ours and stock in turn.

    Random weights: timing does not depend on them. Stock runs as its users run it, and under bfloat16 autocast.
    """
    import torch

    sys.path.insert(0, str(ROOT))
    from tests.sam import stock
    from vidseg.sam.build import instantiate_config

    torch.manual_seed(0)
    network = instantiate_config(stock.FULL).eval()
    predictor = stock.stock_predictor(stock.FULL, network.state_dict())
    pixels = torch.randn(1, 3, 1024, 1024)
    click.echo(machine())
    for count in map(int, objects.split(",")):
        runs = {}
        for dtype in dtypes.split(","):
            runs[f"stock, {dtype}"] = stock_frame(predictor, pixels, count, dtype)
            runs[f"vidseg, {dtype}"] = our_frame(network, pixels, count, dtype)
        times = {name: [] for name in runs}
        for number in range(repeats + 1):  # the first round warms up
            for name, run in runs.items():
                began = time.perf_counter()
                run()
                if number:
                    times[name].append(time.perf_counter() - began)
        for name, values in times.items():
            click.echo(f"{count} object{'s' * (count > 1)}, {name}: median {statistics.median(values):.2f} s a frame ({min(values):.2f}–{max(values):.2f})")


FULL_BANK = 17  # number of the frame that is timed: six memories and fifteen pointers lie before it


def our_frame(network, pixels, count: int, dtype: str):
    """A call that propagates `count` objects with full banks by one frame."""
    import torch

    from vidseg.sam.memory import Memory
    from vidseg.sam.prompts import Box
    from vidseg.sam.propagator import Propagator

    engine = Propagator(network, getattr(torch, dtype))
    engine.prompt(engine.embed_tensor(pixels, 720, 1280), 0, {i: Box((300, 200, 700, 600)) for i in range(count)})

    def run() -> None:
        for bank in engine.banks.values():
            memory = bank.conditioning[0]
            for t in range(1, FULL_BANK):
                bank.add_recent(t, Memory(memory.features, memory.pointer))
            bank.recent.pop(FULL_BANK, None)
            bank.latest = FULL_BANK - 1
        engine.step(engine.embed_tensor(pixels, 720, 1280), FULL_BANK)

    return run


def stock_frame(predictor, pixels, count: int, dtype: str):
    """The same with the stock predictor: one encoding, then one object after another."""
    import pytest
    import torch

    from tests.sam import stock

    with pytest.MonkeyPatch.context() as patch:
        state = stock.start(predictor, pixels.expand(FULL_BANK + 1, -1, -1, -1), 720, 1280, patch)
    for i in range(count):
        predictor.add_new_points_or_box(state, 0, i, box=(300, 200, 700, 600))
    predictor.propagate_in_video_preflight(state)
    for outputs in state["output_dict_per_obj"].values():
        outputs["non_cond_frame_outputs"] = {t: outputs["cond_frame_outputs"][0] for t in range(1, FULL_BANK)}

    def run() -> None:
        state["cached_features"] = {}
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bfloat16"):
            for outputs in state["output_dict_per_obj"].values():
                predictor._run_single_frame_inference(state, outputs, FULL_BANK, 1, False, None, None, False, True)

    return run


def compare(engine, predictor, clip, boxes, frames: int, size: tuple[int, int]) -> None:
    """Print the largest relative difference of logits on each frame."""
    import torch

    from tests.sam import stock
    from vidseg.sam.prompts import Box

    pixels, ours = [], []
    original = engine.embed_tensor

    def recording(tensor, height, width):
        pixels.append(tensor)
        return original(tensor, height, width)

    engine.embed_tensor = recording
    for frame in clip.frames():
        if frame.index == 17:  # the stock predictor scales pointer times by the length of clips under 16 frames
            break
        features = engine.embed(frame.image) if frame.index < frames else None
        if features is None:
            pixels.append(pixels[-1])
            continue
        ours.append(engine.prompt(features, 0, {i: Box(box) for i, box in boxes.items()}) if frame.index == 0 else engine.step(features, frame.index))

    import pytest

    with pytest.MonkeyPatch.context() as patch:
        state = stock.start(predictor, torch.cat(pixels), *size, patch)
        for i, box in boxes.items():
            predictor.add_new_points_or_box(state, 0, i, box=box)
        stock.propagate(predictor, state, max_frame_num_to_track=frames - 1)
    worst = 0.0
    for t in range(frames):
        for row, i in enumerate(ours[t].ids):
            expected = stock.result(state, i, t)["pred_masks"][0, 0]
            error = float((ours[t].logits[row] - expected).abs().max() / expected.abs().max())
            worst = max(worst, error)
            click.echo(f"frame {t}, object {i}: logits up to {float(expected.abs().max()):.2f}, relative difference {error:.1e}")
    click.echo(f"{machine()}\nlargest relative difference in {frames} frames: {worst:.1e}")


if __name__ == "__main__":
    main()
