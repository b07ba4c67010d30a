"""Make the pictures of `vidseg serve` in the README, in headless Chromium: docs/page.webp and docs/page-phone.webp.

uv run python -m scripts.pictures.page              # --all FOLDER: each state, wide and narrow, light and dark, as PNG
"""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import click
import httpx
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from scripts.benchmarks.web import server
from scripts.common import PARK, ROOT

SIZES = {"wide": (1280, 800), "phone": (390, 844)}
WANTED = {("wide", "light"): "page.webp", ("phone", "dark"): "page-phone.webp"}


def said(page: Page, begin: str) -> None:
    """Wait until the page says something that begins so."""
    page.wait_for_function(f"document.querySelector('#status').textContent.startsWith('{begin}')", timeout=180_000)


def states(page: Page, address: str) -> Iterator[str]:
    """Bring the page into each of its states; yields the name of each."""
    page.goto(address)
    page.wait_for_selector("#samples button")
    yield "empty"
    page.set_input_files("#file", {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"nothing to see"})
    page.wait_for_selector("#error:not([hidden])")
    yield "error"
    page.route("**/api/sessions/*/media*", lambda route: None)  # the upload is held
    page.set_input_files("#file", PARK)
    page.wait_for_selector("#uploading:not([hidden])")
    yield "uploading"
    page.unroute_all(behavior="ignoreErrors")
    page.reload()
    page.wait_for_selector("#samples button")
    page.click('[data-sample="desk.png"]')
    page.wait_for_function("document.querySelector('#text').value !== ''")
    yield "image"
    page.keyboard.press("Enter")
    said(page, "Found")
    yield "found"
    page.reload()
    page.wait_for_selector("#samples button")
    page.click('[data-sample="park.mp4"]')
    page.wait_for_function("document.querySelector('#text').value !== ''")
    page.keyboard.press("Enter")
    said(page, "Found")
    yield "clip"
    with httpx.Client(base_url=address) as other:  # somebody else's clip is being tracked
        session = other.post("/api/sessions").json()["session"]
        clip = other.post(f"/api/sessions/{session}/samples/park.mp4").json()["media"]
        other.post(f"/api/sessions/{session}/media/{clip}/track", json={"text": "cat"})
        page.click("#track")
        said(page, "Queued")
        yield "queued"
        other.delete(f"/api/sessions/{session}")
    page.wait_for_function("vidseg.state.frames.size > 10", timeout=120_000)
    page.click("#cancel")
    said(page, "Cancelled;")
    yield "cancelled"
    page.click("#track")
    page.wait_for_function("vidseg.state.frames.size > 40", timeout=120_000)
    yield "tracking"
    page.wait_for_selector("#track:not([hidden])", timeout=180_000)
    page.eval_on_selector("#scrub", "node => { node.value = 46; node.dispatchEvent(new Event('input')) }")
    page.wait_for_function("document.querySelector('#place').textContent.startsWith('frame 47 ')")
    page.evaluate("document.activeElement.blur()")
    yield "tracked"


@click.command()
@click.option("--all", "folder", type=click.Path(path_type=Path), metavar="FOLDER", help="Every state, as PNG.")
def main(folder: Path | None) -> None:
    """Make the pictures of `vidseg serve` in the README, in headless Chromium."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    kinds = list(product(SIZES, ("light", "dark"))) if folder else list(WANTED)
    with server("--model", "demo") as (address, _), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for size, scheme in kinds:
            width, height = SIZES[size]
            with browser.new_context(
                viewport={"width": width, "height": height},
                color_scheme="light" if scheme == "light" else "dark",
                bypass_csp=True,
            ) as context:
                page = context.new_page()
                for name in states(page, address):
                    picture = page.screenshot()
                    if folder is not None:
                        (folder / f"{size}-{scheme}-{name}.png").write_bytes(picture)
                    if name == "tracked" and (size, scheme) in WANTED:
                        target = ROOT / "docs" / WANTED[size, scheme]
                        Image.open(io.BytesIO(picture)).save(target, quality=82, method=6)
        browser.close()


if __name__ == "__main__":
    main()
