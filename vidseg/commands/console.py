"""What the commands show on a terminal: progress and failures on stderr, results on stdout."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn, Task

    from vidseg.tracking.iterator import Tracking
    from vidseg.tracks.frame import TrackedFrame


def status(text: str) -> AbstractContextManager[object]:
    """A spinner on stderr, for as long as something takes that cannot be counted."""
    from rich.console import Console

    return Console(stderr=True).status(text)


def progress(run: Tracking, total: int | None) -> Generator[TrackedFrame, None, None]:
    """Pass the frames of a run on, and show how it goes on stderr if that is a terminal.

    Args:
        run: iterated once.
        total: number of frames; None if unknown.
    """
    with progress_bar(
        lambda task: task.fields["rate"], lambda task: task.fields["objects"], lambda task: run.status
    ) as bar:
        task = bar.add_task("Tracking", total=total, rate="", objects="")
        began = 0.0
        for done, frame in enumerate(run):
            now = time.perf_counter()
            # The first frame pays for loading the detector and for warming up; it would spoil the rate.
            if done == 0:
                began = now
            rate = f"{done / (now - began):.1f} frames/s" if done else ""
            bar.update(task, advance=1, rate=rate, objects=f"{len(frame.detections)} in view")
            yield frame


@contextmanager
def counter(activity: str, unit: str) -> Iterator[Callable[[int, int | None], None]]:
    """Show a count, its rate and the time left on stderr, if that is a terminal.

    Yields:
        A function that is called with how many are done, and of how many.
    """
    with progress_bar(lambda task: f"{task.speed:.1f} {unit}/s" if task.speed else "") as bar:
        task = bar.add_task(activity, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def progress_bar(rate: Callable[[Task], str], *more: Callable[[Task], str]) -> Progress:
    """A bar with its count, rate and time left, on stderr; it stays empty if that is no terminal.

    Args:
        rate: text before the time left, called whenever the line is drawn.
        *more: texts after it.
    """
    from rich import progress as bars
    from rich.console import Console
    from rich.text import Text

    class TextOf(bars.ProgressColumn):
        def __init__(self, text: Callable[[Task], str]):
            super().__init__()
            self._text = text

        def render(self, task: Task) -> Text:
            return Text(self._text(task))

    columns: list[ProgressColumn] = [
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        bars.MofNCompleteColumn(),
        TextOf(rate),
        bars.TimeRemainingColumn(),
        *map(TextOf, more),
    ]
    console = Console(stderr=True)
    return bars.Progress(*columns, console=console, disable=not console.is_terminal)


def report(
    run: Tracking, *, phrases: Sequence[str], frames: int, elapsed: float, files: Sequence[Path], note: str | None
) -> None:
    """Say what a run found, which files it wrote, how long it took, and what went wrong.

    Args:
        run: at its end.
        phrases: what it looked for.
        frames: number of frames that were tracked.
        elapsed: seconds, with loading.
        files: what was written.
        note: one line on what is wrong with the files, or None.
    """
    if run.keyframe is None:
        best = f"; the best score was {run.best_score:.2f}, see --box-threshold" if run.best_score else ""
        wanted = f" for {', '.join(repr(phrase) for phrase in phrases)}" if phrases else ""
        click.echo(f"Found nothing{wanted} in {frames} frames{best}.")
    else:
        objects = ", ".join(f"{label} {i} ({run.seen[i]} frames)" for i, label in run.labels.items())
        click.echo(f"Found {len(run.labels)}, the first on frame {run.keyframe}: {objects}.")
    for path in files:
        click.echo(f"Wrote {path}")
    click.echo(f"{frames} frames in {elapsed:.1f} s, {frames / elapsed:.1f} frames/s with loading.")
    for line in (run.warning, note):
        if line:
            warn(line)


def warn(line: str) -> None:
    """One line on stderr about what went wrong."""
    click.echo(f"vidseg: {line}", err=True)


def finish(failures: Sequence[str]) -> None:
    """Say what failed, and end the command with exit code 1 if anything did."""
    for failure in failures:
        warn(failure)
    if failures:
        click.get_current_context().exit(1)
