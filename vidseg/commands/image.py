"""`vidseg image`."""

from __future__ import annotations

import time
from pathlib import Path

import click

import vidseg
from vidseg.commands.console import counting, status
from vidseg.commands.jobs import exports_of, make_folder, write_exports
from vidseg.commands.options import model_options
from vidseg.commands.pointing import ByHand, pointing_options
from vidseg.errors import InputError, VidsegError
from vidseg.exporters.export import FORMATS


@click.command()
@click.argument("photos", nargs=-1, required=True, metavar="PHOTO...")
@click.option(
    "--prompt",
    "texts",
    multiple=True,
    metavar="TEXT",
    help='What to find: "chair. lamp", "chair, lamp"; may be repeated.',
)
@pointing_options
@model_options
@click.option("--allow-overlap", is_flag=True, help="Keep masks that overlap; else a pixel belongs to one object.")
@click.option(
    "--output", type=click.Path(path_type=Path), metavar="DIR", help="Folder for the results [beside each photo]."
)
@click.option("--masks", "with_masks", is_flag=True, help="Also one black and white PNG an object.")
@click.option("--cutout", "with_cutouts", is_flag=True, help="Also one PNG an object: cut out, the rest transparent.")
@click.option(
    "--multimask",
    is_flag=True,
    help="Also the three masks that the prompt of object 1 may mean, and SAM's guess of the IoU of each.",
)
@click.option(
    "--export",
    "formats",
    multiple=True,
    type=click.Choice(list(FORMATS)),
    help="Also export the masks; several photos become one data set. May be repeated.",
)
@click.option("--overwrite", is_flag=True, help="Replace files that exist.")
def image(
    photos,
    texts,
    boxes,
    points,
    masks,
    preset,
    sam,
    detector,
    device,
    dtype,
    sharpen,
    compile,
    allow_overlap,
    output,
    with_masks,
    with_cutouts,
    multimask,
    formats,
    overwrite,
) -> None:
    """Outline objects on photos (files, folders, patterns): what TEXT names, or what you point at.

    Writes PHOTO.segmented.png, the photo with masks, outlines and labels, and PHOTO.tracks.jsonl, the masks as numbers.
    """
    began = time.perf_counter()
    from vidseg.detection.phrases import parse_phrases
    from vidseg.image.results import expanded, results_of
    from vidseg.io.images import read_mask

    by_hand = ByHand(boxes, masks, points)
    if not (texts or by_hand):
        raise click.UsageError("what should be outlined? give --prompt, --box, --point or --mask")
    if multimask and not (boxes or points):
        raise click.UsageError("--multimask is for a --point or a --box, which may mean several things")
    phrases = parse_phrases(texts) if texts else []
    files, failures = expanded(photos)
    if not files:
        raise InputError("; ".join(failures))
    inputs = [*files, *by_hand.files()]
    for file in by_hand.files():
        read_mask(file)  # what is wrong with it should show at once, and once
    places, nameless = results_of(files, output)
    exports = exports_of(formats, [results.path("tracks.jsonl") for results in places.values()], output, overwrite)
    failures += nameless
    if output is not None:
        make_folder(output)
    with status(f"Loading {preset}"):
        from vidseg.commands.fast_start import load_quickly

        model = vidseg.load(
            preset, sam=sam, detector=detector, device=device, dtype=dtype, sharpen=sharpen, compile=compile
        )
        load_quickly(model, bool(phrases))

    done = objects = 0
    with counting("Segmenting", "photos") as show:
        for number, (file, results) in enumerate(places.items()):
            show(number, len(places))
            try:
                results.check(overwrite, inputs)
                photo = model.embed(file)
                height, width = photo.image.shape[:2]
                prompts = by_hand.prompts(width, height)
                frame = photo.segment(phrases or None, prompts=prompts, allow_overlap=allow_overlap)
                candidates = photo.candidates(prompts[0]) if multimask else None
                written = results.write(
                    frame, phrases, model.names, with_masks, with_cutouts, candidates, overwrite, inputs
                )
            except VidsegError as error:
                failures.append(str(error) if str(file) in str(error) else f"{file}: {error}")
                continue
            done, objects = done + 1, objects + len(frame.detections)
            click.echo(f"{file}: {summary(frame, photo, phrases)}; wrote {', '.join(path.name for path in written)}")
            if candidates:
                guesses = zip(candidates.detections.data["candidate"], candidates.detections.confidence)
                click.echo(
                    "  " + ", ".join(f"candidate {place}: IoU {iou:.2f}" for place, iou in guesses) + " (SAM's guess)"
                )
        show(len(places), len(places))
    elapsed = time.perf_counter() - began
    click.echo(
        f"{done} of {len(files)} photos in {elapsed:.1f} s with loading; {objects} objects. Results are in {output or 'the folders of the photos'}."
    )
    failures += write_exports(exports if done else [], failures, overwrite)
    for failure in failures:
        click.echo(f"vidseg: {failure}", err=True)
    if failures:
        click.get_current_context().exit(1)


def summary(frame, photo, phrases) -> str:
    """What was found on one photo."""
    found = frame.detections
    if not len(found):
        best = f" (best score {photo.best_score:.2f})" if phrases else ""
        return f"found nothing{best}"
    return ", ".join(f"{name} {number}" for name, number in zip(found.data["class_name"], found.tracker_id))
