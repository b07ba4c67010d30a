"""What crossings change: the one place where masks and memories follow the crossing resolver."""

from __future__ import annotations

from collections.abc import Sequence

from vidseg.sam.frame import FrameFeatures
from vidseg.sam.propagator import Propagator
from vidseg.tracking.crossing import CrossingResolver, Resolution
from vidseg.tracking.detections import as_box
from vidseg.tracking.pending import PendingFrame


def update_crossings(
    crossings: CrossingResolver, propagator: Propagator, pending: Sequence[PendingFrame], features: FrameFeatures
) -> None:
    """Let the crossing resolver see a frame, and do as it says.

    Args:
        crossings: of the pass.
        propagator: of the pass.
        pending: the frames that may still change; the last one is the one to see.
        features: of the last frame.
    """
    now, ids = pending[-1], set(propagator.object_ids)
    if len(ids) < 2:
        crossings.reset()  # an object that is alone is mistaken for no other
        return
    touching = crossings.observe(now, features)
    for pair in list(crossings.state.encounters):
        if pair not in crossings.state.encounters:
            continue  # it went with another one
        if crossings.close_finished(pair, touching, ids, now.time):
            continue
        resolution = crossings.resolve(pair, now, features)
        if resolution is not None:
            crossings.conclude(resolution, _carry_out(resolution, crossings, propagator, pending, features))
    crossings.begin_encounters(touching, ids, now.time)


def _carry_out(
    resolution: Resolution,
    crossings: CrossingResolver,
    propagator: Propagator,
    pending: Sequence[PendingFrame],
    features: FrameFeatures,
) -> bool:
    """Swap two tracks, or prompt them anew. Returns whether all that was to happen has happened."""
    pair, now = resolution.pair, pending[-1]
    if resolution.swap_frames:
        propagator.swap(*pair)
        for frame in pending[-resolution.swap_frames :]:
            frame.swap(*pair)
    if resolution.boxes is None:
        return True
    # Under ids that no track has. Tracks that are prompted anew lose their earlier prompts: each of these shows the
    # place where the other object is now.
    trial = PendingFrame(now.frame)
    prompts = {-1 - row: as_box(box) for row, box in enumerate(resolution.boxes)}
    trial.add(propagator.prompt(features, now.frame.index, prompts))
    accepted = crossings.accepts(resolution, trial, features)
    for prompted, internal_id in zip(prompts, pair):
        if accepted:
            propagator.transfer(prompted, internal_id, now.frame.index, keep_prompts=False)
            now.set(internal_id, trial.estimates[prompted])
        else:
            propagator.discard(prompted)
    return accepted
