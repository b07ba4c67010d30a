"""Clips of the made-up world that are hard to follow by name, each with its exact truth; `challenge.py` scores on them.

A family is one difficulty: twins that cross, a long way behind something, a hard cut and back. Its recipe draws a plan
from a seed, and draws again until the drawn clip is what the family promises; `make` writes the plan as a video and its
truth as a tracks file. The truth has one id for the whole life of an object, whatever hides it in between.

    uv run python scripts/challenge_clips.py FOLDER     # three clips of each family, and pictures of their truth
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import supervision as sv

from demo_clips import RATE, truth_frame, write_clip
from demo_world import Scene, Sprite, all_sprites, background, draw, sprites_named, sway, tinted

from vidseg.tracks import TracksWriter, read_tracks

HEIGHT, WIDTH = 360, 640
ASPECT = WIDTH / HEIGHT
LEAST = 40  # pixels: of what shows less than this, the truth says that it cannot be seen
ENTERED = 0.1  # share of an object's full area that shows where it has come into the picture

# Names of the demo detector without thin things (bicycle, key), whose outline its segmenter cannot draw, and without
# those that it overlooks in more than one picture of six.
NAMES = (
    "dog cat ball person car bus truck airplane rocket boat lamp laptop book cup phone apple pizza fish butterfly flower shoe hat "
    "horse cow pig duck turtle cactus star tractor balloon gift drum rabbit"
).split()
# Sprites without a name that are like no named one; the solid ones hide what is behind them.
STRANGERS = "🍔🦉🐝🐙🐧🐸🍓🍋🍩🎂🧸👑🔬💎🗿🏠🎒📷"
SOLID = "🏠🧀🍔🍞📷📺🗿🎒🌳"
SOLID_NAMES = ("gift", "book", "truck", "ball")

SIDES = ("left", "right", "top", "bottom")


# -- plans -----------------------------------------------------------------------------------------------------------


@dataclass
class Shot:
    """A stretch of the clip between two cuts.

    scene: what is painted. ids: id in the truth of each of its sprites, 0 for one that is not to be tracked.
    frames: which frames of the scene are shown.
    """

    scene: Scene
    ids: list[int]
    frames: range


@dataclass
class Plan:
    """A clip before it is drawn.

    prompt: the names to track, each once. faults: seed of the detector's faults, None for a detector that is left alone.
    """

    shots: list[Shot]
    prompt: list[str]
    faults: int | None = None

    @property
    def objects(self) -> int:
        """Number of objects in the truth; their ids are 1 to this."""
        return max(max(shot.ids) for shot in self.shots)


@dataclass(frozen=True)
class Challenge:
    """A clip to track, as files.

    prompt: phrases. entries: on which frame each object comes into the picture, see `entries`.
    wrap: what to put around the detector before the clip is tracked, None for nothing.
    """

    family: str
    seed: int
    clip: Path
    truth: Path
    prompt: list[str]
    entries: dict[int, int]
    wrap: Callable[..., FaultyDetector] | None = None


def play(plan: Plan, height: int, width: int, noisy: bool = True):
    """Draw a plan frame by frame: yields image [height, width, 3] uint8, owner [height, width] uint8 and the shot.

    The owner is as `draw` gives it: 0 for background, i + 1 where sprite i of the shot is the visible one.
    """
    rng = np.random.default_rng(0) if noisy else None
    for shot in plan.shots:
        for t in shot.frames:
            image, owner, _ = draw(shot.scene, t, height, width, rng)
            yield image, owner, shot


def visible(plan: Plan, shrink: int = 4) -> np.ndarray:
    """[T, objects] pixels of each object that show on each frame, in column id − 1, estimated from a small drawing."""
    frames = play(plan, HEIGHT // shrink, WIDTH // shrink, noisy=False)
    return np.array([pixels(owner, shot.ids, plan.objects) for _, owner, shot in frames]) * shrink**2


def pixels(owner: np.ndarray, ids: Sequence[int], objects: int) -> np.ndarray:
    """[objects] pixels of each object in an `owner` of sprites that have these ids, in column id − 1."""
    counts = np.bincount(owner.ravel(), minlength=len(ids) + 1)
    row = np.zeros(objects, int)
    for object_id, count in zip(ids, counts[1:]):
        if object_id:
            row[object_id - 1] = count
    return row


def full_areas(plan: Plan) -> np.ndarray:
    """[T, objects] pixels that each object would cover if nothing hid it and the picture had no edge, in column id − 1.

    0 where an object is not in the scene. (The areas of `draw` end at the edge of the picture.)
    """
    areas = []
    for shot in plan.shots:
        part = np.zeros((len(shot.frames), plan.objects))
        for sprite, object_id, poses in zip(shot.scene.sprites, shot.ids, shot.scene.poses[shot.frames].transpose(1, 0, 2)):
            if object_id:
                solid = (sprite.levels[0][..., 3] > 0.5).mean()  # of the square tile, whose side is the pose's size
                part[:, object_id - 1] = solid * (poses[:, 2] * HEIGHT) ** 2
        areas.append(part)
    return np.concatenate(areas)


def entries(shown: np.ndarray, areas: np.ndarray) -> dict[int, int]:
    """By id, the first frame on which an object shows ENTERED of its area; without those that do so on the first frame.

    shown, areas: [T, objects] pixels that can be seen, and that there are.
    """
    there = (shown > 0) & (shown >= ENTERED * areas)
    return {column + 1: int(frames.argmax()) for column, frames in enumerate(there.T) if frames.any() and not frames[0]}


def gaps(shown: np.ndarray) -> list[tuple[int, int]]:
    """First frame and length of each stretch where an object, with `shown` [T] pixels, is away in between."""
    there = np.flatnonzero(shown >= LEAST)
    steps = np.diff(there)
    return [(int(there[i]) + 1, int(steps[i]) - 1) for i in np.flatnonzero(steps > 1)]


def make(family: str, number: int, folder: Path) -> Challenge:
    """Clip `number` of a family, drawn and written into a folder."""
    seed = seed_of(family, number)
    plan = draft(family, number)
    stem = f"{family}-{number}"
    clip, truth = folder / f"{stem}.mp4", folder / f"{stem}.truth.jsonl"
    shown = write_plan(plan, clip, truth)
    wrap = None if plan.faults is None else partial(FaultyDetector, seed=plan.faults)
    return Challenge(family, seed, clip, truth, plan.prompt, entries(shown, full_areas(plan)), wrap)


def seed_of(family: str, number: int) -> int:
    return (list(FAMILIES).index(family) + 1) * 1000 + number


def draft(family: str, number: int) -> Plan:
    """Plan of clip `number` of a family: drawn until the family's condition holds."""
    recipe, holds = FAMILIES[family]
    rng = np.random.default_rng(seed_of(family, number))
    for _ in range(200):
        plan = recipe(rng, number)
        if holds(visible(plan)):
            return plan
    raise RuntimeError(f"{family} {number}: no plan in 200 is what the family promises")


def write_plan(plan: Plan, clip: Path, truth: Path) -> np.ndarray:
    """Write a plan as a video and its truth. Returns [T, objects] pixels of each object that show, in column id − 1."""
    shown = []
    header = {"clip": clip.name, "width": WIDTH, "height": HEIGHT, "frame_rate": f"{RATE}/1", "time_base": f"1/{RATE}",
              "prompts": plan.prompt, "models": {"truth": "scripts/challenge_clips.py"}, "vidseg": "0.1.0"}
    with TracksWriter(truth, header) as tracks:
        def pictures():
            for index, (image, owner, shot) in enumerate(play(plan, HEIGHT, WIDTH)):
                shown.append(pixels(owner, shot.ids, plan.objects))
                names = [sprite.name or "" for sprite in shot.scene.sprites]
                tracks.write(truth_frame(index, wanted_only(owner, shot.ids), names, shot.ids))
                yield image
        write_clip(clip, pictures())
    return np.array(shown)


def wanted_only(owner: np.ndarray, ids: Sequence[int]) -> np.ndarray:
    """The owners without sprites that are not to be tracked, and without those that show less than LEAST pixels."""
    counts = np.bincount(owner.ravel(), minlength=len(ids) + 1)
    keep = np.array([False] + [object_id > 0 and count >= LEAST for object_id, count in zip(ids, counts[1:])])
    return np.where(keep[owner], owner, 0).astype(np.uint8)


# -- things and their ways -------------------------------------------------------------------------------------------


def pick_names(rng: np.random.Generator, count: int, without: Sequence[str] = ()) -> list[str]:
    return [str(name) for name in rng.choice([name for name in NAMES if name not in without], count, replace=False)]


def pick(rng: np.random.Generator, name: str) -> Sprite:
    """One of the sprites with a name, in colours of its own."""
    return tinted(sprites_named(name)[rng.integers(len(sprites_named(name)))], rng)


def pick_glyph(rng: np.random.Generator, glyphs: str) -> Sprite:
    glyph = glyphs[rng.integers(len(glyphs))]
    return tinted(next(sprite for sprite in all_sprites() if sprite.glyph == glyph), rng, 0.5)


def route(frames: int, points: Sequence[tuple[float, float, float]], size: float | tuple[float, float],
          rng: np.random.Generator | None = None, flip: float = 1.0) -> np.ndarray:
    """Poses [frames, 6] through points (frame, x, y), at rest before the first and after the last, corners rounded.

    size: one number, or two between which it grows evenly (by the same factor every frame). With `rng` the sprite
    rocks a little as it goes.
    """
    t = np.arange(frames)
    times, xs, ys = np.array(points, float).T
    smooth = lambda values: cv2.GaussianBlur(values[None].astype(np.float32), (0, 0), 4, borderType=cv2.BORDER_REPLICATE)[0]
    sizes = np.geomspace(*size, frames) if np.ndim(size) else np.full(frames, size)
    rock = np.zeros(frames) if rng is None else rng.normal(0, 4) + 4 * np.sin(t * rng.uniform(0.1, 0.3) + rng.uniform(0, 6))
    return np.column_stack([smooth(np.interp(t, times, xs)), smooth(np.interp(t, times, ys)), sizes, rock,
                            np.full(frames, flip), np.ones(frames)]).astype(np.float32)


def flip_of(rng: np.random.Generator) -> float:
    return float(rng.choice([-1.0, 1.0]))


def spread(rng: np.random.Generator, count: int, gap: float = 0.45) -> np.ndarray:
    """Places [count, 2] inside the picture, no two nearer than `gap`, so that everything can be seen from the start."""
    for _ in range(10_000):
        places = rng.uniform((0.22, 0.24), (ASPECT - 0.22, 0.76), (count, 2))
        distances = np.linalg.norm(places[:, None] - places[None], axis=-1) + 9 * np.eye(count)
        if distances.min() >= gap:
            return places
    raise ValueError(f"{count} places do not fit {gap} apart")


def wander(rng: np.random.Generator, frames: int, start: np.ndarray, size: float) -> np.ndarray:
    """Poses [frames, 6] from a place along three others, always inside the picture."""
    points = [(0, *start), (6, *start)]
    for frame in np.linspace(0, frames, 4)[1:]:
        step = rng.uniform(-1, 1, 2) * (0.6, 0.35)
        points.append((frame, *np.clip(np.array(points[-1][1:]) + step, (0.15, 0.18), (ASPECT - 0.15, 0.82))))
    return route(frames, points, size, rng, flip_of(rng))


def outside(side: str, rng: np.random.Generator, size: float) -> tuple[float, float]:
    """A place beyond a side of the picture, far enough that a sprite of this size shows nothing of itself."""
    beyond = size * 0.75 + 0.12  # a turned square's half diagonal, and what the camera may move
    along_x, along_y = rng.uniform(0.4, ASPECT - 0.4), rng.uniform(0.3, 0.7)
    return {"left": (-beyond, along_y), "right": (ASPECT + beyond, along_y),
            "top": (along_x, -beyond), "bottom": (along_x, 1 + beyond)}[side]


def drift(rng: np.random.Generator, frames: int) -> np.ndarray:
    """A camera [frames, 2] that moves slowly, from 0."""
    camera = sway(rng, frames, 0.04)
    return camera - camera[0]


def one_shot(rng: np.random.Generator, sprites: Sequence[Sprite], poses: Sequence[np.ndarray], ids: Sequence[int] | None = None,
             camera: np.ndarray | None = None, faults: int | None = None) -> Plan:
    """A plan without cuts. Later sprites are in front; `ids` numbers them from 1 if it is not given."""
    frames = len(poses[0])
    ids = list(range(1, len(sprites) + 1)) if ids is None else list(ids)
    scene = Scene(background(rng, ASPECT, HEIGHT), list(sprites), np.stack(poses, 1), drift(rng, frames) if camera is None else camera,
                  ASPECT, 0.008)
    prompt = dict.fromkeys(sprite.name for sprite, object_id in zip(sprites, ids) if object_id)
    return Plan([Shot(scene, ids, range(frames))], list(prompt), faults)


# -- families --------------------------------------------------------------------------------------------------------


def twins(rng: np.random.Generator, number: int) -> Plan:
    """Two of the very same sprite pass each other, once or (odd numbers) there and back; something else goes its way."""
    frames = int(rng.integers(132, 157))
    name, other = pick_names(rng, 2)
    twin, size, height, flip = pick(rng, name), rng.uniform(0.24, 0.34), rng.uniform(0.34, 0.46), flip_of(rng)
    left, right = (0.3, height - rng.uniform(0, 0.05)), (ASPECT - 0.3, height + rng.uniform(0, 0.05))
    turns = np.linspace(10, frames - 10, 2 + number % 2)
    ways = [[(t, *(here, there)[i % 2]) for i, t in enumerate(turns)] for here, there in ((left, right), (right, left))]
    third = wander(rng, frames, np.array([rng.uniform(0.6, ASPECT - 0.6), 0.82]), rng.uniform(0.2, 0.25))
    third[:, 1] = np.clip(third[:, 1], 0.76, 0.86)
    return one_shot(rng, [pick(rng, other), twin, twin], [third, *(route(frames, way, size, rng, flip) for way in ways)])


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
    poses = [route(frames, across, sizes[0], rng, flip_of(rng)), route(frames, back, sizes[1], rng, flip_of(rng)),
             wander(rng, frames, np.array([0.5, 0.86]), sizes[2]), route(frames, [(0, x, y), (frames, x, y)], extent)]
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
        if column[0] < 800 or column[: first - 4].min() < LEAST or len(column) - last < RATE or column[last + RATE - 1] < 800:
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
    return (all(len(stretches) == 1 and 12 <= stretches[0][1] <= 48 for stretches in away)
            and shown[0].min() > 800 and (shown[-1] > 0.4 * shown[0]).all())


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
        poses.append(route(frames, [(enter, *start), (enter + 40, *place), (frames, *further)], size, rng, flip_of(rng)))
    return one_shot(rng, [pick(rng, name) for name in names], poses)


def some_come_late(shown: np.ndarray) -> bool:
    first = (shown >= LEAST).argmax(0)
    return (first[:2] == 0).all() and (first[2:] >= RATE).all() and (first[2:] <= 4 * RATE).all() and (shown[-1] > 500).all()


def crowd(rng: np.random.Generator, number: int) -> Plan:
    """Twelve small things of five names; each goes to the place of another."""
    frames = 120
    names = pick_names(rng, 5)
    cells = np.array([(x, y) for y in (0.2, 0.5, 0.8) for x in (0.2, 0.66, 1.12, 1.58)])
    starts = cells + rng.uniform(-0.05, 0.05, cells.shape)
    goals = rng.permutation(cells) + rng.uniform(-0.05, 0.05, cells.shape)
    middles = (starts + goals) / 2 + rng.uniform(-0.12, 0.12, cells.shape)
    poses = [route(frames, [(8, *a), (frames / 2, *b), (frames - 8, *c)], rng.uniform(0.14, 0.2), rng, flip_of(rng))
             for a, b, c in zip(starts, middles, goals)]
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
    ways = [[(0, 1.2, 0.5), (frames, ASPECT - rng.uniform(0.2, 0.4), rng.uniform(0.25, 0.7))],
            [(0, 0.86, 0.2 + 0.6 * (number % 2)), (frames, 1.05, 0.15 + 0.7 * (number % 2))],
            [(0, 0.45, rng.uniform(0.4, 0.6)), (frames, 0.5, 0.5)]]
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
    tremble = sum(rng.uniform(0.008, 0.016, 2) * np.sin(2 * np.pi * t / rng.uniform(4, 16, 2) + rng.uniform(0, 6, 2)) for _ in range(3))
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


# -- a detector that errs --------------------------------------------------------------------------------------------


class FaultyDetector:
    """A detector that on some frames withholds boxes and on some invents them.

    The faults of a frame follow from the seed and the frame's pixels alone: whoever asks, however often and in whatever
    order, meets the same ones.

    Args:
        detector: the real one.
        seed: of the faults.

    Attributes:
        best_score: the best score among the boxes of the last call. (The real detector's would betray what is withheld.)
    """

    WITHHOLDS = 0.5  # share of frames on which boxes are withheld
    WITHHELD = 0.5  # share of the boxes that are withheld there
    INVENTS = 0.4  # share of frames with one or two false boxes

    def __init__(self, detector, seed: int):
        self.best_score = 0.0
        self._detector, self._seed = detector, seed

    def detect(self, image: np.ndarray, phrases: Sequence[str]) -> sv.Detections:
        """As `vidseg.detection.Detector.detect`, with faults."""
        found = self._detector.detect(image, phrases)
        rng = np.random.default_rng([self._seed, zlib.crc32(np.ascontiguousarray(image))])
        kept = rng.random(len(found)) >= (self.WITHHELD if rng.random() < self.WITHHOLDS else 0)
        false = self._invent(rng, image, phrases, found.xyxy) if rng.random() < self.INVENTS else []
        result = sv.Detections.merge([found[kept], *false]) if false else found[kept]
        result = result[np.argsort(-result.confidence, kind="stable")]
        self.best_score = float(result.confidence.max(initial=0.0))
        return result

    def _invent(self, rng, image, phrases, real: np.ndarray) -> list[sv.Detections]:
        """One or two boxes where nothing is that was asked for, each as Detections."""
        height, width = image.shape[:2]
        false = []
        for _ in range(rng.integers(1, 3)):
            for _ in range(50):
                sides = rng.uniform(0.2, 0.35, 2) * height
                corner = rng.uniform(0, 1, 2) * ((width, height) - sides)
                box = np.concatenate([corner, corner + sides]).astype(np.float32)[None]
                if not len(real) or sv.box_iou_batch(box, real.astype(np.float32)).max() < 0.1:
                    kind = int(rng.integers(len(phrases)))
                    false.append(sv.Detections(
                        xyxy=box, confidence=np.array([rng.uniform(0.36, 0.6)], np.float32), class_id=np.array([kind]),
                        data={"class_name": np.array([phrases[kind]], dtype=str)}))
                    break
        return false


# -- to look at ------------------------------------------------------------------------------------------------------


def contact_sheet(challenge: Challenge, count: int = 12) -> np.ndarray:
    """Some frames of a clip with outline and id of every object of the truth, side by side, as one BGR picture."""
    from vidseg.video import Clip

    truth = {frame.index: frame.detections for frame in read_tracks(challenge.truth)}
    wanted = set(np.linspace(0, len(truth) - 1, count).astype(int))
    tiles = []
    for frame in Clip(challenge.clip).frames():
        if frame.index not in wanted:
            continue
        picture = np.ascontiguousarray(frame.image[..., ::-1])
        for object_id, mask, box in zip(truth[frame.index].tracker_id, truth[frame.index].mask, truth[frame.index].xyxy):
            lines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
            cv2.drawContours(picture, lines, -1, (255, 0, 255), 2)
            cv2.putText(picture, str(object_id), (int(box[0]), int(box[1]) + 22), 0, 0.9, (255, 255, 255), 4)
            cv2.putText(picture, str(object_id), (int(box[0]), int(box[1]) + 22), 0, 0.9, (0, 0, 0), 2)
        cv2.putText(picture, str(frame.index), (4, HEIGHT - 8), 0, 0.8, (0, 0, 255), 2)
        tiles.append(picture[::2, ::2])
    return np.vstack([np.hstack(tiles[i : i + 4]) for i in range(0, len(tiles), 4)])


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for family in FAMILIES:
        for number in range(3):
            challenge = make(family, number, folder)
            cv2.imwrite(str(challenge.clip.with_suffix(".png")), contact_sheet(challenge))
            print(f"{challenge.clip.name}: seed {challenge.seed}, {', '.join(challenge.prompt)}", flush=True)


if __name__ == "__main__":
    main()
