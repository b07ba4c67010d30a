"""What each visitor has on the server: pictures and clips, their tracks, and jobs. Gone when the visitor is."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import HTTPException

from vidseg.errors import VidsegError
from vidseg.web import limits
from vidseg.web.frames import FrameReader
from vidseg.web.jobs import Job

if TYPE_CHECKING:
    from vidseg.io.clip import Clip

OPEN: set[Path] = set()  # folders of this process
ROOT = "vidseg-serve-"  # and the number of the process: what a killed server has left behind is found by it


@dataclass
class Media:
    """A picture or a clip. name: as the visitor calls it; it is shown, and never part of a path."""

    id: str
    kind: str
    name: str
    path: Path
    clip: Clip
    folder: Path
    text: list[str] = field(default_factory=list)  # what the latest run looked for

    def __post_init__(self):
        self.reader = FrameReader(self.clip, self.kind == "image")
        self.tracking: Job | None = None

    @property
    def tracks(self) -> Path:
        return self.folder / "tracks.jsonl"

    @contextmanager
    def errors(self) -> Iterator[None]:
        """What goes wrong is said of the file by the name that the visitor knows."""
        try:
            yield
        except VidsegError as error:
            raise type(error)(
                str(error).replace(str(self.path), self.name).replace(str(self.tracks), "the tracks")
            ) from None

    def described(self) -> dict:
        info = self.clip.info
        moving = self.kind == "video"
        return {
            "media": self.id,
            "kind": self.kind,
            "name": self.name,
            "width": info.width,
            "height": info.height,
            "frame_count": info.frame_count if moving else 1,
            "frame_rate": float(info.frame_rate),
            "duration": info.duration if moving else None,
        }


class Session:
    def __init__(self, folder: Path):
        self.id = secrets.token_urlsafe(16)
        self.folder = folder / self.id
        self.folder.mkdir()
        self.media: dict[str, Media] = {}
        self.jobs: dict[str, Job] = {}
        self.seen = time.monotonic()
        self._coming, self._counting = 0, threading.Lock()  # uploads under way

    @property
    def busy(self) -> bool:
        return self._coming > 0 or any(not job.ended for job in self.jobs.values())

    @contextmanager
    def receiving(self) -> Iterator[int]:
        """For the time of an upload: how many bytes it may have. HTTPException if the session is full."""
        with self._counting:
            if len(self.media) + self._coming >= limits.MEDIA:
                raise HTTPException(409, f"there are {limits.MEDIA} files already; remove one first")
            stored = sum(media.path.stat().st_size for media in self.media.values())
            room = limits.STORED - stored - self._coming * limits.BYTES  # each may turn out as large as it can be
            self._coming += 1
        try:
            yield min(limits.BYTES, max(0, room))
        finally:
            with self._counting:
                self._coming -= 1
            self.seen = time.monotonic()

    def place(self) -> Path:
        """A new folder for a file."""
        folder = self.folder / secrets.token_hex(8)
        folder.mkdir()
        return folder

    def add(self, media: Media) -> Media:
        self.media[media.id] = media
        return media

    def find(self, media: str) -> Media:
        if media not in self.media:
            raise HTTPException(404, "there is no such file in this session; upload it again")
        return self.media[media]

    def job(self, job: str) -> Job:
        if job not in self.jobs:
            raise HTTPException(404, "there is no such job in this session")
        return self.jobs[job]

    def new_job(self, kind: str) -> Job:
        old = [job for job in self.jobs.values() if job.ended]
        for job in old[: max(0, len(self.jobs) - limits.JOBS + 1)]:
            del self.jobs[job.id]
            shutil.rmtree(job.folder, ignore_errors=True)
        if len(self.jobs) >= limits.JOBS:
            raise HTTPException(429, "there are too many jobs under way; wait for one, or cancel it")
        job = Job(kind, self.place())
        self.jobs[job.id] = job
        return job

    def drop(self, media: Media) -> None:
        del self.media[media.id]
        if media.tracking is not None:
            media.tracking.cancel()
        media.reader.close()
        shutil.rmtree(media.folder, ignore_errors=True)

    def close(self) -> None:
        for job in self.jobs.values():
            job.cancel()
        for media in list(self.media.values()):
            self.drop(media)
        shutil.rmtree(self.folder, ignore_errors=True)


class Sessions:
    """All sessions, in a temporary folder of their own.

    idle_s: seconds without a request after which a session is removed, if no job of it is under way.
    """

    def __init__(self, idle_s: float):
        sweep_up()
        self.folder = Path(tempfile.mkdtemp(prefix=f"{ROOT}{os.getpid()}-"))
        OPEN.add(self.folder)
        self.idle_s = idle_s
        self._lock = threading.Lock()
        self._sessions: dict[str, Session] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    def begin(self) -> Session:
        with self._lock:
            if len(self._sessions) >= limits.SESSIONS:
                raise HTTPException(429, "there are too many visitors; try again in some minutes")
            session = Session(self.folder)
            self._sessions[session.id] = session
            return session

    def find(self, session: str) -> Session:
        """HTTPException if it has been removed."""
        found = self._sessions.get(session)
        if found is None:
            raise HTTPException(404, "this session has ended; load the page again")
        found.seen = time.monotonic()
        return found

    def end(self, session: str) -> list[Media]:
        """Remove a session. Returns what it had."""
        with self._lock:
            gone = self._sessions.pop(session)
        media = list(gone.media.values())
        gone.close()
        return media

    def idle(self) -> list[str]:
        now = time.monotonic()
        return [one.id for one in list(self._sessions.values()) if not one.busy and now - one.seen > self.idle_s]

    def close(self) -> None:
        for session in list(self._sessions):
            self.end(session)
        shutil.rmtree(self.folder, ignore_errors=True)
        OPEN.discard(self.folder)


def sweep_up() -> None:
    """Remove the folders of servers that did not end by themselves. (In a container, the next one may have the same number.)"""
    for folder in Path(tempfile.gettempdir()).glob(f"{ROOT}*-*"):
        match = re.fullmatch(rf"{ROOT}(\d+)-\w+", folder.name)
        if match and folder not in OPEN and (int(match[1]) == os.getpid() or not alive(int(match[1]))):
            shutil.rmtree(folder, ignore_errors=True)


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
