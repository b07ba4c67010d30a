"""What several commands parse in the same way."""

from __future__ import annotations

import os
from pathlib import Path

import click

from vidseg.errors import InputError

PRESET_NAMES = "demo, tiny, small, base-plus, large"


def seconds(context, parameter, value: str | None) -> float | None:
    """A click callback: "90", "1:30" or "00:01:30.5" as seconds."""
    if value is None:
        return None
    from vidseg.io.clip import parse_time

    try:
        return parse_time(value)
    except InputError as error:
        raise click.BadParameter(str(error)) from None


def interval(context, parameter, value: str) -> float | None:
    """A click callback: seconds, or None for "off"."""
    if value == "off":
        return None
    try:
        chosen = float(value)
    except ValueError:
        chosen = 0.0
    if not 0 < chosen < float("inf"):
        raise click.BadParameter(f"{value!r} is neither a number of seconds above 0 nor off")
    return chosen


def keyframe_of(context, parameter, value: str) -> int | str:
    """A click callback: the number of a frame, "first" or "auto"."""
    if value in ("first", "auto"):
        return value
    if not (value.isascii() and value.isdecimal()):
        raise click.BadParameter(f"{value!r} is neither the number of a frame nor first nor auto")
    return int(value)


def model_options(command):
    """The options that choose and place the checkpoints."""
    for option in reversed(
        (
            click.option(
                "--model",
                "preset",
                default="small",
                show_default=True,
                metavar="NAME",
                help=f"Pair of checkpoints: {PRESET_NAMES}.",
            ),
            click.option(
                "--sam", metavar="PATH|ID", help="SAM 2.1 checkpoint instead: a .pt file, a folder, or a hub id."
            ),
            click.option(
                "--detector", metavar="PATH|ID", help="Grounding DINO checkpoint instead: a folder or a hub id."
            ),
            click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, or mps."),
            click.option(
                "--dtype", default="auto", show_default=True, type=click.Choice(["auto", "float32", "bfloat16"])
            ),
            click.option(
                "--sharpen/--no-sharpen",
                default=None,
                help="Move outlines to edges in the picture.  [default: for demo only]",
            ),
            click.option(
                "--compile", is_flag=True, help="Use torch.compile: for long clips on a GPU. Takes minutes at first."
            ),
        )
    ):
        command = option(command)
    return command


def output_paths(clip: Path, output: Path | None, tracks: Path | None, whole_name: bool = False) -> tuple[Path, Path]:
    """Names of the overlay video and the tracks file: beside the clip, or where they were asked for.

    whole_name: keep the suffix of the clip in them.
    """
    named = clip if clip.name not in ("", "..") else clip.resolve()  # "." and ".." do not say what they are called
    stem = named.name if whole_name or os.path.isdir(clip) else named.stem
    folder = named.parent
    if output is not None and os.path.isdir(output):  # not is_dir(), which raises where a name is too long
        folder, output = output, None
    if output is not None:
        folder = output.parent
        stem = output.stem.removesuffix(".tracked")
    return output or folder / f"{stem}.tracked.mp4", tracks or folder / f"{stem}.tracks.jsonl"
