"""Work that takes longer than a request: its state, its events and its result."""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Callable
from pathlib import Path

from vidseg.errors import VidsegError

ENOUGH = 12  # frames after which their rate says something: the first ones wait for a second look of the detector


class Cancelled(Exception):
    """Raised in the work when its job has been cancelled."""


class Job:
    """kind: "track", or of which result. folder: its own.

    Frames go to a file as they are made, one line each, and whoever listens reads that: nothing grows with a clip in memory.
    """

    def __init__(self, kind: str, folder: Path):
        self.id, self.kind, self.folder = secrets.token_urlsafe(12), kind, folder
        self.state, self.detail, self.doing = "queued", None, ""
        self.done, self.total = 0, None
        self.file: Path | None = None
        self.name: str | None = None  # of the file, for the visitor
        self._events = folder / "events.jsonl"
        self._cancelled = threading.Event()
        self._began: float | None = None
        self._elapsed: float | None = None

    @property
    def ended(self) -> bool:
        return self.state in ("done", "failed", "cancelled")

    @property
    def events(self) -> Path:
        return self._events

    def cancel(self) -> None:
        self._cancelled.set()
        if self.state == "queued":
            self.state = "cancelled"

    def check(self) -> None:
        """Raises Cancelled if somebody has cancelled it."""
        if self._cancelled.is_set():
            raise Cancelled

    def run(self, work: Callable[[Job], None]) -> None:
        """Do the work, in the thread that calls this. What goes wrong becomes the job's detail."""
        if self.ended:
            return
        self.state, self._began = "running", time.monotonic()
        try:
            self.check()
            work(self)
            self.check()  # what cannot be stopped on the way is thrown away
            state = "done"
        except Cancelled:
            state = "cancelled"
        except VidsegError as error:
            state, self.detail = "failed", str(error)
        except Exception as error:  # a fault of ours, or a full disk: the visitor must not wait for ever
            state = "cancelled" if self._cancelled.is_set() else "failed"
            self.detail = f"it went wrong on the server ({type(error).__name__}); its log says more"
            if state == "failed":
                import logging

                logging.getLogger("uvicorn.error").exception("job %s", self.kind)
        self._elapsed, self.doing = time.monotonic() - self._began, ""
        self.state = state  # last: whoever sees it sees the rest

    def progress(self, done: int, total: int | None) -> None:
        self.done, self.total = done, total
        self.check()

    def add_frame(self, record: dict) -> None:
        """Tell listeners of a frame: a line of a tracks file."""
        line = {"index": record["frame"], "time": record["time"], "objects": record["objects"]}
        with self._events.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")

    def described(self) -> dict:
        seconds = self._elapsed if self._elapsed is not None else time.monotonic() - self._began if self._began else 0.0
        rate = self.done / seconds if seconds > 0 and self.done >= (1 if self.ended else ENOUGH) else None
        left = (self.total - self.done) / rate if rate and self.total and not self.ended else None
        return {
            "job": self.id,
            "kind": self.kind,
            "state": self.state,
            "done": self.done,
            "total": self.total,
            "frames_per_second": rate and round(rate, 2),
            "seconds_left": None if left is None else round(max(0.0, left), 1),
            "doing": self.doing,
            "detail": self.detail,
            "file": self.name if self.file else None,
        }
