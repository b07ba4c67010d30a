"""Draw the learning curves of the demo pair from the logs of its training, into docs/demo-models/.

    uv run python -m scripts.pictures.training
    uv run python -m scripts.pictures.training --sam-log runs/sam/log.jsonl --out /tmp/curves

Two pictures come out, `sam.webp` and `detector.webp`. A faint line is what was logged every 30 seconds, the strong line
over it the same smoothed over some minutes, and dots are scores of the averaged weights on pictures kept for that. Shades
are phases. The background is white and opaque, so that a page in dark colours shows the same.
"""

from __future__ import annotations

import argparse
import json
from itertools import groupby
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
LOGS = ROOT / "scripts/logs"
BLUE, ORANGE, GREEN, GREY = "#1a5fb4", "#c64600", "#26734d", "#5e5c64"
SMOOTH = 3.0  # minutes: standard deviation of the smoothing
APART = 0.075  # of the axis: the least distance between two labels
# Minutes at which SAM's recipe was changed (vidseg/demo/README.md says what was changed).
RECIPES = (112, 173, 188, 200, 217, 258)
# What the detector was shown in each of its phases (PHASES of train_detector.py).
DETECTOR_PHASES = ("sprites", "112 px", "112 to 224 px", "168 and 224 px")
# Panels of a picture: title, range of values (None: from 0 to what there is), and lines as key, label, colour.
SAM_PANELS = (
    (
        "IoU with the truth",
        (0, 1),
        (("iou0", "first frame", ORANGE), ("iou", "later frames", BLUE), ("eval_iou", "later, kept clips", GREEN)),
    ),
    (
        "share of objects",
        (0.4, 1.03),
        (("absent_found", "absent, said so", ORANGE), ("back_found", "back again, seen", BLUE)),
    ),
    (
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
    (
        "share",
        (0, 1),
        (("hits", "sprite of a cell", GREY), ("recall", "recall", ORANGE), ("precision", "precision", BLUE)),
    ),
    ("loss, three layers", None, (("giou", "box (GIoU loss)", BLUE), ("words", "word", ORANGE))),
)


def read(log: Path) -> list[dict]:
    """Lines of a log, with "minutes". A run that went on from an earlier checkpoint replaces what was logged after that."""
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


def spans(lines: list[dict], key: str) -> list[tuple[float, float, object]]:
    """Stretches of the training with one value of `key`: from, to (minutes), value."""
    known = [line for line in lines if key in line]
    starts = [(next(part)["minutes"], value) for value, part in groupby(known, key=lambda line: line[key])]
    ends = [start for start, _ in starts[1:]] + [known[-1]["minutes"]]
    starts[0] = (0.0, starts[0][1])
    return [(start, end, value) for (start, value), end in zip(starts, ends)]


def shade(axis, phases: list[tuple[float, float, object]], names: dict) -> None:
    """Grey behind each phase, darker for later names, with the name on top where there is room for it."""
    whole = phases[-1][1]
    for start, end, value in phases:
        axis.axvspan(
            start, end, color=str(0.97 - 0.13 * list(names).index(value) / max(1, len(names) - 1)), lw=0, zorder=0
        )
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


def label_ends(axis, ends: list[tuple[float, str, str]]) -> None:
    """Write (value, label, colour) beside the ends of the lines, moved down where two would overlap."""
    low, high = axis.get_ylim()
    place = 2.0
    for value, label, colour in sorted(ends, reverse=True):
        place = min((value - low) / (high - low), place - APART)
        axis.text(1.01, place, label, transform=axis.transAxes, color=colour, fontsize=9, va="center")


def draw_line(axis, lines: list[dict], key: str, colour: str) -> float:
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


def picture(lines: list[dict], panels, phases, names: dict, marks, title: str, path: Path) -> None:
    """One figure: panels above each other over the same minutes; those without a single value are left out."""
    panels = [panel for panel in panels if any(key in line for key, *_ in panel[2] for line in lines)]
    figure, axes = plt.subplots(len(panels), 1, figsize=(8.6, 0.7 + 2.5 * len(panels)), sharex=True, squeeze=False)
    end = phases[-1][1]
    for row, (axis, (name, limits, wanted)) in enumerate(zip(axes[:, 0], panels)):
        shade(axis, phases, names if row == 0 else dict.fromkeys(names, ""))
        for mark in marks:
            if mark < end:
                axis.axvline(mark, color=GREY, lw=0.8, ls=(0, (3, 3)))
        ends = [
            (draw_line(axis, lines, key, colour), label, colour)
            for key, label, colour in wanted
            if any(key in line for line in lines)
        ]
        axis.set_ylim(*(limits or (0, None)))
        axis.set_ylabel(name, fontsize=9)
        axis.tick_params(labelsize=8)
        axis.spines[["top", "right"]].set_visible(False)
        label_ends(axis, ends)
    axes[-1, 0].set_xlim(0, end)
    axes[-1, 0].set_xlabel("minutes of training", fontsize=9)
    figure.suptitle(title, fontsize=11, x=0.075, ha="left")
    height = figure.get_figheight()
    figure.subplots_adjust(left=0.075, right=0.815, top=1 - 0.58 / height, bottom=0.45 / height, hspace=0.12)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120, facecolor="white", pil_kwargs={"lossless": True})
    plt.close(figure)
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB, {end:.0f} minutes")


def plot_sam(log: Path, path: Path) -> None:
    lines = read(log)
    names = {side: f"{side} px" for side in sorted({line["side"] for line in lines})}
    picture(lines, SAM_PANELS, spans(lines, "side"), names, RECIPES, "SAM 2.1, demo size", path)


def plot_detector(log: Path, path: Path) -> None:
    lines = read(log)
    names = dict(enumerate(DETECTOR_PHASES))
    picture(lines, DETECTOR_PANELS, spans(lines, "phase"), names, (), "Grounding DINO, demo size", path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sam-log", type=Path, default=LOGS / "sam.jsonl")
    parser.add_argument("--detector-log", type=Path, default=LOGS / "detector.jsonl")
    parser.add_argument("--out", type=Path, default=ROOT / "docs/demo-models", help="folder of the pictures")
    options = parser.parse_args()
    plot_sam(options.sam_log, options.out / "sam.webp")
    plot_detector(options.detector_log, options.out / "detector.webp")


if __name__ == "__main__":
    main()
