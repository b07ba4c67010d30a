"""`vidseg demo`."""

from __future__ import annotations

import click

from vidseg.commands.track import track
from vidseg.samples import SAMPLES, sample


@click.command()
@click.option("--overwrite", is_flag=True, help="Replace files that exist.")
@click.pass_context
def demo(context: click.Context, overwrite: bool) -> None:
    """Track a sample clip with the bundled pair of small checkpoints, and say what to do next.

    Writes park.tracked.mp4 and park.tracks.jsonl into this folder. Nothing is downloaded.
    """
    arguments = [
        str(sample("park.mp4")),
        "--prompt",
        SAMPLES["park.mp4"],
        "--model",
        "demo",
        "--output",
        ".",
        *(["--overwrite"] if overwrite else []),
    ]
    with track.make_context("track", arguments, parent=context) as inner:
        track.invoke(inner)
    click.echo(
        "Look at park.tracked.mp4; then track a clip of your own with the real checkpoints: "
        'vidseg track clip.mp4 --prompt "dog"'
    )
