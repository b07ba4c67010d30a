"""A quick start for the command line.

Importing transformers' Grounding DINO takes most of the processor time that a run needs before its first frame, and
most of that goes to torch's compiler, torch.distributed and torchvision, which transformers imports in case somebody
uses them. Nothing here does. In a process of our own (and only there: a program that imports vidseg may well want
them) they are left out.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING
from unittest.mock import patch

if TYPE_CHECKING:
    from vidseg.model import Model

# What `vidseg.detection.grounding_dino.load_detector` uses of transformers.
NEEDED = (
    "auto.tokenization_auto",
    "bert.modeling_bert",
    "bert.tokenization_bert",
    "grounding_dino.image_processing_pil_grounding_dino",
    "grounding_dino.modeling_grounding_dino",
    "grounding_dino.processing_grounding_dino",
    "swin.modeling_swin",
)


def load_quickly(model: Model, detector: bool) -> None:
    """Import what a model needs to run, and load its detector if it will be asked. Raises ModelError."""
    import_supervision()
    if detector:
        with without_compiler():
            import_transformers()
            with built_without_sympy():
                model.detector  # loaded when it is first asked for


@contextmanager
def without_compiler() -> Iterator[None]:
    """Import and load things in this block without torch's compiler, unless somebody has imported it already."""
    if "torch._dynamo" in sys.modules:
        yield
        return
    import torch

    stand_ins = compiler_stand_ins()
    with found_in_place_of(stand_ins), patch.dict(torch.__dict__, {"_dynamo": stand_ins["torch._dynamo"]}):
        yield


@contextmanager
def found_in_place_of(stand_ins: dict[str, ModuleType]) -> Iterator[None]:
    """Whoever imports one of these modules in this block gets the stand-in."""
    sys.modules.update(stand_ins)
    try:
        yield
    finally:
        for name in stand_ins:
            del sys.modules[name]


@contextmanager
def built_without_sympy() -> Iterator[None]:
    """Let transformers load a network in this block without the 1.4 s that its empty shell costs.

    transformers builds a network on torch's meta device first, without numbers. The little that is computed even there
    is written in Python, which imports sympy. So it is built on the CPU, without any first weights, as those are read
    from the checkpoint anyway. transformers' checks of its own tensors' shapes import it as well, and are switched off.
    """
    os.environ.setdefault("TRANSFORMERS_DISABLE_TORCH_CHECK", "1")
    import torch

    try:
        from transformers.initialization import no_init_weights
        from transformers.modeling_utils import PreTrainedModel

        usual = PreTrainedModel.get_init_context.__func__
    except (ImportError, AttributeError):  # a transformers release that builds networks in another way
        yield
        return

    def on_the_cpu(cls, *args, **kwargs):
        return [*(c for c in usual(cls, *args, **kwargs) if c != torch.device("meta")), no_init_weights()]

    with patch.object(PreTrainedModel, "get_init_context", classmethod(on_the_cpu)):
        yield


def import_transformers() -> None:
    """Import what is needed of transformers, without what is not. To be called in `without_compiler`.

    If a transformers release no longer works this way, nothing is imported here and `load_detector` does it as usual.
    """
    if "transformers" in sys.modules:
        return
    import torch.distributed

    def absent() -> bool:
        return False

    try:
        with patch.object(torch.distributed, "is_available", absent):
            import transformers.utils
            from transformers.utils import import_utils

            unwanted = dict.fromkeys(
                ("is_torchvision_available", "is_torch_flex_attn_available", "is_scipy_available"), absent
            )
            with patch.multiple(import_utils, **unwanted), patch.multiple(transformers.utils, **unwanted):
                for name in NEEDED:
                    import_module(f"transformers.models.{name}")
    except Exception:  # whatever a half-imported library raises
        for name in [name for name in sys.modules if name.split(".")[0] == "transformers"]:
            del sys.modules[name]


def import_supervision() -> None:
    """Import supervision without the 0.9 s of scipy, which it needs for smooth trails and for data sets alone.

    What it has taken from scipy by name imports the real thing when it is called.
    """
    if "supervision" in sys.modules:
        return
    absent = [name for name in ("scipy.interpolate", "scipy.spatial") if name not in sys.modules]
    with found_in_place_of({name: later(name) for name in absent}):
        import supervision  # noqa: F401


def later(module: str) -> ModuleType:
    """A stand-in for a module whose functions are imported when they are called."""

    def function(name: str):
        if name.startswith("__"):  # what Python itself asks a module for
            raise AttributeError(name)
        return lambda *args, **kwargs: getattr(import_module(module), name)(*args, **kwargs)

    stand_in = ModuleType(module)
    stand_in.__getattr__ = function
    return stand_in


def compiler_stand_ins() -> dict[str, ModuleType]:
    """Modules to import instead of torch's compiler, by name; for decorators that only matter to code it compiles."""

    def undisturbed(function=None, *_, **__):
        """Any of its decorators that say what to leave alone, in a process that compiles nothing."""
        return function if function is not None else undisturbed

    def decorator(name: str):
        if name.startswith("__"):  # what Python itself asks a module for
            raise AttributeError(name)
        return undisturbed

    class TransformGetItemToIndex:
        """The one class of it that transformers names; whoever makes an object gets the real one."""

        def __new__(cls):
            from torch._dynamo._trace_wrapped_higher_order_op import TransformGetItemToIndex as Real

            return Real()

    compiler, helpers = ModuleType("torch._dynamo"), ModuleType("torch._dynamo._trace_wrapped_higher_order_op")
    compiler.__getattr__ = decorator
    helpers.TransformGetItemToIndex = TransformGetItemToIndex
    return {module.__name__: module for module in (compiler, helpers)}
