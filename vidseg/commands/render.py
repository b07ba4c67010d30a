"""`vidseg render`."""

from __future__ import annotations

from pathlib import Path

import click

import vidseg
from vidseg.commands.options import output_paths
from vidseg.console import status


@click.command()
@click.argument("clip", type=click.Path(path_type=Path))
@click.argument("tracks", type=click.Path(path_type=Path))
@click.option("--output", type=click.Path(path_type=Path), metavar="FILE", help="The overlay video [CLIP.tracked.mp4].")
@click.option("--overwrite", is_flag=True, help="Replace a file that exists.")
def render(clip, tracks, output, overwrite) -> None:
    """Draw saved TRACKS on CLIP again, without any model."""
    path, _ = output_paths(clip, output, tracks)
    with status(f"Drawing {path}"):
        note = vidseg.render(clip, tracks, path, overwrite=overwrite)
    click.echo(f"Wrote {path}")
    if note:
        click.echo(f"vidseg: {note}", err=True)
