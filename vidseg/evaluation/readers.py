"""Masks with ids, frame by frame, from tracks files, COCO files and folders of PNGs."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from vidseg.errors import InputError
from vidseg.io.images import list_images, opened_by_pillow
from vidseg.tracks.file import read_tracks
from vidseg.tracks.rle import check_run_lengths, decode_mask, mask_from

PNG_MODES = ("1", "L", "P", "I;16", "I")  # Pillow's names for one number a pixel


def read_masks(path: str | os.PathLike) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Read a result or a truth, frame by frame.

    Args:
        path: a tracks file, a COCO file (.json) or a folder of PNGs.

    Yields:
        The number of a frame, the ids of the objects that are visible on it, [N] int, and their masks, N×H×W bool.

    Raises:
        InputError: it cannot be read, or is broken.
    """
    if os.path.isdir(path):
        yield from read_folder(path)
        return
    if Path(path).suffix.lower() == ".json":
        yield from read_coco(path)
        return
    for record in read_tracks(path).records():
        visible = [found for found in record.objects if found.area]
        masks = np.zeros((len(visible), *record.size), bool)
        for mask, found in zip(masks, visible):
            mask[:] = found.mask()
        yield record.index, np.array([found.id for found in visible], int), masks


def read_folder(folder: str | os.PathLike) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Read a folder of PNGs, one a frame, whose pixel values are object ids up to 255, and 0 in the background.

    255 is an object like others, not the "void" region of some data sets.
    """
    for number, file in numbered_pngs(folder):
        image = read_ids(file)
        ids = np.unique(image)
        ids = ids[ids > 0].astype(int)
        yield number, ids, image == ids[:, None, None]


def numbered_pngs(folder: str | os.PathLike) -> list[tuple[int, Path]]:
    """The PNGs of a folder by frame number: their names if all are whole numbers, else 0, 1, 2 …, img2 before img10."""
    try:
        names = [name for name in os.listdir(folder) if name.lower().endswith(".png") and not name.startswith(".")]
    except OSError as error:
        raise InputError(f"{folder}: cannot be read ({error.strerror}); check its permissions") from error
    if not names:
        raise InputError(f"{folder}: no PNG in this folder; give one PNG a frame, or a tracks file")
    files = [Path(folder, name) for name in names]
    if not all(file.stem.isdecimal() for file in files):
        return list(enumerate(file for file in list_images(Path(folder)) if file.name in names))
    numbered = sorted((int(file.stem), file) for file in files)
    for (number, file), (following, other) in zip(numbered, numbered[1:]):
        if number == following:
            raise InputError(f"{folder}: {file.name} and {other.name} are both frame {number}; remove one")
    return numbered


def read_ids(file: Path) -> np.ndarray:
    """H×W array of the numbers in a palette or grey PNG."""
    # OpenCV would turn a palette into colours
    with opened_by_pillow(file, "not an image that can be read; replace or remove it") as image:
        if image.mode not in PNG_MODES:
            raise InputError(f"{file}: has colours, not object ids; give a PNG with a palette, or a grey one")
        ids = np.asarray(image.convert("L") if image.mode == "1" else image)
    if ids.max() > 255:
        raise InputError(f"{file}: object id {ids.max()} is over 255; number the objects from 1 to 255")
    return ids


def read_coco(path: str | os.PathLike) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Read a COCO file of one clip: run lengths or polygons, with `track_id` in annotations or their attributes.

    The number of a frame is its image's `frame_id`, else the last number in the image's name, else its place in the
    list. The file is read as a whole, since annotations stand in it in any order, but masks are decoded frame by frame.
    """
    try:
        with open(path, encoding="utf-8") as file:
            data = json.load(file)
        images, annotations = data["images"], data["annotations"]
        places = {image["id"]: [] for image in images}
        clips = {image.get("video_id") for image in images}
        for annotation in annotations:
            places[annotation["image_id"]].append(annotation)
        numbered = sorted(zip(_frame_numbers(images), images), key=lambda pair: pair[0])
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: not a COCO file with images and annotations; give one, or a tracks file") from error
    if len(clips) > 1:
        raise InputError(f"{path}: holds {len(clips)} clips; give a file of one clip")
    for (number, image), (following, other) in zip(numbered, numbered[1:]):
        if number == following:
            raise InputError(
                f"{path}: {image.get('file_name')} and {other.get('file_name')} are both frame {number}; "
                "give a file of one clip"
            )
    for number, image in numbered:
        try:
            found = places[image["id"]]
            ids = np.array([_track_id(annotation) for annotation in found], int)
            masks = [_coco_mask(annotation["segmentation"], image["height"], image["width"]) for annotation in found]
            masks = np.array(masks, bool).reshape(-1, image["height"], image["width"])
        except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
            why = "no track_id" if error.args == ("track_id",) else f"{type(error).__name__}: {error}"
            raise InputError(
                f"{path}: an annotation of frame {number} is broken ({why}); correct it, or write the file again"
            ) from error
        if len(np.unique(ids)) < len(ids):
            raise InputError(f"{path}: frame {number} has two masks of one object; remove one, or write the file again")
        visible = masks.any(axis=(1, 2))
        yield number, ids[visible], masks[visible]


def _frame_numbers(images: list[dict[str, Any]]) -> list[int]:
    """Frame numbers of COCO images, in their order."""
    if all("frame_id" in image for image in images):
        return [int(image["frame_id"]) for image in images]
    found = [re.findall(r"\d+", Path(image["file_name"]).stem) for image in images]
    if all(found):
        return [int(digits[-1]) for digits in found]
    return list(range(len(images)))


def _track_id(annotation: dict[str, Any]) -> int:
    number = annotation.get("track_id", (annotation.get("attributes") or {}).get("track_id"))
    if number is None:
        raise KeyError("track_id")
    return int(number)


def _coco_mask(segmentation: dict[str, Any] | list[list[float]], height: int, width: int) -> np.ndarray:
    """Decode run lengths (compressed or not) or polygons to H×W bool. ValueError and others if that cannot be done."""
    from pycocotools import mask as coco

    if isinstance(segmentation, list):
        if not segmentation:
            return np.zeros((height, width), bool)
        if any(
            len(polygon) < 6 or len(polygon) % 2 or not np.isfinite(np.array(polygon, float)).all()
            for polygon in segmentation
        ):
            raise ValueError("a polygon that is not a list of points")
        polygons: Any = segmentation  # of floats, too, which the stubs of pycocotools leave out
        return coco.decode(coco.merge(coco.frPyObjects(polygons, height, width))).astype(bool)
    if tuple(segmentation["size"]) != (height, width):
        raise ValueError(f"mask of size {segmentation['size']} in an image of {[height, width]}")
    counts = segmentation["counts"]
    if not isinstance(counts, list):
        return decode_mask(segmentation)
    lengths = np.array(counts, np.int64)
    check_run_lengths(lengths, (height, width))
    return mask_from(lengths, (height, width))
