"""What the demo SAM learns with: a batch can be learnt and is loaded as exported, and losses ask for the truth."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from scripts.demo_models.train import sam_clips, sam_network
from scripts.demo_models.train.muon import Muon, orthogonal
from scripts.demo_models.train.sam_loss import TrainingHeads, mask_loss, outline_error, soft_iou
from scripts.demo_models.train.sam_stills import make_stills, run_stills
from scripts.demo_models.world.sprites import FONT, all_sprites
from vidseg.sam.build import build_sam

SIDE = 64


def lesson(kind: str, rng: np.random.Generator) -> Callable:
    """How to get the loss of a clip, or of two stills, of 64 pixels."""
    if kind == "clip":
        clip = sam_clips.make_batch(rng, SIDE, 4, 1, 0.5)
        return lambda model, heads: sam_clips.run_clip(model, heads, clip, 0.5, True)[0]
    stills = make_stills(rng, SIDE, 2, 1.5)
    stills["images"] = sam_clips.normalised(stills["images"])
    return lambda model, heads: run_stills(model, heads, stills, np.random.default_rng(0))[0]


@pytest.mark.skipif(not FONT.exists(), reason="the emoji font is not installed")
@pytest.mark.parametrize("kind", ["clip", "stills"])
def test_a_batch_is_learnt_and_exported(kind, tmp_path):
    torch.manual_seed(0)
    model, heads = sam_network.build().train(), TrainingHeads(128, 48, len(all_sprites()))
    sam_network.set_image_size(model, SIDE)
    loss_of, optimisers = lesson(kind, np.random.default_rng(3)), sam_network.optimisers_of(model, heads)
    losses = []
    for _ in range(8):
        loss = loss_of(model, heads)
        losses.append(loss.item())
        for optimiser in optimisers:
            optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_([*model.parameters(), *heads.parameters()], 1.0)
        for optimiser in optimisers:
            optimiser.step()
    assert losses[-1] < 0.8 * losses[0]

    sam_network.export(model.state_dict(), tmp_path)
    loaded = build_sam(tmp_path).state_dict()
    assert all(torch.equal(value.half(), loaded[name].half()) for name, value in model.state_dict().items())


@pytest.mark.parametrize("shape", [(24, 96), (96, 24), (64, 64), (1, 16)])
def test_muon_makes_steps_orthogonal(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    before, after = (torch.linalg.svdvals(one) for one in (matrix, orthogonal(matrix)))
    kept = after[before > 0.05 * before.max()]  # five steps leave the smallest behind
    assert kept.min() > 0.6 and kept.max() < 1.3


def test_muon_finds_a_matrix():
    torch.manual_seed(0)
    wanted, matrix = torch.randn(8, 16), torch.nn.Parameter(torch.zeros(8, 16))
    muon = Muon([matrix], lr=0.1, weight_decay=0.0)
    for step in range(300):
        muon.param_groups[0]["lr"] = 0.1 * (1 - step / 300)
        muon.zero_grad()
        (matrix - wanted).square().sum().backward()
        muon.step()
    assert (matrix - wanted).abs().max() < 0.1


def square(side: float, cells: int = 32) -> torch.Tensor:
    """[1, cells, cells] coverage of a square in the middle, in 0..1."""
    reach = (torch.arange(cells) - cells / 2 + 0.5).abs()
    edge = (side / 2 + 0.5 - reach).clamp(0, 1)
    return (edge[:, None] * edge[None])[None]


@pytest.mark.parametrize("loss", [soft_iou, outline_error])
def test_the_true_mask_costs_least(loss):
    truth = square(12)
    cost = {side: float(loss(20 * square(side) - 10, truth)) for side in (8, 10, 12, 14, 16)}
    assert min(cost, key=lambda side: cost[side]) == 12
    assert cost[8] > cost[10] and cost[16] > cost[14]


def test_the_better_candidate_is_the_one_that_learns():
    truth = (square(12) > 0.5).float()
    masks = torch.stack([20 * square(side) - 10 for side in (12, 4, 12, 24)], 1).requires_grad_()
    loss, chosen = mask_loss(masks, torch.tensor([[0.9, 0.2, 0.9, 0.3]]), truth, 0.0)
    assert chosen.item() > 0.95
    loss.sum().backward()
    assert masks.grad is not None and torch.isfinite(masks.grad).all()
