"""The tracks of a run: what is known of each, and the ids by which users know them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from types import MappingProxyType
from typing import TYPE_CHECKING

from vidseg.tracking.options import THRESHOLDS, Thresholds

if TYPE_CHECKING:
    from torch import Tensor


@dataclass
class Track:
    """What is known of one object.

    Attributes:
        first_frame: number of the frame on which it was found (its first visible frame may lie before).
        score_sum: sum of its detection scores, one for each detection run that found it.
        label_scores: sum of detection scores for every label, also of those that call it something else.
        embeddings: unit vectors [C] of its appearance, the latest last.
        user_prompted: the user has pointed at it: no detection replaces its mask, and of two tracks on the same pixels
            it stays.
        corrected_from: number of the frame on which the user first pointed at it, if it was found by a detection.
        track_id: what users know it by; None as long as it is tentative, that is until its detection scores are enough.
    """

    first_frame: int
    score_sum: float = 0.0
    label_scores: dict[str, float] = field(default_factory=dict)
    embeddings: deque[Tensor] = field(default_factory=deque)
    user_prompted: bool = False
    corrected_from: int | None = None
    track_id: int | None = None

    @property
    def confirmed(self) -> bool:
        """Whether it has a track id."""
        return self.track_id is not None

    @property
    def label(self) -> str:
        """The label with the highest score: another one takes over when more speaks for it than for the first."""
        return max(self.label_scores, key=lambda label: self.label_scores[label], default="object")


@dataclass(frozen=True)
class Identity:
    """How users know a track: its id, its label, and whether they pointed at it."""

    track_id: int
    label: str
    user_prompted: bool = False


@dataclass
class RegistryState:
    """What a registry holds.

    Attributes:
        tracks: all tracks so far, in view or not, by internal id.
        labels: label of every confirmed track, by track id.
        frames_visible: number of frames on which each was visible, by track id.
        keyframe: number of the frame the first track was found on; None as long as there is none.
        next_internal_id: the next one that `reserve` gives out.
        user_labels: ids that the user gives to objects, and what each is called (None: nothing yet).
        kept_ids: those of them that no detection's track gets, until the user points at the object.
        prompted: internal id of the track that each id of the user's turned out to mean.
        ignored: ids of the user's whose clicks said what does not belong to an object, and lay on none.
        reserved_ids: track ids that no new track gets.
    """

    tracks: dict[int, Track] = field(default_factory=dict)
    labels: dict[int, str] = field(default_factory=dict)
    frames_visible: dict[int, int] = field(default_factory=dict)
    keyframe: int | None = None
    next_internal_id: int = 1
    user_labels: dict[int, str | None] = field(default_factory=dict)
    kept_ids: set[int] = field(default_factory=set)
    prompted: dict[int, int] = field(default_factory=dict)
    ignored: set[int] = field(default_factory=set)
    reserved_ids: frozenset[int] = frozenset()


class TrackRegistry:
    """The only writer of tracks.

    Inside, tracks go by internal ids, which every detection that prompts a mask gets. Users see track ids, which only
    confirmed tracks have: false alarms leave no gaps.

    Args:
        user_labels: ids that the user gives to objects, and what each is called (None: nothing yet).
        reserved_ids: track ids that no new track gets, since others had them before.
        thresholds: the constants of the tracker.
        state: of an earlier registry, to go on with.
        open_ids: those of the user's ids that are not kept free: their prompts may correct what a detection found.

    Attributes:
        state: all that it knows. For reading, and for writing it down.
    """

    def __init__(
        self,
        user_labels: Mapping[int, str | None] | None = None,
        reserved_ids: Iterable[int] = (),
        thresholds: Thresholds = THRESHOLDS,
        state: RegistryState | None = None,
        open_ids: Iterable[int] = (),
    ):
        self.thresholds = thresholds
        labels = dict(user_labels or {})
        self.state = state or RegistryState(
            user_labels=labels, kept_ids=set(labels).difference(open_ids), reserved_ids=frozenset(reserved_ids)
        )

    @property
    def tracks(self) -> Mapping[int, Track]:
        """All tracks by internal id, to read."""
        return MappingProxyType(self.state.tracks)

    def copy(self) -> TrackRegistry:
        """A registry of its own with the same tracks, to try out what would become of them."""
        tracks = {
            i: replace(track, label_scores=dict(track.label_scores), embeddings=track.embeddings.copy())
            for i, track in self.state.tracks.items()
        }
        state = replace(
            self.state, tracks=tracks, labels=dict(self.state.labels), frames_visible=dict(self.state.frames_visible)
        )
        return TrackRegistry(thresholds=self.thresholds, state=state)

    # -- reading -------------------------------------------------------------------------------------------------------

    def tentative(self) -> set[int]:
        """Internal ids of tracks that wait for their second detection."""
        return {i for i, track in self.tracks.items() if not track.confirmed}

    def identities(self, frame: int | None = None) -> dict[int, Identity]:
        """How users know each confirmed track, by internal id.

        Args:
            frame: number of a frame: a correction says nothing about the frames before it. None: any.
        """

        def by_user(track: Track) -> bool:
            return track.user_prompted and (frame is None or frame >= (track.corrected_from or 0))

        return {
            i: Identity(track.track_id, track.label, by_user(track))
            for i, track in self.tracks.items()
            if track.track_id is not None
        }

    def renumbered(self) -> dict[int, int]:
        """Track ids of the objects that the user began under another id, which was taken, by that id."""
        begun: dict[int, int] = {}  # the user's first id of each object
        for user_id, internal_id in self.state.prompted.items():
            begun.setdefault(internal_id, user_id)
        tracks = {user_id: self.tracks[internal_id] for internal_id, user_id in begun.items()}
        return {
            user_id: track.track_id
            for user_id, track in tracks.items()
            if track.track_id not in (None, user_id) and track.corrected_from is None
        }

    # -- writing -------------------------------------------------------------------------------------------------------

    def reserve(self, number: int) -> range:
        """Internal ids that no track had before."""
        first = self.state.next_internal_id
        self.state.next_internal_id += number
        return range(first, first + number)

    def create(self, internal_id: int, first_frame: int, label: str, score: float) -> None:
        """Begin a tentative track."""
        self.state.tracks[internal_id] = Track(first_frame, score, {label: score})

    def prompt(self, user_id: int, frame: int, corrects: int | None = None) -> int:
        """Note that the user points at an object.

        Args:
            user_id: the user's id of it. A new one's track gets it as its track id, if that is still free.
            frame: number of the frame; a new object's track begins on it.
            corrects: internal id of the track that the user means, if it is the first prompt with this id; None: that
                of another object.

        Returns:
            The internal id of its track.
        """
        internal_id = self.state.prompted.get(user_id, corrects)
        self.state.kept_ids.discard(user_id)
        if internal_id is None:
            (internal_id,) = self.reserve(1)
            track = Track(frame, score_sum=self.thresholds.confirm_score_sum)
            self.state.tracks[internal_id] = track
            self._name(track, user_id if user_id not in self.state.labels else self._free_id(self.state.user_labels))
        self.state.prompted[user_id] = internal_id
        track = self.state.tracks[internal_id]
        self.confirm(internal_id)
        if not track.user_prompted and corrects is not None:
            track.corrected_from = frame
        track.user_prompted = True
        track.embeddings.clear()  # a correction may have moved it to something else
        label = self.state.user_labels[user_id]
        if label is not None and track.track_id is not None:
            known = track.label_scores if track.corrected_from is not None else {}
            track.label_scores = known | {label: float("inf")}  # no detector renames it
            self.state.labels[track.track_id] = label
        return internal_id

    def release(self, user_ids: Iterable[int]) -> None:
        """Keep ids of the user's no longer free: they mean objects that have other ids."""
        self.state.kept_ids.difference_update(user_ids)

    def ignore(self, user_ids: Iterable[int]) -> None:
        """Note that the clicks with these ids of the user's were not used."""
        self.state.ignored.update(user_ids)
        self.release(user_ids)

    def add_label(self, internal_id: int, label: str, score: float) -> None:
        """Count a detection as evidence for a label, not for the object being there."""
        track = self.state.tracks[internal_id]
        track.label_scores[label] = track.label_scores.get(label, 0.0) + score
        if track.track_id is not None:
            self.state.labels[track.track_id] = track.label

    def add_detection(self, internal_id: int, label: str, score: float) -> None:
        """Count one more detection of a track; enough of them, by the sum of their scores, confirm it."""
        track = self.state.tracks[internal_id]
        track.score_sum += score
        self.add_label(internal_id, label, score)
        if track.score_sum >= self.thresholds.confirm_score_sum:
            self.confirm(internal_id)

    def add_embedding(self, internal_id: int, embedding: Tensor) -> None:
        """Remember how a track looked on a frame."""
        embeddings = self.state.tracks[internal_id].embeddings
        embeddings.append(embedding)
        while len(embeddings) > self.thresholds.embeddings_kept:
            embeddings.popleft()

    def confirm(self, internal_id: int) -> None:
        """Give a tentative track the next free track id."""
        track = self.state.tracks[internal_id]
        if track.confirmed:
            return
        self._name(track, self._free_id())

    def discard(self, internal_id: int) -> None:
        """Forget a track that turned out to be a false alarm."""
        del self.state.tracks[internal_id]

    def count_visible(self, track_ids: Iterable[int]) -> None:
        """Count one more frame for each track that is visible on it."""
        for track_id in track_ids:
            self.state.frames_visible[track_id] += 1

    def _free_id(self, besides: Iterable[int] = ()) -> int:
        """The lowest track id that no track has or is to have; `besides` are not free either."""
        taken = {*self.state.labels, *self.state.kept_ids, *self.state.reserved_ids, *besides}
        return next(number for number in count(1) if number not in taken)

    def _name(self, track: Track, track_id: int) -> None:
        track.track_id = track_id
        self.state.labels[track_id], self.state.frames_visible[track_id] = track.label, 0
        if self.state.keyframe is None:
            self.state.keyframe = track.first_frame
