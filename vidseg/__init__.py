"""vidseg finds objects in a video by name and follows their exact outlines through the clip.

    import vidseg

    model = vidseg.load("small")
    for frame in model.track("clip.mp4", prompt="dog. ball"):
        frame.detections  # supervision.Detections: boxes, masks, confidence, ids, labels
"""

from importlib import import_module

# Named like their modules, so they have to be here before anyone imports the modules (which are light).
from vidseg.export import export
from vidseg.render import render

# Where each public name lives. They are imported when first used: torch and transformers take seconds to load,
# and `vidseg --help` should not.
_HOMES = {
    "load": "model",
    "Model": "model",
    "ObjectPrompt": "pointing",
    "Box": "sam.prompts",
    "Points": "sam.prompts",
    "MaskPrompt": "sam.prompts",
    "read_prompts": "prompts_file",
    "TrackedFrame": "tracks",
    "read_tracks": "tracks",
    "VidsegError": "errors",
    "InputError": "errors",
    "OutputError": "errors",
    "ModelError": "errors",
}
__version__ = "0.1.0"
__all__ = [*_HOMES, "export", "render", "__version__"]


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module 'vidseg' has no attribute {name!r}")
    value = getattr(import_module(f"vidseg.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
