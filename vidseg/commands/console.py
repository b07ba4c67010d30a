"""What a command tells: how much, and as what. Results go to stdout, everything else to stderr."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import click

from vidseg.detection.thresholds import DEFAULT_THRESHOLDS

T = TypeVar("T")
Command = TypeVar("Command", bound=Callable[..., Any])

KEY = "vidseg.console"  # in the `meta` of click's context, which all contexts of a command line share
HOPELESS = 0.05  # a score below which nothing is like what was named
LOGGER = logging.getLogger("vidseg")


@dataclass(frozen=True, kw_only=True)
class ClipSummary:
    """What came of one clip or photo.

    Attributes:
        clip: as the user named it, without a password.
        frames: number of frames that were tracked.
        seconds: how long it took.
        labels: of its objects, by id.
        seen: number of frames on which each is visible, by id.
        files: what was written.
        best_scores: the detector's best score for each phrase, also below its threshold.
        warnings: one line for each thing that is wrong with the clip or the files.
    """

    clip: str
    frames: int
    seconds: float
    labels: Mapping[int, str]
    seen: Mapping[int, int]
    files: Sequence[Path]
    best_scores: Mapping[str, float] = field(default_factory=dict)
    warnings: Sequence[str] = ()

    def not_found(self) -> dict[str, float]:
        """The phrases that no object goes by, and the best score of each."""
        return {phrase: score for phrase, score in self.best_scores.items() if phrase not in self.labels.values()}

    def as_json(self) -> dict[str, object]:
        """Its entry in the summary."""
        return {
            "clip": self.clip,
            "frames": self.frames,
            "seconds": round(self.seconds, 2),
            "objects": [{"id": i, "label": label, "frames": self.seen[i]} for i, label in self.labels.items()],
            "not_found": [{"phrase": phrase, "best_score": round(s, 3)} for phrase, s in self.not_found().items()],
            "files": [str(path) for path in self.files],
            "warnings": list(self.warnings),
        }


@dataclass(kw_only=True)
class Console:
    """How much the command under way tells, and what it has to sum up in the end.

    Attributes:
        quiet: only errors and results.
        verbose: also what is loaded, and what the detector finds.
        as_json: whether a summary in JSON is the last line on stdout.
        place: which of several clips is worked on, "3 of 12"; empty if there is one.
        clips: what came of each so far.
        files: what was written so far.
        began: s, when the command began, on the clock of `time.perf_counter`.
        box_threshold: score from which something is found, 0..1.
    """

    quiet: bool = False
    verbose: bool = False
    as_json: bool = False
    place: str = ""
    clips: list[ClipSummary] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    began: float = field(default_factory=time.perf_counter)
    box_threshold: float = DEFAULT_THRESHOLDS.box

    def summary(self, failures: Sequence[str]) -> dict[str, object]:
        """Everything that was done, as JSON has it.

        Args:
            failures: one line for each thing that failed.
        """
        clips = [clip.as_json() for clip in self.clips]
        return {
            "clips": clips,
            "objects": [
                {"clip": clip.clip, "id": i, "label": label, "frames": clip.seen[i]}
                for clip in self.clips
                for i, label in clip.labels.items()
            ],
            "files": [str(path) for path in self.files],
            "frames": sum(clip.frames for clip in self.clips),
            "seconds": round(time.perf_counter() - self.began, 2),
            "failures": list(failures),
        }


def current() -> Console:
    """The console of the command under way."""
    context = click.get_current_context(silent=True)
    return Console() if context is None else context.meta.setdefault(KEY, Console())


class EchoHandler(logging.Handler):
    """Shows log records on stderr, whatever stderr is at the time.

    While rich draws a bar, stderr is rich's and keeps other lines apart from it; `click.echo` would write past it.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Show one."""
        print(self.format(record), file=sys.stderr, flush=True)


def _set(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    """A click callback: put the value of an option into the console."""
    if not value or parameter.name is None:
        return
    console = current()
    setattr(console, parameter.name, True)
    if console.quiet and console.verbose:
        raise click.UsageError("choose one of --quiet and --verbose")
    if parameter.name == "verbose":
        handler, level = EchoHandler(), LOGGER.level
        LOGGER.addHandler(handler)
        LOGGER.setLevel(logging.INFO)
        context.call_on_close(lambda: (LOGGER.removeHandler(handler), LOGGER.setLevel(level)))


def console_options(command: Command) -> Command:
    """A decorator that adds the options which say how much a command tells."""
    options = (
        click.option("-q", "--quiet", is_flag=True, expose_value=False, callback=_set, help="Only errors and results."),
        click.option(
            "-v",
            "--verbose",
            is_flag=True,
            expose_value=False,
            callback=_set,
            help="Also what is loaded, from where, where it runs, and each detection run.",
        ),
        click.option(
            "--json",
            "as_json",
            is_flag=True,
            expose_value=False,
            callback=_set,
            help="A summary as one JSON object, the last line on stdout; with -q the only one.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def numbered(items: Sequence[T]) -> Iterator[T]:
    """The clips of a command; what is shown while one is worked on says which of how many it is."""
    console = current()
    for number, item in enumerate(items, start=1):
        console.place = f"{number} of {len(items)}" if len(items) > 1 else ""
        yield item
    console.place = ""


def say(text: str) -> None:
    """A line of the result on stdout; left out where JSON is all that is wanted."""
    console = current()
    if not (console.quiet and console.as_json):
        click.echo(text)


def remark(text: str) -> None:
    """A line on stdout that no result depends on."""
    if not current().quiet:
        click.echo(text)


def say_not_found(clips: Sequence[ClipSummary]) -> None:
    """Name each phrase that found nothing in any of some clips or photos, and what to try."""
    found = {label for clip in clips for label in clip.labels.values()}
    best: dict[str, float] = {}
    for clip in clips:
        for phrase, score in clip.not_found().items():
            best[phrase] = max(score, best.get(phrase, 0.0))
    for phrase, score in best.items():
        if phrase in found:
            continue
        if score > current().box_threshold:
            advice = "What it fits may go by another phrase, or was seen only once."
        elif score >= HOPELESS:
            advice = "Try other words, or a lower --box-threshold."
        else:
            advice = "Try other words; a lower --box-threshold will hardly help."
        say(f"Nothing was found for {phrase!r}: its best score is {score:.2f}. {advice}")


def wrote(path: Path) -> None:
    """Name a file that was written."""
    current().files.append(path)
    say(f"Wrote {path}")


def warn(line: str) -> None:
    """One line on stderr about what went wrong."""
    click.echo(f"vidseg: {line}", err=True)


def finish(failures: Sequence[str]) -> None:
    """Say what failed, sum up, and end the command with exit code 1 if anything failed."""
    for failure in failures:
        warn(failure)
    sum_up(failures)
    if failures:
        click.get_current_context().exit(1)


def sum_up(failures: Sequence[str]) -> None:
    """The summary in JSON on stdout, if it is wanted."""
    console = current()
    if console.as_json:
        click.echo(json.dumps(console.summary(failures), ensure_ascii=False))
