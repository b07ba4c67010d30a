"""`vidseg image`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

import vidseg
from vidseg.commands.clip_tasks import is_complete
from vidseg.commands.console import ClipSummary, console_options, current, finish, remark, say, say_not_found, warn
from vidseg.commands.exports import ExportTask, plan_exports, write_exports
from vidseg.commands.model_choice import ModelChoice, model_options
from vidseg.commands.options import FormatName, Outputs, as_value
from vidseg.commands.progress import counter
from vidseg.commands.signals import signals
from vidseg.commands.user_prompts import UserPrompts, user_prompt_options
from vidseg.errors import InputError, OutputError, VidsegError
from vidseg.io.files import make_folder

if TYPE_CHECKING:
    from vidseg.image.results import Results
    from vidseg.tracks.frame import TrackedFrame


@dataclass(frozen=True, kw_only=True)
class ImageOutputs(Outputs):
    """What to write, and where.

    Attributes:
        output: folder for the results; None: beside each photo.
        with_masks: whether each object gets a PNG of its mask.
        with_cutouts: whether each object gets a PNG with all else transparent.
        multimask: whether to write the candidate masks of object 1.
        formats: what to export, names in FORMATS.
    """

    output: Path | None
    with_masks: bool
    with_cutouts: bool
    multimask: bool
    formats: tuple[str, ...]


output_options = as_value(
    "outputs",
    ImageOutputs,
    (
        click.option(
            "--output",
            type=click.Path(path_type=Path),
            metavar="DIR",
            help="Folder for the results [beside each photo].",
        ),
        click.option("--masks", "with_masks", is_flag=True, help="Also one black and white PNG an object."),
        click.option(
            "--cutout", "with_cutouts", is_flag=True, help="Also one PNG an object: cut out, the rest transparent."
        ),
        click.option(
            "--multimask",
            is_flag=True,
            help="Also the three masks that the prompt of object 1 may mean, and SAM's guess of the IoU of each.",
        ),
        click.option(
            "--export",
            "formats",
            multiple=True,
            type=FormatName(),
            help="Also export the masks; several photos become one data set. May be repeated.",
        ),
        click.option("--overwrite", is_flag=True, help="Replace files that exist."),
        click.option(
            "--skip-existing",
            is_flag=True,
            help="Leave out photos that have their tracks file. What --export names is written of all photos, and "
            "replaced if it exists.",
        ),
    ),
)


@click.command()
@click.argument("photos", nargs=-1, required=True, metavar="PHOTO...")
@click.option(
    "--prompt",
    "texts",
    multiple=True,
    metavar="TEXT",
    help='What to find: "chair. lamp", "chair, lamp"; may be repeated.',
)
@user_prompt_options
@model_options
@click.option("--allow-overlap", is_flag=True, help="Keep masks that overlap; else a pixel belongs to one object.")
@output_options
@console_options
def image(
    photos: tuple[str, ...],
    texts: tuple[str, ...],
    user_prompts: UserPrompts,
    choice: ModelChoice,
    allow_overlap: bool,
    outputs: ImageOutputs,
) -> None:
    """Outline objects on photos (files, folders, patterns): what TEXT names, or what you point at.

    Writes PHOTO.segmented.png, the photo with masks, outlines and labels, and PHOTO.tracks.jsonl, the masks as numbers.
    """
    began = time.perf_counter()
    plan, failures = make_plan(photos, texts, user_prompts, allow_overlap, outputs)
    tracked = [*plan.done]
    if plan.done:
        remark(f"Skipped {len(plan.done)} of {plan.photo_count} photos, which are segmented already.")
    if plan.results or not plan.done:
        model = choice.load(with_detector=bool(plan.phrases)) if plan.results else None
        objects = segment_photos(model, plan, tracked, failures) if model else 0
        elapsed = time.perf_counter() - began
        remark(
            f"{len(tracked) - len(plan.done)} of {plan.photo_count - len(plan.done)} photos in {elapsed:.1f} s with "
            f"loading; {objects} objects. Results are in {outputs.output or 'the folders of the photos'}."
        )
        say_not_found(current().clips)
    if tracked:
        failures += write_exports(plan.exports, tracked, complete=not failures, overwrite=outputs.replaces_exports)
    finish(failures)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What one call does.

    Attributes:
        photo_count: how many photos there are.
        results: the files to write, for each photo that is to be segmented.
        done: the tracks files of photos that are left as they are.
        phrases: what to find.
        user_prompts: what to outline besides.
        allow_overlap: whether masks may overlap.
        outputs: what to write.
        exports: what to write when all photos are done.
        inputs: all files that are read; no result replaces one.
    """

    photo_count: int
    results: list[Results]
    done: list[Path]
    phrases: list[str]
    user_prompts: UserPrompts
    allow_overlap: bool
    outputs: ImageOutputs
    exports: list[ExportTask]
    inputs: list[Path]


def make_plan(
    photos: Sequence[str],
    texts: Sequence[str],
    user_prompts: UserPrompts,
    allow_overlap: bool,
    outputs: ImageOutputs,
) -> tuple[Plan, list[str]]:
    """Check the options, and decide what to do.

    Returns:
        The plan, and one line for each photo that cannot be part of it.

    Raises:
        UsageError: the options do not go together.
        InputError: there is no photo, or a prompt cannot be used.
        OutputError: a result cannot be written.
    """
    from vidseg.detection.phrases import parse_phrases
    from vidseg.image.results import ALWAYS_WRITTEN, expand_photos, place_results
    from vidseg.io.images import read_mask

    if not (texts or user_prompts):
        raise click.UsageError("what should be outlined? give --prompt, --box, --point or --mask")
    if outputs.multimask and not (user_prompts.boxes or user_prompts.points):
        raise click.UsageError("--multimask is for a --point or a --box, which may mean several things")
    phrases = parse_phrases(texts) if texts else []
    files, failures = expand_photos(photos)
    if not files:
        raise InputError("; ".join(failures))
    for file in user_prompts.files():
        read_mask(file)  # what is wrong with it should show at once, and once
    places, without_place = place_results(files, outputs.output)
    failures += without_place
    tracks = [results.path("tracks.jsonl") for results in places.values()]
    exports = plan_exports(outputs.formats, tracks, outputs.output, outputs.replaces_exports)
    if outputs.output is not None:
        make_folder(outputs.output)
    done: set[Path] = set()
    unusable: set[Path] = set()
    for path in tracks if outputs.skip_existing else ():
        try:
            if is_complete(path):
                done.add(path)
        except InputError as error:
            unusable.add(path)
            failures.append(str(error))
    inputs = [*files, *user_prompts.files()]
    writable: list[Results] = []
    for results in places.values():
        if results.path("tracks.jsonl") in done | unusable:
            continue
        try:
            results.check(ALWAYS_WRITTEN, outputs.overwrite, inputs)
            writable.append(results)
        except OutputError as error:
            failures.append(str(error) if str(results.photo) in str(error) else f"{results.photo}: {error}")
    plan = Plan(
        photo_count=len(files),
        results=writable,
        done=[path for path in tracks if path in done],
        phrases=phrases,
        user_prompts=user_prompts,
        allow_overlap=allow_overlap,
        outputs=outputs,
        exports=exports,
        inputs=inputs,
    )
    return plan, failures


def segment_photos(model: vidseg.Model, plan: Plan, tracked: list[Path], failures: list[str]) -> int:
    """Segment all photos of a plan, and say what is amiss with them or their names.

    Args:
        model: the checkpoints.
        plan: what to do.
        tracked: gets the tracks file of each photo.
        failures: gets one line for each photo that cannot be segmented.

    Returns:
        The number of objects.
    """
    from vidseg.rendering.fonts import undrawn_note

    objects = 0
    warnings: list[str] = []
    labels: set[str] = set()
    with counter("Segmenting", "photos") as show:
        for number, results in enumerate(plan.results):
            show(number, len(plan.results))
            try:
                frame, warning = segment_photo(model, results, plan)
                objects += len(frame.detections)
                tracked.append(results.path("tracks.jsonl"))
                warnings += [warning] if warning else []
                labels.update(map(str, frame.detections.data["class_name"]))
            except VidsegError as error:
                photo = str(results.photo)
                failures.append(str(error) if photo in str(error) else f"{photo}: {error}")
        show(len(plan.results), len(plan.results))
    if warnings:
        warn(warnings[0] + (f" (and likewise in {len(warnings) - 1} more)" if len(warnings) > 1 else ""))
    if note := undrawn_note(labels):
        warn(note)
    return objects


def segment_photo(model: vidseg.Model, results: Results, plan: Plan) -> tuple[TrackedFrame, str | None]:
    """Segment one photo, write its results and say what was found.

    Returns:
        What was found, and one line on how the photo was read, or None.

    Raises:
        VidsegError: the photo cannot be read, a prompt does not fit it, or a result cannot be written.
    """
    from vidseg.detection.base import best_score, best_scores
    from vidseg.image.results import result_pictures

    began, outputs = time.perf_counter(), plan.outputs
    photo = model.embed(results.photo)
    height, width = photo.image.shape[:2]
    prompts = plan.user_prompts.for_size(width, height)
    frame = photo.segment(plan.phrases or None, prompts=prompts, allow_overlap=plan.allow_overlap)
    candidates = photo.candidates(prompts[0]) if outputs.multimask else None
    pictures = result_pictures(photo.image, frame, candidates, masks=outputs.with_masks, cutouts=outputs.with_cutouts)
    results.check(pictures, outputs.overwrite, plan.inputs)
    with signals.held():  # all files of a photo, or none
        written = results.write(frame, pictures, plan.phrases, model.names)
    found = summary(frame, best_score(frame.detections) if plan.phrases else None)
    console = current()
    console.files += written
    assert frame.detections.tracker_id is not None
    labels = dict(zip(frame.detections.tracker_id.tolist(), map(str, frame.detections.data["class_name"])))
    console.clips.append(
        ClipSummary(
            clip=str(results.photo),
            frames=1,
            seconds=time.perf_counter() - began,
            labels=labels,
            seen=dict.fromkeys(labels, 1),
            files=written,
            best_scores=dict(zip(plan.phrases, best_scores(frame.detections, plan.phrases))),
            warnings=[photo.warning] if photo.warning else [],
        )
    )
    say(f"{results.photo}: {found}; wrote {', '.join(path.name for path in written)}")
    if candidates:
        say(f"  {guesses(candidates)} (SAM's guess)")
    signals.check()
    return frame, photo.warning


def summary(frame: TrackedFrame, best: float | None) -> str:
    """What was found on one photo; `best` is the detector's best score, if there was a text prompt."""
    found = frame.detections
    if not len(found):
        return "found nothing" + ("" if best is None else f" (best score {best:.2f}, see --box-threshold)")
    return ", ".join(f"{data['class_name']} {number}" for *_, number, data in found)


def guesses(candidates: TrackedFrame) -> str:
    """What SAM thinks of each candidate mask."""
    return ", ".join(f"candidate {data['candidate']}: IoU {iou:.2f}" for _, _, iou, *_, data in candidates.detections)
