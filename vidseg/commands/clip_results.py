"""One clip of `vidseg track`: its run, into its files."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from vidseg.commands.clip_tasks import ClipTask
from vidseg.commands.progress import progress
from vidseg.commands.result_file import ResultFile
from vidseg.commands.signals import Interrupted, signals

if TYPE_CHECKING:
    from vidseg.tracking.iterator import Tracking
    from vidseg.tracks.frame import TrackedFrame


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one clip.

    Attributes:
        frames: how many were tracked.
        files: what was written.
        failures: one line for each file that could not be.
        note: one line on what is wrong with the video, or None.
        interruption: what ended the run early, or None.
    """

    frames: int
    files: list[Path]
    failures: list[str]
    note: str | None
    interruption: Interrupted | None


def write_results(
    run: Tracking, task: ClipTask, phrases: Sequence[str], models: dict[str, str | None], expected: int | None
) -> Outcome:
    """Track one clip into its files. One that fails does not cost the other; if both do, the run ends.

    A signal ends the run, and the files are finished with the frames that it has handed out. Ctrl-C is how a source
    ends that does not end by itself.

    Args:
        run: not yet begun.
        task: which files to write.
        phrases: what it looks for; for the header of the tracks file.
        models: its checkpoints; for the same.
        expected: number of frames for the progress bar; None if unknown.

    Raises:
        Interrupted: a signal came before the first frame; no file is written.
        VidsegError: the run has failed; no file is written.
    """
    from vidseg.io.threads import Background
    from vidseg.rendering.overlay import OverlayWriter
    from vidseg.tracks.file import TracksWriter, header_of

    info, count, interruption, ended_by_hand = run.clip.info, 0, None, False
    header = header_of(
        info.path, info.width, info.height, info.frame_rate, info.time_base, phrases, models, info.frame_names
    )
    audio = task.source if info.has_audio else None
    tracks = ResultFile(task.tracks_path, partial(TracksWriter, task.tracks_path, header))
    video = task.video_path and ResultFile(task.video_path, partial(OverlayWriter, task.video_path, info, audio))
    files = [tracks, video] if video else [tracks]

    def write(frame: TrackedFrame) -> None:
        for file in files:
            file.write(frame)

    with signals.held(), ExitStack() as stack:
        for file in files:
            stack.enter_context(file)
        # The files are finished in that thread, too: while this one waits for it, a second signal ends the process.
        background = stack.enter_context(Background(lambda step: step()))
        stack.enter_context(closing(run))
        frames = stack.enter_context(closing(progress(run, expected)))
        try:
            while not all(file.failure for file in files):
                with signals.let_through():
                    frame = next(frames, None)
                if frame is None:
                    break
                background.submit(partial(write, frame))
                count += 1
        except Interrupted as error:
            if not count:
                raise Interrupted(error.number, f"interrupted before the first frame of {run.clip.path}") from None
            ended_by_hand = run.clip.once and error.number == signal.SIGINT
            if not ended_by_hand:
                interruption = Interrupted(error.number, _interrupted_line(run, count, expected))
        if interruption and not run.clip.once and tracks.writer:
            tracks.writer.mark_interrupted()
        for file in reversed(files):  # the tracks file comes last: it says that the clip is done
            background.submit(file.close)
    if ended_by_hand:
        signals.forget()  # further clips can follow
    return Outcome(
        frames=count,
        files=[file.path for file in reversed(files) if file.failure is None],
        failures=[file.failure for file in reversed(files) if file.failure is not None],
        note=video.writer.note if video and video.writer and not video.failure else None,
        interruption=interruption,
    )


def _interrupted_line(run: Tracking, count: int, expected: int | None) -> str:
    of = f" of {expected}" if expected and expected >= count else ""
    return f"interrupted after {count}{of} frames of {run.clip.path}; they are kept"
