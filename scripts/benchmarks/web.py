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
from pathlib import Path

import click
import httpx

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def server(*options: str) -> Iterator[tuple[str, subprocess.Popen]]:
    """Address and process of a server."""
    command = [str(Path(sys.executable).with_name("vidseg")), "serve", "--port", "0", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        line = next(line for line in process.stdout if "http://" in line)
        yield re.search(r"http://[^ /]+", line)[0], process
    finally:
        process.send_signal(2)
        process.wait(30)


def resident(process: subprocess.Popen) -> float:
    """MiB."""
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{process.pid}/status").read_text())[1]) / 1024


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
@click.option("--clicks", default=30, show_default=True)
def clicks(full: bool, clicks: int) -> None:
    """Time of a click in the page, in headless Chromium: on the server, and from click to paint. And of a first text."""
    from playwright.sync_api import sync_playwright

    sys.path.insert(0, str(ROOT))
    rng, painted, served = random.Random(0), [], []
    with tempfile.TemporaryDirectory() as folder:
        options = ["--model", "demo"]
        if full:
            from tests.support import stock
            from tests.support.standins import save_sam

            options += ["--sam", str(save_sam(stock.FULL, Path(folder) / "sam2.1_hiera_tiny.pt"))]
        with server(*options) as (address, _), sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            page = browser.new_context(bypass_csp=True).new_page()
            page.goto(address)
            page.click('[data-sample="desk.png"]')
            page.wait_for_function("document.querySelector('#text').value !== ''")
            began = time.perf_counter()
            page.keyboard.press("Enter")
            page.wait_for_function("/^(Found|Nothing)/.test(document.querySelector('#status').textContent)")
            text = time.perf_counter() - began
            area = page.locator("#masks").bounding_box()
            for number in range(clicks + 1):
                page.keyboard.press("Control+z")
                page.click("#new")
                page.eval_on_selector("#status", "node => { node.textContent = '' }")
                page.evaluate("vidseg.state.chosen = 90")  # else a click on a mask chooses its object
                page.mouse.click(area["x"] + rng.random() * area["width"], area["y"] + rng.random() * area["height"])
                page.wait_for_function("document.querySelector('#status').textContent !== ''")
                times = re.match(r"Mask in (\d+) ms \((\d+) ms", page.inner_text("#status"))
                if times and number:
                    painted.append(int(times[1]))
                    served.append(int(times[2]))
            browser.close()
    print(
        f"first text on an image: {text:.2f} s; median of {len(painted)} clicks after it: {statistics.median(served):.0f} ms on the server, "
        f"{statistics.median(painted):.0f} ms to paint (most {max(painted)})"
    )


@main.command()
@click.option("--visitors", default=20, show_default=True)
@click.option("--seconds", default=60.0, show_default=True)
def visitors(visitors: int, seconds: float) -> None:
    """So many visitors at once, each with a picture and clicks, every fourth with a clip besides; then they leave."""
    with server("--model", "demo") as (address, process):
        for name, lasting in (("warm-up", 20.0), ("measured", seconds), ("again", seconds)):
            before, codes, times = resident(process), Counter(), []
            threads = [
                threading.Thread(target=visit, args=(address, number, lasting, codes, times))
                for number in range(visitors)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            time.sleep(2)
            print(
                f"{name}: {sum(codes.values())} requests in {lasting:.0f} s, by code {dict(codes)}; a click takes {statistics.median(times):.2f} s, "
                f"at most {max(times):.2f}; memory {before:.0f} → {resident(process):.0f} MiB, files left {len(left(process))}"
            )


def visit(address: str, number: int, seconds: float, codes: Counter, times: list[float]) -> None:
    rng, end = random.Random(number), time.monotonic() + seconds
    with httpx.Client(base_url=address, timeout=60) as client:

        def ask(method: str, path: str, **body):
            try:
                answer = client.request(method, f"/api/sessions{path}", **body)
                codes[answer.status_code] += 1
                return answer.json() if answer.content else None
            except httpx.HTTPError as error:
                codes[type(error).__name__] += 1
                return {}

        while time.monotonic() < end:
            session = ask("POST", "")["session"]
            picture = ask("POST", f"/{session}/samples/desk.png")["media"]
            job = None
            if number % 4 == 0:
                clip = ask("POST", f"/{session}/samples/park.mp4")["media"]
                job = ask("POST", f"/{session}/media/{clip}/track", json={"text": "dog"})["job"]
            for _ in range(12):
                prompt = {"id": 1, "points": [[rng.random() * 960, rng.random() * 640]]}
                began = time.perf_counter()
                ask("POST", f"/{session}/media/{picture}/segment", json={"prompts": [prompt]})
                times.append(time.perf_counter() - began)
                time.sleep(rng.random() * 0.6)
            if job:
                ask("DELETE", f"/{session}/jobs/{job}")
            ask("DELETE", f"/{session}")


if __name__ == "__main__":
    main()
