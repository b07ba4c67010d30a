"""`vidseg export`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

import vidseg
from vidseg.commands.options import FormatName
from vidseg.commands.progress import counter
from vidseg.exporters.formats import FORMATS, SEED, VAL_SHARE

WITH_IMAGES = ", ".join(name for name, one in FORMATS.items() if one.images)
ALWAYS_WITH_IMAGES = ", ".join(name for name, one in FORMATS.items() if one.needs_images)
OF_SEVERAL = ", ".join(name for name, one in FORMATS.items() if one.several)
SPLIT = ", ".join(name for name, one in FORMATS.items() if one.splits)
HELP = f"""Write saved TRACKS in a format that other tools read.

Several tracks files, or a folder of them, make one data set ({OF_SEVERAL})."""


@click.command(help=HELP)
@click.argument("tracks", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--format",
    "kind",
    required=True,
    type=FormatName(),
    help="What to write; docs/export.md describes each.",
)
@click.option(
    "--output",
    type=click.Path(),
    metavar="PATH",
    help="File, or folder: DIR/, or a name without a suffix [beside TRACKS: clip.coco.json …; in a folder of them: "
    "FOLDER.coco.json …].",
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
    "--images",
    is_flag=True,
    help=f"Write the frames as images, too ({WITH_IMAGES}; {ALWAYS_WITH_IMAGES} always does).",
)
@click.option(
    "--val",
    default=VAL_SHARE,
    show_default=True,
    type=click.FloatRange(0, 1, max_open=True),
    metavar="SHARE",
    help=f"Share of the frames for validation ({SPLIT}): whole clips, or a part of the time of one clip.",
)
@click.option(
    "--seed",
    default=SEED,
    show_default=True,
    type=int,
    metavar="N",
    help=f"Another number chooses other clips, or another part ({SPLIT}).",
)
@click.option("--overwrite", is_flag=True, help="Replace what exists.")
def export(tracks: tuple[Path, ...], kind: str, output: str | None, **options: Any) -> None:
    """Run `vidseg export`. The options are the keywords of `vidseg.export`."""
    activity = f"Exporting {tracks[0].name or tracks[0]}" + (f" and {len(tracks) - 1} more" if len(tracks) > 1 else "")
    with counter(activity, "frames") as progress:
        paths = vidseg.export(tracks, kind, output, progress=progress, **options)
    for path in paths:
        click.echo(f"Wrote {path}")
