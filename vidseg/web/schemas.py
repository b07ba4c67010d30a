"""What requests and answers look like."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from vidseg.web import limits

Number = Annotated[float, Field(allow_inf_nan=False, ge=-1e6, le=1e6)]
Id = Annotated[int, Field(ge=1, le=100_000)]
Label = Annotated[str, Field(min_length=1, max_length=200)]
Text = Annotated[str, Field(max_length=2000, description='Phrases separated by dots, commas or lines: "chair. lamp".')]


Threshold = Annotated[
    float | None,
    Field(ge=0, le=1, allow_inf_nan=False, description="Score that the text needs to be found; null: the server's."),
]


class Strict(BaseModel):
    """No field may come that is not named."""

    model_config = ConfigDict(extra="forbid")


class Mask(Strict):
    """A mask as COCO's compressed run lengths, column by column."""

    size: Annotated[
        list[Annotated[int, Field(ge=1, le=limits.PIXELS)]],
        Field(min_length=2, max_length=2, description="height, width"),
    ]
    counts: Annotated[str, Field(max_length=20_000_000)]

    @field_validator("size")
    @classmethod
    def small_enough(cls, size: list[int]) -> list[int]:
        """ValueError for a mask of more pixels than a picture may have."""
        if size[0] * size[1] > limits.PIXELS:
            raise ValueError(f"a mask has {limits.PIXELS:,} pixels at most")
        return size


class Prompt(Strict):
    """One object that the visitor points at: a box, clicks, both, or a mask. Pixels; x to the right, y down.

    A prompt that lies on an object corrects that object, which keeps its id.
    """

    id: Id
    label: Label | None = None
    box: Annotated[list[Number], Field(min_length=4, max_length=4, description="x1, y1, x2, y2")] | None = None
    points: (
        Annotated[list[Annotated[list[Number], Field(min_length=2, max_length=2)]], Field(min_length=1, max_length=500)]
        | None
    ) = None
    point_labels: Annotated[list[int], Field(description="1: on the object, 0: not on it")] | None = None
    mask: Mask | None = None
    new: Annotated[bool, Field(description="It is another object, even where it lies on one.")] = False


class Object(Strict):
    """One object on one frame. score: SAM's guess of the mask's IoU."""

    id: Id
    label: Label
    score: Number
    box: Annotated[list[Number], Field(min_length=4, max_length=4)]
    mask: Mask


class SegmentRequest(Strict):
    """What to outline on one frame."""

    frame: Annotated[int, Field(ge=0)] = 0
    text: Text | None = None
    prompts: Annotated[list[Prompt], Field(max_length=200)] = []
    first_id: Annotated[Id, Field(description="Id of the first object that the text finds.")] = 1
    box_threshold: Threshold = None


class SegmentAnswer(BaseModel):
    """best_score: of the detector, also below its threshold. best_scores: the same for each phrase of the text.

    seconds: how long the model worked.
    """

    objects: list[Object]
    best_score: float
    best_scores: dict[str, float] = {}
    seconds: float


FrameNumber = Annotated[str, Field(pattern=r"^(0|[1-9][0-9]{0,6})$")]  # one way to write each


class TrackRequest(Strict):
    """What to follow through a clip. What was tracked in it before stays, apart from objects with new prompts."""

    text: Text | None = None
    prompts: Annotated[dict[FrameNumber, list[Prompt]], Field(max_length=200)] = Field(
        default={}, description="By number of the frame."
    )
    from_frame: (
        Annotated[int, Field(ge=0, description="Change nothing before this frame, which must have been tracked.")]
        | None
    ) = None
    without: Annotated[
        list[Id], Field(max_length=10_000, description="Objects that end at from_frame; without that, they go.")
    ] = []
    anew: Annotated[bool, Field(description="Throw away what was tracked before.")] = False
    box_threshold: Threshold = None


class Drawing(Strict):
    """How to draw the overlay of a clip: options of `vidseg render`, with the same defaults."""

    style: Annotated[list[Annotated[str, Field(max_length=40)]], Field(max_length=20)] | None = None
    color_by: Literal["id", "label"] = "id"
    opacity: Annotated[float, Field(ge=0, le=1)] | None = None
    background: Annotated[str, Field(pattern=r"^(#[0-9a-fA-F]{6}|[a-zA-Z]{3,30})$", description="A colour.")] | None = (
        None
    )
    side_by_side: bool = False
    background_image: (
        Annotated[str, Field(max_length=40, description="A picture of this session in place of a colour: its `media`.")]
        | None
    ) = None
    height: Annotated[int, Field(ge=16, le=4320)] | None = None
    file: Literal["mp4", "webm", "gif", "png"] = "mp4"
    codec: Literal["h264", "h265", "vp9", "av1"] | None = None
    crf: Annotated[int, Field(ge=0, le=63, description="The lower the better.")] | None = None
    frame: Annotated[int, Field(ge=0, le=10**7, description="Only this one, with the file png.")] | None = None


class Sampling(Strict):
    """What to export of a clip: options of `vidseg export`."""

    every: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    min_score: Annotated[float, Field(ge=0, le=1)] = 0.0
    images: bool = False


class ResultRequest(Strict):
    """A file to make.

    kind: overlay, tracks, masks, cutout, for clips also matte and sheet, or an export format.
    objects: for an image, all that the result should have. labels, without: for a clip, new labels and deleted objects,
    by id. drawing: of an overlay. sampling: of an export.
    """

    kind: Annotated[str, Field(max_length=40)]
    objects: Annotated[list[Object], Field(max_length=1000)] | None = None
    labels: Annotated[dict[Id, Label], Field(max_length=1000)] = {}
    without: Annotated[list[Id], Field(max_length=10_000)] = []
    drawing: Drawing = Drawing()
    sampling: Sampling = Sampling()


class SessionAnswer(BaseModel):
    """A session that has begun."""

    session: str


class JobStarted(BaseModel):
    """A job that has begun."""

    job: str


class JobAnswer(BaseModel):
    """How far a job is."""

    job: str
    kind: str
    state: Annotated[str, Field(description="queued, running, done, failed or cancelled")]
    done: int
    total: int | None
    frames_per_second: float | None
    seconds_left: float | None
    doing: str
    detail: str | None
    notes: Annotated[list[str], Field(description="Parts of `detail`: words that found nothing, damage.")] = []
    file: str | None


class MediaAnswer(BaseModel):
    """A picture or a clip of the session."""

    media: str
    kind: str
    name: str
    width: int
    height: int
    frame_count: int | None
    frame_rate: float
    duration: float | None
