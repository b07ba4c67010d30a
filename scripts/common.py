"""What many scripts need: where the repository is, the machine in words, and a clock that waits for a GPU."""

from __future__ import annotations

import os
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = ROOT / "samples"
PARK = SAMPLES / "park.mp4"


def machine() -> str:
    """The machine in a few words."""
    import torch

    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{cores()}{gpu}, torch {torch.__version__}"


def cores() -> str:
    """How many processor cores there are, and of which model."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "CPU")
    return f"{os.cpu_count()} cores of {model}"


def clock(cuda: bool) -> float:
    """Now, in seconds, when the GPU has done what it was told."""
    import torch

    if cuda:
        torch.cuda.synchronize()
    return time.perf_counter()


def plural(count: int, noun: str) -> str:
    """A count with its noun."""
    return f"{count} {noun}{'s' * (count != 1)}"


def resident_mib(process: int | str = "self") -> float:
    """Resident memory of a process, by its id, in MiB."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:"))
