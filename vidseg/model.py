"""Loading a pair of checkpoints, and what can be done with it."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from vidseg import presets
from vidseg.detection.thresholds import DEFAULT_THRESHOLDS, DetectionThresholds, with_thresholds
from vidseg.device import check_dtype, is_bfloat16_faster, resolve_device
from vidseg.errors import InputError, ModelError

if TYPE_CHECKING:
    from pathlib import Path

    from sam2.modeling.sam2_base import SAM2Base  # pyright: ignore[reportMissingTypeStubs]  # sam2 ships none
    from typing_extensions import Unpack

    from vidseg.detection.base import Detector
    from vidseg.image.embedded import EmbeddedImage, ImagePrompts
    from vidseg.io.clip import Clip
    from vidseg.prompts.geometry import Rows, SupportsArray
    from vidseg.prompts.object_prompt import ObjectPrompt, PromptsByFrame
    from vidseg.sam.propagator import Propagator
    from vidseg.tracking.iterator import Tracking
    from vidseg.tracking.options import TrackPrompts
    from vidseg.tracks.frame import TrackedFrame

logger = logging.getLogger(__name__)


def load(  # noqa: PLR0913  # the public keywords, which all have defaults
    preset: str | None = None,
    *,
    sam: str | os.PathLike[str] | None = None,
    detector: str | os.PathLike[str] | None = None,
    device: str = "auto",
    dtype: str = "auto",
    compile: bool = False,
    sharpen: bool | None = None,
    box_threshold: float = DEFAULT_THRESHOLDS.box,
    text_threshold: float = DEFAULT_THRESHOLDS.text,
) -> Model:
    """Load SAM 2.1 and Grounding DINO.

        model = vidseg.load("small")
        model = vidseg.load(sam="sam2.1_hiera_tiny.pt", device="cpu")  # no detector: prompt with boxes

    Args:
        preset: "demo", "tiny", "small", "base-plus" or "large": where both checkpoints come from. Default: "small",
            or nothing if `sam` is given.
        sam: a SAM 2 checkpoint instead of the preset's: Meta's `.pt`, a folder with `model.safetensors` and
            `config.yaml` or with what transformers saved of a `Sam2VideoModel`, or a hub id of either.
        detector: a Grounding DINO checkpoint instead of the preset's: a transformers folder or a hub id.
        device: "cpu", "cuda", "cuda:1", "mps", or "auto" for the best there is.
        dtype: "float32", "bfloat16" (SAM runs under autocast; the detector stays in float32), or "auto": bfloat16
            where the device multiplies faster in it and the network is large enough to gain.
        compile: run SAM through `torch.compile`, with CUDA graphs. For long clips on a GPU: it takes minutes at first,
            and makes a CPU slower.
        sharpen: move the outlines of masks to edges in the picture that are near (`vidseg.tracking.refinement`).
            Default: as the preset has it; only "demo" does.
        box_threshold: score, 0..1, that a phrase of a text prompt needs for a box to be found.
        text_threshold: probability, 0..1, below which a word counts as none when two phrases compete for a box.

    Returns:
        The model. SAM is loaded now, the detector with the first text prompt.

    Raises:
        ModelError: there is no such preset or device, or a checkpoint is broken or cannot be fetched.
        InputError: a threshold is not a number from 0 to 1.
    """
    thresholds = DetectionThresholds(box=box_threshold, text=text_threshold)
    pair = presets.preset(preset or "small") if preset or sam is None else None
    sam_source = os.fspath(sam) if sam is not None else pair.sam if pair else ""
    detector_source = os.fspath(detector) if detector is not None else pair.detector if pair else None
    # Find both checkpoints before anything slow, even the import of torch: what is missing should show at once.
    sam_path = presets.locate_sam(sam_source)
    detector_path = presets.locate_detector(detector_source) if detector_source else None
    device = resolve_device(device)
    check_dtype(dtype)

    from vidseg.sam.build import build_sam

    network = build_sam(sam_path, device)
    if dtype == "auto":
        dtype = "bfloat16" if network.image_size >= 1024 and is_bfloat16_faster(device) else "float32"
    logger.info("SAM %s: loaded from %s, runs on %s in %s", sam_source, sam_path, device, dtype)
    return Model(
        network,
        detector_path,
        device,
        dtype,
        {"sam": sam_source, "detector": detector_source},
        compile,
        sharpen=pair is not None and pair.sharpen if sharpen is None else sharpen,
        thresholds=thresholds,
    )


class Model:
    """A SAM 2.1 network with a Grounding DINO detector; made by `load`.

    Attributes:
        device, dtype, compile: where and how it runs.
        names: the checkpoints it was loaded from, {"sam": …, "detector": … or None}.
        sharpen: whether outlines move to edges in the picture.
        thresholds: what counts as found.
    """

    def __init__(
        self,
        network: SAM2Base,
        detector_path: Path | None,
        device: str,
        dtype: str,
        names: dict[str, str | None],
        compile: bool = False,
        sharpen: bool = False,
        thresholds: DetectionThresholds = DEFAULT_THRESHOLDS,
    ):
        self.device, self.dtype, self.names, self.compile, self.sharpen = device, dtype, names, compile, sharpen
        self.thresholds = thresholds
        self._network, self._detector_path = network, detector_path

    @cached_property
    def detector(self) -> Detector:
        """The detector, loaded when it is first used.

        Raises:
            ModelError: the model has none, or it cannot be loaded.
        """
        if self._detector_path is None:
            raise ModelError(
                "a text prompt needs a detector: load the model with a preset or with detector=…, or give boxes"
            )
        from vidseg.detection.grounding_dino import load_detector

        detector = load_detector(self._detector_path, self.device, "float32", self.thresholds)
        name, path = self.names["detector"], self._detector_path
        logger.info("Detector %s: loaded from %s, runs on %s in float32", name, path, self.device)
        return detector

    def propagator(self) -> Propagator:
        """A propagation engine without objects, for one clip: see `vidseg.sam.propagator`."""
        return self._engine.fork([])

    @cached_property
    def _engine(self) -> Propagator:
        """What all clips and images share: the prepared weights and everything compiled."""
        import torch

        from vidseg.sam.propagator import Propagator

        return Propagator(self._network, getattr(torch, self.dtype), self.compile)

    def embed(self, image: str | os.PathLike[str] | SupportsArray) -> EmbeddedImage:
        """Encode an image once to segment it many times: each further click costs the mask decoder alone.

            photo = model.embed("photo.jpg")
            first = photo.segment(points=[[320, 200]])
            better = photo.segment(points=[[320, 200], [80, 40]], point_labels=[1, 0], previous=first)

        Args:
            image: a file, or H×W×3 uint8 RGB.

        Raises:
            InputError: it cannot be read as an image.
        """
        from vidseg.image.embedded import EmbeddedImage

        return EmbeddedImage(image, self.propagator(), lambda: self.detector, self.sharpen)

    def segment(
        self,
        image: str | os.PathLike[str] | SupportsArray,
        prompt: str | Sequence[str] | None = None,
        **prompts: Unpack[ImagePrompts],
    ) -> TrackedFrame:
        """Find and outline objects on one image: a clip of one frame.

            model.segment("photo.jpg", prompt="chair. lamp").detections
            model.segment("photo.jpg", points=[[320, 200]])

        Args:
            image: a file, or H×W×3 uint8 RGB.
            prompt: what to find: phrases separated by dots, commas or lines, or a list of them.
            **prompts: what else `vidseg.image.embedded.EmbeddedImage.segment` takes.

        Raises:
            InputError: it cannot be read as an image, or a prompt is not valid.
            ModelError: the detector cannot be loaded.
        """
        return self.embed(image).segment(prompt, **prompts)

    def track(  # noqa: PLR0913  # the public keywords, which all have defaults
        self,
        clip: str | os.PathLike[str] | int | Clip,
        prompt: str | Sequence[str] | None = None,
        *,
        boxes: Rows | None = None,
        points: Rows | None = None,
        point_labels: Sequence[int] | SupportsArray | None = None,
        masks: Iterable[SupportsArray] | None = None,
        prompts: PromptsByFrame | None = None,
        keyframe: int | str = "auto",
        redetect: float | None = 1.0,
        forget_after: float = 30.0,
        allow_overlap: bool = False,
        start: float | None = None,
        end: float | None = None,
        reserved: Iterable[int] = (),
        between: Callable[[], None] | None = None,
        box_threshold: float | None = None,
        text_threshold: float | None = None,
    ) -> Tracking:
        """Track objects through a clip.

            for frame in model.track("clip.mp4", prompt="dog. ball"):
                print(frame.index, frame.detections.tracker_id)

        Args:
            clip: what `vidseg.io.clip.Clip` takes, or one: a video, a folder of images, an image; "-" for a pipe, an
                address such as rtsp://…, a camera. What can be read only once is tracked forwards alone.
            prompt: what to find: phrases separated by dots, commas or lines, or a list of them.
            boxes: instead of a prompt or besides, N×4: x1, y1, x2, y2 in pixels of the keyframe, one object each.
            points: P×2: x, y in pixels of the keyframe, clicks on one object: the first box's, or one of their own.
            point_labels: P times 1 (on the object) or 0 (on what does not belong to it). Default: all 1.
            masks: N×H×W bool, exact masks on the keyframe, one object each.
            prompts: what is pointed at on which frame: {number of a frame or "keyframe": [prompts]}, each an
                `ObjectPrompt` or a mapping with its fields (id, label, box, points, point_labels, mask, new). A new id
                begins an object there, a known one corrects it from there on. `boxes` and so on have the ids 1, 2, ….
                What lies on an object that is there already corrects that one, unless it is `new`.
            keyframe: number of the frame on which objects are prompted first; they are tracked from there in both
                directions. Or "first"; or "auto": the first frame for boxes, points and masks, the first one that has
                `prompts`, or for text the first one on which something is found, looking twice a second. Frames before
                it are read twice, and what is tracked in them waits in a temporary file.
            redetect: seconds after which the detector looks for further objects, again and again, and at every scene
                change; None for a single keyframe. Frames come out up to two such intervals late, and wait in memory
                until then. (Text only.)
            forget_after: seconds out of view after which an object is carried no further. It keeps its id, and the
                detector may find it again by its appearance. (Only with `redetect`: else objects are carried to the
                end.)
            allow_overlap: keep masks as SAM draws them; else a pixel belongs to one object at most, and what lies
                hidden behind another is left out.
            start: where to begin, in seconds after the clip's first frame.
            end: where to stop, in seconds after the clip's first frame.
            reserved: ids that no new object gets, since others had them in an earlier run.
            between: is called before each frame that is worked on, also those before the first one comes out, so that
                others get their turn on the model. What it raises ends the run.
            box_threshold: score, 0..1, that a phrase needs for a box to be found. Default: the model's. Where it is
                below 0.35, any two detections confirm an object.
            text_threshold: probability, 0..1, below which a word counts as none when two phrases compete for a box.
                Default: the model's.

        Returns:
            An iterator of `TrackedFrame`, one a frame, in order; frames are read, tracked and dropped one by one.
            Once it is through, its attributes say what happened (see `vidseg.tracking.iterator.Tracking`).

        Raises:
            InputError: the clip cannot be read, the text names nothing, a prompt is not valid or outside the frame, or
                a threshold is not a number from 0 to 1.
            ModelError: the detector cannot be loaded.
        """
        from vidseg.io.clip import Clip
        from vidseg.prompts.object_prompt import prompts_from_arrays
        from vidseg.tracking.iterator import Tracking
        from vidseg.tracking.options import THRESHOLDS, TrackOptions
        from vidseg.tracking.run import ClipRun

        lowest = self.thresholds.updated(box_threshold, text_threshold).box
        options = TrackOptions(
            keyframe=keyframe,
            redetect=redetect,
            forget_after=forget_after,
            allow_overlap=allow_overlap,
            refine_edges=self.sharpen,
            start=start,
            end=end,
            reserved_ids=frozenset(reserved),
            thresholds=THRESHOLDS.for_scores_from(lowest, DEFAULT_THRESHOLDS.box),
        )
        wanted = _track_prompts(prompt, prompts_from_arrays(boxes, points, point_labels, masks), prompts)
        source = clip if isinstance(clip, Clip) else Clip(clip)
        detector = with_thresholds(self.detector, box_threshold, text_threshold) if wanted.phrases else None
        return Tracking(ClipRun(source, self.propagator(), wanted, options, detector, between))


def _track_prompts(
    text: str | Sequence[str] | None,
    on_keyframe: Sequence[ObjectPrompt],
    by_frame: PromptsByFrame | None,
) -> TrackPrompts:
    """What `Model.track` is to look for. Raises InputError."""
    from vidseg.detection.phrases import parse_phrases
    from vidseg.prompts.object_prompt import object_prompt
    from vidseg.tracking.options import TrackPrompts, is_whole_number

    on_keyframe = list(on_keyframe)
    numbered: dict[int, tuple[ObjectPrompt, ...]] = {}
    for index, some in (by_frame or {}).items():
        objects = tuple(object_prompt(one) for one in some)
        if index == "keyframe":
            on_keyframe += objects
        elif isinstance(index, str) or not is_whole_number(index) or index < 0:
            raise InputError(f'prompts are by the number of their frame, or "keyframe"; {index!r} is neither')
        else:
            numbered[int(index)] = objects
    return TrackPrompts(
        phrases=() if text is None else tuple(parse_phrases(text)), on_keyframe=tuple(on_keyframe), by_frame=numbered
    )
