"""The command line: which commands there are, and what happens to errors."""

from __future__ import annotations

from typing import Any

import click

import vidseg
from vidseg.commands.console import finish, sum_up, warn
from vidseg.commands.demo import demo
from vidseg.commands.evaluate import evaluate
from vidseg.commands.export import export
from vidseg.commands.image import image
from vidseg.commands.model_choice import OwnProcess
from vidseg.commands.models import models
from vidseg.commands.render import render
from vidseg.commands.serve import serve
from vidseg.commands.signals import Interrupted, signals
from vidseg.commands.track import track
from vidseg.errors import VidsegError


class Commands(click.Group):
    """A group whose errors become one line on stderr and an exit code: 1, or 128 + number after a signal."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run as the program of this process, as the script `vidseg` does. Tests call `main` through click instead."""
        return super().__call__(*args, obj=OwnProcess(), **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that was named."""
        with signals.handled():
            try:
                return super().invoke(ctx)
            except VidsegError as error:
                finish([str(error)])
            except Interrupted as interrupted:
                warn(str(interrupted))
                sum_up([str(interrupted)])
                ctx.exit(128 + interrupted.number)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(vidseg.__version__, prog_name="vidseg")
def main() -> None:
    """Find objects in a video by name and follow their exact outlines through the clip."""


for command in (track, image, render, export, evaluate, models, serve, demo):
    main.add_command(command)
