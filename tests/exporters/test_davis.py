"""DAVIS, read back by Pillow and by our own evaluation."""

import numpy as np
import pytest
from PIL import Image

import vidseg
from tests.support.truth import AWKWARD, HEIGHT, OVERLAPPING, WIDTH, save
from vidseg.errors import InputError
from vidseg.evaluation.metrics import evaluate


def test_pixels_are_ids(tmp_path):
    (folder,) = vidseg.export(save(tmp_path / "clip.tracks.jsonl", AWKWARD), "davis")
    assert folder == tmp_path / "clip.davis"
    assert sorted(file.name for file in folder.iterdir()) == [f"{index:05d}.png" for index in AWKWARD]
    for index, objects in AWKWARD.items():
        expected = np.zeros((HEIGHT, WIDTH), int)
        for number, (_, mask) in sorted(objects.items(), reverse=True):
            expected[mask] = number
        image = Image.open(folder / f"{index:05d}.png")
        assert image.mode == "P" and np.array_equal(np.asarray(image), expected)


def test_palette_is_that_of_davis(tmp_path):
    (folder,) = vidseg.export(save(tmp_path / "clip.tracks.jsonl", AWKWARD), "davis")
    palette = np.array(Image.open(folder / "00007.png").getpalette()).reshape(256, 3).tolist()
    assert palette[:9] == [
        [0, 0, 0],
        [128, 0, 0],
        [0, 128, 0],
        [128, 128, 0],
        [0, 0, 128],
        [128, 0, 128],
        [0, 128, 128],
        [128, 128, 128],
        [64, 0, 0],
    ]
    assert palette[255] == [224, 224, 192] and len(set(map(tuple, palette))) == 256


def test_the_lower_id_lies_on_top(tmp_path):
    (folder,) = vidseg.export(save(tmp_path / "clip.tracks.jsonl", OVERLAPPING), "davis")
    ids = np.asarray(Image.open(folder / "00000.png"))
    assert (ids[0, 0], ids[5, 5], ids[7, 7], ids[14, 14], ids[4, 4]) == (2, 1, 1, 1, 2) and 7 not in ids


def test_our_own_evaluation_reads_it(tmp_path):
    tracks = save(tmp_path / "clip.tracks.jsonl", {index: objects for index, objects in AWKWARD.items() if index != 15})
    (folder,) = vidseg.export(tracks, "davis")
    assert evaluate(folder, tracks).figures() == {
        **dict.fromkeys(("J", "F", "J&F", "HOTA", "DetA", "AssA", "IDF1"), 1.0),
        "IDSW": 0,
    }


@pytest.mark.parametrize("number", [256, 0, -1, 10**9])
def test_ids_that_do_not_fit_are_refused(tmp_path, number):
    tracks = save(tmp_path / "clip.tracks.jsonl", {**AWKWARD, 20: {number: ("dog", AWKWARD[7][3][1])}})
    with pytest.raises(InputError, match=f"frame 20 has object {number}, and a DAVIS image holds ids from 1 to 255"):
        vidseg.export(tracks, "davis")
    assert [file.name for file in tmp_path.iterdir()] == ["clip.tracks.jsonl"]
