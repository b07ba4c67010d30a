"""Processes that run `vidseg` without the seconds that its imports take: they are forked from one that has them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

# Imported once, by the process that the others are forked from. None of them starts a thread.
IMPORTED = ["torch", "supervision", "vidseg.commands.track", "vidseg.detection.grounding_dino", "vidseg.model"]


def run(command: list[str], folder: str | Path, first: str = "", logs: tuple[Path, ...] = ()) -> None:
    """Set a process up, then run the command in it.

    Args:
        command: the arguments of `vidseg`.
        folder: where it runs.
        first: Python that the process runs before; `os`, `signal` and `time` are imported.
        logs: files for its output and its errors, if they should not go where this process's go.
    """
    for number, log in enumerate(logs, 1):
        os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    sys.stdout, sys.stderr = (os.fdopen(number, "w", closefd=False) for number in (1, 2))
    os.chdir(folder)
    # It reacts to Ctrl-C even if the tests run in the background, where that is ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    exec(first, {"os": os, "signal": signal, "time": time})
    from vidseg.commands import progress
    from vidseg.commands.main import main

    progress.PLAIN_INTERVAL = 3600.0  # as in all tests: a slow machine would say more than a fast one
    main(command)


class Forked:
    """`run` in a process that is forked: what tests use of `subprocess.Popen`."""

    def __init__(self, command: list[str], folder: Path, first: str, logs: Path):
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(IMPORTED)
        self._logs = logs / "stdout", logs / "stderr"
        self._process = context.Process(target=run, args=(command, folder, first, self._logs))
        self._process.start()
        self.pid = self._process.pid or 0

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired("vidseg", timeout or 0)
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        self.wait(timeout)
        out, errors = (log.read_text() if log.exists() else "" for log in self._logs)
        return out, errors
