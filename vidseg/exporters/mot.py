"""MOTChallenge text: one line an object on a frame, boxes without masks.

frame, id, x, y, width, height, score, class, visibility, unused
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vidseg.exporters.source import Categories, Source


def write(sources: Sequence[Source], output: Path, images: Path | None) -> None:
    """Write the file. Frames and pixels are counted from 1, as in MOTChallenge; -1 says that visibility is unknown."""
    (source,) = sources
    categories = Categories(sources)
    with open(output, "w", encoding="ascii") as file:
        for frame in source.frames():
            for found in frame.objects:
                x, y, width, height = found.mask_box
                number = categories.number(found.label)
                file.write(
                    f"{frame.index + 1},{found.id},{x + 1},{y + 1},{width},{height},{found.score:g},{number},-1,-1\n"
                )
