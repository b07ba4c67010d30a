"""A quick start for the command line.

Importing transformers' Grounding DINO takes most of the processor time that a run needs before its first frame, and
most of that goes to torch's compiler, torch.distributed and torchvision, which transformers imports in case somebody
uses them. Nothing here does. In a process of our own (and only there: a program that imports vidseg may well want
them) they are left out.
"""

from __future__ import annotations

import sys
from types import ModuleType
from unittest.mock import patch


def import_transformers() -> None:
    """Import what `vidseg.detection.load_detector` needs of transformers, without what it does not need.

    If a transformers release no longer works this way, nothing is imported here and `load_detector` does it as usual.
    """
    if "transformers" in sys.modules or "torch._dynamo" in sys.modules:
        return
    import torch
    import torch.distributed

    def undisturbed(function=None, *_, **__):
        """A decorator that tells the compiler what to leave alone, in a process that compiles nothing."""
        return function if function is not None else undisturbed

    compiler = ModuleType("torch._dynamo")
    compiler.__getattr__ = lambda name: undisturbed
    absent = lambda: False  # noqa: E731
    with (
        patch.dict(torch.__dict__, {"_dynamo": compiler}),
        patch.object(torch.distributed, "is_available", absent),
    ):
        sys.modules["torch._dynamo"] = compiler
        try:
            import transformers.utils
            from transformers.utils import import_utils

            unwanted = {"is_torchvision_available": absent, "is_torch_flex_attn_available": absent}
            with patch.multiple(import_utils, **unwanted), patch.multiple(transformers.utils, **unwanted):
                import transformers.models.bert.tokenization_bert  # noqa: F401
                import transformers.models.grounding_dino.image_processing_pil_grounding_dino  # noqa: F401
                import transformers.models.grounding_dino.modeling_grounding_dino  # noqa: F401
        except Exception:  # whatever a half-imported library raises
            for name in [name for name in sys.modules if name.split(".")[0] == "transformers"]:
                del sys.modules[name]
        finally:
            del sys.modules["torch._dynamo"]
