"""Text prompts: the phrases in them, the tokens of the phrases, and which phrase a box goes by."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vidseg.errors import InputError

if TYPE_CHECKING:
    import torch

SEPARATORS = re.compile(r"[.,;?\n\r]+")  # '?' too: Grounding DINO ends a phrase there


def parse_phrases(prompt: str | Sequence[str]) -> list[str]:
    """Split a prompt into phrases at dots, commas, semicolons and line ends; spelled as the user did, each one once.

    Raises:
        InputError: there is no word in the prompt.
    """
    parts = [prompt] if isinstance(prompt, str) else list(prompt)
    if not all(isinstance(part, str) for part in parts):
        raise InputError(f"A prompt is text or a list of texts, not {prompt!r}.")
    phrases: dict[str, str] = {}
    for piece in SEPARATORS.split("\n".join(parts)):
        phrase = " ".join(piece.split())
        if any(character.isalnum() for character in phrase):
            phrases.setdefault(phrase.lower(), phrase)
    if not phrases:
        raise InputError(
            f'The prompt {" ".join(parts)!r} names nothing: give one or more phrases, such as "dog. red ball".'
        )
    return list(phrases.values())


@dataclass(frozen=True)
class Encoded:
    """Some phrases as one text for the model.

    Attributes:
        ids: token ids of the text.
        spans: for each phrase its first token, and the one past its last.
        first: place of the first of these phrases in the list of all phrases.
    """

    ids: tuple[int, ...]
    spans: tuple[tuple[int, int], ...]
    first: int


def encode_phrases(phrases: Sequence[str], tokenizer: Any, limit: int) -> list[Encoded]:
    """Token ids of "dog. red ball." and where each phrase is in them.

    Args:
        phrases: as `parse_phrases` gives them.
        tokenizer: of the checkpoint.
        limit: tokens that a text may have; more phrases than fit go into further texts.

    Raises:
        InputError: something is not one phrase, or too long by itself.
    """
    dot, question = tokenizer.convert_tokens_to_ids([".", "?"])
    texts: list[Encoded] = []
    ids, spans, first = [tokenizer.cls_token_id], [], 0
    for place, phrase in enumerate(phrases):
        tokens = tokenizer(phrase.lower(), add_special_tokens=False)["input_ids"]
        if not tokens or dot in tokens or question in tokens:
            raise InputError(f"{phrase!r} is not one phrase: give words without a dot or a question mark between them.")
        if len(tokens) + 3 > limit:
            raise InputError(
                f"The phrase {phrase[:40]!r}… has {len(tokens)} tokens; the detector reads {limit - 3}: shorten it."
            )
        if len(ids) + len(tokens) + 2 > limit:
            texts.append(Encoded((*ids, tokenizer.sep_token_id), tuple(spans), first))
            ids, spans, first = [tokenizer.cls_token_id], [], place
        spans.append((len(ids), len(ids) + len(tokens)))
        ids += [*tokens, dot]
    return [*texts, Encoded((*ids, tokenizer.sep_token_id), tuple(spans), first)]


def name_boxes(
    token_probs: torch.Tensor, spans: Sequence[tuple[int, int]], box_threshold: float, text_threshold: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, float]:
    """Which phrase each query stands for.

    A phrase's score is that of its strongest token, as in transformers and in Grounding DINO's demos, whose thresholds
    mean that. A mean would punish phrases of several words, of which often only one is lit. But between phrases that
    both pass the box threshold, the strongest token alone is a coin toss for "red ball. blue ball"; there the mean of
    the tokens counts as much.

    Args:
        token_probs: [Q, L] probability of every token of the text.
        spans: for each phrase its first token, and the one past its last.
        box_threshold: score that a phrase needs.
        text_threshold: tokens below it count as nothing in the mean.

    Returns:
        queries [n], their phrases [n], their scores [n], and the best score of any query and phrase.
    """
    import torch

    strongest = torch.stack([token_probs[:, a:b].amax(1) for a, b in spans], 1)
    lit = torch.where(token_probs >= text_threshold, token_probs, 0)
    mean = torch.stack([lit[:, a:b].mean(1) for a, b in spans], 1)
    passed = strongest > box_threshold
    phrase = torch.where(passed, strongest + mean, -1).argmax(1)
    queries = passed.any(1).nonzero()[:, 0]
    phrase = phrase[queries]
    return queries, phrase, strongest[queries, phrase], float(strongest.max())
