"""Loading checkpoints, and what a model refuses."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

import vidseg
from tests.support import stock
from tests.support.clips import make_clip
from tests.support.standins import save_grounding_dino, save_sam
from vidseg.device import is_bfloat16_faster
from vidseg.errors import InputError, ModelError
from vidseg.io.clip import Clip
from vidseg.presets import PACKAGE
from vidseg.prompts.geometry import Box

SIZE = (160, 120)
BOX = [40, 30, 110, 90]


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """Four frames."""
    return make_clip(tmp_path_factory.mktemp("clip") / "a.mp4", [0, 512, 1024, 1536], size=SIZE)


@pytest.fixture(scope="module")
def sam(tmp_path_factory):
    """A user's own SAM checkpoint: small, random, with its config beside it."""
    folder = tmp_path_factory.mktemp("sam")
    (folder / "mine.yaml").write_text(stock.SMALL.read_text())
    return save_sam(stock.SMALL, folder / "mine.pt")


@pytest.fixture(scope="module")
def alone(sam):
    return vidseg.load(sam=sam, device="cpu")


def test_demo_runs_on_the_cpu(clip):
    model = vidseg.load("demo", device="cpu")
    assert (model.device, model.dtype) == ("cpu", "float32")
    assert model.names == {"sam": "demo/sam", "detector": "demo/detector"}
    frames = list(model.track(clip, prompt="dog"))
    assert [frame.index for frame in frames] == [0, 1, 2, 3]
    assert "detector" in vars(model)  # loaded with the first prompt, and kept
    assert model.detector is model.detector


def test_auto_picks_what_there_is():
    assert vidseg.load("demo").device == (
        "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    )


@pytest.mark.parametrize(
    "gains, side, dtype", [(True, 320, "float32"), (False, 1024, "float32"), (True, 1024, "bfloat16")]
)
def test_auto_dtype_is_bfloat16_where_that_pays(monkeypatch, gains, side, dtype):
    """The demo network spends its time elsewhere than in matrix products; the full-size ones gain."""
    import vidseg.sam.build

    class Network:
        image_size = side

    monkeypatch.setattr(vidseg.sam.build, "build_sam", lambda path, device: Network())
    monkeypatch.setattr("vidseg.model.is_bfloat16_faster", lambda device: gains)
    assert vidseg.load("demo", device="cpu").dtype == dtype
    assert vidseg.load("demo", device="cpu", dtype="bfloat16").dtype == "bfloat16"


def test_gain_from_bfloat16_is_measured_on_the_processor():
    assert is_bfloat16_faster("cpu") in (True, False) and is_bfloat16_faster("mps") is False


@pytest.mark.parametrize(
    "times, gains, sides",
    [
        ({128: (1, 15)}, False, [128]),  # emulated: a larger product would keep the user waiting for seconds
        ({128: (1, 2), 768: (100, 40)}, True, [128, 768]),
        ({128: (1, 2), 768: (100, 80)}, False, [128, 768]),
    ],
)
def test_gain_from_bfloat16_is_found_out_quickly(monkeypatch, times, gains, sides):
    asked = []
    monkeypatch.setattr("vidseg.device.time_matmuls", lambda side: asked.append(side) or times[side])
    assert is_bfloat16_faster("cpu") is gains and asked == sides


def test_bfloat16_runs(sam, clip):
    """Whatever random weights see: both see the same."""
    logits = []
    for dtype in ("float32", "bfloat16"):
        model = vidseg.load(sam=sam, device="cpu", dtype=dtype)
        assert model.dtype == dtype and len(list(model.track(clip, boxes=[BOX], end=0.05))) == 2
        engine, frame = model.propagator(), next(iter(Clip(clip).frames()))
        logits.append(engine.prompt(engine.embed(frame.image), 0, {1: Box((40, 30, 110, 90))}).logits)
    exact, rough = logits
    assert 0 < (exact - rough).abs().max() < 0.1 * exact.abs().max()


def test_sam_alone_takes_boxes(alone, sam, clip):
    assert alone.names == {"sam": str(sam), "detector": None}
    frames = list(alone.track(clip, boxes=[BOX, (1, 2, 50, 60)]))
    assert [frame.index for frame in frames] == [0, 1, 2, 3]
    assert frames[0].detections.tracker_id.tolist() == [1, 2]
    assert frames[0].detections.mask.shape == (2, SIZE[1], SIZE[0]) and frames[0].image.shape == (SIZE[1], SIZE[0], 3)
    assert list(frames[0].detections.data["class_name"]) == ["object", "object"]


def test_sam_alone_has_no_text_prompt(alone, clip):
    with pytest.raises(ModelError, match="a text prompt needs a detector: .*detector=.*boxes") as caught:
        alone.track(clip, prompt="dog")
    assert "\n" not in str(caught.value)


def test_users_own_pair(sam, tmp_path, clip):
    folder = save_grounding_dino(tmp_path / "dino")
    model = vidseg.load(sam=sam, detector=folder, device="cpu")
    assert model.names == {"sam": str(sam), "detector": str(folder)}
    found = model.detector.detect(np.zeros((120, 160, 3), np.uint8), ["dog", "Red Ball"])
    assert len(found) and set(found.data["class_name"]) <= {"dog", "Red Ball"}
    words = model.detector.processor.tokenizer
    assert (
        words("A red dog. why?", add_special_tokens=False)["input_ids"][-1] == 1029
        and words.decode(words("dog.")["input_ids"]) == "[CLS] dog. [SEP]"
    )
    frames = list(model.track(clip, prompt="Red Ball", end=0.05))
    assert len(frames) == 2 and set(frames[0].detections.data["class_name"]) == {"Red Ball"}


def test_part_of_a_preset_can_be_replaced(sam):
    model = vidseg.load("demo", sam=sam, device="cpu")
    assert model.names == {"sam": str(sam), "detector": "demo/detector"}


# -- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"device": "tpu"}, "no device is called 'tpu'; there are auto, cpu, cuda, mps"),
        ({"device": ""}, "no device is called ''"),
        ({"device": "cpu:first"}, "no device is called 'cpu:first'"),
        ({"device": "cuda:99"}, "no cuda device|no cuda:99"),
        ({"device": "cpu", "dtype": "float16"}, "no dtype is called 'float16'; there are auto, float32, bfloat16"),
        ({"preset": "huge"}, "no preset is called 'huge'"),
        ({"detector": "/nowhere/dino"}, "/nowhere/dino: no such checkpoint"),
        ({"sam": "/nowhere/sam.pt"}, "/nowhere/sam.pt: no such checkpoint"),
    ],
)
def test_load_refuses_in_one_line(options, says):
    with pytest.raises(ModelError, match=says) as caught:
        vidseg.load(**{"preset": "demo", **options})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("device", ["cuda", "cuda:0"])
def test_device_that_is_not_there(device, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ModelError, match="no cuda device that torch can use; try --device cpu"):
        vidseg.load("demo", device=device)


def test_folder_that_is_no_detector_is_refused_before_the_clip_is_read(sam, tmp_path, clip):
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    model = vidseg.load(sam=sam, detector=tmp_path, device="cpu")
    with pytest.raises(ModelError, match="'bert'"):
        model.track(clip, prompt="dog")


def test_nothing_to_track(alone, clip):
    for nothing in ({}, {"boxes": None, "prompts": {}}, {"prompts": {"keyframe": []}}):
        with pytest.raises(InputError, match="what should be tracked"):
            alone.track(clip, **nothing)


@pytest.mark.parametrize("prompts", [{"first": []}, {-1: []}, {1.5: []}, {True: []}], ids=str)
def test_frames_of_prompts_are_numbers(alone, clip, prompts):
    with pytest.raises(InputError, match="by the number of their frame"):
        alone.track(clip, boxes=[BOX], prompts=prompts)


@pytest.mark.parametrize("prompt", ["", " . ,", [], "!"])
def test_prompt_without_a_word(clip, prompt):
    with pytest.raises(InputError, match="names nothing"):
        vidseg.load("demo", device="cpu").track(clip, prompt=prompt)


@pytest.mark.parametrize(
    "options",
    [
        {"redetect": 0},
        {"redetect": -1},
        {"redetect": float("nan")},
        {"redetect": float("inf")},
        {"forget_after": -1},
        {"forget_after": float("nan")},
    ],
    ids=str,
)
def test_bad_intervals(alone, clip, options):
    (name,) = options
    with pytest.raises(InputError, match=name):
        alone.track(clip, boxes=[BOX], **options)


@pytest.mark.parametrize(
    "boxes",
    [
        [],
        [[]],
        BOX,
        [[1, 2, 3]],
        [[1, 2, 3, 4, 5]],
        [[10, 10, 10, 20]],
        [[10, 10, 20, 10]],
        [[20, 20, 10, 10]],
        [BOX, [1, 2]],
        [[0, 0, float("nan"), 10]],
        [[0, 0, float("inf"), 10]],
        [["left", "top", "right", "bottom"]],
        [[BOX]],
        7,
        [[None] * 4],
    ],
)
def test_bad_boxes(alone, clip, boxes):
    with pytest.raises(InputError, match=r"boxes must be \[\[x1, y1, x2, y2\], …\]"):
        alone.track(clip, boxes=boxes)


def test_clip_that_cannot_be_read_is_refused_at_once(alone, tmp_path):
    with pytest.raises(InputError, match="no such file"):
        alone.track(tmp_path / "none.mp4", boxes=[BOX])


# -- importing -------------------------------------------------------------------------------------------------------


def python(code: str) -> str:
    """What `code` prints in a process of its own."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=PACKAGE.parent, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_is_light():
    heavy = python(
        "import sys, vidseg, vidseg.commands.main, vidseg.errors\n"
        "heavy = 'torch', 'transformers', 'cv2', 'numpy', 'av', 'supervision', 'sam2', 'huggingface_hub', 'rich'\n"
        "print(*[name for name in heavy if name in sys.modules])"
    )
    assert heavy.split() == []


def test_public_names():
    assert (
        python(
            "import vidseg; print(*[name for name in vidseg.__all__ if getattr(vidseg, name, None) is None])"
        ).split()
        == []
    )
    assert set(vidseg.__all__) == set(dir(vidseg)) and {"load", "render", "read_tracks", "TrackedFrame"} <= set(
        vidseg.__all__
    )
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = vidseg.nothing


@pytest.mark.parametrize(
    "first",
    [
        "",
        "import vidseg.rendering.render",
        "from vidseg.rendering.render import draw",
        "import vidseg.commands.main, vidseg.rendering.render",
    ],
)
def test_render_is_the_function_whatever_was_imported(first):
    out = python(
        f"{first}\nimport vidseg\nfrom vidseg import render\n"
        "print(callable(vidseg.render), render is vidseg.render, render.__module__)"
    )
    assert out.split() == ["True", "True", "vidseg.rendering.render"]
