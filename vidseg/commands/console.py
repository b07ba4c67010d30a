"""What the commands show on a terminal: progress on stderr, results on stdout."""

from __future__ import annotations

import time
from contextlib import contextmanager
from pathlib import Path

import click

MEANINGS = {  # of the figures of `vidseg eval`
    "J": "regions: IoU of objects paired over the clip",
    "F": "boundaries of the same pairs",
    "J&F": "mean of both",
    "HOTA": "detection and association: √(DetA · AssA)",
    "DetA": "are the masks there, and no others",
    "AssA": "do they keep their ids",
    "IDF1": "masks with the right id for the clip",
    "IDSW": "id switches: times an object passes to another id",
}


def status(text: str):
    """A spinner on stderr for as long as something takes that cannot be counted."""
    from rich.console import Console

    return Console(stderr=True).status(text)


def progress(run, total: int | None):
    """Pass frames on and show frames/s, time left and objects in view on stderr, if that is a terminal."""
    from rich import progress as bars
    from rich.console import Console
    from rich.text import Text

    class Doing(bars.ProgressColumn):
        """What goes on before the first frame comes out; read whenever the line is drawn anew."""

        def render(self, task):
            return Text(run.doing)

    columns = [
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        bars.MofNCompleteColumn(),
        bars.TextColumn("{task.fields[rate]}"),
        bars.TimeRemainingColumn(),
        bars.TextColumn("{task.fields[objects]}"),
        Doing(),
    ]
    console = Console(stderr=True)
    with bars.Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("Tracking", total=total, rate="", objects="")
        began, done = None, 0
        for frame in run:
            # The first frame pays for loading the detector and for warming up; it would spoil the rate.
            rate = f"{done / (time.perf_counter() - began):.1f} frames/s" if done else ""
            bar.update(task, advance=1, rate=rate, objects=f"{len(frame.detections)} in view")
            if began is None:
                began = time.perf_counter()
            else:
                done += 1
            yield frame


@contextmanager
def counting(doing: str, unit: str):
    """Show a count, how many a second and the time left on stderr, if that is a terminal: a call with how many are done, and of how many."""
    from rich import progress as bars
    from rich.console import Console

    class Rate(bars.ProgressColumn):
        def render(self, task):
            return f"{task.speed:.1f} {unit}/s" if task.speed else ""

    columns = (
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        bars.MofNCompleteColumn(),
        Rate(),
        bars.TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with bars.Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(doing, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def report(run, phrases, frames: int, elapsed: float, files: list[Path], note: str | None) -> None:
    """Say what was found, where it is, how long it took, and what was amiss."""
    if run.keyframe is None:
        best = f"; the best score was {run.best_score:.2f}" if run.best_score else ""
        words = f" for {', '.join(repr(p) for p in phrases)}" if phrases else ""
        click.echo(f"Found nothing{words} in {frames} frames{best}.")
    else:
        objects = ", ".join(f"{label} {i} ({run.seen[i]} frames)" for i, label in run.labels.items())
        click.echo(f"Found {len(run.labels)}, the first on frame {run.keyframe}: {objects}.")
    for path in files:
        click.echo(f"Wrote {path}")
    click.echo(f"{frames} frames in {elapsed:.1f} s, {frames / elapsed:.1f} frames/s with loading.")
    for line in filter(None, (run.warning, note)):
        click.echo(f"vidseg: {line}", err=True)


def show_figures(figures: dict[str, float]) -> None:
    """A table of figures and what they mean, on stdout."""
    from rich.console import Console
    from rich.table import Table

    table = Table("figure", "value", "what it measures")
    for name, value in figures.items():
        table.add_row(name, str(value) if isinstance(value, int) else f"{value:.3f}", MEANINGS[name])
    Console().print(table)
