"""How well objects are told apart by their looks: what the similarities in `vidseg.tracking.options` rest on.

    uv run python -m scripts.challenge.calibrate

Objects of fresh clips of the demo world are prompted anew every half second with their true boxes, and compared with
what tracking had noted of all objects at least half a second before: by `appearance_embedding` (features under the
mask), and by SAM 2's object pointers. AUC is the share of pairs (same, different) in which the same object is the more
similar one.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import torch
import torch.nn.functional as F

import vidseg
from scripts.demo_models.world.clips import random_scene, write_scenes
from scripts.detections import boxes_of, ids_of, masks_of
from vidseg.io.clip import Clip
from vidseg.model import Model
from vidseg.tracking.appearance import appearance_embedding
from vidseg.tracking.options import THRESHOLDS

STEP = 12  # frames between two looks
SMALLEST = 600  # pixels that must be visible of an object


@dataclass(frozen=True)
class Note:
    """What an object looks like on a frame.

    Attributes:
        id: of the object.
        frame: number of the frame.
        appearance: features under its mask, of unit length.
        pointer: its object pointer, of unit length.
    """

    id: int
    frame: int
    appearance: torch.Tensor
    pointer: torch.Tensor


def notes(model: Model, clip: Path, truth: Path) -> tuple[list[Note], list[Note]]:
    """What tracking notes, and what prompts show."""
    noted: list[Note] = []
    shown: list[Note] = []
    engine = model.propagator()
    for frame, true in zip(Clip(clip).frames(), vidseg.read_tracks(truth)):
        features, found = engine.embed(frame.image), true.detections
        boxes = {
            i: box for i, box, mask in zip(ids_of(found), boxes_of(found), masks_of(found)) if mask.sum() >= SMALLEST
        }
        masks = engine.step(features, frame.index) if frame.index else engine.prompt(features, 0, boxes)
        if frame.index % STEP:
            continue
        for into, part in ((noted, masks), (shown, model.propagator().prompt(features, frame.index, boxes))):
            if part is None:
                continue
            for row, i in enumerate(part.ids):
                if (part.logits[row] > 0).any():
                    embedding = appearance_embedding(features.top, part.logits[row])
                    into.append(Note(i, frame.index, embedding, F.normalize(part.pointers[row], dim=0)))
    return noted, shown


class Similarities:
    """How similar the same and different objects are, by kind: "appearance" or "pointer"."""

    KINDS = ("appearance", "pointer")

    def __init__(self) -> None:
        self._values: dict[tuple[str, bool], list[float]] = {
            (k, same): [] for k in self.KINDS for same in (True, False)
        }

    def add(self, noted: list[Note], shown: list[Note]) -> None:
        """Compare what prompts of a clip show with what was noted of each object well before."""
        for now in shown:
            for other in {note.id for note in noted}:
                past = [note for note in noted if note.id == other and note.frame <= now.frame - STEP]
                for kind in self.KINDS if past else ():
                    best = max(float(getattr(now, kind) @ getattr(note, kind)) for note in past)
                    self._values[kind, now.id == other].append(best)

    def of(self, kind: str) -> tuple[np.ndarray, np.ndarray]:
        """Similarities of same objects, and of different ones."""
        return np.array(self._values[kind, True]), np.array(self._values[kind, False])


@click.command()
@click.option("--clips", default=6, show_default=True)
@click.option("--seed", default=777, show_default=True)
def main(clips: int, seed: int) -> None:
    """Print how similar the same and different objects are."""
    model, similar = vidseg.load("demo", device="cpu"), Similarities()
    for number in range(clips):
        with tempfile.TemporaryDirectory() as folder:
            scene = random_scene(seed * 1000 + number, frames=60)
            similar.add(*notes(model, *write_scenes(Path(folder), "clip", [scene])))
    for kind in Similarities.KINDS:
        same, different = similar.of(kind)
        click.echo(
            f"{kind}: same object {same.mean():.3f} (5 % below {np.quantile(same, 0.05):.3f}), "
            f"different ones {different.mean():.3f} (5 % above {np.quantile(different, 0.95):.3f}), "
            f"AUC {(same[:, None] > different).mean():.3f}, {len(same)} and {len(different)} pairs"
        )
    same, different = similar.of("appearance")
    alike = THRESHOLDS.reid_similarity
    click.echo(
        f"at {alike}: {100 * (same >= alike).mean():.0f} % of the same are recognised, "
        f"{100 * (different >= alike).mean():.0f} % of others are taken for it"
    )


if __name__ == "__main__":
    main()
