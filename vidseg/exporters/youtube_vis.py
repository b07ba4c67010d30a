"""YouTube-VIS: one JSON file with videos, and one annotation an object with its masks on all frames of its video.

Masks become known frame by frame and stand object by object in the file, so they wait in a database beside it.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TextIO

from vidseg.errors import OutputError
from vidseg.exporters.images import save_jpeg
from vidseg.exporters.json_stream import JsonList, dump, preamble
from vidseg.exporters.names import file_names
from vidseg.exporters.source import Categories, Source
from vidseg.tracks.records import ObjectRecord

FIELDS = ("areas", "bboxes", "segmentations")  # of an annotation: lists with a value a frame; what is long comes last


def write(sources: Sequence[Source], output: Path, images: Path | None) -> None:
    """Write the file, and the images `park/00012.jpg` … if there is a folder for them."""
    try:
        with (
            tempfile.TemporaryDirectory(prefix=".", dir=output.parent) as folder,
            closing(sqlite3.connect(Path(folder, "masks"), isolation_level=None)) as connection,
            open(output, "w", encoding="utf-8") as file,
        ):
            store = _MaskStore(connection)
            categories = Categories(sources)
            file.write(f'{preamble()}"videos":[\n')
            lengths = _write_videos(file, sources, images, store)
            file.write('],\n"annotations":[\n')
            _write_annotations(file, sources, lengths, categories, store)
            file.write(f'],\n"categories":{dump(categories.entries())}}}\n')
    except sqlite3.Error as error:
        raise OutputError(f"{output} cannot be written: {error}; check space and permissions") from error


class _MaskStore:
    """A database of what each object has on each frame of its video.

    Attributes:
        labels: how often each object, (video, id), has which label, in the order in which the objects appear.
    """

    def __init__(self, connection: sqlite3.Connection):
        self._connection = connection
        self.labels: dict[tuple[int, int], Counter[str]] = {}
        connection.execute("PRAGMA journal_mode = OFF")  # nobody reads it after a crash
        connection.execute("PRAGMA synchronous = OFF")
        columns = ", ".join(f"{field} TEXT" for field in FIELDS)
        connection.execute(f"CREATE TABLE masks (video INTEGER, object INTEGER, place INTEGER, {columns})")
        connection.execute("BEGIN")

    def add(self, video: int, place: int, found: ObjectRecord) -> None:
        """Store an object of the frame at a place in its video."""
        values = found.area, found.mask_box, {"counts": found.lengths.tolist(), "size": found.size}
        row = (video, found.id, place, *map(dump, values))
        self._connection.execute("INSERT INTO masks VALUES (?, ?, ?, ?, ?, ?)", row)
        self.labels.setdefault((video, found.id), Counter())[found.label] += 1

    def index(self) -> None:
        """Prepare for reading by object."""
        self._connection.execute("CREATE INDEX tracks ON masks (video, object, place)")

    def values(self, field: str, video: int, object_id: int, length: int) -> Iterator[str]:
        """What an object has on each of the `length` frames of its video: JSON, "null" where it is not visible."""
        place = 0
        for seen, value in self._connection.execute(
            f"SELECT place, {field} FROM masks WHERE video = ? AND object = ? ORDER BY place", (video, object_id)
        ):
            yield from ["null"] * (seen - place)
            yield value
            place = seen + 1
        yield from ["null"] * (length - place)


def _write_videos(file: TextIO, sources: Sequence[Source], images: Path | None, store: _MaskStore) -> list[int]:
    """Write the videos and store their masks. Returns how many frames each has."""
    lengths = []
    videos = JsonList(file)
    for video, source in enumerate(sources, start=1):
        videos.add(f'{{"id":{video},"width":{source.width},"height":{source.height},"file_names":[')
        names, own = JsonList(file, ","), file_names(source, written=images is not None) or []
        for frame in source.frames(images=images is not None):
            for found in frame.objects:
                store.add(video, names.count, found)
            name = f"{source.name}/{own[frame.index] if frame.index < len(own) else f'{frame.index:05d}.jpg'}"
            names.add(dump(name))
            if images is not None and frame.image is not None:
                (images / source.name).mkdir(exist_ok=True)
                save_jpeg(images / name, frame.image)
        file.write(f'],"length":{names.count}}}')
        lengths.append(names.count)
    store.index()
    return lengths


def _write_annotations(
    file: TextIO, sources: Sequence[Source], lengths: list[int], categories: Categories, store: _MaskStore
) -> None:
    """Write one annotation an object. Its category is the label that it has most often."""
    annotations = JsonList(file)
    for (video, object_id), labels in store.labels.items():
        source, length = sources[video - 1], lengths[video - 1]
        track = {
            "id": annotations.count + 1,
            "video_id": video,
            "track_id": object_id,
            "category_id": categories.number(labels.most_common(1)[0][0]),
            "iscrowd": 0,
            "width": source.width,
            "height": source.height,
            "length": length,
        }
        annotations.add(dump(track)[:-1])
        for field in FIELDS:
            file.write(f',"{field}":[')
            values = JsonList(file, ",")
            for value in store.values(field, video, object_id, length):
                values.add(value)
            file.write("]")
        file.write("}")
