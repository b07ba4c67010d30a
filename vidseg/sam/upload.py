"""Frames on their way to the device: on CUDA, the next one is copied while the network works on the present one."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from vidseg.io.clip import Frame

IN_FLIGHT = 2  # frames that may lie on the device and wait: the next one, and one that is asked for again


class Upload:
    """Copies images to a device: on CUDA through page-locked memory and on a stream of its own, elsewhere as they are.

    A copy from ordinary memory would wait for everything the GPU has been told to do so far. Page-locked memory comes
    from torch's cache, which reuses a piece when its copy is through.
    """

    def __init__(self, device: torch.device):
        self._device = device
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        self._sent: list[tuple[np.ndarray, Tensor, torch.cuda.Event]] = []

    def __call__(self, image: np.ndarray) -> Tensor:
        """An image [H, W, 3] uint8 on the device, for the current stream to work with; already there after `send`."""
        if self._stream is None:
            return torch.from_numpy(np.ascontiguousarray(image)).to(self._device)
        if not any(sent is image for sent, *_ in self._sent):
            self.send(image)
        number = next(i for i, (sent, *_) in enumerate(self._sent) if sent is image)
        _, pixels, copied = self._sent.pop(number)
        current = torch.cuda.current_stream(self._device)
        current.wait_event(copied)
        pixels.record_stream(current)  # its memory belongs to the other stream, which must not use it again too early
        return pixels

    def send(self, image: np.ndarray) -> None:
        """Begin to copy an image, without waiting for it; for CUDA only.

        Where `IN_FLIGHT` images lie on the device unused, the oldest is dropped.
        """
        assert self._stream is not None
        staged = torch.from_numpy(np.ascontiguousarray(image)).pin_memory()
        with torch.cuda.stream(self._stream):
            pixels = staged.to(self._device, non_blocking=True)
            self._sent = [*self._sent, (image, pixels, self._stream.record_event())][-IN_FLIGHT:]

    def prefetch(self, frames: Iterator[Frame]) -> Iterable[Frame]:
        """The same frames, each image sent while the caller works on the frame before. On a CPU, just the frames."""
        return frames if self._stream is None else self._prefetch(frames)

    def _prefetch(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        present = None
        try:
            for frame in frames:
                self.send(frame.image)
                if present is not None:
                    yield present
                present = frame
            if present is not None:
                yield present
        finally:
            if isinstance(frames, Generator):
                frames.close()


def on_device(numbers: list[list[int]], device: torch.device) -> Tensor:
    """Numbers as a tensor on a device; on CUDA without waiting for what it is busy with."""
    if device.type != "cuda":
        return torch.tensor(numbers, device=device)
    return torch.tensor(numbers, pin_memory=True).to(device, non_blocking=True)
