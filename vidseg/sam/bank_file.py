"""Memory banks as plain tensors and metadata, and as a file: what a run needs to continue bit for bit.

Tensors are named `<object id>/<kind>/<frame>…`, where `kind` is `conditioning` or `recent` (each with `/features` and
`/pointer`), `pointers`, or `logits`. The metadata has one entry per object, in the order of the banks: its id, the
frame it was last on, and the frames of each kind in the order in which they are read. A file is one safetensors file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from vidseg.errors import InputError
from vidseg.io.files import atomic_output
from vidseg.sam.memory import Memory, MemoryBank

if TYPE_CHECKING:
    from sam2.modeling.sam2_base import SAM2Base

FORMAT = "vidseg-memory-banks 1"


def state_of_banks(banks: Mapping[int, MemoryBank]) -> tuple[dict[str, Tensor], list[dict[str, Any]]]:
    """The tensors of all banks by name, and the metadata.

    Every tensor is on the CPU, contiguous, and has memory of its own, as a safetensors file wants it: a pointer can be
    in two places of a bank, and rows of a batch share memory.
    """
    tensors: dict[str, Tensor] = {}
    metadata: list[dict[str, Any]] = []
    for object_id, bank in banks.items():
        for kind, memories in (("conditioning", bank.conditioning), ("recent", bank.recent)):
            for index, memory in memories.items():
                tensors[f"{object_id}/{kind}/{index}/features"] = memory.features
                tensors[f"{object_id}/{kind}/{index}/pointer"] = memory.pointer
        for index, pointer in bank.pointers.items():
            tensors[f"{object_id}/pointers/{index}"] = pointer
        if bank.logits is not None:
            tensors[f"{object_id}/logits"] = bank.logits
        metadata.append(
            {
                "id": object_id,
                "latest": bank.latest,
                "conditioning": list(bank.conditioning),
                "recent": list(bank.recent),
                "pointers": list(bank.pointers),
            }
        )
    own = {name: value.detach().cpu().clone(memory_format=torch.contiguous_format) for name, value in tensors.items()}
    return own, metadata


def banks_from_state(
    tensors: Mapping[str, Tensor],
    metadata: Sequence[Mapping[str, Any]],
    empty: MemoryBank,
    shapes: Mapping[str, tuple[int, ...]],
    device: torch.device,
) -> dict[int, MemoryBank]:
    """The banks that `state_of_banks` took apart.

    Args:
        tensors: by name.
        metadata: one entry per object.
        empty: a bank of the network that will use them; its sizes are taken over.
        shapes: of `features`, `pointer` and `logits` in that network.
        device: where the tensors go.

    Raises:
        InputError: something is missing or malformed, or comes from another network.
    """
    try:
        return {entry["id"]: _bank(entry, tensors, empty, shapes, device) for entry in metadata}
    except (ValueError, TypeError, AttributeError, KeyError) as error:  # whatever damaged metadata leads to
        raise unreadable(error) from None


def _bank(
    entry: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    empty: MemoryBank,
    shapes: Mapping[str, tuple[int, ...]],
    device: torch.device,
) -> MemoryBank:
    """One bank from its entry in the metadata. Raises ValueError or KeyError if the tensors are not what it says."""

    def tensor(name: str, kind: str) -> Tensor:
        value = tensors[f"{entry['id']}/{name}"]
        if tuple(value.shape) != shapes[kind]:
            raise ValueError(f"{kind} of shape {list(value.shape)}, not {list(shapes[kind])}: another network wrote it")
        return value.to(device)

    def memories(kind: str) -> dict[int, Memory]:
        return {
            index: Memory(tensor(f"{kind}/{index}/features", "features"), tensor(f"{kind}/{index}/pointer", "pointer"))
            for index in entry[kind]
        }

    return MemoryBank(
        empty.recent_size,
        empty.pointer_size,
        conditioning=memories("conditioning"),
        recent=memories("recent"),
        pointers={index: tensor(f"pointers/{index}", "pointer") for index in entry["pointers"]},
        latest=entry["latest"],
        logits=tensor("logits", "logits") if f"{entry['id']}/logits" in tensors else None,
    )


def shapes_of(network: SAM2Base) -> dict[str, tuple[int, ...]]:
    """Shapes of `features`, `pointer` and `logits` in the banks of a network."""
    grid_size = network.sam_image_embedding_size
    return {
        "features": (network.mem_dim, grid_size, grid_size),
        "pointer": (network.hidden_dim,),
        "logits": (4 * grid_size, 4 * grid_size),
    }


def write_state(
    path: str | os.PathLike[str], tensors: dict[str, Tensor], metadata: Sequence[Mapping[str, Any]]
) -> None:
    """Write what `state_of_banks` returns; the file appears when it is complete. Raises OSError."""
    with atomic_output(path) as temporary:
        # The metadata keeps the order of the memories: a safetensors file sorts its tensors.
        save_file(tensors, temporary, metadata={"format": FORMAT, "objects": json.dumps(metadata)})


def read_state(path: str | os.PathLike[str]) -> tuple[dict[str, Tensor], list[dict[str, Any]]]:
    """Read what `write_state` wrote: tensors by name, and the metadata.

    Raises:
        InputError: the file is missing, damaged, or something else.
    """
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - safe_open returns no mapping
        if header.get("format") != FORMAT:
            raise ValueError("it is some other safetensors file")
        return tensors, json.loads(header["objects"])
    except Exception as error:  # safetensors and json raise their own, a damaged file any of them
        raise unreadable(error) from None


def unreadable(error: Exception) -> InputError:
    """What to raise where there should be memory banks."""
    reason = next(iter(str(error).splitlines()), type(error).__name__)
    return InputError(f"no memory banks for this model can be read from it ({reason})")
