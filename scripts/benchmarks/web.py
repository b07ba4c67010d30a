"""Figures about `vidseg serve`: how long a click takes, and what twenty visitors do to it.

uv run python -m scripts.benchmarks.web clicks                # the demo pair
uv run python -m scripts.benchmarks.web clicks --full         # SAM 2.1 hiera tiny at full size, random weights
uv run python -m scripts.benchmarks.web visitors --seconds 60
"""

from __future__ import annotations

import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import httpx

from scripts.common import resident_mib

if TYPE_CHECKING:
    from playwright.sync_api import Page


@contextmanager
def server(*options: str) -> Iterator[tuple[str, subprocess.Popen]]:
    """Address and process of a server."""
    command = [str(Path(sys.executable).with_name("vidseg")), "serve", "--port", "0", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        found = next(found for line in process.stdout if (found := re.search(r"http://[^ /]+", line)))
        yield found[0], process
    finally:
        process.send_signal(2)
        process.wait(30)


def left(process: subprocess.Popen) -> list[Path]:
    """Files of a server in the temporary folder."""
    return [
        file
        for folder in Path(tempfile.gettempdir()).glob(f"vidseg-serve-{process.pid}-*")
        for file in folder.rglob("*")
    ]


@click.group()
def main() -> None:
    """Figures about `vidseg serve`."""


@main.command()
@click.option("--full", is_flag=True, help="SAM 2.1 hiera tiny at full size, random weights.")
@click.option("--clicks", "count", default=30, show_default=True)
def clicks(full: bool, count: int) -> None:
    """Time of a click in the page, in headless Chromium, on the server and until it is painted; and of a first text."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder:
        options = ["--model", "demo"]
        if full:
            from tests.support import stock
            from tests.support.standins import save_sam

            options += ["--sam", str(save_sam(stock.FULL, Path(folder) / "sam2.1_hiera_tiny.pt"))]
        with server(*options) as (address, _), sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            page = browser.new_context(bypass_csp=True).new_page()
            text = open_desk(page, address)
            click_around(page, 1)  # the first one does more than others
            served, painted = click_around(page, count)
            browser.close()
    click.echo(
        f"first text on an image: {text:.2f} s; median of {len(painted)} clicks after it: "
        f"{statistics.median(served):.0f} ms on the server, {statistics.median(painted):.0f} ms to paint "
        f"(most {max(painted)})"
    )


def open_desk(page: Page, address: str) -> float:
    """Open the desk sample. Returns the seconds that its text takes."""
    page.goto(address)
    page.click('[data-sample="desk.png"]')
    page.wait_for_function("document.querySelector('#text').value !== ''")
    began = time.perf_counter()
    page.keyboard.press("Enter")
    page.wait_for_function("/^(Found|Nothing)/.test(document.querySelector('#status').textContent)")
    return time.perf_counter() - began


def click_around(page: Page, count: int) -> tuple[list[int], list[int]]:
    """Click somewhere on the picture so many times. Returns the milliseconds on the server, and until it is painted."""
    rng, area = random.Random(count), page.locator("#masks").bounding_box()
    assert area is not None
    served, painted = [], []
    for _ in range(count):
        page.keyboard.press("Control+z")
        page.click("#new")
        page.eval_on_selector("#status", "node => { node.textContent = '' }")
        page.evaluate("vidseg.state.chosen = 90")  # else a click on a mask chooses its object
        page.mouse.click(area["x"] + rng.random() * area["width"], area["y"] + rng.random() * area["height"])
        page.wait_for_function("document.querySelector('#status').textContent !== ''")
        if times := re.match(r"Mask in (\d+) ms \((\d+) ms", page.inner_text("#status")):
            painted.append(int(times[1]))
            served.append(int(times[2]))
    return served, painted


@dataclass
class Tally:
    """What visitors met.

    Attributes:
        codes: how many answers had each code, or failed with each error.
        times: seconds of each click.
    """

    codes: Counter[int | str] = field(default_factory=Counter)
    times: list[float] = field(default_factory=list)


@main.command()
@click.option("--visitors", "count", default=20, show_default=True)
@click.option("--seconds", default=60.0, show_default=True)
def visitors(count: int, seconds: float) -> None:
    """So many visitors at once, each with a picture and clicks, every fourth with a clip besides; then they leave."""
    with server("--model", "demo") as (address, process):
        for name, lasting in (("warm-up", 20.0), ("measured", seconds), ("again", seconds)):
            before, tally = resident_mib(process.pid), Tally()
            threads = [Visitor(address, number, lasting, tally) for number in range(count)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            time.sleep(2)
            click.echo(
                f"{name}: {sum(tally.codes.values())} requests in {lasting:.0f} s, by code {dict(tally.codes)}; "
                f"a click takes {statistics.median(tally.times):.2f} s, at most {max(tally.times):.2f}; "
                f"memory {before:.0f} → {resident_mib(process.pid):.0f} MiB, files left {len(left(process))}"
            )


class Visitor(threading.Thread):
    """Somebody who opens a session, clicks, leaves and comes again.

    Args:
        address: of the server.
        number: of the visitor; every fourth has a clip tracked besides.
        seconds: how long this goes on.
        tally: what is noted.
    """

    def __init__(self, address: str, number: int, seconds: float, tally: Tally):
        super().__init__()
        self._number, self._seconds, self._tally = number, seconds, tally
        self._client, self._rng = httpx.Client(base_url=address, timeout=60), random.Random(number)

    def run(self) -> None:
        """Visit until the time is over."""
        end = time.monotonic() + self._seconds
        with self._client:
            while time.monotonic() < end:
                self._visit()

    def _visit(self) -> None:
        session = self._ask("POST", "")["session"]
        picture = self._ask("POST", f"/{session}/samples/desk.png")["media"]
        job = None
        if self._number % 4 == 0:
            clip = self._ask("POST", f"/{session}/samples/park.mp4")["media"]
            job = self._ask("POST", f"/{session}/media/{clip}/track", json={"text": "dog"})["job"]
        for _ in range(12):
            prompt = {"id": 1, "points": [[self._rng.random() * 960, self._rng.random() * 640]]}
            began = time.perf_counter()
            self._ask("POST", f"/{session}/media/{picture}/segment", json={"prompts": [prompt]})
            self._tally.times.append(time.perf_counter() - began)
            time.sleep(self._rng.random() * 0.6)
        if job:
            self._ask("DELETE", f"/{session}/jobs/{job}")
        self._ask("DELETE", f"/{session}")

    def _ask(self, method: str, path: str, **body: Any) -> dict[str, Any]:
        try:
            answer = self._client.request(method, f"/api/sessions{path}", **body)
            self._tally.codes[answer.status_code] += 1
            return answer.json() if answer.content else {}
        except httpx.HTTPError as error:
            self._tally.codes[type(error).__name__] += 1
            return {}


if __name__ == "__main__":
    main()
