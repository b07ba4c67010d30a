"""A quick start for the command line.

Importing transformers' Grounding DINO takes most of the processor time that a run needs before its first frame, and
most of that goes to torch's compiler, torch.distributed and torchvision, which transformers imports in case somebody
uses them. Nothing here does. In a process of our own (and only there: a program that imports vidseg may well want
them) they are left out.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from unittest.mock import patch

# What `vidseg.detection.load_detector` uses of transformers.
NEEDED = (
    "auto.tokenization_auto",
    "bert.modeling_bert",
    "bert.tokenization_bert",
    "grounding_dino.image_processing_pil_grounding_dino",
    "grounding_dino.modeling_grounding_dino",
    "grounding_dino.processing_grounding_dino",
    "swin.modeling_swin",
)


@contextmanager
def without_compiler() -> Iterator[None]:
    """Import and load things in this block without torch's compiler, unless somebody has imported it already."""
    if "torch._dynamo" in sys.modules:
        yield
        return
    import torch

    stand_ins = compiler_stand_ins()
    sys.modules.update(stand_ins)
    try:
        with patch.dict(torch.__dict__, {"_dynamo": stand_ins["torch._dynamo"]}):
            yield
    finally:
        for name in stand_ins:
            del sys.modules[name]


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

            unwanted = {"is_torchvision_available": absent, "is_torch_flex_attn_available": absent}
            with patch.multiple(import_utils, **unwanted), patch.multiple(transformers.utils, **unwanted):
                for name in NEEDED:
                    import_module(f"transformers.models.{name}")
    except Exception:  # whatever a half-imported library raises
        for name in [name for name in sys.modules if name.split(".")[0] == "transformers"]:
            del sys.modules[name]


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
