"""Train the bundled demo pair from scratch: Grounding DINO and SAM 2.1, one process each, side by side.

    uv run python -m scripts.demo_models.train.pair                    # over five hours on two CPU cores
    uv run python -m scripts.demo_models.train.pair --device cuda --batch-scale 8

Needs Debian's `fonts-noto-color-emoji`. Run it again to go on from the last checkpoints (in `runs/`), with larger
budgets to train longer. At the end both are written into `vidseg/demo/`; `scripts/demo_models/score/clips.py` scores them.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parent
DEMO = SCRIPTS.parent / "vidseg/demo"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sam-minutes", type=float, default=320, help="budget of SAM 2.1, in minutes of one core")
    parser.add_argument("--detector-minutes", type=float, default=189, help="budget of Grounding DINO")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch-scale", type=int, default=1, help="multiplies SAM's clips a step (for a GPU)")
    options = parser.parse_args()
    commands = {
        "sam": [
            "train_sam.py",
            "--minutes",
            options.sam_minutes,
            "--device",
            options.device,
            "--batch-scale",
            options.batch_scale,
        ],
        "detector": ["train_detector.py", "--minutes", options.detector_minutes, "--device", options.device],
    }
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}  # two processes with one thread each beat one with two
    running = {
        name: subprocess.Popen([sys.executable, SCRIPTS / script, *map(str, rest)], env=one_thread)
        for name, (script, *rest) in commands.items()
    }
    failed = [name for name, process in running.items() if process.wait()]
    if failed:
        sys.exit(f"training failed: {', '.join(failed)}")
    subprocess.run([sys.executable, SCRIPTS / "train_sam.py", "--export", DEMO / "sam"], check=True)
    subprocess.run(
        [sys.executable, SCRIPTS / "train_detector.py", "--export-only", "--export", DEMO / "detector"], check=True
    )


if __name__ == "__main__":
    main()
