"""Clips tracked for a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vidseg.model import Model
from vidseg.tracks.file import TracksWriter, header_of


def track(model: Model, clip: Path, prompt: str | Sequence[str], result: Path) -> None:
    """Track the objects that a prompt names, into a tracks file."""
    run = model.track(clip, prompt=prompt)
    prompts = [prompt] if isinstance(prompt, str) else prompt
    info = run.clip.info
    header = header_of(clip, info.width, info.height, info.frame_rate, info.time_base, prompts, model.names)
    with TracksWriter(result, header) as writer:
        for frame in run:
            writer.write(frame)
