"""Are the engine's numbers those of `SAM2VideoPredictor`, on real footage?

uv run python -m scripts.benchmarks.parity dog.mp4
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
import torch

import vidseg
from scripts.common import machine
from tests.support import stock
from tests.support.standins import save_grounding_dino, save_sam
from vidseg.detection.base import best_score
from vidseg.io.clip import Clip
from vidseg.model import Model
from vidseg.prompts.geometry import Box, MaskPrompt, Points
from vidseg.sam.frame import FrameMasks

BACKWARD = 5  # id of the object that is followed backwards
SHORTEST = 17  # frames: the stock predictor scales pointer times by the length of clips under 16 frames


@dataclass(frozen=True)
class Life:
    """An object of the comparison.

    Attributes:
        prompts: by frame.
        last: the frame it is followed to.
    """

    prompts: dict[int, Box | Points | MaskPrompt]
    last: int


Ours = dict[tuple[int, int], tuple[FrameMasks, int]]  # by object and frame: the masks of the frame, and its row in them


def lives_of(width: int, height: int, frames: int) -> dict[int, Life]:
    """Four objects that go forwards, by box, clicks, mask and box, and one that goes backwards."""
    inside = np.zeros((height, width), bool)
    inside[height // 4 : height // 2, width // 3 : width // 2] = True

    def box(x1: float, y1: float, x2: float, y2: float) -> Box:
        return Box((x1 * width, y1 * height, x2 * width, y2 * height))

    clicks = Points(((0.5 * width, 0.5 * height), (0.1 * width, 0.1 * height)), (1, 0))
    return {
        1: Life({0: box(0.3, 0.2, 0.6, 0.8)}, 12),
        2: Life({0: clicks, 6: Points(((0.6 * width, 0.5 * height),), (1,))}, frames - 1),
        3: Life({3: MaskPrompt(inside)}, frames - 1),
        4: Life({9: box(0.1, 0.5, 0.3, 0.9)}, frames - 1),
        BACKWARD: Life({frames - 1: box(0.3, 0.2, 0.6, 0.8)}, 0),
    }


def load(weights: str) -> Model:
    """The model; full-size checkpoints are written in Meta's and transformers' layout and read as a user's."""
    if weights == "demo":
        return vidseg.load("demo", device="cpu", dtype="float32")
    with tempfile.TemporaryDirectory() as folder:
        sam = save_sam(stock.FULL, Path(folder) / "sam2.1_hiera_tiny.pt")
        detector = save_grounding_dino(Path(folder) / "grounding-dino", full_size=True)
        return vidseg.load(sam=sam, detector=detector, device="cpu", dtype="float32")


def forwards(engine: Any, clip: Path, lives: dict[int, Life], frames: int) -> tuple[Ours, list[torch.Tensor]]:
    """Our results of the objects that go forwards, and the pixels of all frames as the network takes them."""
    ours: Ours = {}
    pixels: list[torch.Tensor] = []
    original = engine.embed_tensor

    def noting(tensor: torch.Tensor, *size: int):
        pixels.append(tensor)
        return original(tensor, *size)

    engine.embed_tensor = noting
    for frame in Clip(clip).frames():
        t = frame.index
        if t == max(frames, SHORTEST):
            break
        features = engine.embed(frame.image)
        if t >= frames:
            continue
        begin = {i: life.prompts[t] for i, life in lives.items() if min(life.prompts) == t}
        correct = {i: life.prompts[t] for i, life in lives.items() if t in life.prompts and i not in begin}
        parts = [
            engine.prompt(features, t, begin) if begin else None,
            engine.step(features, t),
            engine.prompt(features, t, correct) if correct else None,
        ]
        for part in parts:
            ours |= {(i, t): (part, row) for row, i in enumerate(part.ids if part else [])}
        for i in [i for i, life in lives.items() if life.last == t and i in engine.banks]:
            engine.discard(i)
    return ours, pixels


def backwards(engine: Any, pixels: list[torch.Tensor], size: tuple[int, int], life: Life) -> Ours:
    """Our results of the object that goes backwards."""
    ours: Ours = {}
    for t in range(max(life.prompts), life.last - 1, -1):
        features = engine.embed_tensor(pixels[t], *size)
        part = engine.step(features, t, reverse=True)
        if not part:
            part = engine.prompt(features, t, {BACKWARD: life.prompts[t]}, reverse=True)
        ours[BACKWARD, t] = part, 0
    return ours


def stock_state(predictor: Any, pixels: torch.Tensor, size: tuple[int, int], object_id: int, life: Life) -> dict:
    """The stock predictor's state after it has followed one object."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        state = stock.start(predictor, pixels, *size, monkeypatch)
        for number, (t, prompt) in enumerate(sorted(life.prompts.items())):
            if number:  # as a user does: look at the result up to there, then correct it
                stock.propagate(predictor, state, max_frame_num_to_track=t)
            stock.add_prompt(predictor, state, t, object_id, prompt)
        start = max(life.prompts) + (len(life.prompts) > 1)
        backward = object_id == BACKWARD
        distance = abs(life.last - start)
        stock.propagate(predictor, state, start_frame_idx=start, reverse=backward, max_frame_num_to_track=distance)
    return state


class Differences:
    """The largest relative differences so far.

    Attributes:
        worst: by name of what is compared.
        specks: pixels that only one side has filled.
    """

    def __init__(self) -> None:
        self.worst: dict[str, float] = {}
        self.specks = 0

    def add(self, part: FrameMasks, row: int, expected: dict[str, torch.Tensor]) -> None:
        """Compare one object on one frame."""
        logits = expected["pred_masks"][0, 0]
        speck = filled_once(part.logits[row], logits)
        self.specks += int(speck.sum())
        self._note("logits", part.logits[row].masked_fill(speck, 0), logits.masked_fill(speck, 0), 0.0)
        self._note("scores", part.object_scores[row], expected["object_score_logits"][0, 0], 1.0)
        self._note("pointers", part.pointers[row], expected["obj_ptr"][0], 0.0)

    def _note(self, name: str, mine: torch.Tensor, theirs: torch.Tensor, floor: float) -> None:
        relative = float((mine - theirs).abs().max() / theirs.abs().max().clamp(min=floor))
        self.worst[name] = max(self.worst.get(name, 0.0), relative)


def filled_once(mine: torch.Tensor, theirs: torch.Tensor) -> torch.Tensor:
    """Pixels [h, w] in holes that one side has filled (with 0.1), and the other not: its logits there are about 0."""
    near = 1e-4 * theirs.abs().max()
    return ((mine == 0.1) & (theirs.abs() < near)) | ((theirs == 0.1) & (mine.abs() < near))


@click.command()
@click.argument("clip", type=click.Path(exists=True, path_type=Path))
@click.option("--frames", default=24, show_default=True)
@click.option(
    "--weights",
    default="random",
    type=click.Choice(["random", "demo"]),
    show_default=True,
    help="Hiera tiny with random weights, or the bundled pair.",
)
def main(clip: Path, frames: int, weights: str) -> None:
    """Logits, object scores and pointers against `SAM2VideoPredictor`, on real footage, in float32.

    Four objects come on frames 0, 0, 3 and 9 (by box, clicks, mask and box), the one by clicks is corrected on frame 6,
    and the first leaves after frame 12; then one object by box, backwards.
    """
    model, first = load(weights), next(iter(Clip(clip).frames())).image
    began = time.perf_counter()
    found = model.detector.detect(first, ["dog", "ball"])
    click.echo(
        f"{machine()}\nGrounding DINO: {len(found)} boxes, best score {best_score(found):.3f}, "
        f"{time.perf_counter() - began:.1f} s"
    )
    size = first.shape[0], first.shape[1]
    lives = lives_of(size[1], size[0], frames)
    engine = model.propagator()
    ours, pixels = forwards(engine, clip, {i: life for i, life in lives.items() if i != BACKWARD}, frames)
    ours |= backwards(model.propagator(), pixels, size, lives[BACKWARD])
    config = stock.FULL if weights == "random" else stock.SMALL
    predictor = stock.stock_predictor(config, engine.network.state_dict())
    differences = Differences()
    for i, life in lives.items():
        state, shown = stock_state(predictor, torch.cat(pixels), size, i, life), 0
        for (object_id, t), (part, row) in ours.items():
            if object_id == i:
                differences.add(part, row, stock.result(state, i, t))
                shown += int((part.logits[row] > 0).any())
        largest = ", ".join(f"{name} {value:.1e}" for name, value in differences.worst.items())
        click.echo(
            f"object {i}: prompts on {sorted(life.prompts)}, visible on {shown} frames; largest relative differences "
            f"so far: {largest}; pixels filled on one side only: {differences.specks}"
        )


if __name__ == "__main__":
    main()
