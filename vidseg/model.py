"""Loading a pair of checkpoints, and what can be done with it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from vidseg import presets
from vidseg.errors import InputError, ModelError

if TYPE_CHECKING:
    import numpy as np

    from vidseg.detection.grounding_dino import Detector
    from vidseg.image.embedded import EmbeddedImage
    from vidseg.io.clip import Clip
    from vidseg.prompts.object_prompt import ObjectPrompt
    from vidseg.sam.propagator import Propagator
    from vidseg.tracking.run import Tracking
    from vidseg.tracks.frame import TrackedFrame

DEVICES = ("auto", "cpu", "cuda", "mps")
DTYPES = ("auto", "float32", "bfloat16")


def load(
    preset: str | None = None,
    *,
    sam: str | os.PathLike | None = None,
    detector: str | os.PathLike | None = None,
    device: str = "auto",
    dtype: str = "auto",
    compile: bool = False,
    sharpen: bool | None = None,
) -> Model:
    """Load SAM 2.1 and Grounding DINO.

        model = vidseg.load("small")
        model = vidseg.load(sam="sam2.1_hiera_tiny.pt", device="cpu")  # no detector: prompt with boxes

    Args:
        preset: "demo", "tiny", "small", "base-plus" or "large": where both checkpoints come from. Default: "small",
            or nothing if `sam` is given.
        sam: a SAM 2 checkpoint instead of the preset's: Meta's `.pt`, a folder with `model.safetensors` and
            `config.yaml`, or a hub id.
        detector: a Grounding DINO checkpoint instead of the preset's: a transformers folder or a hub id.
        device: "cpu", "cuda", "cuda:1", "mps", or "auto" for the best there is.
        dtype: "float32", "bfloat16" (SAM runs under autocast; the detector stays in float32), or "auto": bfloat16 where
            the device is made for it, and the network is large enough to gain.
        compile: whether to run SAM through `torch.compile`, with CUDA graphs: for long clips on a GPU, as it takes minutes at
            first. On a CPU frames take longer with it.
        sharpen: whether to move the outlines of masks to edges in the picture that are near (`vidseg.tracking.refinement`). Default:
            as the preset has it; only "demo" does.

    Returns:
        The model. SAM is loaded now, the detector with the first text prompt.

    Raises:
        ModelError: unknown preset or device, a checkpoint that is broken or that cannot be fetched.
    """
    chosen = presets.preset(preset or "small") if preset or sam is None else None
    sam_source = os.fspath(sam) if sam is not None else chosen.sam
    detector_source = os.fspath(detector) if detector is not None else chosen.detector if chosen else None
    # Both are found before anything slow begins, even the import of torch: what is missing should show at once.
    sam_path = presets.locate_sam(sam_source)
    detector_path = presets.locate_detector(detector_source) if detector_source else None
    device = resolve(device, dtype)

    from vidseg.sam.build import build_sam

    network = build_sam(sam_path, device)
    if dtype == "auto":
        dtype = "bfloat16" if network.image_size >= 1024 and gains_from_bfloat16(device) else "float32"
    return Model(
        network,
        detector_path,
        device,
        dtype,
        {"sam": sam_source, "detector": detector_source},
        compile,
        sharpen=chosen is not None and chosen.sharpen if sharpen is None else sharpen,
    )


def resolve(device: str, dtype: str) -> str:
    """The device that "auto" stands for here. Raises ModelError for what this machine or vidseg does not have."""
    import torch

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    kind = device.split(":")[0]
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if kind not in available:
        raise ModelError(f"no device is called {device!r}; there are {', '.join(DEVICES)}")
    if not available[kind]:
        raise ModelError(f"this machine has no {kind} device that torch can use; try --device cpu")
    try:
        index = torch.device(device).index
    except RuntimeError:
        raise ModelError(
            f"no device is called {device!r}; there are {', '.join(DEVICES)}, and cuda:0, cuda:1, …"
        ) from None
    if kind == "cuda" and index is not None and index >= torch.cuda.device_count():
        raise ModelError(f"there is no {device} on this machine, which has {torch.cuda.device_count()} cuda devices")
    if dtype not in DTYPES:
        raise ModelError(f"no dtype is called {dtype!r}; there are {', '.join(DTYPES)}")
    return device


def gains_from_bfloat16(device: str) -> bool:
    """Whether matrices multiply clearly faster in bfloat16 on a device.

    On a CPU this takes a measurement (some 50 ms): of two processors with the same instructions for bfloat16, one
    multiplies four times as fast with them as in float32, the other half as fast; one without any, a hundredth as fast.
    """
    import torch

    if device.split(":")[0] == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device != "cpu":
        return False
    in_float32, in_bfloat16 = product_times(128)
    if in_bfloat16 > 4 * in_float32:
        return False  # without instructions for it: products large enough for a comparison would take seconds
    in_float32, in_bfloat16 = product_times(768)
    return in_bfloat16 * 1.5 < in_float32


def product_times(side: int) -> tuple[float, float]:
    """Seconds that the product of two `side` x `side` matrices takes on the CPU, in float32 and in bfloat16; best of four."""
    import torch

    matrices = [torch.ones(side, side, dtype=dtype) for dtype in (torch.float32, torch.bfloat16)]
    best = [float("inf")] * 2
    for _ in range(4):
        for i, matrix in enumerate(matrices):  # in turn, so that whatever else the machine does hits both
            began = time.perf_counter()
            matrix @ matrix
            best[i] = min(best[i], time.perf_counter() - began)
    return best[0], best[1]


class Model:
    """A SAM 2.1 network with a Grounding DINO detector; made by `load`.

    Attributes:
        device, dtype, compile: where and how it runs.
        names: the checkpoints it was loaded from, {"sam": …, "detector": … or None}.
        sharpen: whether outlines are moved to edges in the picture.
    """

    def __init__(
        self,
        network,
        detector_path,
        device: str,
        dtype: str,
        names: dict[str, Any],
        compile: bool = False,
        sharpen: bool = False,
    ):
        self.device, self.dtype, self.names, self.compile, self.sharpen = device, dtype, names, compile, sharpen
        self._network, self._detector_path = network, detector_path

    @cached_property
    def detector(self) -> Detector:
        """The detector, loaded when it is first asked for. Raises ModelError if there is none."""
        if self._detector_path is None:
            raise ModelError(
                "a text prompt needs a detector: load the model with a preset or with detector=…, or give boxes"
            )
        from vidseg.detection.grounding_dino import load_detector

        return load_detector(self._detector_path, self.device, "float32")

    def propagator(self) -> Propagator:
        """A propagation engine without objects, for one clip. (`vidseg.sam.propagator` says how to drive it.)"""
        return self._engine.branch([])

    @cached_property
    def _engine(self) -> Propagator:
        """What all clips and images share: weights made ready for use, and what is compiled."""
        import torch

        from vidseg.sam.propagator import Propagator

        return Propagator(self._network, getattr(torch, self.dtype), self.compile)

    def embed(self, image: str | os.PathLike | np.ndarray) -> EmbeddedImage:
        """Encode an image once, to segment it many times: a click after that costs only the mask decoder.

            photo = model.embed("photo.jpg")
            first = photo.segment(points=[[320, 200]])
            better = photo.segment(points=[[320, 200], [80, 40]], point_labels=[1, 0], previous=first)

        Args:
            image: a file, or H×W×3 uint8 RGB.

        Raises:
            InputError: it is no image.
        """
        from vidseg.image.embedded import EmbeddedImage

        return EmbeddedImage(image, self.propagator(), lambda: self.detector, self.sharpen)

    def segment(
        self, image: str | os.PathLike | np.ndarray, prompt: str | Sequence[str] | None = None, **prompts
    ) -> TrackedFrame:
        """Find and outline objects on one image: a clip of one frame.

            model.segment("photo.jpg", prompt="chair. lamp").detections
            model.segment("photo.jpg", points=[[320, 200]])

        Args:
            image: a file, or H×W×3 uint8 RGB.
            prompt, **prompts: what `vidseg.image.embedded.EmbeddedImage.segment` takes.

        Raises:
            InputError: it is no image, or a prompt is none.
            ModelError: the detector cannot be loaded.
        """
        return self.embed(image).segment(prompt, **prompts)

    def track(
        self,
        clip: str | os.PathLike | int | Clip,
        prompt: str | Sequence[str] | None = None,
        *,
        boxes: Sequence[Sequence[float]] | np.ndarray | None = None,
        points: Sequence[Sequence[float]] | np.ndarray | None = None,
        point_labels: Sequence[int] | np.ndarray | None = None,
        masks: Sequence[np.ndarray] | np.ndarray | None = None,
        prompts: Mapping[int | str, Sequence[ObjectPrompt | Mapping]] | None = None,
        keyframe: int | str = "auto",
        redetect: float | None = 1.0,
        forget_after: float = 30.0,
        allow_overlap: bool = False,
        start: float | None = None,
        end: float | None = None,
        reserved: Iterable[int] = (),
        between: Callable[[], None] | None = None,
    ) -> Tracking:
        """Follow objects through a clip.

            for frame in model.track("clip.mp4", prompt="dog. ball"):
                print(frame.index, frame.detections.tracker_id)

        Args:
            clip: what `vidseg.io.clip.Clip` takes, or one: a video, a folder of images, an image; "-" for a pipe, an address
                such as rtsp://…, a camera. What can be read only once is tracked forwards alone.
            prompt: what to find: phrases separated by dots, commas or lines, or a list of them.
            boxes: instead of a prompt or besides, N×4: x1, y1, x2, y2 in pixels of the keyframe, one object each.
            points: P×2: x, y in pixels of the keyframe, clicks on one object: the first box's, or one of their own.
            point_labels: P times 1 (on the object) or 0 (on what does not belong to it). Default: all 1.
            masks: N×H×W bool, exact masks on the keyframe, one object each.
            prompts: what is pointed at on which frame: {number of a frame or "keyframe": [prompts]}, each an `ObjectPrompt`
                or a mapping with its fields (id, label, box, points, point_labels, mask). An id that is new begins an object
                there, one that is known corrects it from there on. `boxes` and so on have the ids 1, 2, ….
            keyframe: number of the frame on which objects are prompted first; they are followed from there in both
                directions. Or "first"; or "auto": the first frame for boxes, points and masks, the first one that has
                `prompts`, or for text the first one on which something is found, looking twice a second. Frames before it
                are read twice, and what is tracked in them waits in a temporary file.
            redetect: seconds after which the detector looks for further objects, again and again, and at every scene
                cut; None for a single keyframe. Frames come out up to two such intervals late, and wait in memory until
                then. (Text only.)
            forget_after: seconds out of view after which an object is carried no further. Its id stays its own, and
                the detector may find it again by its looks. (Where it looks again: else objects are carried to the end.)
            allow_overlap: keep masks as they are drawn; else every pixel belongs to one object at most, and what lies hidden on another is left out.
            start, end: part of the clip in seconds after its first frame.
            reserved: ids that nothing that is found gets, since they are those of others in an earlier run.
            between: is called before each frame that is worked on, also those before the first one comes out, so that others
                get their turn on the model. What it raises ends the run.

        Returns:
            An iterator of `TrackedFrame`, one a frame, in order; frames are read, tracked and dropped one by one.
            Once it is through, its attributes say what happened (see `vidseg.tracking.run.Tracking`).

        Raises:
            InputError: the clip cannot be read, the text names nothing, or a prompt is none or lies outside the frame.
            ModelError: the detector cannot be loaded.
        """
        import numpy as np

        from vidseg.detection.phrases import parse_phrases
        from vidseg.io.clip import Clip
        from vidseg.prompts.object_prompt import object_prompt, objects_at
        from vidseg.tracking.run import Tracking

        if redetect is not None and not 0 < redetect < float("inf"):
            raise InputError(f"redetect must be a number of seconds above 0, or None; it is {redetect}")
        if isinstance(keyframe, bool) or not (isinstance(keyframe, (int, np.integer)) or keyframe in ("first", "auto")):
            raise InputError(f'keyframe must be the number of a frame, "first" or "auto"; it is {keyframe!r}')
        if not forget_after >= 0:
            raise InputError(f"forget_after must be a number of seconds, 0 or more; it is {forget_after}")
        keyframe = keyframe if isinstance(keyframe, str) else int(keyframe)
        by_frame = {
            index if isinstance(index, bool) or not isinstance(index, np.integer) else int(index): [
                object_prompt(one) for one in some
            ]
            for index, some in (prompts or {}).items()
        }
        pointed = [*objects_at(boxes, points, point_labels, masks), *by_frame.pop("keyframe", ())]
        if wrong := [
            index
            for index in by_frame
            if isinstance(index, bool) or not isinstance(index, (int, np.integer)) or index < 0
        ]:
            raise InputError(f'prompts are by the number of their frame, or "keyframe"; {wrong[0]!r} is neither')
        if prompt is None and not pointed and not by_frame:
            raise InputError("give a text prompt, boxes, points, masks or prompts: what should be tracked?")
        phrases = [] if prompt is None else parse_phrases(prompt)
        return Tracking(
            clip if isinstance(clip, Clip) else Clip(clip),
            self.propagator(),
            self.detector if phrases else None,
            phrases,
            pointed=pointed,
            prompts=by_frame,
            keyframe=keyframe,
            redetect=redetect,
            forget_after=forget_after,
            allow_overlap=allow_overlap,
            sharpen=self.sharpen,
            start=start,
            end=end,
            reserved=reserved,
            between=between,
        )
