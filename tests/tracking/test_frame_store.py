"""Frames that wait on disk."""

import os
import tempfile
from types import SimpleNamespace

import numpy as np
import pytest

from tests.tracks.test_file import HEIGHT, WIDTH, frame
from vidseg.errors import OutputError
from vidseg.tracking.frame_store import FrameStack


def test_last_in_first_out():
    frames = [frame(i, i % 4) for i in range(9)]
    with FrameStack(HEIGHT, WIDTH) as stack:
        for one in frames[::-1]:
            stack.push(one)
        for one in frames:
            back = stack.pop_at(one.time)
            assert back.index == one.index and back.detections.tracker_id.tolist() == one.detections.tracker_id.tolist()
            assert np.array_equal(back.detections.mask, one.detections.mask)
            assert back.detections.data["class_name"].tolist() == one.detections.data["class_name"].tolist()
        assert stack.pop_at(99.0) is None


def test_frames_that_were_not_tracked_have_nothing_and_leave_the_others():
    with FrameStack(HEIGHT, WIDTH) as stack:
        stack.push(frame(5, 1))
        stack.push(frame(3, 2))
        assert stack.pop_at(2 / 24) is None  # the pass ended before it came here
        assert stack.pop_at(3 / 24).index == 3
        assert stack.pop_at(4 / 24) is None
        assert stack.pop_at(6 / 24) is None  # frame 5 was passed over,
        assert stack.pop_at(5 / 24) is None  # and is gone


def test_the_file_shrinks_and_goes_away(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with FrameStack(HEIGHT, WIDTH) as stack:

        def size():
            return os.fstat(stack._file.fileno()).st_size

        for i in (3, 2, 1):
            stack.push(frame(i, 3))
        full = size()
        for i in (1, 2):
            stack.pop_at(i / 24)
        assert 0 < size() < full / 2
    assert not list(tmp_path.iterdir())


def test_full_disk_is_one_line(monkeypatch):
    def full(data):
        raise OSError(28, "No space left on device")

    with FrameStack(HEIGHT, WIDTH) as stack:
        monkeypatch.setattr(stack, "_file", SimpleNamespace(write=full, close=stack._file.close))
        with pytest.raises(
            OutputError,
            match="no room in the temporary folder .* .No space left on device.; free some space, or .* TMPDIR",
        ):
            stack.push(frame(0, 1))


def test_no_temporary_folder_is_one_line(monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    with pytest.raises(OutputError, match="no room in the temporary folder .*TMPDIR"):
        FrameStack(HEIGHT, WIDTH)
