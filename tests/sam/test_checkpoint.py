"""Checkpoints of the demo SAM in the ways in which people have them."""

from __future__ import annotations

import argparse
import pathlib
import shutil
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from vidseg.errors import ModelError
from vidseg.sam.build import build_sam
from vidseg.sam.checkpoint import read_weights

DEMO = Path(__file__).parents[2] / "vidseg/demo/sam"


@pytest.fixture(scope="module")
def weights():
    return load_file(DEMO / "model.safetensors")


def prefixed(weights, prefix):
    return {prefix + name: value for name, value in weights.items()}


def inside(weights, part):
    """As if the image encoder alone had been wrapped."""
    return {name.replace("image_encoder.", f"image_encoder.{part}."): value for name, value in weights.items()}


WAYS = {
    "bare": lambda w: w,
    "ordered": OrderedDict,
    "model": lambda w: {"model": w},
    "state_dict": lambda w: {"state_dict": w, "epoch": 3, "optimizer": {"state": {}, "lr": 0.1}},
    "model_state_dict": lambda w: {"epoch": 3, "model_state_dict": w},
    "one in another": lambda w: {"state_dict": {"model": w}},
    "module.": lambda w: {"model": prefixed(w, "module.")},
    "_orig_mod.": lambda w: prefixed(w, "_orig_mod."),
    "module._orig_mod.": lambda w: {"state_dict": prefixed(w, "module._orig_mod.")},
    "_orig_mod.module.": lambda w: {"model_state_dict": prefixed(w, "_orig_mod.module.")},
    "model.": lambda w: {"state_dict": prefixed(w, "model.")},
    "a part was compiled": lambda w: {"model": inside(w, "_orig_mod")},
    "a part was distributed": lambda w: {"model": inside(w, "module")},
    "NumPy float": lambda w: {"model": w, "loss": np.float64(0.25)},
    "NumPy int": lambda w: {"model": w, "epoch": np.int64(3), "best": np.float32(0.5), "done": np.bool_(True)},
    "NumPy array": lambda w: {"state_dict": w, "history": np.arange(5.0), "names": np.array(["a", "b"])},
    "NumPy text": lambda w: {"state_dict": w, "name": np.str_("run 1")},
    "half": lambda w: {"model": {name: value.half() for name, value in w.items()}},
}


@pytest.mark.parametrize("way", WAYS)
def test_saved_by_training(tmp_path, weights, way):
    torch.save(WAYS[way](weights), tmp_path / "mine.pt")
    read = read_weights(tmp_path / "mine.pt")
    assert read.keys() == weights.keys()
    assert all(torch.equal(read[name].half(), value.half()) for name, value in weights.items())


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod."])
def test_safetensors_with_prefixes(tmp_path, weights, prefix):
    save_file(prefixed(weights, prefix), tmp_path / "mine.safetensors")
    assert read_weights(tmp_path / "mine.safetensors").keys() == weights.keys()


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".ckpt"])
def test_the_network_is_the_same(tmp_path, weights, suffix):
    shutil.copy(DEMO / "config.yaml", tmp_path / "config.yaml")
    torch.save({"state_dict": prefixed(weights, "module."), "step": np.int64(1)}, tmp_path / f"mine{suffix}")
    network = build_sam(tmp_path / f"mine{suffix}")
    assert all(torch.equal(value, weights[name].float()) for name, value in network.state_dict().items())


# -- what is not read ------------------------------------------------------------------------------------------------


class Trap:
    """Pickles as a call that makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize(
    ("beside", "name"),
    [
        (lambda path: path, "pathlib"),
        (lambda path: argparse.Namespace(lr=0.1), "argparse.Namespace"),
        (lambda path: pathlib.PureWindowsPath("a"), "pathlib"),
        (Trap, "Path|getattr"),
        (lambda path: np.array([Trap(path)], object), "Path|getattr"),
        (lambda path: torch.nn.Linear(1, 1), "torch.nn.modules.linear.Linear"),
    ],
)
def test_what_could_run_code_is_named_in_one_line(tmp_path, weights, beside, name):
    torch.save({"model": weights, "more": beside(tmp_path / "executed")}, tmp_path / "mine.pt")
    with pytest.raises(ModelError, match=rf"mine.pt: cannot be read .*it holds a \S*({name})") as caught:
        read_weights(tmp_path / "mine.pt")
    assert str(caught.value).isprintable() and not (tmp_path / "executed").exists()


def test_nothing_stays_allowed(tmp_path, weights):
    torch.save({"model": weights, "loss": np.float64(1)}, tmp_path / "mine.pt")
    before = set(torch.serialization.get_safe_globals())  # torch has them in no particular order
    read_weights(tmp_path / "mine.pt")
    assert set(torch.serialization.get_safe_globals()) == before


def test_numpy_values_are_not_weights(tmp_path, weights):
    torch.save({"model": {name: value.float().numpy() for name, value in weights.items()}}, tmp_path / "mine.pt")
    with pytest.raises(ModelError, match="holds no SAM 2 weights"):
        read_weights(tmp_path / "mine.pt")


# -- folders ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def snapshot(tmp_path):
    """What the hub's folders hold beside Meta's file: transformers' files."""
    (tmp_path / "config.json").write_text('{"model_type": "sam2_video", "architectures": ["Sam2VideoModel"]}')
    (tmp_path / "README.md").write_text("SAM 2")
    save_file({"vision_encoder.backbone.pos_embed": torch.zeros(3)}, tmp_path / "model.safetensors")
    return tmp_path


@pytest.mark.parametrize("name", ["sam2.1_hiera_tiny.pt", "checkpoint.pth", "mine.pt"])
def test_snapshot_of_the_hub(snapshot, weights, name):
    torch.save({"model": weights}, snapshot / name)
    (snapshot / name).with_suffix(".yaml").write_text((DEMO / "config.yaml").read_text())
    network = build_sam(snapshot)
    assert all(torch.equal(value, weights[key].float()) for key, value in network.state_dict().items())


def test_several_files_in_a_folder(snapshot, weights):
    for name in ("a.pt", "b.pth"):
        torch.save({"model": weights}, snapshot / name)
    with pytest.raises(ModelError, match=r"holds several checkpoints \(a.pt, b.pth\); give one of these files"):
        build_sam(snapshot)


def test_our_own_folder_may_hold_more(snapshot, weights):
    shutil.copy(DEMO / "model.safetensors", snapshot / "model.safetensors")
    shutil.copy(DEMO / "config.yaml", snapshot)
    (snapshot / "optimizer.pt").write_bytes(b"")
    assert build_sam(snapshot).state_dict().keys() == weights.keys()


def test_a_folder_with_nothing_but_metas_file(tmp_path, weights):
    torch.save({"model": weights}, tmp_path / "best.pt")
    shutil.copy(DEMO / "config.yaml", tmp_path)
    assert build_sam(tmp_path).state_dict().keys() == weights.keys()
