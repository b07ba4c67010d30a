"""All that a pass forwards needs to go on, and how it is written down.

A state file is one safetensors file: every tensor and array by number, and in its metadata a JSON document that says
how they make up `TrackerState`. Reading it runs no code: only the classes of `_CLASSES` are made.
"""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from vidseg.errors import InputError
from vidseg.io.clip import Frame
from vidseg.io.files import atomic_output
from vidseg.prompts.geometry import Box, MaskPrompt, Points
from vidseg.prompts.object_prompt import ObjectPrompt
from vidseg.sam.propagator import Propagator
from vidseg.tracking.crossing import CrossingState, Encounter
from vidseg.tracking.detections import FrameDetections
from vidseg.tracking.motion import MotionHistory
from vidseg.tracking.options import TrackOptions
from vidseg.tracking.pass_state import PassState
from vidseg.tracking.pending import MaskEstimate, PendingFrame
from vidseg.tracking.propagation_pass import PropagationPass
from vidseg.tracking.registry import RegistryState, Track, TrackRegistry
from vidseg.tracking.scene_change import SceneChangeState

FORMAT = "vidseg-tracker-state 1"

_CLASSES = {
    cls.__name__: cls
    for cls in (
        Box,
        CrossingState,
        Encounter,
        Frame,
        MaskEstimate,
        MaskPrompt,
        MotionHistory,
        ObjectPrompt,
        PassState,
        PendingFrame,
        Points,
        RegistryState,
        SceneChangeState,
        Track,
    )
}


@dataclass
class TrackerState:
    """A pass forwards between two frames, as `read_state` finds it.

    Attributes:
        registry: the tracks.
        propagation: the pending frames, crossings, scene changes and counters.
        banks: the memory banks, as `Propagator.state_dict` gives them.
        best_score: highest detection score so far.
    """

    registry: RegistryState
    propagation: PassState
    banks: tuple[dict[str, Tensor], list[dict[str, Any]]]
    best_score: float

    def resume(
        self,
        propagator: Propagator,
        detect: Callable[[Frame], FrameDetections] | None,
        options: TrackOptions,
        on_frame: Callable[[], None] | None = None,
    ) -> PropagationPass:
        """A pass that goes on from here, to the same results to the bit.

        Args:
            propagator: of the same network, without objects.
            detect: as the pass had it.
            options: as the pass had them.
            on_frame: is called before each frame that is backfilled.

        Raises:
            InputError: the state comes from another network.
        """
        propagator.load_state_dict(*self.banks)
        registry = TrackRegistry(thresholds=options.thresholds, state=self.registry)
        return PropagationPass(registry, propagator, detect, options, self.propagation, on_frame=on_frame)


def write_state(path: str | os.PathLike[str], forward: PropagationPass, best_score: float = 0.0) -> None:
    """Write the state of a pass forwards between two frames; the file appears when it is complete. Raises OSError."""
    tensors: list[Tensor] = []
    bank_tensors, bank_metadata = forward.propagator.state_dict()
    document = {
        "registry": _encode(forward.registry.state, tensors),
        "propagation": _encode(forward.state, tensors),
        "banks": [bank_metadata, {name: _keep(tensor, tensors) for name, tensor in bank_tensors.items()}],
        "best_score": best_score,
    }
    # Rows of a batch share memory: the file wants each tensor by itself.
    own = {str(number): tensor.detach().cpu().clone().contiguous() for number, tensor in enumerate(tensors)}
    with atomic_output(path) as temporary:
        save_file(own, temporary, metadata={"format": FORMAT, "state": json.dumps(document)})


def read_state(path: str | os.PathLike[str], device: str | torch.device = "cpu") -> TrackerState:
    """Read what `write_state` wrote.

    Args:
        path: of the file.
        device: where the tensors go.

    Raises:
        InputError: the file is missing, damaged, or something else.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = [file.get_tensor(str(number)) for number in range(len(file.keys()))]
        if metadata.get("format") != FORMAT:
            raise ValueError("it is some other safetensors file")
        document = json.loads(metadata["state"])
        bank_metadata, names = document["banks"]
        return TrackerState(
            _decode(document["registry"], tensors, device),
            _decode(document["propagation"], tensors, device),
            ({name: tensors[number] for name, number in names.items()}, bank_metadata),
            document["best_score"],
        )
    except Exception as error:  # safetensors and json raise their own, a damaged file any of them
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise InputError(f"{path}: no state of a tracker can be read from it ({reason})") from None


# -- values as JSON ----------------------------------------------------------------------------------------------------


def _keep(tensor: Tensor, tensors: list[Tensor]) -> int:
    tensors.append(tensor)
    return len(tensors) - 1


def _encode(value: Any, tensors: list[Tensor]) -> Any:
    """A value as JSON. Types that JSON lacks become {"name of the type": …}; tensors are appended to the list."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Tensor):
        return {"tensor": _keep(value, tensors)}
    if isinstance(value, np.ndarray):
        return {"array": _keep(torch.from_numpy(np.array(value, order="C")), tensors)}
    if is_dataclass(value) and type(value).__name__ in _CLASSES:
        content = {field.name: _encode(getattr(value, field.name), tensors) for field in fields(value)}
        return {"object": [type(value).__name__, content]}
    if isinstance(value, dict):
        pairs = [[_encode(key, tensors), _encode(item, tensors)] for key, item in value.items()]
        return {"dict": pairs}
    for kind in (list, tuple, set, frozenset, deque):
        if isinstance(value, kind):
            return {kind.__name__: [_encode(item, tensors) for item in value]}
    raise TypeError(f"a {type(value).__name__} is no part of a tracker's state")


def _decode(value: Any, tensors: list[Tensor], device: str | torch.device) -> Any:
    """What `_encode` made JSON of. Raises KeyError and others for what it never makes."""
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "tensor":
        return tensors[content].to(device)
    if kind == "array":
        return tensors[content].numpy()
    if kind == "object":
        name, attributes = content
        return _CLASSES[name](**{key: _decode(item, tensors, device) for key, item in attributes.items()})
    if kind == "dict":
        return {_decode(key, tensors, device): _decode(item, tensors, device) for key, item in content}
    collections = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset, "deque": deque}
    return collections[kind](_decode(item, tensors, device) for item in content)
