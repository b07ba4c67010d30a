"""Each image is encoded once in a process, however many tests track it.

The image encoder is half of the work of a test that tracks, and most tests track the same few clips. What it makes of
an image is always the same; tests/sam/test_encoder.py holds that it is right.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from hashlib import blake2b
from threading import Lock
from typing import Any
from weakref import WeakKeyDictionary

import pytest
import torch
from sam2.modeling.sam2_base import SAM2Base

from vidseg.sam.encoder import ImageEncoder

KEPT = 256  # images; those of the demo pair take 2 MB each

_kept: OrderedDict[tuple, Any] = OrderedDict()
_lock = Lock()  # a server under test has threads
_weights: WeakKeyDictionary[torch.nn.Module, float] = WeakKeyDictionary()


def weights_of(network: torch.nn.Module) -> float:
    """A number that tells the weights of two networks apart."""
    if network not in _weights:
        _weights[network] = sum(one.double().sum().item() for one in network.parameters())
    return _weights[network]


def once(key: tuple, pixels: torch.Tensor, encode: Callable[[torch.Tensor], Any]) -> Any:
    """What `encode` makes of `pixels`, now or the last time."""
    key = *key, pixels.shape, blake2b(pixels.contiguous().view(torch.uint8).numpy()).digest()
    with _lock:
        made = _kept.pop(key, None)
    if made is None:
        made = encode(pixels)
    with _lock:
        _kept[key] = made
        if len(_kept) > KEPT:
            _kept.popitem(last=False)
    return made


def encode_once(patch: pytest.MonkeyPatch) -> None:
    """Let our encoder and the stock predictor's remember what they have made, for as long as `patch` lasts."""
    ours, stock = ImageEncoder.__call__, SAM2Base.forward_image

    def encode(self: ImageEncoder, pixels: torch.Tensor):
        return once((weights_of(self.network), self.dtype), pixels, lambda pixels: ours(self, pixels))

    def forward_image(self: SAM2Base, pixels: torch.Tensor):
        return once((weights_of(self),), pixels, lambda pixels: stock(self, pixels))

    patch.setattr(ImageEncoder, "__call__", encode)
    patch.setattr(SAM2Base, "forward_image", forward_image)
