"""vidseg finds objects in a video by name and follows their exact outlines through the clip.

import vidseg

model = vidseg.load("small")
for frame in model.track("clip.mp4", prompt="dog. ball"):
    frame.detections  # supervision.Detections: boxes, masks, confidence, ids, labels
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vidseg.errors import InputError, ModelError, OutputError, VidsegError
    from vidseg.exporters.export import export
    from vidseg.model import Model, load
    from vidseg.prompts.file import read_prompts
    from vidseg.prompts.geometry import Box, MaskPrompt, Points
    from vidseg.prompts.object_prompt import ObjectPrompt
    from vidseg.rendering.render import render
    from vidseg.tracks.file import TracksWriter, read_tracks
    from vidseg.tracks.frame import TrackedFrame

__version__ = "0.2.0"
__all__ = [
    "Box",
    "InputError",
    "MaskPrompt",
    "Model",
    "ModelError",
    "ObjectPrompt",
    "OutputError",
    "Points",
    "TrackedFrame",
    "TracksWriter",
    "VidsegError",
    "__version__",
    "export",
    "load",
    "read_prompts",
    "read_tracks",
    "render",
]

# Where each public name lives. They are imported when first used: torch and transformers take seconds to load,
# and `vidseg --help` should not.
_HOMES = {
    "Box": "prompts.geometry",
    "InputError": "errors",
    "MaskPrompt": "prompts.geometry",
    "Model": "model",
    "ModelError": "errors",
    "ObjectPrompt": "prompts.object_prompt",
    "OutputError": "errors",
    "Points": "prompts.geometry",
    "TrackedFrame": "tracks.frame",
    "TracksWriter": "tracks.file",
    "VidsegError": "errors",
    "export": "exporters.export",
    "load": "model",
    "read_prompts": "prompts.file",
    "read_tracks": "tracks.file",
    "render": "rendering.render",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'vidseg' has no attribute {name!r}")
    value = getattr(import_module(f"vidseg.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
