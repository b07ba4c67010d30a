"""A fast start for the command line.

Importing transformers' Grounding DINO takes most of the processor time that a run needs before its first frame. Most
of that goes to torch's compiler, torch.distributed and torchvision, which transformers imports in case they are used;
vidseg does not use them. In a process of its own, the command line leaves them out by patching the imports. A program
that imports vidseg may need them, so nothing here is called from outside the commands.

The patches are tested with the versions in TESTED and do nothing with any other. `VIDSEG_FAST_START=0` switches them
off.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import version
from types import ModuleType
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

if TYPE_CHECKING:
    from vidseg.model import Model

TESTED = {  # the first release of each range, and the first after it
    "torch": ((2, 15), (2, 16)),
    "transformers": ((5, 24), (5, 25)),
    "supervision": ((0, 31), (0, 32)),
}
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


def load_quickly(model: Model, with_detector: bool) -> None:
    """Import what a model needs to run, and load its detector if it will be used.

    Raises:
        ModelError: the detector cannot be loaded.
    """
    if not is_enabled():
        if with_detector:
            _ = model.detector  # loads it
        return
    import_supervision()
    if with_detector:
        with without_compiler():
            import_transformers()
            with without_meta_device():
                _ = model.detector


def is_enabled() -> bool:
    """Whether the libraries are of tested versions, and the user has not switched the fast start off."""
    if os.environ.get("VIDSEG_FAST_START") == "0":
        return False
    return all(first <= release(version(name)) < end for name, (first, end) in TESTED.items())


def release(text: str) -> tuple[int, ...]:
    """Major and minor number of a version: "2.15.0+cpu" → (2, 15)."""
    return tuple(int(number) for number in re.findall(r"\d+", text)[:2])


@contextmanager
def without_compiler() -> Iterator[None]:
    """Keep torch's compiler from being imported in this block, unless it has been imported before."""
    if "torch._dynamo" in sys.modules:
        yield
        return
    import torch

    stand_ins = compiler_stand_ins()
    with stand_in_modules(stand_ins), patch.dict(torch.__dict__, {"_dynamo": stand_ins["torch._dynamo"]}):
        yield


@contextmanager
def stand_in_modules(stand_ins: dict[str, ModuleType]) -> Iterator[None]:
    """Let whatever imports one of these modules in this block have the stand-in."""
    sys.modules.update(stand_ins)
    try:
        yield
    finally:
        for name in stand_ins:
            del sys.modules[name]


@contextmanager
def without_meta_device() -> Iterator[None]:
    """Let transformers load a network in this block without the 1.4 s that its empty copy on the meta device costs.

    transformers builds a network on torch's meta device first, without numbers. What little is computed there is
    written in Python, which imports sympy. So it is built on the CPU instead, without initial weights, since all are
    read from the checkpoint. transformers' checks of its own tensors' shapes import sympy too, and are switched off.
    """
    os.environ.setdefault("TRANSFORMERS_DISABLE_TORCH_CHECK", "1")
    import torch
    from transformers.initialization import no_init_weights
    from transformers.modeling_utils import PreTrainedModel

    usual = PreTrainedModel.get_init_context.__func__

    def on_cpu(cls: type, *args: Any, **kwargs: Any) -> list[Any]:
        return [*(c for c in usual(cls, *args, **kwargs) if c != torch.device("meta")), no_init_weights()]

    with patch.object(PreTrainedModel, "get_init_context", classmethod(on_cpu)):
        yield


def import_transformers() -> None:
    """Import what is needed of transformers, and not what it would import besides. Call it in `without_compiler`."""
    if "transformers" in sys.modules:
        return
    import torch.distributed

    def absent() -> bool:
        return False

    with patch.object(torch.distributed, "is_available", absent):
        import transformers.utils
        from transformers.utils import import_utils

        unwanted = ("is_torchvision_available", "is_torch_flex_attn_available", "is_scipy_available")
        patches = dict.fromkeys(unwanted, absent)
        with patch.multiple(import_utils, **patches), patch.multiple(transformers.utils, **patches):
            for name in NEEDED:
                import_module(f"transformers.models.{name}")


def import_supervision() -> None:
    """Import supervision without scipy, which takes 0.9 s and is needed for smooth trails and data sets alone.

    The functions of scipy that supervision names are imported when they are called.
    """
    if "supervision" in sys.modules:
        return
    absent = [name for name in ("scipy.interpolate", "scipy.spatial") if name not in sys.modules]
    with stand_in_modules({name: late_module(name) for name in absent}):
        import supervision  # noqa: F401  # imported for later


def late_module(name: str) -> ModuleType:
    """A stand-in for a module whose functions are imported when they are called."""

    def late_function(function: str) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            return getattr(import_module(name), function)(*args, **kwargs)

        return call

    return stand_in(name, late_function)


def compiler_stand_ins() -> dict[str, ModuleType]:
    """Stand-ins for torch's compiler, by name. Their decorators do nothing: they matter to compiled code alone."""

    def no_decorator(function: Callable[..., Any] | None = None, *_: Any, **__: Any) -> Callable[..., Any]:
        return no_decorator if function is None else function

    class TransformGetItemToIndex:
        """The one class that transformers names; making an object makes one of the real class."""

        def __new__(cls) -> Any:
            from torch._dynamo._trace_wrapped_higher_order_op import TransformGetItemToIndex as Real

            return Real()

    helpers = ModuleType("torch._dynamo._trace_wrapped_higher_order_op")
    helpers.__dict__["TransformGetItemToIndex"] = TransformGetItemToIndex
    return {"torch._dynamo": stand_in("torch._dynamo", lambda _: no_decorator), helpers.__name__: helpers}


def stand_in(name: str, make_attribute: Callable[[str], Any]) -> ModuleType:
    """A module whose attributes are made from their names."""

    def get(attribute: str) -> Any:
        if attribute.startswith("__"):  # what Python itself asks a module for
            raise AttributeError(attribute)
        return make_attribute(attribute)

    module = ModuleType(name)
    module.__dict__["__getattr__"] = get
    return module
