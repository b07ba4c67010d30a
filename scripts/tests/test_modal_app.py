"""What can be tested of the Modal application without Modal's machines: its local entry point, and what it declares."""

import importlib
import os
import socket
import subprocess
import sys

import httpx
import pytest

from scripts.common import ROOT

MODULE = "scripts.deploy.modal_app"


def test_its_local_entry_point_serves_the_application(free_port):
    process = subprocess.Popen(
        [sys.executable, "-m", MODULE, "--model", "demo", "--port", str(free_port)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    try:
        assert process.stdout is not None
        assert "vidseg is ready with demo" in process.stdout.readline()
        with httpx.Client(base_url=f"http://127.0.0.1:{free_port}", transport=httpx.HTTPTransport(retries=5)) as client:
            assert client.post("/api/sessions").status_code == 401
            assert client.post("/api/sessions", headers={"Authorization": "Bearer sesame"}).status_code == 201
            assert "<title>vidseg</title>" in client.get("/").text
    finally:
        process.terminate()
        process.wait(30)


def test_what_it_declares():
    pytest.importorskip("modal", reason="modal is not installed: pip install modal")
    module = importlib.import_module(MODULE)
    assert module.app.name == "vidseg" and module.Web is not None


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


def environment() -> dict:
    return {**os.environ, "VIDSEG_TOKEN": "sesame", "PYTHONUNBUFFERED": "1"}
