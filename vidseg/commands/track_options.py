"""The options of `vidseg track` that say how to track, and what to write."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vidseg.commands.options import FormatName, Outputs, as_value, interval, keyframe_number, seconds

if TYPE_CHECKING:
    from vidseg.io.clip import ClipInfo


@dataclass(frozen=True, kw_only=True)
class TrackSettings:
    """How to track; the attributes are arguments of `vidseg.model.Model.track`."""

    start: float | None
    end: float | None
    keyframe: int | str
    redetect: float | None
    forget_after: float
    allow_overlap: bool

    def expected_frames(self, info: ClipInfo) -> int | None:
        """How many frames the run will have; None if unknown."""
        if info.frame_count is None or (self.start is None and self.end is None):
            return info.frame_count
        stops = [time for time in (self.end, info.duration) if time is not None]
        return max(1, round((min(stops) - (self.start or 0)) * info.frame_rate)) if stops else None


@dataclass(frozen=True, kw_only=True)
class TrackOutputs(Outputs):
    """What to write, and where.

    Attributes:
        output: the overlay, or a folder for all results, as the user writes it: a slash at its end counts.
        tracks_path: the tracks file.
        no_video: whether to leave the overlay out.
        formats: what to export, names in FORMATS.
    """

    output: str | None
    tracks_path: Path | None
    no_video: bool
    formats: tuple[str, ...]


settings_options = as_value(
    "settings",
    TrackSettings,
    (
        click.option("--start", callback=seconds, metavar="TIME", help="Where to begin: seconds, mm:ss or hh:mm:ss."),
        click.option("--end", callback=seconds, metavar="TIME", help="Where to stop."),
        click.option(
            "--keyframe",
            default="auto",
            show_default=True,
            callback=keyframe_number,
            metavar="N|first|auto",
            help="Frame to begin on, in both directions; auto: the first on which something is found.",
        ),
        click.option(
            "--redetect",
            default="1",
            show_default=True,
            callback=interval,
            metavar="SECONDS|off",
            help="How often to look for further objects, and for lost ones.",
        ),
        click.option(
            "--forget-after",
            default=30.0,
            show_default=True,
            type=click.FloatRange(min=0),
            metavar="SECONDS",
            help="When an object out of view is carried no further.",
        ),
        click.option(
            "--allow-overlap", is_flag=True, help="Keep masks that overlap; else a pixel belongs to one object."
        ),
    ),
)
output_options = as_value(
    "outputs",
    TrackOutputs,
    (
        click.option(
            "--output",
            type=click.Path(),
            metavar="FILE|DIR",
            help="The overlay video [CLIP.tracked.mp4], or a folder for all results: DIR/, or a name without a suffix.",
        ),
        click.option(
            "--tracks",
            "tracks_path",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="The tracks file [CLIP.tracks.jsonl].",
        ),
        click.option("--no-video", is_flag=True, help="Write the tracks only."),
        click.option(
            "--export",
            "formats",
            multiple=True,
            type=FormatName(),
            help="Also export what was tracked; several clips become one data set. May be repeated.",
        ),
        click.option("--overwrite", is_flag=True, help="Replace files that exist."),
        click.option(
            "--skip-existing",
            is_flag=True,
            help="Leave out clips that have their tracks file; track those of an interrupted run again. "
            "What --export names is written of all clips, and replaced if it exists.",
        ),
    ),
)
