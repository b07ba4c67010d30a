"""How a training run keeps watch: its log, the means of what it measures, and what is due every so often."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np


class Log:
    """A file of JSON lines that a run appends to, beside its checkpoint.

    Args:
        folder: of the run.
    """

    def __init__(self, folder: Path):
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "log.jsonl"

    def write(self, **record: object) -> None:
        """Append a line, and print it."""
        line = json.dumps(record)
        with self._path.open("a") as file:
            file.write(line + "\n")
        print(line, flush=True)


class Means:
    """Means of figures over some steps; a step that lacks one, or has NaN for it, does not count."""

    def __init__(self) -> None:
        self._values: dict[str, list[float]] = {}

    def add(self, figures: Mapping[str, float]) -> None:
        """Note the figures of a step."""
        for key, value in figures.items():
            self._values.setdefault(key, []).append(value)

    def take(self) -> dict[str, float]:
        """The means since the last call."""
        means = {key: round(float(np.nanmean(values)), 4) for key, values in self._values.items()}
        self._values = {}
        return means


class Interval:
    """Something to do every so many seconds of training.

    Args:
        seconds: between two times.
        since: now.
    """

    def __init__(self, seconds: float, since: float):
        self._seconds, self._last = seconds, since

    def due(self, now: float) -> bool:
        """Whether it is time to do it; the next time is counted from now on."""
        if now - self._last < self._seconds:
            return False
        self._last = now
        return True
