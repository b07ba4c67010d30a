"""The reference: the `sam2` package's own `SAM2VideoPredictor`, fed with tensors instead of files."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import sam2.sam2_video_predictor as stock_module
import sam2.utils.misc as stock_misc
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from vidseg.prompts.geometry import Box, MaskPrompt, Points
from vidseg.sam.build import STOCK_OVERRIDES

SMALL = Path(__file__).parents[2] / "vidseg/demo/sam/config.yaml"
FULL = Path(str(stock_module.__file__)).parent / "configs/sam2.1/sam2.1_hiera_t.yaml"


def at_side(config: Path, side: int, folder: Path) -> Path:
    """The same network for frames of another size: as deep and as wide, and faster where they are smaller."""
    changed = OmegaConf.load(config)
    changed.model.image_size = side
    for kind in ("self_attention", "cross_attention"):
        changed.model.memory_attention.layer[kind].feat_sizes = [side // 16] * 2
    path = folder / f"config{side}.yaml"
    OmegaConf.save(changed, path)
    return path


def stock_predictor(config: Path, state: dict, vos_optimized: bool = False):
    """What `build_sam2_video_predictor` builds from a config, with the given weights."""
    overrides = {**STOCK_OVERRIDES, "_target_": "sam2.sam2_video_predictor.SAM2VideoPredictor", "fill_hole_area": 8}
    if vos_optimized:
        overrides |= {"_target_": "sam2.sam2_video_predictor.SAM2VideoPredictorVOS", "compile_image_encoder": True}
    predictor = instantiate(OmegaConf.merge(OmegaConf.load(config).model, overrides))
    predictor.load_state_dict(state)
    return predictor.eval()


def components(mask: torch.Tensor):
    """`get_connected_components` of sam2 without its CUDA extension.

    Returns labels and areas [B, 1, H, W], 0 outside `mask`.
    """
    labels, areas = np.zeros(mask.shape, np.int32), np.zeros(mask.shape, np.int32)
    for i, plane in enumerate(mask[:, 0].cpu().numpy().astype(np.uint8)):
        _, labels[i, 0], stats, _ = cv2.connectedComponentsWithStats(plane, connectivity=8)
        areas[i, 0] = np.where(labels[i, 0] > 0, stats[labels[i, 0], cv2.CC_STAT_AREA], 0)
    return torch.from_numpy(labels), torch.from_numpy(areas)


def start(predictor, frames: torch.Tensor, height: int, width: int, monkeypatch) -> dict:
    """An inference state over frames [T, 3, S, S], normalised, of a clip of the given size."""
    monkeypatch.setattr(stock_misc, "get_connected_components", components)
    monkeypatch.setattr(stock_module, "load_video_frames", lambda **_: (frames, height, width))
    return predictor.init_state("unused")


def add_prompt(predictor, state: dict, index: int, object_id: int, prompt: Box | Points | MaskPrompt) -> None:
    """Point the predictor at one object on one frame."""
    if isinstance(prompt, MaskPrompt):
        predictor.add_new_mask(state, index, object_id, prompt.mask)
        return
    points = prompt if isinstance(prompt, Points) else prompt.points
    predictor.add_new_points_or_box(
        state,
        index,
        object_id,
        points=points and np.array(points.xy, np.float32),
        labels=points and np.array(points.labels, np.int32),
        box=prompt.xyxy if isinstance(prompt, Box) else None,
    )


def propagate(predictor, state, **options) -> None:
    """Run the predictor through; its results stay in the state (see `result`)."""
    for _ in predictor.propagate_in_video(state, **options):
        pass


def result(state, object_id: int, index: int) -> dict:
    """Low-resolution logits `pred_masks`, `object_score_logits` and `obj_ptr` of one object on one frame."""
    outputs = state["output_dict_per_obj"][state["obj_id_to_idx"][object_id]]
    return outputs["cond_frame_outputs"].get(index) or outputs["non_cond_frame_outputs"][index]
