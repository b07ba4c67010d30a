"""The families of the challenge's clips, one difficulty each.

Each has a recipe for a plan, and a condition that a plan of the family must hold.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from scripts.challenge.plan import LEAST, Plan, gaps
from scripts.challenge.routes import (
    ASPECT,
    SIDES,
    SOLID,
    SOLID_NAMES,
    STRANGERS,
    drift,
    flip_of,
    one_shot,
    outside,
    pick,
    pick_glyph,
    pick_names,
    route,
    spread,
    wander,
)
from scripts.demo_models.world.clips import RATE


def twins(rng: np.random.Generator, number: int) -> Plan:
    """Two of the very same sprite pass each other, once or (odd numbers) there and back; a third thing goes its way."""
    frames = int(rng.integers(132, 157))
    name, other = pick_names(rng, 2)
    twin, size, height, flip = pick(rng, name), rng.uniform(0.24, 0.34), rng.uniform(0.34, 0.46), flip_of(rng)
    left, right = (0.3, height - rng.uniform(0, 0.05)), (ASPECT - 0.3, height + rng.uniform(0, 0.05))
    turns = np.linspace(10, frames - 10, 2 + number % 2)
    ways = [[(t, *(here, there)[i % 2]) for i, t in enumerate(turns)] for here, there in ((left, right), (right, left))]
    third = wander(rng, frames, np.array([rng.uniform(0.6, ASPECT - 0.6), 0.82]), rng.uniform(0.2, 0.25))
    third[:, 1] = np.clip(third[:, 1], 0.76, 0.86)
    return one_shot(
        rng, [pick(rng, other), twin, twin], [third, *(route(frames, way, size, rng, flip) for way in ways)]
    )


def occlusion(rng: np.random.Generator, number: int) -> Plan:
    """Two things go behind a large one: the first comes out on the other side, the second may turn round behind it.

    Every third clip has something large that is itself to be tracked; in the others it is not in the prompt.
    """
    frames = int(rng.integers(144, 169))
    named = number % 3 == 2
    large = pick(rng, str(rng.choice(SOLID_NAMES))) if named else pick_glyph(rng, SOLID)
    names = pick_names(rng, 3, without=[large.name] if large.name else [])
    extent = rng.uniform(0.48, 0.55) if named else rng.uniform(0.52, 0.64)
    x, y = rng.uniform(0.8, ASPECT - 0.8), rng.uniform(0.42, 0.5)
    sizes = rng.uniform(0.2, 0.24, 3)
    heights = y + rng.uniform(-0.08, 0.08, 2)
    begin, pace = rng.uniform(8, 20), rng.uniform(0.010, 0.017)
    across = [(begin, 0.18, heights[0]), (begin + 1.3 / pace, 1.48, heights[0])]
    late = rng.uniform(45, 60)
    home, inner = ASPECT - 0.18, x + rng.uniform(-0.05, 0.05)
    way, rest = (home - inner) / pace, rng.uniform(0, 15)
    back = [(late, home, heights[1]), (late + way, inner, heights[1]), (late + way + rest, inner, heights[1])]
    back.append((late + 2 * way + rest, home if rng.random() < 0.5 else 0.2, heights[1]))
    poses = [
        route(frames, across, sizes[0], rng, flip_of(rng)),
        route(frames, back, sizes[1], rng, flip_of(rng)),
        wander(rng, frames, np.array([0.5, 0.86]), sizes[2]),
        route(frames, [(0, x, y), (frames, x, y)], extent),
    ]
    poses[2][:, 1] = np.clip(poses[2][:, 1], 0.8, 0.88)
    if rng.random() < 0.5:  # the same in the mirror
        for pose in poses:
            pose[:, 0] = ASPECT - pose[:, 0]
    return one_shot(rng, [*(pick(rng, name) for name in names), large], poses, [1, 2, 3, 4 if named else 0])


def hidden_for_a_while(shown: np.ndarray) -> bool:
    """The first two objects are gone for 5 to 40 frames each, and well visible long before and after."""
    for column in shown[:, :2].T:
        away = gaps(column)
        if not away or not all(5 <= length <= 40 for _, length in away):
            return False
        first, last = away[0][0], away[-1][0] + away[-1][1]
        if (
            column[0] < 800
            or column[: first - 4].min() < LEAST
            or len(column) - last < RATE
            or column[last + RATE - 1] < 800
        ):
            return False
    return True


def reentry(rng: np.random.Generator, number: int) -> Plan:
    """Two things leave the picture and come back over another side; a third stays."""
    frames = int(rng.integers(156, 181))
    places, sizes = spread(rng, 3), rng.uniform(0.22, 0.34, 3)
    poses = []
    for place, size, leave in zip(places, sizes, (rng.integers(50, 64), rng.integers(70, 86))):
        out, back = rng.choice(SIDES, 2, replace=False)
        again = int(leave + rng.integers(8, 30))  # both ways it is unseen for a few frames more
        end = rng.uniform((0.35, 0.3), (ASPECT - 0.35, 0.7))
        gone = route(again, [(8, *place), (leave, *outside(out, rng, size))], size, rng, flip_of(rng))
        begin, further = outside(back, rng, size), end + rng.uniform(-0.1, 0.1, 2)
        come = route(frames - again, [(0, *begin), (44, *end), (90, *further)], size, rng, flip_of(rng))
        come[:, 4] = gone[0, 4]
        poses.append(np.concatenate([gone, come]))
    poses.append(wander(rng, frames, places[2], sizes[2]))
    return one_shot(rng, [pick(rng, name) for name in pick_names(rng, 3)], poses)


def away_for_a_while(shown: np.ndarray) -> bool:
    """The first two objects are gone once, for half a second to two, and fully there before and after."""
    away = [gaps(column) for column in shown[:, :2].T]
    return (
        all(len(stretches) == 1 and 12 <= stretches[0][1] <= 48 for stretches in away)
        and shown[0].min() > 800
        and (shown[-1] > 0.4 * shown[0]).all()
    )


def late(rng: np.random.Generator, number: int) -> Plan:
    """Two things are there, three come in later, one of them of a name that is there already."""
    frames = int(rng.integers(144, 169))
    names = pick_names(rng, 4)
    names.append(names[0])
    places, sizes = spread(rng, 5, 0.4), rng.uniform(0.22, 0.34, 5)
    poses = [wander(rng, frames, place, size) for place, size in zip(places[:2], sizes)]
    for place, size, enter in zip(places[2:], sizes[2:], np.sort(rng.uniform(16, 84, 3))):
        start = outside(str(rng.choice(SIDES)), rng, size)
        further = place + rng.uniform(-0.12, 0.12, 2)
        poses.append(
            route(frames, [(enter, *start), (enter + 40, *place), (frames, *further)], size, rng, flip_of(rng))
        )
    return one_shot(rng, [pick(rng, name) for name in names], poses)


def some_come_late(shown: np.ndarray) -> bool:
    """The first two objects are there from the start, the others come 1 to 4 seconds later, and all stay."""
    first = (shown >= LEAST).argmax(0)
    return (
        (first[:2] == 0).all()
        and (first[2:] >= RATE).all()
        and (first[2:] <= 4 * RATE).all()
        and (shown[-1] > 500).all()
    )


def crowd(rng: np.random.Generator, number: int) -> Plan:
    """Twelve small things of five names; each goes to the place of another."""
    frames = 120
    names = pick_names(rng, 5)
    cells = np.array([(x, y) for y in (0.2, 0.5, 0.8) for x in (0.2, 0.66, 1.12, 1.58)])
    starts = cells + rng.uniform(-0.05, 0.05, cells.shape)
    goals = rng.permutation(cells) + rng.uniform(-0.05, 0.05, cells.shape)
    middles = (starts + goals) / 2 + rng.uniform(-0.12, 0.12, cells.shape)
    poses = [
        route(frames, [(8, *a), (frames / 2, *b), (frames - 8, *c)], rng.uniform(0.14, 0.2), rng, flip_of(rng))
        for a, b, c in zip(starts, middles, goals)
    ]
    return one_shot(rng, [pick(rng, names[i % 5]) for i in range(12)], poses)


def cuts(rng: np.random.Generator, number: int) -> Plan:
    """Scene A, scene B, and A again as it has gone on meanwhile. Two things of A share a name; B has other names."""
    lengths = rng.integers(44, 61, 3)
    begins = np.cumsum([0, *lengths])
    names = pick_names(rng, 5)
    first = [names[0], names[0], names[1]]
    shots = []
    for kinds in (first, names[2:5]):
        frames = int(begins[3])
        sprites = [pick(rng, name) for name in kinds]
        poses = [wander(rng, frames, place, rng.uniform(0.22, 0.36)) for place in spread(rng, 3)]
        shots.append(one_shot(rng, sprites, poses).shots[0])
    a, b = shots
    b.ids = [4, 5, 6]
    order = [replace(shot, frames=range(begins[i], begins[i + 1])) for i, shot in enumerate((a, b, a))]
    return Plan(order, names)


def all_begin_visible(shown: np.ndarray) -> bool:
    """Every object can be seen well where it first shows, and on a second of frames in all."""
    for column in shown.T:
        there = np.flatnonzero(column >= LEAST)
        if len(there) < RATE or column[there[0]] < 500:
            return False
    return True


def scale(rng: np.random.Generator, number: int) -> Plan:
    """One thing comes near and grows fourfold, one goes away and shrinks to a quarter, one stays as it is."""
    frames = int(rng.integers(132, 157))
    small, large = rng.uniform(0.2, 0.22), rng.uniform(0.38, 0.42)
    ways = [
        [(0, 1.2, 0.5), (frames, ASPECT - rng.uniform(0.2, 0.4), rng.uniform(0.25, 0.7))],
        [(0, 0.86, 0.2 + 0.6 * (number % 2)), (frames, 1.05, 0.15 + 0.7 * (number % 2))],
        [(0, 0.45, rng.uniform(0.4, 0.6)), (frames, 0.5, 0.5)],
    ]
    sizes = [(large, large / 4), rng.uniform(0.2, 0.24), (small, small * 4)]
    poses = [route(frames, way, size, rng, flip_of(rng)) for way, size in zip(ways, sizes)]
    if rng.random() < 0.5:  # the same in the mirror
        for pose in poses:
            pose[:, 0] = ASPECT - pose[:, 0]
    return one_shot(rng, [pick(rng, name) for name in pick_names(rng, 3)], poses)


def shake(rng: np.random.Generator, number: int) -> Plan:
    """Four things before a hand-held camera: it trembles all the time, and is knocked now and then."""
    frames = int(rng.integers(120, 145))
    t = np.arange(frames)[:, None]
    tremble = sum(
        rng.uniform(0.008, 0.016, 2) * np.sin(2 * np.pi * t / rng.uniform(4, 16, 2) + rng.uniform(0, 6, 2))
        for _ in range(3)
    )
    knocks = np.zeros((frames, 2))
    for at in rng.choice(np.arange(12, frames - 12), 4, replace=False):
        knocks += rng.choice([-1, 1], 2) * rng.uniform(0.05, 0.09, 2) * np.where(t >= at, np.exp(-(t - at) / 5.0), 0)
    camera = drift(rng, frames) + tremble + knocks + rng.normal(0, 0.003, (frames, 2))
    poses = [wander(rng, frames, place, rng.uniform(0.22, 0.34)) for place in spread(rng, 4, 0.42)]
    return one_shot(rng, [pick(rng, name) for name in pick_names(rng, 4)], poses, camera=camera.astype(np.float32))


def newcomers(rng: np.random.Generator, number: int) -> Plan:
    """Three things are tracked while three strangers cross the picture, in front of them and behind."""
    frames = int(rng.integers(132, 157))
    names = pick_names(rng, 3)
    wanted = [pick(rng, name) for name in names]
    strangers = [pick(rng, name) for name in pick_names(rng, 2, without=names)] + [pick_glyph(rng, STRANGERS)]
    poses = [wander(rng, frames, place, rng.uniform(0.22, 0.34)) for place in spread(rng, 3)]
    for enter in rng.uniform(18, 60, 3):
        size = rng.uniform(0.22, 0.36)
        start, end = (outside(side, rng, size) for side in rng.permutation(SIDES[:2]))
        poses.append(route(frames, [(enter, *start), (enter + rng.uniform(80, 120), *end)], size, rng, flip_of(rng)))
    order = [3, 0, 4, 1, 5, 2]  # from back to front
    ids = [1, 2, 3, 0, 0, 0]
    things = [*wanted, *strangers]
    return one_shot(rng, [things[i] for i in order], [poses[i] for i in order], [ids[i] for i in order])


def faults(rng: np.random.Generator, number: int) -> Plan:
    """Four things in plain sight, before a detector that errs."""
    frames = int(rng.integers(132, 157))
    poses = [wander(rng, frames, place, rng.uniform(0.22, 0.34)) for place in spread(rng, 4, 0.42)]
    return one_shot(rng, [pick(rng, name) for name in pick_names(rng, 4)], poses, faults=int(rng.integers(1 << 31)))


# Recipe and condition of each family. A family's seeds are its place here × 1000 + the number of the clip.
FAMILIES: dict[str, tuple[Callable[[np.random.Generator, int], Plan], Callable[[np.ndarray], bool]]] = {
    "twins": (twins, all_begin_visible),
    "occlusion": (occlusion, hidden_for_a_while),
    "reentry": (reentry, away_for_a_while),
    "late": (late, some_come_late),
    "crowd": (crowd, all_begin_visible),
    "cuts": (cuts, all_begin_visible),
    "scale": (scale, all_begin_visible),
    "shake": (shake, all_begin_visible),
    "newcomers": (newcomers, all_begin_visible),
    "faults": (faults, all_begin_visible),
}
