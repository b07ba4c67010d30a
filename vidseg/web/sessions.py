"""What each visitor has on the server: pictures and clips, their tracks, and jobs. All end with the session."""

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
from typing import TYPE_CHECKING, Any

from fastapi import HTTPException

from vidseg.errors import VidsegError
from vidseg.web import limits
from vidseg.web.frames import FrameReader
from vidseg.web.jobs import Job

if TYPE_CHECKING:
    from vidseg.io.clip import Clip

OPEN_FOLDERS: set[Path] = set()  # of this process
FOLDER_PREFIX = "vidseg-serve-"  # then the process id, which tells whether a killed server left a folder behind


@dataclass(kw_only=True)
class Media:
    """A picture or a clip.

    Attributes:
        kind: "image" or "video".
        name: as the visitor calls it; it is shown, and never part of a path.
        path: the file.
        clip: how to read it.
        folder: its own.
        phrases: what the latest run looked for.
        tracking: the latest run over it.
        reader: any of its frames.
    """

    kind: str
    name: str
    path: Path
    clip: Clip
    folder: Path
    phrases: list[str] = field(default_factory=list)
    tracking: Job | None = None
    reader: FrameReader = field(init=False)

    def __post_init__(self):
        self.reader = FrameReader(self.clip, self.kind == "image")

    @property
    def id(self) -> str:
        """What the API calls it."""
        return self.folder.name

    @property
    def tracks(self) -> Path:
        """Its tracks file."""
        return self.folder / "tracks.jsonl"

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Let error messages of this block name the file as the visitor does."""
        try:
            yield
        except VidsegError as error:
            raise type(error)(
                str(error).replace(str(self.path), self.name).replace(str(self.tracks), "the tracks")
            ) from None

    def as_json(self) -> dict[str, Any]:
        """What the API says about it: the fields of `MediaAnswer`."""
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
    """One visitor's files and jobs.

    Args:
        folder: that of all sessions.

    Attributes:
        id: its name in the API, a secret.
        folder: its own.
        media: pictures and clips, by id.
        jobs: by id.
        seen: when the visitor was last heard of, on the monotonic clock.
    """

    def __init__(self, folder: Path):
        self.id = secrets.token_urlsafe(16)
        self.folder = folder / self.id
        self.folder.mkdir()
        self.media: dict[str, Media] = {}
        self.jobs: dict[str, Job] = {}
        self.seen = time.monotonic()
        self._uploads, self._counting = 0, threading.Lock()  # how many are under way

    @property
    def busy(self) -> bool:
        """Whether an upload or a job is under way."""
        return self._uploads > 0 or any(not job.ended for job in self.jobs.values())

    @contextmanager
    def receiving(self) -> Iterator[int]:
        """Keep room for an upload in this block.

        Yields:
            How many bytes it may have.

        Raises:
            HTTPException: the session is full.
        """
        with self._counting:
            if len(self.media) + self._uploads >= limits.MEDIA:
                raise HTTPException(409, f"there are {limits.MEDIA} files already; remove one first")
            stored = sum(media.path.stat().st_size for media in self.media.values())
            room = (
                limits.SESSION_BYTES - stored - self._uploads * limits.UPLOAD_BYTES
            )  # each may become as large as it can be
            self._uploads += 1
        try:
            yield min(limits.UPLOAD_BYTES, max(0, room))
        finally:
            with self._counting:
                self._uploads -= 1
            self.seen = time.monotonic()

    def new_folder(self) -> Path:
        """A folder for a file or a job, with a name that nobody can guess."""
        folder = self.folder / secrets.token_hex(8)
        folder.mkdir()
        return folder

    def add(self, media: Media) -> Media:
        """Keep a picture or a clip; returns it."""
        self.media[media.id] = media
        return media

    def find(self, media: str) -> Media:
        """A picture or clip by its id. HTTPException if there is none."""
        if media not in self.media:
            raise HTTPException(404, "there is no such file in this session; upload it again")
        return self.media[media]

    def find_job(self, job: str) -> Job:
        """A job by its id. HTTPException if there is none."""
        if job not in self.jobs:
            raise HTTPException(404, "there is no such job in this session")
        return self.jobs[job]

    def new_job(self, kind: str) -> Job:
        """A new job; the oldest that have ended make room for it. HTTPException if too many are under way."""
        old = [job for job in self.jobs.values() if job.ended]
        for job in old[: max(0, len(self.jobs) - limits.JOBS + 1)]:
            del self.jobs[job.id]
            shutil.rmtree(job.folder, ignore_errors=True)
        if len(self.jobs) >= limits.JOBS:
            raise HTTPException(429, "there are too many jobs under way; wait for one, or cancel it")
        job = Job(kind, self.new_folder())
        self.jobs[job.id] = job
        return job

    def remove(self, media: Media) -> None:
        """Remove a picture or a clip with all that was made of it, and cancel its run."""
        del self.media[media.id]
        if media.tracking is not None:
            media.tracking.cancel()
        media.reader.close()
        shutil.rmtree(media.folder, ignore_errors=True)

    def close(self) -> None:
        """Cancel all jobs and remove all files."""
        for job in self.jobs.values():
            job.cancel()
        for media in list(self.media.values()):
            self.remove(media)
        shutil.rmtree(self.folder, ignore_errors=True)


class Sessions:
    """All sessions, in a temporary folder.

    Args:
        idle_s: seconds without a request after which a session counts as idle, if it is not busy.
    """

    def __init__(self, idle_s: float):
        remove_leftovers()
        self.folder = Path(tempfile.mkdtemp(prefix=f"{FOLDER_PREFIX}{os.getpid()}-"))
        OPEN_FOLDERS.add(self.folder)
        self.idle_s = idle_s
        self._lock = threading.Lock()
        self._sessions: dict[str, Session] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    def begin(self) -> Session:
        """Begin a session. HTTPException if there are too many."""
        with self._lock:
            if len(self._sessions) >= limits.SESSIONS:
                raise HTTPException(429, "there are too many visitors; try again in some minutes")
            session = Session(self.folder)
            self._sessions[session.id] = session
            return session

    def find(self, session: str) -> Session:
        """The session of that id, which is no longer idle. HTTPException if it has been removed."""
        found = self._sessions.get(session)
        if found is None:
            raise HTTPException(404, "this session has ended; load the page again")
        found.seen = time.monotonic()
        return found

    def end(self, session: str) -> list[Media]:
        """Remove a session. Returns the pictures and clips that it had."""
        with self._lock:
            gone = self._sessions.pop(session)
        media = list(gone.media.values())
        gone.close()
        return media

    def idle(self) -> list[str]:
        """Ids of the sessions that are idle."""
        now = time.monotonic()
        return [one.id for one in list(self._sessions.values()) if not one.busy and now - one.seen > self.idle_s]

    def close(self) -> None:
        """Remove all sessions and their folder."""
        for session in list(self._sessions):
            self.end(session)
        shutil.rmtree(self.folder, ignore_errors=True)
        OPEN_FOLDERS.discard(self.folder)


def remove_leftovers() -> None:
    """Remove the folders of servers that were killed.

    In a container the killed server may have had the process id of this one.
    """
    for folder in Path(tempfile.gettempdir()).glob(f"{FOLDER_PREFIX}*-*"):
        match = re.fullmatch(rf"{FOLDER_PREFIX}(\d+)-\w+", folder.name)
        if match and folder not in OPEN_FOLDERS and (int(match[1]) == os.getpid() or not is_running(int(match[1]))):
            shutil.rmtree(folder, ignore_errors=True)


def is_running(process: int) -> bool:
    """Whether there is a process with this id."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
