"""Recall and precision of the demo detector while it is trained."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torchvision.ops import batched_nms

from scripts.demo_models.train.detector_data import to_centre, to_tensor
from scripts.demo_models.train.detector_loss import corners, overlaps
from scripts.demo_models.train.detector_pictures import Painter, Picture
from scripts.demo_models.train.detector_prompts import NAMES, encode_prompt
from scripts.demo_models.train.detector_schedule import shape_of

THRESHOLD, MATCH, NMS = 0.3, 0.5, 0.6  # score of a box that counts, IoU with its object, IoU of doubles


@torch.no_grad()
def evaluate(model: torch.nn.Module, device: torch.device | str, count: int = 60, seed: int = 987) -> dict[str, float]:
    """Recall and precision on fixed pictures; each prompt asks for the names present and three absent ones."""
    model.eval()
    rng = np.random.default_rng(seed)
    painter = Painter(rng, pool=1, renew=1.0)
    hits = found = wanted = 0
    for _ in range(count):
        height, width = shape_of(224, rng)
        picture = painter.paint(height, width, dense=False)
        present = list(dict.fromkeys(name for name in picture.names if name))
        absent = [name for name in NAMES if name not in picture.names + picture.ignored_names]
        phrases = present + [absent[i] for i in rng.permutation(len(absent))[:3]]
        boxes, kinds = detect(model, picture, phrases, device)
        right, wrong = judge(picture, boxes, [phrases[kind] for kind in kinds])
        hits, found = hits + right, found + right + wrong
        wanted += sum(1 for name in picture.names if name)
    return {"recall": round(hits / max(wanted, 1), 4), "precision": round(hits / max(found, 1), 4), "wanted": wanted}


def detect(
    model: torch.nn.Module, picture: Picture, phrases: Sequence[str], device: torch.device | str
) -> tuple[torch.Tensor, list[int]]:
    """Boxes [n, 4] cxcywh in pixels, best first, and the phrase of each."""
    height, width = picture.image.shape[:2]
    tokens, spans = encode_prompt(list(phrases))
    ids = torch.tensor([tokens], device=device)
    outputs = model(
        pixel_values=to_tensor([picture.image]).to(device), input_ids=ids, attention_mask=torch.ones_like(ids)
    )
    prob = outputs.logits[0].float().sigmoid().cpu()
    scores, kinds = torch.stack([prob[:, a:b].amax(-1) for a, b in spans], -1).max(-1)
    boxes = outputs.pred_boxes[0].float().cpu() * torch.tensor([width, height, width, height])
    keep = scores > THRESHOLD
    scores, kinds, boxes = scores[keep], kinds[keep], boxes[keep]
    order = batched_nms(corners(boxes), scores, kinds, NMS)
    return boxes[order], kinds[order].tolist()


def judge(picture: Picture, boxes: torch.Tensor, names: Sequence[str]) -> tuple[int, int]:
    """How many boxes are right, and how many wrong; those of what is too hidden to be asked for are neither."""
    truth = torch.from_numpy(to_centre(picture.boxes))
    hidden = torch.from_numpy(to_centre(picture.ignored))
    free = {i: name for i, name in enumerate(picture.names) if name}
    right = wrong = 0
    for box, name in zip(boxes, names):
        best, i = max(((float(overlaps(box, truth[i])[0]), i) for i, n in free.items() if n == name), default=(0.0, -1))
        if best >= MATCH:
            right += 1
            del free[i]
        elif not any(overlaps(box, h)[0] > 0.3 and n == name for h, n in zip(hidden, picture.ignored_names)):
            wrong += 1
    return right, wrong
