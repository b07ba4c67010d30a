"""`vidseg track`."""

from __future__ import annotations

import time
from pathlib import Path

import click

import vidseg
from vidseg.commands.options import interval, keyframe_of, model_options, output_paths, seconds
from vidseg.console import progress, report, status


@click.command()
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
