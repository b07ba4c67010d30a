"""Parsing that several commands share, and options that become one argument."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import click

from vidseg.errors import InputError
from vidseg.exporters.formats import FORMATS, did_you_mean


def as_value(
    argument: str, value_type: type, options: Sequence[Callable[[Any], Any]]
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A decorator that adds options to a command and hands it their values as one argument.

    Args:
        argument: name of the command's parameter.
        value_type: a dataclass with a field for each option, of the option's name.
        options: what `click.option` returns, in the order of the help text.
    """
    names = [field.name for field in fields(value_type)]

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def with_value(*args: Any, **kwargs: Any) -> Any:
            value = value_type(**{name: kwargs.pop(name) for name in names})
            return command(*args, **kwargs, **{argument: value})

        return functools.reduce(lambda wrapped, option: option(wrapped), reversed(options), with_value)

    return decorate


class FormatName(click.Choice):
    """The type of an option that names an export format; a wrong name gets the one that it is most like."""

    def __init__(self):
        super().__init__(list(FORMATS))

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The format, if there is one of that name."""
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter as error:
            return self.fail(" ".join([error.message, did_you_mean(str(value))]).strip(), param, ctx)


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """What becomes of files that exist.

    Attributes:
        overwrite: whether they are replaced.
        skip_existing: whether sources that have their tracks file are left out.
    """

    overwrite: bool
    skip_existing: bool

    def __post_init__(self) -> None:
        if self.overwrite and self.skip_existing:
            raise click.UsageError("choose one of --overwrite and --skip-existing")

    @property
    def replaces_exports(self) -> bool:
        """Whether exports may exist: one of a folder that has grown is written anew."""
        return self.overwrite or self.skip_existing


def seconds(context: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
    """A click callback: "90", "1:30" or "00:01:30.5" as seconds."""
    if value is None:
        return None
    from vidseg.io.timestamps import parse_time

    try:
        return parse_time(value)
    except InputError as error:
        raise click.BadParameter(str(error)) from None


def interval(context: click.Context, parameter: click.Parameter, value: str) -> float | None:
    """A click callback: seconds, or None for "off"."""
    if value == "off":
        return None
    try:
        chosen = float(value)
    except ValueError:
        chosen = 0.0
    if not 0 < chosen < float("inf"):
        raise click.BadParameter(f"{value!r} is neither a number of seconds above 0 nor off")
    return chosen


def keyframe_number(context: click.Context, parameter: click.Parameter, value: str) -> int | str:
    """A click callback: the number of a frame, "first" or "auto"."""
    if value in ("first", "auto"):
        return value
    if not (value.isascii() and value.isdecimal()):
        raise click.BadParameter(f"{value!r} is neither the number of a frame nor first nor auto")
    return int(value)
