"""The batch limit: what it is made from, and that it changes no result."""

from __future__ import annotations

import pytest
import torch

from tests.support import stock
from tests.support.lively import lively_network, moving_frames
from vidseg.prompts.geometry import Box
from vidseg.sam import batch
from vidseg.sam.build import instantiate_config
from vidseg.sam.propagator import Propagator

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def network(quarter):
    return lively_network(quarter, seed=4)


def test_limit_follows_the_free_memory(network, monkeypatch):
    monkeypatch.setattr(batch, "free_memory", lambda device: 100 * batch.bytes_per_object(network, 4))
    assert batch.batch_limit(network, 4, CPU) == 50  # half is for the batch
    assert batch.batch_limit(network, 1, CPU) > 50  # early objects have fewer memories to read
    monkeypatch.setattr(batch, "free_memory", lambda device: 0)
    assert batch.batch_limit(network, 4, CPU) == 1  # one object at a time is always tried


def test_full_size_objects_are_counted_generously():
    """145 MiB an object were measured with full banks (peak memory of a step with five objects against two)."""
    measured = 145 << 20
    assert measured < batch.bytes_per_object(instantiate_config(stock.FULL), 7) < 2 * measured


def test_free_memory_of_this_machine():
    free = batch.free_memory(CPU)
    assert 1 << 24 < free < 1 << 50


@torch.inference_mode()
def test_small_batches_give_the_same_masks(network, monkeypatch):
    frames, results, sizes = moving_frames(network.image_size, 4), [], []
    for limit in (100, 2):
        monkeypatch.setattr("vidseg.sam.propagator.batch_limit", lambda *_, limit=limit: limit)
        engine = Propagator(network)

        def step_batch(features, index, ids, reverse, original=engine._step_batch):
            sizes.append(len(ids))
            return original(features, index, ids, reverse)

        engine._step_batch = step_batch
        features = [engine.embed_tensor(frame[None], 120, 200) for frame in frames]
        engine.prompt(features[0], 0, {i: Box((40 + i, 30, 110, 90)) for i in range(5)})
        results.append([engine.step(features[t], t) for t in range(1, 4)])
    assert sizes == [5] * 3 + [2, 2, 1] * 3
    for together, apart in zip(*results):
        assert together.ids == apart.ids == list(range(5))
        assert torch.allclose(together.logits, apart.logits, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    "count, limit, compiled, sizes",
    [
        (5, 100, False, [5]),
        (5, 2, False, [2, 2, 1]),
        (13, 100, True, [8, 4, 1]),
        (20, 100, True, [8, 8, 4]),
        (7, 3, True, [2, 2, 2, 1]),
        (2, 1, True, [1, 1]),
    ],
)
def test_batches_of_a_compiled_step_have_few_sizes(count, limit, compiled, sizes):
    batches = list(batch.split_batches(list(range(count)), limit, compiled))
    assert [len(each) for each in batches] == sizes and sum(batches, []) == list(range(count))
