"""The weights in a SAM 2 checkpoint: which file, read without running code, by the names that the network has."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidseg.errors import ModelError

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
TRANSFORMERS = "it is SAM 2 in transformers' format; give Meta's .pt file of that model instead, or its hub id"


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
        checkpoint: the file itself; or a folder with Meta's `.pt` or with `model.safetensors`, and whatever else.

    Raises:
        ModelError: there is no such file, or more than one.
    """
    if not checkpoint.is_dir():
        path = checkpoint
    else:
        path = checkpoint / "model.safetensors"
        if not path.is_file() or (checkpoint / "config.json").is_file() and is_transformers(path):
            others = sorted(file for file in checkpoint.iterdir() if file.suffix in {".pt", ".pth"} and file.is_file())
            if len(others) > 1:
                names = ", ".join(file.name for file in others)
                raise ModelError(f"{checkpoint}: holds several checkpoints ({names}); give one of these files")
            path = others[0] if others else path
    if not path.is_file():
        raise ModelError(
            f"{path}: no such SAM 2 checkpoint; give a .pt file, or a folder with model.safetensors and config.yaml"
        )
    return path


def is_transformers(path: Path) -> bool:
    """Whether a safetensors file has the names that transformers gives the weights; False if it cannot be read."""
    from safetensors import safe_open

    try:
        with safe_open(path, framework="pt") as file:
            return has_transformers_names(dict.fromkeys(file.keys()))
    except Exception:  # a damaged file: reading it all says what is wrong
        return False


def has_transformers_names(weights: Mapping[str, object]) -> bool:
    """Whether weights are those of transformers' Sam2Model or Sam2VideoModel."""
    return any(name.startswith("vision_encoder.backbone.") for name in weights)


def read_weights(path: Path) -> dict[str, Tensor]:
    """Tensors of a checkpoint by their names in the network.

    Only tensors are ever read from the file: no pickled code runs.

    Raises:
        ModelError: the file is damaged, is not a SAM 2 checkpoint, or holds objects that could run code.
    """
    import torch

    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            content: Any = load_file(path)
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
    if has_transformers_names(weights):
        raise ModelError(f"{path}: {TRANSFORMERS}")
    return weights


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
