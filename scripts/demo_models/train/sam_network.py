"""The demo SAM 2.1 as it is trained: its config, its sizes, its optimisers, and how it is written down."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from safetensors.torch import save_file
from torch import Tensor

from scripts.common import ROOT
from scripts.demo_models.train.muon import Muon

CONFIG = ROOT / "vidseg/demo/sam/config.yaml"
RATE, DECAY = 1e-3, 0.05
INNER = ("image_encoder.trunk.blocks", "memory_", "sam_mask_decoder.transformer")  # Muon's are matrices in there


def build() -> Any:
    """The network with fresh weights."""
    return instantiate(OmegaConf.load(CONFIG).model)


def set_image_size(model: Any, side: int) -> None:
    """No weight of SAM 2 depends on the size of the picture; these numbers do."""
    cells = side // model.backbone_stride
    model.image_size, model.sam_image_embedding_size = side, cells
    encoder = model.sam_prompt_encoder
    encoder.input_image_size, encoder.image_embedding_size = (side, side), (cells, cells)
    encoder.mask_input_size = (4 * cells, 4 * cells)


def optimisers_of(model: torch.nn.Module, heads: torch.nn.Module) -> list[torch.optim.Optimizer]:
    """Muon for the matrices within the network, AdamW for the rest; both take one learning rate."""
    matrices: list[Tensor] = []
    others: list[Tensor] = []
    plain: list[Tensor] = []
    for name, parameter in [*model.named_parameters(), *heads.named_parameters()]:
        kind = plain if parameter.ndim <= 1 else matrices if parameter.ndim == 2 and name.startswith(INNER) else others
        kind.append(parameter)
    groups = [{"params": others, "weight_decay": DECAY}, {"params": plain, "weight_decay": 0.0}]
    return [
        Muon(matrices, lr=RATE, weight_decay=DECAY),
        torch.optim.AdamW(groups, lr=RATE, betas=(0.9, 0.98)),
    ]


def export(state: dict[str, Tensor], folder: Path) -> None:
    """Write weights in half precision and the config, as `vidseg.load(sam=folder)` reads them."""
    folder.mkdir(parents=True, exist_ok=True)
    if folder.resolve() != CONFIG.parent:
        shutil.copy(CONFIG, folder)
    save_file({k: v.half().contiguous() for k, v in state.items()}, folder / "model.safetensors")
