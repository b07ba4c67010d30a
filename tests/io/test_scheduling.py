"""An encoder that claims the machine for itself, as SVT-AV1 does for root. For others these tests cannot fail."""

import os
from pathlib import Path

import pytest

from tests.support.clips import make_clip
from vidseg.io.clip import Clip
from vidseg.io.codecs import CODECS
from vidseg.io.writer import VideoWriter

pytestmark = pytest.mark.skipif(
    not hasattr(os, "sched_getscheduler") or not Path("/proc/self/task").is_dir(), reason="not Linux"
)


def policies() -> set[int]:
    """Of all threads of this process."""
    return {os.sched_getscheduler(int(thread)) for thread in os.listdir("/proc/self/task")}


@pytest.mark.parametrize("codec", CODECS)
def test_encoders_run_like_everything_else(tmp_path, codec):
    clip = Clip(make_clip(tmp_path / "in.mp4", [512 * i for i in range(4)], size=(64, 64)))
    assert policies() == {os.SCHED_OTHER}
    with VideoWriter(tmp_path / "out.mkv", clip.info, codec=CODECS[codec]) as writer:
        for frame in clip.frames():
            writer.write(frame.image, frame.pts)
            assert policies() == {os.SCHED_OTHER}
    assert policies() == {os.SCHED_OTHER}
