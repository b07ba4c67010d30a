"""Grounding DINO: a text prompt in, labelled boxes out.

The prompt is a list of phrases ("dog", "golden retriever"). `GroundingDino.detect` reads the scores of the phrases off
the model's token logits, so that every box carries the user's own spelling and not what the tokenizer made of it.
"""

from __future__ import annotations

import contextlib
import copy
import json
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from vidseg.detection.base import BEST_SCORE, BEST_SCORES
from vidseg.detection.phrases import Encoded, encode_phrases, name_boxes
from vidseg.detection.thresholds import DEFAULT_THRESHOLDS, DetectionThresholds
from vidseg.errors import InputError, ModelError

if TYPE_CHECKING:
    import supervision as sv
    import torch

K = TypeVar("K")
V = TypeVar("V")

SAME_BOX = 0.9  # IoU above which two boxes are one object, whatever their names
KEPT_PROMPTS = 8  # prompts whose text features are kept


def suppress(found: sv.Detections, nms_threshold: float) -> sv.Detections:
    """Keep the best of boxes that overlap: within each phrase (`class_id`), then among any that nearly coincide."""
    return found.with_nms(nms_threshold, class_agnostic=False).with_nms(SAME_BOX, class_agnostic=True)


class GroundingDino:
    """A `vidseg.detection.base.Detector`.

    Args:
        model: transformers' `GroundingDinoForObjectDetection`, on the device.
        processor: its `GroundingDinoProcessor`.
        device: where the model is.
        dtype: float32, or another one to run the model under autocast.
        thresholds: what counts as found.
    """

    def __init__(
        self,
        model: Any,
        processor: Any,
        device: str | torch.device = "cpu",
        dtype: str | torch.dtype = "float32",
        thresholds: DetectionThresholds = DEFAULT_THRESHOLDS,
    ):
        import torch

        self.model, self.processor = model.eval(), processor
        self.device = torch.device(device)
        self.dtype = getattr(torch, dtype) if isinstance(dtype, str) else dtype
        self.thresholds = thresholds
        self._encoded: OrderedDict[tuple[str, ...], list[Encoded]] = OrderedDict()
        self._text = text_cache(self.model.model.text_backbone)

    def with_thresholds(self, box: float | None, text: float | None) -> GroundingDino:
        """The same detector, with the same caches, but other thresholds; None: as they are. Raises InputError."""
        other = copy.copy(self)
        other.thresholds = self.thresholds.updated(box, text)
        return other

    def detect(self, image: np.ndarray, phrases: Sequence[str]) -> sv.Detections:
        """Boxes of the objects that `phrases` name, best first.

        Args:
            image: H×W×3 uint8 RGB.
            phrases: as `parse_phrases` gives them.

        Returns:
            Detections with `xyxy` in pixels, `confidence`, `class_id` (the phrase's place), `data["class_name"]`, and
            `metadata["best_score"]`, the best score of any box and phrase, also below the threshold;
            `metadata["best_scores"]` is a list of the same for each phrase.

        Raises:
            InputError: the image or the phrases have another form, or the image is too narrow.
        """
        import supervision as sv
        import torch

        if isinstance(phrases, str) or not phrases:
            raise InputError(
                f"The detector takes a list of phrases, not {phrases!r}: see vidseg.detection.phrases.parse_phrases."
            )
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise InputError(f"The detector takes a H×W×3 uint8 RGB image, not {image.shape} {image.dtype}.")
        height, width = image.shape[:2]
        boxes, scores, class_ids, best, best_by_phrase = [], [], [], 0.0, []
        with torch.inference_mode(), check_aspect_ratio(image):
            picture = self.processor.image_processor(
                images=np.ascontiguousarray(image), input_data_format="channels_last", return_tensors="pt"
            ).to(self.device)
            for text in self._encode(phrases):
                logits, centred = self._forward(picture, text)
                queries, phrase, score, top = name_boxes(
                    token_probs := logits.sigmoid(), text.spans, self.thresholds.box, self.thresholds.text
                )
                boxes.append(centred[queries])
                scores.append(score)
                class_ids.append(phrase + text.first)
                best = max(best, top)
                best_by_phrase += torch.stack([token_probs[:, a:b].max() for a, b in text.spans]).tolist()
            centred = torch.cat(boxes)
            centre, half = centred[:, :2], centred[:, 2:] / 2
            xyxy = torch.cat([centre - half, centre + half], 1).clamp(0, 1)
            xyxy = xyxy * torch.tensor([width, height, width, height], device=xyxy.device)
        confidence = torch.cat(scores).cpu().numpy().astype(np.float32)
        order = np.argsort(-confidence, kind="stable")
        class_id = torch.cat(class_ids).cpu().numpy().astype(int)[order]
        found = sv.Detections(
            xyxy=xyxy.cpu().numpy().astype(np.float32)[order],
            confidence=confidence[order],
            class_id=class_id,
            data={"class_name": np.array([phrases[i] for i in class_id], dtype=str)},
            metadata={BEST_SCORE: best, BEST_SCORES: best_by_phrase},
        )
        return suppress(found, self.thresholds.nms)

    def _encode(self, phrases: Sequence[str]) -> list[Encoded]:
        return lru_get(
            self._encoded,
            tuple(phrases),
            lambda: encode_phrases(phrases, self.processor.tokenizer, self.model.config.max_text_len),
        )

    def _forward(self, picture: Any, text: Encoded) -> tuple[torch.Tensor, torch.Tensor]:
        """Token logits [Q, L] and boxes [Q, 4] (centre, size; 0..1) of the last decoder layer, in float32."""
        import torch

        ids = torch.tensor([text.ids], device=self.device)
        reduced = torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32)
        with swapped_text_backbone(self.model, self._text), reduced:
            outputs = self.model(
                pixel_values=picture["pixel_values"],
                pixel_mask=picture["pixel_mask"],
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
            )
        return outputs.logits[0, :, : len(text.ids)].float(), outputs.pred_boxes[0].float()


@contextlib.contextmanager
def check_aspect_ratio(image: np.ndarray) -> Iterator[None]:
    """Say what is wrong where a narrow image is resized to nothing, or to fewer tokens than the model has queries."""
    try:
        yield
    except (RuntimeError, ValueError) as error:
        if max(image.shape[:2]) < 8 * min(image.shape[:2]):
            raise
        height, width = image.shape[:2]
        raise InputError(
            f"A {width}×{height} image is too narrow for the detector: crop or pad it ({error})."
        ) from error


def lru_get(store: OrderedDict[K, V], key: K, make: Callable[[], V]) -> V:
    """`store[key]`, made where it is missing; only the `KEPT_PROMPTS` that were used last are kept."""
    if key not in store:
        store[key] = make()
        if len(store) > KEPT_PROMPTS:
            store.popitem(last=False)
    store.move_to_end(key)
    return store[key]


def text_cache(backbone: torch.nn.Module) -> torch.nn.Module:
    """A stand-in for the text backbone that runs it once per prompt: its output depends on the token ids alone."""
    import torch

    class TextCache(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.store: OrderedDict[tuple[tuple[int, ...], bool], Any] = OrderedDict()
            self.run = [backbone]  # in a list, so that it is no submodule

        def forward(self, input_ids: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
            # The numbers also depend on the precision that they are computed in.
            key = (tuple(input_ids.flatten().tolist()), torch.is_autocast_enabled(input_ids.device.type))
            return lru_get(self.store, key, lambda: self.run[0](input_ids, *args, **kwargs))

    return TextCache()


@contextlib.contextmanager
def swapped_text_backbone(model: Any, stand_in: torch.nn.Module) -> Iterator[None]:
    """Let the model ask `stand_in` for its text features; the model itself is left as it was."""
    real = model.model.text_backbone
    model.model.text_backbone = stand_in
    try:
        yield
    finally:
        model.model.text_backbone = real


def load_detector(
    folder: str | Path,
    device: str | torch.device = "cpu",
    dtype: str | torch.dtype = "float32",
    thresholds: DetectionThresholds = DEFAULT_THRESHOLDS,
) -> GroundingDino:
    """Load a Grounding DINO checkpoint.

    Args:
        folder: as transformers saves it, with safetensors.
        device: where the weights go, in float32.
        dtype: with any but float32 the model runs under autocast.
        thresholds: what counts as found.

    Raises:
        ModelError: there is no such checkpoint, it is another kind of model, or its weights are broken.
    """
    folder = Path(folder)
    check_folder(folder)
    import torch

    with quiet_transformers():
        # The image processor that works with Pillow: AutoProcessor prefers one that needs 5 s to import torchvision.
        from transformers.models.auto.tokenization_auto import AutoTokenizer
        from transformers.models.grounding_dino.image_processing_pil_grounding_dino import (
            GroundingDinoImageProcessorPil,
        )
        from transformers.models.grounding_dino.modeling_grounding_dino import GroundingDinoForObjectDetection
        from transformers.models.grounding_dino.processing_grounding_dino import GroundingDinoProcessor

        try:
            loaded: Any = GroundingDinoForObjectDetection.from_pretrained(
                folder, dtype=torch.float32, use_safetensors=True, output_loading_info=True, local_files_only=True
            )
            model, report = loaded
            processor = GroundingDinoProcessor(
                GroundingDinoImageProcessorPil.from_pretrained(folder, local_files_only=True),
                AutoTokenizer.from_pretrained(folder, local_files_only=True),
            )
            model = model.to(device)
        except Exception as error:  # whatever transformers, safetensors or the device throw
            reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
            raise ModelError(f"Cannot load the detector {folder}: {reason}") from error
    lost = [*report["missing_keys"], *report["mismatched_keys"]]
    if lost:
        raise ModelError(
            f"The detector {folder} is incomplete: {len(lost)} weights are missing or misshapen; fetch it again."
        )
    return GroundingDino(model, processor, device, dtype, thresholds)


def check_folder(folder: Path) -> None:
    """Say in plain words what is wrong with a folder, before transformers does in many."""
    if not folder.is_dir():
        raise ModelError(
            f"There is no detector folder {folder}: give a folder that holds config.json and model.safetensors."
        )
    try:
        kind = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type")
    except FileNotFoundError:
        raise ModelError(f"{folder} is no detector checkpoint: it has no config.json.") from None
    except (ValueError, AttributeError, OSError) as error:
        raise ModelError(f"{folder}/config.json cannot be read: {error}") from error
    if kind != "grounding-dino":
        raise ModelError(
            f"{folder} holds a model of type {kind!r}: the detector must be Grounding DINO ('grounding-dino')."
        )
    if not any(folder.glob("*.safetensors")):
        raise ModelError(f"{folder} has no .safetensors weights: other formats are not loaded, as they can run code.")


@contextlib.contextmanager
def quiet_transformers() -> Iterator[None]:
    """No progress bars and no warnings while a checkpoint loads: what matters is raised as a ModelError."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
