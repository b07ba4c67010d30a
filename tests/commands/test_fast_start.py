"""The fast start of the command: the same results, and nothing left behind in torch or transformers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vidseg.commands import fast_start

ROOT = Path(__file__).parents[2]
TRACK = ("track", "samples/park.mp4", "--prompt", "cat", "--end", "0.1", "--model", "demo", "--device", "cpu")

COMMAND = """
import sys
from vidseg.commands.main import main
main(sys.argv[1:], standalone_mode=False)
costly = "torch._dynamo", "torch._inductor", "torchvision", "sympy", "scipy"
imported = [name for name in costly if name in sys.modules]
"""

LEFT_WHOLE = """
assert not imported, imported
import numpy as np
import supervision as sv
trail = sv.TraceAnnotator(smooth=True, trace_length=20)
for x in range(0, 60, 10):  # a smooth trail is drawn with scipy's splines
    one = sv.Detections(np.array([[x, x, x + 9, x + 9.0]]), class_id=np.array([0]), tracker_id=np.array([1]))
    picture = trail.annotate(np.zeros((80, 80, 3), np.uint8), one)
assert picture.any() and "scipy.interpolate" in sys.modules
import scipy.interpolate, scipy.spatial
assert scipy.interpolate.__file__ and isinstance(scipy.spatial.cKDTree, type)
import torch
assert torch.empty(2, device="meta").device.type == "meta" and torch.nn.Linear(4, 4).weight.std() > 0
assert "_dynamo" not in vars(torch)
import torch._dynamo
assert torch._dynamo.__file__ and callable(torch._dynamo.optimize) and sys.modules["torch._dynamo"] is torch._dynamo
assert torch.compile(lambda x: x + 1, backend="aot_eager")(torch.ones(2)).tolist() == [2, 2]
assert torch.distributed.is_available.__module__ == "torch.distributed"
from transformers.utils import import_utils
import transformers.utils
for module in (import_utils, transformers.utils):
    assert module.is_torchvision_available()
    assert module.is_torch_flex_attn_available.__name__ == "is_torch_flex_attn_available"
from transformers import AutoModel, GroundingDinoForObjectDetection
"""

AS_USUAL = """
assert {"torch._dynamo", "torchvision", "scipy"} <= set(imported), imported
"""


def test_the_command_writes_the_same_with_and_without(tmp_path, monkeypatch):
    written = {}
    monkeypatch.delenv("VIDSEG_FAST_START", raising=False)
    # With a release that nobody has tried it must start as usual: adapt `fast_start.py`, then extend TESTED.
    fast = LEFT_WHOLE if fast_start.is_enabled() else AS_USUAL
    for switch, then in (("1", fast), ("0", AS_USUAL)):
        folder = tmp_path / switch
        folder.mkdir()
        done = subprocess.run(
            [sys.executable, "-c", COMMAND + then, *TRACK, "--output", folder],
            env={**os.environ, "VIDSEG_FAST_START": switch},
            capture_output=True,
            text=True,
            cwd=ROOT,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        found = done.stdout.splitlines()[0]
        assert "cat" in found
        written[switch] = found, {path.name: path.read_bytes() for path in folder.iterdir()}
    assert len(written["1"][1]) == 2 and written["1"] == written["0"]


@pytest.mark.parametrize(
    "name, other, enabled",
    [
        ("torch", "2.15.9+cu130", True),
        ("torch", "2.14.1", False),
        ("torch", "2.16.0.dev1", False),
        ("transformers", "6.0.0rc1", False),
        ("supervision", "0.32.0", False),
    ],
)
def test_versions_that_are_not_tested_start_as_usual(monkeypatch, name, other, enabled):
    known = {library: ".".join(map(str, first)) for library, (first, _) in fast_start.TESTED.items()}
    monkeypatch.delenv("VIDSEG_FAST_START", raising=False)
    monkeypatch.setattr(fast_start, "version", {**known, name: other}.__getitem__)
    assert fast_start.is_enabled() is enabled
    monkeypatch.setenv("VIDSEG_FAST_START", "0")
    assert not fast_start.is_enabled()
