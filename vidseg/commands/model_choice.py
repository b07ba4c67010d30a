"""The options that choose the checkpoints and where they run."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import click

import vidseg
from vidseg.commands.console import current
from vidseg.commands.options import as_value
from vidseg.commands.progress import status
from vidseg.detection.thresholds import DEFAULT_THRESHOLDS
from vidseg.device import DEVICES, DTYPES
from vidseg.presets import PRESETS


class OwnProcess:
    """Marks the click context of a command that is the program of its process, and may start fast."""


@dataclass(frozen=True, kw_only=True)
class ModelChoice:
    """Which checkpoints to load, and where to run them; the attributes are the arguments of `vidseg.load`."""

    preset: str
    sam: str | None
    detector: str | None
    device: str
    dtype: str
    sharpen: bool | None
    compile: bool
    box_threshold: float
    text_threshold: float

    def load(self, *, with_detector: bool | None = None) -> vidseg.Model:
        """Load the model, with a spinner on stderr.

        Args:
            with_detector: load the detector now; None: if the choice has one.

        Raises:
            ModelError: as `vidseg.load` does.
        """
        from vidseg.commands.fast_start import load_quickly

        current().box_threshold = self.box_threshold
        with status(f"Loading {self.preset}"):
            model = vidseg.load(**asdict(self))
            if with_detector is None:
                with_detector = model.names["detector"] is not None
            if click.get_current_context().find_object(OwnProcess):
                load_quickly(model, with_detector)
            elif with_detector:
                _ = model.detector  # loads it
        return model


model_options = as_value(
    "choice",
    ModelChoice,
    (
        click.option(
            "--model",
            "preset",
            default="small",
            show_default=True,
            metavar="NAME",
            help=f"Pair of checkpoints: {', '.join(PRESETS)}.",
        ),
        click.option("--sam", metavar="PATH|ID", help="SAM 2.1 checkpoint instead: a .pt file, a folder, or a hub id."),
        click.option("--detector", metavar="PATH|ID", help="Grounding DINO checkpoint instead: a folder or a hub id."),
        click.option(
            "--device", default="auto", show_default=True, help=f"{', '.join(DEVICES[:-1])}, or {DEVICES[-1]}."
        ),
        click.option("--dtype", default="auto", show_default=True, type=click.Choice(DTYPES)),
        click.option(
            "--sharpen/--no-sharpen",
            default=None,
            help="Move outlines to edges in the picture.  [default: for demo only]",
        ),
        click.option(
            "--compile", is_flag=True, help="Use torch.compile: for long clips on a GPU. Takes minutes at first."
        ),
        click.option(
            "--box-threshold",
            default=DEFAULT_THRESHOLDS.box,
            show_default=True,
            type=click.FloatRange(0, 1),
            help="Score that TEXT needs to be found: lower it to find more.",
        ),
        click.option(
            "--text-threshold",
            default=DEFAULT_THRESHOLDS.text,
            show_default=True,
            type=click.FloatRange(0, 1),
            help="Score below which a word does not count when two phrases compete for a box.",
        ),
    ),
)
