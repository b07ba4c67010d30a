"""What a visitor does with the page, and what the page shows."""

import base64
from pathlib import Path

import cv2
import numpy as np

from tests.web.conftest import beginning_of_park, cut


def take(page, name: str) -> None:
    page.click(f'[data-sample="{name}"]')
    page.wait_for_selector("#work:not([hidden])")
    page.wait_for_function("document.querySelector('#text').value !== ''")


def find(page, text: str) -> None:
    page.fill("#text", text)
    page.press("#text", "Enter")
    page.wait_for_function("/^(Found|Nothing)/.test(document.querySelector('#status').textContent)")


def painted(page, number: int) -> np.ndarray:
    """H×W bool: where the canvas has the colour of an object, apart from what its alpha makes of it."""
    width, height, data, colour = page.evaluate(
        """number => {
        const c = document.querySelector('#masks'), code = vidseg.state.info.palette[number % 12];
        const raw = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
        return [c.width, c.height, btoa(Array.from(raw, (one) => String.fromCharCode(one)).join('')), code];
    }""",
        number,
    )
    rgba = np.frombuffer(base64.b64decode(data), np.uint8).reshape(height, width, 4).astype(int)
    target = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return (np.abs(rgba[..., :3] - target).max(-1) < 4) & (rgba[..., 3] > 0)


def ids(page) -> dict[str, int]:
    """Id of the first object of each name in the list."""
    rows = page.eval_on_selector_all(
        "#objects li", "rows => rows.map(row => [row.querySelector('input').value, +row.dataset.id])"
    )
    return dict(reversed(rows))


def iou(one: np.ndarray, other: np.ndarray) -> float:
    return (one & other).sum() / (one | other).sum()


def click(page, x: float, y: float, **how) -> None:
    """At a pixel of the picture."""
    before = page.evaluate("performance.now()")
    page.eval_on_selector("#status", "node => { node.textContent = '' }")
    box = page.locator("#masks").bounding_box()
    width, height = page.evaluate("[document.querySelector('#masks').width, document.querySelector('#masks').height]")
    page.locator("#masks").click(
        position={"x": (x + 0.5) * box["width"] / width, "y": (y + 0.5) * box["height"] / height}, **how
    )
    page.wait_for_function("document.querySelector('#status').textContent !== ''")
    assert page.evaluate("performance.now()") > before


def middle(mask: np.ndarray) -> tuple[int, int]:
    """x, y of the pixel that is deepest inside."""
    depth = cv2.distanceTransform(np.pad(mask.astype(np.uint8), 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
    y, x = np.unravel_index(depth.argmax(), depth.shape)
    return int(x), int(y)


def download(page, kind: str) -> Path:
    page.select_option("#download-kind", kind)
    with page.expect_download() as coming:
        page.click("#download")
    return Path(coming.value.path())


def show(page, index: int) -> None:
    page.eval_on_selector("#scrub", f"node => {{ node.value = {index}; node.dispatchEvent(new Event('input')) }}")
    page.wait_for_function(f"document.querySelector('#place').textContent.startsWith('frame {index + 1} ')")


def open_park(page, frames: int, without: int = 0) -> None:
    """The first frames of the park, without the very first ones."""
    clip = beginning_of_park(frames) if not without else cut(beginning_of_park(frames), without)
    page.set_input_files("#file", {"name": "park.mp4", "mimeType": "video/mp4", "buffer": clip})
    page.wait_for_selector("#work:not([hidden])")


def track(page) -> str:
    """To the end. Returns what the page says then."""
    page.click("#track")
    page.wait_for_selector("#cancel:not([hidden])")
    page.wait_for_selector("#track:not([hidden])", timeout=180_000)
    page.wait_for_function("document.querySelector('#status').dataset.kind !== 'work'")
    return page.inner_text("#status")


def masks(page) -> list[dict[int, str]]:
    """Run lengths of the masks of each frame that the page has, by id."""
    return [
        {int(number): counts for number, counts in frame.items()}
        for frame in page.evaluate(
            """[...vidseg.state.frames].sort(([a], [b]) => a - b).map(([, some]) =>
               Object.fromEntries(some.map(one => [one.id, one.mask.counts])))"""
        )
    ]
