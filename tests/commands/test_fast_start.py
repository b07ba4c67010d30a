"""The quick start of the command: the same numbers, and nothing left behind in torch or transformers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from vidseg.commands.fast_start import import_transformers, without_compiler

ROOT = Path(__file__).parents[2]

USUAL = """
from vidseg.detection.grounding_dino import load_detector
from vidseg.presets import PACKAGE
detector = load_detector(PACKAGE / "demo/detector", box_threshold=0.1)
"""

QUICK = f"""
import sys
from vidseg.commands.fast_start import built_without_sympy, import_supervision, import_transformers, without_compiler
import_supervision()
with without_compiler():
    import_transformers()
    assert "transformers.models.grounding_dino.modeling_grounding_dino" in sys.modules
    before = {{name for name in sys.modules if name.startswith("transformers")}}
    with built_without_sympy():
        {USUAL.strip().replace(chr(10), chr(10) + "        ")}
late = {{name for name in sys.modules if name.startswith("transformers.models")}} - before
assert not [name for name in late if "modeling" in name or "image_processing" in name], late
"""

DETECT = """
import json
from vidseg.io.images import read_image
from vidseg.io.clip import Clip

results = []
for image, phrases in ((next(Clip("samples/park.mp4").frames()).image, ["dog", "tree"]), (read_image("samples/desk.png"), ["cup", "lamp", "clock"])):
    found = detector.detect(image, phrases)
    results.append([found.xyxy.tolist(), found.confidence.tolist(), found.data["class_name"].tolist(), detector.best_score])
print(json.dumps(results))
"""

# A transformers that works otherwise: the last thing that is needed of it is not there. All is undone, and done as usual.
FALLEN_BACK = """
import sys
sys.modules["transformers.models.swin.modeling_swin"] = None
from vidseg.commands.fast_start import import_transformers, without_compiler
with without_compiler():
    import_transformers()
assert not [name for name in sys.modules if name.split(".")[0] == "transformers" or name.startswith("torch._dynamo")]
"""

AFTER = """
left_out = [name for name in ("torch._dynamo", "torch._inductor", "torchvision", "sympy", "scipy") if name in sys.modules]
assert not left_out, f"imported after all: {left_out}"
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
assert torch.compile(lambda x: x + 1, backend="eager")(torch.ones(2)).tolist() == [2, 2]
assert torch.distributed.is_available.__module__ == "torch.distributed"
from transformers.utils import import_utils
import transformers.utils
for module in (import_utils, transformers.utils):
    assert module.is_torchvision_available() and module.is_torch_flex_attn_available.__name__ == "is_torch_flex_attn_available"
from transformers import AutoModel, GroundingDinoForObjectDetection
"""


def test_quick_start_changes_no_number_and_leaves_torch_whole():
    codes = (QUICK + DETECT + AFTER, FALLEN_BACK + USUAL + DETECT + "import torch\nassert torch._dynamo.__file__")
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
        )
        for code in codes
    ]
    quick, usual = [process.communicate() for process in processes]
    assert processes[0].returncode == 0, quick[1]
    assert processes[1].returncode == 0, usual[1]
    assert quick[0] == usual[0] and "dog" in quick[0]


def test_transformers_that_is_there_already_is_left_alone():
    import transformers  # noqa: F401

    before = {
        name: module for name, module in sys.modules.items() if name.startswith(("transformers", "torch._dynamo"))
    }
    with without_compiler():
        import_transformers()
    after = {name: module for name, module in sys.modules.items() if name.startswith(("transformers", "torch._dynamo"))}
    assert after == before
