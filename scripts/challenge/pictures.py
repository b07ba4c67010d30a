"""Pictures of where a method is worst: some frames of a clip side by side, the truth above and results below it.

Written by `challenge/run.py --pictures FOLDER`, with the drawing that `vidseg render` uses. A track that stands for an
object of the truth is shown under the number, and so in the colour, of that object; other tracks get numbers after
those.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import supervision as sv

from scripts.challenge.clips import Challenge
from scripts.challenge.entries import partners
from scripts.challenge.plan import HEIGHT, WIDTH
from scripts.demo_models.score.clips import MATCH
from scripts.demo_models.world.clips import RATE
from scripts.detections import ids_of, masks_of
from vidseg.evaluation.metrics import FramePairs, compare
from vidseg.io.clip import Clip
from vidseg.rendering.render import draw
from vidseg.tracks.file import read_tracks
from vidseg.tracks.frame import TrackedFrame

FRAMES = 3  # shown of a clip
TILE = 440, round(440 * HEIGHT / WIDTH)  # width and height of a frame in the picture
LINE, GAP = 17, 6  # height of a line of text, and what separates frames, in pixels
LARGEST = 200_000  # bytes a file


def wrong(frame: FramePairs, paired: Mapping[int, int]) -> dict[str, list[int]]:
    """What is wrong on a frame: "missing" truth ids, those that are "off" (IoU below MATCH), and "extra" result ids.

    Extra is what is written where its truth does not show, or is of none.

    Args:
        frame: result against truth.
        paired: result id by truth id, as of `partners`.
    """
    missing, off, expected = [], [], set()
    for row, truth in enumerate(frame.truth.tolist()):
        column = np.flatnonzero(frame.result == paired.get(truth, -1))
        expected |= set(frame.result[column].tolist())
        if not len(column):
            missing.append(truth)
        elif frame.iou[row, column[0]] < MATCH:
            off.append(truth)
    return {"missing": missing, "off": off, "extra": [i for i in frame.result.tolist() if i not in expected]}


def worst_frames(frames: Sequence[FramePairs], paired: Mapping[int, int], count: int = FRAMES) -> list[int]:
    """Numbers of the frames with most wrong objects, in order, no two nearer than a sixth of the clip.

    Among equals the one with most wrong objects in the second around it, since what lasts tells more than what
    flickers; then the one on which partners agree least in total; then the earliest.
    """
    counts = np.array([sum(map(len, wrong(frame, paired).values())) for frame in frames])
    around = np.convolve(counts, np.ones(RATE + 1, int))[RATE // 2 :]
    agreement = [agreement_of(frame, paired) for frame in frames]
    order = sorted(range(len(frames)), key=lambda number: (-counts[number], -around[number], agreement[number], number))
    chosen: list[int] = []
    for number in order:
        if all(abs(number - other) >= len(frames) / 6 for other in chosen):
            chosen.append(number)
    return sorted(chosen[:count])


def agreement_of(frame: FramePairs, paired: Mapping[int, int]) -> float:
    """Sum of the IoUs of partners on a frame."""
    return sum(
        float(frame.iou[row, frame.result == paired.get(truth, -1)].sum())
        for row, truth in enumerate(frame.truth.tolist())
    )


def renumbered(found: sv.Detections, numbers: Mapping[int, int]) -> sv.Detections:
    """The same objects under other ids."""
    found.tracker_id = np.array([numbers[i] for i in ids_of(found)], int)
    return found


def numbers_of(frames: Sequence[FramePairs], paired: Mapping[int, int]) -> dict[int, int]:
    """The number to show for each result id: that of its partner, or one after all numbers of the truth."""
    back = {result: truth for truth, result in paired.items()}
    last = max(int(i) for frame in frames for i in frame.truth)
    others = sorted({int(i) for frame in frames for i in frame.result} - set(back))
    return back | {i: last + n for n, i in enumerate(others, start=1)}


def tile(image: np.ndarray, found: sv.Detections, lines: Sequence[str]) -> np.ndarray:
    """A frame [H, W, 3] RGB at the size of a TILE with its objects, below a line or two of text."""
    width, height = TILE
    small = np.asarray(cv2.resize(image, TILE, interpolation=cv2.INTER_AREA), np.uint8)
    masks = [cv2.resize(mask.view(np.uint8), TILE, interpolation=cv2.INTER_NEAREST) for mask in masks_of(found)]
    shown = sv.Detections(
        xyxy=found.xyxy * np.float32(width / image.shape[1]),
        mask=np.array(masks).astype(bool).reshape(-1, height, width),
        confidence=found.confidence,
        tracker_id=found.tracker_id,
        data=found.data,
    )
    picture = np.vstack([caption(lines, width), draw(TrackedFrame(0, 0.0, small, shown))])
    return cv2.copyMakeBorder(picture, 0, 0, 0, GAP, cv2.BORDER_CONSTANT, value=(255, 255, 255))


def caption(lines: Sequence[str], width: int) -> np.ndarray:
    """Black text on white, [LINE · lines + GAP, width, 3]; what does not fit is cut off at a word, and marked."""
    picture = np.full((LINE * len(lines) + GAP, width, 3), 255, np.uint8)
    style = cv2.FONT_HERSHEY_SIMPLEX, 0.42
    for number, line in enumerate(lines, start=1):
        kept = text = line
        while kept and cv2.getTextSize(text, *style, 1)[0][0] > width - 8:
            kept = kept.rpartition(" ")[0]
            text = f"{kept} ..."
        cv2.putText(picture, text, (4, LINE * number - 3), *style, (0, 0, 0), 1, cv2.LINE_AA)
    return picture


def strip(challenge: Challenge, results: Mapping[str, Path], leading: str) -> np.ndarray:
    """The picture of a clip, [H, W, 3] RGB: a row for the truth and one for each result, by method.

    Args:
        challenge: the clip.
        results: the tracks file of each method.
        leading: the method whose worst frames are shown; its row follows the truth's.
    """
    order = [leading, *(method for method in results if method != leading)]
    frames = {method: list(compare(results[method], challenge.truth)) for method in order}
    paired = {method: partners(frames[method]) for method in order}
    shown = worst_frames(frames[leading], paired[leading])
    images = {frame.index: frame.image for frame in Clip(challenge.clip).frames() if frame.index in shown}
    title = f"{challenge.clip.stem}, seed {challenge.seed}"

    def row(name: str, tracks: Path, numbers: Mapping[int, int] | None) -> np.ndarray:
        tiles = []
        for frame in read_tracks(tracks):
            if frame.index not in shown:
                continue
            found, second = frame.detections, f"{len(frame.detections)} to be seen"
            if numbers is not None:
                bad = wrong(frames[name][frame.index], paired[name])
                bad["extra"] = sorted(numbers[i] for i in bad["extra"])
                second = (
                    "; ".join(f"{kind} {' '.join(f'#{i}' for i in ids)}" for kind, ids in bad.items() if ids)
                    or "all right"
                )
                found = renumbered(found, numbers)
            tiles.append(tile(images[frame.index], found, [f"{title}, frame {frame.index}: {name}", second]))
        return np.hstack(tiles)

    rows = [row("truth", challenge.truth, None)]
    return np.vstack(
        rows + [row(method, results[method], numbers_of(frames[method], paired[method])) for method in order]
    )


def write_strip(folder: Path, challenge: Challenge, results: Mapping[str, Path], leading: str) -> Path:
    """Write the picture of a clip into a folder, as a JPEG of at most LARGEST bytes. Returns its path."""
    picture = strip(challenge, results, leading)[..., ::-1]
    for quality in range(90, 20, -10):
        _, code = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
        if len(code) <= LARGEST:
            break
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{challenge.clip.stem}.jpg"
    path.write_bytes(code.tobytes())
    return path
