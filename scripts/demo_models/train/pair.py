"""Train the bundled demo pair from scratch: Grounding DINO and SAM 2.1, one process each, side by side.

    uv run python -m scripts.demo_models.train.pair                    # over five hours on two CPU cores
    uv run python -m scripts.demo_models.train.pair --device cuda --batch-scale 8

Needs Debian's `fonts-noto-color-emoji`. Run it again to go on from the last checkpoints (in `runs/`), with larger
budgets to train longer. At the end both are written into `vidseg/demo/`; `scripts.demo_models.score.clips` scores them.
"""

from __future__ import annotations

import os
import subprocess
import sys

import click

from scripts.common import ROOT

SAM, DETECTOR = "scripts.demo_models.train.sam", "scripts.demo_models.train.detector"
DEMO = ROOT / "vidseg/demo"


def start(module: str, *options: object) -> subprocess.Popen:
    """Start a trainer with one thread: two processes with one thread each beat one with two."""
    command = [sys.executable, "-m", module, *map(str, options)]
    return subprocess.Popen(command, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"})


@click.command()
@click.option("--sam-minutes", default=320.0, show_default=True, help="Budget of SAM 2.1, in minutes of one core.")
@click.option("--detector-minutes", default=189.0, show_default=True, help="Budget of Grounding DINO.")
@click.option("--device", default="cpu", show_default=True)
@click.option("--batch-scale", default=1, show_default=True, help="Multiplies SAM's clips a step (for a GPU).")
def main(sam_minutes: float, detector_minutes: float, device: str, batch_scale: int) -> None:
    """Train the bundled demo pair from scratch: Grounding DINO and SAM 2.1, one process each, side by side."""
    running = {
        "sam": start(SAM, "--minutes", sam_minutes, "--device", device, "--batch-scale", batch_scale),
        "detector": start(DETECTOR, "--minutes", detector_minutes, "--device", device),
    }
    if failed := [name for name, process in running.items() if process.wait()]:
        raise click.ClickException(f"training failed: {', '.join(failed)}")
    for process in (start(SAM, "--export", DEMO / "sam"), start(DETECTOR, "--export-only")):
        if process.wait():
            raise click.ClickException("a checkpoint could not be exported")


if __name__ == "__main__":
    main()
