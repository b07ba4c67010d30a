"""What looking again costs at full size: the loop of `model.track` with and without it, with random weights.

    uv run python -m scripts.benchmarks.redetect --rounds 1

Such networks find nothing and draw nothing that could be followed. So the detector and the propagator run in full here,
and what they say is replaced: boxes by given boxes, masks by the boxes that their objects were prompted with.

The loops that are compared advance in turn, a frame each, so that whatever else the machine does hits all of them.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

import click
import numpy as np
import supervision as sv
import torch

import vidseg
from scripts.benchmarks.frames import FULL_BANK
from scripts.common import machine, plural
from scripts.demo_models.world.clips import RATE, random_scene, write_scenes
from tests.support import stock
from tests.support.standins import save_grounding_dino, save_sam
from vidseg.model import Model
from vidseg.sam.propagator import Propagator

HEIGHT, WIDTH = 720, 960  # of the clip: the detector reads it at 800 × 1066
LOOPS = {  # redetect, and how many new objects the second detection run finds
    "no look": (None, 0),
    "nothing new": (1.0, 0),
    "new object": (1.0, 1),
}


class Scripted:
    """A detector that runs the real one, and then finds what it is told to.

    Args:
        detector: the real one.
        answers: [N, 4] boxes for each call; the last one holds for all that follow.

    Attributes:
        seconds: what each call took.
    """

    SCORE = 0.9  # of every box

    def __init__(self, detector, answers: Sequence[np.ndarray]):
        self.seconds: list[float] = []
        self._detector, self._answers = detector, answers

    def detect(self, image: np.ndarray, phrases: Sequence[str]) -> sv.Detections:
        """Run the real detector, and say what is told."""
        began = time.perf_counter()
        self._detector.detect(image, phrases)
        boxes = self._answers[min(len(self.seconds), len(self._answers) - 1)]
        self.seconds.append(time.perf_counter() - began)
        return sv.Detections(
            xyxy=boxes,
            confidence=np.full(len(boxes), self.SCORE, np.float32),
            class_id=np.zeros(len(boxes), int),
            data={"class_name": np.array([phrases[0]] * len(boxes), dtype=str)},
        )


class Turns:
    """Lets threads work one at a time, in turn.

    Attributes:
        seconds: what each turn took, by name of the thread.
    """

    def __init__(self, names: Sequence[str]):
        self.seconds: dict[str, list[float]] = {name: [] for name in names}
        self._order, self._changed, self._began = deque(names), threading.Condition(), 0.0

    def begin(self, name: str) -> None:
        """Wait for the next turn."""
        with self._changed:
            self._changed.wait_for(lambda: self._order[0] == name)
            self._began = time.perf_counter()

    def end(self, name: str, last: bool = False) -> None:
        """Let the next one go on; for good, if it was the last turn."""
        with self._changed:
            self.seconds[name].append(time.perf_counter() - self._began)
            self._order.popleft()
            if not last:
                self._order.append(name)
            self._changed.notify_all()


class Pinned(Propagator):
    """A propagator that runs the network, and then says that every object still fills the box it was prompted with.

    Args:
        network: as of Propagator.
        dtype: as of Propagator.
        before: called before a frame is encoded.
    """

    def __init__(self, network, dtype: torch.dtype, before: Callable[[], None]):
        super().__init__(network, dtype)
        self._before = before
        self._places: dict[int, tuple[float, ...]] = {}  # by id: x1, y1, x2, y2 in fractions of the frame

    def embed(self, image):
        """As of Propagator."""
        self._before()
        return super().embed(image)

    def prompt(self, features, index, prompts, reverse=False):
        """As of Propagator; the objects stay where their boxes are."""
        size = np.array([features.width, features.height] * 2)
        self._places.update({i: tuple(np.array(box.xyxy) / size) for i, box in prompts.items()})
        return self._pinned(super().prompt(features, index, prompts, reverse))

    def step(self, features, index, reverse=False):
        """As of Propagator."""
        part = super().step(features, index, reverse)
        return part and self._pinned(part)

    def _pinned(self, part):
        logits = torch.full_like(part.logits, -10.0)
        rows, columns = part.logits.shape[1:]
        for plane, object_id in zip(logits, part.ids):
            x1, y1, x2, y2 = self._places[object_id]
            plane[round(y1 * rows) : round(y2 * rows), round(x1 * columns) : round(x2 * columns)] = 10.0
        return replace(
            part,
            logits=logits,
            object_scores=torch.full_like(part.object_scores, 10.0),
            ious=torch.ones_like(part.ious),
        )


@dataclass
class Costs:
    """Seconds of everything measured, one entry each time.

    Attributes:
        frames: propagated frames with full banks.
        calls: calls of the detector.
        runs: runs over a second of the clip, less their calls of the detector, by the name of their loop.
    """

    frames: list[float] = field(default_factory=list)
    calls: list[float] = field(default_factory=list)
    runs: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in LOOPS})


def full_size_model(folder: Path, dtype: str) -> Model:
    """SAM 2.1 hiera tiny and Grounding DINO tiny with random weights, loaded from files as a user's."""
    sam, detector = (
        save_sam(stock.FULL, folder / "sam2.1_hiera_tiny.pt"),
        save_grounding_dino(folder / "grounding-dino", full_size=True),
    )
    return vidseg.load(sam=sam, detector=detector, device="cpu", dtype=dtype)


def places(count: int) -> np.ndarray:
    """Boxes [count, 4] in pixels that do not touch, in rows of five."""
    corners = np.array([(20 + 188 * (i % 5), 20 + 140 * (i // 5)) for i in range(count)])
    return np.hstack([corners, corners + (168, 120)]).astype(np.float32)


def measure(dtype: str, objects: int, rounds: int) -> tuple[Model, Costs]:
    """Go through one second of a clip with all LOOPS, `rounds` times: from a look with empty banks to the next look.

    The last frame is the next look: what it adds is all that looking once a second costs in that second.
    """
    costs = Costs()
    with tempfile.TemporaryDirectory() as folder:
        model = full_size_model(Path(folder), dtype)
        write_scenes(Path(folder), "clip", [random_scene(7, frames=RATE + 1)], HEIGHT, WIDTH)
        model.detector.detect(np.zeros((HEIGHT, WIDTH, 3), np.uint8), ["dog"])  # the first call does more than others
        for _ in range(rounds):
            one_round(model, Path(folder) / "clip.mp4", objects, costs)
    return model, costs


def one_round(model: Model, clip: Path, objects: int, costs: Costs) -> None:
    """Run all LOOPS through a clip at the same time, in turn, and note what they took."""
    turns, engine, real = Turns(list(LOOPS)), model.propagator(), model.detector
    detectors = {
        name: Scripted(real, [places(objects), places(objects + new_objects)])
        for name, (_, new_objects) in LOOPS.items()
    }

    def run(name: str) -> list[int]:
        """Number of objects on each frame."""

        def pause() -> None:
            turns.end(name)
            turns.begin(name)

        turns.begin(name)
        try:
            mine: Any = copy(model)
            mine.detector, mine.propagator = detectors[name], lambda: Pinned(engine.network, engine.dtype, pause)
            return [len(frame.detections) for frame in mine.track(clip, prompt="dog", redetect=LOOPS[name][0])]
        finally:
            turns.end(name, last=True)

    with ThreadPoolExecutor(len(LOOPS)) as pool:
        for name, counts in zip(LOOPS, pool.map(run, LOOPS)):
            check(name, objects, LOOPS[name][1], counts, len(detectors[name].seconds))
            costs.runs[name].append(sum(turns.seconds[name]) - sum(detectors[name].seconds))
            costs.calls += detectors[name].seconds
    # A turn ends before a frame is encoded: the first has none.
    costs.frames += turns.seconds["no look"][1 + FULL_BANK :]


def check(name: str, objects: int, new_objects: int, counts: Sequence[int], calls: int) -> None:
    """Check that a loop did what it is timed for: all runs, and new objects backfilled to the frame after the first."""
    wanted = [objects] + [objects + new_objects] * RATE
    if list(counts) != wanted or calls != (1 if name == "no look" else 2):
        raise RuntimeError(
            f"{name!r} did not run as planned: {calls} calls of the detector, objects on its frames: {list(counts)}, "
            f"not {wanted}"
        )


def report(costs: Costs, objects: int) -> Iterator[str]:
    """The lines to print: parts, and what a look adds to a second of the clip, the detector and the rest."""
    second = RATE * median(costs.frames)
    one = f"a propagated frame of {plural(objects, 'object')}, banks full"
    yield f"{one}: {spread(costs.frames)}; a second of the clip: {second:.1f} s"
    yield f"a call of the detector: {spread(costs.calls)}"
    looks = {
        "nothing new": "a look that finds nothing new",
        "new object": f"a detection run that finds a new object, backfilled over {RATE - 1} frames,",
    }
    for name, what in looks.items():
        added = [
            median(costs.calls) + with_look - without
            for with_look, without in zip(costs.runs[name], costs.runs["no look"])
        ]
        yield f"{what} adds {spread(added)}: {100 * median(added) / second:.0f} % of a second of the clip"


def spread(values: Sequence[float]) -> str:
    return f"median {median(values):.2f} s ({min(values):.2f}–{max(values):.2f}, {len(values)} times)"


@click.command()
@click.option("--objects", default=1, show_default=True, help="Followed from the start; fewer make a look weigh more.")
@click.option("--rounds", default=2, show_default=True)
@click.option(
    "--dtype",
    default="auto",
    type=click.Choice(["auto", "float32", "bfloat16"]),
    show_default=True,
    help="Of SAM; the detector runs in float32.",
)
def main(objects: int, rounds: int, dtype: str) -> None:
    """What `--redetect 1` adds to a single keyframe, with SAM 2.1 hiera tiny at 1024² and Grounding DINO tiny.

    The detector reads 800 × 1066 pixels; the clip has 24 frames/s. Random weights: timing does not depend on them. What
    the networks say is replaced by boxes that stand still.
    """
    model, costs = measure(dtype, objects, rounds)
    click.echo(f"{machine()}, {torch.get_num_threads()} threads; SAM in {model.dtype}")
    for line in report(costs, objects):
        click.echo(line)


if __name__ == "__main__":
    main()
