"""Training pictures for the demo detector: sprites of the made-up world over random backdrops."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from scripts.demo_models.world.backgrounds import background
from scripts.demo_models.world.scene import MARGIN, Scene, as_jpeg, draw
from scripts.demo_models.world.sprites import NAMED, Sprite, all_sprites, sprites_named, tinted

STRIDES = (16, 32, 64)
MAX_SPRITES = 8
LEAST, LEAST_SHARE = 60, 0.35  # pixels, and share of the sprite, that must show of what is asked for


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One training picture. Boxes are xyxy in pixels of the visible part.

    Attributes:
        image: [h, w, 3] uint8.
        boxes: [n, 4] float32.
        names: n names, "" for a sprite without one.
        ignored: [m, 4] boxes of sprites too hidden to be asked for.
        ignored_names: m names.
        cells: per stride, [h', w'] int64 sprite class, −1 where mixed.
    """

    image: np.ndarray
    boxes: np.ndarray
    names: list[str]
    ignored: np.ndarray
    ignored_names: list[str]
    cells: list[np.ndarray]


@dataclass(frozen=True)
class Mix:
    """What kinds of sprites a picture has.

    Attributes:
        any_sprite: all glyphs alike (for the backbone phase).
        strangers: some without a name.
        flock: several of one kind. Without many such pictures, a second one is taken for a double of the first.
    """

    any_sprite: bool
    strangers: bool
    flock: bool


@dataclass(frozen=True, kw_only=True)
class Placed:
    """A sprite and where it stands, in pixels.

    Attributes:
        sprite: the sprite.
        tint: the same in the colours in which it is drawn.
        x: of its centre.
        y: of its centre.
        size: its longer side.
        angle: in degrees.
        flip: 1, or -1 in the mirror.
    """

    sprite: Sprite
    tint: Sprite
    x: float
    y: float
    size: float
    angle: float
    flip: int


class Painter:
    """Draws random pictures; keeps a pool of backgrounds, as they cost more than everything else together.

    Args:
        rng: what the pictures are drawn from.
        pool: backgrounds to keep for each aspect.
        renew: share of pictures with a fresh background, once the pool is full.
    """

    def __init__(self, rng: np.random.Generator, pool: int = 60, renew: float = 0.25):
        self.rng = rng
        self._pool: dict[float, list[np.ndarray]] = {}
        self._size, self._renew = pool, renew

    def paint(
        self,
        height: int,
        width: int,
        sizes: tuple[float, float] = (0.12, 0.55),
        any_sprite: bool = False,
        dense: bool = True,
    ) -> Picture:
        """Draw a picture.

        Args:
            height: in pixels.
            width: in pixels.
            sizes: range of the sprites' sizes, as fractions of the short side.
            any_sprite: draw all glyphs alike (for the backbone phase).
            dense: fill `cells` of the picture.
        """
        rng = self.rng
        placed = self._arrange(height, width, sizes, any_sprite)
        camera = rng.uniform(-0.8, 0.8, (1, 2)) * MARGIN
        poses = np.array(
            [(p.x / height, p.y / height, p.size / height, p.angle, p.flip, 1) for p in placed], np.float32
        ).reshape(-1, 6)
        poses[:, :2] += camera
        noise = rng.uniform(0, 0.05) if rng.random() < 0.4 else 0.0
        aspect = width / height
        scene = Scene(self._backdrop(aspect), [p.tint for p in placed], poses[None], camera, aspect, noise)
        image, owner, areas = draw(scene, 0, height, width, rng)
        return picture_of(worn(rng, image), owner, areas, placed, dense)

    def _arrange(self, height: int, width: int, sizes: tuple[float, float], any_sprite: bool) -> list[Placed]:
        rng, placed = self.rng, []
        count = int(rng.integers(3, MAX_SPRITES + 1) if any_sprite else rng.integers(1, MAX_SPRITES))
        mix = Mix(any_sprite, strangers=bool(rng.random() < 0.6), flock=bool(rng.random() < 0.5))
        for _ in range(count):
            sprite, twin = self._choose(placed, mix)
            place = self._find_place(placed, twin, sizes, height, width)
            if place is None:
                continue
            x, y, size = place
            angle, flip = rng.uniform(-25, 25), rng.choice([-1, 1])
            tint = twin.tint if twin is not None and rng.random() < 0.7 else self._tint(sprite, size)
            placed.append(Placed(sprite=sprite, tint=tint, x=x, y=y, size=size, angle=angle, flip=flip))
        return placed

    def _choose(self, placed: list[Placed], mix: Mix) -> tuple[Sprite, Placed | None]:
        """The next sprite, and the one before that it is to be like."""
        rng, sprites = self.rng, all_sprites()
        if mix.any_sprite:
            return sprites[rng.integers(len(sprites))], None
        if placed and rng.random() < (0.6 if mix.flock else 0.05):
            twin = placed[0 if mix.flock else int(rng.integers(len(placed)))]
            return twin.sprite, twin
        if mix.strangers and not (mix.flock and not placed) and rng.random() < 0.35:
            unnamed = sprites_named("")
            return unnamed[rng.integers(len(unnamed))], None
        # By name, so that a name with two glyphs is not twice as frequent.
        names = list(NAMED)
        options = sprites_named(names[rng.integers(len(names))])
        return options[rng.integers(len(options))], None

    def _find_place(
        self, placed: list[Placed], twin: Placed | None, sizes: tuple[float, float], height: int, width: int
    ) -> tuple[float, float, float] | None:
        """Where there is room: x, y and size. Now and then it need not be free."""
        rng, short = self.rng, min(height, width)
        loose = rng.random() < 0.2
        for attempt in range(8):
            size = float(np.exp(rng.uniform(*np.log(sizes)))) * short
            if twin is not None and rng.random() < 0.6:
                size = twin.size * rng.uniform(0.85, 1.15)
            x, y = rng.uniform(0.02, 0.98) * width, rng.uniform(0.02, 0.98) * height
            if attempt > 4 and size > 0.3 * short:
                continue
            gaps = [np.hypot(x - other.x, y - other.y) / (size + other.size) for other in placed]
            if loose or all(gap > 0.3 for gap in gaps):
                return x, y, size
        return None

    def _tint(self, sprite: Sprite, wanted: float) -> Sprite:
        """`tinted` for the one level of detail that `draw` will take at this size in pixels."""
        single = replace(sprite, levels=(sprite.level(wanted),))
        if self.rng.random() < 0.8:
            single = tinted(single, self.rng)
        return replace(sprite, levels=single.levels * 3)

    def _backdrop(self, aspect: float) -> np.ndarray:
        rng = self.rng
        pool = self._pool.setdefault(round(aspect, 2), [])
        if len(pool) < self._size or rng.random() < self._renew:
            fresh = background(rng, aspect)
            if len(pool) < self._size:
                pool.append(fresh)
            else:
                pool[rng.integers(len(pool))] = fresh
            return fresh
        picture = pool[rng.integers(len(pool))]
        picture = picture[:: rng.choice([-1, 1]), :: rng.choice([-1, 1])][..., rng.permutation(3)]
        return np.ascontiguousarray(picture)


def worn(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """What a lens and a codec do to a picture, now and then."""
    if rng.random() < 0.3:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 1.0))
    if rng.random() < 0.3:
        image = as_jpeg(image, int(rng.integers(45, 92)))
    return image


def picture_of(image: np.ndarray, owner: np.ndarray, areas: np.ndarray, placed: list[Placed], dense: bool) -> Picture:
    """What was drawn as a training picture: what can be asked for, and what is too hidden for that."""
    boxes, names, ignored, ignored_names = [], [], [], []
    for i, one in enumerate(placed):
        ys, xs = np.nonzero(owner == i + 1)
        if not len(ys):
            continue
        box = [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
        whole = (one.sprite.levels[2][..., 3] > 0.5).mean() * one.size**2
        if len(ys) < LEAST or len(ys) < LEAST_SHARE * max(whole, areas[i]):
            ignored.append(box)
            ignored_names.append(one.sprite.name)
        else:
            boxes.append(box)
            names.append(one.sprite.name)
    classes = [one.sprite.class_index for one in placed]
    return Picture(
        image=image,
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        names=names,
        ignored=np.array(ignored, np.float32).reshape(-1, 4),
        ignored_names=ignored_names,
        cells=cell_classes(owner, classes, len(all_sprites())) if dense else [],
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
    """Rows and columns of each feature map of a picture."""

    def half(n: int) -> int:
        return -(-n // 2)

    h, w = half(-(-height // 8)), half(-(-width // 8))
    shapes = []
    for _ in range(3):
        shapes.append((h, w))
        h, w = half(h), half(w)
    return shapes
