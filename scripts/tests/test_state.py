"""The state of a pass over a challenge clip, written down and read back after every frame: the same tracks file."""

from __future__ import annotations

import pytest

import vidseg
from scripts.challenge.clips import make
from scripts.demo_models.world.sprites import FONT
from vidseg.io.clip import Clip
from vidseg.tracking.detections import PhraseDetector
from vidseg.tracking.options import TrackOptions
from vidseg.tracking.pass_state import begin_pass
from vidseg.tracking.propagation_pass import PropagationPass
from vidseg.tracking.registry import TrackRegistry
from vidseg.tracking.state import read_state, write_state
from vidseg.tracks.file import record_of

# `tests/tracking/test_state.py` does the same on a shorter clip, in seconds.
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not FONT.exists(), reason="the emoji font is not installed")]


@pytest.mark.parametrize("family", ["twins", "cuts"])
def test_written_and_read_after_every_frame(family, tmp_path):
    model, challenge = vidseg.load("demo", device="cpu"), make(family, 0, tmp_path)
    options = TrackOptions(redetect=1.0, refine_edges=model.sharpen)
    expected = [record_of(frame) for frame in model.track(challenge.clip, challenge.prompt)]

    clip, registry = Clip(challenge.clip), TrackRegistry(thresholds=options.thresholds)
    detect = PhraseDetector(model.detector, challenge.prompt)
    state = begin_pass(registry, options, clip.info.frame_rate or 25)
    forward, found = PropagationPass(registry, model.propagator(), detect, options, state), []

    def hand_out(everything=False):
        for pending in list(forward.pop_final(everything)):
            found.append(record_of(pending.finalize(forward.registry.identities(), options)))

    for frame in clip.frames():
        forward.push(frame)
        hand_out()
        write_state(tmp_path / "state", forward, detect.best_score)
        forward = read_state(tmp_path / "state").resume(model.propagator(), detect, options)
    forward.finish()
    hand_out(everything=True)
    assert found == expected and sum(len(line["objects"]) for line in found) > len(found)
