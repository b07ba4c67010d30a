"""The sample clip and picture that come with vidseg."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
PLACES = (PACKAGE / "demo", PACKAGE.parent / "samples")  # where they are installed, and in a clone
SAMPLES = {  # each with a prompt for what is in it
    "park.mp4": "dog. cat. ball",
    "desk.png": "laptop. lamp. cup. book. phone. clock. scissors",
}


def sample(name: str) -> Path:
    """Path of a sample.

    Raises:
        KeyError: there is none of that name.
    """
    if name not in SAMPLES:
        raise KeyError(name)
    return next(place / name for place in PLACES if (place / name).exists())
