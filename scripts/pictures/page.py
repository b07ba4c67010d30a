"""Make the pictures of `vidseg serve` in the README, in headless Chromium: docs/page.webp and docs/page-phone.webp.

uv run python -m scripts.pictures.page              # --all FOLDER: each state, wide and narrow, light and dark, as PNG
"""

from __future__ import annotations

import argparse
import io
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from scripts.benchmarks.web import server

DOCS = Path(__file__).resolve().parents[2] / "docs"
SIZES = {"wide": (1280, 800), "phone": (390, 844)}


def states(page: Page, address: str) -> Iterator[str]:
    """Bring the page into each of its states; yields the name of each."""
    said = lambda begin: page.wait_for_function(
        f"document.querySelector('#status').textContent.startsWith('{begin}')", timeout=180_000
    )
    page.goto(address)
    page.wait_for_selector("#samples button")
    yield "empty"
    page.set_input_files("#file", {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"nothing to see"})
    page.wait_for_selector("#error:not([hidden])")
    yield "error"
    page.route("**/api/sessions/*/media*", lambda route: None)  # the upload is held
    page.set_input_files("#file", Path(__file__).parents[2] / "samples/park.mp4")
    page.wait_for_selector("#uploading:not([hidden])")
    yield "uploading"
    page.unroute_all(behavior="ignoreErrors")
    page.reload()
    page.wait_for_selector("#samples button")
    page.click('[data-sample="desk.png"]')
    page.wait_for_function("document.querySelector('#text').value !== ''")
    yield "image"
    page.keyboard.press("Enter")
    said("Found")
    yield "found"
    page.reload()
    page.wait_for_selector("#samples button")
    page.click('[data-sample="park.mp4"]')
    page.wait_for_function("document.querySelector('#text').value !== ''")
    page.keyboard.press("Enter")
    said("Found")
    yield "clip"
    with httpx.Client(base_url=address) as other:  # somebody else's clip is being tracked
        session = other.post("/api/sessions").json()["session"]
        clip = other.post(f"/api/sessions/{session}/samples/park.mp4").json()["media"]
        other.post(f"/api/sessions/{session}/media/{clip}/track", json={"text": "cat"})
        page.click("#track")
        said("Queued")
        yield "queued"
        other.delete(f"/api/sessions/{session}")
    page.wait_for_function("vidseg.state.frames.size > 10", timeout=120_000)
    page.click("#cancel")
    said("Cancelled;")
    yield "cancelled"
    page.click("#track")
    page.wait_for_function("vidseg.state.frames.size > 40", timeout=120_000)
    yield "tracking"
    page.wait_for_selector("#track:not([hidden])", timeout=180_000)
    page.eval_on_selector("#scrub", "node => { node.value = 46; node.dispatchEvent(new Event('input')) }")
    page.wait_for_function("document.querySelector('#place').textContent.startsWith('frame 46 ')")
    page.evaluate("document.activeElement.blur()")
    yield "tracked"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", type=Path, metavar="FOLDER")
    folder = parser.parse_args().all
    wanted = {("wide", "light"): "page.webp", ("phone", "dark"): "page-phone.webp"}
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    with server("--model", "demo") as (address, _), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for size, (width, height) in SIZES.items():
            for scheme in ("light", "dark"):
                if folder is None and (size, scheme) not in wanted:
                    continue
                with browser.new_context(
                    viewport={"width": width, "height": height}, color_scheme=scheme, bypass_csp=True
                ) as context:
                    page = context.new_page()
                    for name in states(page, address):
                        picture = page.screenshot()
                        if folder is not None:
                            (folder / f"{size}-{scheme}-{name}.png").write_bytes(picture)
                        if name == "tracked" and (size, scheme) in wanted:
                            Image.open(io.BytesIO(picture)).save(DOCS / wanted[size, scheme], quality=82, method=6)
        browser.close()


if __name__ == "__main__":
    main()
