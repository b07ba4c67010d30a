"""Phrases of a prompt, and which of them a query of the detector stands for."""

import pytest
import torch

from vidseg.detection.phrases import name_boxes, parse_phrases
from vidseg.errors import InputError


@pytest.mark.parametrize(
    ("prompt", "phrases"),
    [
        ("dog", ["dog"]),
        ("dog. ball", ["dog", "ball"]),
        ("dog, ball.", ["dog", "ball"]),
        ("dog;ball\nred  chair..", ["dog", "ball", "red chair"]),
        (["dog. ball", "chair"], ["dog", "ball", "chair"]),
        ("Golden Retriever. golden retriever. DOG", ["Golden Retriever", "DOG"]),
        ("  giraffe-shaped teapot ", ["giraffe-shaped teapot"]),
        ("a dog? a cat?", ["a dog", "a cat"]),
        ("Käse, 2 犬", ["Käse", "2 犬"]),
        (("dog",), ["dog"]),
    ],
)
def test_prompt_is_split_into_phrases(prompt, phrases):
    assert parse_phrases(prompt) == phrases


@pytest.mark.parametrize("prompt", ["", "   ", "...", ", ; .", "!?", [], ["", "."], [3]])
def test_prompt_without_a_word_is_refused_in_one_line(prompt):
    with pytest.raises(InputError) as caught:
        parse_phrases(prompt)
    assert "\n" not in str(caught.value)


# -- word scores to phrases ------------------------------------------------------------------------------------------

SPANS = [(1, 3), (4, 6), (7, 8)]  # "red ball. blue ball. dog."


def token_probs(**values):
    row = torch.zeros(10)
    for place, value in values.items():
        row[int(place[1:])] = value
    return row


@pytest.mark.parametrize(
    ("row", "phrase", "score"),
    [
        (token_probs(_7=0.8), 2, 0.8),
        (token_probs(_2=0.6), 0, 0.6),  # one lit word of two is enough
        (token_probs(_1=0.40, _2=0.50, _4=0.05, _5=0.51), 0, 0.50),  # the colour decides, not the noise on "ball"
        (token_probs(_2=0.45, _4=0.55, _5=0.44), 1, 0.55),
        (token_probs(_2=0.34, _3=0.9), None, None),  # a dot is no word
        (token_probs(_1=0.34, _2=0.34), None, None),
    ],
)
def test_query_gets_the_better_phrase(row, phrase, score):
    queries, phrases, scores, best = name_boxes(torch.stack([token_probs(), row]), SPANS, 0.35, 0.25)
    if phrase is None:
        assert not len(queries)
        assert best == pytest.approx(0.34)
    else:
        assert (queries.tolist(), phrases.tolist()) == ([1], [phrase])
        assert scores.tolist() == pytest.approx([score])
