"""The state of a pass, written down and read back after every frame: the same result, to the bit."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.sprites import RATE, film, sand, sky
from vidseg.errors import InputError
from vidseg.io.clip import Clip
from vidseg.prompts.geometry import Box, MaskPrompt, Points
from vidseg.prompts.object_prompt import ObjectPrompt
from vidseg.tracking.detections import PhraseDetector
from vidseg.tracking.options import TrackOptions
from vidseg.tracking.pass_state import begin_pass
from vidseg.tracking.propagation_pass import PropagationPass
from vidseg.tracking.registry import TrackRegistry
from vidseg.tracking.state import read_state, write_state
from vidseg.tracks.file import record_of

FRAMES, CUT = 44, 34
OPTIONS = TrackOptions(keyframe="first", redetect=0.5, refine_edges=True)


@pytest.fixture(scope="module")
def clip(tmp_path_factory, sprites):
    """Twins that pass each other, a ball that comes in, and a scene change."""

    def places(t):
        if t >= CUT:
            return {"cat": (440, 200)}
        twins = {"left": (185 + 8 * t, 170), "right": (455 - 8 * t, 182)}
        return twins | ({"ball": (700 - 12 * (t - 8), 300)} if t >= 8 else {})

    actors = {"left": sprites["dog"], "right": sprites["dog"], "ball": sprites["ball"], "cat": sprites["cat"]}
    film(
        path := tmp_path_factory.mktemp("clip") / "clip.mp4",
        actors,
        FRAMES,
        places,
        lambda t: sand() if t >= CUT else sky(),
    )
    return Clip(path)


def begin(demo, clip):
    mask = np.zeros((clip.info.height, clip.info.width), bool)
    mask[280:300, 300:330] = True
    prompts = {
        3: (ObjectPrompt(9, Box((20.0, 20.0, 60.0, 60.0)), "corner"),),
        20: (ObjectPrompt(12, MaskPrompt(mask)),),
        38: (ObjectPrompt(15, Points(((440.0, 200.0),), (1,))),),  # on the cat
    }
    registry = TrackRegistry({9: "corner", 12: None, 15: None}, {2}, OPTIONS.thresholds, open_ids={15})
    detect = PhraseDetector(demo.detector, ["dog", "cat", "ball"])
    state = begin_pass(registry, OPTIONS, RATE, prompts=prompts)
    return PropagationPass(registry, demo.propagator(), detect, OPTIONS, state), detect


def lines_of(forward, pending):
    """What a tracks file would have for frames that are final."""
    return [record_of(one.finalize(forward.registry.identities(), OPTIONS)) for one in pending]


def tracked(demo, clip, between=lambda forward, detect: forward):
    """All frames as records; `between` is what becomes of the pass after each frame."""
    forward, detect = begin(demo, clip)
    lines = []
    for frame in clip.frames():
        forward.push(frame)
        lines += lines_of(forward, list(forward.pop_final()))
        forward = between(forward, detect)
    forward.finish()
    return lines + lines_of(forward, list(forward.pop_final(everything=True))), forward


def test_written_and_read_after_every_frame(demo, clip, tmp_path):
    sizes, seen = [], set()

    def through_a_file(forward, detect):
        write_state(tmp_path / "state", forward, detect.best_score)
        sizes.append((tmp_path / "state").stat().st_size)
        seen.update(name for name in ("free", "encounters") if getattr(forward.state.crossings, name))
        state = read_state(tmp_path / "state")
        assert state.best_score == detect.best_score
        return state.resume(demo.propagator(), detect, OPTIONS)

    expected, whole = tracked(demo, clip)
    found, resumed = tracked(demo, clip, through_a_file)
    assert [line["frame"] for line in expected] == list(range(FRAMES))
    assert found == expected
    for what in ("labels", "frames_visible", "keyframe", "next_internal_id", "prompted", "kept_ids"):
        assert getattr(resumed.registry.state, what) == getattr(whole.registry.state, what)
    state = whole.registry.state
    assert state.tracks[state.prompted[15]].label == "cat" and 15 not in state.labels
    assert {"free", "encounters"} <= seen  # or the clip would show too little
    assert len(whole.registry.state.labels) >= 4 and any(len(line["objects"]) >= 3 for line in expected)
    assert max(sizes[FRAMES // 2 :]) < 2 * max(sizes[: FRAMES // 2])  # it does not grow with the clip


@pytest.mark.parametrize("content", [b"", b"no state", b"\x08\x00\x00\x00\x00\x00\x00\x00{}      "], ids=len)
def test_a_file_that_is_no_state(tmp_path, content):
    (tmp_path / "state").write_bytes(content)
    with pytest.raises(InputError, match="no state of a tracker"):
        read_state(tmp_path / "state")


def test_memory_banks_alone_are_no_state(demo, tmp_path):
    demo.propagator().save(tmp_path / "banks")
    with pytest.raises(InputError, match="some other safetensors file"):
        read_state(tmp_path / "banks")


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match="no state of a tracker"):
        read_state(tmp_path / "state")
