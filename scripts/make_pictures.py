"""Make the pictures of the README, all from what the bundled pair tracks in the samples."""

from __future__ import annotations

import tempfile
from pathlib import Path

import cv2
import numpy as np

import vidseg
from vidseg.media.images import read_image
from vidseg.render import draw
from vidseg.tracks import TracksWriter, header_of

ROOT = Path(__file__).resolve().parent.parent
SHOWN = (24, 66, 112, 150)  # of the park: before the tree, going behind it, coming out, found again
PARK, STREET = "dog. cat. ball. tree", "person. car. bus. bicycle. truck. tractor. balloon. duck"


def save(name: str, picture: np.ndarray) -> None:
    cv2.imwrite(str(ROOT / "docs" / name), picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])


def track(model, clip: Path, prompt: str, tracks: Path) -> None:
    run = model.track(clip, prompt=prompt)
    info = run.clip.info
    with TracksWriter(tracks, header_of(clip, info.width, info.height, info.frame_rate, info.time_base, [prompt], model.names)) as writer:
        for frame in run:
            writer.write(frame)


def main() -> None:
    model, park, street = vidseg.load("demo", device="cpu"), ROOT / "samples/park.mp4", ROOT / "samples/street.mp4"
    pictures = [draw(frame) for frame in model.track(park, prompt="dog") if frame.index in SHOWN]
    save("park.jpg", np.vstack([np.hstack(pictures[:2]), np.hstack(pictures[2:])]))
    with tempfile.TemporaryDirectory() as folder:
        tracks, made = Path(folder) / "park.tracks.jsonl", Path(folder) / "made.png"
        track(model, park, PARK, tracks)
        vidseg.render(park, tracks, made, style="blur-background,halo,trail,label", frame=60)
        save("park-styled.jpg", read_image(made))
        vidseg.render(park, tracks, made, style="pixelate,contour,label", frame=120, side_by_side=True, overwrite=True)
        save("park-pixelated.jpg", read_image(made))
        tracks = tracks.with_name("street.tracks.jsonl")
        track(model, street, STREET, tracks)
        vidseg.render(street, tracks, made, kind="sheet", overwrite=True)
        save("street-sheet.jpg", read_image(made))


if __name__ == "__main__":
    main()
