"""SAM 2 as transformers saves it (`Sam2VideoModel`): its config and the names of its weights, in Meta's terms.

Sources: `modeling_sam2_video.py` and `configuration_sam2_video.py` of transformers 5.24; the modules and the configs of
the `sam2` package.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidseg.errors import ModelError

if TYPE_CHECKING:
    from torch import Tensor

BACKBONE = "vision_config.backbone_config."
CHANNELS, HEADS = BACKBONE + "hidden_size", BACKBONE + "num_attention_heads_per_stage"
WIDTH, SIDE = "vision_config.fpn_hidden_size", "image_size"
# Fields of config.json that must be as in all of Meta's sizes, because the `sam2` package or our engine has no other
# way. Each is transformers' default, so a field that is absent is right. Two equal numbers ([7, 7]) count as one.
FIXED = {
    "vision_config.model_type": "sam2_vision_model",
    "vision_config.num_feature_levels": 3,
    "vision_config.fpn_kernel_size": 1,
    "vision_config.fpn_stride": 1,
    "vision_config.fpn_padding": 0,
    BACKBONE + "model_type": "sam2_hiera_det_model",
    BACKBONE + "num_channels": 3,
    BACKBONE + "patch_kernel_size": 7,
    BACKBONE + "patch_stride": 4,
    BACKBONE + "patch_padding": 3,
    BACKBONE + "query_stride": 2,
    BACKBONE + "mlp_ratio": 4,
    BACKBONE + "hidden_act": "gelu",
    BACKBONE + "layer_norm_eps": 1e-6,
    "prompt_encoder_config.patch_size": 16,
    "prompt_encoder_config.mask_input_channels": 16,
    "prompt_encoder_config.num_point_embeddings": 4,
    "prompt_encoder_config.hidden_act": "gelu",
    "prompt_encoder_config.layer_norm_eps": 1e-6,
    "mask_decoder_config.mlp_dim": 2048,
    "mask_decoder_config.num_hidden_layers": 2,
    "mask_decoder_config.num_attention_heads": 8,
    "mask_decoder_config.attention_downsample_rate": 2,
    "mask_decoder_config.num_multimask_outputs": 3,
    "mask_decoder_config.iou_head_depth": 3,
    "mask_decoder_config.iou_head_hidden_dim": 256,
    "mask_decoder_config.dynamic_multimask_via_stability": True,
    "mask_decoder_config.dynamic_multimask_stability_delta": 0.05,
    "mask_decoder_config.dynamic_multimask_stability_thresh": 0.98,
    "max_cond_frame_num": -1,
    "memory_attention_num_attention_heads": 1,
    "memory_attention_downsample_rate": 1,
    "memory_attention_feed_forward_hidden_act": "relu",
    "memory_attention_rope_theta": 10000,  # of older releases
    "rope_parameters.rope_theta": 10000,
    "rope_parameters.rope_type": "axial",
    "memory_encoder_output_channels": 64,
    "mask_downsampler_kernel_size": 3,
    "mask_downsampler_stride": 2,
    "mask_downsampler_padding": 1,
    "mask_downsampler_total_stride": 16,
    "mask_downsampler_hidden_act": "gelu",
    "memory_fuser_kernel_size": 7,
    "memory_fuser_padding": 3,
    "memory_fuser_hidden_act": "gelu",
}
# Fields that Meta's config has under another name, or in another place.
RENAMED = {
    CHANNELS: "image_encoder.trunk.embed_dim",
    BACKBONE + "blocks_per_stage": "image_encoder.trunk.stages",
    BACKBONE + "num_query_pool_stages": "image_encoder.trunk.q_pool",
    BACKBONE + "window_size_per_stage": "image_encoder.trunk.window_spec",
    BACKBONE + "global_attention_blocks": "image_encoder.trunk.global_att_blocks",
    BACKBONE + "window_positional_embedding_background_size": "image_encoder.trunk.window_pos_embed_bkg_spatial_size",
    "vision_config.backbone_channel_list": "image_encoder.neck.backbone_channel_list",
    "vision_config.fpn_top_down_levels": "image_encoder.neck.fpn_top_down_levels",
    "memory_attention_num_layers": "memory_attention.num_layers",
    "memory_attention_feed_forward_hidden_size": "memory_attention.layer.dim_feedforward",
    "memory_fuser_num_layers": "memory_encoder.fuser.num_layers",
    "max_object_pointers_in_encoder": "max_obj_ptrs_in_encoder",
    "enable_occlusion_spatial_embedding": "no_obj_embed_spatial",
    "enable_temporal_pos_encoding_for_object_pointers": "add_tpos_enc_to_obj_ptrs",
    **{
        name: name
        for name in (
            "num_maskmem",
            "sigmoid_scale_for_mem_enc",
            "sigmoid_bias_for_mem_enc",
            "multimask_output_in_sam",
            "multimask_min_pt_num",
            "multimask_max_pt_num",
            "multimask_output_for_tracking",
        )
    },
}

# What becomes of the names of weights, one replacement after the other.
NAMES = [
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        # multilayer perceptrons, first those with two layers
        (r"\.mlp\.proj_in\.", ".mlp.layers.0."),
        (r"\.mlp\.proj_out\.", ".mlp.layers.1."),
        (r"(mlps\.\d+|_head|^object_pointer_proj)\.layers\.0\.", r"\1.layers.1."),
        (r"(mlps\.\d+|_head|^object_pointer_proj)\.proj_in\.", r"\1.layers.0."),
        (r"(mlps\.\d+|_head|^object_pointer_proj)\.proj_out\.", r"\1.layers.2."),
        # image encoder
        (r"^vision_encoder\.backbone\.", "image_encoder.trunk."),
        (r"^vision_encoder\.neck\.convs\.(\d+)\.", r"image_encoder.neck.convs.\1.conv."),
        (r"\.patch_embed\.projection\.", ".patch_embed.proj."),
        # prompt encoder
        (r"^prompt_encoder\.shared_embedding\.positional_embedding$", "shared_image_embedding.positional_embedding"),
        (r"^shared_image_embedding\.positional_embedding$", "pe_layer.positional_encoding_gaussian_matrix"),
        (r"^pe_layer\.", "sam_prompt_encoder.pe_layer."),
        (r"^prompt_encoder\.mask_embed\.conv1\.", "sam_prompt_encoder.mask_downscaling.0."),
        (r"^prompt_encoder\.mask_embed\.layer_norm1\.", "sam_prompt_encoder.mask_downscaling.1."),
        (r"^prompt_encoder\.mask_embed\.conv2\.", "sam_prompt_encoder.mask_downscaling.3."),
        (r"^prompt_encoder\.mask_embed\.layer_norm2\.", "sam_prompt_encoder.mask_downscaling.4."),
        (r"^prompt_encoder\.mask_embed\.conv3\.", "sam_prompt_encoder.mask_downscaling.6."),
        (r"^prompt_encoder\.", "sam_prompt_encoder."),
        # mask decoder
        (r"^mask_decoder\.upscale_conv1\.", "mask_decoder.output_upscaling.0."),
        (r"^mask_decoder\.upscale_layer_norm\.", "mask_decoder.output_upscaling.1."),
        (r"^mask_decoder\.upscale_conv2\.", "mask_decoder.output_upscaling.3."),
        (r"\.layer_norm_final_attn\.", ".norm_final_attn."),
        (r"^mask_decoder\.", "sam_mask_decoder."),
        # memory encoder: a convolution, its norm and an activation without weights are three modules in Meta's list
        *(
            (rf"\.mask_downsampler\.layers\.{layer}\.{part}\.", f".mask_downsampler.encoder.{3 * layer + offset}.")
            for layer in range(4)
            for offset, part in enumerate(("conv", "layer_norm"))
        ),
        (r"\.mask_downsampler\.final_conv\.", ".mask_downsampler.encoder.12."),
        (r"^memory_encoder\.feature_projection\.", "memory_encoder.pix_feat_proj."),
        (r"^memory_encoder\.projection\.", "memory_encoder.out_proj."),
        (r"^memory_encoder\.memory_fuser\.", "memory_encoder.fuser."),
        (r"\.depthwise_conv\.", ".dwconv."),
        (r"\.pointwise_conv(\d)\.", r".pwconv\1."),
        (r"^(memory_encoder\.fuser\.layers\.\d+)\.scale$", r"\1.gamma"),
        # what stands by itself
        (r"^memory_temporal_positional_encoding$", "maskmem_tpos_enc"),
        (r"^no_memory_embedding$", "no_mem_embed"),
        (r"^no_memory_positional_encoding$", "no_mem_pos_enc"),
        (r"^no_object_pointer$", "no_obj_ptr"),
        (r"^occlusion_spatial_embedding_parameter$", "no_obj_embed_spatial"),
        (r"^object_pointer_proj\.", "obj_ptr_proj."),
        (r"^temporal_positional_encoding_projection_layer\.", "obj_ptr_tpos_proj."),
        # everywhere
        (r"\.layer_norm(\d?)\.", r".norm\1."),
        (r"\.o_proj\.", ".out_proj."),
    )
]
# transformers has this matrix twice, Meta once; and Meta has each row of that table on its own.
POSITIONS = ("prompt_encoder.shared_embedding.positional_embedding", "shared_image_embedding.positional_embedding")
POINTS = "prompt_encoder.point_embed.weight"


def has_transformers_names(weights: Mapping[str, object]) -> bool:
    """Whether weights are those of transformers' Sam2Model or Sam2VideoModel."""
    return any(name.startswith("vision_encoder.backbone.") for name in weights)


def meta_weights(weights: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """The weights by the names that Meta's network has for them; names it does not have stay as they are.

    Args:
        weights: by transformers' names.
        path: the file that they come from, for messages.

    Raises:
        ModelError: they are those of a model for images alone, or cannot be those of Meta's network.
    """
    import torch

    if not any(name.startswith("memory_attention.") for name in weights):
        raise ModelError(
            f"{path}: holds no weights for video (transformers' Sam2Model is for images alone); "
            "give a checkpoint of Sam2VideoModel, or Meta's .pt file"
        )
    positions = [weights[name] for name in POSITIONS if name in weights]
    if len(positions) == 2 and not torch.equal(*positions):
        raise ModelError(f"{path}: {' and '.join(POSITIONS)} differ; SAM 2 has one matrix for both")
    renamed = {meta_name(name): value for name, value in weights.items() if name != POINTS}
    if POINTS in weights:
        rows = weights[POINTS].split(1)
        renamed |= {f"sam_prompt_encoder.point_embeddings.{i}.weight": row for i, row in enumerate(rows)}
    return renamed


def meta_name(name: str) -> str:
    """Meta's name of a weight that transformers calls `name`."""
    for pattern, replacement in NAMES:
        name = pattern.sub(replacement, name)
    return name


def meta_config(path: Path) -> dict[str, Any]:
    """What transformers' config.json says of the network, as fields of a config in the `sam2` package's format.

    A field that config.json does not have is absent here too. Its default is transformers', which is what
    `sam2.1_hiera_t.yaml` says: merge the result into that.

    Returns:
        The fields by their dotted names.

    Raises:
        ModelError: there is no such file, it is of another model, or a field is of a kind that is not supported.
    """
    try:
        config = json.loads(path.read_text())
        kind = config.get("model_type")
    except FileNotFoundError:
        raise ModelError(
            f"{path}: no such file; weights in transformers' format need the config.json that was saved with them"
        ) from None
    except (OSError, ValueError, AttributeError):
        raise ModelError(f"{path}: cannot be read as a config of transformers; is the download complete?") from None
    if kind != "sam2_video":
        raise ModelError(f"{path}: is the config of a {kind}; vidseg loads transformers' sam2_video (Sam2VideoModel)")
    for name, value in ((name, field(config, name)) for name in (CHANNELS, WIDTH, SIDE)):
        if value is not None and not isinstance(value, int):
            raise ModelError(f"{path}: {name} is {value}; it should be a whole number")
    for name, supported in {**FIXED, **sizes(config)}.items():
        value = field(config, name)
        if value is not None and value != supported:
            raise ModelError(f"{path}: {name} is {value}; vidseg supports {supported} alone")
    found = {meta: field(config, name, raw=True) for name, meta in RENAMED.items()}
    changes = {name: value for name, value in found.items() if value is not None}
    if changes.get("add_tpos_enc_to_obj_ptrs") is False:  # SAM 2.0
        changes |= {"proj_tpos_enc_in_obj_ptrs": False, "use_signed_tpos_enc_to_obj_ptrs": False}
    return changes | size_changes(config)


def sizes(config: dict[str, Any]) -> dict[str, Any]:
    """Fields that must go with others: one width throughout, one image size, twice the channels at each stage."""
    width, side = field(config, WIDTH) or 256, field(config, SIDE) or 1024
    same = ("prompt_encoder_config.hidden_size", "mask_decoder_config.hidden_size", "memory_attention_hidden_size")
    same += ("memory_encoder_hidden_size", "mask_downsampler_embed_dim", "memory_fuser_embed_dim")
    wanted = dict.fromkeys(same, width) | {
        "memory_fuser_intermediate_dim": 4 * width,
        "prompt_encoder_config.image_size": side,
        "memory_attention_rope_feat_sizes": side // 16,
    }
    per_stage = {BACKBONE + "embed_dim_per_stage": field(config, CHANNELS), HEADS: heads(config)}
    for name, first in per_stage.items():
        if first is not None:
            wanted[name] = [first * 2**stage for stage in range(4)]
    return wanted


def size_changes(config: dict[str, Any]) -> dict[str, Any]:
    """The width, the image size and the number of heads, wherever Meta's config has them."""
    changes: dict[str, Any] = {"image_encoder.trunk.num_heads": heads(config)}
    if (width := field(config, WIDTH)) is not None:
        places = ["image_encoder.neck.position_encoding.num_pos_feats", "image_encoder.neck.d_model"]
        places += ["memory_attention.d_model", "memory_attention.layer.d_model", "memory_encoder.in_dim"]
        places += [f"memory_attention.layer.{kind}_attention.embedding_dim" for kind in ("self", "cross")]
        places += ["memory_encoder.mask_downsampler.embed_dim", "memory_encoder.fuser.layer.dim"]
        changes |= dict.fromkeys(places, width)
    if (side := field(config, SIDE)) is not None:
        changes |= {"image_size": side}
        grid = [side // 16] * 2
        changes |= {f"memory_attention.layer.{kind}_attention.feat_sizes": grid for kind in ("self", "cross")}
    return {name: value for name, value in changes.items() if value is not None}


def heads(config: dict[str, Any]) -> int | None:
    """Attention heads of the first stage."""
    per_stage = field(config, HEADS, raw=True)
    return per_stage[0] if isinstance(per_stage, list) and per_stage else None


def field(config: dict[str, Any], name: str, raw: bool = False) -> Any:
    """A field by its dotted name, None if it is absent; two equal numbers in a list as one, unless `raw`."""
    value: Any = config
    for key in name.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    if not raw and isinstance(value, list) and len(value) == 2 and value[0] == value[1]:
        return value[0]
    return value
