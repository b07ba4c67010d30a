"""Figures that can be worked out by hand, on clips of a few small masks."""

from __future__ import annotations

import itertools
import json
import math
import subprocess
import sys
import tracemalloc

import cv2
import numpy as np
import pytest
import supervision as sv
from click.testing import CliRunner
from PIL import Image

from vidseg.commands.main import main
from vidseg.evaluation.metrics import FramePairs, boundary_f, davis_scores, evaluate, mask_iou
from vidseg.exporters.polygons import edge_polygons
from vidseg.tracks.file import TracksWriter
from vidseg.tracks.frame import TrackedFrame
from vidseg.tracks.rle import encode_mask, run_lengths

HEIGHT, WIDTH = 48, 70
PERFECT = {"J": 1, "F": 1, "J&F": 1, "HOTA": 1, "DetA": 1, "AssA": 1, "IDF1": 1, "IDSW": 0}


def box(x, y, width=10, height=10) -> np.ndarray:
    """A mask with one rectangle."""
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[y : y + height, x : x + width] = True
    return mask


def moving(count=8):
    """Two squares that never meet, {id: mask} for each frame."""
    return [{1: box(3 + i, 5), 2: box(50 - i, 30)} for i in range(count)]


def renamed(frames, names):
    return [{names.get(i, i): mask for i, mask in frame.items()} for frame in frames]


def save_tracks(path, frames, numbers=None, size=(HEIGHT, WIDTH)):
    keys = ("clip", "frame_rate", "time_base", "prompts", "models", "vidseg")
    with TracksWriter(path, {"width": size[1], "height": size[0], **dict.fromkeys(keys, "")}) as tracks:
        for number, frame in zip(numbers or range(len(frames)), frames, strict=True):
            found = sv.Detections(
                xyxy=np.zeros((len(frame), 4), np.float32),
                mask=np.array(list(frame.values()), bool).reshape(-1, *size),
                confidence=np.ones(len(frame), np.float32),
                tracker_id=np.array(list(frame), int),
                data={"class_name": np.array([f"name {i}" for i in frame], str)},
            )
            tracks.write(TrackedFrame(number, number / 24, None, found))
    return path


def save_pngs(folder, frames, names=None, mode="P"):
    folder.mkdir()
    for name, frame in zip(names or [f"{i:05d}.png" for i in range(len(frames))], frames, strict=True):
        ids = sum((mask * np.uint8(i) for i, mask in frame.items()), np.zeros((HEIGHT, WIDTH), np.uint8))
        image = Image.fromarray(ids if mode != "I;16" else ids.astype(np.uint16))
        if mode == "P":
            image.putpalette([0, 0, 0, 90, 0, 0] * 128)  # ids must not be guessed from colours: these have two
        assert image.mode == mode
        image.save(folder / name, format="PNG")
    return folder


def figures(tmp_path, result, truth):
    return evaluate(
        save_tracks(tmp_path / "result.jsonl", result), save_tracks(tmp_path / "truth.jsonl", truth)
    ).figures()


# -- figures worked out by hand --------------------------------------------------------------------------------------

CLIP = moving()
SWAPPED = CLIP[:4] + renamed(CLIP[4:], {1: 2, 2: 1})
NOTHING = [{} for _ in CLIP]
SHIFTED = [{i: np.roll(mask, 5, axis=1) for i, mask in frame.items()} for frame in CLIP]  # IoU 50/150


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (CLIP, PERFECT),
        (renamed(CLIP, {1: 77, 2: 1}), PERFECT),
        (renamed(CLIP, {1: 70_000}), PERFECT),
        # Each object has two half tracks: 4 of its masks agree in id, of 8 + 8 - 4.
        (
            SWAPPED,
            {
                **PERFECT,
                "J": 1 / 2,
                "F": 1 / 2,
                "J&F": 1 / 2,
                "HOTA": (1 / 3) ** 0.5,
                "AssA": 1 / 3,
                "IDF1": 1 / 2,
                "IDSW": 2,
            },
        ),
        (
            [{1: frame[1]} for frame in CLIP],
            {**PERFECT, "J": 1 / 2, "F": 1 / 2, "J&F": 1 / 2, "HOTA": 0.5**0.5, "DetA": 1 / 2, "IDF1": 2 / 3},
        ),
        (NOTHING, dict.fromkeys(PERFECT, 0)),
        (
            [{**frame, 3: box(30, 0, 5, 5)} for frame in CLIP],
            {**PERFECT, "HOTA": (2 / 3) ** 0.5, "DetA": 2 / 3, "IDF1": 4 / 5},
        ),
        # An id of its own for one object on one frame: 7 of 8 masks agree, and 1 of 8; away and back are two switches.
        (
            [renamed([frame], {1: 9} if i == 3 else {})[0] for i, frame in enumerate(CLIP)],
            {
                **PERFECT,
                "J": 15 / 16,
                "F": 15 / 16,
                "J&F": 15 / 16,
                "HOTA": ((8 + 7 * 7 / 8 + 1 / 8) / 16) ** 0.5,
                "AssA": (8 + 7 * 7 / 8 + 1 / 8) / 16,
                "IDF1": 15 / 16,
                "IDSW": 2,
            },
        ),
    ],
)
def test_figures(tmp_path, result, expected):
    found = figures(tmp_path, result, CLIP)
    assert found == pytest.approx(expected, abs=1e-12) and list(found) == list(expected)


def test_half_overlap(tmp_path):
    found = figures(tmp_path, SHIFTED, CLIP)
    assert (
        found["J"] == pytest.approx(1 / 3)
        and 0 < found["F"] < 1
        and found["J&F"] == pytest.approx((found["J"] + found["F"]) / 2)
    )
    assert found["HOTA"] == found["DetA"] == found["AssA"] == pytest.approx(6 / 19)  # thresholds 0.05 to 0.30, of 19
    assert found["IDF1"] == found["IDSW"] == 0


@pytest.mark.parametrize(
    ("seen", "j"),
    [
        ([2, 3, 6, 7], 1),
        ([2, 3, 7], 5 / 6),
        ([2, 3, 5, 6, 7], 5 / 6),  # frame 4 is right, as neither has the object
        ([0, 1, 2, 3, 6, 7], 1),  # before the object enters nothing is counted
        ([], 2 / 6),
        ([0, 4, 5], 0),
    ],
)
def test_frames_that_count_for_j_and_f(tmp_path, seen, j):
    truth = [{5: box(20, 20)} if i in (2, 3, 6, 7) else {} for i in range(8)]
    found = figures(tmp_path, [{5: box(20, 20)} if i in seen else {} for i in range(8)], truth)
    assert found["J"] == found["F"] == pytest.approx(j)


# -- J and F against a plain account of them -------------------------------------------------------------------------


def plain_iou(a, b):
    return (a & b).sum() / (a | b).sum() if (a | b).any() else 1.0


def plain_boundary(mask):
    """Pixels that differ from the one to the right, below, or both ways, if that is in the image."""
    height, width = mask.shape
    ways = ((0, 1), (1, 0), (1, 1))
    return [
        (y, x)
        for y in range(height)
        for x in range(width)
        if any(y + v < height and x + u < width and mask[y + v, x + u] != mask[y, x] for v, u in ways)
    ]


def plain_f(a, b, size=(HEIGHT, WIDTH)):
    """F of two boundaries."""
    reach = math.ceil(0.008 * math.sqrt(size[0] ** 2 + size[1] ** 2))
    if not a or not b:
        return float(not a and not b)
    distance = np.linalg.norm(np.array(a)[:, None] - np.array(b)[None], axis=-1)
    recall, precision = (distance.min(axis=1) <= reach).mean(), (distance.min(axis=0) <= reach).mean()
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def blob(random, size) -> np.ndarray:
    """An ellipse, some of them beyond the image's edge, and none empty."""
    mask = np.zeros(size, np.uint8)
    centre = random.integers(0, (size[1], size[0])).tolist()
    cv2.ellipse(mask, centre, random.integers(0, 20, 2).tolist(), int(random.integers(180)), 0, 360, 1, -1)
    return mask.astype(bool)


@pytest.mark.parametrize("size", [(48, 70), (31, 340), (150, 40), (1, 40)])  # the tolerance is 1, 3, 2 and 1 pixels
def test_boundaries_against_a_plain_account(size):
    random = np.random.default_rng(size)
    truth = np.array([blob(random, size) for _ in range(4)] + [np.ones(size, bool)])
    shifted = [np.roll(mask, random.integers(-3, 4, 2), axis=(0, 1)) for mask in truth for _ in range(2)]
    result = np.array([*shifted, blob(random, size), random.random(size) > 0.9, np.eye(*size, dtype=bool)])
    true_lines, lines = [[plain_boundary(mask) for mask in masks] for masks in (truth, result)]
    expected = np.array([[plain_f(a, b, size) for b in lines] for a in true_lines])
    assert len(np.unique(expected)) > (10 if size[0] > 1 else 2)
    assert boundary_f(truth, result) == pytest.approx(expected, abs=1e-12)
    assert mask_iou(truth, result) == pytest.approx(
        np.array([[plain_iou(a, b) for b in result] for a in truth]), abs=1e-12
    )


@pytest.mark.parametrize(("truths", "results"), [(1, 3), (2, 2), (3, 1), (3, 2), (2, 4)])
def test_pairs_against_all_that_are_possible(tmp_path, truths, results):
    random = np.random.default_rng((truths, results))
    truth = [
        {i: blob(random, (HEIGHT, WIDTH)) for i in range(truths) if n == 0 or random.random() < 0.7} for n in range(5)
    ]
    result: list[dict[int, np.ndarray]] = [
        {i: truth[n].get(i, blob(random, (HEIGHT, WIDTH))) for i in range(results) if random.random() < 0.7}
        for n in range(5)
    ]
    result[0][results - 1] = box(0, 0)  # all are there
    empty = np.zeros((HEIGHT, WIDTH), bool)

    def mean(score, i, k):
        return np.mean([score(a.get(i, empty), b.get(k, empty)) for a, b in zip(truth, result)])

    columns = range(max(truths, results))  # those beyond the result's are empty
    best = max(
        itertools.permutations(columns, truths),
        key=lambda order: sum(mean(plain_iou, i, k) for i, k in enumerate(order)),
    )
    found = figures(tmp_path, result, truth)
    assert found["J"] == pytest.approx(np.mean([mean(plain_iou, i, k) for i, k in enumerate(best)]))

    def of_boundaries(a, b):
        return plain_f(plain_boundary(a), plain_boundary(b))

    assert found["F"] == pytest.approx(np.mean([mean(of_boundaries, i, k) for i, k in enumerate(best)]))


def test_pairs_are_made_by_j_alone():
    both = np.arange(2)
    j, f = davis_scores(
        [FramePairs(both, both, np.array([[0.6, 0.5], [0.5, 0.5]]), np.array([[0.1, 1], [1, 0.3]]), False)], 2, 2
    )
    assert (j, f) == pytest.approx((0.55, 0.2))


# -- what is read ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "mode"),
    [
        (None, "P"),
        (None, "L"),
        (None, "I;16"),
        (["7.png", "008.PNG", "9.png", "10.png"], "P"),
        (["img9.png", "img10.png", "img11.png", "img100.png"], "L"),
    ],
)
def test_pngs_equal_tracks(tmp_path, names, mode):
    truth = renamed(CLIP[:4], {1: 255})
    result = [{**CLIP[0], 9: box(30, 30, 3, 3)}, SHIFTED[1], renamed([CLIP[2]], {1: 2, 2: 1})[0], {2: CLIP[3][2]}]
    numbers = [7, 8, 9, 10] if names and names[0] == "7.png" else None
    files = [save_tracks(tmp_path / "r.jsonl", result, numbers), save_tracks(tmp_path / "t.jsonl", truth, numbers)]
    folders = [save_pngs(tmp_path / "r", result, names, mode), save_pngs(tmp_path / "t", truth, names, mode)]
    (folders[0] / "notes.txt").write_text("no frame")
    (folders[0] / "._00000.png").write_text("no frame either")
    expected = evaluate(*files)
    assert 0 < expected.hota < 1 and expected.id_switches > 0
    for pair in itertools.product(*zip(files, folders)):
        assert evaluate(*pair) == expected


def save_coco(path, frames, numbers=None, style="compressed", names="{:06d}.jpg", **image_fields):
    """A COCO file of the frames, annotations in no order, with masks of a style and ids where its writers put them."""
    images, annotations = [], []
    for position, (number, frame) in enumerate(zip(numbers or range(len(frames)), frames, strict=True)):
        image = {"id": position * 7 + 3, "file_name": names.format(number), "width": WIDTH, "height": HEIGHT}
        images.append({**image, **({"frame_id": number} if style == "compressed" else {}), **image_fields})
        for i, mask in frame.items():
            code = encode_mask(mask)
            if style == "uncompressed":
                code["counts"] = run_lengths(code["counts"], mask.shape).tolist()
            elif style == "polygons":
                code = [polygon.ravel().tolist() for polygon in edge_polygons(mask)]
            of_object = {"attributes": {"track_id": i, "occluded": False}} if style == "polygons" else {"track_id": i}
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image["id"],
                    "category_id": 1,
                    "segmentation": code,
                    **of_object,
                }
            )
    path.write_text(
        json.dumps({"images": images[::-1], "annotations": annotations[::-1], "categories": [{"id": 1, "name": "dog"}]})
    )
    return path


@pytest.mark.parametrize("style", ["compressed", "uncompressed", "polygons"])
@pytest.mark.parametrize("numbers", [None, [7, 8, 9, 10]])
def test_coco_equals_tracks(tmp_path, style, numbers):
    truth = renamed(CLIP[:4], {1: 5000})
    result = [{**CLIP[0], 9: box(30, 30, 3, 3)}, SHIFTED[1], renamed([CLIP[2]], {1: 2, 2: 1})[0], {}]
    files = [save_tracks(tmp_path / "r.jsonl", result, numbers), save_tracks(tmp_path / "t.jsonl", truth, numbers)]
    names = "frame_2024_{:d}.PNG" if style == "polygons" else "{:06d}.jpg"
    cocos = [
        save_coco(tmp_path / f"{name}.json", frames, numbers, style, names)
        for name, frames in (("r", result), ("t", truth))
    ]
    expected = evaluate(*files)
    assert 0 < expected.hota < 1 and expected.id_switches > 0
    for pair in itertools.product(*zip(files, cocos)):
        assert evaluate(*pair) == expected


def test_coco_images_without_numbers_count_in_their_order(tmp_path):
    path = save_coco(tmp_path / "t.json", CLIP, style="uncompressed", names="dog.jpg")
    data = json.loads(path.read_text())
    path.write_text(json.dumps({**data, "images": data["images"][::-1]}))
    assert evaluate(save_tracks(tmp_path / "r.jsonl", CLIP), path).figures() == PERFECT


NO_COCO = {"no JSON": "{", "other JSON": '{"images": 3}', "a list": "[]"}
ANNOTATIONS = {
    "no ids": {"track_id": None},
    "id twice": {"track_id": 2},
    "other size": {"segmentation": {"size": [3, 4], "counts": "0"}},
    "broken mask": {"segmentation": {"size": [HEIGHT, WIDTH], "counts": "0"}},
    "broken run lengths": {"segmentation": {"size": [HEIGHT, WIDTH], "counts": [5, 10**9]}},
    "broken polygon": {"segmentation": [["x", "y"]]},
    "no image": {"image_id": 999},
}


def broken_coco(path, kind):
    if kind in NO_COCO:
        path.write_text(NO_COCO[kind])
        return path
    data = json.loads(save_coco(path, CLIP).read_text())
    if kind == "frame twice":
        data["images"][1]["frame_id"] = data["images"][0]["frame_id"]
    elif kind == "two clips":
        data["images"][0]["video_id"] = 2
    else:
        data["annotations"][-1].update(ANNOTATIONS[kind])  # of frame 0
    path.write_text(json.dumps(data))
    return path


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("no JSON", "not a COCO file"),
        ("other JSON", "not a COCO file"),
        ("a list", "not a COCO file"),
        ("no image", "not a COCO file"),
        ("no ids", "an annotation of frame 0 is broken (no track_id)"),
        ("id twice", "frame 0 has two masks of one object"),
        ("other size", "frame 0 is broken (ValueError: mask of size [3, 4]"),
        ("broken mask", "frame 0 is broken"),
        ("broken run lengths", "frame 0 is broken"),
        ("broken polygon", "frame 0 is broken"),
        ("frame twice", "are both frame 7"),
        ("two clips", "holds 2 clips"),
    ],
)
def test_broken_coco_is_refused_in_one_line(tmp_path, kind, says):
    good, bad = save_tracks(tmp_path / "good.jsonl", CLIP), broken_coco(tmp_path / "bad.json", kind)
    result = run(good, bad)
    assert result.exit_code == 1 and isinstance(result.exception, SystemExit) and result.stdout == "", result.output
    assert result.stderr.startswith(f"vidseg: {bad}: ") and result.stderr.count("\n") == 1 and says in result.stderr, (
        result.stderr
    )


def test_frames_are_told_by_their_numbers(tmp_path):
    result = save_tracks(tmp_path / "result.jsonl", CLIP, range(10, 18))
    sparse = evaluate(result, save_pngs(tmp_path / "sparse", CLIP[1::3], ["11.png", "14.png", "17.png"]))
    assert sparse.figures() == PERFECT and (sparse.frames, sparse.missing) == (3, 0)
    longer = evaluate(result, save_tracks(tmp_path / "longer.jsonl", CLIP[:2] * 2 + CLIP[2:] + CLIP[:2], range(8, 20)))
    assert (longer.frames, longer.missing) == (12, 4)
    assert (longer.j, longer.det_a) == pytest.approx((8 / 12, 8 / 12))


@pytest.mark.parametrize("pngs", [False, True])
def test_masks_are_not_kept(tmp_path, pngs):
    half = np.tri(300, dtype=bool)

    def peak(count):
        path = tmp_path / f"{count}.jsonl"
        if pngs:
            path.mkdir()
            for i in range(count):
                Image.fromarray(half + np.uint8(1)).save(path / f"{i}.png")
        else:
            save_tracks(path, [{1: half, 2: ~half}] * count, size=(300, 300))
        tracemalloc.start()
        try:
            evaluate(path, path)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(1)  # imports
    assert peak(60) < peak(6) * 1.5  # 54 frames more, and next to no masks of theirs


# -- the command -----------------------------------------------------------------------------------------------------


def run(*arguments):
    return CliRunner().invoke(main, ["eval", *map(str, arguments)])


def test_command(tmp_path):
    paths = save_tracks(tmp_path / "result.jsonl", SWAPPED), save_tracks(tmp_path / "truth.jsonl", CLIP)
    result = run(*paths, "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.count("\n") == 1 and json.loads(result.stdout) == evaluate(*paths).figures()
    result = run(*paths)
    assert (result.exit_code, result.stderr) == (0, "")
    rows = [
        [cell.strip() for cell in line.strip("│").split("│")][:2]
        for line in result.stdout.splitlines()
        if line.startswith("│")
    ]
    assert rows == [
        ["J", "0.500"],
        ["F", "0.500"],
        ["J&F", "0.500"],
        ["HOTA", "0.577"],
        ["DetA", "1.000"],
        ["AssA", "0.333"],
        ["IDF1", "0.500"],
        ["IDSW", "2"],
    ]


def test_frames_that_are_missing_are_told(tmp_path):
    paths = save_tracks(tmp_path / "result.jsonl", CLIP[:6]), save_tracks(tmp_path / "truth.jsonl", CLIP)
    result = run(*paths, "--json")
    assert result.exit_code == 0 and json.loads(result.stdout)["J"] == 0.75
    assert (
        result.stderr
        == f"vidseg: {paths[0]} lacks 2 of the 8 frames of {paths[1]}; they count as frames without objects\n"
    )


def change_text(path, change):
    save_tracks(path, CLIP)
    path.write_text(change(path.read_text()))


def change_png(folder, change):
    save_pngs(folder, CLIP)
    change(folder / "00003.png")


def folder_instead(file):
    file.unlink()
    file.mkdir()


def only_a_jpeg(folder):
    folder.mkdir()
    (folder / "0.jpg").write_bytes(b"")


SPOILED = {  # results, or truths, that cannot be used
    "missing": lambda path: None,
    "text": lambda path: path.write_text("no tracks\n"),
    "cut short": lambda path: change_text(path, lambda text: text[:-40]),
    "no frames": lambda path: save_tracks(path, []),
    "other frames": lambda path: save_tracks(path, CLIP, range(20, 28)),
    "other size": lambda path: save_tracks(path, [{1: np.ones((20, 30), bool)}], size=(20, 30)),
    "id twice": lambda path: change_text(path, lambda text: text.replace('"id": 2', '"id": 1')),
    "no objects": lambda path: save_tracks(path, NOTHING),
    "no PNG": only_a_jpeg,
    "broken PNG": lambda path: change_png(path, lambda file: file.write_bytes(file.read_bytes()[:60])),
    "empty PNG": lambda path: change_png(path, lambda file: file.write_bytes(b"")),
    "folder as PNG": lambda path: change_png(path, folder_instead),
    "colours": lambda path: change_png(path, Image.new("RGB", (WIDTH, HEIGHT)).save),
    "large id": lambda path: change_png(path, Image.fromarray(np.full((HEIGHT, WIDTH), 256, np.uint16)).save),
    "PNG of other size": lambda path: change_png(path, Image.new("P", (WIDTH, HEIGHT + 1)).save),
    "frame twice": lambda path: change_png(path, lambda file: file.rename(path / "2.png")),
}


ERRORS = [
    ("missing", "bad: cannot be read"),
    ("text", "bad: not a tracks file"),
    ("cut short", "bad: line 9 is broken"),
    ("no frames", "have no frame in common"),
    ("other frames", "have no frame in common"),
    ("other size", "frame 0 is"),
    ("id twice", "bad: line 2 is broken (two masks of object 1)"),
    ("no PNG", "bad: no PNG in this folder"),
    ("broken PNG", "00003.png: not an image"),
    ("empty PNG", "00003.png: not an image"),
    ("folder as PNG", "00003.png: not an image"),
    ("colours", "00003.png: has colours"),
    ("large id", "00003.png: object id 256 is over 255"),
    ("PNG of other size", "frame 3 is"),
    ("frame twice", "2.png are both frame 2"),
]


@pytest.mark.parametrize(
    ("kind", "says", "side"),
    [
        *[(*error, side) for error in ERRORS for side in (0, 1)],
        ("no objects", "bad: no object on any of its 8 frames", 1),
    ],
)
def test_refused_in_one_line(tmp_path, kind, says, side):
    good, bad = save_tracks(tmp_path / "good.jsonl", CLIP), tmp_path / "bad"
    SPOILED[kind](bad)
    for option in ((), ("--json",)):
        result = run(*([good, bad] if side else [bad, good]), *option)
        assert result.exit_code == 1 and isinstance(result.exception, SystemExit) and result.stdout == "", result.output
        assert result.stderr.startswith("vidseg: ") and result.stderr.count("\n") == 1 and says in result.stderr, (
            result.stderr
        )
        assert str(bad) in result.stderr


def test_folder_that_may_not_be_read(tmp_path, monkeypatch):
    def refuse(folder):
        raise PermissionError(13, "Permission denied")

    folder = save_pngs(tmp_path / "bad", CLIP)
    monkeypatch.setattr("vidseg.evaluation.readers.os.listdir", refuse)
    result = run(folder, folder)
    assert (result.exit_code, result.stderr) == (
        1,
        f"vidseg: {folder}: cannot be read (Permission denied); check its permissions\n",
    )


@pytest.mark.parametrize("package", ["trackeval", "scipy.optimize"])
def test_missing_extra(tmp_path, monkeypatch, package):
    paths = save_tracks(tmp_path / "result.jsonl", CLIP), save_tracks(tmp_path / "truth.jsonl", CLIP)
    monkeypatch.setitem(sys.modules, package, None)
    result = run(*paths)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == 'vidseg: vidseg eval needs the eval extra: pip install ".[eval]" in the clone of vidseg\n'


def test_other_commands_do_without_it():
    code = (
        "import sys, vidseg.commands.main\n"
        "vidseg.commands.main.main(['--help'], standalone_mode=False)\n"
        "print(*sys.modules, file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "eval " in done.stdout, done.stderr
    assert not {"trackeval", "numpy", "vidseg.evaluation.metrics"} & set(done.stderr.split())
