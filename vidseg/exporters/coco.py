"""COCO instances: one JSON file with images, annotations and categories. Masks are run lengths.

Beyond COCO, images have `video_id` and `frame_id` (from 0), annotations `track_id` and `score`, and `videos` lists the
clips: those of data sets for video instance segmentation that are based on COCO. Readers of COCO pass over them.
CVAT makes tracks of annotations whose `attributes` have `track_id`, `occluded` and `keyframe`.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from vidseg.exporters.images import save_jpeg
from vidseg.exporters.json_stream import JsonList, dump, preamble
from vidseg.exporters.names import ImageNames
from vidseg.exporters.source import Categories, Source
from vidseg.tracks.records import ObjectRecord


def write(sources: Sequence[Source], output: Path, images: Path | None) -> None:
    """Write the data set, and the images `park_000012.jpg` … if there is a folder for them. `ImageNames` names them."""
    write_coco(sources, output, images, ObjectRecord.code)


def write_coco(
    sources: Sequence[Source], output: Path, images: Path | None, segmentation: Callable[[ObjectRecord], Any]
) -> None:
    """Write the data set with a kind of segmentation that COCO has.

    Images and annotations become known together and stand one after the other in the file, so annotations wait in a
    temporary file beside it.

    Args:
        sources: the clips.
        output: the file.
        images: folder for the images, or None.
        segmentation: makes what an annotation has as `segmentation`.
    """
    categories, names = Categories(sources), ImageNames(sources, written=images is not None)
    track_ids = _TrackIds(several=len(sources) > 1)
    videos = [
        {"id": number, "name": source.name, "width": source.width, "height": source.height}
        for number, source in enumerate(sources, start=1)
    ]
    with (
        open(output, "w", encoding="utf-8") as file,
        tempfile.TemporaryFile("w+", encoding="utf-8", dir=output.parent) as waiting,
    ):
        file.write(f'{preamble()}"videos":{dump(videos)},\n"images":[\n')
        listed, annotations = JsonList(file), JsonList(waiting)
        for video, source in zip(videos, sources):
            for frame in source.frames(images=images is not None):
                name = names.of(source, frame.index)
                image = {
                    "id": listed.count + 1,
                    "file_name": name,
                    "width": source.width,
                    "height": source.height,
                    "video_id": video["id"],
                    "frame_id": frame.index,
                }
                listed.add(dump(image))
                if images is not None and frame.image is not None:
                    save_jpeg(images / name, frame.image)
                for found in frame.objects:
                    annotation = {
                        "id": annotations.count + 1,
                        "image_id": image["id"],
                        "category_id": categories.number(found.label),
                        "segmentation": segmentation(found),
                        "area": found.area,
                        "bbox": found.mask_box,
                        "iscrowd": 0,
                        "track_id": found.id,
                        "score": found.score,
                        "attributes": {
                            "track_id": track_ids.of(source.name, found.id),
                            "occluded": False,
                            "keyframe": True,
                        },
                    }
                    annotations.add(dump(annotation))
        file.write('],\n"annotations":[\n')
        waiting.seek(0)
        shutil.copyfileobj(waiting, file)
        file.write(f'],\n"categories":{dump(categories.entries())}}}\n')


class _TrackIds:
    """Ids that no two objects of a data set share, as CVAT knows objects by them alone.

    Args:
        several: whether there are several clips; else the ids stay.
    """

    def __init__(self, several: bool):
        self._several = several
        self._ids: dict[tuple[str, int], int] = {}

    def of(self, clip: str, object_id: int) -> int:
        """The id of an object of a clip."""
        return self._ids.setdefault((clip, object_id), len(self._ids) + 1) if self._several else object_id
