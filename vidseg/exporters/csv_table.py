"""CSV: one row an object on a frame."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from vidseg.exporters.source import Source
from vidseg.exporters.table import COLUMNS, rows


def write(sources: Sequence[Source], output: Path, images: Path | None) -> None:
    """Write the table in UTF-8, with a line of column names."""
    (source,) = sources
    with open(output, "w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        table.writerows(rows(source))
