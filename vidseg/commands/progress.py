"""How far a long command has come: a bar if stderr is a terminal, else a plain line every ten seconds."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

import click

from vidseg.commands.clip_tasks import result_name
from vidseg.commands.console import current

if TYPE_CHECKING:
    from vidseg.tracking.iterator import Tracking
    from vidseg.tracks.frame import TrackedFrame

WINDOW = 10.0  # s of work that the rate is measured over
PLAIN_INTERVAL = 10.0  # s between plain lines
POLL = 0.2  # s between two looks at what is done


@dataclass(frozen=True, kw_only=True)
class Sample:
    """How far the work is at one moment.

    Attributes:
        done: number of frames or photos that are done.
        total: of how many; None if unknown.
        note: what else there is to say.
    """

    done: int
    total: int | None
    note: str = ""


class RateMeter:
    """How fast work is done, over the last `WINDOW` seconds. The first item only starts the clock: it pays for loading.

    Items that take longer than that are measured by the last one or two.
    """

    def __init__(self):
        self._samples: deque[tuple[float, int]] = deque()
        self._now = 0.0

    def update(self, now: float, done: int) -> None:
        """Note how many items are done at a time in s."""
        self._now = now
        if done and (not self._samples or done != self._samples[-1][1]):
            self._samples.append((now, done))
        while len(self._samples) > 2 and self._samples[1][0] <= now - WINDOW:
            self._samples.popleft()

    @property
    def rate(self) -> float | None:
        """Items a second; None as long as there is nothing to tell it from."""
        if len(self._samples) < 2:
            return None
        (since, before), (_, done) = self._samples[0], self._samples[-1]
        return (done - before) / (self._now - since)


def details(sample: Sample, rate: float | None, unit: str) -> str:
    """The rate, the time left and the note as text, as far as they are known."""
    parts: list[str] = []
    if rate:
        parts.append(f"{rate:.1f} {unit}/s" if rate >= 1 else f"{rate:.2g} {unit}/s")
        if sample.total is not None and sample.total > sample.done:
            parts.append(f"{timedelta(seconds=round((sample.total - sample.done) / rate))} left")
    return ", ".join([*parts, *([sample.note] if sample.note else [])])


class Display(Protocol):
    """Something that shows how far the work is."""

    def show(self, sample: Sample, rate: float | None) -> None:
        """Show it now, or leave it for later."""
        ...


class PlainLines:
    """A line on stderr every `PLAIN_INTERVAL` seconds."""

    def __init__(self, activity: str, unit: str):
        self._activity, self._unit = activity, unit
        self._last = time.monotonic()

    def show(self, sample: Sample, rate: float | None) -> None:
        """Write a line if it is time for one."""
        if time.monotonic() - self._last < PLAIN_INTERVAL:
            return
        self._last = time.monotonic()
        total = "" if sample.total is None else f" of {sample.total}"
        more = details(sample, rate, self._unit)
        click.echo(f"{self._activity}: {sample.done}{total} {self._unit}{', ' if more else ''}{more}", err=True)


@contextmanager
def bar(activity: str, unit: str) -> Iterator[Display]:
    """A bar on a terminal, while the block runs."""
    from rich import progress as bars
    from rich.console import Console

    columns = (
        bars.TextColumn("{task.description}", markup=False),
        bars.BarColumn(),
        bars.MofNCompleteColumn(),
        bars.TextColumn("{task.fields[details]}", markup=False),
    )

    class Bar:
        def show(self, sample: Sample, rate: float | None) -> None:
            text = details(sample, rate, unit)
            shown.update(task, completed=sample.done, total=sample.total, details=text, refresh=True)

    with bars.Progress(*columns, console=Console(stderr=True), auto_refresh=False) as shown:
        task = shown.add_task(activity, total=None, details="")
        yield Bar()


def is_terminal() -> bool:
    """Whether stderr is a terminal, as rich sees it."""
    from rich.console import Console

    return Console(stderr=True).is_terminal


@contextmanager
def every(seconds: float, call: Callable[[], None]) -> Iterator[None]:
    """Call something at intervals in a thread of its own while the block runs."""
    stop = threading.Event()

    def run() -> None:
        while not stop.wait(seconds):
            call()

    thread = threading.Thread(target=run, name="vidseg-progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@contextmanager
def shown(activity: str, unit: str, look: Callable[[], Sample]) -> Iterator[None]:
    """Show how far the work of the block is.

    Args:
        activity: what is done, and to what.
        unit: of the count: "frames", "photos".
        look: how far the work is now; called from another thread.
    """
    if current().quiet:
        yield
        return
    meter = RateMeter()

    def update(display: Display) -> None:
        sample = look()
        meter.update(time.monotonic(), sample.done)
        display.show(sample, meter.rate)

    if is_terminal():
        with bar(activity, unit) as display:
            with every(POLL, lambda: update(display)):
                yield
            update(display)
    else:
        lines = PlainLines(activity, unit)
        with every(POLL, lambda: update(lines)):
            yield


def progress(run: Tracking, total: int | None) -> Generator[TrackedFrame, None, None]:
    """Pass the frames of a run on, and show on stderr how it goes.

    Args:
        run: iterated once.
        total: number of frames; None if unknown.
    """
    source, place, in_view = run.clip.path, current().place, ""
    name = result_name(source).name or source
    activity = f"Tracking {name}" + (f" ({place})" if place else "")
    with shown(activity, "frames", lambda: Sample(done=run.frames_done, total=total, note=run.status or in_view)):
        for frame in run:
            in_view = f"{len(frame.detections)} in view"
            yield frame


@contextmanager
def counter(activity: str, unit: str) -> Iterator[Callable[[int, int | None], None]]:
    """Show on stderr how far something is that is counted.

    Yields:
        A function that is called with how many are done, and of how many.
    """
    sample = Sample(done=0, total=None)

    def count(done: int, total: int | None) -> None:
        nonlocal sample
        sample = Sample(done=done, total=total)

    with shown(activity, unit, lambda: sample):
        yield count


@contextmanager
def status(text: str) -> Iterator[None]:
    """Show on stderr that something is under way that cannot be counted."""
    if current().quiet:
        yield
    elif is_terminal():
        from rich.console import Console
        from rich.text import Text

        with Console(stderr=True).status(Text(text)):
            yield
    else:
        began = time.monotonic()
        with every(PLAIN_INTERVAL, lambda: click.echo(f"{text}: {time.monotonic() - began:.0f} s", err=True)):
            yield
