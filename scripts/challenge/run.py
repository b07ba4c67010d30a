"""How well objects are followed by name where it is hard, vidseg against two common loops on the same weights.

    uv run python -m scripts.challenge.run                                   # everything: half an hour and more
    uv run python -m scripts.challenge.run --family twins --family cuts --clips 1 --methods ours
    uv run python -m scripts.challenge.run --keep runs/challenge --json runs/challenge.json --pictures runs/pictures

The clips are made by `challenge/clips.py`, the other methods are in `baselines.py`. Every result is written as a tracks
file and measured by `vidseg.evaluation.metrics`; `entries.py` adds how soon it has what comes into the picture, and
`pictures.py` draws where it is worst. The detector reads the text prompt in all three.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import patch

import click
import numpy as np
import supervision as sv

import vidseg
from scripts.challenge.baselines import Followed, detect_every, single_keyframe
from scripts.challenge.clips import Challenge, make, seed_of
from scripts.challenge.entries import delays, entry_table
from scripts.challenge.families import FAMILIES
from scripts.challenge.pictures import write_strip
from scripts.challenge.plan import HEIGHT, WIDTH
from scripts.common import machine
from scripts.demo_models.world.clips import tracks_header
from vidseg.evaluation.metrics import compare, evaluate
from vidseg.model import Model
from vidseg.tracks.file import TracksWriter
from vidseg.tracks.frame import TrackedFrame, mask_bounds

# The last is summed up, of the others the mean is taken.
FIGURES = ("HOTA", "DetA", "AssA", "IDF1", "J&F", "id switches")


def as_tracked(frames: Iterable[Followed]) -> Iterator[TrackedFrame]:
    """What a baseline yields as the records of a tracks file. The confidence, which plays no role here, is 1."""
    for followed in frames:
        ids, frame = sorted(followed.masks), followed.frame
        yield TrackedFrame(
            frame.index,
            frame.time,
            frame.image,
            sv.Detections(
                xyxy=np.array([mask_bounds(followed.masks[i]) for i in ids], np.float32).reshape(-1, 4),
                mask=np.array([followed.masks[i] for i in ids], bool).reshape(-1, *frame.image.shape[:2]),
                confidence=np.ones(len(ids), np.float32),
                tracker_id=np.array(ids, int),
                data={"class_name": np.array([followed.labels[i] for i in ids], dtype=str)},
            ),
        )


def keyframe(model: Model, clip: Path, phrases: list[str]) -> Iterator[TrackedFrame]:
    """Detect once, then propagate."""
    return as_tracked(single_keyframe(model, clip, phrases))


def every_20(model: Model, clip: Path, phrases: list[str]) -> Iterator[TrackedFrame]:
    """Detect every 20 frames and start over."""
    return as_tracked(detect_every(model, clip, phrases))


def ours(model: Model, clip: Path, phrases: list[str]) -> Iterator[TrackedFrame]:
    """What is measured against the others."""
    return iter(model.track(clip, prompt=phrases))


OURS = "ours"
# What each method makes of a clip: one TrackedFrame a frame.
METHODS: dict[str, Callable[[Model, Path, list[str]], Iterator[TrackedFrame]]] = {
    "keyframe": keyframe,
    "every 20": every_20,
    OURS: ours,
}


def score(model: Model, method: str, challenge: Challenge, result: Path) -> dict[str, float]:
    """Track one clip, write the result, and measure it: FIGURES, and the seconds that a frame took."""
    header = tracks_header(challenge.clip.name, (WIDTH, HEIGHT), challenge.prompt, model.names, vidseg.__version__)
    detector = challenge.wrap(model.detector) if challenge.wrap else model.detector
    began, frames = time.perf_counter(), 0
    with patch.object(model, "detector", detector), TracksWriter(result, header) as tracks:
        for frame in METHODS[method](model, challenge.clip, challenge.prompt):
            tracks.write(frame)
            frames += 1
    seconds = time.perf_counter() - began
    scores = evaluate(result, challenge.truth)
    values = scores.hota, scores.det_a, scores.ass_a, scores.idf1, (scores.j + scores.f) / 2, scores.id_switches
    return dict(zip(FIGURES, values)) | {"seconds a frame": seconds / frames}


def table(scores: list[dict]) -> str:
    """One line for each family and method, then one for each method over all clips."""
    methods, families = (list(dict.fromkeys(entry[key] for entry in scores)) for key in ("method", "family"))
    lines = [f"{'family':10} {'method':9} " + " ".join(f"{name:>6}" for name in FIGURES[:-1]) + "  switches"]
    for family in [*families, "all"]:
        for method in methods:
            part = [entry for entry in scores if entry["method"] == method and family in (entry["family"], "all")]
            means = " ".join(f"{np.mean([entry[name] for entry in part]):6.3f}" for name in FIGURES[:-1])
            lines.append(f"{family:10} {method:9} {means}  {sum(entry[FIGURES[-1]] for entry in part):8d}")
    return "\n".join(lines)


def results_of(challenge: Challenge, methods: Iterable[str]) -> dict[str, Path]:
    """Where each method's result of a clip is written: beside the clip."""
    return {
        method: challenge.clip.with_name(f"{challenge.clip.stem}.{method.replace(' ', '-')}.tracks.jsonl")
        for method in methods
    }


def measure(model: Model, challenge: Challenge, methods: Iterable[str]) -> list[dict]:
    """Run methods on a clip.

    Returns:
        Of each method: family, seed, method, figures as of `score`, and the delays of what enters (None: never found).
    """
    entries = []
    for method, result in results_of(challenge, methods).items():
        figures = score(model, method, challenge, result)
        text = ", ".join(f"{name} {value:.3g}" for name, value in figures.items())
        click.echo(f"{challenge.clip.stem}, {method}: {text}", err=True)
        late = list(delays(list(compare(result, challenge.truth)), challenge.entries).values())
        about = {"family": challenge.family, "seed": challenge.seed, "method": method}
        entries.append({**about, **figures, "delays": late})
    return entries


def picture_worst(folder: Path, challenges: list[Challenge], scores: list[dict], methods: Iterable[str]) -> None:
    """Draw the one of some clips on which OURS has the lowest HOTA."""
    hota = {entry["seed"]: entry["HOTA"] for entry in scores if entry["method"] == OURS}
    worst = min(challenges, key=lambda challenge: hota[challenge.seed])
    click.echo(f"{write_strip(folder, worst, results_of(worst, methods), OURS)}: HOTA {hota[worst.seed]:.3f}", err=True)


@click.command()
@click.option(
    "--family", "families", multiple=True, type=click.Choice(list(FAMILIES)), help="Only this one; may be given again."
)
@click.option("--clips", default=3, show_default=True, help="Clips of each family.")
@click.option("--methods", "names", default=",".join(METHODS), show_default=True, help="Which to run, with commas.")
@click.option("--keep", type=click.Path(path_type=Path, file_okay=False), help="Folder for clips, truth and results.")
@click.option(
    "--json", "json_file", type=click.Path(path_type=Path, dir_okay=False), help="File for the figures of every clip."
)
@click.option(
    "--pictures",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for a picture of the worst clip of each family.",
)
@click.option("--sam", help="Checkpoint to score instead of the bundled one.")
@click.option("--detector", help="Checkpoint to score instead of the bundled one.")
def main(
    families: tuple[str, ...],
    clips: int,
    names: str,
    keep: Path | None,
    json_file: Path | None,
    pictures: Path | None,
    sam: str | None,
    detector: str | None,
) -> None:
    """How well objects are followed by name where it is hard, vidseg against two common loops on the same weights."""
    methods, chosen = methods_of(names), families or tuple(FAMILIES)
    if pictures and OURS not in methods:
        raise click.BadParameter(f"--pictures shows where {OURS!r} is worst: add it to --methods")
    model = vidseg.load("demo", sam=sam, detector=detector)
    seeds = {family: [seed_of(family, number) for number in range(clips)] for family in chosen}
    click.echo(f"{machine()}, {model.device}, {model.dtype}")
    click.echo("seeds: " + "; ".join(f"{family} {', '.join(map(str, numbers))}" for family, numbers in seeds.items()))
    scores: list[dict] = []
    with ExitStack() as stack:
        folder = keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        for family in chosen:
            challenges = []
            for number in range(clips):
                challenges.append(make(family, number, folder))
                scores += measure(model, challenges[-1], methods)
            if pictures:
                picture_worst(pictures, challenges, scores, methods)
    click.echo(f"{table(scores)}\n{entry_table(scores)}")
    if json_file:
        record = {"machine": machine(), "models": model.names, "seeds": seeds, "scores": scores}
        json_file.write_text(json.dumps(record, indent=1) + "\n")


def methods_of(names: str) -> list[str]:
    """The methods of a list with commas."""
    methods = [name.strip() for name in names.split(",")]
    if unknown := set(methods) - set(METHODS):
        raise click.BadParameter(f"no method is called {', '.join(sorted(unknown))}; there are {', '.join(METHODS)}")
    return methods


if __name__ == "__main__":
    main()
