"""Two that look alike pass each other: the demo pair on small clips with known ground truth, and the parts by themselves."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tests.support.sprites import HEIGHT, RATE, WIDTH, box_around, demo, film, frames_of, iou, mask_of, sprites  # noqa: F401
from vidseg.sam.frame import FrameFeatures, FrameMasks
from vidseg.sam.memory import Memory, MemoryBank
from vidseg.tracking.crossing import Movement, Passing, bodies, core
from vidseg.tracking.pending import WaitingFrame

FRAMES = 42
LOOK = torch.tensor([1.0, 0.0])


def crossing(path, sprites, left, right):
    """Two sprites start on either side, pass each other in the middle, and go on to the other side."""

    def places(t):
        return {"left": (185 + 6.5 * t, 170), "right": (455 - 6.5 * t, 182)}

    return film(path, {"left": sprites[left], "right": sprites[right]}, FRAMES, places)


def agreements(clip, frames):
    """[T, 2, 2] IoU of object 1 and 2 with the truth of the one from the left and the one from the right."""
    return np.array(
        [
            [[iou(mask_of(found, i), clip.truth[t][name]) for name in ("left", "right")] for i in (1, 2)]
            for t, found in enumerate(frames)
        ]
    )


@pytest.fixture(scope="module")
def twins(tmp_path_factory, sprites):  # noqa: F811
    return crossing(tmp_path_factory.mktemp("clip") / "twins.mp4", sprites, "dog", "dog")


def by_box(demo, clip):  # noqa: F811
    prompts = {
        0: [{"id": i, "box": [int(v) for v in box_around(clip, name, 0)]} for i, name in ((1, "left"), (2, "right"))]
    }
    return frames_of(demo.track(clip.path, prompts=prompts), FRAMES)


def test_twins_that_cross_keep_their_ids(demo, twins):  # noqa: F811
    agree = agreements(twins, by_box(demo, twins))
    assert (agree[:10, [0, 1], [0, 1]] > 0.7).all()
    assert (agree[-8:, [0, 1], [0, 1]] > 0.5).all()


def test_without_it_they_exchange_them(demo, twins, monkeypatch):  # noqa: F811
    """Else the test above would show nothing."""
    monkeypatch.setattr(Passing, "watch", lambda *_: None)
    agree = agreements(twins, by_box(demo, twins))
    assert (agree[-8:, [0, 1], [0, 1]] < 0.3).any(1).all()


def test_twins_that_are_found_by_name(demo, twins):  # noqa: F811
    """The detector looks while they are in front of each other, and makes no third one of them."""
    run = demo.track(twins.path, "dog", redetect=0.25)
    frames = frames_of(run, FRAMES)
    assert set(run.labels) == {1, 2}
    agree = agreements(twins, frames)
    if agree[0, 0, 0] < 0.5:  # numbered the other way round
        agree = agree[:, ::-1]
    assert (agree[-8:, [0, 1], [0, 1]] > 0.5).all()


@pytest.mark.parametrize("direction", [1, -1])
def test_movement_goes_straight_on(direction):
    movement = Movement()
    for t in range(30):
        box = np.array([10.0 * t, 5.0 * t, 10.0 * t + 40, 5.0 * t + 20])
        movement.add(direction * t / 24, box, LOOK * t)
    assert 4 <= len(movement.seen) < 30  # only the last moments count
    assert np.allclose(movement.box_at(direction * 50 / 24), [500, 250, 540, 270])
    assert np.array_equal(movement.look, movement.seen[0][2])


def test_one_strange_box_does_not_change_the_size():
    movement = Movement()
    for t in range(9):
        movement.add(t / 24, np.array([0, 0, 400 if t == 4 else 40, 20.0]), LOOK)
    assert np.ptp(movement.box_at(0.4)[[0, 2]]) == 40


def test_body_is_what_does_not_stick_out():
    """A line of little weight, such as a leash, is no part of it; a mask without one is as wide as it is."""
    counts = np.zeros(64)
    counts[10:30] = 20
    assert core(counts) == (10, 30)
    counts[30:50] = 1
    begin, end = core(counts)
    assert begin == 10 and 30 <= end <= 34


def blank(index):
    return SimpleNamespace(index=index, time=index / RATE, image=np.zeros((HEIGHT, WIDTH, 3), np.uint8))


def square(x, y, size=12):
    """Logits [96, 96] of a mask with its corner at a cell."""
    logits = torch.full((96, 96), -8.0)
    logits[y : y + size, x : x + size] = 8
    return logits.half()


def test_bodies_are_in_pixels_of_the_frame():
    frame = WaitingFrame(blank(0), {7: square(24, 48)}, {7: 0.9})
    ids, boxes = bodies(frame)
    assert ids == [7] and np.allclose(boxes, [[24 * WIDTH / 96, 48 * HEIGHT / 96, 36 * WIDTH / 96, 60 * HEIGHT / 96]])
    assert bodies(WaitingFrame(blank(0)))[1].shape == (0, 4)


class Engine:
    """Stands in for the propagator: whoever is pointed at is seen where the box is."""

    def __init__(self, *ids):
        self.banks = {i: self.bank(0) for i in ids}

    def bank(self, index):
        return MemoryBank(3, 3, conditioning={index: Memory(torch.zeros(1), torch.zeros(1))})

    def prompt(self, features, index, prompts):
        logits = []
        for i, box in prompts.items():
            self.banks[i] = self.bank(index)
            x1, y1, x2, y2 = np.array(box.xyxy) * 96 / ([WIDTH, HEIGHT] * 2)
            one = torch.full((96, 96), -8.0)
            one[round(y1) : round(y2), round(x1) : round(x2)] = 8
            logits.append(one)
        ones = torch.ones(len(prompts))
        return FrameMasks(list(prompts), torch.stack(logits), ones, ones * 5, torch.zeros(len(prompts), 4))


def features_of(looks=None):
    """Features of a frame on which everything looks alike, or [h, w] numbers that say what looks how."""
    top = torch.ones(1, 2, 24, 24)
    if looks is not None:
        top[0, 1] = looks
    return FrameFeatures(HEIGHT, WIDTH, top, torch.zeros(0), [])


def passed(places, looks=None):
    """What becomes of masks at {id: (x, y)} cells, one dict a frame: the frames, and the engine."""
    engine, waiting = Engine(1, 2), []
    watcher = Passing(engine)
    for t, now in enumerate(places):
        waiting.append(WaitingFrame(blank(t), {i: square(*place) for i, place in now.items()}, {i: 0.9 for i in now}))
        watcher.watch(waiting, features_of(looks))
    return waiting, engine


def swapping(count=40, pace=2, merged=range(15, 21)):
    """Both go straight on, lie on one of the two for a while, and then each is what the other was."""
    frames = []
    for t in range(count):
        a, b = (4 + pace * t, 40), (76 - pace * t, 42)
        if t in merged:
            frames.append({1: b, 2: b})
        else:
            frames.append({1: a, 2: b} if t < merged.start else {1: b, 2: a})
    return [{i: place for i, place in one.items() if 0 <= place[0] <= 84} for one in frames]


def test_an_exchange_is_undone():
    waiting, _ = passed(swapping(24))  # on frame 23 there is room between them
    assert torch.equal(waiting[-1].logits[1] > 0, square(4 + 2 * 23, 40) > 0)
    assert torch.equal(waiting[-1].logits[2] > 0, square(76 - 2 * 23, 42) > 0)


def test_the_engine_forgets_what_was_confused():
    """After they have parted, nothing is left of the prompt on frame 0, which shows each where the other is now."""
    _, engine = passed(swapping(36))
    assert set(engine.banks) == {1, 2} and all(min(bank.conditioning) > 20 for bank in engine.banks.values())


def test_who_looks_different_is_left_alone():
    """The same, but they did not look alike when they met, so that SAM is believed."""
    looks = torch.zeros(24, 24)
    looks[:, :7] = 2  # where 1 comes from
    places = swapping(24)
    waiting, engine = passed(places, looks)
    assert all(torch.equal(waiting[-1].logits[i] > 0, square(*places[-1][i]) > 0) for i in (1, 2))
    assert all(0 in bank.conditioning for bank in engine.banks.values())


def test_looks_have_the_last_word():
    """Two of one kind that can be told apart have turned round behind each other: nothing is exchanged."""
    places = swapping(24)
    for t in range(21, 24):
        places[t] = {1: (4 + 2 * (36 - t), 40), 2: (76 - 2 * (36 - t), 42)}
    looks = torch.zeros(24, 24)
    looks[:, :11] = 0.9  # the left half, where 1 comes from and is again
    assert torch.equal(passed(places, looks)[0][-1].logits[1] > 0, square(*places[-1][1]) > 0)
    assert not torch.equal(
        passed(places)[0][-1].logits[1] > 0, square(*places[-1][1]) > 0
    )  # else they went straight on


@pytest.mark.parametrize("gone", [1, 2])
def test_an_object_that_is_removed_meanwhile(gone):
    places = swapping(30)
    engine, waiting = Engine(1, 2), []
    watcher = Passing(engine)
    for t, now in enumerate(places):
        if t == 20:
            del engine.banks[gone]
        now = {i: place for i, place in now.items() if i in engine.banks}
        waiting.append(WaitingFrame(blank(t), {i: square(*place) for i, place in now.items()}, {i: 0.9 for i in now}))
        watcher.watch(waiting, features_of())
    assert set(engine.banks) == {1, 2} - {gone} and not watcher.expected(1.0)
