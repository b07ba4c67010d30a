"""How much memory long clips take, one figure a command.

uv run python -m scripts.benchmarks.memory peak      # peak memory of a long clip against a short one
uv run python -m scripts.benchmarks.memory stream    # resident memory early and late in 10,000 frames
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click

from scripts.common import PARK, machine, resident_mib


@click.group()
def main() -> None:
    """How much memory long clips take."""


@main.command()
@click.option("--short", default=200, show_default=True, help="Frames of the short clip.")
@click.option("--long", "long_", default=2000, show_default=True, help="Frames of the long clip.")
@click.option(
    "--from-end",
    type=int,
    help="Begin on a keyframe so many frames before the end, and track backwards from there, too.",
)
def peak(short: int, long_: int, from_end: int | None) -> None:
    """Peak resident memory of `vidseg track` (demo pair, overlay and tracks written) on a long and a short clip."""
    vidseg = Path(sys.executable).with_name("vidseg")
    peaks: list[float] = []
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
                done = frame.index + 1
                resident[done] = resident_mib()
                rate = done / (time.perf_counter() - began)
                click.echo(f"frame {done}: {resident[done]:.1f} MiB resident, {rate:.1f} frames/s")
    ratio = resident[frames] / resident[early]
    click.echo(f"{machine()}\n{len(boxes)} objects, frame {frames} against frame {early}: ratio {ratio:.3f}")


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


if __name__ == "__main__":
    main()
