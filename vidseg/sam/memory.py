"""What one object remembers. Everything that lives from frame to frame is in `MemoryBank`, and all of it is bounded.

SAM 2 section 4 ("Memory bank"): conditioning frames (those that were prompted), the spatial memories of the most
recent frames, and the object pointers of some more. Numbers as in `sam2.modeling.sam2_base.SAM2Base`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from vidseg.sam.upload import on_device

# Conditioning frames that an object keeps; the closest in time stay. The stock predictor has no limit by default, so
# the two agree exactly up to this many prompts per object.
MAX_CONDITIONING = 8


@dataclass
class Memory:
    """One object on one past frame.

    Attributes:
        features: [64, h, w] bfloat16, what the memory encoder made of the frame and the mask
            (bfloat16 in every run, as the stock predictor stores them).
        pointer: [C] float, SAM's output token for the object.
    """

    features: Tensor
    pointer: Tensor


@dataclass
class MemoryBank:
    """The memories of one object, by frame number.

    Attributes:
        recent_size: how many recent frames keep their spatial features (6 for SAM 2.1).
        pointer_size: how many recent frames keep their object pointer (15 for SAM 2.1).
        conditioning: prompted frames.
        recent: the latest propagated frame with its spatial features, and the `recent_size` frames before it
            (so that the latest can be corrected, which reads only those before it).
        pointers: object pointers of the latest propagated frame and the `pointer_size` before it.
        latest: number of the last frame the object was prompted or propagated on.
        logits: [h, w] low-resolution mask logits of that frame; a correction starts from them.
    """

    recent_size: int
    pointer_size: int
    conditioning: dict[int, Memory] = field(default_factory=dict)
    recent: dict[int, Memory] = field(default_factory=dict)
    pointers: dict[int, Tensor] = field(default_factory=dict)
    latest: int = -1
    logits: Tensor | None = None

    def add_conditioning(self, index: int, memory: Memory) -> None:
        """Remember a prompted frame. Of more than `MAX_CONDITIONING`, the one farthest from it is forgotten."""
        self.conditioning[index] = memory
        self.recent.pop(index, None)
        self.pointers.pop(index, None)
        while len(self.conditioning) > MAX_CONDITIONING:
            del self.conditioning[max(self.conditioning, key=lambda t: abs(t - index))]

    def add_recent(self, index: int, memory: Memory) -> None:
        """Remember a propagated frame; forget those that are too far away by now."""
        self.recent[index] = memory
        self.pointers[index] = memory.pointer
        for kept, size in ((self.recent, self.recent_size), (self.pointers, self.pointer_size)):
            for t in [t for t in kept if abs(t - index) > size]:
                del kept[t]

    def spatial(self, index: int, reverse: bool) -> list[tuple[int, Memory]]:
        """Memories whose spatial features frame `index` attends to, each with its row of `maskmem_tpos_enc`.

        Conditioning frames come first and share the last row; of the recent ones, the frame before has row 0.
        """
        last_row = self.recent_size
        read = [(last_row, memory) for memory in self.conditioning.values()]
        for distance in range(self.recent_size, 0, -1):
            memory = self.recent.get(index + distance if reverse else index - distance)
            if memory is not None:
                read.append((distance - 1, memory))
        return read

    def object_pointers(self, index: int, reverse: bool) -> list[tuple[int, Tensor]]:
        """Object pointers that frame `index` attends to, each with its distance in frames, positive into the past."""
        sign = -1 if reverse else 1
        read = [
            ((index - t) * sign, memory.pointer) for t, memory in self.conditioning.items() if (index - t) * sign >= 0
        ]
        for distance in range(1, self.pointer_size + 1):
            pointer = self.pointers.get(index - sign * distance)
            if pointer is not None:
                read.append((distance, pointer))
        return read


def stack_memories(
    banks: Sequence[MemoryBank], index: int, reverse: bool, device: torch.device
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """What frame `index` reads from B banks of one shape, as `vidseg.sam.step.Step.read` takes it.

    Returns:
        Spatial memories, their rows of `maskmem_tpos_enc`, object pointers, and their distances in frames.
    """
    spatial = [bank.spatial(index, reverse) for bank in banks]
    pointers = [bank.object_pointers(index, reverse) for bank in banks]
    return (
        torch.stack([torch.cat([memory.features.flatten(1) for _, memory in read], 1) for read in spatial]),
        on_device([[row for row, _ in read] for read in spatial], device),
        torch.stack([torch.stack([pointer for _, pointer in read]) for read in pointers]),
        on_device([[distance for distance, _ in read] for read in pointers], device),
    )
