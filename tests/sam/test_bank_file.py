"""Memory banks through a file: a run that stops and goes on gives what an uninterrupted one gives, bit for bit."""

from __future__ import annotations

import json
from copy import deepcopy

import pytest
import torch
from safetensors.torch import save_file

from tests.support import stock
from tests.support.lively import lively_network, moving_frames
from vidseg.errors import InputError
from vidseg.prompts.geometry import Box, Points
from vidseg.sam.propagator import Propagator

HEIGHT, WIDTH = 120, 200

pytestmark = pytest.mark.usefixtures("encoded_once")


@pytest.fixture(scope="module")
def network(quarter):
    return lively_network(quarter, seed=4)


@pytest.fixture(scope="module")
def tracked(network):
    """Frames, and an engine after frame 8. Objects are prompted on 0, 0 and 3, the first on 5 too."""
    frames, engine = moving_frames(network.image_size, 12), Propagator(network)
    prompts = {
        0: {1: Box((40, 30, 110, 90)), 7: Points(((150, 40),), (1,))},
        3: {3: Box((10, 20, 60, 100))},
        5: {1: Box((50, 30, 110, 90))},
    }
    for t in range(9):
        features = engine.embed_tensor(frames[t : t + 1], HEIGHT, WIDTH)
        if t in prompts:
            engine.prompt(features, t, prompts[t])
        engine.step(features, t)
    return frames, engine


@pytest.fixture
def stopped(network, tracked, tmp_path):
    """An engine of a test's own after frame 8, its frames and its file."""
    frames, tracked_engine = tracked
    engine = Propagator(network)
    engine._banks = deepcopy(tracked_engine._banks)
    engine.save(tmp_path / "banks.safetensors")
    return engine, frames, tmp_path / "banks.safetensors"


def through_file(engine, network, path):
    again = Propagator(network)
    again.restore(path)
    return again


def through_state(engine, network, path):
    again, (tensors, metadata) = Propagator(network), engine.state_dict()
    again.load_state_dict(dict(sorted(tensors.items())), json.loads(json.dumps(metadata)))
    return again


@pytest.fixture(params=[through_file, through_state])
def restored(request, network, stopped):
    """A second engine with the objects of the first."""
    engine, _, path = stopped
    return request.param(engine, network, path)


def test_run_goes_on_as_if_it_had_not_stopped(stopped, restored):
    (engine, frames, _), again = stopped, restored
    assert list(again.banks) == [1, 7, 3] and list(again.banks[1].conditioning) == [0, 5]
    for t in range(9, 12):
        expected, ours = (e.step(e.embed_tensor(frames[t : t + 1], HEIGHT, WIDTH), t) for e in (engine, again))
        assert ours.ids == expected.ids
        for name in ("logits", "ious", "object_scores", "pointers"):
            assert torch.equal(getattr(ours, name), getattr(expected, name)), name
    # A correction starts from the mask so far, which was kept as well.
    expected, ours = (
        e.prompt(e.embed_tensor(frames[11:], HEIGHT, WIDTH), 11, {7: Points(((100, 70),), (1,))})
        for e in (engine, again)
    )
    assert torch.equal(ours.logits, expected.logits)


def test_everything_in_a_bank_comes_back(stopped, restored):
    (engine, _, _), again = stopped, restored
    for object_id, bank in engine.banks.items():
        other = again.banks[object_id]
        assert (other.latest, other.recent_size, other.pointer_size) == (
            bank.latest,
            bank.recent_size,
            bank.pointer_size,
        )
        assert torch.equal(other.logits, bank.logits)
        for kind in ("conditioning", "recent"):
            mine, theirs = getattr(bank, kind), getattr(other, kind)
            assert list(mine) == list(theirs)
            for t in mine:
                assert mine[t].features.dtype == theirs[t].features.dtype == torch.bfloat16
                assert torch.equal(mine[t].features, theirs[t].features) and torch.equal(
                    mine[t].pointer, theirs[t].pointer
                )
        assert list(bank.pointers) == list(other.pointers) and all(
            torch.equal(bank.pointers[t], other.pointers[t]) for t in bank.pointers
        )


def test_no_objects_are_saved_and_restored(network, tmp_path):
    engine = Propagator(network)
    engine.save(tmp_path / "none.safetensors")
    engine.restore(tmp_path / "none.safetensors")
    assert engine.banks == {}


def broken(kind, path, good):
    if kind == "cut short":
        path.write_bytes(good.read_bytes()[:-100])
    elif kind == "no safetensors":
        path.write_text("hello")
    elif kind == "another safetensors file":
        save_file({"x": torch.zeros(2)}, path)
    elif kind == "empty":
        path.write_bytes(b"")


@pytest.mark.parametrize("kind", ["missing", "cut short", "no safetensors", "another safetensors file", "empty"])
def test_broken_files_are_refused_and_change_nothing(network, stopped, tmp_path, kind):
    engine, _, good = stopped
    broken(kind, tmp_path / "broken.safetensors", good)
    with pytest.raises(InputError, match="broken.safetensors: no memory banks for this model"):
        engine.restore(tmp_path / "broken.safetensors")
    assert list(engine.banks) == [1, 7, 3]


def test_state_has_tensors_of_its_own(stopped):
    """As safetensors wants them: on the CPU, contiguous, and no two in the same memory."""
    tensors, _ = stopped[0].state_dict()
    assert all(value.is_contiguous() and value.device.type == "cpu" for value in tensors.values())
    assert len({value.untyped_storage().data_ptr() for value in tensors.values()}) == len(tensors)


@pytest.mark.parametrize("damage", ["a tensor is missing", "an entry has no id", "an entry is no object"])
def test_broken_state_is_refused_and_changes_nothing(stopped, damage):
    engine, *_ = stopped
    tensors, metadata = engine.state_dict()
    if damage == "a tensor is missing":
        del tensors["1/conditioning/0/features"]
    elif damage == "an entry has no id":
        del metadata[1]["id"]
    else:
        metadata[1] = 7
    with pytest.raises(InputError, match="no memory banks for this model"):
        engine.load_state_dict(tensors, metadata)
    assert engine.object_ids == [1, 7, 3]


def test_banks_of_another_network_are_refused(network, stopped, tmp_path):
    from omegaconf import OmegaConf

    from vidseg.sam.build import instantiate_config

    config = OmegaConf.load(stock.SMALL)
    config.model.image_size = 256
    OmegaConf.save(config, tmp_path / "config.yaml")
    with pytest.raises(InputError, match="another network wrote it"):
        Propagator(instantiate_config(tmp_path / "config.yaml").eval()).restore(stopped[2])


def test_a_failed_save_leaves_the_old_file(network, stopped, monkeypatch):
    engine, _, path = stopped
    before = path.read_bytes()
    monkeypatch.setattr(
        "vidseg.sam.bank_file.save_file", lambda tensors, name, metadata: (name.write_text("half"), 1 / 0)
    )
    with pytest.raises(ZeroDivisionError):
        engine.save(path)
    assert path.read_bytes() == before and len(list(path.parent.iterdir())) == 1
