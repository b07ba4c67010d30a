"""A checkpoint of transformers' Sam2VideoModel, loaded by us, against that model itself."""

from __future__ import annotations

import json
import re
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import Sam2Config, Sam2HieraDetConfig, Sam2Model, Sam2VideoConfig, Sam2VideoModel, Sam2VisionConfig
from transformers.models.sam2_video.modeling_sam2_video import Sam2VideoInferenceSession

from tests.support.lively import moving_frames
from vidseg.errors import ModelError
from vidseg.prompts.geometry import Box, MaskPrompt, Points
from vidseg.sam.build import SIZES, build_sam, instantiate_config, stock_config
from vidseg.sam.propagator import Propagator
from vidseg.sam.transformers_format import FIXED, field, meta_config, meta_weights

SIDE, WIDTH, FRAMES = 128, 128, 7
# Memories are kept in bfloat16: one that is rounded to its neighbour moves the logits of later frames this far.
TOLERANCE = 1e-3


def vision(blocks, attends, channels=96, heads=1, **more):
    """The config of an image encoder, with `channels` and `heads` in its first stage."""
    backbone = Sam2HieraDetConfig(
        hidden_size=channels,
        embed_dim_per_stage=[channels * 2**i for i in range(4)],
        num_attention_heads_per_stage=[heads * 2**i for i in range(4)],
        blocks_per_stage=blocks,
        global_attention_blocks=attends,
        **more,
    )
    return Sam2VisionConfig(backbone_config=backbone, backbone_channel_list=backbone.embed_dim_per_stage[::-1])


def small_config(**more) -> Sam2VideoConfig:
    """Every size is another one than Meta's."""
    encoder = vision(
        [1, 2, 3, 1],
        [2, 4],
        channels=16,
        heads=2,
        image_size=[SIDE, SIDE],
        window_size_per_stage=[8, 4, 8, 4],
        window_positional_embedding_background_size=[4, 4],
    )
    encoder.fpn_hidden_size = WIDTH
    encoder.backbone_feature_sizes = [[SIDE // 4] * 2, [SIDE // 8] * 2, [SIDE // 16] * 2]
    widths = ("memory_attention_hidden_size", "memory_encoder_hidden_size", "mask_downsampler_embed_dim")
    return Sam2VideoConfig(
        vision_config=encoder,
        prompt_encoder_config={"hidden_size": WIDTH, "image_size": SIDE},
        mask_decoder_config={"hidden_size": WIDTH},
        image_size=SIDE,
        num_maskmem=4,
        max_object_pointers_in_encoder=5,
        memory_attention_num_layers=2,
        memory_attention_feed_forward_hidden_size=64,
        memory_attention_rope_feat_sizes=[SIDE // 16] * 2,
        memory_fuser_embed_dim=WIDTH,
        memory_fuser_intermediate_dim=4 * WIDTH,
        memory_fuser_num_layers=1,
        sigmoid_scale_for_mem_enc=12.0,
        sigmoid_bias_for_mem_enc=-5.0,
        **dict.fromkeys(widths, WIDTH),
        **more,
    )


def lively_model(config: Sam2VideoConfig, seed: int = 5) -> Sam2VideoModel:
    """Random weights under which masks are neither empty nor full, and every weight matters."""
    torch.manual_seed(seed)
    model = Sam2VideoModel(config).eval()
    with torch.no_grad():
        for name, value in model.named_parameters():
            if value.ndim > 1 and "embed" not in name and "token" not in name:
                value.normal_(std=1.5 * value[0].numel() ** -0.5)
            elif re.search(r"layer_norm\d?\.weight|final_attn\.weight", name):
                value.uniform_(0.7, 1.3)
            else:
                value.normal_(std=0.5)
        model.mask_decoder.pred_obj_score_head.proj_out.bias.fill_(3.0)
        positions = model.prompt_encoder.shared_embedding.positional_embedding
        model.shared_image_embedding.positional_embedding.copy_(positions)
    return model


@pytest.fixture(scope="module")
def reference():
    return lively_model(small_config())


@pytest.fixture(scope="module")
def folder(reference, tmp_path_factory):
    """What transformers saves; do not change it."""
    path = tmp_path_factory.mktemp("sam2-video")
    reference.save_pretrained(path)
    return path


@pytest.fixture
def mine(folder, tmp_path):
    """A copy of that folder."""
    return shutil.copytree(folder, tmp_path / "mine")


def change(folder, **fields) -> None:
    """Change fields of config.json, by names with __ for the dots; None: leave it out."""
    config = json.loads((folder / "config.json").read_text())
    for name, value in fields.items():
        *parents, last = name.split("__")
        place = config
        for parent in parents:
            place = place[parent]
        place[last] = value
        if value is None:
            del place[last]
    (folder / "config.json").write_text(json.dumps(config))


def follow(model: Sam2VideoModel, frames: torch.Tensor, prompt) -> list[dict]:
    """What transformers makes of an object that is prompted on the first frame."""
    session = Sam2VideoInferenceSession(frames, SIDE, SIDE, dtype=torch.float32)
    session.obj_id_to_idx(1)
    session.obj_with_new_inputs = [1]
    if isinstance(prompt, MaskPrompt):
        session.add_mask_inputs(0, 0, torch.from_numpy(prompt.mask)[None, None])
    else:
        corners = isinstance(prompt, Box)
        points = [prompt.xyxy[:2], prompt.xyxy[2:]] if corners else prompt.xy
        labels = torch.tensor([[[2, 3] if corners else prompt.labels]], dtype=torch.int32)
        session.add_point_inputs(0, 0, {"point_coords": torch.tensor([[points]]).float(), "point_labels": labels})
    list(model.propagate_in_video_iterator(session, start_frame_idx=0))
    outputs = session.output_dict_per_obj[0]
    return [(outputs["cond_frame_outputs"] | outputs["non_cond_frame_outputs"])[t] for t in range(len(frames))]


def relative(ours: torch.Tensor, expected: torch.Tensor) -> float:
    return float((ours - expected).abs().max() / expected.abs().max())


INSIDE = torch.zeros(SIDE, SIDE, dtype=torch.bool)
INSIDE[20:90, 30:100] = True
PROMPTS = {
    "click": Points(((60, 70),), (1,)),
    "box": Box((20, 30, 90, 100)),
    "mask": MaskPrompt(INSIDE.numpy()),
}


@pytest.fixture
def like_meta(reference, monkeypatch):
    """Two things in which transformers is not like Meta's predictor, made so.

    transformers fills no holes. And it asks the decoder for three masks when it wants a pointer for a mask that is
    given, where Meta's predictor asks for one.
    """
    monkeypatch.setattr("vidseg.sam.propagator.fill_holes", lambda logits: logits)
    usual = Sam2VideoModel._single_frame_forward

    def forward(self, *args, input_masks=None, **kwargs):
        alone = {} if input_masks is None else {"multimask_output": False}
        return usual(self, *args, input_masks=input_masks, **kwargs | alone)

    monkeypatch.setattr(Sam2VideoModel, "_single_frame_forward", forward)


def assert_same(reference, network, prompt, count=FRAMES) -> None:
    frames = moving_frames(SIDE, count)
    engine, shown = Propagator(network), 0
    for t, expected in enumerate(follow(reference, frames, prompt)):
        features = engine.embed_tensor(frames[t : t + 1], SIDE, SIDE)
        ours = engine.step(features, t) if t else engine.prompt(features, t, {1: prompt})
        assert relative(ours.logits[0], expected["pred_masks"][0, 0]) <= TOLERANCE, t
        assert relative(ours.object_scores[0], expected["object_score_logits"].flatten()[0]) <= TOLERANCE, t
        assert relative(ours.pointers[0], expected["object_pointer"].flatten()) <= TOLERANCE, t
        shown += 0.02 < (ours.logits > 0).float().mean() < 0.98
    assert shown > count // 2, "masks are empty or full: the comparison says little"


def test_features_are_those_of_transformers(reference, folder):
    pixels = moving_frames(SIDE, 1)
    ours = Propagator(build_sam(folder)).embed_tensor(pixels, SIDE, SIDE)
    with torch.inference_mode():
        theirs = reference.get_image_features(pixels, return_dict=True).fpn_hidden_states
    for mine, expected in zip((*ours.high_res, ours.top), theirs):
        assert relative(mine.flatten(2), expected.permute(1, 2, 0)) < 1e-5


@pytest.mark.parametrize("kind", ["click", "box"])
def test_objects_are_followed_as_by_transformers(reference, folder, like_meta, kind):
    assert_same(reference, build_sam(folder), PROMPTS[kind])


def test_a_mask_gets_the_pointer_of_transformers(reference, folder, like_meta):
    # Its memory is another one: Meta's predictor scales the mask down and up again before it is remembered.
    assert_same(reference, build_sam(folder), PROMPTS["mask"], count=1)


def test_sam_2_0_is_followed_as_by_transformers(tmp_path, like_meta):
    former = {"enable_occlusion_spatial_embedding": False, "enable_temporal_pos_encoding_for_object_pointers": False}
    model = lively_model(small_config(**former), seed=8)
    model.save_pretrained(tmp_path)
    network = build_sam(tmp_path)
    assert network.no_obj_embed_spatial is None and not network.add_tpos_enc_to_obj_ptrs
    assert_same(model, network, PROMPTS["box"])


# -- the published sizes ---------------------------------------------------------------------------------------------

LARGE = {"window_size_per_stage": [8, 4, 16, 8]}
PUBLISHED = {
    "t": lambda: vision([1, 2, 7, 2], [5, 7, 9]),
    "s": lambda: vision([1, 2, 11, 2], [7, 10, 13]),
    "b+": lambda: vision([2, 3, 16, 3], [12, 16, 20], 112, 2, window_positional_embedding_background_size=[14, 14]),
    "l": lambda: vision([2, 6, 36, 4], [23, 33, 43], 144, 2, **LARGE),
}


def hollow(make):
    """A network without numbers."""
    linspace = torch.linspace
    with pytest.MonkeyPatch.context() as monkeypatch, torch.device("meta"):
        # Meta's trunk reads numbers out of this one.
        monkeypatch.setattr(torch, "linspace", lambda *args, **kwargs: linspace(*args, **kwargs | {"device": "cpu"}))
        return make()


@pytest.mark.parametrize("size", SIZES.values())
@pytest.mark.parametrize("version", ["sam2", "sam2.1"])
def test_every_weight_of_the_published_sizes_has_its_place(tmp_path, monkeypatch, version, size):
    new = version == "sam2.1"
    config = Sam2VideoConfig(
        vision_config=PUBLISHED[size](),
        enable_occlusion_spatial_embedding=new,
        enable_temporal_pos_encoding_for_object_pointers=new,
    )
    config.save_pretrained(tmp_path)
    theirs = hollow(lambda: Sam2VideoModel(config)).state_dict()
    monkeypatch.setattr(torch, "equal", lambda *_: True)  # there are no numbers to compare
    ours = {name: value.shape for name, value in meta_weights(theirs, tmp_path).items()}
    stock = hollow(lambda: instantiate_config(stock_config(version, size)))
    changed = hollow(lambda: instantiate_config(stock_config("sam2.1", "t"), meta_config(tmp_path / "config.json")))
    assert len(theirs) - 1 + 3 == len(ours)  # two matrices are one; one table is four
    assert ours == {name: value.shape for name, value in stock.state_dict().items()}
    plain = {name: str(value) for name, value in vars(stock).items() if isinstance(value, (int, float, bool))}
    assert plain == {name: str(getattr(changed, name)) for name in plain}
    # What no shape shows.
    for mine, expected in zip(changed.image_encoder.trunk.blocks, stock.image_encoder.trunk.blocks):
        assert (mine.window_size, mine.attn.num_heads) == (expected.window_size, expected.attn.num_heads)


def test_what_a_config_may_leave_out_is_transformers_default():
    config = json.loads(Sam2VideoConfig().to_json_string(use_diff=False))
    for name, value in FIXED.items():
        if name != "memory_attention_rope_theta":
            assert field(config, name) == value, name


# -- files -----------------------------------------------------------------------------------------------------------


def assert_loaded(network, expected) -> None:
    state = network.state_dict()
    assert state.keys() == expected.keys()
    assert all(torch.equal(value, expected[name]) for name, value in state.items())


@pytest.fixture(scope="module")
def expected(folder):
    return build_sam(folder).state_dict()


def test_shards(reference, tmp_path, expected):
    reference.save_pretrained(tmp_path, max_shard_size="2MB")
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 1
    for given in (tmp_path, tmp_path / "model.safetensors.index.json"):
        assert_loaded(build_sam(given), expected)
    next(tmp_path.glob("model-00002*")).unlink()
    with pytest.raises(ModelError, match="index.json: cannot be read .*is the download complete") as caught:
        build_sam(tmp_path)
    assert "\n" not in str(caught.value)


def test_the_file_itself_and_a_state_dict(mine, expected):
    assert_loaded(build_sam(mine / "model.safetensors"), expected)
    torch.save({"state_dict": load_file(mine / "model.safetensors"), "epoch": 2}, mine / "best.pt")
    assert_loaded(build_sam(mine / "best.pt"), expected)


def test_a_checkpoint_folder_of_the_trainer(mine, expected):
    for name in ("optimizer.pt", "scheduler.pt", "rng_state.pth", "scaler.pt"):
        torch.save({"state": 1}, mine / name)
    assert_loaded(build_sam(mine), expected)


def test_one_of_the_two_equal_matrices_is_enough(mine, expected):
    weights = load_file(mine / "model.safetensors")
    for name in ("shared_image_embedding", "prompt_encoder.shared_embedding"):
        some = {key: value for key, value in weights.items() if key != f"{name}.positional_embedding"}
        assert len(some) == len(weights) - 1
        save_file(some, mine / "model.safetensors")
        assert_loaded(build_sam(mine), expected)


# -- what is refused -------------------------------------------------------------------------------------------------


def refusal(path) -> str:
    with pytest.raises(ModelError) as caught:
        build_sam(path)
    assert str(caught.value).startswith(str(path)) and str(caught.value).isprintable()
    return str(caught.value)


def test_a_model_for_images_alone_is_named(tmp_path):
    encoder = small_config().vision_config
    small = {"hidden_size": WIDTH}
    config = Sam2Config(
        vision_config=encoder, prompt_encoder_config={**small, "image_size": SIDE}, mask_decoder_config=small
    )
    Sam2Model(config).save_pretrained(tmp_path)
    assert "no weights for video (transformers' Sam2Model is for images alone)" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"model_type": "edgetam_video"}, "is the config of a edgetam_video"),
        ({"model_type": None}, "is the config of a None"),
        ({"vision_config__model_type": "timm_wrapper"}, "vision_config.model_type is timm_wrapper"),
        ({"vision_config__backbone_config__patch_stride": [8, 8]}, "patch_stride is 8; vidseg supports 4 alone"),
        ({"vision_config__backbone_config__embed_dim_per_stage": [16, 32, 48, 64]}, "supports [16, 32, 64, 128] alone"),
        ({"memory_attention_num_attention_heads": 2}, "memory_attention_num_attention_heads is 2"),
        ({"rope_parameters__rope_theta": 500.0}, "rope_parameters.rope_theta is 500.0"),
        ({"memory_attention_rope_feat_sizes": [64, 64]}, "memory_attention_rope_feat_sizes is 64; vidseg supports 8"),
        ({"memory_encoder_hidden_size": 64}, "memory_encoder_hidden_size is 64; vidseg supports 128"),
        ({"image_size": [128, 256]}, "image_size is [128, 256]; it should be a whole number"),
        ({"vision_config__backbone_config__blocks_per_stage": "many"}, "not a usable SAM 2 config"),
        ({"num_maskmem": 5}, "does not fit config.json"),
    ],
)
def test_configs_that_are_not_supported_are_named(mine, fields, says):
    change(mine, **fields)
    assert says in refusal(mine)


@pytest.mark.parametrize("content", [None, "", "[]", "{", "\x00"])
def test_a_config_that_cannot_be_read(mine, content):
    (mine / "config.json").unlink()
    if content is not None:
        (mine / "config.json").write_text(content)
    assert ("need the config.json" if content is None else "config.json: cannot be read") in refusal(mine)


def test_two_matrices_that_differ(mine):
    weights = load_file(mine / "model.safetensors")
    weights["shared_image_embedding.positional_embedding"] += 1
    save_file(weights, mine / "model.safetensors")
    assert "differ; SAM 2 has one matrix for both" in refusal(mine)
