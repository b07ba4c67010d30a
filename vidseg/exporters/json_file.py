"""JSON that is written as it comes: lists whose items are never all in memory."""

from __future__ import annotations

import json
from typing import Any, TextIO

import vidseg

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))  # made once: json.dumps makes it for each call


def dump(value: Any) -> str:
    """One line of JSON."""
    return _ENCODER.encode(value)


def preamble() -> str:
    """How a data set begins: an open object with what it says of itself."""
    info = {"description": f"Exported by vidseg {vidseg.__version__}"}
    return '{"info":' + dump(info) + ',"licenses":[],\n'


class JsonList:
    """Writes items to a text file, with commas between them. The brackets around them are left to the caller."""

    def __init__(self, file: TextIO, between: str = ",\n"):
        self._file, self._between, self.count = file, between, 0

    def add(self, text: str) -> None:
        """One more item, which is JSON already."""
        self._file.write(self._between + text if self.count else text)
        self.count += 1
