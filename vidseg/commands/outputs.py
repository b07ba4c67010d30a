"""Where results go."""

from __future__ import annotations

import os
from pathlib import Path


def output_paths(clip: Path, output: Path | None, tracks: Path | None, whole_name: bool = False) -> tuple[Path, Path]:
    """Paths of the overlay video and the tracks file: beside the clip, or where the user wants them.

    Args:
        clip: the clip, or a path that stands for it.
        output: the overlay or a folder for both; None: beside the clip.
        tracks: the tracks file; None: beside the overlay.
        whole_name: keep the suffix of the clip in both names.
    """
    named = clip if clip.name not in ("", "..") else clip.resolve()  # "." and ".." are no names
    stem = named.name if whole_name or os.path.isdir(clip) else named.stem
    folder = named.parent
    if output is not None and os.path.isdir(output):  # Path.is_dir() raises if a name is too long
        folder, output = output, None
    if output is not None:
        folder = output.parent
        stem = output.stem.removesuffix(".tracked")
    return output or folder / f"{stem}.tracked.mp4", tracks or folder / f"{stem}.tracks.jsonl"
