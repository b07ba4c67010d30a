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
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from fractions import Fraction
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast

import vidseg
from vidseg.errors import InputError, OutputError
from vidseg.io.files import atomic_output, check_writable
from vidseg.tracks.frame import ClassIds
from vidseg.tracks.records import FrameRecord, parse_record
from vidseg.tracks.rle import encode_mask

if TYPE_CHECKING:
    from vidseg.tracks.frame import TrackedFrame

FORMAT, VERSION = "vidseg-tracks", 1
INTERRUPTED = ', "interrupted": true'  # at the end of the header of a file that is not complete
HEADER_KEYS = ("clip", "width", "height", "frame_rate", "time_base", "prompts", "models", "vidseg")


def header_of(
    clip: str | os.PathLike[str],
    width: int,
    height: int,
    frame_rate: Fraction,
    time_base: Fraction,
    prompts: Sequence[str],
    models: dict[str, Any],
    frame_names: Sequence[str] | None = None,
) -> dict[str, Any]:
    """The header of what was tracked in a clip, or on an image.

    `frame_names` are those of the image files that the frames come from, if they do: the header keeps them for exports,
    also when the folder is no longer there.
    """
    header = {
        "clip": os.fspath(clip),
        "width": width,
        "height": height,
        "frame_rate": str(frame_rate),
        "time_base": str(time_base),
        "prompts": list(prompts),
        "models": models,
        "vidseg": vidseg.__version__,
    }
    if frame_names is None:
        return header
    # Names of another encoding get question marks; the file is in UTF-8
    names = [name.encode("utf-8", "replace").decode("utf-8") for name in frame_names]
    return {**header, "frame_names": names} if all(map(_is_file_name, names)) else header


class TracksWriter:
    """Writes a tracks file, which appears under its name when the `with` block ends without an error.

    Until then, and after `mark_interrupted`, its header says `"interrupted": true`.

        with TracksWriter("clip.tracks.jsonl", header) as tracks:
            for frame in frames:
                tracks.write(frame)

    Args:
        path: of the file; an older one is replaced.
        header: values for HEADER_KEYS; rates and time bases as fractions ("24/1"). The format's name and version are
            added.

    Raises:
        ValueError: a key is missing from the header.
        OutputError: the file cannot be written.

    Attributes:
        path: of the file.
    """

    def __init__(self, path: str | os.PathLike[str], header: dict[str, Any]):
        if missing := [key for key in HEADER_KEYS if key not in header]:
            raise ValueError(f"the header of a tracks file lacks {', '.join(missing)}")
        self.path = check_writable(path, overwrite=True)
        self._last = -1
        self._interrupted = False
        with self._errors(), ExitStack() as stack:
            temporary = stack.enter_context(atomic_output(self.path))
            self._file = stack.enter_context(open(temporary, "w", encoding="utf-8"))
            own = {key: value for key, value in header.items() if key != "interrupted"}  # a copied header may have it
            self._file.write(json.dumps({"format": FORMAT, "version": VERSION, **own}, ensure_ascii=False)[:-1])
            self._end_of_header = self._file.tell()
            self._file.write(INTERRUPTED + "}\n")
            self._file.flush()
            self._stack = stack.pop_all()

    def __enter__(self) -> TracksWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            with self._errors():
                self._stack.__exit__(kind, error, traceback)

    def mark_interrupted(self) -> None:
        """Say in the header that the frames that were written are not all."""
        self._interrupted = True

    def close(self) -> None:
        """Finish the file and give it its name."""
        with self._errors(), self._stack:
            if not (self._interrupted or self._file.closed):
                self._file.seek(self._end_of_header)
                self._file.write("}" + " " * len(INTERRUPTED))

    def write(self, frame: TrackedFrame) -> None:
        """Append one frame. An object with an empty mask is left out.

        Raises:
            ValueError: the frame does not come after the one before.
            OutputError: it cannot be written.
        """
        if frame.index <= self._last:
            raise ValueError(f"frame {frame.index} was given after frame {self._last}; write in the clip's order")
        self._last = frame.index
        self._put(record_of(frame))

    def _put(self, record: dict[str, Any]) -> None:
        with self._errors():
            self._file.write(json.dumps(record, ensure_ascii=False) + "\n")
            self._file.flush()  # for those who follow it

    @contextmanager
    def _errors(self) -> Generator[None, None, None]:
        try:
            yield
        except OSError as error:
            raise OutputError(
                f"{self.path} cannot be written: {error.strerror}; check space and permissions"
            ) from error


class Tracks:
    """A tracks file, read line by line, as often as needed.

    Iterating it gives a `TrackedFrame` without image for each frame; `records` gives the same without decoding masks.
    Both raise InputError at a line that is broken.

    Args:
        path: of the file.

    Raises:
        InputError: it cannot be read, is not a tracks file, or is of another version.

    Attributes:
        path: of the file.
        header: what its first line holds.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = os.fspath(path)
        with closing(self._lines()) as lines:
            _, header = next(lines, (1, None))
        if not isinstance(header, dict):
            raise self._foreign()
        self.header = cast("dict[str, Any]", header)
        if self.header.get("format") != FORMAT:
            raise self._foreign()
        if (version := self.header.get("version")) != VERSION:
            raise InputError(
                f"{self.path}: tracks format version {version}, this vidseg reads {VERSION}; update vidseg"
            )
        if missing := [key for key in ("width", "height") if not isinstance(self.header.get(key), int)]:
            raise InputError(f"{self.path}: line 1 is broken (no {missing[0]}); write the file again")

    @property
    def width(self) -> int:
        """Width of the clip's frames in pixels."""
        return self.header["width"]

    @property
    def height(self) -> int:
        """Height of the clip's frames in pixels."""
        return self.header["height"]

    @property
    def interrupted(self) -> bool:
        """Whether the run was interrupted, so that the frames are not all that were asked for."""
        return self.header.get("interrupted") is True

    def frame_names(self) -> list[str] | None:
        """Names of the image files that the frames come from, by frame number; None for a video.

        Raises:
            InputError: they are no names of files in a folder.
        """
        names = self.header.get("frame_names")
        if names is None:
            return None
        if not isinstance(names, list) or not all(map(_is_file_name, cast("list[object]", names))):
            raise self._broken(1, "frame_names are not names of files")
        return cast("list[str]", names)

    def __iter__(self) -> Iterator[TrackedFrame]:
        prompts = self.header.get("prompts")
        classes = ClassIds([str(phrase) for phrase in cast("list[Any]", prompts)] if isinstance(prompts, list) else ())
        for record in self.records():
            yield record.decode(classes)

    def records(self) -> Iterator[FrameRecord]:
        """The frames in their order, with masks as run lengths."""
        last = -1
        for number, line in self._lines():
            if number == 1:
                continue
            record = parse_record(line, (self.height, self.width), partial(self._broken, number))
            if record.index <= last:
                raise self._broken(number, f"frame {record.index} after frame {last}")
            last = record.index
            yield record

    def span(self) -> tuple[int, int] | None:
        """Indices of the first and the last frame, from the two ends of the file alone; None if it has no frames.

        Where the last line is broken, the last frame counts as unknown, and the first one stands for it.
        """
        first = next(self.records(), None)
        if first is None:
            return None
        lines: list[bytes] = []
        with open(self.path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            for room in (1 << 16, 1 << 20, 1 << 24, size):  # a line with many objects is long
                file.seek(max(0, size - room))
                lines = file.read().splitlines()
                if len(lines) > 1:
                    break
        try:
            return first.index, int(json.loads(lines[-1])["frame"])
        except (ValueError, KeyError, TypeError):
            return first.index, first.index

    def frame_count(self) -> int:
        """How many frames the file has. Its lines are counted, and not read."""
        with open(self.path, "rb") as file:
            return sum(1 for _ in file) - 1

    def check_size(self, clip: str, width: int, height: int) -> None:
        """Raise InputError if these are the tracks of a clip of another size."""
        if (width, height) != (self.width, self.height):
            raise InputError(
                f"{self.path} is for a clip of {self.width}×{self.height} pixels and {clip} has {width}×{height}; "
                "give the clip that was tracked"
            )

    def _lines(self) -> Generator[tuple[int, Any], None, None]:
        """The lines as JSON with their numbers, from 1: the header first."""
        number = 0
        try:
            with open(self.path, encoding="utf-8") as file:
                for line in file:
                    number += 1
                    yield number, json.loads(line)
        except OSError as error:
            raise InputError(f"{self.path}: cannot be read ({error.strerror}); check the path") from error
        except (ValueError, RecursionError) as error:  # no JSON, no UTF-8, or nested without end
            raise self._foreign() if number <= 1 else self._broken(number, "not a complete record") from error

    def _foreign(self) -> InputError:
        return InputError(f"{self.path}: not a tracks file; give a .tracks.jsonl file written by vidseg")

    def _broken(self, number: int, why: str) -> InputError:
        """The exception for a line that makes no sense."""
        return InputError(f"{self.path}: line {number} is broken ({why}); remove it, or write the file again")


def read_tracks(path: str | os.PathLike[str]) -> Tracks:
    """Open a tracks file.

    Args:
        path: of the file.

    Returns:
        The file, to iterate as often as needed for `TrackedFrame` without image.

    Raises:
        InputError: it is not a tracks file. A broken line is reported when it is reached.
    """
    return Tracks(path)


def _is_file_name(name: object) -> bool:
    """Whether something is the name of a file in a folder, and leads nowhere else."""
    return isinstance(name, str) and name not in ("", ".", "..") and not any(sign in name for sign in "/\\\0\n")


def record_of(frame: TrackedFrame) -> dict[str, Any]:
    """What one line of a tracks file holds. An object with an empty mask is left out."""
    found: Any = frame.detections  # a tracked frame's have all fields, which supervision cannot promise
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
    """The frame, without its image, that one line of a tracks file holds.

    Args:
        record: the line, as `record_of` makes it.
        height: of the clip's frames in pixels.
        width: of the same.

    Raises:
        ValueError: it is not the record of a frame of that size.
    """
    return parse_record(record, (height, width)).decode()
