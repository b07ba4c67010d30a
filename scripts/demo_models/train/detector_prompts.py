"""Training prompts for the demo detector: names that are there, names that are not, and words that name nothing."""

from __future__ import annotations

import string
from pathlib import Path

import numpy as np

from scripts.demo_models.train.detector_model import CLS, DOT, SEP, phrase_ids
from scripts.demo_models.world.sprites import NAMED

NAMES = list(NAMED)
# English words that name nothing here; they must match nothing. Every tenth is not learnt.
STRANGERS = Path(__file__).with_name("strangers.txt").read_text().split()
SHAPES = ("shaped", "like", "red", "blue", "green", "old", "small", "big", "wooden", "broken", "shiny", "tiny", "furry")


def spelled(name: str, rng: np.random.Generator) -> str:
    """Mostly the bare name; now and then its plural or with an article."""
    turn = rng.random()
    return name + "s" if turn < 0.06 else f"{rng.choice(['a', 'the'])} {name}" if turn < 0.14 else name


def stranger(rng: np.random.Generator) -> str:
    """A phrase that names nothing in this world."""
    words = [word for i, word in enumerate(STRANGERS) if i % 10 and word not in NAMED]

    def letters(low: int, high: int) -> str:
        return "".join(rng.choice(list(string.ascii_lowercase), int(rng.integers(low, high))))

    kind = rng.random()
    if kind < 0.35:
        return str(rng.choice(words))
    if kind < 0.6:
        return letters(2, 11)
    if kind < 0.7:  # begins like a name
        return str(rng.choice(NAMES)) + letters(2, 6)
    if kind < 0.85:
        return f"{rng.choice(words)} {rng.choice(words)}"
    return f"{rng.choice(words)}-{rng.choice(SHAPES)} {rng.choice(words)}"


def random_prompt(present: list[str], rng: np.random.Generator) -> list[tuple[str, str | None]]:
    """Phrases of a training prompt with the name each one asks for (None: a stranger)."""
    present = list(dict.fromkeys(present))
    absent = [n for n in NAMES if n not in present]
    wanted = int(rng.integers(1, 9))
    picked = []
    if present and rng.random() > 0.15:
        order = [present[i] for i in rng.permutation(len(present))]
        picked = [n for i, n in enumerate(order) if i == 0 or rng.random() < 0.8][:wanted]
    fill = int(rng.integers(0, wanted - len(picked) + 1))
    picked += [absent[i] for i in rng.permutation(len(absent))[:fill]]
    phrases = [(spelled(n, rng), n) for n in picked]
    if not phrases or rng.random() < 0.4:
        phrases += [(stranger(rng), None) for _ in range(int(rng.integers(1, 3)))]
    return [phrases[i] for i in rng.permutation(len(phrases))]


def encode_prompt(phrases: list[str]) -> tuple[list[int], list[tuple[int, int]]]:
    """Token ids as the tokenizer gives them for "a. b.", and each phrase's first and past-the-end token."""
    ids, spans = [CLS], []
    for phrase in phrases:
        start = len(ids)
        ids.extend(phrase_ids(phrase))
        spans.append((start, len(ids)))
        ids.append(DOT)
    return ids + [SEP], spans
