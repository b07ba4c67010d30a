"""`vidseg track`."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vidseg.commands.clip_results import write_results
from vidseg.commands.clip_tasks import ClipTask, tasks_for
from vidseg.commands.console import console_options, finish, numbered, remark, warn
from vidseg.commands.exports import ExportTask, plan_exports, write_exports
from vidseg.commands.model_choice import ModelChoice, model_options
from vidseg.commands.report import report
from vidseg.commands.signals import Interrupted, signals
from vidseg.commands.track_options import TrackOutputs, TrackSettings, output_options, settings_options
from vidseg.commands.user_prompts import UserPrompts, user_prompt_options
from vidseg.errors import InputError, OutputError, VidsegError
from vidseg.exporters.formats import FORMATS

if TYPE_CHECKING:
    from vidseg.io.clip import Clip
    from vidseg.prompts.object_prompt import ObjectPrompt


@click.command()
@click.argument("clips", nargs=-1, required=True, metavar="CLIP...")
@click.option(
    "--prompt", "texts", multiple=True, metavar="TEXT", help='What to find: "dog. ball", "dog, ball"; may be repeated.'
)
@user_prompt_options
@click.option(
    "--prompts",
    "prompts_path",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Boxes, clicks and masks on several frames, as JSON: see docs/images.md.",
)
@model_options
@settings_options
@output_options
@console_options
def track(
    clips: tuple[str, ...],
    texts: tuple[str, ...],
    user_prompts: UserPrompts,
    prompts_path: Path | None,
    choice: ModelChoice,
    settings: TrackSettings,
    outputs: TrackOutputs,
) -> None:
    """Follow objects through each CLIP: what TEXT names, or what you point at.

    A clip is a video, a folder of images or of clips, a camera or a stream (rtsp://…), or - for a pipe. Writes
    CLIP.tracked.mp4, the clip with masks, outlines and labels, and CLIP.tracks.jsonl, one line a frame.
    """
    # All that can be known to fail is checked before the seconds that loading takes.
    plan = make_plan(clips, texts, user_prompts, prompts_path, settings, outputs)
    get_model = cache(lambda: choice.load(with_detector=bool(plan.phrases)))
    ready, tracked, failures = open_clips(plan, get_model)
    if tracked:
        remark(f"Skipped {len(tracked)} of {len(plan.tasks)} clips, which are tracked already.")
    try:
        for number, one in enumerate(numbered(ready), start=1):
            signals.check()
            began = time.perf_counter()
            model = get_model()
            try:
                run = model.track(one.clip, plan.phrases or None, prompts=one.prompts, **asdict(settings))
                expected = settings.expected_frames(one.clip.info)
                outcome = write_results(run, one.task, plan.phrases, model.names, expected)
            except VidsegError as error:
                failures.append(str(error))
                continue
            failures += outcome.failures
            elapsed = time.perf_counter() - began
            if files := outcome.files:
                report(
                    run, phrases=plan.phrases, frames=outcome.frames, elapsed=elapsed, files=files, note=outcome.note
                )
            if outcome.interruption:
                left = len(ready) - number
                raise outcome.interruption.adding(f"; {left} more were not begun (see --skip-existing)" if left else "")
            if one.task.tracks_path in files:
                tracked.append(one.task.tracks_path)
        signals.check()
        if tracked:
            complete = len(tracked) == len(plan.tasks)
            failures += write_exports(plan.exports, tracked, complete=complete, overwrite=outputs.replaces_exports)
    except Interrupted:
        for failure in failures:
            warn(failure)
        raise
    finish(failures)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What one call does.

    Attributes:
        tasks: the clips.
        phrases: what to find.
        user_prompts: what to follow from the keyframe on.
        prompts: what to follow from other frames on, by the number of the frame.
        outputs: what to write.
        exports: what to write when all clips are tracked.
        inputs: all files that are read; no result replaces one.
    """

    tasks: list[ClipTask]
    phrases: list[str]
    user_prompts: UserPrompts
    prompts: Mapping[int | str, list[ObjectPrompt]]
    outputs: TrackOutputs
    exports: list[ExportTask]
    inputs: list[str | Path]


@dataclass(frozen=True, kw_only=True)
class OpenClip:
    """A clip that can be tracked, with the prompts for it by the number of their frame, or "keyframe"."""

    task: ClipTask
    clip: Clip
    prompts: Mapping[int | str, list[ObjectPrompt]]


def make_plan(
    clips: Sequence[str],
    texts: Sequence[str],
    user_prompts: UserPrompts,
    prompts_path: Path | None,
    settings: TrackSettings,
    outputs: TrackOutputs,
) -> Plan:
    """Check the options, and decide what to do. No clip is opened.

    Raises:
        UsageError: the options do not go together.
        InputError: a prompt cannot be used.
        OutputError: a result cannot be written.
    """
    from vidseg.detection.phrases import parse_phrases
    from vidseg.prompts.file import read_prompts

    if settings.start is not None and settings.end is not None and settings.end <= settings.start:
        raise click.UsageError("--end must be after --start")
    if not (texts or user_prompts or prompts_path):
        raise click.UsageError("what should be tracked? give --prompt, --box, --point, --mask or --prompts")
    phrases = parse_phrases(texts) if texts else []
    prompts = read_prompts(prompts_path) if prompts_path else {}
    tasks = tasks_for(clips, outputs.output, outputs.tracks_path, not outputs.no_video)
    tracks = [task.tracks_path for task in tasks]
    data_folder = Path(outputs.output) if outputs.output and len(tasks) > 1 else None
    return Plan(
        tasks=tasks,
        phrases=phrases,
        user_prompts=user_prompts,
        prompts={**prompts},
        outputs=outputs,
        exports=plan_exports(outputs.formats, tracks, data_folder, outputs.replaces_exports),
        inputs=[*user_prompts.files(), *([prompts_path] if prompts_path else []), *(task.source for task in tasks)],
    )


def open_clips(plan: Plan, load_model: Callable[[], object]) -> tuple[list[OpenClip], list[Path], list[str]]:
    """Open all clips that are to be tracked, and check what can be known to fail.

    Args:
        plan: what to do.
        load_model: called before a live source is opened, which would not wait for it.

    Returns:
        The clips that can be tracked, the tracks files that are left as they are, and one line for each clip that
        cannot be used.
    """
    from vidseg.io.live import source_of
    from vidseg.prompts.object_prompt import clip_to_frame

    ready: list[OpenClip] = []
    done: list[Path] = []
    failures: list[str] = []
    for task in plan.tasks:
        try:
            skips = plan.outputs.skip_existing
            if skips and task.is_done():
                done.append(task.tracks_path)
                continue
            interrupted = skips and os.path.exists(task.tracks_path)
            if source_of(task.source) is not None:
                for name in plan.outputs.formats:
                    if FORMATS[name].needs_images:
                        raise InputError(
                            f"{task.source} can be read once only, and {name} needs its images; save it to a file first"
                        )
                load_model()
            clip = task.open(plan.outputs.overwrite or interrupted, plan.inputs)
            width, height = clip.info.width, clip.info.height
            keyframe_prompts = clip_to_frame(plan.user_prompts.for_size(width, height), width, height)
            ready.append(OpenClip(task=task, clip=clip, prompts={**plan.prompts, "keyframe": keyframe_prompts}))
        except (InputError, OutputError) as error:
            failures.append(str(error))
    return ready, done, failures
