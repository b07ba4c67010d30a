"""How much of the machine an encoder may claim."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

TASKS = Path("/proc/self/task")


@contextmanager
def usual_scheduling() -> Iterator[None]:
    """Schedule encoders that are opened in this block like the thread that opens them.

    SVT-AV1, started by root, makes its own threads and the one that opens it real-time ones (SCHED_FIFO, 99), for good;
    so is all that this thread starts afterwards. In a container, where everything runs as root, one such encoder keeps
    a server from answering, and a browser that a test starts keeps everything else from running.
    """
    if not hasattr(os, "sched_getscheduler") or not TASKS.is_dir():  # only Linux has both, and only there it happens
        yield
        return
    policy, parameters, before = os.sched_getscheduler(0), os.sched_getparam(0), set(os.listdir(TASKS))
    try:
        yield
    finally:
        for thread in [0, *map(int, set(os.listdir(TASKS)) - before)]:  # 0 is this one
            with suppress(ProcessLookupError):  # it has ended meanwhile
                if os.sched_getscheduler(thread) != policy:
                    os.sched_setscheduler(thread, policy, parameters)
