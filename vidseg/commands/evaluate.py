"""`vidseg eval`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import click

from vidseg.commands.console import warn
from vidseg.commands.progress import status

MEANINGS = {
    "J": "regions: IoU of objects paired over the clip",
    "F": "boundaries of the same pairs",
    "J&F": "mean of both",
    "HOTA": "detection and association: √(DetA · AssA)",
    "DetA": "are the masks there, and no others",
    "AssA": "do they keep their ids",
    "IDF1": "masks with the right id for the clip",
    "IDSW": "id switches: times an object passes to another id",
}


@click.command("eval")
@click.argument("result", type=click.Path(path_type=Path))
@click.argument("truth", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the figures as one JSON object.")
def evaluate(result: Path, truth: Path, as_json: bool) -> None:
    """Measure RESULT against TRUTH: J and F of DAVIS, HOTA, IDF1, id switches.

    Each is a tracks file, a COCO file (.json) with track ids, or a folder with one PNG a frame whose pixel values are
    object ids, as DAVIS has them.
    """
    from vidseg.evaluation import metrics

    with status(f"Comparing {result}"):
        scores = metrics.evaluate(result, truth)
    if as_json:
        click.echo(json.dumps(scores.figures()))
    else:
        show_figures(scores.figures())
    if scores.missing:
        warn(
            f"{result} lacks {scores.missing} of the {scores.frames} frames of {truth}; "
            "they count as frames without objects"
        )


def show_figures(figures: Mapping[str, float]) -> None:
    """Print a table of figures and what they mean."""
    from rich.console import Console
    from rich.table import Table

    table = Table("figure", "value", "what it measures")
    for name, value in figures.items():
        table.add_row(name, str(value) if isinstance(value, int) else f"{value:.3f}", MEANINGS[name])
    Console().print(table)
