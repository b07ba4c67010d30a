"""Figures about speed and memory, one table a command (the engine against its peers: scripts/benchmarks/engine.py):

    uv run python -m scripts.benchmarks.pipeline startup     # how soon the command answers, and shows its first mask
    uv run python -m scripts.benchmarks.pipeline memory      # peak memory of a long clip against a short one
    uv run python -m scripts.benchmarks.pipeline stream      # resident memory early and late in 10,000 frames
    uv run python -m scripts.benchmarks.pipeline crowd       # time of a frame with 1 to 60 objects
    uv run python -m scripts.benchmarks.pipeline precision   # bfloat16 against float32
    uv run python -m scripts.benchmarks.pipeline redetect    # what looking again every second adds at full size

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

ROOT = Path(__file__).resolve().parents[2]
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
        "import sys, time, vidseg.commands.main as cli\n"
        "def note(run, total):\n"
        "    for frame in run:\n"
        "        if len(frame.detections): print(time.time()); sys.exit()\n"
        "sys.modules['vidseg.commands.track'].progress = note\n"
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
    for name, values in (
        ("vidseg --help", helps),
        ("first mask, vidseg track samples/park.mp4 --prompt dog --model demo", masks),
    ):
        click.echo(
            f"{name}: median {statistics.median(values):.2f} s of {repeats} ({min(values):.2f}–{max(values):.2f})"
        )


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
@click.option(
    "--from-end",
    type=int,
    help="Begin on a keyframe so many frames before the end, and track backwards from there, too.",
)
def memory(short: int, long_: int, from_end: int | None) -> None:
    """Peak resident memory of `vidseg track` (demo pair, overlay and tracks written) on a long and a short clip."""
    vidseg = Path(sys.executable).with_name("vidseg")
    peaks = []
    for frames in (short, long_):
        with tempfile.TemporaryDirectory() as folder:
            clip = Path(folder) / "clip.mp4"
            looped_clip(clip, frames)
            keyframe = [] if from_end is None else ["--keyframe", str(frames - from_end)]
            began = time.perf_counter()
            process = subprocess.Popen(
                [vidseg, "track", clip, "--prompt", "dog. cat", "--model", "demo", *keyframe],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            _, status, usage = os.wait4(process.pid, 0)
            if status:
                raise click.ClickException(f"vidseg track failed on {frames} frames")
            peaks.append(usage.ru_maxrss / 1024)
            click.echo(f"{frames} frames: peak {peaks[-1]:.0f} MiB, {time.perf_counter() - began:.0f} s")
    click.echo(f"{machine()}\nratio {peaks[1] / peaks[0]:.3f}")


@main.command()
@click.option("--frames", default=10_000, show_default=True)
@click.option(
    "--early", default=500, show_default=True, help="Frame to compare the last one with; a line every so many frames."
)
def stream(frames: int, early: int) -> None:
    """Resident memory late and early in one long run of the demo pair with the five objects of the park."""
    import vidseg

    model = vidseg.load("demo", device="cpu")
    boxes = next(iter(vidseg.read_tracks(PARK.with_name("park.truth.jsonl")))).detections.xyxy
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        looped_clip(clip, frames)
        began, resident = time.perf_counter(), {}
        for frame in model.track(clip, boxes=boxes):
            if (frame.index + 1) % early == 0 or frame.index + 1 == frames:
                resident[frame.index + 1] = resident_mib()
                click.echo(
                    f"frame {frame.index + 1}: {resident[frame.index + 1]:.1f} MiB resident, {(frame.index + 1) / (time.perf_counter() - began):.1f} frames/s"
                )
    click.echo(
        f"{machine()}\n{len(boxes)} objects, frame {frames} against frame {early}: ratio {resident[frames] / resident[early]:.3f}"
    )


def resident_mib() -> float:
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:"))


@main.command()
@click.option("--clips", default=20, show_default=True)
@click.option("--frames", default=48, show_default=True)
@click.option("--seed", default=2026, show_default=True)
def precision(clips: int, frames: int, seed: int) -> None:
    """How far bfloat16 moves the masks of the demo pair: their IoU with those of float32, on made clips."""
    import numpy as np

    import vidseg
    from scripts.demo_models.world.clips import random_scene, write_scenes

    models = {dtype: vidseg.load("demo", device="cpu", dtype=dtype) for dtype in ("float32", "bfloat16")}
    overlaps = []
    for number in range(clips):
        with tempfile.TemporaryDirectory() as folder:
            write_scenes(Path(folder), "clip", [random_scene(seed * 1000 + number, frames=frames)], 360, 640)
            boxes = next(iter(vidseg.read_tracks(Path(folder) / "clip.truth.jsonl"))).detections.xyxy
            for one, other in zip(*(model.track(Path(folder) / "clip.mp4", boxes=boxes) for model in models.values())):
                masks = [dict(zip(f.detections.tracker_id.tolist(), f.detections.mask)) for f in (one, other)]
                for i in set(masks[0]) | set(masks[1]):  # an object that only one of them sees counts 0
                    both = [m.get(i, np.zeros(one.image.shape[:2], bool)) for m in masks]
                    overlaps.append((both[0] & both[1]).sum() / max((both[0] | both[1]).sum(), 1))
    click.echo(
        f"{machine()}\n{clips} clips, {len(overlaps)} masks: mean IoU of bfloat16 with float32 {np.mean(overlaps):.4f}"
    )


@main.command()
@click.option("--counts", default="1,4,10,30,60", show_default=True, help="Numbers of objects, with commas.")
@click.option("--frames", default=24, show_default=True)
def crowd(counts: str, frames: int) -> None:
    """Time of a frame of the demo pair with more and more objects, and what each costs."""
    import vidseg

    model = vidseg.load("demo", device="cpu")
    click.echo(machine())
    for count in map(int, counts.split(",")):
        boxes = [
            (16 + 60 * (i % 10), 12 + 57 * (i // 10), 66 + 60 * (i % 10), 60 + 57 * (i // 10)) for i in range(count)
        ]
        times, last = [], time.perf_counter()
        for _, frame in zip(range(frames), model.track(PARK, boxes=boxes)):
            times.append(time.perf_counter() - last)
            last = time.perf_counter()
        median = statistics.median(times[8:])  # the first frames have fewer memories
        click.echo(
            f"{count} objects: {1000 * median:.0f} ms a frame, {1000 * median / count:.1f} ms an object, {len(frame.detections)} of them in view at the end"
        )


@main.command()
@click.option("--objects", default=1, show_default=True, help="Followed from the start; fewer make a look weigh more.")
@click.option("--rounds", default=2, show_default=True)
@click.option(
    "--dtype",
    default="auto",
    type=click.Choice(["auto", "float32", "bfloat16"]),
    show_default=True,
    help="Of SAM; the detector runs in float32.",
)
def redetect(objects: int, rounds: int, dtype: str) -> None:
    """What `--redetect 1` adds to a single keyframe: SAM 2.1 hiera tiny at 1024², Grounding DINO tiny at 800 × 1066, 24 frames/s.

    Random weights: timing does not depend on them. What the networks say is replaced by boxes that stand still.
    """
    import torch

    sys.path.insert(0, str(ROOT))
    import benchmark_redetect

    model, costs = benchmark_redetect.measure(dtype, objects, rounds)
    click.echo(f"{machine()}, {torch.get_num_threads()} threads; SAM in {model.dtype}")
    for line in benchmark_redetect.report(costs, objects):
        click.echo(line)


@main.command()
@click.option("--clicks", default=20, show_default=True)
@click.option("--dtype", default="auto", show_default=True)
def clicks(clicks: int, dtype: str) -> None:
    """Time of a click on an embedded image against a whole segment(): SAM 2.1 hiera tiny at full size, random weights."""
    sys.path.insert(0, str(ROOT))
    import numpy as np

    import vidseg
    from tests.support import stock
    from tests.support.standins import save_sam

    with tempfile.TemporaryDirectory() as folder:
        model = vidseg.load(sam=save_sam(stock.FULL, Path(folder) / "sam2.1_hiera_tiny.pt"), device="cpu", dtype=dtype)
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (720, 1280, 3), np.uint8)
    points = rng.uniform((0, 0), (1280, 720), (clicks, 1, 2))
    photo = model.embed(image)
    photo.segment(points=points[0])  # warms up
    whole, alone = [], []
    for number, point in enumerate(points):
        began = time.perf_counter()
        photo.segment(points=point)
        alone.append(time.perf_counter() - began)
        if number % 5 == 0:  # in turn, so that whatever else the machine does hits both
            began = time.perf_counter()
            model.segment(image, points=point)
            whole.append(time.perf_counter() - began)
    click.echo(machine())
    click.echo(
        f"1280×720, {model.dtype}: segment() {statistics.median(whole):.3f} s (median of {len(whole)}), a click on an embedded image "
        f"{statistics.median(alone):.4f} s (median of {clicks}): {statistics.median(whole) / statistics.median(alone):.1f} times as fast"
    )


@main.command()
@click.option("--frames", default=16, show_default=True)
@click.option("--repeats", default=2, show_default=True)
def overhead(frames: int, repeats: int) -> None:
    """What drawing and writing add to a run: SAM 2.1 hiera tiny at full size, random weights, four objects, 1280×720."""
    sys.path.insert(0, str(ROOT))
    import av
    import cv2
    import torch

    import vidseg
    from tests.support import stock
    from tests.support.standins import save_sam
    from vidseg.commands.clip_results import write_results
    from vidseg.commands.clip_tasks import ClipTask
    from vidseg.sam.propagator import Propagator

    ys, xs = torch.meshgrid(torch.arange(256), torch.arange(256), indexing="ij")

    class Shapely(Propagator):
        """Does all the work, then gives every object the outline of a thing that moves."""

        def step(self, features, index, reverse=False):
            found = super().step(features, index, reverse)
            middles = [60.0 * (place + 0.5) + index for place in range(len(found.ids))]
            lobes = [30 + 4 * torch.sin(6 * torch.atan2(ys - 128.0, xs - x)) for x in middles]
            found.logits = torch.stack([lobe - torch.hypot(xs - x, ys - 128.0) for lobe, x in zip(lobes, middles)])
            return found

    times = {"model alone": [], "with overlay video and tracks file": []}
    with tempfile.TemporaryDirectory() as folder:
        clip, folder = Path(folder) / "clip.mp4", Path(folder)
        with av.open(str(PARK)) as source, av.open(str(clip), "w") as target:
            video = target.add_stream("libx264", rate=24)
            video.width, video.height, video.pix_fmt = 1280, 720, "yuv420p"
            for frame, _ in zip(source.decode(video=0), range(frames)):
                picture = cv2.resize(frame.to_ndarray(format="rgb24"), (1280, 720))
                target.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
            target.mux(video.encode())
        model = vidseg.load(sam=save_sam(stock.FULL, folder / "sam2.1_hiera_tiny.pt"), device="cpu")
        model._engine.__class__ = (
            Shapely  # random weights draw noise, which takes far longer to draw and to pack than objects do
        )
        boxes = [[200, 200, 420, 480], [950, 380, 1240, 710], [10, 420, 240, 680], [400, 560, 520, 700]]
        for number in range(2 * repeats + 1):  # in turn; the first run warms up
            kind = list(times)[number % 2]
            began = time.perf_counter()
            if kind == "model alone":
                for _ in model.track(clip, boxes=boxes):
                    pass
            else:
                write_results(
                    model.track(clip, boxes=boxes),
                    ClipTask(
                        source=str(clip), video_path=folder / "out.mp4", tracks_path=folder / "out.jsonl"
                    ),
                    [],
                    model.names,
                    None,
                )
            if number:
                times[kind].append((time.perf_counter() - began) / frames)
    click.echo(machine())
    for kind, values in times.items():
        click.echo(
            f"{kind}: {statistics.median(values):.3f} s a frame, median of {repeats} runs of {frames} frames ({model.dtype})"
        )
    alone, written = (statistics.median(values) for values in times.values())
    click.echo(f"ratio {written / alone:.3f}")


if __name__ == "__main__":
    main()
