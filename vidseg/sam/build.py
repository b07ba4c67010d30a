"""From a checkpoint to a SAM 2 network, made of the `sam2` package's modules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidseg.errors import ModelError
from vidseg.sam.checkpoint import find_file, read_weights
from vidseg.sam.transformers_format import has_transformers_names, meta_config, meta_weights

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
        checkpoint: Meta's `.pt` file, also as training saves it, a `.safetensors` file, or a folder with
            `model.safetensors` or with one `.pt` file (a snapshot of the hub). The config is a `.yaml` of the same name
            (or `config.yaml`) beside it if there is one; else it follows from the shapes. Or what transformers saved of
            a `Sam2VideoModel`, one file or several, with its `config.json` beside it.
        device: where the network goes.

    Returns:
        The network in evaluation mode, float32.

    Raises:
        ModelError: the file is missing, is not a checkpoint, or does not fit its config.
    """
    path = find_file(Path(checkpoint))
    weights = read_weights(path)
    if has_transformers_names(weights):
        config, weights = path.with_name("config.json"), meta_weights(weights, path)
        network = instantiate_config(stock_config("sam2.1", "t"), meta_config(config), config)
    else:
        config = find_config(path, weights)
        network = instantiate_config(config)
    try:
        network.load_state_dict({name: value.float() for name, value in weights.items()})
    except RuntimeError as error:
        lines = str(error).splitlines()
        reason = lines[1].strip() if len(lines) > 1 else lines[0]
        reason = reason if len(reason) <= 200 else f"{reason[:200]}…"  # it may name all weights
        raise ModelError(f"{path}: does not fit {config.name} ({reason})") from None
    return network.eval().to(device)


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
    return stock_config("sam2.1" if "no_obj_embed_spatial" in weights else "sam2", size)


def stock_config(version: str, size: str) -> Path:
    """A config in the sam2 package: of "sam2" or "sam2.1", in one of SIZES."""
    import sam2

    return Path(sam2.__path__[0]) / "configs" / version / f"{version}_hiera_{size}.yaml"


def instantiate_config(
    config: Path, changes: Mapping[str, Any] | None = None, changed_by: Path | None = None
) -> SAM2Base:
    """A network with fresh weights from a config in the sam2 package's format, with the stock predictor's overrides.

    Args:
        config: the file.
        changes: what is different, by dotted names.
        changed_by: the file that says so, for messages.

    Raises:
        ModelError: the file cannot be read, or there is no such network.
    """
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
        for name, value in (changes or {}).items():
            OmegaConf.update(model, name, value)
        return instantiate(OmegaConf.merge(model, STOCK_OVERRIDES))
    except Exception as error:  # hydra, OmegaConf, YAML and the modules themselves all raise their own
        reason = (str(error).splitlines() or ["?"])[0]
        raise ModelError(f"{changed_by or config}: not a usable SAM 2 config ({reason})") from None


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
