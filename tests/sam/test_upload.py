"""Frames on their way to the device: in which order things happen on CUDA, and that nothing happens on a CPU."""

from __future__ import annotations

from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from vidseg.io.clip import Frame
from vidseg.sam import upload
from vidseg.sam.upload import Upload, on_device

CPU = torch.device("cpu")


def images(count: int) -> list[np.ndarray]:
    return [np.full((2, 3, 3), i, np.uint8) for i in range(count)]


def test_on_a_cpu_images_are_used_as_they_are():
    ready, (image,) = Upload(CPU), images(1)
    assert ready(image).data_ptr() == image.ctypes.data
    frames = iter([Frame(0, 0.0, 0, image)])
    assert ready.prefetch(frames) is frames
    assert ready(image[:, ::-1]).shape == (2, 3, 3)  # a view that is not contiguous
    assert on_device([[1, 2]], CPU).tolist() == [[1, 2]]


@pytest.fixture
def gpu(monkeypatch):
    """An `Upload` to a GPU that only writes down what it is told."""
    log: list[str] = []

    class Image:
        def __init__(self, pixels):
            self.name = f"image {int(pixels.flat[0])}"

        def pin_memory(self):
            log.append(f"stage {self.name}")
            return self

        def to(self, device, non_blocking):
            assert non_blocking and log[-1] == "side"
            log.append(f"copy {self.name}")
            return self

        def record_stream(self, stream):
            log.append(f"{stream.name} uses {self.name}")

    class Stream:
        name = "side"

        def record_event(self):
            return log[-1]

    @contextmanager
    def stream(side):
        log.append(side.name)
        yield

    main = SimpleNamespace(name="main", wait_event=lambda copied: log.append(f"main waits for {copied}"))
    monkeypatch.setattr(torch.cuda, "Stream", lambda device: Stream())
    monkeypatch.setattr(torch.cuda, "stream", stream)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: main)
    monkeypatch.setattr(upload.torch, "from_numpy", Image)
    return Upload(torch.device("cuda")), log


def test_the_present_stream_waits_for_the_copy_of_its_image_alone(gpu):
    ready, log = gpu
    first, second = images(2)
    ready.send(first)
    ready.send(second)
    del log[:]
    assert ready(first).name == "image 0"
    assert log == ["main waits for copy image 0", "main uses image 0"]
    del log[:]
    assert ready(first).name == "image 0"  # again, as when objects are carried back: it has to be copied again
    assert log == ["stage image 0", "side", "copy image 0", "main waits for copy image 0", "main uses image 0"]


def test_few_images_lie_on_the_device(gpu):
    ready, log = gpu
    many = images(5)
    for image in many:
        ready.send(image)
    assert len(ready._sent) == upload.IN_FLIGHT
    ready(many[0])
    assert log.count("copy image 0") == 2  # had been dropped


def test_the_next_frame_is_sent_while_the_one_before_is_worked_on(gpu):
    ready, log = gpu
    closed = []

    def clip():
        try:
            yield from (SimpleNamespace(image=image) for image in images(3))
        finally:
            closed.append(True)

    for number, frame in enumerate(ready.prefetch(clip())):
        log.append(f"begin {number}")
        ready(frame.image)
        log.append(f"end {number}")
    assert log.index("copy image 1") < log.index("begin 0") and log.index("copy image 2") < log.index("begin 1")
    assert log.index("copy image 2") > log.index("end 0")
    assert [line for line in log if line.startswith("copy")] == [
        "copy image 0",
        "copy image 1",
        "copy image 2",
    ] and closed
    rest = ready.prefetch(clip())
    next(rest)
    rest.close()
    assert len(closed) == 2
