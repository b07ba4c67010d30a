"""Devices and number formats: which there are, and which of them "auto" stands for on this machine."""

from __future__ import annotations

import time

from vidseg.errors import ModelError

DEVICES = ("auto", "cpu", "cuda", "mps")
DTYPES = ("auto", "float32", "bfloat16")


def resolve_device(device: str) -> str:
    """The device to run on: `device` itself, or the best there is for "auto".

    Raises:
        ModelError: there is no such device, or this machine does not have it.
    """
    import torch

    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if device == "auto":
        return next(kind for kind, is_there in available.items() if is_there)
    kind = device.partition(":")[0]
    if kind not in available:
        raise ModelError(f"no device is called {device!r}; there are {', '.join(DEVICES)}")
    if not available[kind]:
        raise ModelError(f"this machine has no {kind} device that torch can use; try --device cpu")
    try:
        index = torch.device(device).index
    except RuntimeError:
        raise ModelError(
            f"no device is called {device!r}; there are {', '.join(DEVICES)}, and cuda:0, cuda:1, …"
        ) from None
    # torch's stubs type the index as int, but it is None for a device without a number.
    if kind == "cuda" and ":" in device and index >= torch.cuda.device_count():
        raise ModelError(f"there is no {device} on this machine, which has {torch.cuda.device_count()} cuda devices")
    return device


def check_dtype(dtype: str) -> None:
    """Raises ModelError if there is no such number format."""
    if dtype not in DTYPES:
        raise ModelError(f"no dtype is called {dtype!r}; there are {', '.join(DTYPES)}")


def is_bfloat16_faster(device: str) -> bool:
    """Whether matrices multiply clearly faster in bfloat16 than in float32 on a device.

    On a CPU this takes a measurement of some 50 ms, because its instruction set does not tell: of two processors with
    instructions for bfloat16, one multiplies four times as fast with them as in float32, the other half as fast. A
    processor without them takes a hundred times as long.
    """
    import torch

    if device.partition(":")[0] == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device != "cpu":
        return False
    in_float32, in_bfloat16 = time_matmuls(128)
    if in_bfloat16 > 4 * in_float32:
        return False  # no instructions for it: larger products would take seconds
    in_float32, in_bfloat16 = time_matmuls(768)
    return in_bfloat16 * 1.5 < in_float32


def time_matmuls(side: int) -> tuple[float, float]:
    """Time the product of two matrices on the CPU, in float32 and in bfloat16.

    Args:
        side: rows and columns of the matrices.

    Returns:
        Seconds in float32 and in bfloat16, the best of four each.
    """
    import torch

    matrices = [torch.ones(side, side, dtype=dtype) for dtype in (torch.float32, torch.bfloat16)]
    best = [float("inf"), float("inf")]
    for _ in range(4):
        for i, matrix in enumerate(matrices):  # in turn, so that other work on the machine slows both
            began = time.perf_counter()
            torch.mm(matrix, matrix)
            best[i] = min(best[i], time.perf_counter() - began)
    return best[0], best[1]
