"""`vidseg serve` as a process of its own, ended by Ctrl-C."""

import json
import signal
import subprocess
import sys
import urllib.request

import pytest

COMMAND = [
    sys.executable,
    "-c",
    "from vidseg.commands.main import main; main()",
    "serve",
    "--model",
    "demo",
    "--port",
    "0",
]


@pytest.fixture
def running():
    with subprocess.Popen(COMMAND, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        yield running
        running.kill()


def test_ctrl_c_ends_streams_that_are_listened_to(running):
    address = running.stdout.readline().split()[3]

    def post(path, body=None):
        request = urllib.request.Request(
            f"{address}api/{path}", json.dumps(body or {}).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    session = f"sessions/{post('sessions')['session']}"
    media = post(f"{session}/samples/park.mp4")["media"]
    job = post(f"{session}/media/{media}/track", {"text": "dog"})["job"]
    with urllib.request.urlopen(f"{address}api/{session}/jobs/{job}/events", timeout=60) as stream:
        while not (line := stream.readline()).startswith(b"event: frame"):
            assert line, "it ended without a frame"
        running.send_signal(signal.SIGINT)
        assert b"event: end" not in stream.read()  # it was in the middle
    out, err = running.communicate(timeout=30)
    assert running.returncode == 0
    assert "all uploads are removed" in out
    assert "Traceback" not in err and "ERROR" not in err
