"""`vidseg eval`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from vidseg.commands.console import show_figures, status


@click.command("eval")
@click.argument("result", type=click.Path(path_type=Path))
@click.argument("truth", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the figures as one JSON object.")
def evaluate(result, truth, as_json) -> None:
    """Measure RESULT against TRUTH: J and F of DAVIS, HOTA, IDF1, id switches.

    Each is a tracks file, a COCO file (.json) with track ids, or a folder with one PNG a frame whose pixel values are object ids,
    as DAVIS has them.
    """
    from vidseg.evaluation import metrics as evaluation

    with status(f"Comparing {result}"):
        scores = evaluation.evaluate(result, truth)
    if as_json:
        click.echo(json.dumps(scores.figures()))
    else:
        show_figures(scores.figures())
    if scores.missing:
        note = f"{result} lacks {scores.missing} of the {scores.frames} frames of {truth}; they count as frames without objects"
        click.echo(f"vidseg: {note}", err=True)
