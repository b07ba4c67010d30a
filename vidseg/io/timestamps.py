"""Times as people write them."""

from __future__ import annotations

import re

from vidseg.errors import InputError


def parse_time(text: str) -> float:
    """Seconds from "90", "1:30" or "00:01:30.5". InputError for anything else."""
    match = re.fullmatch(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d*)?|\.\d+)", text.strip(), re.ASCII)
    hours, minutes, seconds = (float(group or 0) for group in match.groups()) if match else (0, 0, 0)
    if not match or (match[2] and seconds >= 60) or (match[1] and minutes >= 60):
        raise InputError(f"{text!r} is not a time; write seconds (90), minutes (1:30) or hours (00:01:30.5)")
    return hours * 3600 + minutes * 60 + seconds
