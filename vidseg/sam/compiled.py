"""Parts of the engine through `torch.compile`: fewer and larger kernels, and one CUDA graph instead of hundreds."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from vidseg.errors import ModelError

# How often a function may be compiled in one process; torch gives up after 8. (`cache_size_limit` is its name in torch
# 2.6, which later versions know as well.) Each model compiles both of its parts, the step once for every batch size.
VERSIONS = 64


class Compiled:
    """A function of tensors that returns tensors, compiled with its first call, and again for inputs of other shapes.

    Shapes are fixed: kernels for shapes that vary are slower, and CUDA graphs have none. Callers keep their number
    small (`vidseg.sam.batch.split_batches`).

    Args:
        function: what to compile.
        device: where its tensors are.
    """

    def __init__(self, function: Callable[..., tuple[Tensor, ...]], device: torch.device):
        self._function, self._on_cuda = function, device.type == "cuda"
        self._compiled: Callable[..., tuple[Tensor, ...]] | None = None

    def __call__(self, *inputs: Tensor | list[Tensor]) -> tuple[Tensor, ...]:
        """What the function returns, in memory of its own. Raises ModelError where it cannot be compiled."""
        # Imported late: it takes seconds, and the command line starts without it (`vidseg.commands.fast_start`).
        from torch._dynamo import config, exc

        if self._compiled is None:
            mode = "reduce-overhead" if self._on_cuda else None
            self._compiled = torch.compile(self._function, fullgraph=True, dynamic=False, mode=mode)
        if self._on_cuda:
            # For torch's CUDA graphs every call is an iteration of its own, so that there is one recording for each
            # shape and not one for each order in which they come. The next call uses its memory again.
            torch.compiler.cudagraph_mark_step_begin()
        try:
            with config.patch(cache_size_limit=VERSIONS):
                outputs = self._compiled(*inputs)
        except exc.TorchDynamoException as error:
            raise ModelError(f"the network cannot be compiled here ({reason(error)}); leave --compile away") from None
        return tuple(x.clone() for x in outputs) if self._on_cuda else outputs


def reason(error: BaseException) -> str:
    """The line of an error of torch's compiler that says most."""
    inner = getattr(error, "inner_exception", None) or error
    lines = [line.strip() for line in str(inner).splitlines() if line.strip()]
    return f"{type(inner).__name__}: {lines[0][:150]}" if lines else type(inner).__name__
