"""One image: encoded once, then segmented as often as somebody asks, by the engine of clips without any memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import numpy as np
import supervision as sv
import torch
from torch import Tensor

from vidseg.detection.base import BEST_SCORE, BEST_SCORES
from vidseg.detection.phrases import parse_phrases
from vidseg.detection.thresholds import DEFAULT_THRESHOLDS, with_thresholds
from vidseg.errors import InputError
from vidseg.io.clip import Frame
from vidseg.io.images import levels_warning, measure_levels, read_image
from vidseg.prompts.geometry import MaskPrompt, Rows, SupportsArray
from vidseg.prompts.object_prompt import ObjectPrompt, clip_to_frame, object_prompt, prompts_from_arrays
from vidseg.sam.frame import FrameMasks
from vidseg.sam.postprocess import fill_holes
from vidseg.sam.prompting import clamp_logits
from vidseg.tracking.detections import PhraseDetector
from vidseg.tracking.options import TrackOptions
from vidseg.tracking.pending import MaskEstimate, PendingFrame
from vidseg.tracking.prompt_update import PromptUpdate
from vidseg.tracking.registry import Identity, TrackRegistry
from vidseg.tracking.update import TrackUpdate
from vidseg.tracks.frame import CORRECTED, ClassIds, TrackedFrame

if TYPE_CHECKING:
    from vidseg.detection.base import Detector
    from vidseg.sam.propagator import Propagator


class ImagePrompts(TypedDict, total=False):
    """The keywords of `EmbeddedImage.segment`."""

    boxes: Rows | None
    points: Rows | None
    point_labels: Sequence[int] | SupportsArray | None
    masks: Iterable[SupportsArray] | None
    prompts: Sequence[ObjectPrompt | Mapping[str, object]]
    previous: TrackedFrame | None
    allow_overlap: bool
    box_threshold: float | None
    text_threshold: float | None


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
        warning: None, or one line if a file's values were spread over 0..255, because they use a part of their range.
    """

    def __init__(
        self,
        image: str | os.PathLike[str] | SupportsArray,
        engine: Propagator,
        detector: Callable[[], Detector],
        sharpen: bool = False,
    ):
        self.warning: str | None = None
        if isinstance(image, (str, os.PathLike)):
            file = Path(image)
            levels = measure_levels([file])
            self.warning, image = levels_warning(file, levels, [file]), read_image(file, levels)
        image = np.asarray(image)
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
            raise InputError(f"an image must be a file, or H×W×3 uint8 RGB; it is {image.shape} {image.dtype}")
        self.image = image
        self._engine, self._detector, self._refine_edges = engine, detector, sharpen
        self._features = engine.embed(image)

    def segment(  # noqa: PLR0913  # the public keywords, which all have defaults
        self,
        prompt: str | Sequence[str] | None = None,
        *,
        boxes: Rows | None = None,
        points: Rows | None = None,
        point_labels: Sequence[int] | SupportsArray | None = None,
        masks: Iterable[SupportsArray] | None = None,
        prompts: Sequence[ObjectPrompt | Mapping[str, object]] = (),
        previous: TrackedFrame | None = None,
        allow_overlap: bool = False,
        box_threshold: float | None = None,
        text_threshold: float | None = None,
    ) -> TrackedFrame:
        """Outline objects that are named or pointed at; at least one of the ways to do so is needed.

        Args:
            prompt: text: phrases separated by dots, commas or lines, or a list of them.
            boxes: N×4: x1, y1, x2, y2 in pixels, one object each.
            points: P×2: x, y in pixels, clicks on one object: the first box's, or one of their own.
            point_labels: P times 1 (on the object) or 0 (on what does not belong to it). Default: all 1.
            masks: N×H×W bool, one object each.
            prompts: for several objects with clicks and labels: each an `ObjectPrompt` or a mapping with its fields.
            previous: an earlier result for this image. What is pointed at, and is in it under the same id, is refined:
                the network sees the earlier mask, and all clicks that are given now.
            allow_overlap: keep masks as SAM draws them; else a pixel belongs to one object at most, and what lies
                hidden behind another is left out.
            box_threshold: score, 0..1, that a phrase needs for a box to be found. Default: the model's.
            text_threshold: probability, 0..1, below which a word counts as none when two phrases compete for a box.
                Default: the model's.

        Returns:
            The only frame of the clip: `detections` has masks, ids (1, 2, … in the order above, then what the text
            found), labels, class ids, and as confidence SAM's guess of each mask's IoU. data["mask_logits"] is N×h×w
            float32: the low-resolution logits. metadata["best_score"] is the best score of the detector, also below its
            threshold; metadata["best_scores"] is a list of the same for each phrase. A prompt that lies on something
            that the text finds refines that object, unless it is `new`; metadata["corrected"] is the object's id by
            that of the prompt. Objects without a single pixel are left out.

        Raises:
            InputError: there is no prompt, one is not valid or lies outside the image, or a threshold is not a number
                from 0 to 1.
            ModelError: there is no detector for the text.
        """
        DEFAULT_THRESHOLDS.updated(box_threshold, text_threshold)  # raises for what is no threshold
        height, width = self.image.shape[:2]
        by_user = clip_to_frame(
            [*prompts_from_arrays(boxes, points, point_labels, masks), *map(object_prompt, prompts)], width, height
        )
        if prompt is None and not by_user:
            raise InputError("give a text prompt, boxes, points, masks or prompts: what should be segmented?")
        phrases = [] if prompt is None else parse_phrases(prompt)
        options = TrackOptions(allow_overlap=allow_overlap, refine_edges=self._refine_edges)
        registry, engine = TrackRegistry({one.id: one.label for one in by_user}), self._engine.fork([])
        now, answers = PendingFrame(self._frame()), {}
        update = PromptUpdate(registry=registry, propagator=engine, options=options, now=now, features=self._features)
        score, scores, found = 0.0, [], None
        corrections: list[ObjectPrompt] = []
        if phrases:
            detect = PhraseDetector(with_thresholds(self._detector(), box_threshold, text_threshold), phrases)
            found = detect(now.frame)
            score, scores = detect.best_score, list(detect.best_scores.values())
            by_user, corrections = update.split(by_user, found)
        self._prompt(update, by_user, previous, answers)
        if found is not None:
            TrackUpdate(
                registry=registry, propagator=engine, now=now, features=self._features, will_redetect=False
            ).apply(found)
        self._prompt(update, corrections, previous, answers)
        identities = registry.identities()
        frame = now.finalize(identities, options)
        ids = {identity.track_id: internal_id for internal_id, identity in identities.items()}
        assert frame.detections.tracker_id is not None
        shown = [ids[track_id] for track_id in frame.detections.tracker_id.tolist()]
        low_res = [answers[i] if i in answers else clamp_logits(now.estimates[i].logits.float()) for i in shown]
        side = self._features.high_res[0].shape[-1]
        logits = np.array([logits.cpu().numpy() for logits in low_res], np.float32).reshape(-1, side, side)
        frame.detections.class_id = ClassIds(phrases).number(frame.detections.data["class_name"])
        frame.detections.data[LOGITS] = logits
        tracks = {number: registry.tracks[i] for number, i in registry.state.prompted.items()}
        corrected = {number: track.track_id for number, track in tracks.items() if track.corrected_from is not None}
        frame.detections.metadata.update({BEST_SCORE: score, BEST_SCORES: scores, CORRECTED: corrected})
        return frame

    def candidates(self, prompt: ObjectPrompt | Mapping[str, object]) -> TrackedFrame:
        """The three masks that a click, or a box, may mean: a part, the whole, what it belongs to.

            photo.candidates({"id": 1, "points": [[320, 200]]}).detections.confidence

        Args:
            prompt: one object, by clicks or a box.

        Returns:
            A frame with up to three detections, as SAM orders them (data["candidate"] is 1, 2 or 3; empty ones are
            left out). All have the object's id, and may overlap. The confidence of each is the network's guess of its
            IoU with what was meant; for a single click, `segment` takes the highest.

        Raises:
            InputError: the prompt is none, lies outside the image, or is a mask, which is not ambiguous.
        """
        height, width = self.image.shape[:2]
        (one,) = clip_to_frame([object_prompt(prompt)], width, height)
        if isinstance(one.prompt, MaskPrompt):
            raise InputError(
                f"object {one.id} is given by its mask, which can mean one thing only; give a point or a box"
            )
        found = self._engine.candidates(self._features, one.prompt, multimask_output=True)
        now = PendingFrame(self._frame())
        for number, (logits, iou) in enumerate(
            zip(fill_holes(found.logits[:, None])[:, 0].half(), found.ious.tolist())
        ):
            now.set(number, MaskEstimate(logits, iou))
        identities = {number: Identity(number + 1, one.label or "object") for number in now.estimates}
        frame = now.finalize(identities, TrackOptions(allow_overlap=True, refine_edges=self._refine_edges))
        assert frame.detections.tracker_id is not None
        frame.detections.data["candidate"] = frame.detections.tracker_id
        frame.detections.tracker_id = np.full(len(frame.detections), one.id)
        frame.detections.class_id = ClassIds().number(frame.detections.data["class_name"])
        return frame

    def _frame(self) -> Frame:
        """The image as the only frame of a clip."""
        return Frame(0, 0.0, 0, self.image)

    def _prompt(
        self,
        update: PromptUpdate,
        prompts: Sequence[ObjectPrompt],
        previous: TrackedFrame | None,
        answers: dict[int, Tensor],
    ) -> None:
        """Outline what the user points at. `answers` gets the network's logits by internal id.

        Raises:
            InputError: there are only clicks on what does not belong to an object, and they lie on none.
        """
        usable = {one.id for one in update.usable(prompts)}
        for one in prompts:
            if one.id not in usable and self._before(one.id, previous) is None:
                raise InputError(
                    f"object {one.id} has only clicks on what does not belong to it, and they lie on nothing that was "
                    "found; click on the object as well"
                )
        for internal_id, one in zip(update.targets(prompts), prompts):
            track, known = update.registry.tracks[internal_id], update.now.estimates.get(internal_id)
            mask_input = self._before(track.track_id, previous)
            if mask_input is None and known is not None:
                mask_input = clamp_logits(known.logits.float())  # what the text found, to be refined
            answer = self._answer(one, mask_input)
            answers[internal_id] = clamp_logits(answer.logits[0])
            answer.ids, answer.logits = [internal_id], fill_holes(answer.logits[None])[0]
            update.now.add(answer)

    def _answer(self, one: ObjectPrompt, mask_input: Tensor | None) -> FrameMasks:
        """The mask of one object by hand: of several candidates the one that the network likes best."""
        if isinstance(one.prompt, MaskPrompt):
            return self._engine.fork([]).prompt(self._features, 0, {one.id: one.prompt})
        found = self._engine.candidates(self._features, one.prompt, mask_input=mask_input)
        best = slice(found.best, found.best + 1)
        certain = torch.full((1,), torch.inf)  # the user says that it is there, and is not contradicted
        return FrameMasks(
            [one.id], found.logits[best], found.ious[best], certain.to(found.ious.device), torch.empty(1, 0)
        )

    def _before(self, number: int | None, previous: TrackedFrame | None) -> Tensor | None:
        """Logits of an object in an earlier answer, if it is there."""
        if previous is None:
            return None
        found: sv.Detections = previous.detections
        if LOGITS not in found.data:
            raise InputError("the previous frame is not an answer of segment(): it has no mask logits")
        rows = np.flatnonzero(found.tracker_id == number)
        return torch.from_numpy(found.data[LOGITS][rows[0]]).to(self._features.top.device) if len(rows) else None
