"""The weights in a SAM 2 checkpoint: which file, read without running code, by the names that the network has."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidseg.errors import ModelError
from vidseg.sam.transformers_format import has_transformers_names

if TYPE_CHECKING:
    from torch import Tensor

WRAPPERS = ("model", "state_dict", "model_state_dict")  # keys under which the weights lie, also one in another
# Parts of names that DataParallel and torch.compile put in, and the one that Lightning puts first.
WRAPPER_PARTS, WRAPPER_PREFIX = {"module", "_orig_mod"}, "model."
NUMPY_NAMES = [
    "numpy.dtype",
    "numpy.ndarray",
    *(f"numpy.{core}.multiarray.{name}" for core in ("core", "_core") for name in ("scalar", "_reconstruct")),
]
SHARDS = "model.safetensors.index.json"  # lists the files of a checkpoint that transformers saved in several
TRAINER_FILES = ("optimizer", "scheduler", "scaler", "rng_state")  # what transformers' Trainer saves beside the weights


class Unread:
    """Stands for a NumPy value beside the weights: it takes what made the value, and does nothing with it."""

    def __new__(cls, *_: object) -> Unread:
        """An object, whatever it is made from."""
        return super().__new__(cls)

    def __init__(self, *_: object):
        pass

    def __setstate__(self, state: object) -> None:
        pass


def find_file(checkpoint: Path) -> Path:
    """The file with the weights.

    Args:
        checkpoint: the file itself; or a folder with Meta's `.pt`, with `model.safetensors` or with what transformers
            saved, and whatever else. Of a folder that has Meta's file and transformers', Meta's is taken.

    Raises:
        ModelError: there is no such file, or more than one.
    """
    path = checkpoint
    if checkpoint.is_dir():
        ours = checkpoint / "model.safetensors"
        path = next((file for file in (ours, checkpoint / SHARDS) if file.is_file()), ours)
        if path != ours or not path.is_file() or (checkpoint / "config.json").is_file() and is_transformers(path):
            others = sorted(file for file in checkpoint.iterdir() if is_pickle(file))
            if len(others) > 1:
                names = ", ".join(file.name for file in others)
                raise ModelError(f"{checkpoint}: holds several checkpoints ({names}); give one of these files")
            path = others[0] if others else path
    if not path.is_file():
        raise ModelError(
            f"{path}: no such SAM 2 checkpoint; give a .pt file, or a folder with model.safetensors and config.yaml "
            "(or config.json, of transformers' Sam2VideoModel)"
        )
    return path


def is_pickle(file: Path) -> bool:
    """Whether a file of a folder may be a checkpoint in Meta's format."""
    return file.suffix in {".pt", ".pth"} and file.is_file() and not file.name.startswith(TRAINER_FILES)


def is_transformers(path: Path) -> bool:
    """Whether a safetensors file has the names that transformers gives the weights; False if it cannot be read."""
    from safetensors import safe_open

    try:
        with safe_open(path, framework="pt") as file:
            return has_transformers_names(dict.fromkeys(file.keys()))
    except Exception:  # a damaged file: reading it all says what is wrong
        return False


def read_weights(path: Path) -> dict[str, Tensor]:
    """Tensors of a checkpoint by their names in the network, or by those that transformers gives them.

    Only tensors are ever read from the file: no pickled code runs.

    Raises:
        ModelError: the file is damaged, is not a SAM 2 checkpoint, or holds objects that could run code.
    """
    import torch

    try:
        if path.name == SHARDS:
            content: Any = read_shards(path)
        elif path.suffix == ".safetensors":
            from safetensors.torch import load_file

            content = load_file(path)
        else:
            # NumPy's own functions trust what a file says of a value, so they do not get to see it.
            with torch.serialization.safe_globals([(Unread, name) for name in NUMPY_NAMES]):
                content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # each format fails in its own ways, with types of its own
        raise ModelError(f"{path}: cannot be read as a SAM 2 checkpoint ({reason_of(error)}") from None
    weights = unwrapped(content)
    if not weights or not all(isinstance(value, torch.Tensor) for value in weights.values()):
        raise ModelError(
            f"{path}: holds no SAM 2 weights (expected Meta's layout: a dictionary under the key 'model', "
            "or under 'state_dict' or 'model_state_dict')"
        )
    return weights


def read_shards(index: Path) -> dict[str, Tensor]:
    """The tensors of all files that an index names; they lie beside it."""
    from safetensors.torch import load_file

    files = sorted(set(json.loads(index.read_text())["weight_map"].values()))
    return {name: value for file in files for name, value in load_file(index.with_name(file)).items()}


def reason_of(error: Exception) -> str:
    """The rest of the line on a file that could not be read: why, and what to do."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
    found = re.search(r"GLOBAL ([\w.]+)|(?:function|class|type|instance of) <?class '?([\w.]+)", text)
    name = next((name for name in found.groups() if name), None) if found else None
    if name is not None:
        return f"it holds a {name}, which could run code); save the weights alone: torch.save({{'model': weights}}, …)"
    return f"{(text.splitlines() or [type(error).__name__])[0][:120]}); is the download complete?"


def unwrapped(content: Any) -> dict[str, Tensor]:
    """The weights in what a file holds, without what training has put around them and their names."""
    for _ in WRAPPERS:
        key = next((key for key in WRAPPERS if isinstance(content, dict) and isinstance(content.get(key), dict)), None)
        content = content if key is None else content[key]
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        return {}
    if any(key in content for key in WRAPPERS):
        return {}
    names = {name: ".".join(part for part in name.split(".") if part not in WRAPPER_PARTS) for name in content}
    while names and all(name.startswith(WRAPPER_PREFIX) for name in names.values()):
        names = {old: name.removeprefix(WRAPPER_PREFIX) for old, name in names.items()}
    if len(set(names.values())) < len(names):
        return content
    return {names[old]: value for old, value in content.items()}
