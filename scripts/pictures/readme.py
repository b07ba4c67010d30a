"""Make the pictures of the README, all from what the bundled pair tracks in the samples.

uv run python -m scripts.pictures.readme
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import click
import cv2
import numpy as np
from PIL import Image

import vidseg
from scripts.common import PARK, ROOT, SAMPLES
from scripts.detections import image_of, masks_of
from scripts.pictures.tracking import track
from vidseg.io.images import read_image
from vidseg.rendering.render import draw

PARK_PROMPT, STREET_PROMPT = "dog. cat. ball. tree", "person. car. bus. bicycle. truck. tractor. balloon. duck"


def save(name: str, picture: np.ndarray) -> None:
    """A still in docs/."""
    cv2.imwrite(str(ROOT / "docs" / name), picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])


def save_preview(name: str, pictures: list[np.ndarray], rate: float) -> None:
    """An animation that browsers play, small enough for the top of a page."""
    small = [Image.fromarray(cv2.resize(picture, (480, 270), interpolation=cv2.INTER_AREA)) for picture in pictures]
    small[0].save(
        ROOT / "docs" / name,
        save_all=True,
        append_images=small[1:],
        duration=round(1000 / rate),
        loop=0,
        quality=55,
        method=4,
    )


def outlined(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """A square around a mask, magnified, with its outline."""
    ys, xs = np.nonzero(mask)
    half = max(np.ptp(ys), np.ptp(xs)) // 2 + 15
    y, x = ((values.min() + values.max()) // 2 for values in (ys, xs))
    window = (slice(max(0, y - half), y + half), slice(max(0, x - half), x + half))
    large, lines = (
        cv2.resize(part, (360, 360), interpolation=how)
        for part, how in ((image[window], cv2.INTER_CUBIC), (mask[window].astype(np.uint8), cv2.INTER_NEAREST))
    )
    cv2.drawContours(large, cv2.findContours(lines, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)[0], -1, (255, 0, 255), 2)
    return large


def save_sharpened(name: str) -> None:
    """Objects of the desk sample, outlined without the help of the picture above, and with it below."""
    rows = []
    for sharpen in (False, True):
        frame = vidseg.load("demo", device="cpu", sharpen=sharpen).segment(
            SAMPLES / "desk.png", prompt="clock. cup. scissors"
        )
        rows.append(np.hstack([outlined(image_of(frame), mask) for mask in masks_of(frame.detections)]))
    Image.fromarray(np.vstack(rows)).save(ROOT / "docs" / name, quality=80, method=6)


@click.command()
def main() -> None:
    """Make the pictures of the README."""
    save_sharpened("sharpen.webp")
    model, street = vidseg.load("demo", device="cpu"), SAMPLES / "street.mp4"
    pictures = [draw(frame) for frame in model.track(PARK, prompt="dog. cat. ball")]
    save_preview("park.webp", pictures[::2], rate=12)
    with tempfile.TemporaryDirectory() as folder:
        tracks, made = Path(folder) / "park.tracks.jsonl", Path(folder) / "made.png"
        track(model, PARK, PARK_PROMPT, tracks)
        vidseg.render(PARK, tracks, made, style="blur-background,halo,trail,label", frame=60)
        save("park-styled.jpg", read_image(made))
        vidseg.render(PARK, tracks, made, style="pixelate,contour,label", frame=120, side_by_side=True, overwrite=True)
        save("park-pixelated.jpg", read_image(made))
        tracks = tracks.with_name("street.tracks.jsonl")
        track(model, street, STREET_PROMPT, tracks)
        vidseg.render(street, tracks, made, kind="sheet", overwrite=True)
        save("street-sheet.jpg", read_image(made))


if __name__ == "__main__":
    main()
