"""The detector's loss: Hungarian matching on every decoder layer, dense supervision of the encoder's proposals.

transformers' own loss leaves the two-stage head without a gradient and cannot take a prompt per image.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment

WEIGHTS = {"focal": 2.0, "l1": 5.0, "giou": 2.0, "words": 1.0, "probe": 0.5}
TOKENS_PER_OBJECT = 6
ANCHORS = (0.14, 0.28, 0.56)  # the object size (as a share of the picture) that each feature level suits best


def corners(boxes: torch.Tensor) -> torch.Tensor:
    """Boxes [..., 4] cxcywh as xyxy."""
    centre, half = boxes[..., :2], boxes[..., 2:] / 2
    return torch.cat([centre - half, centre + half], -1)


def overlaps(a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """IoU and generalised IoU of boxes (cxcywh), broadcasting over all but the last dimension."""
    a, b = corners(a), corners(b)
    inner = (torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])).clamp(min=0).prod(-1)
    area_a, area_b = (a[..., 2:] - a[..., :2]).prod(-1), (b[..., 2:] - b[..., :2]).prod(-1)
    union = area_a + area_b - inner
    iou = inner / union.clamp(min=1e-7)
    hull = (torch.maximum(a[..., 2:], b[..., 2:]) - torch.minimum(a[..., :2], b[..., :2])).clamp(min=0).prod(-1)
    return iou, iou - (hull - union) / hull.clamp(min=1e-7)


def focal(logits: torch.Tensor, target: torch.Tensor, alpha: float = 0.25, gamma: float = 2.0) -> torch.Tensor:
    """Focal loss, element by element."""
    prob = logits.sigmoid()
    raw = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    missed = prob * (1 - target) + (1 - prob) * target
    return (alpha * target + (1 - alpha) * (1 - target)) * missed**gamma * raw


def word_choice(logits: torch.Tensor, words: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Softmax cross-entropy over the prompt's tokens, the phrase's tokens counting together; one value a row."""
    valid = logits.masked_fill(~mask, -1e4)
    return valid.logsumexp(-1) - valid.masked_fill(words < 0.5, -1e4).logsumexp(-1)


@torch.no_grad()
def match(logits, boxes, batch, offset_valid) -> list[tuple]:
    """Hungarian assignment per image: (queries, targets)."""
    pairs = []
    prob = logits.sigmoid()
    cost_positive = 0.25 * (1 - prob) ** 2 * -(prob + 1e-8).log()
    cost_negative = 0.75 * prob**2 * -(1 - prob + 1e-8).log()
    cost_word = (cost_positive - cost_negative).masked_fill(~offset_valid[:, None], 0)
    for i, target in enumerate(batch["boxes"]):
        if not len(target):
            pairs.append(([], []))
            continue
        words = batch["words"][i]
        words = words / words.sum(-1, keepdim=True)
        _, giou = overlaps(boxes[i][:, None], target[None])
        distance = (boxes[i][:, None] - target[None]).abs().sum(-1)
        cost = 2 * cost_word[i] @ words.T + 5 * distance - 2 * giou
        pairs.append(linear_sum_assignment(torch.nan_to_num(cost, 1e4).cpu().numpy()))
    return pairs


def pair_losses(logits, boxes, pairs, batch, mask, weight_free: torch.Tensor) -> dict:
    """Losses of one set of predictions whose assignment is known.

    `weight_free` [B, Q] is the weight of the focal loss at unassigned predictions (0 where they are to be left alone).
    """
    device = logits.device
    picks = [(i, q, t) for i, (qs, ts) in enumerate(pairs) for q, t in zip(qs, ts)]
    count = max(len(picks), 1)
    target = torch.zeros_like(logits)
    weight = weight_free.clone()
    zero = logits.sum() * 0
    out = {"l1": zero, "giou": zero, "words": zero}
    if picks:
        image, query = (
            torch.tensor([p[0] for p in picks], device=device),
            torch.tensor([int(p[1]) for p in picks], device=device),
        )
        words = torch.stack([batch["words"][i][t] for i, _, t in picks])
        wanted = torch.stack([batch["boxes"][i][t] for i, _, t in picks])
        target[image, query] = words
        weight[image, query] = 1.0
        got = boxes[image, query]
        out["l1"] = (got - wanted).abs().sum() / count
        out["giou"] = (1 - overlaps(got, wanted)[1]).sum() / count
        out["words"] = word_choice(logits[image, query], words, mask[image]).sum() / count
    loss = focal(logits, target) * mask[:, None] * weight[..., None]
    out["focal"] = loss.sum() / count
    return out


@torch.no_grad()
def near_ignored(boxes: torch.Tensor, ignored: list[torch.Tensor], limit: float = 0.4) -> torch.Tensor:
    """[B, Q] true where a prediction lies on a sprite that is too hidden to be asked for."""
    out = torch.zeros(boxes.shape[:2], dtype=torch.bool, device=boxes.device)
    for i, hidden in enumerate(ignored):
        if len(hidden):
            out[i] = (overlaps(boxes[i][:, None], hidden[None])[0] > limit).any(-1)
    return out


def cell_centres(shapes) -> torch.Tensor:
    """x, y [cells, 2] in 0..1 of the middle of every cell, level by level."""
    centres = []
    for h, w in shapes:
        ys, xs = torch.meshgrid((torch.arange(h) + 0.5) / h, (torch.arange(w) + 0.5) / w, indexing="ij")
        centres.append(torch.stack([xs, ys], -1).view(-1, 2))
    return torch.cat(centres)


@torch.no_grad()
def assign_cells(batch, shapes) -> list[tuple]:
    """For every image the encoder tokens that shall propose each box: the nearest few of the level of its size."""
    device = batch["pixels"].device
    centres = cell_centres(shapes).to(device)
    level = torch.cat([torch.full((h * w,), ANCHORS[i]) for i, (h, w) in enumerate(shapes)]).to(device)
    inside_picture = ((centres > 0.01) & (centres < 0.99)).all(-1)
    pairs = []
    for boxes in batch["boxes"]:
        if not len(boxes):
            pairs.append(([], []))
            continue
        away = ((centres[None] - boxes[:, None, :2]).abs() / (boxes[:, None, 2:] / 2)).amax(-1)
        size = boxes[:, 2:].prod(-1).sqrt()[:, None]
        cost = away + 0.5 * (size / level[None]).log2().abs()
        cost = cost.masked_fill((away > 1.0) | ~inside_picture, 1e4)
        # Small objects may hold no cell centre at all: then the nearest one.
        nearest = (
            (away + 10 * (size / level[None]).log2().abs().clamp(min=1)).masked_fill(~inside_picture, 1e4).argmin(-1)
        )
        lone = (cost >= 1e4).all(-1)
        cost[lone, nearest[lone]] = 1.0
        best = cost.topk(TOKENS_PER_OBJECT, largest=False).indices
        wins = torch.full_like(cost, 1e4).scatter(1, best, cost.gather(1, best))
        owner = wins.argmin(0)
        taken = wins.amin(0) < 1e4
        cells = taken.nonzero()[:, 0]
        pairs.append((cells.tolist(), owner[cells].tolist()))
    return pairs


@torch.no_grad()
def cells_in_ignored(batch, shapes) -> torch.Tensor:
    """[B, cells] true where the middle of a cell lies on a sprite that is too hidden to be asked for."""
    centres = cell_centres(shapes).to(batch["pixels"].device)
    out = torch.zeros(len(batch["boxes"]), len(centres), dtype=torch.bool, device=centres.device)
    for i, hidden in enumerate(batch["ignored"]):
        if len(hidden):
            out[i] = ((centres[:, None] - hidden[None, :, :2]).abs() < hidden[None, :, 2:] / 2).all(-1).any(-1)
    return out


def probe_loss(scores: list[torch.Tensor], cells: list[torch.Tensor]) -> tuple[torch.Tensor, float]:
    """Cross-entropy of the dense sprite classifier; background cells count a quarter. Also the hit rate on sprites."""
    total, hits, seen = torch.zeros((), device=scores[0].device), 0, 0
    for level_scores, level_cells in zip(scores, cells):
        score, cell = level_scores.float().flatten(0, 1), level_cells.flatten()
        nothing = score.shape[-1] - 1
        weight = torch.where(cell < 0, 0.0, torch.where(cell == nothing, 0.25, 1.0))
        loss = F.cross_entropy(score, cell.clamp(min=0), reduction="none")
        total = total + (loss * weight).sum() / weight.sum().clamp(min=1) / len(scores)
        sprites = (cell >= 0) & (cell < nothing)
        hits += int((score.argmax(-1) == cell)[sprites].sum())
        seen += int(sprites.sum())
    return total, hits / max(seen, 1)


def detection_loss(model, outputs, batch, shapes) -> tuple[torch.Tensor, dict]:
    """The whole loss of a batch."""
    mask = batch["mask"].bool()
    length = mask.shape[1]
    parts: dict[str, torch.Tensor] = {}

    def add(prefix: str, losses: dict[str, torch.Tensor], share: float) -> None:
        for key, value in losses.items():
            parts[prefix + key] = parts.get(prefix + key, 0.0) + value * share

    layers = outputs.intermediate_hidden_states.shape[1]
    text = outputs.encoder_last_hidden_state_text.float()
    reference = outputs.init_reference_points
    for layer in range(layers):
        hidden = outputs.intermediate_hidden_states[:, layer].float()
        logits = (hidden @ text.transpose(1, 2)).masked_fill(~mask[:, None], -30.0)
        boxes = (model.bbox_embed[layer](hidden) + torch.special.logit(reference.float(), eps=1e-5)).sigmoid()
        reference = outputs.intermediate_reference_points[:, layer]
        pairs = match(logits, boxes, batch, mask)
        free = torch.where(near_ignored(boxes, batch["ignored"]), 0.0, 1.0)
        add("", pair_losses(logits, boxes, pairs, batch, mask, free), 1 / layers if layer < layers - 1 else 1.0)
    logits = outputs.enc_outputs_class[..., :length].float().masked_fill(~mask[:, None], -30.0)
    pairs = assign_cells(batch, shapes)
    free = torch.where(cells_in_ignored(batch, shapes), 0.0, 1.0)
    boxes = outputs.enc_outputs_coord_logits.float().clamp(-12, 12).sigmoid()
    add("enc_", pair_losses(logits, boxes, pairs, batch, mask, free), 1.0)
    total = torch.zeros((), device=mask.device)
    for key, value in parts.items():
        total = total + value * WEIGHTS[key.removeprefix("enc_")]
    return total, {key: float(value.detach()) for key, value in parts.items()}
