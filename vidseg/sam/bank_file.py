"""Memory banks on disk: what a run needs to go on where it stopped, bit for bit.

One safetensors file. Its tensors are named `<object id>/<what>/<frame>…`, where `what` is `conditioning` or `recent`
(with `/features` and `/pointer`), `pointers`, or `logits`; its metadata says on which frame each object was last.
"""

from __future__ import annotations

import json
import os

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from vidseg.errors import InputError
from vidseg.io.files import atomic_output
from vidseg.sam.memory import Memory, MemoryBank

FORMAT = "vidseg-memory-banks 1"


def write_banks(path: str | os.PathLike, banks: dict[int, MemoryBank]) -> None:
    """Write all banks, in the order of the dictionary; the file appears when it is complete. Raises OSError."""
    tensors, objects = {}, []
    for object_id, bank in banks.items():
        for kind in ("conditioning", "recent"):
            for t, memory in getattr(bank, kind).items():
                tensors[f"{object_id}/{kind}/{t}/features"] = memory.features
                tensors[f"{object_id}/{kind}/{t}/pointer"] = memory.pointer
        for t, pointer in bank.pointers.items():
            tensors[f"{object_id}/pointers/{t}"] = pointer
        if bank.logits is not None:
            tensors[f"{object_id}/logits"] = bank.logits
        objects.append(
            {
                "id": object_id,
                "latest": bank.latest,
                # The order in which memories are read is the order in which they came; a safetensors file sorts its tensors.
                **{kind: list(getattr(bank, kind)) for kind in ("conditioning", "recent", "pointers")},
            }
        )
    # A pointer is part of two lists, and rows of a batch can share storage: the file wants each tensor by itself.
    tensors = {
        name: value.detach().cpu().clone(memory_format=torch.contiguous_format) for name, value in tensors.items()
    }
    with atomic_output(path) as temporary:
        save_file(tensors, temporary, metadata={"format": FORMAT, "objects": json.dumps(objects)})


def read_banks(
    path: str | os.PathLike, empty: MemoryBank, shapes: dict[str, tuple[int, ...]], device
) -> dict[int, MemoryBank]:
    """Read what `write_banks` wrote.

    Args:
        empty: a bank of the network that will use them; its sizes are taken over.
        shapes: of `features`, `pointer` and `logits` in that network.
        device: where the tensors go.

    Raises:
        InputError: the file is missing, is something else, or comes from another network.
    """
    try:
        with safe_open(path, framework="pt", device=str(device)) as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}
        if metadata.get("format") != FORMAT:
            raise ValueError("it is some other safetensors file")
        return {entry["id"]: bank_of(entry, tensors, empty, shapes) for entry in json.loads(metadata["objects"])}
    except Exception as error:  # safetensors and json raise their own, a damaged file any of them
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise InputError(f"{path}: no memory banks for this model can be read from it ({reason})") from None


def bank_of(
    entry: dict, tensors: dict[str, Tensor], empty: MemoryBank, shapes: dict[str, tuple[int, ...]]
) -> MemoryBank:
    """One bank from its entry in the metadata. Raises ValueError or KeyError if the file does not hold what it says."""

    def tensor(name: str, kind: str) -> Tensor:
        value = tensors[f"{entry['id']}/{name}"]
        if tuple(value.shape) != shapes[kind]:
            raise ValueError(f"{kind} of shape {list(value.shape)}, not {list(shapes[kind])}: another network wrote it")
        return value

    bank = MemoryBank(empty.recent_size, empty.pointer_size, latest=entry["latest"])
    for kind in ("conditioning", "recent"):
        getattr(bank, kind).update(
            {
                t: Memory(tensor(f"{kind}/{t}/features", "features"), tensor(f"{kind}/{t}/pointer", "pointer"))
                for t in entry[kind]
            }
        )
    bank.pointers.update({t: tensor(f"pointers/{t}", "pointer") for t in entry["pointers"]})
    if f"{entry['id']}/logits" in tensors:
        bank.logits = tensor("logits", "logits")
    return bank
