"""What a run over a clip can be told, and every constant that the tracker goes by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from numbers import Integral
from types import MappingProxyType
from typing import TYPE_CHECKING

from vidseg.errors import InputError

if TYPE_CHECKING:
    from vidseg.prompts.object_prompt import ObjectPrompt

Keyframe = int | str  # number of a frame, "first" or "auto"


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """The constants of the tracker.

    All but `prompt_iou` were chosen on clips of the demo world: the similarities with
    `python -m scripts.challenge.calibrate`, the others by the scores of `python -m scripts.challenge.run`.
    docs/tracking.md shows how far apart the two sides lie.

    Attributes:
        match_iou: IoU of a detection's box with the box of a track's mask from which they match.
        prompt_iou: IoU of a box or a mask that the user gives with an object on the frame from which they are the same.
        max_coverage: share of a mask that others may cover before it shows nothing new.
        reid_similarity: cosine similarity of appearance from which a new detection is a track that was lost.
        drift_similarity: cosine similarity below which a mask has drifted onto something else.
        strong_score: detection score that confirms a track at once.
        confirm_score_sum: sum of detection scores that confirms a track. Two weak ones may be the same mistake made
            twice.
        embeddings_kept: appearance embeddings kept of a track.
        scan_interval: seconds between two detections as long as nothing has been found.
        duplicate_iou: IoU of two masks from which they are of the same pixels.
        reappeared_confidence: share of the present confidence in a mask below which an earlier mask was poor.
        patience: frames in a row for which two masks must agree to be one, or a mask must be empty to end.
        motion_span: seconds of free motion that predict where an object goes.
        motion_frames: frames that a prediction needs at least.
        encounter_timeout: seconds after which a prediction is worth nothing any more.
        separable_iou: IoU of two predicted boxes up to which each object can be seen by itself.
        free_scale: how much wider two predicted boxes may be without touching when all of both objects can be seen.
        placed_iou: IoU with the predicted box from which a mask may stay as it is.
        trim_scale: how much wider a mask is than the middle 80 % of it: 1.25 for a square, 1.46 for a disc.
        twin_similarity: cosine similarity from which two objects may be mistaken for each other.
        restart_coverage: share of a mask that the other may cover when both are prompted anew.
        appearance_margin: by how much similarities must differ to decide who is who.
        visible_share: share of a mask beside what hides the rest of it from which that part is seen.
        confidence_power: power of the confidence in a mask by which the probability of its pixels is weighted.
        scene_change_side: pixels of the longer side of the pictures that are compared for scene changes.
        refine_radius: cells of the logits within which colors tell where an outline lies: masks are off by a cell or
            so.
        refine_grid: pixels a cell of the grid on which the guided filter is solved.
        refine_epsilon: variance of colors (0..1) from which they tell: 2.5 grey levels, the noise of a fair recording.
        refine_explained: share of a mask's variance around a pixel that colors must explain to decide alone.
        refine_max_logit: logits beyond this count as equally certain.
    """

    match_iou: float = 0.4
    prompt_iou: float = 0.5
    max_coverage: float = 0.5
    reid_similarity: float = 0.8
    drift_similarity: float = 0.5
    strong_score: float = 0.6
    confirm_score_sum: float = 0.9
    embeddings_kept: int = 8
    scan_interval: float = 0.5
    duplicate_iou: float = 0.8
    reappeared_confidence: float = 0.75
    patience: int = 3
    motion_span: float = 0.5
    motion_frames: int = 4
    encounter_timeout: float = 3.0
    separable_iou: float = 0.1
    free_scale: float = 1.5
    placed_iou: float = 0.7
    trim_scale: float = 1.4
    twin_similarity: float = 0.7
    restart_coverage: float = 0.25
    appearance_margin: float = 0.3
    visible_share: float = 0.3
    confidence_power: float = 0.5
    scene_change_side: int = 256
    refine_radius: int = 2
    refine_grid: int = 4
    refine_epsilon: float = 1e-4
    refine_explained: float = 0.5
    refine_max_logit: float = 16.0

    def for_scores_from(self, lowest: float, usual: float) -> Thresholds:
        """The same for a detector that may say less: any two of its detections confirm a track.

        Args:
            lowest: score that a detection has at least.
            usual: the same where these constants hold; they do for all that is higher.
        """
        if lowest >= usual:
            return self
        strong = self.strong_score * lowest / usual
        return replace(self, strong_score=strong, confirm_score_sum=min(self.confirm_score_sum, 2 * lowest))


THRESHOLDS = Thresholds()


@dataclass(frozen=True, kw_only=True)
class TrackOptions:
    """How a clip is tracked.

    Attributes:
        keyframe: number of the frame on which objects are prompted first; "first"; or "auto": the first frame for
            prompts on the keyframe, else the first that has prompts or on which the detector finds anything.
        redetect: seconds between two detections; None for a single keyframe.
        forget_after: seconds out of view after which a track is carried no further. It can still be reidentified.
        allow_overlap: keep masks as SAM draws them; else a pixel belongs to one object at most.
        refine_edges: move the outlines of masks to edges in the picture that are near.
        start, end: part of the clip in seconds after its first frame; None for all of it.
        reserved_ids: ids that no new track gets, since others had them in an earlier run.
        thresholds: the constants of the tracker.

    Raises:
        InputError: a value that makes no sense.
    """

    keyframe: Keyframe = "auto"
    redetect: float | None = None
    forget_after: float = 30.0
    allow_overlap: bool = False
    refine_edges: bool = False
    start: float | None = None
    end: float | None = None
    reserved_ids: frozenset[int] = frozenset()
    thresholds: Thresholds = THRESHOLDS

    def __post_init__(self) -> None:
        if self.redetect is not None and not 0 < self.redetect < float("inf"):
            raise InputError(f"redetect must be a number of seconds above 0, or None; it is {self.redetect}")
        if not is_whole_number(self.keyframe) and self.keyframe not in ("first", "auto"):
            raise InputError(f'keyframe must be the number of a frame, "first" or "auto"; it is {self.keyframe!r}')
        if not self.forget_after >= 0:
            raise InputError(f"forget_after must be a number of seconds, 0 or more; it is {self.forget_after}")


def _no_prompts() -> Mapping[int, tuple[ObjectPrompt, ...]]:
    return MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class TrackPrompts:
    """What a run looks for.

    Attributes:
        phrases: what the detector looks for.
        on_keyframe: objects that the user points at on the keyframe.
        by_frame: objects that the user points at, and corrections, by frame number.

    Raises:
        InputError: there is nothing to look for.
    """

    phrases: tuple[str, ...] = ()
    on_keyframe: tuple[ObjectPrompt, ...] = ()
    by_frame: Mapping[int, tuple[ObjectPrompt, ...]] = field(default_factory=_no_prompts)

    def __post_init__(self) -> None:
        if not (self.phrases or self.on_keyframe or self.by_frame):
            raise InputError("give a text prompt, boxes, points, masks or prompts: what should be tracked?")


def is_whole_number(value: object) -> bool:
    """Whether a value is a whole number of Python or NumPy, and no truth value."""
    return not isinstance(value, bool) and isinstance(value, Integral)
