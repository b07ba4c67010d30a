"""Batches for the demo detector: pictures with their prompts as the network and the loss take them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from scripts.demo_models.train.detector_pictures import Painter
from scripts.demo_models.train.detector_prompts import encode_prompt, random_prompt

MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)


def to_tensor(images: list[np.ndarray]) -> torch.Tensor:
    """Pictures [H, W, 3] uint8 of one size as the network takes them, [N, 3, H, W]."""
    stack = (np.stack(images).astype(np.float32) / 255 - MEAN) / STD
    return torch.from_numpy(stack).permute(0, 3, 1, 2).contiguous()


def batch_of(
    painter: Painter, rng: np.random.Generator, count: int, height: int, width: int, sizes: tuple[float, float]
) -> dict[str, Any]:
    """A detection batch of so many pictures.

    Returns:
        `pixels`, `ids`, `mask` and `cells` of all; for each image in a list: `boxes` (cxcywh in 0..1, only those asked
        for), `words` [n, L] the tokens of each, and `ignored` boxes.
    """
    pictures = [painter.paint(height, width, sizes) for _ in range(count)]
    prompts = [random_prompt([n for n in p.names + p.ignored_names if n], rng) for p in pictures]
    encoded = [encode_prompt([phrase for phrase, _ in prompt]) for prompt in prompts]
    length = max(len(ids) for ids, _ in encoded)
    ids, mask = torch.zeros(count, length, dtype=torch.long), torch.zeros(count, length, dtype=torch.long)
    boxes, words, ignored = [], [], []
    scale = np.array([width, height, width, height], np.float32)
    for i, (picture, prompt, (tokens, spans)) in enumerate(zip(pictures, prompts, encoded)):
        ids[i, : len(tokens)] = torch.tensor(tokens)
        mask[i, : len(tokens)] = 1
        where = {name: span for (_, name), span in zip(prompt, spans) if name}
        kept = [j for j, name in enumerate(picture.names) if name in where]
        target = torch.zeros(len(kept), length)
        for row, j in enumerate(kept):
            start, stop = where[picture.names[j]]
            target[row, start:stop] = 1
        boxes.append(torch.from_numpy(to_centre(picture.boxes[kept] / scale)))
        words.append(target)
        ignored.append(torch.from_numpy(to_centre(picture.ignored / scale)))
    cells = [torch.from_numpy(np.stack([p.cells[level] for p in pictures])).flatten(1) for level in range(3)]
    return {
        "pixels": to_tensor([p.image for p in pictures]),
        "ids": ids,
        "mask": mask,
        "boxes": boxes,
        "words": words,
        "ignored": ignored,
        "cells": cells,
    }


def to_centre(boxes: np.ndarray) -> np.ndarray:
    """Boxes [n, 4] xyxy as cxcywh."""
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    return np.concatenate([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]], 1)
