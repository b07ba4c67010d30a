"""How well objects are told apart by their looks: what the thresholds of `vidseg.tracking.matching` rest on.

    uv run python -m scripts.challenge.calibrate

Objects of fresh clips of the demo world are prompted anew every half second with their true boxes, and compared with what
tracking had noted of all objects at least half a second before: by `look_of` (features under the mask), and by SAM 2's
object pointers. AUC is the share of pairs (same, different) in which the same object is the more similar one.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import click
import numpy as np
import torch.nn.functional as F

import vidseg
from scripts.demo_models.world.clips import random_scene, write_scenes
from vidseg.io.clip import Clip
from vidseg.prompts.geometry import Box
from vidseg.tracking.matching import ALIKE, look_of

STEP = 12  # frames between two looks
SMALLEST = 600  # pixels that must be visible of an object


def looks(model, clip: Path, truth: Path) -> tuple[list, list]:
    """What tracking notes, and what prompts show: lists of (id, frame, look, pointer)."""
    noted, shown = [], []
    engine = model.propagator()
    for frame, true in zip(Clip(clip).frames(), vidseg.read_tracks(truth)):
        features, found = engine.embed(frame.image), true.detections
        boxes = {
            int(i): Box(tuple(map(float, box)))
            for i, box, mask in zip(found.tracker_id, found.xyxy, found.mask)
            if mask.sum() >= SMALLEST
        }
        masks = engine.step(features, frame.index) if frame.index else engine.prompt(features, 0, boxes)
        if frame.index % STEP:
            continue
        for into, part in ((noted, masks), (shown, model.propagator().prompt(features, frame.index, boxes))):
            for row, i in enumerate(part.ids):
                if (part.logits[row] > 0).any():
                    into.append(
                        (
                            i,
                            frame.index,
                            look_of(features.top, part.logits[row]),
                            F.normalize(part.pointers[row], dim=0),
                        )
                    )
    return noted, shown


@click.command()
@click.option("--clips", default=6, show_default=True)
@click.option("--seed", default=777, show_default=True)
def main(clips: int, seed: int) -> None:
    """Print how similar the same and different objects are."""
    model = vidseg.load("demo", device="cpu")
    similar = {("look", True): [], ("look", False): [], ("pointer", True): [], ("pointer", False): []}
    for number in range(clips):
        with tempfile.TemporaryDirectory() as folder:
            write_scenes(Path(folder), "clip", [random_scene(seed * 1000 + number, frames=60)], 360, 640)
            noted, shown = looks(model, Path(folder) / "clip.mp4", Path(folder) / "clip.truth.jsonl")
        for i, t, *vectors in shown:
            for other in {j for j, *_ in noted}:
                past = [v for j, when, *v in noted if j == other and when <= t - STEP]
                for place, name in enumerate(("look", "pointer") if past else ()):
                    similar[name, i == other].append(max(float(vectors[place] @ v[place]) for v in past))
    for name in ("look", "pointer"):
        same, different = (np.array(similar[name, truth]) for truth in (True, False))
        print(
            f"{name}: same object {same.mean():.3f} (5 % below {np.quantile(same, 0.05):.3f}), different ones {different.mean():.3f} "
            f"(5 % above {np.quantile(different, 0.95):.3f}), AUC {(same[:, None] > different).mean():.3f}, {len(same)} and {len(different)} pairs"
        )
    same, different = (np.array(similar["look", truth]) for truth in (True, False))
    print(
        f"at {ALIKE}: {100 * (same >= ALIKE).mean():.0f} % of the same are recognised, {100 * (different >= ALIKE).mean():.0f} % of others are taken for it"
    )


if __name__ == "__main__":
    main()
