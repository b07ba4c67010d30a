"""How many objects can go through the network together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from sam2.modeling.sam2_base import SAM2Base

CPU_BUDGET = 2 << 30  # bytes; a larger batch is no faster on a CPU
UNKNOWN = 1 << 30  # bytes that are taken for free where the system does not say
# Objects in a batch of a compiled step, largest first. Every size is compiled once, which takes a minute, so there are
# few. Objects that do not fill a batch go in smaller ones: a padded batch would cost as much as a full one, and one
# object of the real networks is enough to keep a GPU busy.
COMPILED_SIZES = (8, 4, 2, 1)


def split_batches(ids: list[int], limit: int, compiled: bool) -> Iterator[list[int]]:
    """Objects in batches of at most `limit`; for a compiled step, only of the sizes in `COMPILED_SIZES`."""
    start = 0
    while start < len(ids):
        size = min(limit, len(ids) - start)
        if compiled:
            size = next(fitting for fitting in COMPILED_SIZES if fitting <= size)
        yield ids[start : start + size]
        start += size


def batch_limit(network: SAM2Base, memories: int, device: torch.device) -> int:
    """How many objects with that many spatial memories each may share a batch: half of the free memory is for them."""
    free = free_memory(device)
    budget = min(free // 2, CPU_BUDGET) if device.type == "cpu" else free // 2
    return max(1, budget // bytes_per_object(network, memories))


def bytes_per_object(network: SAM2Base, memories: int) -> int:
    """Memory that one more object in a batch takes at its peak, in float32, generously."""
    side, grid_size, width = network.image_size, network.sam_image_embedding_size, network.hidden_dim
    tokens, keys = grid_size * grid_size, memories * grid_size * grid_size
    # Memory attention: memories and their places, keys before and after their rotation, the stream of tokens.
    attention = keys * (4 * network.mem_dim + 3 * width) + tokens * 8 * width
    # Mask decoder and memory encoder: masks at full size and the first layers of the downsampler; four masks at stride
    # 4 with an eighth of the channels.
    masks = 8 * side * side + (4 * grid_size) ** 2 * (width // 8) * 4
    return 4 * (attention + masks)


def free_memory(device: torch.device) -> int:
    """Bytes that could be asked for now."""
    if device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + unused
    try:
        with open("/proc/meminfo") as lines:
            return next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):  # only Linux has the file
        return UNKNOWN
