"""Training pictures and prompts for the demo detector, drawn from the world of demo_world.py."""

from __future__ import annotations

import string
from dataclasses import dataclass

import cv2
import numpy as np
import torch

from scripts.demo_models.train.detector_model import CLS, DOT, SEP, phrase_ids
from scripts.demo_models.world.sprites import MARGIN, NAMED, TILE, Scene, Sprite, all_sprites, background, draw, tinted

NAMES = list(NAMED)
MEAN = np.float32([0.485, 0.456, 0.406])
STD = np.float32([0.229, 0.224, 0.225])
STRIDES = (16, 32, 64)
MAX_SPRITES = 8
# English words that name nothing here; they must match nothing. (Every tenth is kept for the evaluation.)
STRANGERS = (
    "giraffe teapot zebra violin sofa table window door house castle bridge river mountain cloud rain snow fire candle "
    "spoon fork knife plate bottle glass bowl pan oven fridge toaster blender broom bucket ladder hammer nail screw saw "
    "shirt jacket trousers sock glove scarf belt ring necklace crown mask helmet shield sword bow arrow rifle cannon "
    "train tram helicopter submarine skateboard scooter wagon sledge tent bench desk shelf carpet curtain pillow blanket "
    "mirror camera radio television keyboard mouse screen printer robot lion tiger bear wolf fox deer mouse rat squirrel "
    "hedgehog bat eagle owl parrot penguin swan goose chicken turkey crab lobster shark whale dolphin octopus snail worm "
    "spider ant bee wasp fly beetle frog toad lizard snake crocodile camel kangaroo monkey gorilla panda sheep goat donkey "
    "orange lemon grape cherry peach pear plum melon carrot potato tomato onion pepper bread cheese butter egg cake "
    "cookie ice cream soup salad sandwich burger sausage pie woman man child baby girl boy police officer doctor teacher "
    "king queen knight wizard ghost dragon unicorn moon sun planet rainbow lightning stone rock sand grass leaf branch root "
    "street road sign traffic light fence wall roof chimney garden park beach island boulder anchor rope chain wheel engine "
    "coin wallet bag suitcase basket box envelope stamp letter newspaper map flag trophy medal puzzle dice doll kite yo-yo "
    "wooden spoon fire hydrant stop sign parking meter baseball bat tennis racket wine glass hot dog hair dryer"
).split()
SHAPES = ("shaped", "like", "red", "blue", "green", "old", "small", "big", "wooden", "broken", "shiny", "tiny", "furry")


@dataclass
class Picture:
    """One training picture. Boxes are xyxy in pixels of the visible part."""

    image: np.ndarray  # [h, w, 3] uint8
    boxes: np.ndarray  # [n, 4] float32
    names: list  # n names, None for a sprite without one
    ignored: np.ndarray  # [m, 4] boxes of sprites too hidden to be asked for
    ignored_names: list
    cells: list  # per stride, [h', w'] int64 sprite class, −1 where mixed


class Painter:
    """Draws random pictures; keeps a pool of backgrounds, as they cost more than everything else together."""

    def __init__(self, rng: np.random.Generator, pool: int = 60, renew: float = 0.25):
        self.rng, self.pool, self.size, self.renew = rng, {}, pool, renew

    def backdrop(self, aspect: float) -> np.ndarray:
        rng = self.rng
        pool = self.pool.setdefault(round(aspect, 2), [])
        if len(pool) < self.size or rng.random() < self.renew:
            fresh = background(rng, aspect)
            if len(pool) < self.size:
                pool.append(fresh)
            else:
                pool[rng.integers(len(pool))] = fresh
            return fresh
        picture = pool[rng.integers(len(pool))]
        picture = picture[:: rng.choice([-1, 1]), :: rng.choice([-1, 1])][..., rng.permutation(3)]
        return np.ascontiguousarray(picture)

    def tint(self, sprite: Sprite, wanted: float) -> Sprite:
        """`tinted` for the one level of detail that `draw` will take at this size in pixels."""
        level = sprite.levels[0 if wanted > TILE * 0.7 else 1 if wanted > TILE * 0.35 else 2]
        single = Sprite(sprite.name, sprite.glyph, sprite.class_index, (level,))
        if self.rng.random() < 0.8:
            single = tinted(single, self.rng)
        return Sprite(sprite.name, sprite.glyph, sprite.class_index, single.levels * 3)

    def paint(self, height: int, width: int, sizes=(0.12, 0.55), any_sprite=False, dense=True) -> Picture:
        """`sizes` are fractions of the short side; `any_sprite` draws all glyphs alike (for the backbone phase)."""
        rng, sprites = self.rng, all_sprites()
        named = [s for s in sprites if s.name]
        unnamed = [s for s in sprites if not s.name]
        aspect, short = width / height, min(height, width)
        count = int(rng.integers(1, MAX_SPRITES)) if not any_sprite else int(rng.integers(3, MAX_SPRITES + 1))
        strangers = rng.random() < 0.6
        flock = (
            rng.random() < 0.5
        )  # several of one kind: without many such pictures, a second one is taken for a double of the first
        chosen, poses, circles, tints = [], [], [], []
        for _ in range(count):
            twin = None
            if any_sprite:
                sprite = sprites[rng.integers(len(sprites))]
            elif chosen and rng.random() < (0.6 if flock else 0.05):
                twin = 0 if flock else int(rng.integers(len(chosen)))
                sprite = chosen[twin]
            elif strangers and not (flock and not chosen) and rng.random() < 0.35:
                sprite = unnamed[rng.integers(len(unnamed))]
            else:  # by name, so that a name with two glyphs is not twice as frequent
                name = NAMES[rng.integers(len(NAMES))]
                options = [s for s in named if s.name == name]
                sprite = options[rng.integers(len(options))]
            loose = rng.random() < 0.2
            for attempt in range(8):
                size = float(np.exp(rng.uniform(*np.log(sizes)))) * short
                if twin is not None and rng.random() < 0.6:
                    size = circles[twin][2] * rng.uniform(0.85, 1.15)
                x, y = rng.uniform(0.02, 0.98) * width, rng.uniform(0.02, 0.98) * height
                if attempt > 4 and size > 0.3 * short:
                    continue
                gaps = [np.hypot(x - cx, y - cy) / (size + cs) for cx, cy, cs in circles]
                if loose or all(g > 0.3 for g in gaps):
                    break
            else:
                continue
            circles.append((x, y, size))
            chosen.append(sprite)
            poses.append([x / height, y / height, size / height, rng.uniform(-25, 25), rng.choice([-1, 1]), 1])
            tints.append(tints[twin] if twin is not None and rng.random() < 0.7 else self.tint(sprite, size))
        camera = rng.uniform(-0.8, 0.8, (1, 2)) * MARGIN
        poses = np.array(poses, np.float32).reshape(-1, 6)
        poses[:, :2] += camera
        noise = rng.uniform(0, 0.05) if rng.random() < 0.4 else 0.0
        scene = Scene(self.backdrop(aspect), tints, poses[None], camera, aspect, noise=noise)
        image, owner, areas = draw(scene, 0, height, width, rng)
        if rng.random() < 0.3:
            image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 1.0))
        if rng.random() < 0.3:
            _, packed = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(45, 92))])
            image = cv2.imdecode(packed, cv2.IMREAD_COLOR)
        boxes, names, ignored, ignored_names = [], [], [], []
        for i, sprite in enumerate(chosen):
            ys, xs = np.nonzero(owner == i + 1)
            if not len(ys):
                continue
            box = [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
            whole = (sprite.levels[2][..., 3] > 0.5).mean() * circles[i][2] ** 2
            if len(ys) < 60 or len(ys) < 0.35 * max(whole, areas[i]):
                ignored.append(box)
                ignored_names.append(sprite.name)
            else:
                boxes.append(box)
                names.append(sprite.name)
        cells = cell_classes(owner, [s.class_index for s in chosen], len(sprites)) if dense else []
        return Picture(
            image,
            np.array(boxes, np.float32).reshape(-1, 4),
            names,
            np.array(ignored, np.float32).reshape(-1, 4),
            ignored_names,
            cells,
        )


def cell_classes(owner: np.ndarray, classes: list[int], nothing: int) -> list[np.ndarray]:
    """Which sprite fills each cell of the feature maps: its class, `nothing`, or −1 where that is unclear."""
    height, width = owner.shape
    shapes = feature_shapes(height, width)
    reach = max(shapes[i][0] * STRIDES[i] for i in range(3)), max(shapes[i][1] * STRIDES[i] for i in range(3))
    padded = np.zeros((reach[0], reach[1]), np.uint8)
    padded[:height, :width] = owner
    blocks = (
        padded.reshape(reach[0] // 16, 16, reach[1] // 16, 16)
        .swapaxes(1, 2)
        .reshape(reach[0] // 16, reach[1] // 16, 256)
    )
    share = (
        np.stack([(blocks == i + 1).mean(-1) for i in range(len(classes))])
        if classes
        else np.zeros((1, *blocks.shape[:2]))
    )
    table = np.array((list(classes) or [nothing]), np.int64)
    out = []
    for (h, w), stride in zip(shapes, STRIDES):
        part = share[:, : h * stride // 16, : w * stride // 16]
        factor = stride // 16
        part = part.reshape(len(part), h, factor, w, factor).mean((2, 4))
        best = part.max(0)
        out.append(np.where(best > 0.25, table[part.argmax(0)], np.where(part.sum(0) < 0.06, nothing, -1)))
    return out


def feature_shapes(height: int, width: int) -> list[tuple[int, int]]:
    def half(n):
        return -(-n // 2)

    h, w = half(-(-height // 8)), half(-(-width // 8))
    shapes = []
    for _ in range(3):
        shapes.append((h, w))
        h, w = half(h), half(w)
    return shapes


def spelled(name: str, rng) -> str:
    """Mostly the bare name; now and then its plural or with an article."""
    turn = rng.random()
    return name + "s" if turn < 0.06 else f"{rng.choice(['a', 'the'])} {name}" if turn < 0.14 else name


def stranger(rng, held_out: bool = False) -> str:
    """A phrase that names nothing in this world."""
    words = [w for w in STRANGERS[::10]] if held_out else [w for i, w in enumerate(STRANGERS) if i % 10]
    words = [w for w in words if w not in NAMED]

    def letters(low, high):
        return "".join(rng.choice(list(string.ascii_lowercase), int(rng.integers(low, high))))

    kind = rng.random()
    if kind < 0.35:
        return str(rng.choice(words))
    if kind < 0.6:
        return letters(2, 11)
    if kind < 0.7:  # begins like a name
        return str(rng.choice(NAMES)) + letters(2, 6)
    if kind < 0.85:
        return f"{rng.choice(words)} {rng.choice(words)}"
    return f"{rng.choice(words)}-{rng.choice(SHAPES)} {rng.choice(words)}"


def random_prompt(present: list[str], rng) -> list[tuple[str, str | None]]:
    """Phrases of a training prompt with the name each one asks for (None: a stranger)."""
    present = list(dict.fromkeys(present))
    absent = [n for n in NAMES if n not in present]
    wanted = int(rng.integers(1, 9))
    picked = []
    if present and rng.random() > 0.15:
        order = [present[i] for i in rng.permutation(len(present))]
        picked = [n for i, n in enumerate(order) if i == 0 or rng.random() < 0.8][:wanted]
    fill = int(rng.integers(0, wanted - len(picked) + 1))
    picked += [absent[i] for i in rng.permutation(len(absent))[:fill]]
    phrases = [(spelled(n, rng), n) for n in picked]
    if not phrases or rng.random() < 0.4:
        phrases += [(stranger(rng), None) for _ in range(int(rng.integers(1, 3)))]
    return [phrases[i] for i in rng.permutation(len(phrases))]


def encode_prompt(phrases: list[str]) -> tuple[list[int], list[tuple[int, int]]]:
    """Token ids as the tokenizer gives them for "a. b.", and each phrase's first and past-the-end token."""
    ids, spans = [CLS], []
    for phrase in phrases:
        start = len(ids)
        ids.extend(phrase_ids(phrase))
        spans.append((start, len(ids)))
        ids.append(DOT)
    return ids + [SEP], spans


def to_tensor(images: list[np.ndarray]) -> torch.Tensor:
    stack = (np.stack(images).astype(np.float32) / 255 - MEAN) / STD
    return torch.from_numpy(stack).permute(0, 3, 1, 2).contiguous()


def batch_of(painter: Painter, rng, count: int, height: int, width: int, sizes) -> dict:
    """A detection batch. Per image: `boxes` (cxcywh in 0..1, only those asked for), `words` [n, L] the tokens of each."""
    pictures = [painter.paint(height, width, sizes) for _ in range(count)]
    prompts = [random_prompt([n for n in p.names + p.ignored_names if n], rng) for p in pictures]
    encoded = [encode_prompt([phrase for phrase, _ in prompt]) for prompt in prompts]
    length = max(len(ids) for ids, _ in encoded)
    ids, mask = torch.zeros(count, length, dtype=torch.long), torch.zeros(count, length, dtype=torch.long)
    boxes, words, ignored = [], [], []
    scale = np.float32([width, height, width, height])
    for i, (picture, prompt, (tokens, spans)) in enumerate(zip(pictures, prompts, encoded)):
        ids[i, : len(tokens)] = torch.tensor(tokens)
        mask[i, : len(tokens)] = 1
        where = {name: span for (_, name), span in zip(prompt, spans) if name}
        kept = [j for j, name in enumerate(picture.names) if name in where]
        target = torch.zeros(len(kept), length)
        for row, j in enumerate(kept):
            start, stop = where[picture.names[j]]
            target[row, start:stop] = 1
        boxes.append(torch.from_numpy(to_centre(picture.boxes[kept] / scale)))
        words.append(target)
        ignored.append(torch.from_numpy(to_centre(picture.ignored / scale)))
    cells = [torch.from_numpy(np.stack([p.cells[level] for p in pictures])).flatten(1) for level in range(3)]
    return dict(
        pixels=to_tensor([p.image for p in pictures]),
        ids=ids,
        mask=mask,
        boxes=boxes,
        words=words,
        ignored=ignored,
        cells=cells,
    )


def to_centre(boxes: np.ndarray) -> np.ndarray:
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    return np.concatenate([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]], 1)
