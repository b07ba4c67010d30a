"""The engine against the stock predictor, on the same tensors: logits, object scores and pointers, frame by frame."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.support import stock
from tests.support.lively import lively_network, moving_frames, park_frames
from vidseg.prompts.geometry import Box, MaskPrompt, Points
from vidseg.sam.build import build_sam
from vidseg.sam.memory import MAX_CONDITIONING, Memory, MemoryBank
from vidseg.sam.propagator import Propagator
from vidseg.tracks.file import read_tracks

SAMPLES = Path(__file__).parents[2] / "samples"
HEIGHT, WIDTH, FRAMES = 120, 200, 24
TOLERANCE = 1e-4

pytestmark = pytest.mark.usefixtures("encoded_once")


@pytest.fixture(scope="module")
def pair(quarter):
    network = lively_network(quarter, seed=4)
    return network, stock.stock_predictor(quarter, network.state_dict())


def assert_same(ours, i: int, reference: dict, where: str) -> None:
    expected = reference["pred_masks"][0, 0]
    scale = expected.abs().max()
    assert (ours.logits[i] - expected).abs().max() / scale <= TOLERANCE, where
    assert torch.allclose(
        ours.object_scores[i], reference["object_score_logits"][0, 0], atol=TOLERANCE, rtol=TOLERANCE
    ), where
    pointer = reference["obj_ptr"][0]
    assert (ours.pointers[i] - pointer).abs().max() / pointer.abs().max() <= TOLERANCE, where


def click(x, y, label=1):
    return Points(((x, y),), (label,))


def ellipse(x, y, a, b):
    ys, xs = np.mgrid[:HEIGHT, :WIDTH]
    return ((xs - x) / a) ** 2 + ((ys - y) / b) ** 2 <= 1


PROMPTS = {
    "box": Box((40, 30, 110, 90)),
    "one click": click(90, 60),
    "four clicks": Points(((90, 60), (70, 50), (10, 10), (150, 100)), (1, 1, 0, 0)),
    "box and click": Box((40, 30, 110, 90), click(60, 60, 0)),
    "mask": MaskPrompt(ellipse(90, 60, 40, 25)),
}


@dataclass
class Case:
    """Both networks, a clip for them, and what to point at in it."""

    network: object
    predictor: object
    frames: torch.Tensor
    height: int
    width: int
    arrivals: dict  # object id: its first frame and its prompt
    clicks: tuple  # a first click, and its correction


@pytest.fixture(scope="module", params=["random weights", pytest.param("demo weights", marks=pytest.mark.slow)])
def case(request):
    """Drifting noise for random weights; the park sample and its objects for the trained ones."""
    if request.param == "random weights":
        arrivals = {
            1: (0, PROMPTS["box"]),
            2: (0, click(150, 40)),
            3: (3, PROMPTS["mask"]),
            4: (9, Box((10, 20, 60, 100))),
        }
        network = lively_network(stock.SMALL, seed=4)
        predictor = stock.stock_predictor(stock.SMALL, network.state_dict())
        clicks = click(90, 60), Points(((100, 70), (20, 20)), (1, 0))
        return Case(network, predictor, moving_frames(network.image_size), HEIGHT, WIDTH, arrivals, clicks)
    network = build_sam(stock.SMALL.parent)
    truth = [frame.detections for frame in islice(read_tracks(SAMPLES / "park.truth.jsonl"), FRAMES)]
    dog, _, other_dog, cat, ball = range(5)

    def mask_of(t: int, i: int) -> np.ndarray:
        masks = truth[t].mask
        assert masks is not None
        return masks[i]

    def middle(t: int, i: int) -> tuple[float, float]:
        y, x = np.argwhere(mask_of(t, i)).mean(0)
        return x, y

    arrivals = {
        1: (0, Box(tuple(truth[0].xyxy[dog]))),
        2: (0, click(*middle(0, other_dog))),
        3: (3, MaskPrompt(mask_of(3, cat))),
        4: (9, Box(tuple(truth[9].xyxy[ball]))),
    }
    clicks = click(*middle(0, dog)), Points((middle(6, dog), middle(6, cat)), (1, 0))
    return Case(
        network,
        stock.stock_predictor(stock.SMALL, network.state_dict()),
        park_frames(network.image_size),
        360,
        640,
        arrivals,
        clicks,
    )


# Backwards, one kind of prompt holds what the others do.
ONE_OBJECT = [pytest.param(kind, False, id=f"forward-{kind}") for kind in PROMPTS] + [
    pytest.param(kind, True, id=f"backward-{kind}", marks=[] if kind == "box and click" else pytest.mark.slow)
    for kind in PROMPTS
]


@pytest.mark.parametrize(("kind", "reverse"), ONE_OBJECT)
def test_one_object_equals_stock(pair, monkeypatch, kind, reverse):
    network, predictor = pair
    frames = moving_frames(network.image_size)
    order = range(FRAMES - 1, -1, -1) if reverse else range(FRAMES)
    state = stock.start(predictor, frames, HEIGHT, WIDTH, monkeypatch)
    stock.add_prompt(predictor, state, order[0], 1, PROMPTS[kind])
    stock.propagate(predictor, state, start_frame_idx=order[0], reverse=reverse)

    engine = Propagator(network)
    shown = 0
    for t in order:
        features = engine.embed_tensor(frames[t : t + 1], HEIGHT, WIDTH)
        ours = (
            engine.prompt(features, t, {1: PROMPTS[kind]}, reverse)
            if t == order[0]
            else engine.step(features, t, reverse)
        )
        assert ours is not None
        assert_same(ours, 0, stock.result(state, 1, t), f"{kind}, frame {t}")
        shown += int((ours.logits > 0).any())
    assert shown > FRAMES // 2, "masks are empty: the comparison says little"


def test_objects_that_come_and_go_equal_stock(case, monkeypatch):
    """Four objects on frames 0, 0, 3 and 9, one leaves after frame 12: each as if it were alone."""
    engine = Propagator(case.network)
    results: dict[tuple[int, int], tuple] = {}
    for t in range(FRAMES):
        features = engine.embed_tensor(case.frames[t : t + 1], case.height, case.width)
        new = {i: prompt for i, (start, prompt) in case.arrivals.items() if start == t}
        for part in ([engine.prompt(features, t, new)] if new else []) + [engine.step(features, t)]:
            for row, object_id in enumerate(part.ids if part else []):
                results[object_id, t] = part, row
        if t == 12:
            engine.discard(2)
    assert {t for i, t in results if i == 2} == set(range(13))
    for object_id, (begin, prompt) in case.arrivals.items():
        state = stock.start(case.predictor, case.frames, case.height, case.width, monkeypatch)
        stock.add_prompt(case.predictor, state, begin, object_id, prompt)
        stock.propagate(case.predictor, state, start_frame_idx=begin)
        for t in range(begin, 13 if object_id == 2 else FRAMES):
            part, row = results[object_id, t]
            assert_same(part, row, stock.result(state, object_id, t), f"object {object_id}, frame {t}")


@pytest.mark.parametrize("as_conditioning", [False, True])
def test_correction_on_a_tracked_frame_equals_stock(case, monkeypatch, as_conditioning):
    first, correction = case.clicks
    monkeypatch.setattr(case.predictor, "add_all_frames_to_correct_as_cond", as_conditioning)
    state = stock.start(case.predictor, case.frames, case.height, case.width, monkeypatch)
    stock.add_prompt(case.predictor, state, 0, 1, first)
    stock.propagate(case.predictor, state, max_frame_num_to_track=6)
    stock.add_prompt(case.predictor, state, 6, 1, correction)
    engine = Propagator(case.network)
    for t in range(FRAMES):
        features = engine.embed_tensor(case.frames[t : t + 1], case.height, case.width)
        ours = engine.prompt(features, t, {1: first}) if t == 0 else engine.step(features, t)
        if t == 6:
            ours = engine.prompt(features, t, {1: correction}, as_conditioning=as_conditioning)
            stock.propagate(case.predictor, state, start_frame_idx=7)  # consolidates the correction, then goes on
            assert set(engine.banks[1].conditioning) == ({0, 6} if as_conditioning else {0})
        if t >= 6:
            assert_same(ours, 0, stock.result(state, 1, t), f"frame {t}")


def test_second_conditioning_frame_equals_stock(pair, monkeypatch):
    """A prompt on a frame the object has not been carried to makes that frame a conditioning frame."""
    network, predictor = pair
    frames, second = moving_frames(network.image_size), 10
    prompts = {0: PROMPTS["box"], second: PROMPTS["mask"]}
    state = stock.start(predictor, frames, HEIGHT, WIDTH, monkeypatch)
    stock.add_prompt(predictor, state, 0, 1, prompts[0])
    stock.propagate(predictor, state, max_frame_num_to_track=second - 1)
    stock.add_prompt(predictor, state, second, 1, prompts[second])
    stock.propagate(predictor, state, start_frame_idx=second)
    engine = Propagator(network)
    for t in range(FRAMES):
        features = engine.embed_tensor(frames[t : t + 1], HEIGHT, WIDTH)
        ours = engine.prompt(features, t, {1: prompts[t]}) if t in prompts else engine.step(features, t)
        assert_same(ours, 0, stock.result(state, 1, t), f"frame {t}")
    assert set(engine.banks[1].conditioning) == set(prompts)
    assert set(engine.banks[1].recent) == {20, 21, 22, 23}


def carried(network, count, prompted):
    """An engine that has carried one object over some frames, and was prompted with its box on some of them."""
    frames, engine = moving_frames(network.image_size, count), Propagator(network)
    for t in range(count):
        features = engine.embed_tensor(frames[t : t + 1], HEIGHT, WIDTH)
        engine.prompt(features, t, {1: PROMPTS["box"]}) if t in prompted else engine.step(features, t)
    return engine


def test_memory_is_bounded(pair):
    network, _ = pair
    bank = carried(network, 40, prompted=range(0, 40, 3)).banks[1]
    assert len(bank.conditioning) == 8
    assert set(bank.recent) <= set(range(38 - network.num_maskmem + 1, 39))
    assert set(bank.pointers) <= set(range(38 - network.max_obj_ptrs_in_encoder + 1, 39))


def of_frames(conditioning, recent=()):
    """A bank with a memory of its own for each of some frames."""
    bank = MemoryBank(3, 15)
    for t in conditioning:
        bank.add_conditioning(t, Memory(torch.zeros(1), torch.zeros(1)))
    for t in recent:
        bank.add_recent(t, Memory(torch.zeros(1), torch.zeros(1)))
    bank.latest = max([*conditioning, *recent])
    return bank


@pytest.fixture
def three(pair):
    """An engine with objects 1 and 2, prompted on 0 and 2 and carried to 6, and 3, which was prompted on frame 6."""
    engine = Propagator(pair[0])
    engine._banks = {1: of_frames([0], [4, 5, 6]), 2: of_frames([2], [5, 6]), 3: of_frames([6])}
    return engine


def test_transfer_keeps_the_prompts_of_the_target(three):
    old, new = three.banks[1].conditioning[0], three.banks[3].conditioning[6]
    three.transfer(3, 1, 6)
    bank = three.banks[1]
    assert three.object_ids == [1, 2] and 3 not in three
    assert list(bank.conditioning) == [0, 6] and bank.conditioning[0] is old and bank.conditioning[6] is new
    assert not bank.recent and not bank.pointers and bank.latest == 6


def test_transfer_without_prompts_takes_the_bank_as_it_is(three):
    new = three.banks[3]
    three.transfer(3, 1, 6, keep_prompts=False)
    assert three.object_ids == [1, 2] and three.banks[1] is new and list(new.conditioning) == [6]


@pytest.mark.parametrize("keep_prompts", [True, False])
def test_transfer_to_an_object_without_a_bank(three, keep_prompts):
    new = three.banks[3]
    three.transfer(3, 9, 6, keep_prompts)
    assert three.object_ids == [1, 2, 9] and three.banks[9] is new and list(new.conditioning) == [6]


def test_transfer_drops_the_farthest_of_too_many_prompts(three):
    three._banks[1] = of_frames(range(0, 25 * MAX_CONDITIONING, 25))
    three._banks[3] = of_frames([1000])
    three.transfer(3, 1, 1000)
    assert list(three.banks[1].conditioning) == [*range(25, 25 * MAX_CONDITIONING, 25), 1000]


def test_swap_exchanges_all_but_the_conditioning_frames(three):
    recent = {i: three.banks[i].recent for i in (1, 2)}
    pointers = {i: three.banks[i].pointers for i in (1, 2)}
    conditioning = {i: three.banks[i].conditioning for i in (1, 2)}
    three.swap(1, 2)
    assert three.object_ids == [1, 2, 3]
    for i, other in ((1, 2), (2, 1)):
        bank = three.banks[i]
        assert bank.recent is recent[other] and bank.pointers is pointers[other]
        assert bank.conditioning is conditioning[i]


def test_discard_of_an_object_that_is_not_there_is_no_error(three):
    three.discard(2)
    three.discard(2)
    assert three.object_ids == [1, 3] and 2 not in three and 1 in three


def test_banks_can_be_read_only(three):
    with pytest.raises(TypeError):
        three.banks[4] = of_frames([0])
    assert len(three.banks) == 3


def test_fork_remembers_where_it_begins_as_if_that_had_been_prompted(pair):
    network, _ = pair
    engine = carried(network, 6, prompted=[0])
    fork = engine.fork([1])
    assert list(fork.banks[1].conditioning) == [0, 5] and fork.banks[1].conditioning[5] is engine.banks[1].recent[5]
    assert not fork.banks[1].recent and list(engine.banks[1].conditioning) == [0]
    features = engine.embed_tensor(moving_frames(network.image_size, 5)[4:], HEIGHT, WIDTH)
    assert fork.step(features, 5) is None
    carried_back = fork.step(features, 4, reverse=True)
    assert carried_back is not None and carried_back.ids == [1]


def test_embed_prepares_frames_as_the_stock_loader_does(pair, tmp_path):
    from PIL import Image
    from sam2.utils.misc import _load_img_as_tensor

    network, _ = pair
    rng = np.random.default_rng(0)
    image = np.repeat(np.repeat(rng.integers(0, 256, (30, 50, 3), dtype=np.uint8), 12, 0), 12, 1)
    Image.fromarray(image).save(tmp_path / "0.png")
    pixels, *_ = _load_img_as_tensor(tmp_path / "0.png", network.image_size)
    mean, std = torch.tensor([0.485, 0.456, 0.406])[:, None, None], torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    engine = Propagator(network)
    expected = engine.embed_tensor(((pixels.float() - mean) / std)[None], *image.shape[:2]).top
    ours = engine.embed(image).top
    assert (
        ours - expected
    ).abs().max() / expected.abs().max() < 0.02  # PIL and torch round single grey levels differently
