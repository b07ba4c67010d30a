"""Draw the learning curves of the demo pair from the logs of its training, into docs/demo-models/.

    uv run python -m scripts.pictures.training
    uv run python -m scripts.pictures.training --sam-log runs/sam/log.jsonl --detector-log runs/detector/log.jsonl

Two pictures come out, `sam.webp` and `detector.webp`. A faint line is what was logged every 30 seconds, the strong line
over it the same smoothed over some minutes, and dots are scores of the averaged weights on pictures kept for that.
Shades are phases. The background is white and opaque, so that a page in dark colours shows the same. The logs of the
bundled pair (`scripts/demo_models/logs`) hold what is drawn, and the other scores of kept clips.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any, TypeAlias

import click
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scripts.common import ROOT

LOGS = ROOT / "scripts/demo_models/logs"
BLUE, ORANGE, GREEN, GREY = "#1a5fb4", "#c64600", "#26734d", "#5e5c64"
SMOOTH = 3.0  # minutes: standard deviation of the smoothing
APART = 0.075  # of the axis: the least distance between two labels
# Minutes at which SAM's recipe was changed (vidseg/demo/README.md says what was changed).
RECIPES = (112, 173, 188, 200, 217, 258)
# What the detector was shown in each of its phases (PHASES of train/detector_schedule.py).
DETECTOR_PHASES = ("sprites", "112 px", "112 to 224 px", "168 and 224 px")
Span: TypeAlias = "tuple[float, float, Any]"  # from, to (minutes), value


@dataclass(frozen=True)
class Panel:
    """A part of a picture.

    Attributes:
        title: what its axis says.
        limits: range of values; None for the upper one: what there is.
        lines: key in the log, label and colour of each.
    """

    title: str
    limits: tuple[float, float | None]
    lines: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A picture of a run: panels above each other over the same minutes.

    Attributes:
        title: above it.
        panels: those without a single value are left out.
        phase: the key in the log that tells phases apart.
        names: what each phase is called.
        marks: minutes to mark.
    """

    title: str
    panels: tuple[Panel, ...]
    phase: str
    names: dict[Any, str]
    marks: Sequence[float] = field(default=())


SAM_PANELS = (
    Panel(
        "IoU with the truth",
        (0, 1),
        (("iou0", "first frame", ORANGE), ("iou", "later frames", BLUE), ("eval_iou", "later, kept clips", GREEN)),
    ),
    Panel(
        "share of objects",
        (0.4, 1.03),
        (("absent_found", "absent, said so", ORANGE), ("back_found", "back again, seen", BLUE)),
    ),
    Panel(
        "IoU on stills",
        (0, 1),
        (
            ("iou_box_0", "box", BLUE),
            ("iou_click_0", "one click", ORANGE),
            ("iou_click_2", "click, corrected twice", GREEN),
        ),
    ),
)
DETECTOR_PANELS = (
    Panel(
        "share",
        (0, 1),
        (("hits", "sprite of a cell", GREY), ("recall", "recall", ORANGE), ("precision", "precision", BLUE)),
    ),
    Panel("loss, three layers", (0, None), (("giou", "box (GIoU loss)", BLUE), ("words", "word", ORANGE))),
)


def read(log: Path) -> list[dict]:
    """Lines of a log, with "minutes". A run that goes on from a checkpoint replaces what was logged after that."""
    lines: list[dict] = []
    for line in map(json.loads, log.read_text().splitlines()):
        line.setdefault("minutes", line.get("elapsed", 0) / 60)
        while lines and lines[-1]["minutes"] > line["minutes"]:
            lines.pop()
        lines.append(line)
    return lines


def series(lines: list[dict], key: str) -> tuple[np.ndarray, np.ndarray]:
    """Minutes and values of the lines that have a finite value for `key`."""
    pairs = [(line["minutes"], line[key]) for line in lines if key in line and np.isfinite(line[key])]
    return np.array(pairs, float).reshape(-1, 2).T


def smoothed(minutes: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Values averaged over their neighbours in time, by a bell curve."""
    weights = np.exp(-0.5 * ((minutes[:, None] - minutes) / SMOOTH) ** 2)
    return weights @ values / weights.sum(1)


def spans(lines: list[dict], key: str) -> list[Span]:
    """Stretches of the training with one value of `key`: from, to (minutes), value."""
    known = [line for line in lines if key in line]
    starts = [(next(part)["minutes"], value) for value, part in groupby(known, key=lambda line: line[key])]
    ends = [start for start, _ in starts[1:]] + [known[-1]["minutes"]]
    starts[0] = (0.0, starts[0][1])
    return [(start, end, value) for (start, value), end in zip(starts, ends)]


def shade(axis: Axes, phases: list[Span], names: dict[Any, str]) -> None:
    """Grey behind each phase, darker for later names, with the name on top where there is room for it."""
    whole = phases[-1][1]
    for start, end, value in phases:
        grey = 0.97 - 0.13 * list(names).index(value) / max(1, len(names) - 1)
        axis.axvspan(start, end, color=str(grey), lw=0, zorder=0)
        if names[value] and end - start > 0.01 * whole * len(names[value]):
            axis.text(
                (start + end) / 2,
                1.02,
                names[value],
                transform=axis.get_xaxis_transform(),
                ha="center",
                va="bottom",
                fontsize=8,
                color=GREY,
            )


def label_ends(axis: Axes, ends: list[tuple[float, str, str]]) -> None:
    """Write (value, label, colour) beside the ends of the lines, moved down where two would overlap."""
    low, high = axis.get_ylim()
    place = 2.0
    for value, label, colour in sorted(ends, reverse=True):
        place = min((value - low) / (high - low), place - APART)
        axis.text(1.01, place, label, transform=axis.transAxes, color=colour, fontsize=9, va="center")


def draw_line(axis: Axes, lines: list[dict], key: str, colour: str) -> float:
    """One quantity: dots, joined, if it was measured now and then, else raw and smoothed. Returns where it ends."""
    minutes, values = series(lines, key)
    if key.startswith("eval_"):
        axis.plot(minutes, values, "o", color=colour, ms=4)
        return values[-1]
    if key in ("recall", "precision"):  # joined only where the pictures are the same: their number of objects tells
        for _, part in groupby([line for line in lines if key in line], key=lambda line: line["wanted"]):
            axis.plot(*series(list(part), key), "o-", color=colour, ms=4, lw=1.5)
        return values[-1]
    smooth = smoothed(minutes, values)
    axis.plot(minutes, values, color=colour, alpha=0.22, lw=0.8)
    axis.plot(minutes, smooth, color=colour, lw=2)
    return smooth[-1]


def draw_chart(chart: Chart, log: Path, path: Path) -> None:
    """Draw a run from its log."""
    lines = read(log)
    phases = spans(lines, chart.phase)
    end = phases[-1][1]
    panels = [panel for panel in chart.panels if any(key in line for key, *_ in panel.lines for line in lines)]
    figure = Figure(figsize=(8.6, 0.7 + 2.5 * len(panels)))
    axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    for row, (axis, panel) in enumerate(zip(axes, panels)):
        shade(axis, phases, chart.names if row == 0 else dict.fromkeys(chart.names, ""))
        for mark in chart.marks:
            if mark < end:
                axis.axvline(mark, color=GREY, lw=0.8, ls=(0, (3, 3)))
        draw_panel(axis, panel, lines)
    axes[-1].set_xlim(0, end)
    axes[-1].set_xlabel("minutes of training", fontsize=9)
    figure.suptitle(chart.title, fontsize=11, x=0.075, ha="left")
    height = figure.get_figheight()
    figure.subplots_adjust(left=0.075, right=0.815, top=1 - 0.58 / height, bottom=0.45 / height, hspace=0.12)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120, facecolor="white", pil_kwargs={"lossless": True})
    click.echo(f"{path}: {path.stat().st_size / 1000:.0f} kB, {end:.0f} minutes")


def draw_panel(axis: Axes, panel: Panel, lines: list[dict]) -> None:
    """The lines of a panel, with their labels."""
    ends = [
        (draw_line(axis, lines, key, colour), label, colour)
        for key, label, colour in panel.lines
        if any(key in line for line in lines)
    ]
    axis.set_ylim(*panel.limits)
    axis.set_ylabel(panel.title, fontsize=9)
    axis.tick_params(labelsize=8)
    axis.spines[["top", "right"]].set_visible(False)
    label_ends(axis, ends)


@click.command()
@click.option("--sam-log", type=click.Path(path_type=Path), default=LOGS / "sam.jsonl")
@click.option("--detector-log", type=click.Path(path_type=Path), default=LOGS / "detector.jsonl")
@click.option(
    "--out", type=click.Path(path_type=Path), default=ROOT / "docs/demo-models", help="Folder of the pictures."
)
def main(sam_log: Path, detector_log: Path, out: Path) -> None:
    """Draw the learning curves of the demo pair from the logs of its training."""
    sides = {side: f"{side} px" for side in sorted({line["side"] for line in read(sam_log)})}
    sam = Chart(title="SAM 2.1, demo size", panels=SAM_PANELS, phase="side", names=sides, marks=RECIPES)
    phases: dict[int, str] = dict(enumerate(DETECTOR_PHASES))
    detector = Chart(title="Grounding DINO, demo size", panels=DETECTOR_PANELS, phase="phase", names=phases)
    draw_chart(sam, sam_log, out / "sam.webp")
    draw_chart(detector, detector_log, out / "detector.webp")


if __name__ == "__main__":
    main()
