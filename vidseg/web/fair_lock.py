"""A lock for the model: one holder at a time, in the order in which they asked."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager


class FairLock:
    """A lock that is first come, first served, and can be handed round while it is held.

    A long job that yields its turn after every frame never delays a click by more than a frame, and clicks never keep a
    job waiting for good. It may be released in another thread than the one that acquired it.
    """

    def __init__(self):
        self._changed = threading.Condition()
        self._queue: deque[object] = deque()  # the first one holds the lock

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Wait for the lock, and hold it in this block."""
        self._acquire()
        try:
            yield
        finally:
            self._release()

    def yield_turn(self) -> None:
        """As its holder, let all who are waiting now go first."""
        self._release()
        self._acquire()

    def _acquire(self) -> None:
        ticket = object()
        with self._changed:
            self._queue.append(ticket)
            self._changed.wait_for(lambda: self._queue[0] is ticket)

    def _release(self) -> None:
        with self._changed:
            self._queue.popleft()
            self._changed.notify_all()
