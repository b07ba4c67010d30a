"""What is left of `vidseg track` when a signal ends it at a random moment, or when it is killed and run again.

uv run python -m scripts.benchmarks.signals --times 5
"""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click

import vidseg
from scripts.common import cores
from tests.support.clips import make_clip, noise
from vidseg.io.clip import Clip

FRAMES, SECONDS = 400, (0.0, 12.0)  # of the clip; after the start of the command
VIDSEG = Path(sys.executable).with_name("vidseg")
TRACK = ["track", "dog.mp4", "--box", "5,5,40,40", "--model", "demo", "--device", "cpu"]
OUTPUTS = ["dog.tracked.mp4", "dog.tracks.jsonl"]


@click.command()
@click.option("--times", default=5, show_default=True, help="Moments for each signal.")
@click.option("--seed", default=0, show_default=True, help="Of the moments.")
def main(times: int, seed: int) -> None:
    """Send SIGHUP, SIGINT, SIGTERM and SIGKILL to `vidseg track`, each at random moments, and say what is left."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background it is ignored, by what is started too
    moments, failed = random.Random(seed), False
    click.echo(cores())
    with tempfile.TemporaryDirectory() as root:
        clip = Path(make_clip(Path(root) / "dog.mp4", [512 * i for i in range(FRAMES)], paint=noise))
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            for _ in range(times):
                after = moments.uniform(*SECONDS)
                with tempfile.TemporaryDirectory() as folder:
                    shutil.copy(clip, folder)
                    said, faults = end(Path(folder), number, after)
                failed = failed or bool(faults)
                click.echo(f"{number.name} after {after:4.1f} s: {said}{''.join(f'; WRONG: {one}' for one in faults)}")
    sys.exit(failed)


def end(folder: Path, number: signal.Signals, after: float) -> tuple[str, list[str]]:
    """Run the command, end it after some seconds, and say what is left and what of it should not be."""
    process = subprocess.Popen(
        [VIDSEG, *TRACK],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    time.sleep(after)
    process.send_signal(number)
    _, errors = process.communicate()
    faults = [f"{errors[-300:]!r}"] if "Traceback" in errors else []
    if number == signal.SIGKILL:
        left = [path.name for path in folder.iterdir() if path.name.startswith(".")]
        subprocess.run([VIDSEG, *TRACK, "--end", "0.2", "--overwrite"], cwd=folder, check=True, capture_output=True)
        said = f"{len(left)} parts were left; the next run has written {frames_kept(folder, faults)} frames"
    else:
        # Before it listens, Python ends by the signal itself, or by KeyboardInterrupt.
        if process.returncode not in (128 + number, -number):
            faults.append(f"exit code {process.returncode}")
        said = f"exit code {process.returncode}, {frames_kept(folder, faults)} frames kept"
    litter = {path.name for path in folder.iterdir()} - {"dog.mp4", *OUTPUTS}
    return said, faults + [f"{name} is left" for name in sorted(litter)]


def frames_kept(folder: Path, faults: list[str]) -> int:
    """Frames in the tracks file, after comparing them with those of the overlay."""
    overlay, tracks = (folder / name for name in OUTPUTS)
    if not overlay.exists() and not tracks.exists():
        return 0
    try:
        count = vidseg.read_tracks(tracks).frame_count()
        indices = [frame.index for frame in vidseg.read_tracks(tracks)]
        drawn = sum(1 for _ in Clip(overlay).frames())
    except vidseg.VidsegError as error:
        faults.append(str(error))
        return 0
    if indices != list(range(count or 0)) or drawn != len(indices):
        faults.append(f"{drawn} frames drawn, {len(indices)} tracked")
    return len(indices)


if __name__ == "__main__":
    main()
