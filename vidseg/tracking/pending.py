"""A frame on its way through: tracked, but not handed out while later frames may still change what is on it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
import supervision as sv
import torch
from torch import Tensor

from vidseg.io.clip import Frame
from vidseg.sam.frame import FrameMasks, enlarged
from vidseg.tracking.occlusion import hidden_and_layers
from vidseg.tracking.refinement import sharpened
from vidseg.tracks.frame import TrackedFrame

DOUBT = 0.5  # power of the confidence in a mask that weighs how sure a pixel is


@dataclass
class WaitingFrame:
    """One frame and the masks of the objects that are visible on it.

    Attributes:
        frame: as it was decoded.
        logits: low-resolution mask logits [h, w] of every visible object by id, float16: half the memory, and
            masks stay as they are (a logit too small for it counts as none).
        scores: SAM's own confidence in each: predicted IoU × P(visible).
    """

    frame: Frame
    logits: dict[int, Tensor] = field(default_factory=dict)
    scores: dict[int, float] = field(default_factory=dict)

    def add(self, masks: FrameMasks | None) -> None:
        """Note what the network says about some objects; those that are not visible are left out."""
        if masks is None:
            return
        logits = masks.logits.half()
        # One question to the device for all objects, not one for each.
        confidence = (masks.ious * masks.object_scores.sigmoid()).tolist()
        visible = ((masks.object_scores > 0) & (logits > 0).flatten(1).any(1)).tolist()
        for row, object_id in enumerate(masks.ids):
            if visible[row]:
                # A copy, so that an object that is dropped frees its share of the batch.
                self.logits[object_id], self.scores[object_id] = logits[row].clone(), confidence[row]
            else:
                self.drop(object_id)

    def drop(self, object_id: int) -> None:
        self.logits.pop(object_id, None)
        self.scores.pop(object_id, None)

    def rename(self, old: int, new: int) -> None:
        if old in self.logits:
            self.logits[new], self.scores[new] = self.logits.pop(old), self.scores.pop(old)

    def exchange(self, a: int, b: int) -> None:
        """Let two objects have each other's mask, or none if the other has none."""
        for kept in (self.logits, self.scores):
            kept |= {i: kept.pop(j) for i, j in ((a, b), (b, a)) if j in kept}

    def boxes(self) -> tuple[list[int], np.ndarray]:
        """Ids of the visible objects, and the bounding boxes of their masks in pixels of the frame, [N, 4]."""
        height, width = self.frame.image.shape[:2]
        found = []
        for logits in self.logits.values():
            inside = logits > 0
            rows, columns = (torch.nonzero(inside.any(axis)).flatten() for axis in (1, 0))
            step = height / inside.shape[0], width / inside.shape[1]
            found.append(
                (
                    int(columns[0]) * step[1],
                    int(rows[0]) * step[0],
                    (int(columns[-1]) + 1) * step[1],
                    (int(rows[-1]) + 1) * step[0],
                )
            )
        return list(self.logits), np.array(found, np.float32).reshape(-1, 4)

    def finished(
        self,
        labels: Mapping[int, str],
        numbers: Mapping[int, int],
        allow_overlap: bool,
        sharpen: bool = False,
        by_hand: Collection[int] = (),
    ) -> TrackedFrame:
        """The frame as users get it, its objects in order of their numbers.

        labels, numbers: what each id is called, and the number users know it by; ids without a number are left out.
        allow_overlap: keep masks as they are drawn; else a pixel goes to the object it is most surely of, by its logit (and the
            picture, if that moves outlines) and SAM's confidence in the mask. Where one mask lies mostly on another, one of the
            two has all that both claim, or the other is not seen at all (`vidseg.tracking.occlusion`).
        sharpen: move outlines to edges in the picture.
        by_hand: ids that the user has pointed at: their weight is that of certainty.
        """
        height, width = self.frame.image.shape[:2]
        ids = sorted((i for i in self.logits if i in numbers), key=lambda i: numbers[i])
        hidden, layers = (
            (set(), []) if allow_overlap else hidden_and_layers({i: self.logits[i] for i in ids}, self.scores, by_hand)
        )
        ids = [i for i in ids if i not in hidden]
        masks = np.zeros((len(ids), height, width), bool)
        best = np.full((height, width), -np.inf)  # the highest bid for each pixel so far, and whose it is
        owner = np.full((height, width), -1, np.int16)
        for row, i in enumerate(ids):
            large = enlarged(self.logits[i], height, width)
            sure = sharpened(large, self.frame.image, self.logits[i].shape) if sharpen else None
            inside = large > 0 if sure is None else sure > 0.5
            masks[row] = inside
            if not allow_overlap:
                # In double precision, where two that are nearly certain still differ
                bid = 1 / (1 + np.exp(-large[inside].astype(float))) if sure is None else sure[inside].astype(float)
                bid *= 1 if i in by_hand else max(self.scores[i], 0) ** DOUBT
                won = bid > best[inside]
                inside[inside] = won
                best[inside], owner[inside] = bid[won], row
        if not allow_overlap:
            for behind, front in layers:
                owner[masks[ids.index(front)] & (owner == ids.index(behind))] = ids.index(front)
            for row in range(len(ids)):
                masks[row] = owner == row
        kept = [row for row in range(len(ids)) if masks[row].any()]
        return TrackedFrame(
            self.frame.index,
            self.frame.time,
            self.frame.image,
            sv.Detections(
                xyxy=np.array([bounds(masks[row]) for row in kept], np.float32).reshape(-1, 4),
                mask=masks[kept],
                confidence=np.array([self.scores[ids[row]] for row in kept], np.float32),
                tracker_id=np.array([numbers[ids[row]] for row in kept], int),
                data={"class_name": np.array([labels[ids[row]] for row in kept], dtype=str)},
            ),
        )


def bounds(mask: np.ndarray) -> tuple[int, int, int, int]:
    """x1, y1, x2, y2 of a mask [H, W] that is not empty; x2 and y2 are one past its last pixel."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
