"""JSON written as it comes: lists whose items are never all in memory."""

from __future__ import annotations

import json
from typing import Any, TextIO

import vidseg

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))  # made once: json.dumps makes it for each call


def dump(value: Any) -> str:
    """One line of JSON."""
    return _ENCODER.encode(value)


def preamble() -> str:
    """How a data set begins: an open object with a description."""
    info = {"description": f"Exported by vidseg {vidseg.__version__}"}
    return '{"info":' + dump(info) + ',"licenses":[],\n'


class JsonList:
    """Writes items to a text file, with commas between them. The caller writes the brackets around them.

    Args:
        file: to write to.
        between: what separates two items.

    Attributes:
        count: how many items were written.
    """

    def __init__(self, file: TextIO, between: str = ",\n"):
        self._file, self._between = file, between
        self.count = 0

    def add(self, text: str) -> None:
        """Write one more item, which is JSON already."""
        self._file.write(self._between + text if self.count else text)
        self.count += 1
