"""Work that takes longer than a request: its state, its events and its result."""

from __future__ import annotations

import json
import logging
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from vidseg.errors import VidsegError

RATE_FRAMES = 12  # frames after which their rate means something: the first wait for the detector's second look


class Cancelled(Exception):
    """Raised in the work when its job has been cancelled."""


class Job:
    """One piece of work of a session.

    Frames go to a file as they are made, one line each, and listeners read that: memory does not grow with the clip.

    Args:
        kind: "track", or the kind of a result.
        folder: its own.

    Attributes:
        state: "queued", "running", "done", "failed" or "cancelled".
        status: what is under way before the first frame comes out.
        detail: what was found, or what went wrong; None: nothing to say.
        notes: what is worth saying beside what was found; part of the detail.
        done: how many frames are done.
        total: of how many; None if unknown.
        events: the file of frames, one JSON object a line.
        file: the result, if there is one.
        name: what the visitor calls that file.
    """

    def __init__(self, kind: str, folder: Path):
        self.id, self.kind, self.folder = secrets.token_urlsafe(12), kind, folder
        self.state, self.status = "queued", ""
        self.detail: str | None = None
        self.notes: list[str] = []
        self.done = 0
        self.total: int | None = None
        self.events = folder / "events.jsonl"
        self.file: Path | None = None
        self.name: str | None = None
        self._cancelled = threading.Event()
        self._began: float | None = None
        self._elapsed: float | None = None

    @property
    def ended(self) -> bool:
        """Whether the state is final."""
        return self.state in ("done", "failed", "cancelled")

    def cancel(self) -> None:
        """Let the work stop at its next check, or not begin at all."""
        self._cancelled.set()
        if self.state == "queued":
            self.state = "cancelled"

    def check(self) -> None:
        """Raise Cancelled if the job has been cancelled."""
        if self._cancelled.is_set():
            raise Cancelled

    def run(self, work: Callable[[Job], None]) -> None:
        """Do the work in the calling thread. An error becomes the job's detail."""
        if self.ended:
            return
        self.state, self._began = "running", time.monotonic()
        try:
            self.check()
            work(self)
            self.check()  # work that cannot be stopped on the way is thrown away
            state = "done"
        except Cancelled:
            state = "cancelled"
        except VidsegError as error:
            state, self.detail = "failed", str(error)
        except Exception as error:  # a bug or a full disk: the visitor must not wait for ever
            state = "cancelled" if self._cancelled.is_set() else "failed"
            self.detail = f"it went wrong on the server ({type(error).__name__}); its log says more"
            if state == "failed":
                logging.getLogger("uvicorn.error").exception("job %s", self.kind)
        self._elapsed, self.status = time.monotonic() - self._began, ""
        self.state = state  # last: who sees the new state must see the rest

    def progress(self, done: int, total: int | None) -> None:
        """Note how far the work is. Raises Cancelled if the job has been cancelled."""
        self.done, self.total = done, total
        self.check()

    def add_frame(self, record: Mapping[str, Any]) -> None:
        """Tell listeners of a frame, given as a record of a tracks file."""
        line = {"index": record["frame"], "time": record["time"], "objects": record["objects"]}
        with self.events.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")

    def as_json(self) -> dict[str, Any]:
        """What the API says about the job: the fields of `JobAnswer`."""
        seconds = self._elapsed if self._elapsed is not None else time.monotonic() - self._began if self._began else 0.0
        rate = self.done / seconds if seconds > 0 and self.done >= (1 if self.ended else RATE_FRAMES) else None
        left = (self.total - self.done) / rate if rate and self.total and not self.ended else None
        return {
            "job": self.id,
            "kind": self.kind,
            "state": self.state,
            "done": self.done,
            "total": self.total,
            "frames_per_second": rate and round(rate, 2),
            "seconds_left": None if left is None else round(max(0.0, left), 1),
            "doing": self.status,
            "detail": self.detail,
            "notes": self.notes,
            "file": self.name if self.file else None,
        }
