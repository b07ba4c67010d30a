"""Embeddings of what is under a mask."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from vidseg.tracking.appearance import appearance_embedding, similarity


def square(y1, y2, x1, x2, side=16):
    mask = torch.zeros(side, side, dtype=torch.bool)
    mask[y1:y2, x1:x2] = True
    return mask


def unit(*values):
    return F.normalize(torch.tensor(values, dtype=torch.float32), dim=0)


@pytest.fixture
def features():
    return torch.randn(1, 32, 4, 4, generator=torch.Generator().manual_seed(0))


def drawn(mask):
    return torch.where(mask, 4.0, -4.0)


def test_embedding_is_the_mean_under_the_mask_as_a_unit_vector(features):
    embedding = appearance_embedding(
        features, drawn(square(4, 12, 0, 8))
    )  # features at stride 4 of the mask: rows 1 and 2, columns 0 and 1
    assert embedding.shape == (32,) and float(embedding.norm()) == pytest.approx(1)
    assert torch.allclose(embedding, F.normalize(features[0, :, 1:3, 0:2].mean((1, 2)), dim=0), atol=1e-6)


def test_embedding_weighs_cells_by_how_much_of_them_is_inside(features):
    embedding = appearance_embedding(features, drawn(square(0, 4, 0, 6)))
    assert torch.allclose(embedding, F.normalize(features[0, :, 0, 0] + features[0, :, 0, 1] / 2, dim=0), atol=1e-6)


def test_embedding_depends_on_nothing_else(features):
    mask = square(4, 12, 0, 8)
    embedding = appearance_embedding(features, drawn(mask))
    other = torch.randn(features.shape, generator=torch.Generator().manual_seed(1))
    other[:, :, 1:3, 0:2] = features[:, :, 1:3, 0:2]
    assert torch.allclose(appearance_embedding(other, drawn(mask)), embedding, atol=1e-6)
    assert torch.allclose(
        appearance_embedding(features, torch.where(mask, 0.1, -1024.0)), embedding, atol=1e-6
    )  # how sure the mask is
    assert torch.allclose(appearance_embedding(features, drawn(mask).half()), embedding, atol=1e-6)
    assert torch.allclose(appearance_embedding(3 * features, drawn(mask)), embedding, atol=1e-6)
    assert torch.allclose(appearance_embedding(features.bfloat16(), drawn(mask)), embedding, atol=0.01)
    assert float(appearance_embedding(features, drawn(square(0, 4, 8, 16))) @ embedding) < 0.9


def test_similarity_is_that_of_the_most_similar_embedding():
    assert similarity(unit(1, 0, 0), []) == 1  # nothing speaks against it
    known = [unit(1, 0, 0)]
    assert similarity(unit(1, 0, 0), known) == pytest.approx(1)
    assert similarity(unit(0, 1, 0), known) == pytest.approx(0)
    assert similarity(unit(-1, 0, 0), known) == pytest.approx(-1)
    known.append(unit(0, 1, 1))
    assert similarity(unit(0, 1, 0), known) == pytest.approx(0.5**0.5)
    assert similarity(unit(1, 0, 0), known) == pytest.approx(1)  # not only the latest counts
