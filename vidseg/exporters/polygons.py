"""Masks as polygons.

A mask can have several parts and holes, and a polygon is one closed line. Rings (the outlines of parts and holes) are
therefore joined by bridges: the line leaves a ring, goes straight to the next, around it, and back the same way.
Readers fill what is enclosed once; what is enclosed twice or not at all is outside, so a hole stays a hole.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

TOLERANCES = (1.0, 0.5)  # pixels: how far a simplified outline may be off; tried in turn
LEAF_SIZE = 16  # points in a leaf of the search tree; decides between points that are equally near
FAITHFUL = 0.98  # IoU with the mask from which on a simplified outline will do


def centre_polygon(mask: np.ndarray) -> np.ndarray:
    """One polygon through pixel centres for a mask, whatever its parts and holes.

    `cv2.fillPoly`, which draws the line as well as what it encloses, gives the mask back with an IoU of FAITHFUL or
    more, unless parts are far from each other for their size: a bridge between them is drawn, too. A part that is
    smaller than the bridge to it is left out.

    Args:
        mask: H×W bool, not empty.

    Returns:
        x and y in pixels, [N, 2] int32.
    """
    rings = [(ring, place == 0) for part in _parts(mask) for place, ring in enumerate(part)]
    polygon = join([ring for ring, _ in rings], [outline for _, outline in rings])
    for tolerance in TOLERANCES:
        simple = cv2.approxPolyDP(polygon, tolerance, True).reshape(-1, 2)
        if len(simple) >= 3 and _iou(cv2.fillPoly(np.zeros(mask.shape, np.uint8), [simple], 1), mask) >= FAITHFUL:
            return simple
    return _straightened(polygon)


def edge_polygons(mask: np.ndarray) -> list[np.ndarray]:
    """Polygons along the edges of pixels, one for each part of a mask.

    Holes are cut in by bridges. Filled by pycocotools, the polygons give the mask back with an IoU of FAITHFUL or more.

    Args:
        mask: H×W bool, not empty.

    Returns:
        x from 0 to W and y from 0 to H, [N, 2] int32 for each part.
    """
    # At twice the size, the two pixels on either side of an edge are different ones.
    double = np.repeat(np.repeat(mask, 2, axis=0), 2, axis=1)
    exact = [(polygon + polygon % 2) // 2 for polygon in map(join, _parts(double))]
    for tolerance in TOLERANCES:
        simple = [cv2.approxPolyDP(polygon, tolerance, True).reshape(-1, 2) for polygon in exact]
        if all(len(polygon) >= 3 for polygon in simple) and _iou(_filled(simple, mask.shape), mask) >= FAITHFUL:
            return simple
    return [_straightened(polygon) for polygon in exact]


def join(rings: list[np.ndarray], optional: Sequence[bool] = ()) -> np.ndarray:
    """Join rings to one, by bridges that are as short as can be, all in all.

    Args:
        rings: of [Ni, 2] int points.
        optional: for each ring, whether to leave it out if it encloses fewer pixels than the bridge to it covers and no
            other ring hangs on it.

    Returns:
        One ring, [N, 2] int32.
    """
    sizes = [abs(cv2.contourArea(ring)) + len(ring) / 2 + 1 for ring in rings]  # pixels, after Pick
    links = _links(rings, first=int(np.argmax(sizes)))
    hanging: list[list[tuple[int, np.ndarray]]] = [[] for _ in rings]
    for child, parent, leave, enter, distance in reversed(links):  # a ring comes before those that hang on it
        if optional and optional[child] and not hanging[child] and sizes[child] < distance - 1:
            continue
        ring = np.roll(rings[child], -enter, axis=0)  # which begins where the bridge comes in
        loop = _expanded(ring, [((place - enter) % len(ring), other) for place, other in hanging[child]])
        hanging[parent].append((leave, np.concatenate([loop, loop[:1]])))
    first = links[0][1] if links else 0
    return _expanded(rings[first], hanging[first])


def _links(rings: list[np.ndarray], first: int) -> list[tuple[int, int, int, int, float]]:
    """Which rings to join, the nearest first: (ring, ring it hangs on, place there, own place, distance in pixels)."""
    from scipy.spatial import KDTree

    points, lengths = np.concatenate(rings), [len(ring) for ring in rings]
    owners, starts = np.repeat(np.arange(len(rings)), lengths), np.cumsum([0, *lengths])
    # Of each point to the rings that are joined
    distances, nearest = np.full(len(points), np.inf), np.zeros(len(points), int)
    links, latest, waiting = [], first, np.flatnonzero(owners != first)
    while len(waiting):
        found, places = map(np.asarray, KDTree(rings[latest], LEAF_SIZE).query(points[waiting]))
        closer = found < distances[waiting]
        distances[waiting[closer]], nearest[waiting[closer]] = found[closer], starts[latest] + places[closer]
        enter = waiting[np.argmin(distances[waiting])]
        leave, latest = nearest[enter], owners[enter]
        parent = owners[leave]
        links.append(
            (
                int(latest),
                int(parent),
                int(leave - starts[parent]),
                int(enter - starts[latest]),
                float(distances[enter]),
            )
        )
        waiting = waiting[owners[waiting] != latest]
    return links


def _expanded(ring: np.ndarray, loops: list[tuple[int, np.ndarray]]) -> np.ndarray:
    """A ring with loops put in after the points at their places, each followed by the point again."""
    pieces, done = [], 0
    for place, loop in sorted(loops, key=lambda entry: entry[0]):
        pieces += [ring[done : place + 1], loop, ring[place : place + 1]]
        done = place + 1
    return np.concatenate([*pieces, ring[done:]])


def _parts(mask: np.ndarray) -> list[list[np.ndarray]]:
    """Parts of an H×W bool mask, each as [outline, holes …]: [N, 2] int32 rings of pixels along the inner border."""
    contours, (tree,) = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    parts = {number: [contour.reshape(-1, 2)] for number, contour in enumerate(contours) if tree[number][3] < 0}
    for number, contour in enumerate(contours):
        if tree[number][3] >= 0:
            parts[tree[number][3]].append(contour.reshape(-1, 2))
    return list(parts.values())


def _straightened(polygon: np.ndarray) -> np.ndarray:
    """The same polygon without points in the middle of straight lines; three points at least."""
    distinct = polygon[(polygon != np.roll(polygon, 1, axis=0)).any(axis=1)]
    before, after = (distinct - np.roll(distinct, 1, axis=0)).T, (np.roll(distinct, -1, axis=0) - distinct).T
    parallel, forward = before[0] * after[1] == before[1] * after[0], (before * after).sum(axis=0) > 0
    kept = distinct[~(parallel & forward)] if len(distinct) else polygon[:1]
    return kept if len(kept) >= 3 else np.resize(kept, (3, 2))


def _filled(polygons: list[np.ndarray], size: tuple[int, int]) -> np.ndarray:
    """Polygons along the edges of pixels as an H×W mask."""
    from pycocotools import mask as coco

    return coco.decode(coco.merge(coco.frPyObjects([polygon.ravel().tolist() for polygon in polygons], *size)))


def _iou(filled: np.ndarray, mask: np.ndarray) -> float:
    filled = filled.astype(bool)
    return (filled & mask).sum() / (filled | mask).sum()
