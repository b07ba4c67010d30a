"""The engine through `torch.compile`: the same masks, few compilations, and one line where it cannot be done."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from pycocotools.mask import decode

import vidseg
from tests.support import stock
from tests.support.lively import lively_network
from tests.support.standins import save_sam
from vidseg.errors import ModelError
from vidseg.io.clip import Clip
from vidseg.prompts.geometry import Box
from vidseg.sam import compiled
from vidseg.sam.compiled import Compiled
from vidseg.sam.frame import upsample
from vidseg.sam.propagator import Propagator

ROOT = Path(__file__).parents[2]
BOXES = {1: Box((60, 150, 160, 250)), 2: Box((250, 100, 400, 300)), 3: Box((400, 50, 500, 200))}
CPU = torch.device("cpu")
needs_compiler = pytest.mark.skipif(
    not shutil.which(os.environ.get("CXX", "g++")), reason="torch.compile needs a C++ compiler on a CPU"
)


@pytest.fixture
def graphs(monkeypatch):
    """The inputs of every graph that is compiled. Graphs run as they were traced, without the minutes for kernels."""
    from torch._dynamo.backends.common import aot_autograd

    traced = []
    plain = aot_autograd(fw_compiler=lambda graph, inputs: traced.append(inputs) or graph)
    monkeypatch.setattr(compiled.torch, "compile", partial(torch.compile, backend=plain))
    return traced


def park(count: int) -> list:
    """The first images of the park sample."""
    return [frame.image for frame in islice(Clip(ROOT / "samples/park.mp4").frames(), count)]


def run(engine, images, prompts, remove=(), embed=None):
    """What the engine says on every frame, of its own features or another's; objects by frame, and those that leave."""
    results = []
    for t, image in enumerate(images):
        features = (embed or engine.embed)(image)
        results += [
            part for part in (engine.step(features, t), t in prompts and engine.prompt(features, t, prompts[t])) if part
        ]
        for object_id in dict(remove).get(t, ()):
            engine.discard(object_id)
    return results


def assert_same(ours, expected, tolerance=1e-4):
    """As close as the engine is to the stock predictor: kernels round differently in float32, and now and then a memory
    becomes its neighbour in bfloat16, which moves the logits by up to 1e-4 of the largest."""
    assert [part.ids for part in ours] == [part.ids for part in expected]
    for a, b in zip(ours, expected):
        for name in ("logits", "object_scores", "pointers"):
            x, y = getattr(a, name), getattr(b, name)
            assert (x - y).abs().max() <= tolerance * y.abs().max().clamp(min=1), name


@needs_compiler
@pytest.mark.slow  # minutes on old processors; other tests compare the graphs, and real kernels of the encoder
def test_real_kernels_give_the_same_masks(tmp_path):
    """Of the step, until the bank is full and a few frames longer; the test of the command makes those of the encoder.

    One layer of memory attention, since every layer has kernels of its own.
    """
    config = OmegaConf.load(stock.SMALL)
    config.model.memory_attention.num_layers = 1
    OmegaConf.save(config, tmp_path / "config.yaml")
    network = lively_network(tmp_path / "config.yaml", seed=4)
    plain, engine = Propagator(network), Propagator(network, compile=True)
    expected, ours = (run(one, park(8), {0: {1: BOXES[1]}}, embed=plain.embed) for one in (plain, engine))
    assert_same(ours, expected)
    for a, b in zip(ours, expected):
        mask, other = (upsample(part.logits[0], 360, 640) > 0 for part in (a, b))
        assert other.any() and not other.all() and (mask ^ other).mean() < 1e-4


@needs_compiler
@pytest.mark.slow  # as above; test_fast_start holds that the command's quick start does not keep torch from compiling
def test_command_compiles_what_it_runs(tmp_path):
    """The encoder alone, for the bank does not fill: the step takes as long again to compile."""
    own_cache = {**os.environ, "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "kernels")}
    tracks = []
    for option in ((), ("--compile",)):
        path = tmp_path / f"tracks{len(option)}.jsonl"
        command = [
            "track",
            "samples/park.mp4",
            "--prompt",
            "cat",
            "--model",
            "demo",
            "--device",
            "cpu",
            "--end",
            "0.1",
            "--redetect",
            "off",
            "--no-video",
            "--tracks",
            str(path),
            *option,
        ]
        code = "from vidseg.commands.main import main; main()"
        done = subprocess.run(
            [sys.executable, "-c", code, *command],
            capture_output=True,
            text=True,
            cwd=ROOT,
            env=own_cache,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        tracks.append([json.loads(line) for line in path.read_text().splitlines()])
    assert len(tracks[0]) == len(tracks[1]) == 4
    shown = [
        [[(x["id"], x["label"], x["box"]) for x in line["objects"]] for line in lines[1:]] for lines in tracks
    ]  # below the header
    assert shown[0] == shown[1] and all(shown[0])
    masks, others = (np.array([decode(x["mask"]) for line in lines[1:] for x in line["objects"]]) for lines in tracks)
    assert masks.any() and (masks ^ others).mean() < 1e-4


def test_a_step_is_compiled_where_banks_are_full_and_for_few_sizes(graphs, quarter):
    network = lively_network(quarter, seed=4)
    images, prompts = park(12), {0: {1: BOXES[1], 2: BOXES[2]}, 3: {3: BOXES[3]}}
    expected = run(Propagator(network), images, prompts, {8: [1]}.items())
    assert not graphs
    engine = Propagator(network, compile=True)
    ours = run(engine, images[:4], {0: prompts[0]})
    assert len(graphs) == 1  # the encoder
    engine = engine.fork([])
    ours = run(engine, images, prompts, {8: [1]}.items())
    assert_same(ours, expected)
    # Full banks: two objects from frame 4 on, a third from frame 7 on, which goes alone; two are left after frame 8.
    assert len(graphs) == 3
    again = run(engine.fork([]), images, prompts, {8: [1]}.items())
    assert_same(again, expected)
    assert len(graphs) == 3


def test_clips_of_a_model_share_what_is_compiled(graphs, quarter):
    model = vidseg.load(sam=save_sam(quarter, quarter.with_suffix(".pt")), device="cpu", compile=True)
    for _ in range(2):
        engine = model.propagator()
        assert not engine.banks
        run(engine, park(5), {0: {1: BOXES[1]}})  # the bank is full on the last one
    assert len(graphs) == 2


def test_bfloat16(graphs, quarter):
    network = lively_network(quarter, seed=4)
    images, prompts = park(6), {0: {1: BOXES[1]}}
    # On all frames together: the memory carries rounding on, so the error of any one frame is a matter of chance.
    exact, usual, ours = (
        torch.stack([masks.logits for masks in run(engine, images, prompts)])
        for engine in (
            Propagator(network),
            Propagator(network, torch.bfloat16),
            Propagator(network, torch.bfloat16, compile=True),
        )
    )
    assert len(graphs) == 2 and (ours - exact).norm() <= 1.5 * (usual - exact).norm()


def test_what_cannot_be_compiled_is_one_line():
    def by_number(x):
        return (x + 1,) if bool(x.sum() > 0) else (x,)

    with pytest.raises(ModelError, match=r"the network cannot be compiled here \(.*\); leave --compile away") as caught:
        Compiled(by_number, CPU)(torch.ones(3))
    assert "\n" not in str(caught.value)


@pytest.mark.slow  # imports torch's compiler anew; the test above holds that one line is said
def test_machine_without_a_compiler(tmp_path):
    code = (
        "import torch\nfrom vidseg.sam.compiled import Compiled\n"
        "Compiled(lambda x: (x.sin() + 1,), torch.device('cpu'))(torch.ones(3))"
    )
    bare = {**os.environ, "CXX": "/nowhere/g++", "TORCHINDUCTOR_CACHE_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, env=bare, check=False)
    assert "ModelError: the network cannot be compiled here (InvalidCxxCompiler" in done.stderr.splitlines()[-1]


def test_on_cuda_each_call_is_a_step_and_its_results_are_copies(monkeypatch):
    """The graphs' memory is overwritten by the next call; banks keep what they are given."""
    static, log = torch.zeros(3), []
    monkeypatch.setattr(torch.compiler, "cudagraph_mark_step_begin", lambda: log.append("step"))
    monkeypatch.setattr(
        torch, "compile", lambda function, **options: log.append(options["mode"]) or (lambda x: (static.copy_(x),))
    )
    function = Compiled(lambda x: (x,), torch.device("cuda"))
    (first,), (second,) = function(torch.ones(3)), function(torch.full((3,), 2.0))
    assert log == ["reduce-overhead", "step", "step"] and first.tolist() == [1, 1, 1] and second.tolist() == [2, 2, 2]
