"""A server in this process, with the demo pair."""

import functools
import io
import shutil
import warnings
from pathlib import Path
from typing import Any

import av
import pytest

import vidseg
from vidseg.io.clip import Clip
from vidseg.web.app import create_app

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SAMPLES = Path(__file__).parents[2] / "samples"

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it would rather have another HTTP client
    from fastapi.testclient import TestClient


@pytest.fixture(scope="module", autouse=True)
def each_image_is_encoded_once(encoded_once):
    """However many tests there are for a clip."""


@pytest.fixture(scope="session")
def model():
    model = vidseg.load("demo")
    _ = model.detector  # as `vidseg serve` does: a first request should not wait until it is loaded
    return model


@pytest.fixture
def client(model):
    with TestClient(create_app(model)) as client:
        yield client


@pytest.fixture
def visitor(client):
    """Path of a new session."""
    return begin(client)


def begin(client) -> str:
    return f"/api/sessions/{client.post('/api/sessions').json()['session']}"


def run(client, visitor: str, job: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Listen to a job to its end. Returns its frames, and what it is then."""
    import json

    frames, end, event = [], {}, ""
    with client.stream("GET", f"{visitor}/jobs/{job}/events") as answer:
        for line in answer.iter_lines():
            key, _, value = line.partition(": ")
            if key == "event":
                event = value
            elif key == "data" and event == "frame":
                frames.append(json.loads(value))
            elif key == "data" and event == "end":
                end = json.loads(value)
    return frames, end


@functools.cache
def beginning_of_park(frames: int) -> bytes:
    """The first frames of the park as an MP4: what is tracked whole should be short."""
    packed = io.BytesIO()
    with av.open(packed, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=24, options={"preset": "ultrafast", "crf": "18"})
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        for frame in Clip(SAMPLES / "park.mp4").frames(end=(frames - 0.5) / 24):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame.image, format="rgb24")))
        container.mux(stream.encode())
    return packed.getvalue()


def cut(content: bytes, frames: int) -> bytes:
    """An MP4 without its first frames: the file still has them, and says that they are not shown."""
    packed = io.BytesIO()
    with av.open(io.BytesIO(content)) as source, av.open(packed, "w", format="mp4") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.pts is not None and packet.dts is not None and packet.time_base is not None:
                shift = round(frames / 24 / packet.time_base)
                packet.pts, packet.dts, packet.stream = packet.pts - shift, packet.dts - shift, stream
                target.mux(packet)
    return packed.getvalue()


@pytest.fixture(scope="session")
def live(model):
    """Address of a server on a port of its own."""
    import socket
    import threading
    import time

    import torch
    import uvicorn

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in `vidseg serve`: a browser needs a core, too
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(create_app(model, hosts=["127.0.0.1"]), log_level="error", timeout_graceful_shutdown=1)
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    thread.join()
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser, live):
    with browser.new_context(bypass_csp=True) as context:
        page, errors = context.new_page(), []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(live)
        page.wait_for_selector("#samples button")
        yield page
        assert not errors
