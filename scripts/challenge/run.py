"""How well objects are followed by name where it is hard, vidseg against two common loops on the same weights.

    uv run python -m scripts.challenge.run                                   # everything: half an hour and more
    uv run python -m scripts.challenge.run --family twins --family cuts --clips 1 --methods ours
    uv run python -m scripts.challenge.run --keep runs/challenge --json runs/challenge.json --pictures runs/pictures

The clips are made by `challenge_clips.py`, the other methods are in `challenge_baselines.py`. Every result is written as
a tracks file and measured by `vidseg.evaluation.metrics`; `challenge_entries.py` adds how soon it has what comes into the picture,
and `challenge_pictures.py` draws where it is worst. The detector reads the text prompt in all three.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import click
import numpy as np
import supervision as sv

import vidseg
from scripts.benchmarks.pipeline import machine
from scripts.challenge.baselines import Followed, detect_every, single_keyframe
from scripts.challenge.clips import Challenge, make, seed_of
from scripts.challenge.entries import delays, entry_table
from scripts.challenge.families import FAMILIES
from scripts.challenge.pictures import write_strip
from scripts.challenge.plan import HEIGHT, WIDTH
from scripts.demo_models.world.clips import RATE
from vidseg.evaluation.metrics import compare, evaluate
from vidseg.model import Model
from vidseg.tracking.pending import bounds
from vidseg.tracks.file import TracksWriter
from vidseg.tracks.frame import TrackedFrame

FIGURES = (
    "HOTA",
    "DetA",
    "AssA",
    "IDF1",
    "J&F",
    "id switches",
)  # the last is summed up, of the others the mean is taken


def as_tracked(frames: Iterable[Followed]) -> Iterator[TrackedFrame]:
    """What a baseline yields as the records of a tracks file. The confidence, which plays no role here, is 1."""
    for followed in frames:
        ids, frame = sorted(followed.masks), followed.frame
        yield TrackedFrame(
            frame.index,
            frame.time,
            frame.image,
            sv.Detections(
                xyxy=np.array([bounds(followed.masks[i]) for i in ids], np.float32).reshape(-1, 4),
                mask=np.array([followed.masks[i] for i in ids], bool).reshape(-1, *frame.image.shape[:2]),
                confidence=np.ones(len(ids), np.float32),
                tracker_id=np.array(ids, int),
                data={"class_name": np.array([followed.labels[i] for i in ids], dtype=str)},
            ),
        )


OURS = "ours"
# What each method makes of a clip (model, path, phrases): one TrackedFrame a frame.
METHODS: dict[str, Callable[[Model, Path, list[str]], Iterable[TrackedFrame]]] = {
    "keyframe": lambda model, clip, phrases: as_tracked(single_keyframe(model, clip, phrases)),
    "every 20": lambda model, clip, phrases: as_tracked(detect_every(model, clip, phrases)),
    OURS: lambda model, clip, phrases: model.track(clip, prompt=phrases),
}


@contextmanager
def detector_of(model: Model, challenge: Challenge):
    """Let the model see the clip through the detector that the challenge wants."""
    real = model.detector
    model.detector = challenge.wrap(real) if challenge.wrap else real
    try:
        yield
    finally:
        model.detector = real


def score(model: Model, method: str, challenge: Challenge, result: Path) -> dict[str, float]:
    """Track one clip, write the result, and measure it: FIGURES, and the seconds that a frame took."""
    header = {
        "clip": challenge.clip.name,
        "width": WIDTH,
        "height": HEIGHT,
        "frame_rate": f"{RATE}/1",
        "time_base": f"1/{RATE}",
        "prompts": challenge.prompt,
        "models": model.names,
        "vidseg": vidseg.__version__,
    }
    began, frames = time.perf_counter(), 0
    with detector_of(model, challenge), TracksWriter(result, header) as tracks:
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
    """Run methods on a clip. Of each: family, seed, method, figures as of `score`, and the delays of what enters (None: never found)."""
    entries = []
    for method, result in results_of(challenge, methods).items():
        figures = score(model, method, challenge, result)
        click.echo(
            f"{challenge.clip.stem}, {method}: " + ", ".join(f"{k} {v:.3g}" for k, v in figures.items()), err=True
        )
        late = delays(list(compare(result, challenge.truth)), challenge.entries)
        entries.append(
            {
                "family": challenge.family,
                "seed": challenge.seed,
                "method": method,
                **figures,
                "delays": list(late.values()),
            }
        )
    return entries


def picture_worst(folder: Path, challenges: list[Challenge], scores: list[dict], methods: Iterable[str]) -> None:
    """Draw the one of some clips on which OURS has the lowest HOTA."""
    hota = {entry["seed"]: entry["HOTA"] for entry in scores if entry["method"] == OURS}
    worst = min(challenges, key=lambda challenge: hota[challenge.seed])
    click.echo(f"{write_strip(folder, worst, results_of(worst, methods), OURS)}: HOTA {hota[worst.seed]:.3f}", err=True)


@click.command(help=__doc__.split("\n\n")[0])
@click.option(
    "--family", "families", multiple=True, type=click.Choice(list(FAMILIES)), help="Only this one; may be given again."
)
@click.option("--clips", default=3, show_default=True, help="Clips of each family.")
@click.option("--methods", default=",".join(METHODS), show_default=True, help="Which to run, separated by commas.")
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
def main(families, clips, methods, keep, json_file, pictures, sam, detector) -> None:
    methods, families = [name.strip() for name in methods.split(",")], families or list(FAMILIES)
    if unknown := set(methods) - set(METHODS):
        raise click.BadParameter(f"no method is called {', '.join(sorted(unknown))}; there are {', '.join(METHODS)}")
    if pictures and OURS not in methods:
        raise click.BadParameter(f"--pictures shows where {OURS!r} is worst: add it to --methods")
    model = vidseg.load("demo", sam=sam, detector=detector)
    seeds = {family: [seed_of(family, number) for number in range(clips)] for family in families}
    click.echo(f"{machine()}, {model.device}, {model.dtype}")
    click.echo("seeds: " + "; ".join(f"{family} {', '.join(map(str, numbers))}" for family, numbers in seeds.items()))
    scores = []
    with nullcontext(keep) if keep else tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        for family in families:
            challenges = []
            for number in range(clips):
                challenges.append(make(family, number, folder))
                scores += measure(model, challenges[-1], methods)
            if pictures:
                picture_worst(pictures, challenges, scores, methods)
    click.echo(f"{table(scores)}\n{entry_table(scores)}")
    if json_file:
        json_file.write_text(
            json.dumps({"machine": machine(), "models": model.names, "seeds": seeds, "scores": scores}, indent=1) + "\n"
        )


if __name__ == "__main__":
    main()
