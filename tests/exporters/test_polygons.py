"""Polygons, filled again by those who read them."""

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco

from tests.support.truth import ALL, CORNER, EDGE, ISLAND, PARTS, PIXEL, RING, disc, iou, shape
from vidseg.exporters.polygons import centre_polygon, edge_polygons
from vidseg.tracks.frame import mask_bounds

WHOLE = {  # in one part, or in parts near each other
    "ring": RING,
    "corner": CORNER,
    "pixel": PIXEL,
    "island": ISLAND,
    "all": ALL,
    "edge": EDGE,
    "parts": PARTS,
    "line": shape((3, 3, 1, 20)),
    "two pixels": shape((3, 3, 2, 1)),
    "disc": disc(20, 20, 3),
    "diagonal": np.eye(48, 64, dtype=bool),
    "holes": disc(30, 24, 22) & ~shape(*[(x, y, 1, 1) for x in range(14, 46, 3) for y in range(10, 38, 3)]),
    "frame": ALL & ~shape((1, 1, 62, 46)),
    "hole in a corner": shape((0, 0, 20, 20), holes=[(1, 1, 3, 3), (4, 4, 3, 3)]),
}


def crop(mask):
    x1, y1, x2, y2 = mask_bounds(mask)
    return mask[y1:y2, x1:x2]


def filled(polygon, size):
    return cv2.fillPoly(np.zeros(size, np.uint8), [polygon], 1).astype(bool)


def drawn(polygons, size):
    return coco.decode(coco.merge(coco.frPyObjects([polygon.ravel().tolist() for polygon in polygons], *size))).astype(
        bool
    )


def wavering(random, size=200):
    """A blob with a rough outline and some holes."""
    angles = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    radii = 60 * (1 + 0.2 * random.standard_normal(60).cumsum() / 8)
    outline = size / 2 + radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    mask = cv2.fillPoly(np.zeros((size, size), np.uint8), [outline.round().astype(np.int32)], 1)
    for _ in range(8):
        cv2.circle(mask, random.integers(60, 140, 2).tolist(), int(random.integers(0, 9)), 0, -1)
    return crop(mask.astype(bool))


@pytest.mark.parametrize("name", WHOLE)
def test_one_polygon_gives_the_mask_back(name):
    mask = crop(WHOLE[name])
    polygon = centre_polygon(mask)
    assert polygon.dtype == np.int32 and polygon.shape[0] >= 3 and polygon.shape[1] == 2
    assert polygon.min() >= 0 and (polygon.max(axis=0) < mask.shape[::-1]).all()
    assert iou(filled(polygon, mask.shape), mask) >= 0.97


@pytest.mark.parametrize("name", WHOLE)
def test_a_polygon_a_part_gives_the_mask_back(name):
    mask = crop(WHOLE[name])
    polygons = edge_polygons(mask)
    assert len(polygons) == cv2.connectedComponents(mask.astype(np.uint8))[0] - 1
    assert all(
        len(polygon) >= 3 and polygon.min() >= 0 and (polygon.max(axis=0) <= mask.shape[::-1]).all()
        for polygon in polygons
    )
    assert iou(drawn(polygons, mask.shape), mask) >= 0.98


def test_rough_blobs_with_holes():
    random = np.random.default_rng(1)
    for _ in range(30):
        mask = wavering(random)
        assert iou(filled(centre_polygon(mask), mask.shape), mask) >= 0.97
        assert iou(drawn(edge_polygons(mask), mask.shape), mask) >= 0.98


@pytest.mark.parametrize("density", [0.3, 0.6, 0.9])
def test_noise(density):
    """Nothing but parts and holes: exact where every pixel counts, and joined without a fault."""
    mask = np.random.default_rng(2).random((30, 40)) < density
    assert iou(drawn(edge_polygons(mask), mask.shape), mask) >= 0.98
    assert iou(filled(centre_polygon(mask), mask.shape), mask) >= 0.7


def test_outlines_are_simplified():
    assert (
        len(centre_polygon(crop(disc(30, 24, 20)))) < 45 and len(centre_polygon(shape((0, 0, 60, 40))[:40, :60])) == 4
    )
    assert len(edge_polygons(shape((0, 0, 60, 40))[:40, :60])[0]) == 4


def test_parts_are_joined_by_the_shortest_bridges():
    mask = np.zeros((20, 200), bool)
    for x in (0, 30, 60, 180):  # bridges of 9, 9 and 99 pixels
        mask[:, x : x + 20] = True
    bridges = filled(centre_polygon(mask), mask.shape) & ~mask
    assert (
        filled(centre_polygon(mask), mask.shape)[mask].all()
        and bridges.any(axis=0).sum() == bridges.sum() == 10 + 10 + 100
    )


def test_a_speck_is_not_worth_a_long_bridge():
    mask = np.zeros((30, 200), bool)
    mask[5:25, :40], mask[12, 150], mask[10:14, 42:46] = True, True, True
    assert np.array_equal(filled(centre_polygon(mask), mask.shape)[:, 60:], np.zeros((30, 140), bool))
    assert filled(centre_polygon(mask), mask.shape)[10:14, 42:46].all()


def test_a_small_hole_far_from_the_edge_stays():
    mask = np.ones((300, 300), bool)
    mask[150:155, 150:155] = False
    for again in (filled(centre_polygon(mask), mask.shape), drawn(edge_polygons(mask), mask.shape)):
        assert not again[151:154, 151:154].any() and (again != mask).sum() < 20
