"""Signals that end a command: the first one lets it finish its files, the second one ends it at once."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from types import FrameType

ENDING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
# s in which a further signal does not count as a second one: who closes a terminal sends several SIGHUP
ECHO = 1.0


class Interrupted(KeyboardInterrupt):
    """A signal ended the command.

    Args:
        number: of the signal.
        line: what to tell the user.

    Attributes:
        number: as given.
    """

    def __init__(self, number: int, line: str = "interrupted; nothing unfinished was kept"):
        super().__init__(line)
        self.number = number

    def adding(self, more: str) -> Interrupted:
        """The same, with more to tell."""
        return Interrupted(self.number, f"{self}{more}")


class Signals:
    """What becomes of SIGINT, SIGTERM and SIGHUP while a command runs.

    The first one raises `Interrupted` wherever the command is, except in a block of `held`: there it is only noted.

    Attributes:
        received: number of the first signal, or None.
    """

    def __init__(self):
        self.received: int | None = None
        self._held = False
        self._time = 0.0
        self._terminals: list[int] = []

    @contextmanager
    def handled(self) -> Generator[None, None, None]:
        """Handle them in this block. What the process ignores, as under nohup, it goes on ignoring."""
        if threading.current_thread() is not threading.main_thread():  # no other thread may set a handler
            yield
            return
        self.received, self._held = None, False
        self._terminals = [number for number in (1, 2) if os.isatty(number)]
        older = {number: signal.getsignal(number) for number in ENDING}
        older = {number: handler for number, handler in older.items() if handler not in (signal.SIG_IGN, None)}
        for number in older:
            signal.signal(number, self._receive)
        try:
            yield
        finally:
            for number, handler in older.items():
                # The process is about to end after a signal; another one must not change its exit code
                signal.signal(number, handler if self.received is None else signal.SIG_IGN)

    @contextmanager
    def held(self) -> Generator[None, None, None]:
        """Tear nothing in this block apart, except where it lets signals through."""
        before, self._held = self._held, True
        try:
            yield
        finally:
            self._held = before

    @contextmanager
    def let_through(self) -> Generator[None, None, None]:
        """Raise `Interrupted` in this part of a block that is held, also for a signal that came before."""
        self._held = False
        try:
            self.check()
            yield
        finally:
            self._held = True

    def check(self) -> None:
        """Raise `Interrupted` if a signal came while they were held."""
        if self.received is not None:
            raise Interrupted(self.received)

    def forget(self) -> None:
        """The signal has had its effect; the next one is the first again."""
        self.received = None

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None:
            if time.monotonic() - self._time > ECHO:
                end_now(number)
            return
        self.received, self._time = number, time.monotonic()
        self._leave_closed_terminal()
        if not self._held:
            raise Interrupted(number)

    def _leave_closed_terminal(self) -> None:
        """Write to nowhere if the terminal is gone: it would fail, and spoil what is finished now."""
        for number in self._terminals:
            if not os.isatty(number):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, number)
                os.close(nowhere)


def end_now(number: int) -> None:
    """End the process, and leave no temporary files."""
    from vidseg.io.files import remove_unfinished

    with suppress(Exception):
        remove_unfinished()
    with suppress(Exception):  # whoever was interrupted may be writing to it
        sys.stdout.flush()
        if sys.stderr.isatty():
            sys.stderr.write("\x1b[?25h\n")  # the cursor, which a progress bar hides
        sys.stderr.flush()
    os._exit(128 + number)


signals = Signals()
