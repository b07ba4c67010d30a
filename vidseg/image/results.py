"""Photos in, and the files of each: the overlay, the tracks file, masks and cut-outs."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from vidseg.errors import InputError
from vidseg.io.files import check_writable
from vidseg.io.images import IMAGE_SUFFIXES, is_result, list_images
from vidseg.io.stills import IMAGE_RATE

if TYPE_CHECKING:
    import numpy as np

    from vidseg.tracks.frame import TrackedFrame

OVERLAY = "segmented.png"
ALWAYS_WRITTEN = (OVERLAY, "tracks.jsonl")


def expand_photos(names: Iterable[str]) -> tuple[list[Path], list[str]]:
    """The photos that names, folders and patterns stand for.

    Results of other photos are left out of folders and patterns.

    Returns:
        The files, each once, in order; and one line for each name that stands for none.
    """
    files: dict[Path, None] = {}
    failures: list[str] = []
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


def place_results(files: Sequence[Path], folder: Path | None) -> tuple[dict[Path, Results], list[str]]:
    """Where the results of each photo go: beside it, or into a folder.

    Photos whose names differ in their suffix alone keep it in the names of their results.

    Returns:
        The results by photo; and one line for each photo whose results would replace those of another.
    """
    stems: dict[Path, list[Path]] = {}
    for file in files:
        stems.setdefault((folder or file.parent) / file.stem, []).append(file)
    places: dict[Path, Results] = {}
    taken: dict[Path, Path] = {}  # photos by stem
    failures: list[str] = []
    for stem, sharing in stems.items():
        for file in sharing:
            own = stem if len(sharing) == 1 else stem.with_name(file.name)
            if own in taken:
                failures.append(
                    f"{file}: its results would have the names of those of {taken[own]}; "
                    "give the two different --output folders"
                )
                continue
            taken[own] = file
            places[file] = Results(photo=file, stem=own)
    return places, failures


@dataclass(frozen=True, kw_only=True)
class Results:
    """The files of one photo.

    Attributes:
        photo: the file itself.
        stem: path that the names of the results begin with.
    """

    photo: Path
    stem: Path

    def path(self, ending: str) -> Path:
        """Path of one file, such as "segmented.png"."""
        return self.stem.with_name(f"{self.stem.name}.{ending}")

    def check(self, endings: Iterable[str], overwrite: bool, inputs: Iterable[Path]) -> None:
        """Raise OutputError if one of these files cannot be written, or would replace an input."""
        inputs = list(inputs)
        for path in map(self.path, endings):
            for given in inputs:
                check_writable(path, True, given)
            check_writable(path, overwrite)

    def write(
        self,
        frame: TrackedFrame,
        pictures: Mapping[str, np.ndarray],
        phrases: Sequence[str],
        models: dict[str, str | None],
    ) -> list[Path]:
        """Write the pictures and the tracks file.

        Args:
            frame: what was found.
            pictures: by the ending of their name, the overlay first.
            phrases: what was looked for; for the header of the tracks file.
            models: the checkpoints; for the same.

        Returns:
            The paths, the overlay first.

        Raises:
            OutputError: a file cannot be written.
        """
        from vidseg.io.images import write_png
        from vidseg.tracks.file import TracksWriter, header_of

        overlay, *others = map(self.path, pictures)
        tracks_path = self.path("tracks.jsonl")
        for ending, picture in pictures.items():
            write_png(self.path(ending), picture)
        height, width = pictures[OVERLAY].shape[:2]
        rate = Fraction(IMAGE_RATE)
        header = header_of(self.photo, width, height, rate, 1 / rate, phrases, models, [self.photo.name])
        with TracksWriter(tracks_path, header) as tracks:
            tracks.write(frame)
        return [overlay, tracks_path, *others]


def result_pictures(
    image: np.ndarray, frame: TrackedFrame, candidates: TrackedFrame | None, *, masks: bool, cutouts: bool
) -> dict[str, np.ndarray]:
    """The pictures to write for one photo, by the ending of their name.

    Args:
        image: the photo, H×W×3 uint8 RGB.
        frame: what was found on it.
        candidates: the masks that a prompt may mean; None: leave them out.
        masks: whether to make a black and white picture of each object.
        cutouts: whether to make a picture of each object with all else transparent.

    Returns:
        The overlay first. H×W×3 uint8 RGB, H×W uint8, or for cut-outs h×w×4 uint8 RGBA.
    """
    import numpy as np

    from vidseg.rendering.cutout import cut_out, soft_alpha
    from vidseg.rendering.render import draw

    pictures = {OVERLAY: draw(frame)}
    for xyxy, mask, _, _, number, _ in frame.detections:
        covered = np.asarray(mask).astype(np.uint8)
        if masks:
            pictures[f"mask-{number}.png"] = covered * 255
        if cutouts:
            x1, y1, x2, y2 = xyxy.astype(int)
            cut = cut_out(image, soft_alpha(covered))
            pictures[f"cutout-{number}.png"] = cut[
                max(0, y1 - 1) : y2 + 1, max(0, x1 - 1) : x2 + 1
            ]  # with the soft rim
    for _, mask, *_, data in candidates.detections if candidates is not None else ():
        pictures[f"candidate-{data['candidate']}.png"] = np.asarray(mask).astype(np.uint8) * 255
    return pictures
