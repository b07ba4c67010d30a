"""Checkpoints with random weights in the layouts of the real ones: what users have on disk, without the download."""

from __future__ import annotations

import string
from pathlib import Path

import torch

from vidseg.sam.build import instantiate_config

# Ids of bert-base-uncased that Grounding DINO's code has written into it: how a prompt is split into phrases.
BERT_IDS = {"[PAD]": 0, "[UNK]": 100, "[CLS]": 101, "[SEP]": 102, "[MASK]": 103, ".": 1012, "?": 1029}
PRINTABLE = [
    character for character in map(chr, range(ord("!"), ord("~") + 1)) if character not in string.ascii_uppercase
]


def last_bias(part: torch.nn.Module) -> torch.Tensor:
    """The bias of the last layer of a part of a network."""
    return [value for name, value in part.named_parameters() if name.endswith("bias")][-1]


def make_visible(network: torch.nn.Module) -> None:
    """Let a SAM 2 network with random weights say "visible", or every mask would be empty."""
    with torch.no_grad():
        last_bias(network.get_submodule("sam_mask_decoder.pred_obj_score_head")).fill_(1.0)


def save_sam(config: Path, path: Path, seed: int = 0) -> Path:
    """A SAM 2 checkpoint of the given config as Meta publishes them: a `.pt` with the weights under the key "model"."""
    torch.manual_seed(seed)
    network = instantiate_config(config)
    make_visible(network)
    torch.save({"model": network.state_dict()}, path)
    return path


def bert_vocabulary() -> list[str]:
    """Words by id: bert-base-uncased's ids up to '~', and pieces that spell every other word letter by letter."""
    first = BERT_IDS["."] - PRINTABLE.index(".")
    known = BERT_IDS | {character: first + i for i, character in enumerate(PRINTABLE)}
    names = {i: name for name, i in known.items()}
    words = [names.get(i, f"[unused{i}]") for i in range(max(names) + 1)]
    return words + [f"##{character}" for character in string.ascii_lowercase + string.digits]


def save_grounding_dino(folder: Path, full_size: bool = False, seed: int = 0) -> Path:
    """A Grounding DINO folder as on the hub: config, safetensors, image processor, tokenizer with its vocabulary.

    Args:
        folder: where the files go.
        full_size: the sizes of IDEA-Research/grounding-dino-tiny (but for its vocabulary), in which images are read at
            800 pixels; else the same layers, few and narrow.
        seed: of the weights.
    """
    from transformers import (
        BertConfig,
        BertTokenizer,
        GroundingDinoConfig,
        GroundingDinoForObjectDetection,
        GroundingDinoImageProcessor,
        SwinConfig,
    )

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    words = bert_vocabulary()
    if full_size:
        config = GroundingDinoConfig(text_config=BertConfig(vocab_size=len(words)))
        sides = {"shortest_edge": 800, "longest_edge": 1333}
    else:
        sizes = {"image_size": 64, "embed_dim": 16, "depths": [1, 1], "num_heads": [1, 2], "window_size": 4}
        swin = SwinConfig.from_dict({**sizes, "out_indices": [1, 2]})
        bert = BertConfig(
            vocab_size=len(words), hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32
        )
        config = GroundingDinoConfig(
            backbone_config=swin,
            text_config=bert,
            d_model=32,
            encoder_layers=1,
            decoder_layers=2,
            encoder_ffn_dim=32,
            decoder_ffn_dim=32,
            encoder_attention_heads=4,
            decoder_attention_heads=4,
            num_queries=60,
            num_feature_levels=3,
        )
        sides = {"shortest_edge": 64, "longest_edge": 120}
    torch.manual_seed(seed)
    GroundingDinoForObjectDetection(config).save_pretrained(folder)
    GroundingDinoImageProcessor(size=sides).save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    vocabulary = {word: i for i, word in enumerate(words)}
    BertTokenizer(vocab=vocabulary, do_lower_case=True, model_max_length=512).save_pretrained(folder)
    return folder
