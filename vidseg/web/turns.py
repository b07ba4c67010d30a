"""Who may use the model: one at a time, in the order in which they asked."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager


class Turns:
    """A lock that is fair: a long job that gives up its turn after every frame never delays a click by more than a frame,
    and any number of clicks never delay a job for good. It may be given up in another thread than it was taken in."""

    def __init__(self):
        self._changed = threading.Condition()
        self._queue: deque[object] = deque()  # the first one has the turn

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for a turn, and have it in this block."""
        self._take()
        try:
            yield
        finally:
            self._give_up()

    def between(self) -> None:
        """For who has the turn: let all those go first that wait now."""
        self._give_up()
        self._take()

    def _take(self) -> None:
        ticket = object()
        with self._changed:
            self._queue.append(ticket)
            self._changed.wait_for(lambda: self._queue[0] is ticket)

    def _give_up(self) -> None:
        with self._changed:
            self._queue.popleft()
            self._changed.notify_all()
