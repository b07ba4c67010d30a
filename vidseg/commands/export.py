"""`vidseg export`."""

from __future__ import annotations

from pathlib import Path

import click

import vidseg
from vidseg.commands.console import counting
from vidseg.exporters.export import FORMATS


@click.command()
@click.argument("tracks", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--format",
    "kind",
    required=True,
    type=click.Choice(list(FORMATS)),
    help="What to write; docs/export.md describes each.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="File or folder [beside TRACKS: clip.coco.json …].",
)
@click.option(
    "--clip",
    type=click.Path(path_type=Path),
    metavar="CLIP",
    help="Where the images come from [the clip that TRACKS names].",
)
@click.option(
    "--every", default=1, show_default=True, type=click.IntRange(min=1), metavar="N", help="Keep each Nth frame."
)
@click.option(
    "--min-score",
    default=0.0,
    show_default=True,
    type=click.FloatRange(0, 1),
    metavar="S",
    help="Leave out objects with a lower score.",
)
@click.option(
    "--images", is_flag=True, help="Write the frames as images, too (coco, labels, youtube-vis; yolo-seg always does)."
)
@click.option("--overwrite", is_flag=True, help="Replace what exists.")
def export(tracks, kind, output, clip, every, min_score, images, overwrite) -> None:
    """Write saved TRACKS in a format that other tools read.

    Several tracks files make one data set (coco, labels, youtube-vis, yolo-seg).
    """
    doing = f"Exporting {tracks[0].name}" + (f" and {len(tracks) - 1} more" if len(tracks) > 1 else "")
    with counting(doing, "frames") as progress:
        paths = vidseg.export(
            tracks,
            kind,
            output,
            clip=clip,
            every=every,
            min_score=min_score,
            images=images,
            overwrite=overwrite,
            progress=progress,
        )
    for path in paths:
        click.echo(f"Wrote {path}")
