"""The tracks file: one record a frame, as JSON Lines.

The first line is a header, and every other line is one frame, in the order of the clip:

    {"frame": 12, "time": 0.4004, "objects": [
      {"id": 1, "label": "dog", "score": 0.91, "box": [x1, y1, x2, y2],
       "mask": {"size": [H, W], "counts": "…COCO compressed run lengths…"}}]}

An object that is not visible in a frame is absent from that frame's list.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import vidseg
from vidseg.errors import InputError, OutputError
from vidseg.io.files import atomic_output, check_writable
from vidseg.tracks.rle import decode_mask, encode_mask

if TYPE_CHECKING:
    from vidseg.tracks.frame import TrackedFrame

FORMAT, VERSION = "vidseg-tracks", 1
HEADER_KEYS = ("clip", "width", "height", "frame_rate", "time_base", "prompts", "models", "vidseg")


def header_of(
    clip: str | os.PathLike,
    width: int,
    height: int,
    frame_rate: Fraction,
    time_base: Fraction,
    prompts: Sequence[str],
    models: dict[str, Any],
) -> dict[str, Any]:
    """The header of what was tracked in a clip, or on an image."""
    return {
        "clip": os.fspath(clip),
        "width": width,
        "height": height,
        "frame_rate": str(frame_rate),
        "time_base": str(time_base),
        "prompts": list(prompts),
        "models": models,
        "vidseg": vidseg.__version__,
    }


class TracksWriter:
    """Writes a tracks file, which appears under its name when the `with` block ends without an error.

        with TracksWriter("clip.tracks.jsonl", header) as tracks:
            for frame in frames:
                tracks.write(frame)

    header: values for HEADER_KEYS; rates and time bases as fractions ("24/1"). The format's
        name and version are added.
    """

    def __init__(self, path: str | os.PathLike, header: dict[str, Any]):
        if missing := [key for key in HEADER_KEYS if key not in header]:
            raise ValueError(f"the header of a tracks file lacks {', '.join(missing)}")
        self.path = check_writable(path, overwrite=True)
        self._last = -1
        with self._errors(), ExitStack() as stack:
            temporary = stack.enter_context(atomic_output(self.path))
            self._file = stack.enter_context(open(temporary, "w", encoding="utf-8"))
            self._put({"format": FORMAT, "version": VERSION, **header})
            self._stack = stack.pop_all()

    def __enter__(self) -> TracksWriter:
        return self

    def __exit__(self, *exception) -> None:
        with self._errors():
            self._stack.__exit__(*exception)

    def close(self) -> None:
        """Finish the file and give it its name."""
        self.__exit__(None, None, None)

    def write(self, frame: TrackedFrame) -> None:
        """Append one frame; frames come in the order of the clip. An object with an empty mask is left out."""
        if frame.index <= self._last:
            raise ValueError(f"frame {frame.index} was given after frame {self._last}; write in the clip's order")
        self._last = frame.index
        self._put(record_of(frame))

    def _put(self, record: dict) -> None:
        with self._errors():
            self._file.write(json.dumps(record, ensure_ascii=False) + "\n")
            self._file.flush()  # for those who follow it

    @contextmanager
    def _errors(self):
        try:
            yield
        except OSError as error:
            raise OutputError(
                f"{self.path} cannot be written: {error.strerror}; check space and permissions"
            ) from error


class Tracks:
    """A tracks file, read line by line: iterate it, as often as needed, for TrackedFrame without image.

    path: of the file. header: dict of its first line.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = os.fspath(path)
        header = next(self.records(), None)
        if not isinstance(header, dict) or header.get("format") != FORMAT:
            raise InputError(f"{self.path}: not a tracks file; give a .tracks.jsonl file written by vidseg")
        if header.get("version") != VERSION:
            version = header.get("version")
            raise InputError(
                f"{self.path}: tracks format version {version}, this vidseg reads {VERSION}; update vidseg"
            )
        if missing := [key for key in ("width", "height") if not isinstance(header.get(key), int)]:
            raise InputError(f"{self.path}: line 1 is broken (no {missing[0]}); write the file again")
        self.header: dict[str, Any] = header

    def __iter__(self) -> Iterator[TrackedFrame]:
        last = -1
        for number, record in enumerate(self.records(), start=1):
            if number == 1:
                continue
            try:
                frame = frame_of(record, self.header["height"], self.header["width"])
            except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
                raise self.broken(number, f"{type(error).__name__}: {error}") from error
            if frame.index <= last:
                raise self.broken(number, f"frame {frame.index} after frame {last}")
            last = frame.index
            yield frame

    def frame_count(self) -> int:
        """How many frames the file has. Its lines are counted, and not read."""
        with open(self.path, "rb") as file:
            return sum(1 for _ in file) - 1

    def check_size(self, clip: str, width: int, height: int) -> None:
        """Raise InputError if these are the tracks of a clip of another size."""
        tracked = self.header["width"], self.header["height"]
        if (width, height) != tracked:
            raise InputError(
                f"{self.path} is for a clip of {tracked[0]}×{tracked[1]} pixels and {clip} has {width}×{height}; give the clip that was tracked"
            )

    def records(self) -> Iterator[Any]:
        """The lines as they are, header first. InputError for one that is no JSON."""
        number = 0
        try:
            with open(self.path, encoding="utf-8") as file:
                for number, line in enumerate(file, start=1):
                    yield json.loads(line)
        except OSError as error:
            raise InputError(f"{self.path}: cannot be read ({error.strerror}); check the path") from error
        except ValueError as error:  # no JSON, or no UTF-8
            if number <= 1:
                raise InputError(
                    f"{self.path}: not a tracks file; give a .tracks.jsonl file written by vidseg"
                ) from error
            raise self.broken(number, "not a complete record") from error

    def broken(self, number: int, why: str) -> InputError:
        """What to raise for a line that makes no sense."""
        return InputError(f"{self.path}: line {number} is broken ({why}); remove it, or write the file again")


def read_tracks(path: str | os.PathLike) -> Tracks:
    """Open a tracks file. InputError if it is none; a broken line is reported when it is reached."""
    return Tracks(path)


def record_of(frame: TrackedFrame) -> dict[str, Any]:
    """One line of a tracks file. An object with an empty mask is left out."""
    found = frame.detections
    objects = [
        {
            "id": int(found.tracker_id[i]),
            "label": str(found.data["class_name"][i]),
            "score": round(float(found.confidence[i]), 4),
            "box": [round(float(value), 2) for value in found.xyxy[i]],
            "mask": encode_mask(found.mask[i]),
        }
        for i in range(len(found))
        if found.mask[i].any()
    ]
    return {"frame": int(frame.index), "time": round(float(frame.time), 6), "objects": objects}


def frame_of(record: dict[str, Any], height: int, width: int) -> TrackedFrame:
    """The frame, without its image, that one line of a tracks file tells of. KeyError, ValueError and others if it is broken."""
    import numpy as np
    import supervision as sv

    from vidseg.tracks.frame import TrackedFrame

    objects, size = record["objects"], (height, width)
    masks = np.zeros((len(objects), *size), bool)
    for mask, entry in zip(masks, objects):
        if tuple(entry["mask"]["size"]) != size:
            raise ValueError(f"mask of size {entry['mask']['size']} in a clip of {list(size)}")
        mask[:] = decode_mask(entry["mask"])
    detections = sv.Detections(
        xyxy=np.array([entry["box"] for entry in objects], np.float32).reshape(-1, 4),
        mask=masks,
        confidence=np.array([entry["score"] for entry in objects], np.float32),
        tracker_id=np.array([entry["id"] for entry in objects], int),
        data={"class_name": np.array([entry["label"] for entry in objects], str)},
    )
    return TrackedFrame(int(record["frame"]), float(record["time"]), None, detections)
