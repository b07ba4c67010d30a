"""Prompts by hand: what is one, what is not, and prompts files."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from vidseg.errors import InputError
from vidseg.prompts.file import read_prompts
from vidseg.prompts.geometry import Box, MaskPrompt, Points
from vidseg.prompts.object_prompt import ObjectPrompt, clip_to_frame, object_prompt, prompts_from_arrays
from vidseg.tracks.rle import encode_mask

WIDTH, HEIGHT = 40, 30
MASK = np.zeros((HEIGHT, WIDTH), bool)
MASK[5:20, 8:30] = True


def mask_in(one: ObjectPrompt) -> np.ndarray:
    assert isinstance(one.prompt, MaskPrompt)
    return one.prompt.mask


def test_objects_are_numbered_boxes_first():
    found = prompts_from_arrays(
        boxes=[[1, 2, 10, 12], [3, 4, 20, 22]], points=[[5, 6], [30, 2]], point_labels=[1, 0], masks=[MASK]
    )
    assert [one.id for one in found] == [1, 2, 3]
    assert found[0].prompt == Box((1, 2, 10, 12), Points(((5, 6), (30, 2)), (1, 0)))  # clicks refine the first box
    assert found[1].prompt == Box((3, 4, 20, 22)) and mask_in(found[2]) is MASK


def test_clicks_without_a_box_are_an_object():
    (one,) = prompts_from_arrays(points=np.array([[5, 6], [7, 8]]))
    assert one == ObjectPrompt(1, Points(((5, 6), (7, 8)), (1, 1)))


@pytest.mark.parametrize(
    "given, message",
    [
        ({"points": [[1, 2, 3]]}, "points must be"),
        ({"points": [1, 2]}, "points must be"),
        ({"points": []}, "points must be"),
        ({"points": [["a", "b"]]}, "points must be"),
        ({"points": [[1, float("nan")]]}, "points must be"),
        ({"points": [[1, 2]], "point_labels": [1, 0]}, "as many point labels"),
        ({"points": [[1, 2]], "point_labels": [2]}, "as many point labels"),
        ({"points": [[1, 2]], "point_labels": 1}, "as many point labels"),
        ({"point_labels": [1]}, "without points"),
    ],
    ids=str,
)
def test_bad_clicks(given, message):
    with pytest.raises(InputError, match=message):
        prompts_from_arrays(**given)


@pytest.mark.parametrize(
    "entry, message",
    [
        ({}, "needs an id"),
        ({"id": 0, "box": [1, 2, 3, 4]}, "needs an id"),
        ({"id": True, "box": [1, 2, 3, 4]}, "needs an id"),
        ({"id": "1", "box": [1, 2, 3, 4]}, "needs an id"),
        ({"id": 1}, "neither box nor points nor mask"),
        ({"id": 1, "bax": [1, 2, 3, 4]}, "no 'bax'"),
        ({"id": 1, "box": [1, 2, 3]}, "boxes must be"),
        ({"id": 1, "box": [5, 2, 3, 4]}, "boxes must be"),
        ({"id": 1, "box": "1,2,3,4"}, "boxes must be"),
        ({"id": 1, "label": "", "points": [[1, 2]]}, "give it a name"),
        ({"id": 1, "label": 7, "points": [[1, 2]]}, "give it a name"),
        ({"id": 1, "point_labels": [1], "box": [1, 2, 3, 4]}, "point_labels without points"),
        ({"id": 1, "mask": {"size": [3, 3], "counts": "04"}, "box": [1, 2, 3, 4]}, "give either"),
        ({"id": 1, "mask": {"counts": "04"}}, "run length"),
        ({"id": 1, "mask": [[1, 0], [1]]}, "rows of one length"),
        ({"id": 2**31, "box": [1, 2, 3, 4]}, "needs an id"),
        ({"id": 1, "points": [[1, 2]], "point_labels": [[1], [1, 0]]}, "as many point labels"),
        ({"id": 1, "points": [[1, 2]], "new": 1}, "it is true or false"),
        ({"id": 1, "points": [[1, 2]], "point_labels": [0], "new": True}, "is new, but all its clicks"),
        ("box", "must be a mapping"),
        ([1], "must be a mapping"),
    ],
    ids=str,
)
def test_entries_that_are_no_prompt(entry, message):
    with pytest.raises(InputError, match=message) as caught:
        object_prompt(entry)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "prompt, message",
    [
        (Points(((41, 3),), (1,)), "outside the picture"),
        (Points(((3, 3), (-1, 3)), (1, 0)), "outside the picture"),
        (Box((41, 1, 50, 9)), "outside the picture"),
        (Box((-9, 1, 0, 9)), "outside the picture"),
        (Box((1, 1, 5, 5), Points(((5, 31),), (1,))), "outside the picture"),
        (MaskPrompt(np.ones((3, 4), bool)), r"has 4×3 pixels and the picture 40×30"),
        (MaskPrompt(np.zeros((HEIGHT, WIDTH), bool)), "is empty"),
        (MaskPrompt(np.ones(5)), "5 pixels"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_prompts_that_do_not_fit(prompt, message):
    with pytest.raises(InputError, match=message):
        clip_to_frame([ObjectPrompt(1, prompt)], WIDTH, HEIGHT)


def test_what_fits():
    given = [
        ObjectPrompt(4, Box((-5, 2, 50, 12)), "dog"),
        ObjectPrompt(2, Points(((0, 0), (40, 30)), (1, 0))),
        ObjectPrompt(1, MaskPrompt(MASK.astype(np.uint8) * 255)),
    ]
    found = clip_to_frame(given, WIDTH, HEIGHT)
    assert found[0] == ObjectPrompt(4, Box((0, 2, 40, 12)), "dog") and found[1] == given[1]
    assert mask_in(found[2]).dtype == bool and (mask_in(found[2]) == MASK).all()
    with pytest.raises(InputError, match="object 2 is prompted twice"):
        clip_to_frame([*given, ObjectPrompt(2, Box((1, 1, 5, 5)))], WIDTH, HEIGHT)


# -- prompts files ----------------------------------------------------------------------------------------------------


def file_of(folder, prompts, **others):
    path = folder / "clip.prompts.json"
    path.write_text(
        json.dumps({"format": "vidseg-prompts", "version": 1, "prompts": prompts, **others}), encoding="utf-8"
    )
    return path


def test_prompts_file(tmp_path, monkeypatch):
    (tmp_path / "in").mkdir()
    cv2.imwrite(str(tmp_path / "in/cat.png"), MASK.astype(np.uint8))
    path = file_of(
        tmp_path / "in",
        [
            {"frame": 0, "id": 1, "label": "Hündin", "box": [4, 3, 11, 9]},
            {"frame": 45, "id": 1, "points": [[12, 6], [3, 3]], "point_labels": [1, 0]},
            {"frame": 45, "id": 2, "box": [1, 1, 9, 9], "points": [[4, 4]]},
            {"frame": 7, "id": 3, "mask": "cat.png"},
            {"frame": 7, "id": 9, "mask": encode_mask(MASK)},
        ],
    )
    monkeypatch.chdir(tmp_path)  # the picture is looked for beside the file, wherever we are
    found = read_prompts("in/" + path.name)
    assert list(found) == [0, 45, 7]
    assert found[0] == [ObjectPrompt(1, Box((4, 3, 11, 9)), "Hündin")]
    assert found[45] == [
        ObjectPrompt(1, Points(((12, 6), (3, 3)), (1, 0))),
        ObjectPrompt(2, Box((1, 1, 9, 9), Points(((4, 4),), (1,)))),
    ]
    assert [one.id for one in found[7]] == [3, 9]
    assert all((mask_in(one) == MASK).all() for one in found[7])


@pytest.mark.parametrize(
    "prompts, message",
    [
        ([], "no prompts"),
        ([{"frame": -1, "id": 1, "box": [1, 2, 3, 4]}], "prompt 1: it needs a frame"),
        ([{"frame": 0, "id": 1, "box": [1, 2, 3, 4]}, {"id": 1, "box": [1, 2, 3, 4]}], "prompt 2: it needs a frame"),
        ([{"frame": 1.5, "id": 1, "box": [1, 2, 3, 4]}], "it needs a frame"),
        ([5], "prompt 1: it is 5"),
        ([{"frame": 0, "id": 1, "mask": "none.png"}], "none.png: cannot be read"),
        ({"0": []}, "not a prompts file"),
        ([{"frame": 0, "id": 1, "colour": "red", "box": [1, 2, 3, 4]}], "no 'colour'"),
    ],
    ids=str,
)
def test_bad_prompts_files(tmp_path, prompts, message):
    with pytest.raises(InputError, match=message) as caught:
        read_prompts(file_of(tmp_path, prompts))
    assert "clip.prompts.json" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "no JSON"),
        (b"{", "no JSON"),
        (b"\xff\xfe", "no JSON"),
        (b"[]", "not a prompts file"),
        (b'{"format": "vidseg-tracks", "version": 1}', "not a prompts file"),
        (b'{"format": "vidseg-prompts", "version": 2, "prompts": []}', "version 2"),
    ],
)
def test_files_that_are_no_prompts_file(tmp_path, content, message):
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_prompts(tmp_path / "x.json")
    with pytest.raises(InputError, match="cannot be read"):
        read_prompts(tmp_path / "none.json")
