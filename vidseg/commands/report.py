"""What `vidseg track` says of a clip when it is through."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vidseg.commands.console import ClipSummary, current, remark, say, say_not_found, warn, wrote

if TYPE_CHECKING:
    from vidseg.tracking.iterator import Tracking


def report(
    run: Tracking, *, phrases: Sequence[str], frames: int, elapsed: float, files: Sequence[Path], note: str | None
) -> None:
    """Say what a run found, which files it wrote, how long it took, and what went wrong.

    Args:
        run: at its end.
        phrases: what it looked for.
        frames: number of frames that were tracked.
        elapsed: seconds, with loading.
        files: what was written.
        note: one line on what is wrong with the files, or None.
    """
    warnings = [line for line in (run.warning, note) if line]
    summary = ClipSummary(
        clip=run.clip.path,
        frames=frames,
        seconds=elapsed,
        labels=dict(run.labels),
        seen=dict(run.seen),
        files=files,
        best_scores=run.best_scores,
        warnings=warnings,
    )
    current().clips.append(summary)
    if run.keyframe is None:
        best = f"; the best score was {run.best_score:.2f}" if run.best_score else ""
        wanted = f" for {', '.join(repr(phrase) for phrase in phrases)}" if phrases else ""
        say(f"Found nothing{wanted} in {frames} frames{best}.")
    else:
        objects = ", ".join(f"{label} {i} ({run.seen[i]} frames)" for i, label in run.labels.items())
        say(f"Found {len(run.labels)}, the first on frame {run.keyframe}: {objects}.")
    say_not_found([summary])
    for path in files:
        wrote(path)
    remark(f"{frames} frames in {elapsed:.1f} s, {frames / elapsed:.1f} frames/s with loading.")
    for line in warnings:
        warn(line)
