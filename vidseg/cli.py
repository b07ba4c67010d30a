"""The commands: read the options, call the API, show progress, say what was made. No logic of their own.

Everything heavy is imported inside the commands, so that `vidseg --help` answers at once.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path

import click

import vidseg
from vidseg.console import progress, report, show_figures, status
from vidseg.errors import InputError, VidsegError

PRESET_NAMES = "demo, tiny, small, base-plus, large"


class Commands(click.Group):
    """Turns what can go wrong into one line on stderr and the right exit code: 1, or 130 after Ctrl-C or SIGTERM."""

    def invoke(self, context: click.Context):
        if threading.current_thread() is threading.main_thread():  # the only one that may say so
            signal.signal(signal.SIGTERM, signal.default_int_handler)  # a job that is ended cleans up as after Ctrl-C
        try:
            return super().invoke(context)
        except VidsegError as error:
            click.echo(f"vidseg: {error}", err=True)
            context.exit(1)
        except KeyboardInterrupt:
            click.echo("vidseg: interrupted; nothing unfinished was kept", err=True)
            context.exit(130)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(vidseg.__version__, prog_name="vidseg")
def main() -> None:
    """Find objects in a video by name and follow their exact outlines through the clip."""


def seconds(context, parameter, value: str | None) -> float | None:
    """A click callback: "90", "1:30" or "00:01:30.5" as seconds."""
    if value is None:
        return None
    from vidseg.video import parse_time

    try:
        return parse_time(value)
    except InputError as error:
        raise click.BadParameter(str(error)) from None


def interval(context, parameter, value: str) -> float | None:
    """A click callback: seconds, or None for "off"."""
    if value == "off":
        return None
    try:
        chosen = float(value)
    except ValueError:
        chosen = 0.0
    if not 0 < chosen < float("inf"):
        raise click.BadParameter(f"{value!r} is neither a number of seconds above 0 nor off")
    return chosen


def keyframe_of(context, parameter, value: str) -> int | str:
    """A click callback: the number of a frame, "first" or "auto"."""
    if value in ("first", "auto"):
        return value
    if not (value.isascii() and value.isdecimal()):
        raise click.BadParameter(f"{value!r} is neither the number of a frame nor first nor auto")
    return int(value)


def model_options(command):
    """The options that choose and place the checkpoints."""
    for option in reversed((
        click.option("--model", "preset", default="small", show_default=True, metavar="NAME", help=f"Pair of checkpoints: {PRESET_NAMES}."),
        click.option("--sam", metavar="PATH|ID", help="SAM 2.1 checkpoint instead: a .pt file, a folder, or a hub id."),
        click.option("--detector", metavar="PATH|ID", help="Grounding DINO checkpoint instead: a folder or a hub id."),
        click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, or mps."),
        click.option("--dtype", default="auto", show_default=True, type=click.Choice(["auto", "float32", "bfloat16"])),
        click.option("--compile", is_flag=True, help="Use torch.compile: for long clips on a GPU. Takes minutes at first."),
    )):
        command = option(command)
    return command


@main.command()
@click.argument("clip", type=click.Path(path_type=Path))
@click.option("--prompt", "prompts", multiple=True, required=True, metavar="TEXT", help='What to find: "dog. ball", "dog, ball"; may be repeated.')
@model_options
@click.option("--start", callback=seconds, metavar="TIME", help="Where to begin: seconds, mm:ss or hh:mm:ss.")
@click.option("--end", callback=seconds, metavar="TIME", help="Where to stop.")
@click.option("--keyframe", default="auto", show_default=True, callback=keyframe_of, metavar="N|first|auto", help="Frame to begin on, in both directions; auto: the first on which something is found.")
@click.option("--redetect", default="1", show_default=True, callback=interval, metavar="SECONDS|off", help="How often to look for further objects, and for lost ones.")
@click.option("--forget-after", default=30.0, show_default=True, type=click.FloatRange(min=0), metavar="SECONDS", help="When an object out of view is carried no further.")
@click.option("--allow-overlap", is_flag=True, help="Keep masks that overlap; else a pixel belongs to one object.")
@click.option("--output", type=click.Path(path_type=Path), metavar="FILE", help="The overlay video [CLIP.tracked.mp4], or a folder for it.")
@click.option("--tracks", "tracks_path", type=click.Path(path_type=Path), metavar="FILE", help="The tracks file [CLIP.tracks.jsonl].")
@click.option("--no-video", is_flag=True, help="Write the tracks only.")
@click.option("--overwrite", is_flag=True, help="Replace files that exist.")
def track(
    clip, prompts, preset, sam, detector, device, dtype, compile, start, end, keyframe, redetect, forget_after, allow_overlap, output, tracks_path, no_video, overwrite
) -> None:
    """Follow what TEXT names through CLIP (a video or a folder of images).

    Writes CLIP.tracked.mp4, the clip with masks, outlines and labels, and CLIP.tracks.jsonl, one line a frame.
    """
    from contextlib import ExitStack, closing

    began = time.perf_counter()
    from vidseg.detection import parse_phrases
    from vidseg.files import check_writable
    from vidseg.video import Clip
    from vidseg.writer import check_video_output

    # All that can be known to fail is checked before the seconds that loading takes.
    video_path, tracks_path = output_paths(clip, output, tracks_path)
    if start is not None and end is not None and end <= start:
        raise click.UsageError("--end must be after --start")
    if video_path == tracks_path and not no_video:
        raise click.UsageError("--output and --tracks name the same file")
    phrases = parse_phrases(prompts)
    info = Clip(clip).info
    if not no_video:
        check_video_output(video_path, overwrite, clip)
    check_writable(tracks_path, overwrite, clip)
    with status(f"Loading {preset}"):
        model = vidseg.load(preset, sam=sam, detector=detector, device=device, dtype=dtype, compile=compile)
        from vidseg.startup import built_without_sympy, import_supervision, import_transformers, without_compiler

        import_supervision()
        with without_compiler():
            import_transformers()
            with built_without_sympy():
                run = model.track(
                    clip, phrases, keyframe=keyframe, start=start, end=end, redetect=redetect, forget_after=forget_after, allow_overlap=allow_overlap)

    from vidseg.overlap import Background
    from vidseg.tracks import TracksWriter

    frames, note = 0, None
    with ExitStack() as stack:
        writer = stack.enter_context(TracksWriter(tracks_path, header(info, phrases, model)))
        sinks = [writer.write]
        if not no_video:
            video = open_video(stack, video_path, clip, info)
            sinks.append(video.write_frame)
        background = stack.enter_context(Background(lambda frame: [sink(frame) for sink in sinks]))
        for frame in stack.enter_context(closing(progress(run, expected_frames(info, start, end)))):
            background.submit(frame)
            frames += 1
    if not no_video:
        note = video.note
    report(run, phrases, frames, time.perf_counter() - began, [tracks_path] if no_video else [video_path, tracks_path], note)


def output_paths(clip: Path, output: Path | None, tracks: Path | None) -> tuple[Path, Path]:
    """Names of the overlay video and the tracks file: beside the clip, or where they were asked for."""
    named = clip if clip.name not in ("", "..") else clip.resolve()  # "." and ".." do not say what they are called
    stem = named.name if os.path.isdir(clip) else named.stem
    folder = named.parent
    if output is not None and os.path.isdir(output):  # not is_dir(), which raises where a name is too long
        folder, output = output, None
    if output is not None:
        folder = output.parent
        stem = output.stem.removesuffix(".tracked")
    return output or folder / f"{stem}.tracked.mp4", tracks or folder / f"{stem}.tracks.jsonl"


def header(info, phrases, model) -> dict:
    """First line of the tracks file."""
    return {
        "clip": info.path, "width": info.width, "height": info.height, "frame_rate": str(info.frame_rate),
        "time_base": str(info.time_base), "prompts": list(phrases), "models": model.names, "vidseg": vidseg.__version__,
    }


def expected_frames(info, start: float | None, end: float | None) -> int | None:
    """How many frames the run will have, for the progress bar; None if nobody knows."""
    if info.frame_count is None or (start is None and end is None):
        return info.frame_count
    stop = min(end, info.duration) if end is not None and info.duration else end if end is not None else info.duration
    return None if stop is None else max(1, round((stop - (start or 0)) * info.frame_rate))


def open_video(stack, path: Path, clip: Path, info):
    """A video writer that draws: its `write_frame` takes a tracked frame."""
    from vidseg.render import draw
    from vidseg.writer import VideoWriter

    video = stack.enter_context(VideoWriter(path, info, clip if info.has_audio else None))
    video.write_frame = lambda frame: video.write(draw(frame), round(frame.time / info.time_base))
    return video


@main.command()
@click.argument("clip", type=click.Path(path_type=Path))
@click.argument("tracks", type=click.Path(path_type=Path))
@click.option("--output", type=click.Path(path_type=Path), metavar="FILE", help="The overlay video [CLIP.tracked.mp4].")
@click.option("--overwrite", is_flag=True, help="Replace a file that exists.")
def render(clip, tracks, output, overwrite) -> None:
    """Draw saved TRACKS on CLIP again, without any model."""
    path, _ = output_paths(clip, output, tracks)
    with status(f"Drawing {path}"):
        note = vidseg.render(clip, tracks, path, overwrite=overwrite)
    click.echo(f"Wrote {path}")
    if note:
        click.echo(f"vidseg: {note}", err=True)


@main.command("eval")
@click.argument("result", type=click.Path(path_type=Path))
@click.argument("truth", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the figures as one JSON object.")
def evaluate(result, truth, as_json) -> None:
    """Measure RESULT against TRUTH: J and F of DAVIS, HOTA, IDF1, id switches.

    Each is a tracks file, or a folder with one PNG a frame whose pixel values are object ids, as DAVIS has them.
    """
    from vidseg import evaluation

    with status(f"Comparing {result}"):
        scores = evaluation.evaluate(result, truth)
    if as_json:
        click.echo(json.dumps(scores.figures()))
    else:
        show_figures(scores.figures())
    if scores.missing:
        note = f"{result} lacks {scores.missing} of the {scores.frames} frames of {truth}; they count as frames without objects"
        click.echo(f"vidseg: {note}", err=True)


@main.command()
@click.option("--download", metavar="NAME", help="Fetch the checkpoints of a preset ahead of time.")
def models(download: str | None) -> None:
    """List the presets and whether they are on this disk."""
    from vidseg import presets

    if download is not None:
        wanted = presets.preset(download)
        sam, detector = presets.locate_sam(wanted.sam), presets.locate_detector(wanted.detector)
        click.echo(f"{wanted.name} is on this disk:\n  {sam}\n  {detector}")
        return
    for preset in presets.PRESETS.values():
        where = "on this disk" if presets.on_disk(preset) else f"{preset.megabytes} MB to download"
        click.echo(f"{preset.name:10} {where:22} {preset.note}\n{'':10} {preset.sam} + {preset.detector}")
