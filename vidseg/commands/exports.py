"""The exports that `vidseg track` and `vidseg image` write when all clips or photos are done."""

from __future__ import annotations

import os
from collections.abc import Container, Sequence
from dataclasses import dataclass
from pathlib import Path

import vidseg
from vidseg.commands.console import wrote
from vidseg.commands.result_file import error_line
from vidseg.errors import OutputError
from vidseg.exporters.formats import FORMATS


@dataclass(frozen=True, kw_only=True)
class ExportTask:
    """One export: the format, the tracks files, and the file or folder to write."""

    format: str
    tracks: list[Path]
    target: Path


def plan_exports(
    formats: Sequence[str], tracks: Sequence[Path], folder: Path | None, overwrite: bool
) -> list[ExportTask]:
    """What to export. Several tracks files make one data set, if the format has such.

    Args:
        formats: names in FORMATS.
        tracks: the tracks files that will be written.
        folder: where a data set goes; None: beside the first tracks file.
        overwrite: whether targets may exist.

    Raises:
        OutputError: a target exists, or the format needs a package that is missing.
    """
    tasks: list[ExportTask] = []
    for name in formats:
        chosen = FORMATS[name]
        chosen.load()  # before hours of work: it may lack a package
        if len(tracks) > 1 and chosen.several:
            target = chosen.path_in(folder or tracks[0].parent)
            tasks.append(ExportTask(format=name, tracks=list(tracks), target=target))
        else:
            tasks += [ExportTask(format=name, tracks=[path], target=chosen.path_beside(path)) for path in tracks]
    for task in tasks:
        if os.path.lexists(task.target) and not overwrite:
            raise OutputError(f"{task.target} exists already: choose another name, or allow --overwrite")
    return tasks


def write_exports(
    tasks: Sequence[ExportTask], tracks: Container[Path], *, complete: bool, overwrite: bool
) -> list[str]:
    """Write the exports and name each file on stdout. One that fails does not cost another.

    Args:
        tasks: what to export.
        tracks: the tracks files that were written; others are not exported.
        complete: whether these are all that were asked for; else no data set is written of them.
        overwrite: whether targets may exist.

    Returns:
        One line for each data set or file that could not be written.
    """
    failures: list[str] = []
    skipped = [task.target for task in tasks if len(task.tracks) > 1 and not complete]
    if skipped:
        names = " and ".join(map(str, skipped))
        failures.append(
            f"nothing was exported to {names}, since some tracks are missing; see vidseg export for the rest"
        )
    for task in tasks:
        if task.target in skipped or any(path not in tracks for path in task.tracks):
            continue
        try:
            for path in vidseg.export(task.tracks, task.format, task.target, overwrite=overwrite):
                wrote(path)
        except Exception as error:  # any at all: other exports can still be written
            failures.append(error_line(error, task.target))
    return failures
