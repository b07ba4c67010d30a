"""`vidseg track`."""

from __future__ import annotations

import time
from contextlib import ExitStack, closing
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import click

import vidseg
from vidseg.commands.console import progress, report, status
from vidseg.commands.jobs import Job, exports_of, jobs_for, write_exports
from vidseg.commands.options import interval, keyframe_of, model_options, seconds
from vidseg.commands.pointing import ByHand, pointing_options
from vidseg.errors import InputError, VidsegError
from vidseg.exporters.export import FORMATS

if TYPE_CHECKING:
    from vidseg.prompts.object_prompt import ObjectPrompt


@click.command()
@click.argument("clips", nargs=-1, required=True, metavar="CLIP...")
@click.option(
    "--prompt", "texts", multiple=True, metavar="TEXT", help='What to find: "dog. ball", "dog, ball"; may be repeated.'
)
@pointing_options
@click.option(
    "--prompts",
    "prompts_path",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Prompts by hand on several frames, as JSON: see docs/images.md.",
)
@model_options
@click.option("--start", callback=seconds, metavar="TIME", help="Where to begin: seconds, mm:ss or hh:mm:ss.")
@click.option("--end", callback=seconds, metavar="TIME", help="Where to stop.")
@click.option(
    "--keyframe",
    default="auto",
    show_default=True,
    callback=keyframe_of,
    metavar="N|first|auto",
    help="Frame to begin on, in both directions; auto: the first on which something is found.",
)
@click.option(
    "--redetect",
    default="1",
    show_default=True,
    callback=interval,
    metavar="SECONDS|off",
    help="How often to look for further objects, and for lost ones.",
)
@click.option(
    "--forget-after",
    default=30.0,
    show_default=True,
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="When an object out of view is carried no further.",
)
@click.option("--allow-overlap", is_flag=True, help="Keep masks that overlap; else a pixel belongs to one object.")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE|DIR",
    help="The overlay video [CLIP.tracked.mp4], or a folder for all results.",
)
@click.option(
    "--tracks",
    "tracks_path",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The tracks file [CLIP.tracks.jsonl].",
)
@click.option("--no-video", is_flag=True, help="Write the tracks only.")
@click.option(
    "--export",
    "formats",
    multiple=True,
    type=click.Choice(list(FORMATS)),
    help="Also export what was tracked; several clips become one data set. May be repeated.",
)
@click.option("--overwrite", is_flag=True, help="Replace files that exist.")
def track(
    clips,
    texts,
    boxes,
    points,
    masks,
    prompts_path,
    preset,
    sam,
    detector,
    device,
    dtype,
    sharpen,
    compile,
    start,
    end,
    output,
    tracks_path,
    no_video,
    formats,
    overwrite,
    **how,
) -> None:
    """Follow objects through each CLIP: what TEXT names, or what you point at.

    A clip is a video, a folder of images or of clips, a camera or a stream (rtsp://…), or - for a pipe. Writes CLIP.tracked.mp4,
    the clip with masks, outlines and labels, and CLIP.tracks.jsonl, one line a frame.
    """
    from vidseg.detection.phrases import parse_phrases
    from vidseg.io.live import source_of
    from vidseg.prompts.file import read_prompts

    # All that can be known to fail is checked before the seconds that loading takes.
    if start is not None and end is not None and end <= start:
        raise click.UsageError("--end must be after --start")
    by_hand = ByHand(boxes, masks, points)
    if not (texts or by_hand or prompts_path):
        raise click.UsageError("what should be tracked? give --prompt, --box, --point, --mask or --prompts")
    phrases = parse_phrases(texts) if texts else []
    prompts = read_prompts(prompts_path) if prompts_path else {}
    jobs = jobs_for(clips, output, tracks_path, not no_video)
    exports = exports_of(formats, [job.tracks_path for job in jobs], output if len(jobs) > 1 else None, overwrite)
    ready, failures = [], []
    get_model = cache(
        lambda: load(
            preset,
            bool(phrases),
            sam=sam,
            detector=detector,
            device=device,
            dtype=dtype,
            sharpen=sharpen,
            compile=compile,
        )
    )
    inputs = [*by_hand.files(), *filter(None, [prompts_path]), *(job.clip for job in jobs)]
    for job in jobs:
        try:
            once = source_of(job.clip) is not None
            if once and "yolo-seg" in formats:
                raise InputError(
                    f"{job.clip} can be read once only, and yolo-seg needs its images; save it to a file first"
                )
        except InputError as error:
            failures.append(str(error))
            continue
        if once:
            get_model()  # first: a live source does not wait until it is loaded
        try:
            clip = job.open(overwrite, inputs)
            ready.append((job, clip, {**prompts, "keyframe": fitting(by_hand, clip.info)}))
        except VidsegError as error:
            failures.append(str(error))
    for job, clip, on_frames in ready:
        began = time.perf_counter()
        model = get_model()
        try:
            run = model.track(clip, phrases or None, prompts=on_frames, start=start, end=end, **how)
            frames, note = write(run, job, phrases, model.names, expected_frames(clip.info, start, end))
        except VidsegError as error:
            failures.append(str(error))
            continue
        report(
            run,
            phrases,
            frames,
            time.perf_counter() - began,
            [path for path in (job.video_path, job.tracks_path) if path],
            note,
        )
    failures += write_exports(exports if ready else [], failures, overwrite)
    for failure in failures:
        click.echo(f"vidseg: {failure}", err=True)
    if failures:
        click.get_current_context().exit(1)


def fitting(by_hand: ByHand, info) -> list[ObjectPrompt]:
    """What was pointed at, for a clip of this size."""
    from vidseg.prompts.object_prompt import fitted

    return fitted(by_hand.prompts(info.width, info.height), info.width, info.height)


def load(preset: str, detector_too: bool, **options) -> vidseg.Model:
    with status(f"Loading {preset}"):
        from vidseg.commands.fast_start import load_quickly

        model = vidseg.load(preset, **options)
        load_quickly(model, detector_too)
        return model


def write(run, job: Job, phrases: list[str], models: dict, expected: int | None) -> tuple[int, str | None]:
    """Track one clip into its files. Returns the number of frames, and a line on what is amiss with the video, or None.

    A source that ends only when somebody ends it is ended by Ctrl-C, and its files are finished.
    """
    from vidseg.io.threads import Background
    from vidseg.tracks.file import TracksWriter, header_of

    info, frames, video = run.clip.info, 0, None
    header = header_of(info.path, info.width, info.height, info.frame_rate, info.time_base, phrases, models)
    with ExitStack() as stack:
        writer = stack.enter_context(TracksWriter(job.tracks_path, header))
        sinks = [writer.write]
        if job.video_path is not None:
            video = open_video(stack, job.video_path, job.clip, info)
            sinks.append(video.write_frame)
        background = stack.enter_context(Background(lambda frame: [sink(frame) for sink in sinks]))
        try:
            for frame in stack.enter_context(closing(progress(run, expected))):
                background.submit(frame)
                frames += 1
        except KeyboardInterrupt:
            if not (run.clip.once and frames):
                raise
    return frames, video.note if video else None


def expected_frames(info, start: float | None, end: float | None) -> int | None:
    """How many frames the run will have, for the progress bar; None if nobody knows."""
    if info.frame_count is None or (start is None and end is None):
        return info.frame_count
    stop = min(end, info.duration) if end is not None and info.duration else end if end is not None else info.duration
    return None if stop is None else max(1, round((stop - (start or 0)) * info.frame_rate))


def open_video(stack, path: Path, clip: str | Path, info):
    """A video writer that draws: its `write_frame` takes a tracked frame."""
    from vidseg.io.writer import VideoWriter
    from vidseg.rendering.render import draw

    video = stack.enter_context(VideoWriter(path, info, clip if info.has_audio else None))
    video.write_frame = lambda frame: video.write(draw(frame), round(frame.time / info.time_base))
    return video
