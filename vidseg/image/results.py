"""Photos in, and what is written for each: the overlay, the tracks file, masks and cut-outs."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from vidseg.errors import InputError
from vidseg.io.files import check_writable
from vidseg.io.images import IMAGE_SUFFIXES, is_result, list_images
from vidseg.io.stills import IMAGE_RATE

if TYPE_CHECKING:
    from vidseg.tracks.frame import TrackedFrame


def expanded(names: Iterable[str]) -> tuple[list[Path], list[str]]:
    """Files that names, folders and patterns stand for, each once, in order; and one line for each that stands for none.

    Pictures that were written for another photo are left out of folders and patterns.
    """
    files: dict[Path, None] = {}
    failures = []
    for name in names:
        try:
            if os.path.isdir(name):
                found = list_images(Path(name))
            elif os.path.exists(name) or not glob.has_magic(name):
                found = [Path(name)]
            else:
                found = sorted(Path(match) for match in glob.glob(name, recursive=True))
                found = [file for file in found if file.suffix.lower() in IMAGE_SUFFIXES and not is_result(file)]
            if not found:
                raise InputError(f"{name}: there is no photo; photos are {' '.join(IMAGE_SUFFIXES)} files")
            files.update(dict.fromkeys(found))
        except InputError as error:
            failures.append(str(error))
    return list(files), failures


def results_of(files: Sequence[Path], folder: Path | None) -> tuple[dict[Path, Results], list[str]]:
    """Where the results of each photo go: beside it, or into a folder; and one line for each whose results have no place.

    Photos whose names differ in their suffix alone keep it in the names of their results.
    """
    stems: dict[Path, list[Path]] = {}
    for file in files:
        stems.setdefault((folder or file.parent) / file.stem, []).append(file)
    places, failures, taken = {}, [], {}
    for stem, sharing in stems.items():
        for file in sharing:
            own = stem if len(sharing) == 1 else stem.with_name(file.name)
            if own in taken:
                failures.append(
                    f"{file}: its results would have the names of those of {taken[own]}; give the two different --output folders"
                )
                continue
            taken[own] = file
            places[file] = Results(file, own)
    return places, failures


@dataclass(frozen=True)
class Results:
    """The files that are written for one photo.

    Attributes:
        photo: the file itself.
        stem: path that the names of the results begin with.
    """

    photo: Path
    stem: Path

    def path(self, ending: str) -> Path:
        return self.stem.with_name(f"{self.stem.name}.{ending}")

    def check(self, overwrite: bool, inputs: Iterable[Path]) -> None:
        """Raise OutputError if what is always written cannot be, or would replace one of the inputs."""
        for ending in ("segmented.png", "tracks.jsonl"):
            self._check(ending, overwrite, inputs)

    def _check(self, ending: str, overwrite: bool, inputs: Iterable[Path]) -> None:
        for given in inputs:
            check_writable(self.path(ending), True, given)
        check_writable(self.path(ending), overwrite)

    def write(
        self,
        frame: TrackedFrame,
        phrases: Sequence[str],
        models: dict[str, str],
        masks: bool,
        cutouts: bool,
        candidates: TrackedFrame | None,
        overwrite: bool,
        inputs: Iterable[Path],
    ) -> list[Path]:
        """Write what was asked for. Returns the paths, the overlay first. Raises OutputError, before anything is written if it can."""
        from vidseg.io.images import write_png
        from vidseg.rendering.cutout import cut_out, soft_alpha
        from vidseg.rendering.render import draw
        from vidseg.tracks.file import TracksWriter, header_of

        found, pictures = frame.detections, {"segmented.png": draw(frame)}
        for number, mask, box in zip(found.tracker_id.tolist(), found.mask, found.xyxy.astype(int)):
            if masks:
                pictures[f"mask-{number}.png"] = mask.astype("uint8") * 255
            if cutouts:
                cut = cut_out(frame.image, soft_alpha(mask.astype("uint8")))
                x1, y1, x2, y2 = box
                pictures[f"cutout-{number}.png"] = cut[
                    max(0, y1 - 1) : y2 + 1, max(0, x1 - 1) : x2 + 1
                ]  # with the soft rim
        if candidates is not None:
            for number, mask in zip(candidates.detections.data["candidate"].tolist(), candidates.detections.mask):
                pictures[f"candidate-{number}.png"] = mask.astype("uint8") * 255
        for ending in pictures:
            self._check(ending, overwrite, inputs)
        written = []
        for ending, picture in pictures.items():
            write_png(self.path(ending), picture)
            written.append(self.path(ending))
        height, width = frame.image.shape[:2]
        header = header_of(self.photo, width, height, Fraction(IMAGE_RATE), Fraction(1, IMAGE_RATE), phrases, models)
        with TracksWriter(self.path("tracks.jsonl"), header) as tracks:
            tracks.write(frame)
        return [written[0], self.path("tracks.jsonl"), *written[1:]]
