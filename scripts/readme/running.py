"""Running one command."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

ADDRESS = re.compile(r"http://\S+")


@dataclass(frozen=True)
class Result:
    """What came of a command: the outcome, the reasons for changes, the time it took, and what it printed."""

    outcome: str
    note: str = ""
    seconds: float = 0.0
    output: str = ""


def run_command(text: str, folder: Path, environment: dict[str, str], timeout: int) -> subprocess.CompletedProcess[str]:
    """Run a line of shell; a pipe fails if one of its commands does."""
    shell = ["bash", "-o", "pipefail", "-c", text]
    try:
        return subprocess.run(
            shell,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired as expired:
        return subprocess.CompletedProcess(shell, 124, f"{expired.stdout or ''}\nno end after {timeout} s")


def serve_briefly(
    text: str, folder: Path, environment: dict[str, str], timeout: int
) -> subprocess.CompletedProcess[str]:
    """Start a server, get its page, and end it as Ctrl-C does: it has failed if one of these has."""
    process = subprocess.Popen(
        ["bash", "-c", f"exec {text}"],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    said, ends = "", time.time() + timeout
    for line in process.stdout:
        said += line
        if address := ADDRESS.search(line):
            with urllib.request.urlopen(address[0], timeout=60) as answer:
                said += f"the page has {len(answer.read())} bytes\n"
            break
        if time.time() > ends:
            break
    os.killpg(process.pid, signal.SIGINT)
    said += process.communicate(timeout=60)[0]
    ended = process.returncode in (0, 130) and "the page has" in said
    return subprocess.CompletedProcess(text, 0 if ended else 1, said)
