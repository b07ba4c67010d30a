"""Parts of the engine through `torch.compile`: fewer and larger kernels, and on CUDA one graph to launch instead of hundreds."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from vidseg.errors import ModelError

# How often a function may be compiled in one process (`cache_size_limit` is what torch 2.6 calls it; later ones know that
# name, too). Each model compiles both of its parts anew, the step once for every size of a batch; torch gives up after 8.
VERSIONS = 64


class Compiled:
    """A function of tensors that returns tensors, compiled with its first call, and again for inputs of other shapes.

    Shapes are compiled in: kernels for shapes that vary are slower, and CUDA graphs have none. Whoever calls this sees to
    it that there are few (`vidseg.sam.batch.cut`).
    """

    def __init__(self, function: Callable[..., tuple[Tensor, ...]], device: torch.device):
        self._function, self._on_cuda = function, device.type == "cuda"
        self._compiled: Callable[..., tuple[Tensor, ...]] | None = None

    def __call__(self, *inputs) -> tuple[Tensor, ...]:
        """What the function returns, in memory of its own. Raises ModelError where it cannot be compiled."""
        # Imported late: it takes seconds, and the command line loads other things without it (`vidseg.commands.fast_start`).
        from torch._dynamo import config, exc

        if self._compiled is None:
            mode = "reduce-overhead" if self._on_cuda else None
            self._compiled = torch.compile(self._function, fullgraph=True, dynamic=False, mode=mode)
        if self._on_cuda:
            # Every call is an iteration of its own to torch's CUDA graphs, so that there is one recording for each shape
            # and not one for each order in which they follow each other. Its memory is used again by the next one.
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
