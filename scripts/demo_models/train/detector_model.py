"""The demo Grounding DINO: its config, its WordPiece vocabulary, the start values that let it train from scratch."""

from __future__ import annotations

import string
from functools import lru_cache
from typing import Any

import torch
from torch import nn

from scripts.demo_models.world.sprites import NAMED, all_sprites

SHORT_EDGE, LONG_EDGE = 224, 400
CLS, SEP, DOT = 101, 102, 1012  # transformers hard-codes these three and '?' (1029) to split a prompt into phrases


def vocabulary() -> dict[str, int]:
    """bert-base-uncased's ids up to '~', then ## pieces of letters and digits, then the class words.

    Every other word falls into letters, which the training shows as strangers.
    """
    words = {"[PAD]": 0, "[UNK]": 100, "[CLS]": CLS, "[SEP]": SEP, "[MASK]": 103}
    unused = 0
    for i in range(999):
        if i not in words.values():
            words[f"[unused{unused}]"] = i
            unused += 1
    printable = [chr(c) for c in range(ord("!"), ord("~") + 1) if chr(c) not in string.ascii_uppercase]
    for i, character in enumerate(printable):
        words[character] = 999 + i
    assert (words["."], words["?"], words["a"], words["z"]) == (1012, 1029, 1037, 1062)
    for piece in [f"##{c}" for c in string.ascii_lowercase + string.digits] + list(NAMED):
        words[piece] = len(words)
    assert sorted(words.values()) == list(range(len(words)))
    return words


def build_processor() -> Any:
    """The tokenizer and the image processor."""
    from transformers import BertTokenizer, GroundingDinoImageProcessor, GroundingDinoProcessor

    tokenizer = BertTokenizer(vocab=vocabulary(), do_lower_case=True, model_max_length=256)
    images = GroundingDinoImageProcessor(size={"shortest_edge": SHORT_EDGE, "longest_edge": LONG_EDGE})
    return GroundingDinoProcessor(images, tokenizer)


def build_config() -> Any:
    """Grounding DINO in small."""
    from transformers import BertConfig, GroundingDinoConfig, SwinConfig

    swin = SwinConfig(
        image_size=224,
        patch_size=8,
        embed_dim=64,
        depths=[2, 2, 2],
        num_heads=[2, 4, 8],
        window_size=7,
        out_indices=[2, 3],  # pyright: ignore[reportCallIssue]  # accepted by its base class, which takes any keyword
        drop_path_rate=0.0,
        initializer_range=0.05,
    )
    bert = BertConfig(
        vocab_size=len(vocabulary()),
        hidden_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=256,
        max_position_embeddings=256,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        initializer_range=0.05,
    )
    return GroundingDinoConfig(
        backbone_config=swin,
        text_config=bert,
        d_model=128,
        encoder_layers=2,
        decoder_layers=3,
        encoder_ffn_dim=256,
        decoder_ffn_dim=256,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        num_queries=40,
        num_feature_levels=3,
        dropout=0.0,
        fusion_droppath=0.0,
        init_std=0.05,
    )


class WindowAttention(torch.autograd.Function):
    """Swin's window attention with products laid out as a CPU likes them.

    Twice as fast as autograd's own, with the same numbers.
    """

    @staticmethod
    def forward(ctx, query, key, value, mask, scaling):
        """Query, key, value [windows, heads, tokens, C], mask added to the scores."""
        heads = query.shape[:2]
        q, k, v = (x.reshape(-1, *x.shape[2:]).contiguous() for x in (query, key, value))
        scores = torch.bmm(q, k.transpose(1, 2).contiguous()).mul_(scaling).view(*heads, q.shape[1], k.shape[1])
        weights = (scores + mask).softmax(-1).flatten(0, 1)
        ctx.save_for_backward(q, k, v, weights)
        ctx.rest = scaling, heads, mask.shape
        return torch.bmm(weights, v).view(query.shape)

    @staticmethod
    def backward(ctx, grad):
        """Gradients of all tensors."""
        q, k, v, weights = ctx.saved_tensors
        scaling, heads, mask_shape = ctx.rest
        shape = (*heads, *q.shape[1:])
        grad = grad.reshape(-1, *grad.shape[2:]).contiguous()
        grad_v = torch.bmm(weights.transpose(1, 2), grad)
        grad_w = torch.bmm(grad, v.transpose(1, 2).contiguous())
        grad_s = weights * (grad_w - (grad_w * weights).sum(-1, keepdim=True))
        grad_mask = grad_s.view(*heads, *grad_s.shape[1:]).sum_to_size(mask_shape)
        grad_q, grad_k = torch.bmm(grad_s, k).mul_(scaling), torch.bmm(grad_s.transpose(1, 2), q).mul_(scaling)
        return grad_q.view(shape), grad_k.view(shape), grad_v.view(shape), grad_mask, None


def window_attention(_module, query, key, value, attention_mask, scaling=None, **_):
    """`WindowAttention` as transformers calls an attention."""
    with torch.autocast(query.device.type, enabled=False):
        out = WindowAttention.apply(query.float(), key.float(), value.float(), attention_mask.float(), scaling)
    return out.transpose(1, 2).contiguous(), None


def build_model() -> Any:
    """The network with its start values, and an attention that trains faster on a CPU."""
    from transformers import AttentionInterface, GroundingDinoForObjectDetection

    model: Any = GroundingDinoForObjectDetection(build_config())
    AttentionInterface.register("vidseg_training", window_attention)
    model.model.backbone.conv_encoder.model.config._attn_implementation = "vidseg_training"
    inner = model.model
    # Word scores are dot products without a bias. Outputs of a LayerNorm have no all-ones component, so that this
    # direction can carry one: 128 · 0.19 · −0.19 = −4.6, a prior of 1 %.
    with torch.no_grad():
        for norm in (inner.decoder.layer_norm, inner.enc_output_norm):
            norm.bias.fill_(0.19)
        text_norm = inner.encoder.layers[-1].text_enhancer_layer.layer_norm_after
        text_norm.weight.fill_(0.3)
        text_norm.bias.fill_(-0.19)
        for layer in inner.encoder.layers:
            layer.fusion_layer.vision_param.fill_(0.1)
            layer.fusion_layer.text_param.fill_(0.1)
    return model


class Probe(nn.Module):
    """Training only: which sprite each cell of the projected backbone features shows (the last class: none)."""

    def __init__(self, width: int = 128, levels: int = 3):
        super().__init__()
        self.heads = nn.ModuleList(nn.Linear(width, len(all_sprites()) + 1) for _ in range(levels))

    def forward(self, maps: list[torch.Tensor]) -> list[torch.Tensor]:
        """Scores [N, cells, classes] of each level."""
        return [head(m.flatten(2).transpose(1, 2)) for head, m in zip(self.heads, maps)]


def projected_features(model, pixels: torch.Tensor) -> list[torch.Tensor]:
    """The backbone with its projections, as GroundingDinoModel applies them."""
    inner = model.model
    maps = inner.backbone.conv_encoder.model(pixels, return_dict=True).feature_maps
    project = inner.input_proj_vision
    return [project[i](m) for i, m in enumerate(maps)] + [project[len(maps)](maps[-1])]


@lru_cache(maxsize=1)
def tokenizer() -> Any:
    """The processor's."""
    return build_processor().tokenizer


@lru_cache(maxsize=20000)
def phrase_ids(phrase: str) -> tuple[int, ...]:
    """Token ids of a phrase."""
    return tuple(tokenizer()(phrase, add_special_tokens=False).input_ids)
