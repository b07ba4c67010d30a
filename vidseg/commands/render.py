"""`vidseg render`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from vidseg.commands.console import warn
from vidseg.commands.outputs import output_paths
from vidseg.commands.progress import counter
from vidseg.io.codecs import CODECS
from vidseg.io.files import make_folder, names_folder
from vidseg.rendering.options import STYLES, RenderOptions


@click.command()
@click.argument("clip", type=click.Path(path_type=Path))
@click.argument("tracks", type=click.Path(path_type=Path))
@click.option(
    "--output",
    type=click.Path(),
    metavar="FILE|DIR",
    help="The overlay, by its suffix: .mp4 .mkv .mov .webm .gif [CLIP.tracked.mp4]; .png with --frame or --sheet. Or "
    "the folder for it: DIR/, or a name without a suffix.",
)
@click.option("--style", metavar="NAMES", help=f"What to draw, with commas: {', '.join(STYLES)} [mask,contour,label].")
@click.option("--only", multiple=True, metavar="label=NAME|id=N", help="Only these objects; may be repeated.")
@click.option(
    "--color-by",
    type=click.Choice(["id", "label"]),
    default="id",
    show_default=True,
    help="What has a colour of its own.",
)
@click.option("--opacity", type=click.FloatRange(0, 1), help="Of the style mask [0.45].")
@click.option(
    "--background", metavar="FILE|COLOR", help="Put the objects on an image, or on a colour such as navy or #102030."
)
@click.option("--side-by-side", is_flag=True, help="The clip's own picture at the left, the overlay at the right.")
@click.option(
    "--cutout",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write the objects on a transparent ground instead: .mov (ProRes 4444) or .webm (VP9).",
)
@click.option(
    "--matte", metavar="FILE", type=click.Path(path_type=Path), help="Write the objects white on black instead."
)
@click.option(
    "--sheet",
    is_flag=True,
    help="Write one picture instead: each object at its first, middle and last frame [CLIP.sheet.png].",
)
@click.option(
    "--frame", type=click.IntRange(min=0), metavar="N", help="Write this frame only, as a PNG [CLIP.frameN.png]."
)
@click.option("--height", type=int, metavar="PIXELS", help="Height of the drawing; the width follows.")
@click.option("--width", type=int, metavar="PIXELS", help="Width of the drawing; the height follows.")
@click.option("--codec", type=click.Choice(list(CODECS)), help="How to encode [h264, in .webm vp9].")
@click.option("--crf", type=int, metavar="N", help="Quality of the encoding, the lower the better.")
@click.option("--overwrite", is_flag=True, help="Replace a file that exists.")
def render(
    clip: Path,
    tracks: Path,
    output: str | None,
    cutout: Path | None,
    matte: Path | None,
    sheet: bool,
    overwrite: bool,
    **choices: Any,
) -> None:
    """Draw saved TRACKS on CLIP again, without any model: one file, an overlay unless you ask for something else."""
    if sum((cutout is not None, matte is not None, sheet, output is not None and not sheet)) > 1:
        raise click.UsageError("choose one of --output, --cutout, --matte and --sheet (--output names the sheet)")
    kind = "cutout" if cutout else "matte" if matte else "sheet" if sheet else "overlay"
    path = cutout or matte or overlay_path(clip, output, tracks, sheet, choices["frame"])
    try:
        options = RenderOptions(suffix=path.suffix, kind=kind, **choices)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    from vidseg.rendering.render import render_tracks

    with counter(f"Drawing {path.name}", "frames") as progress:
        note = render_tracks(clip, tracks, path, options, overwrite=overwrite, progress=progress)
    click.echo(f"Wrote {path}")
    if note:
        warn(note)


def overlay_path(clip: Path, output: str | None, tracks: Path, sheet: bool, frame: int | None) -> Path:
    """Path of the overlay, the sheet or the still: beside the clip, in a folder, or where the user wants it.

    Raises:
        OutputError: the folder cannot be made.
    """
    if output is not None and names_folder(output):
        make_folder(Path(output))
    path, _ = output_paths(clip, None if output is None else Path(output), tracks)
    if output is not None and not os.path.isdir(output):
        return path
    ending = ".sheet.png" if sheet else ".tracked.mp4" if frame is None else f".frame{frame}.png"
    return path.with_name(path.name.removesuffix(".tracked.mp4") + ending)
