"""The exports that `vidseg track` and `vidseg image` write when all clips or photos are done."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import vidseg
from vidseg.commands.console import wrote
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


def write_exports(tasks: Sequence[ExportTask], failures: list[str], overwrite: bool) -> None:
    """Write the exports and name each file on stdout.

    If anything has failed before, nothing is exported, and `failures` gets a line that says so.
    """
    if tasks and failures:
        failures.append("nothing was exported, since not everything could be done; see vidseg export for the rest")
        return
    for task in tasks:
        for path in vidseg.export(task.tracks, task.format, task.target, overwrite=overwrite):
            wrote(path)
