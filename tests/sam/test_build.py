"""From checkpoint files, whole and broken, to networks."""

from __future__ import annotations

import inspect
import shutil
from pathlib import Path

import pytest
import sam2
import torch
from omegaconf import OmegaConf
from sam2.modeling.backbones.hieradet import Hiera

from tests.support import stock
from tests.support.standins import save_sam
from vidseg.errors import ModelError
from vidseg.sam.build import build_sam, find_config, instantiate_config

DEMO = Path(__file__).parents[2] / "vidseg/demo/sam"
CONFIGS = Path(sam2.__path__[0]) / "configs"
PATCH = "image_encoder.trunk.patch_embed.proj.weight"


def hollow_weights(config: Path) -> dict[str, torch.Tensor]:
    """Those weights of a config's checkpoint that tell it from others, without the numbers."""
    model = OmegaConf.load(config).model
    defaults = {name: parameter.default for name, parameter in inspect.signature(Hiera).parameters.items()}
    width = model.image_encoder.trunk.get("embed_dim", defaults["embed_dim"])
    blocks = sum(model.image_encoder.trunk.get("stages", defaults["stages"]))
    weights = {PATCH: torch.empty(width, 3, 7, 7, device="meta")}
    weights |= {
        f"image_encoder.trunk.blocks.{i}.{part}": torch.empty(1)
        for i in range(blocks)
        for part in ("norm1.weight", "norm1.bias")
    }
    if model.get("no_obj_embed_spatial"):
        weights["no_obj_embed_spatial"] = torch.empty(1, 64)
    return weights


@pytest.mark.parametrize("size", ["t", "s", "b+", "l"])
@pytest.mark.parametrize("version", ["sam2", "sam2.1"])
def test_config_follows_from_the_shapes(tmp_path, version, size):
    config = CONFIGS / version / f"{version}_hiera_{size}.yaml"
    assert find_config(tmp_path / "any name.pt", hollow_weights(config)) == config


def test_config_beside_the_checkpoint_comes_first(tmp_path):
    weights = hollow_weights(stock.FULL)
    (tmp_path / "config.yaml").write_text("model: {}")
    assert find_config(tmp_path / "mine.pt", weights) == tmp_path / "config.yaml"
    (tmp_path / "mine.yaml").write_text("model: {}")
    assert find_config(tmp_path / "mine.pt", weights) == tmp_path / "mine.yaml"


@pytest.mark.parametrize(
    "weights",
    [{}, {"conv.weight": torch.zeros(3)}, {PATCH: torch.zeros(96, 3, 7, 7)}, {PATCH: torch.zeros(7, 3, 7, 7)}],
)
def test_unknown_shapes_need_a_config(tmp_path, weights):
    with pytest.raises(ModelError, match="mine.pt: not one of the SAM 2 sizes .* as mine.yaml") as caught:
        find_config(tmp_path / "mine.pt", weights)
    assert "\n" not in str(caught.value)


def assert_same_weights(network, expected: dict[str, torch.Tensor]) -> None:
    state = network.state_dict()
    assert state.keys() == expected.keys()
    for name, value in state.items():
        assert value.dtype == torch.float32 and torch.equal(value, expected[name].float()), name


def test_full_size_checkpoint_in_metas_layout(tmp_path):
    path = save_sam(stock.FULL, tmp_path / "sam2.1_hiera_tiny.pt")
    network = build_sam(path)
    assert_same_weights(network, torch.load(path, weights_only=True)["model"])
    assert sum(value.numel() for value in network.parameters()) == 38_962_498
    assert not network.training and network.image_size == 1024
    # What the stock predictor sets beyond the config.
    assert network.binarize_mask_from_pts_for_mem_enc and network.sam_mask_decoder.dynamic_multimask_via_stability


def test_demo_folder_and_its_files():
    from safetensors.torch import load_file

    weights = load_file(DEMO / "model.safetensors")
    for given in (DEMO, DEMO / "model.safetensors", str(DEMO)):
        assert_same_weights(build_sam(given), weights)


def test_half_precision_weights_become_float32(tmp_path):
    shutil.copy(stock.SMALL, tmp_path / "config.yaml")
    weights = {name: value.half() for name, value in instantiate_config(stock.SMALL).state_dict().items()}
    torch.save(weights, tmp_path / "bare.pt")  # without the key "model": a state dict as it is
    assert_same_weights(build_sam(tmp_path / "bare.pt"), weights)


# -- what is broken --------------------------------------------------------------------------------------------------


class Payload:
    """Pickles as a call that makes a file."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def lacking(name: str) -> dict[str, torch.Tensor]:
    return {key: value for key, value in instantiate_config(stock.SMALL).state_dict().items() if key != name}


BROKEN_CONTENT = {
    "code": lambda path: {"model": Payload(path.with_name("executed"))},
    "no model": lambda _: {"state": lacking(""), "epoch": 3},
    "model is no dictionary": lambda _: {"model": "sam2"},
    "model is a tensor": lambda _: {"model": torch.zeros(3)},
    "no tensors": lambda _: {"model": {"a": 1}},
    "no dictionary": lambda _: [torch.zeros(3)],
    "one missing": lambda _: {"model": lacking("maskmem_tpos_enc")},
    "one too many": lambda _: {"model": lacking("") | {"extra": torch.zeros(3)}},
    "other shape": lambda _: {"model": lacking("") | {"maskmem_tpos_enc": torch.zeros(7, 1, 1, 64)}},
}


def spoil(path: Path, kind: str) -> None:
    """Make `path` what `kind` says. The demo's config lies beside it."""
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_text("<html>404: not found</html>\n" * 10)
    elif kind == "truncated":
        torch.save({"model": lacking("")}, path)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif kind != "missing":
        torch.save(BROKEN_CONTENT[kind](path), path)


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("missing", "no such SAM 2 checkpoint"),
        ("empty", "cannot be read"),
        ("text", "cannot be read"),
        ("truncated", "cannot be read"),
        ("code", "cannot be read"),
        ("no model", "holds no SAM 2 weights"),
        ("model is no dictionary", "holds no SAM 2 weights"),
        ("model is a tensor", "holds no SAM 2 weights"),
        ("no tensors", "holds no SAM 2 weights"),
        ("no dictionary", "holds no SAM 2 weights"),
        ("one missing", "does not fit config.yaml .*maskmem_tpos_enc"),
        ("one too many", "does not fit config.yaml .*extra"),
        ("other shape", "does not fit config.yaml .*maskmem_tpos_enc"),
    ],
)
def test_broken_checkpoint_is_refused_in_one_line(tmp_path, kind, says):
    path = tmp_path / "sam2.pt"
    shutil.copy(stock.SMALL, tmp_path / "config.yaml")
    spoil(path, kind)
    with pytest.raises(ModelError, match=says) as caught:
        build_sam(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    assert not (tmp_path / "executed").exists()


def test_broken_safetensors_are_refused(tmp_path):
    data = (DEMO / "model.safetensors").read_bytes()
    for part in (b"", b"{}", data[:50], data[: len(data) // 2]):
        (tmp_path / "model.safetensors").write_bytes(part)
        with pytest.raises(ModelError, match="model.safetensors: cannot be read") as caught:
            build_sam(tmp_path)
        assert "\n" not in str(caught.value)


def test_folder_without_weights_is_refused(tmp_path):
    shutil.copy(stock.SMALL, tmp_path / "config.yaml")
    with pytest.raises(ModelError, match="model.safetensors: no such SAM 2 checkpoint; give .* config.yaml"):
        build_sam(tmp_path)


FOREIGN = {  # each would make a file
    "plainly": "model:\n  _target_: pathlib.Path.touch\n  self: {path}\n",
    "inside": (
        "model:\n  _target_: sam2.modeling.sam2_base.SAM2Base\n"
        "  image_encoder:\n    _target_: torch.save\n    obj: 1\n    f: {path}\n"
    ),
    "in a list": (
        "model:\n  _target_: sam2.modeling.sam2_base.SAM2Base\n"
        "  memory_encoder:\n  - [_target_: torch.save, obj: 1, f: {path}]\n"
    ),
    "by way of a module of SAM 2": (
        "model:\n  image_encoder:\n    _target_: sam2.modeling.sam2_base.torch.save\n    obj: 1\n    f: {path}\n"
    ),
    "by reference": (
        "payload:\n  _target_: torch.save\n  obj: 1\n  f: {path}\n"
        "model:\n  _target_: sam2.modeling.sam2_base.SAM2Base\n  image_encoder: ${{payload}}\n"
    ),
    "as a pickle": "model:\n  _target_: sam2.modeling.backbones.hieradet.Hiera\n  weights_path: {pickle}\n",
}


@pytest.mark.parametrize("way", FOREIGN)
def test_config_cannot_run_foreign_code(tmp_path, way):
    torch.save(Payload(tmp_path / "executed"), tmp_path / "trunk.pickle")
    text = FOREIGN[way].format(path=tmp_path / "executed", pickle=tmp_path / "trunk.pickle")
    (tmp_path / "config.yaml").write_text(text)
    shutil.copy(DEMO / "model.safetensors", tmp_path)
    with pytest.raises(
        ModelError, match="config.yaml: not a usable SAM 2 config .*(not part of SAM 2|not allowed)"
    ) as caught:
        build_sam(tmp_path)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    "text",
    ["", "hello", "model:", "model: 3", "a: b", "model: {_target_: sam2.modeling.sam2_base.SAM2Base}", "a: [", "\x00"],
)
def test_unusable_config_is_refused_in_one_line(tmp_path, text):
    (tmp_path / "config.yaml").write_text(text)
    shutil.copy(DEMO / "model.safetensors", tmp_path)
    with pytest.raises(ModelError, match="config.yaml: not a usable SAM 2 config") as caught:
        build_sam(tmp_path)
    assert "\n" not in str(caught.value)
