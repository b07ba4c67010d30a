"""YouTube-VIS: one JSON file with videos, and one annotation an object with its masks on all frames of its video.

Masks become known frame by frame and stand object by object in the file, so they wait in a database on disk beside it.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from vidseg.errors import OutputError
from vidseg.exporters.json_file import JsonList, dump, preamble
from vidseg.exporters.pictures import save_jpeg
from vidseg.exporters.source import Categories, Source

FIELDS = ("areas", "bboxes", "segmentations")  # of an annotation: lists with a value a frame; what is long comes last


def write(sources: Sequence[Source], output: Path, images: Path | None) -> None:
    """Write the file, and the images `park/00012.jpg` … if there is a folder for them."""
    try:
        with tempfile.TemporaryDirectory(prefix=".", dir=output.parent) as folder:
            with closing(sqlite3.connect(Path(folder, "masks"), isolation_level=None)) as store:
                _write(sources, output, images, store)
    except sqlite3.Error as error:
        raise OutputError(f"{output} cannot be written: {error}; check space and permissions") from error


def _write(sources: Sequence[Source], output: Path, images: Path | None, store: sqlite3.Connection) -> None:
    store.execute("PRAGMA journal_mode = OFF")  # nobody reads it after a crash
    store.execute("PRAGMA synchronous = OFF")
    store.execute(
        f"CREATE TABLE masks (video INTEGER, object INTEGER, place INTEGER, {', '.join(f'{field} TEXT' for field in FIELDS)})"
    )
    store.execute("BEGIN")
    categories, tracks, lengths = Categories(sources), {}, []  # tracks: (video, object) -> how often it has which label
    with open(output, "w", encoding="utf-8") as file:
        file.write(f'{preamble()}"videos":[\n')
        videos = JsonList(file)
        for video, source in enumerate(sources, start=1):
            videos.add(f'{{"id":{video},"width":{source.width},"height":{source.height},"file_names":[')
            names = JsonList(file, ",")
            for frame in source.frames(images=images is not None):
                for found in frame.objects:
                    values = found.area, found.box, {"counts": found.lengths.tolist(), "size": found.size}
                    row = (video, found.id, names.count, *map(dump, values))
                    store.execute("INSERT INTO masks VALUES (?, ?, ?, ?, ?, ?)", row)
                    tracks.setdefault((video, found.id), Counter())[found.label] += 1
                name = f"{source.name}/{frame.index:05d}.jpg"
                names.add(dump(name))
                if images is not None:
                    (images / source.name).mkdir(exist_ok=True)
                    save_jpeg(images / name, frame.image)
            file.write(f'],"length":{names.count}}}')
            lengths.append(names.count)
        store.execute("CREATE INDEX tracks ON masks (video, object, place)")
        file.write('],\n"annotations":[\n')
        annotations = JsonList(file)
        for (video, number), labels in tracks.items():
            source, category = sources[video - 1], categories.number(labels.most_common(1)[0][0])
            track = {
                "id": annotations.count + 1,
                "video_id": video,
                "track_id": number,
                "category_id": category,
                "iscrowd": 0,
                "width": source.width,
                "height": source.height,
                "length": lengths[video - 1],
            }
            annotations.add(dump(track)[:-1])
            for field in FIELDS:
                file.write(f',"{field}":[')
                values = JsonList(file, ",")
                for value in _by_place(store, field, video, number, lengths[video - 1]):
                    values.add(value)
                file.write("]")
            file.write("}")
        file.write(f'],\n"categories":{dump(categories.entries())}}}\n')


def _by_place(store: sqlite3.Connection, field: str, video: int, number: int, length: int) -> Iterator[str]:
    """What an object has on each of its video's frames: JSON, "null" where it cannot be seen."""
    place = 0
    for seen, value in store.execute(
        f"SELECT place, {field} FROM masks WHERE video = ? AND object = ? ORDER BY place", (video, number)
    ):
        yield from ["null"] * (seen - place)
        yield value
        place = seen + 1
    yield from ["null"] * (length - place)
