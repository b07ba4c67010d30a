"""The command line: which commands there are, and what becomes of errors."""

from __future__ import annotations

import signal
import threading

import click

import vidseg
from vidseg.commands.demo import demo
from vidseg.commands.evaluate import evaluate
from vidseg.commands.export import export
from vidseg.commands.image import image
from vidseg.commands.models import models
from vidseg.commands.render import render
from vidseg.commands.serve import serve
from vidseg.commands.track import track
from vidseg.errors import VidsegError


class Commands(click.Group):
    """Turns what can go wrong into one line on stderr and the right exit code: 1, or 130 after Ctrl-C or SIGTERM."""

    def invoke(self, context: click.Context):
        if threading.current_thread() is threading.main_thread():  # the only one that may say so
            signal.signal(signal.SIGTERM, signal.default_int_handler)  # a job that is ended cleans up as after Ctrl-C
        try:
            return super().invoke(context)
        except VidsegError as error:
            click.echo(f"vidseg: {error}", err=True)
            context.exit(1)
        except KeyboardInterrupt:
            click.echo("vidseg: interrupted; nothing unfinished was kept", err=True)
            context.exit(130)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(vidseg.__version__, prog_name="vidseg")
def main() -> None:
    """Find objects in a video by name and follow their exact outlines through the clip."""


for command in (track, image, render, export, evaluate, models, serve, demo):
    main.add_command(command)
