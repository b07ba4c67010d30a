"""Prompts files: what was pointed at, on which frames, as JSON.

    {"format": "vidseg-prompts", "version": 1, "prompts": [
      {"frame": 0, "id": 1, "label": "dog", "box": [40, 30, 110, 90]},
      {"frame": 0, "id": 2, "points": [[200, 80], [230, 95]], "point_labels": [1, 0]},
      {"frame": 45, "id": 1, "points": [[120, 64]]},
      {"frame": 60, "id": 3, "mask": "cat.png", "new": true}]}

docs/images.md describes it for users.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, cast

from vidseg.errors import InputError
from vidseg.prompts.object_prompt import ObjectPrompt, object_prompt

FORMAT, VERSION = "vidseg-prompts", 1


def read_prompts(path: str | os.PathLike[str]) -> dict[int, list[ObjectPrompt]]:
    """Object prompts by frame number. Pictures of masks are looked for beside the file.

    Raises:
        InputError: the file cannot be read or is none; the first entry that is wrong, by its place.
    """
    path = Path(path)
    found: dict[int, list[ObjectPrompt]] = {}
    for place, entry in enumerate(_entries(path), start=1):
        try:
            frame, prompt = _frame_and_prompt(entry, path.parent)
        except InputError as error:
            raise InputError(f"{path}: prompt {place}: {error}") from error
        found.setdefault(frame, []).append(prompt)
    if not found:
        raise InputError(f"{path}: there are no prompts in it")
    return found


def _entries(path: Path) -> list[Any]:
    """The entries of a prompts file, as they are."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except ValueError as error:  # no JSON, or no UTF-8
        raise InputError(f"{path}: no JSON ({error}); docs/images.md shows what a prompts file looks like") from error
    header = cast("dict[str, Any]", content) if isinstance(content, dict) else {}
    if header.get("format") != FORMAT or not isinstance(header.get("prompts"), list):
        raise InputError(
            f'{path}: not a prompts file; it begins with {{"format": "{FORMAT}", "version": {VERSION}, "prompts": ['
        )
    if header.get("version") != VERSION:
        raise InputError(
            f"{path}: prompts format version {header.get('version')}, this vidseg reads {VERSION}; update vidseg"
        )
    return header["prompts"]


def _frame_and_prompt(entry: Any, folder: Path) -> tuple[int, ObjectPrompt]:
    """Number of the frame and the prompt of one entry; the error does not say which entry it is."""
    if not isinstance(entry, dict):
        raise InputError(f"it is {entry!r}, and not an object in braces")
    fields = cast("dict[str, Any]", entry)
    frame = fields.get("frame")
    if isinstance(frame, bool) or not isinstance(frame, int) or frame < 0:
        raise InputError(f"it needs a frame, a whole number from 0; it is {frame!r}")
    return frame, object_prompt({key: value for key, value in fields.items() if key != "frame"}, folder)
