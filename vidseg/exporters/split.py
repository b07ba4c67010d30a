"""Which frames of a data set are for training, and which for validation.

Frames of one clip look alike. If some were in both sets, validation would measure how well they are remembered.
"""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Callable, Iterator, Sequence

from vidseg.exporters.source import Source

GAP = 1.0  # s between frames for training and frames for validation of one clip
TRAIN, VAL = "train", "val"
PartOf = Callable[[float], "str | None"]  # of a frame by its time in s; None: it is left out


def split(sources: Sequence[Source]) -> list[PartOf]:
    """Split a data set into training and validation, by `val` and `seed` of the sources' selection.

    Of several clips, whole ones are for validation: about that share of all frames, and at least one clip. Tracks of
    the same clip stay together. A single clip is split by time, with a gap of GAP seconds that is left out.

    Returns:
        For each source a function that says which part a frame belongs to.
    """
    val, seed = sources[0].selection.val, sources[0].selection.seed
    clips: dict[str, list[int]] = {}  # clip → its sources
    for number, source in enumerate(sources):
        clips.setdefault(os.path.realpath(source.clip or source.tracks.path), []).append(number)
    if len(clips) == 1:
        part_of = _split_by_time(sources, val, random.Random(seed))
        return [part_of] * len(sources)
    # By name and not by path: the data may be moved
    groups = sorted(clips.values(), key=lambda numbers: sources[numbers[0]].name)
    counts = [sum(sources[number].frame_count() for number in numbers) for numbers in groups]
    chosen = {number for place in _choose(counts, val, random.Random(seed)) for number in groups[place]}
    return [_always(VAL if number in chosen else TRAIN) for number in range(len(sources))]


def _always(part: str) -> PartOf:
    return lambda time: part


def _choose(counts: Sequence[int], val: float, chance: random.Random) -> set[int]:
    """Places of the clips for validation, whose frames are about a share `val` of all, and never all."""
    order = [place for place, count in enumerate(counts) if count]
    chance.shuffle(order)
    total, taken, chosen = sum(counts), 0, set()
    for place in order:
        with_it = taken + counts[place]
        if abs(with_it - val * total) < abs(taken - val * total) and with_it < total:
            taken = with_it
            chosen.add(place)
    if not chosen and val > 0 and len(order) > 1:
        chosen.add(min(order, key=lambda place: counts[place]))
    return chosen


def _split_by_time(sources: Sequence[Source], val: float, chance: random.Random) -> PartOf:
    """Choose a block of time for validation: at an end of a short clip, anywhere in a longer one."""
    first, last = float("inf"), float("-inf")
    for time in _times(sources):
        first, last = min(first, time), max(last, time)
    usable = last - first - GAP
    if val <= 0 or not usable > 0:
        return _always(TRAIN)
    length = val * usable
    start = first + chance.random() * (last - first - length)
    before, after = start - first, last - start - length
    if min(before, after) > 2 * GAP:  # else too little is left on one side
        length = val * (usable - GAP)
    elif before < after:
        start = first
    else:
        start = last - length
    middle = start + length / 2
    nearest = min(_times(sources), key=lambda time: abs(time - middle))  # frames may be far apart
    start, end = min(start, nearest), max(start + length, nearest)

    def part_of(time: float) -> str | None:
        if start <= time <= end:
            return VAL
        return TRAIN if time <= start - GAP or time >= end + GAP else None

    return part_of


def _times(sources: Sequence[Source]) -> Iterator[float]:
    return itertools.chain.from_iterable(source.frame_times() for source in sources)
