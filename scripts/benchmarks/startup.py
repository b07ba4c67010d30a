"""How soon the command answers, and shows its first mask.

uv run python -m scripts.benchmarks.startup
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click

from scripts.common import PARK, machine

HELP, MASK = "vidseg --help", "first mask, vidseg track samples/park.mp4 --prompt dog --model demo"
# `vidseg track`, which ends with the time of its first mask.
FIRST_MASK = """
import sys, time, vidseg.commands.main as cli
def note(run, total):
    for frame in run:
        if len(frame.detections): print(time.time()); sys.exit()
sys.modules['vidseg.commands.track'].progress = note
cli.main(
    ['track', sys.argv[1], '--prompt', 'dog', '--model', 'demo', '--output', sys.argv[2]], standalone_mode=False
)
"""


@click.command()
@click.option("--repeats", default=5, show_default=True)
def main(repeats: int) -> None:
    """Time of `vidseg --help`, and from the start of `vidseg track` to the first mask of the demo pair."""
    vidseg = Path(sys.executable).with_name("vidseg")
    helps: list[float] = []
    masks: list[float] = []
    for _ in range(repeats):
        began = time.time()
        subprocess.run([vidseg, "--help"], check=True, capture_output=True)
        helps.append(time.time() - began)
        with tempfile.TemporaryDirectory() as folder:
            began = time.time()
            done = subprocess.run(
                [sys.executable, "-c", FIRST_MASK, PARK, folder], capture_output=True, text=True, check=True
            )
            masks.append(float(done.stdout.split()[-1]) - began)
    click.echo(machine())
    for name, values in ((HELP, helps), (MASK, masks)):
        spread = f"{min(values):.2f}–{max(values):.2f}"
        click.echo(f"{name}: median {statistics.median(values):.2f} s of {repeats} ({spread})")


if __name__ == "__main__":
    main()
