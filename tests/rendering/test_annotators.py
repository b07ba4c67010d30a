"""Each style changes what it should, and nothing else."""

from typing import Any

import cv2
import numpy as np
import pytest

from tests.rendering.test_render import tracked
from vidseg.rendering.annotators import TRAIL, OverlayAnnotator
from vidseg.rendering.labels import label_font, place_label
from vidseg.rendering.objects import objects_of
from vidseg.rendering.options import STYLES
from vidseg.rendering.palette import PALETTE, Colours, colour_of

SIZE = (320, 240)
BOXES = [(60, 80, 140, 160), (200, 40, 260, 120)]


def scene(boxes=BOXES, ids=(1, 2), names=None, size=SIZE, index=0, time=0.0) -> Any:
    """A frame of noise with discs in the boxes, the first with a hole."""
    frame = tracked(size, list(boxes), list(ids), names, index, time)
    noise = np.random.default_rng(0).integers(0, 255, (*frame.image.shape[:2], 3), np.uint8)
    frame.image = cv2.GaussianBlur(noise, (0, 0), 2)
    for mask, (x1, y1, x2, y2) in zip(frame.detections.mask, boxes):
        disc = np.zeros(mask.shape, np.uint8)
        cv2.ellipse(disc, ((x1 + x2) // 2, (y1 + y2) // 2), ((x2 - x1) // 2 - 1, (y2 - y1) // 2 - 1), 0, 0, 360, 1, -1)
        np.logical_and(mask, disc, out=mask)
    if len(boxes):
        x, y = (boxes[0][0] + boxes[0][2]) // 2, (boxes[0][1] + boxes[0][3]) // 2
        frame.detections.mask[0, y - 4 : y + 4, x - 4 : x + 4] = False
    return frame


def paint(style, frame=None, **options):
    """(frame, its picture in one style, H×W bool of the pixels that changed, H×W bool of the objects)."""
    frame = frame or scene()
    before = frame.image.copy()
    picture = OverlayAnnotator([style], **options).annotate(frame)
    assert np.array_equal(frame.image, before) and picture.shape == before.shape and picture.dtype == np.uint8
    return frame, picture, (picture != before).any(axis=2), frame.detections.mask.any(axis=0)


@pytest.mark.parametrize("style", ["blur-background", "spotlight"])
def test_backgrounds_change_and_objects_do_not(style):
    frame, picture, changed, objects = paint(style)
    assert not changed[objects].any() and changed[~objects].mean() > 0.9


def test_a_spotlight_darkens_and_a_blur_evens_out():
    frame, picture, _, objects = paint("spotlight")
    assert np.allclose(picture[~objects], frame.image[~objects] * 0.3, atol=1)
    frame, picture, _, objects = paint("blur-background")
    assert picture[~objects].std() < 0.4 * frame.image[~objects].std()
    assert abs(picture[~objects].mean() - frame.image[~objects].mean()) < 8


def test_no_colour_of_an_object_leaks_into_the_blur():
    frame = scene()
    frame.image[:] = 50
    frame.image[frame.detections.mask.any(axis=0)] = 255
    picture = OverlayAnnotator(["blur-background"]).annotate(frame)
    far = ~cv2.dilate(frame.detections.mask.any(axis=0).astype(np.uint8), np.ones((13, 13))).astype(bool)
    assert picture[far].max() < 60


@pytest.mark.parametrize("style", ["pixelate", "mask"])
def test_objects_change_and_backgrounds_do_not(style):
    frame, picture, changed, objects = paint(style)
    assert not changed[~objects].any() and changed[objects].mean() > 0.9


def test_pixelated_objects_are_squares_of_one_colour():
    frame, picture, _, objects = paint("pixelate", scene(BOXES[:1], (1,)))
    colours = np.unique(picture[objects], axis=0)
    assert 10 < len(colours) <= 13 * 13 and abs(picture[objects].mean() - frame.image[objects].mean()) < 6
    whole = tracked(SIZE, [(0, 0, *SIZE)], [1])  # the whole picture, up to its borders
    whole.image = frame.image
    assert len(np.unique(OverlayAnnotator(["pixelate"]).annotate(whole).reshape(-1, 3), axis=0)) <= 13 * 13


@pytest.mark.parametrize("opacity", [0.0, 0.3, 1.0])
def test_opacity_of_the_fill(opacity):
    frame, picture, _, _ = paint("mask", opacity=opacity)
    for object_id, mask in zip((1, 2), frame.detections.mask):
        expected = frame.image[mask] * (1 - opacity) + np.array(colour_of(object_id)) * opacity
        assert np.abs(picture[mask] - expected).max() <= 0.51


def test_contours_run_along_the_edges_and_around_holes():
    frame, _, changed, _ = paint("contour")
    # Around the hole
    assert changed[120, 95:97].any() and changed[120, 103:105].any() and not changed[120, 98:102].any()
    for mask in frame.detections.mask.astype(np.uint8):
        edge = mask - cv2.erode(mask, np.ones((3, 3), np.uint8), borderValue=0)
        assert changed[edge > 0].mean() > 0.95
        changed &= ~(cv2.dilate(edge, np.ones((5, 5), np.uint8)) > 0)
    assert not changed.any()


def test_a_halo_glows_on_the_background_only_and_fades():
    frame, picture, changed, objects = paint("halo", scene(BOXES[:1], (1,)))
    assert not changed[objects].any()
    assert not changed[:, 200:].any() and changed[120, 55]
    distance = np.abs(picture[120, 50:60].astype(int) - colour_of(1)).sum(axis=1)
    assert distance[-1] < distance[0] / 2


@pytest.mark.parametrize("size", [SIZE, (1280, 720)])
def test_boxes_lie_inside_the_picture(size):
    width, height = size
    frame, picture, changed, _ = paint("box", tracked(size, [(0, 0, width, height), (40, 60, 100, 160)], [1, 2]))
    for y, x in ((0, width // 2), (height - 1, width // 2), (height // 2, 0), (height // 2, width - 1)):
        assert picture[y, x].tolist() == list(colour_of(1))
    for y, x in ((60, 70), (159, 70), (100, 40), (100, 99)):
        assert picture[y, x].tolist() == list(colour_of(2))
    assert not changed[70:150, 50:90].any()


def test_trails_follow_break_and_end():
    annotator = OverlayAnnotator(["trail"])
    for index in range(100):
        x = 20 + 2 * index
        seen = not 70 <= index < 80
        frame = tracked(
            SIZE, [(x - 5, 100, x + 5, 110)] if seen else [], [3] if seen else [], index=index, time=index / 25
        )
        picture = annotator.annotate(frame)
        if not seen:
            assert np.array_equal(picture, frame.image)
    changed = (picture != frame.image).any(axis=2)
    columns = np.flatnonzero(changed.any(axis=0))
    assert 216 <= columns.max() <= 222 and abs(columns.min() - (218 - 2 * 25 * TRAIL)) < 6
    assert not changed[:, 20 + 2 * 69 + 6 : 20 + 2 * 80 - 6].any()  # where it was out of view
    assert np.flatnonzero(changed.any(axis=1)).tolist()[0] > 98
    annotator.observe(tracked(SIZE, [], [], index=300, time=12.0))
    assert not annotator._trails  # objects that are gone are forgotten: nothing grows with the clip


def test_styles_are_drawn_in_one_order():
    frame = scene()
    assert np.array_equal(
        OverlayAnnotator(["label", "contour", "mask"]).annotate(frame),
        OverlayAnnotator(["mask", "contour", "label"]).annotate(frame),
    )
    everything = OverlayAnnotator(STYLES).annotate(frame)
    plain = (everything == colour_of(1)).all(axis=2)
    assert plain[60:80, 60:110].sum() > 300  # the tag lies on top


@pytest.mark.parametrize("style", STYLES)
def test_every_style_takes_awkward_objects(style):
    """One pixel, a mask that is empty, all of the picture, the corners, and no object at all."""
    width, height = 97, 65
    boxes = [
        (10, 10, 11, 11),
        (0, 0, width, height),
        (0, 0, 5, 5),
        (width - 5, height - 5, width, height),
        (30, 30, 30, 30),
    ]
    annotator = OverlayAnnotator([style])
    assert annotator.annotate(tracked((width, height), boxes, [1, 2, 3, 4, 5])).shape == (height, width, 3)
    none = tracked((width, height), [], [], index=1)
    empty = annotator.annotate(none)
    assert (style in ("blur-background", "spotlight")) or np.array_equal(empty, none.image)


# --- colours and labels ---


def test_colours_by_label_are_those_of_the_order_they_come_in():
    frame = scene(ids=(7, 9), names=["dog", "ball"])

    def colours_of(colours):
        return [colours.of(one.id, one.label) for one in objects_of(frame.detections)]

    assert colours_of(Colours("id")) == [colour_of(7), colour_of(9)]
    assert colours_of(Colours("label")) == [colour_of(0), colour_of(1)]
    assert colours_of(Colours("label", ["cat", "ball", "dog"])) == [colour_of(2), colour_of(1)]
    colours = Colours("label")
    colours.note(["ball"])
    assert colours_of(colours) == [colour_of(1), colour_of(0)]
    assert Colours("id").of(12 + 5, "dog") == colour_of(5)


def test_the_palette_is_told_apart_by_the_colour_blind():
    """No two colours look alike, also without red or green cones (Viénot, Brettel and Mollon, 1999)."""
    linear = (np.array([colour_of(i) for i in range(len(PALETTE))]) / 255) ** 2.2
    to_lms = np.array([[17.8824, 43.5161, 4.11935], [3.45565, 27.1554, 3.86714], [0.0299566, 0.184309, 1.46709]])
    no_red = np.array([[0, 2.02344, -2.52581], [0, 1, 0], [0, 0, 1]])
    no_green = np.array([[1, 0, 0], [0.494207, 0, 1.24827], [0, 0, 1]])
    for loss in (np.eye(3), no_red, no_green):
        seen = (linear @ (np.linalg.inv(to_lms) @ loss @ to_lms).T).clip(0, 1) ** (1 / 2.2) * 255
        lab = cv2.cvtColor(seen.astype(np.float32)[None] / 255, cv2.COLOR_RGB2LAB)[0]
        apart = np.linalg.norm(lab[:, None] - lab, axis=2) + 1e3 * np.eye(len(lab))
        assert apart.min() > 5, (loss, np.unravel_index(apart.argmin(), apart.shape), apart.min())


def test_labels_find_the_nearest_free_place():
    assert place_label([100, 50, 150, 90], (40, 10), (320, 240), []) == (100, 40)
    assert place_label([100, 5, 150, 90], (40, 10), (320, 240), []) == (100, 0)
    assert place_label([300, 50, 320, 90], (40, 10), (320, 240), []) == (280, 40)
    assert place_label([100, 50, 150, 90], (40, 10), (320, 240), [(90, 35, 130, 45)]) in ((100, 45), (100, 25))
    crowd = []
    for _ in range(40):
        x, y = place_label([0, 0, 30, 30], (60, 16), (426, 240), crowd)
        assert 0 <= x <= 426 - 60 and 0 <= y <= 240 - 16
        assert not any(x < x2 and x1 < x + 60 and y < y2 and y1 < y + 16 for x1, y1, x2, y2 in crowd)
        crowd.append((x, y, x + 60, y + 16))
    full = [(0, 0, 426, 240)]
    assert place_label([100, 50, 150, 90], (60, 16), (426, 240), full) == (100, 34)  # no room anywhere
    assert place_label([0, 0, 5, 5], (60, 16), (40, 10), []) == (0, 0)  # larger than the picture


@pytest.mark.parametrize(("side", "least"), [(240, 9), (2160, 40)])
def test_text_is_large_enough_to_read(side, least):
    assert label_font(side).style.extent("dog #1").ascent >= least
