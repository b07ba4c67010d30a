"""One image: encoded once, then segmented as often as somebody asks. The engine is that of clips, with nothing remembered."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import supervision as sv
import torch
from torch import Tensor

from vidseg.detection.phrases import parse_phrases
from vidseg.errors import InputError
from vidseg.io.clip import Frame
from vidseg.io.images import read_image
from vidseg.prompts.geometry import MaskPrompt
from vidseg.prompts.object_prompt import ObjectPrompt, fitted, object_prompt, objects_at
from vidseg.sam.frame import FrameMasks
from vidseg.sam.postprocess import fill_holes
from vidseg.sam.still import FED_BACK
from vidseg.tracking.association import Found, Settling
from vidseg.tracking.pending import WaitingFrame
from vidseg.tracking.registry import Objects
from vidseg.tracks.frame import TrackedFrame

if TYPE_CHECKING:
    from vidseg.detection.grounding_dino import Detector
    from vidseg.sam.propagator import Propagator

LOGITS = "mask_logits"  # where detections carry the answer of the network, for the next round of clicks


class EmbeddedImage:
    """An image with its encoding; made by `Model.embed`.

    Args:
        image: a file, or H×W×3 uint8 RGB.
        engine: without objects; it encodes the image now.
        detector: gives who understands text, when it is first needed.
        sharpen: move the outlines of masks to edges in the picture.

    Attributes:
        image: H×W×3 uint8 RGB.
        best_score: highest score of a detection in the latest search by text, also below the threshold.
    """

    def __init__(
        self,
        image: str | os.PathLike | np.ndarray,
        engine: Propagator,
        detector: Callable[[], Detector],
        sharpen: bool = False,
    ):
        if isinstance(image, (str, os.PathLike)):
            image = read_image(Path(image))
        image = np.asarray(image)
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
            raise InputError(f"an image must be a file, or H×W×3 uint8 RGB; it is {image.shape} {image.dtype}")
        self.image = image
        self.best_score = 0.0
        self._engine, self._detector, self._sharpen = engine, detector, sharpen
        self._features = engine.embed(image)

    def segment(
        self,
        prompt: str | Sequence[str] | None = None,
        *,
        boxes: Sequence[Sequence[float]] | np.ndarray | None = None,
        points: Sequence[Sequence[float]] | np.ndarray | None = None,
        point_labels: Sequence[int] | np.ndarray | None = None,
        masks: Sequence[np.ndarray] | np.ndarray | None = None,
        prompts: Sequence[ObjectPrompt | Mapping] = (),
        previous: TrackedFrame | None = None,
        allow_overlap: bool = False,
    ) -> TrackedFrame:
        """Outline objects that are named or pointed at; at least one of the ways to do so is needed.

        Args:
            prompt: text: phrases separated by dots, commas or lines, or a list of them.
            boxes: N×4: x1, y1, x2, y2 in pixels, one object each.
            points: P×2: x, y in pixels, clicks on one object: the first box's, or one of their own.
            point_labels: P times 1 (on the object) or 0 (on what does not belong to it). Default: all 1.
            masks: N×H×W bool, one object each.
            prompts: for several objects with clicks and labels: each an `ObjectPrompt` or a mapping with its fields.
            previous: an earlier answer for this image. Objects by hand that are in it under the same number are refined:
                the network sees its old mask, and all clicks that are given now.
            allow_overlap: keep masks as they are drawn; else every pixel belongs to one object at most, and what lies hidden on another is left out.

        Returns:
            The only frame of the clip: `detections` has masks, ids (1, 2, … in the order above, then what the text found),
            labels, and as confidence SAM's guess of each mask's IoU. data["mask_logits"] is N×h×w float32: the low-resolution
            logits. Objects without a single pixel are left out.

        Raises:
            InputError: there is no prompt, or one is none or lies outside the image.
            ModelError: there is no detector for the text.
        """
        height, width = self.image.shape[:2]
        pointed = fitted([*objects_at(boxes, points, point_labels, masks), *map(object_prompt, prompts)], width, height)
        if prompt is None and not pointed:
            raise InputError("give a text prompt, boxes, points, masks or prompts: what should be segmented?")
        phrases = [] if prompt is None else parse_phrases(prompt)
        objects, engine = Objects({one.id: one.label for one in pointed}), self._engine.branch([])
        now, answers = WaitingFrame(Frame(0, 0.0, 0, self.image)), {}
        for one in pointed:
            object_id = objects.pointed_at(one.id, 0)
            answer = self._answer(one, previous)
            answers[object_id] = answer.logits[0].clamp(-FED_BACK, FED_BACK)
            answer.ids, answer.logits = [object_id], fill_holes(answer.logits[None])[0]
            now.add(answer)
        if phrases:
            detector = self._detector()
            detections = detector.detect(self.image, phrases)
            self.best_score = detector.best_score
            found = Found(detections.xyxy, [str(name) for name in detections.data["class_name"]], detections.confidence)
            Settling(objects, engine, now, self._features, again=False, undecided=frozenset(), passing={}).settle(found)
        ids = {known.number: object_id for object_id, known in objects.known.items()}
        frame = now.finished(
            {i: known.label for i, known in objects.known.items()},
            objects.numbers(),
            allow_overlap,
            self._sharpen,
            objects.by_hand(),
        )
        shown = [ids[number] for number in frame.detections.tracker_id.tolist()]
        low_res = [answers[i] if i in answers else now.logits[i].float().clamp(-FED_BACK, FED_BACK) for i in shown]
        side = self._features.high_res[0].shape[-1]
        frame.detections.data[LOGITS] = np.array([logits.cpu().numpy() for logits in low_res], np.float32).reshape(
            -1, side, side
        )
        return frame

    def candidates(self, prompt: ObjectPrompt | Mapping) -> TrackedFrame:
        """The three masks that a click, or a box, may mean: a part, the whole, what it belongs to.

            photo.candidates({"id": 1, "points": [[320, 200]]}).detections.confidence

        Args:
            prompt: one object, by clicks or a box.

        Returns:
            A frame with up to three detections, as SAM orders them (data["candidate"] is 1, 2 or 3; empty ones are left out).
            All have the object's id, and may overlap. The confidence of each is the network's guess of its IoU with what was
            meant; for a single click, `segment` takes the highest.

        Raises:
            InputError: the prompt is none, lies outside the image, or is a mask, which is not ambiguous.
        """
        height, width = self.image.shape[:2]
        (one,) = fitted([object_prompt(prompt)], width, height)
        if isinstance(one.prompt, MaskPrompt):
            raise InputError(
                f"object {one.id} is given by its mask, which can mean one thing only; give a point or a box"
            )
        found = self._engine.candidates(self._features, one.prompt, several=True)
        now = WaitingFrame(Frame(0, 0.0, 0, self.image))
        numbers = range(len(found.ious))
        now.logits, now.scores = (
            dict(zip(numbers, fill_holes(found.logits[:, None])[:, 0].half())),
            dict(zip(numbers, found.ious.tolist())),
        )
        frame = now.finished(
            dict.fromkeys(numbers, one.label or "object"),
            {i: i + 1 for i in numbers},
            allow_overlap=True,
            sharpen=self._sharpen,
        )
        frame.detections.data["candidate"] = frame.detections.tracker_id
        frame.detections.tracker_id = np.full(len(frame.detections), one.id)
        return frame

    def _answer(self, one: ObjectPrompt, previous: TrackedFrame | None) -> FrameMasks:
        """The mask of one object by hand: of several candidates the one that the network likes best."""
        if isinstance(one.prompt, MaskPrompt):
            return self._engine.branch([]).prompt(self._features, 0, {one.id: one.prompt})
        found = self._engine.candidates(self._features, one.prompt, before=self._before(one.id, previous))
        best = slice(found.best, found.best + 1)
        certain = torch.full((1,), torch.inf)  # the user says that it is there, and is not contradicted
        return FrameMasks(
            [one.id], found.logits[best], found.ious[best], certain.to(found.ious.device), torch.empty(1, 0)
        )

    def _before(self, number: int, previous: TrackedFrame | None) -> Tensor | None:
        """Logits of an object in an earlier answer, if it is there."""
        if previous is None:
            return None
        found: sv.Detections = previous.detections
        if LOGITS not in found.data:
            raise InputError("the previous frame is not an answer of segment(): it has no mask logits")
        rows = np.flatnonzero(found.tracker_id == number)
        return torch.from_numpy(found.data[LOGITS][rows[0]]).to(self._features.top.device) if len(rows) else None
