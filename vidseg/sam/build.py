"""From a checkpoint to a SAM 2 network, made of the `sam2` package's modules."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from vidseg.errors import ModelError

if TYPE_CHECKING:
    from sam2.modeling.sam2_base import SAM2Base
    from torch import Tensor

# What tells Meta's four sizes apart: channels after the patch embedding, number of blocks in the trunk.
SIZES = {(96, 12): "t", (96, 16): "s", (112, 24): "b+", (144, 48): "l"}

# `build_sam2_video_predictor` adds these to every config: when the single mask of a prompt or frame is not stable,
# fall back to the best of three, and write exactly the mask that the user saw into memory.
STOCK_OVERRIDES = {
    "binarize_mask_from_pts_for_mem_enc": True,
    "sam_mask_decoder_extra_args": {
        "dynamic_multimask_via_stability": True,
        "dynamic_multimask_stability_delta": 0.05,
        "dynamic_multimask_stability_thresh": 0.98,
    },
}


def build_sam(checkpoint: str | Path, device: str = "cpu") -> SAM2Base:
    """Load a SAM 2 or 2.1 network.

    Args:
        checkpoint: Meta's `.pt` file, a `.safetensors` file, or a folder with `model.safetensors`. The config is a
            `.yaml` of the same name (or `config.yaml`) beside it if there is one; else it follows from the shapes.
        device: where the network goes.

    Returns:
        The network in evaluation mode, float32.

    Raises:
        ModelError: the file is missing, is not a checkpoint, or does not fit its config.
    """
    path = Path(checkpoint)
    if path.is_dir():
        path = path / "model.safetensors"
    if not path.is_file():
        raise ModelError(
            f"{path}: no such SAM 2 checkpoint; give a .pt file, or a folder with model.safetensors and config.yaml"
        )
    weights = read_weights(path)
    config = find_config(path, weights)
    network = instantiate_config(config)
    try:
        network.load_state_dict({name: value.float() for name, value in weights.items()})
    except RuntimeError as error:
        reason = str(error).splitlines()
        raise ModelError(
            f"{path}: does not fit {config.name} ({reason[1].strip() if len(reason) > 1 else reason[0]})"
        ) from None
    return network.eval().to(device)


def read_weights(path: Path) -> dict[str, Tensor]:
    """Tensors of a checkpoint by name. Only tensors are ever read from the file: no pickled code runs."""
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        import torch

        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # each format fails in its own ways, with types of its own
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ModelError(
            f"{path}: cannot be read as a SAM 2 checkpoint ({reason[:120]}); is the download complete?"
        ) from None
    weights = content.get("model", content) if isinstance(content, dict) else None
    if (
        not isinstance(weights, dict)
        or not weights
        or not all(isinstance(value, torch.Tensor) for value in weights.values())
    ):
        raise ModelError(f"{path}: holds no SAM 2 weights (expected Meta's layout: a dictionary under the key 'model')")
    return weights


def find_config(path: Path, weights: dict[str, Tensor]) -> Path:
    """The config that goes with a checkpoint: beside it, or the one of Meta's whose shapes it has."""
    for beside in (path.with_suffix(".yaml"), path.with_name("config.yaml")):
        if beside.is_file():
            return beside
    patch = weights.get("image_encoder.trunk.patch_embed.proj.weight")
    blocks = {name.split(".")[3] for name in weights if name.startswith("image_encoder.trunk.blocks.")}
    size = SIZES.get((len(patch), len(blocks))) if patch is not None else None
    if size is None:
        raise ModelError(
            f"{path}: not one of the SAM 2 sizes tiny, small, base-plus, large; "
            f"put its config beside it as {path.stem}.yaml"
        )
    import sam2

    version = "sam2.1" if "no_obj_embed_spatial" in weights else "sam2"
    return Path(sam2.__path__[0]) / "configs" / version / f"{version}_hiera_{size}.yaml"


def instantiate_config(config: Path) -> SAM2Base:
    """A network with fresh weights from a config in the sam2 package's format, with the stock predictor's overrides."""
    from hydra.utils import instantiate
    from omegaconf import OmegaConf

    try:
        model = OmegaConf.load(config).model
        # A config names the classes to build. It comes with a download, so it may name SAM 2's classes and no others,
        # in plain sight: an interpolation could bring in a class that is not seen here.
        for key, value in leaves(OmegaConf.to_container(model)):
            if key == "_target_" and not is_sam2_class(str(value)):
                raise ValueError(f"it asks for {value}, which is not part of SAM 2")
            if "${" in str(value) or key == "weights_path":
                raise ValueError(f"{key}: {value} is not allowed here")
        return instantiate(OmegaConf.merge(model, STOCK_OVERRIDES))
    except Exception as error:  # hydra, OmegaConf, YAML and the modules themselves all raise their own
        raise ModelError(f"{config}: not a usable SAM 2 config ({(str(error).splitlines() or ['?'])[0]})") from None


def is_sam2_class(name: str) -> bool:
    """Whether a dotted name is that of a class defined in `sam2.modeling` (and not of what its modules import)."""
    module, _, attribute = name.rpartition(".")
    if not module.startswith("sam2.modeling."):
        return False
    try:
        found = getattr(import_module(module), attribute, None)
    except ImportError:
        return False
    return isinstance(found, type) and found.__module__.startswith("sam2.modeling.")


def leaves(node, key: str = "") -> Iterator[tuple[str, object]]:
    """Every value in a nested config that is no dictionary or list, with the name of its key."""
    if isinstance(node, dict):
        for name, value in node.items():
            yield from leaves(value, str(name))
    elif isinstance(node, list):
        for value in node:
            yield from leaves(value, key)
    else:
        yield key, node
