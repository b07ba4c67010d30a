"""Sources that are not files: pipes, network streams, cameras. They can be read once; a live one waits for nobody."""

from __future__ import annotations

import os
import re
import stat
import sys
import threading
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from vidseg.errors import InputError
from vidseg.io.files import for_ffmpeg

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame

WAITING = 4  # decoded frames of a live source that wait at most
SILENCE = 20.0  # s without data after which a network stream counts as ended
LEAP = 10.0  # s between two timestamps after which time is counted anew
CAMERAS = {
    "linux": ("v4l2", "/dev/video{}"),
    "darwin": ("avfoundation", "{}"),
    "win32": ("vfwcap", "{}"),
}  # FFmpeg's names

PIPE_ADVICE = "send Matroska, WebM or MPEG-TS, or an MP4 that has its index in front (movflags faststart)"
NETWORK_ADVICE = "check the address, and that it can be reached from here"
CAMERA_ADVICE = "check that it is connected and that no other program uses it"


@dataclass(frozen=True)
class Source:
    """What to open instead of a file.

    Attributes:
        name: for people, without a password.
        url: for FFmpeg.
        advice: what to do if it cannot be read.
        how: more arguments of av.open.
        patient: whether it is a pipe, whose writer waits for the reader.
    """

    name: str
    url: str
    advice: str
    how: dict[str, Any] = field(default_factory=dict)
    patient: bool = False


def source_of(path: str) -> Source | None:
    """Find out whether a path names a source, and which one.

    Args:
        path: `-`, a named pipe, an address with `://`, a camera's device or number, a file or a folder.

    Returns:
        The source; None for a file or a folder.

    Raises:
        InputError: if nothing is piped in, or cameras cannot be read here.
    """
    if path == "-":
        if sys.stdin is not None and sys.stdin.isatty():
            raise InputError(
                "-: nothing is piped into the standard input; write a command before it, such as ffmpeg … |"
            )
        return Source(path, "fd:", PIPE_ADVICE, {"options": {"fd": "0"}}, patient=True)
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", path) and not os.path.exists(path):
        options = {"rtsp_transport": "tcp"} if path.lower().startswith("rtsp") else {}  # UDP loses packets on the way
        return Source(
            re.sub(r"(?<=://)[^/@]*@", "", path),
            path,
            NETWORK_ADVICE,
            {"options": options, "timeout": (SILENCE, SILENCE)},
        )
    if os.path.exists(path):
        mode = os.stat(path).st_mode
        if stat.S_ISFIFO(mode):
            return Source(path, for_ffmpeg(path), PIPE_ADVICE, patient=True)
        return _camera(path, path) if stat.S_ISCHR(mode) else None
    if path.isascii() and path.isdecimal():
        return _camera(path, CAMERAS.get(sys.platform, ("", "{}"))[1].format(path))
    return None


def _camera(name: str, device: str) -> Source:
    import av

    kind = CAMERAS.get(sys.platform, ("", ""))[0]
    # FFmpeg has several names for a format in one: "video4linux2,v4l2"
    if not any(kind in names.split(",") for names in av.formats_available):
        raise InputError(
            f"{name}: this build of PyAV cannot read cameras; send it through a pipe: ffmpeg … -f matroska - | vidseg …"
        )
    options = {"framerate": "30"} if kind == "avfoundation" else {}  # it assumes one that most cameras do not have
    return Source(name, device, CAMERA_ADVICE, {"format": kind, "options": options})


def is_live(source: Source, container: InputContainer) -> bool:
    """Whether frames are lost if not taken in time: not in a pipe, nor in a recording, whose length is known."""
    return not source.patient and not container.duration


def paced(
    frames: Iterable[tuple[int, int, VideoFrame]], tick: float
) -> Generator[tuple[int, int, VideoFrame], None, None]:
    """Pass frames on as they come, but no sooner than they are due, counted from the first.

    Much of a stream may be sent at once, as segments of some seconds are; that is no reason to drop any of it. What
    comes late, after a pause, is made up for.

    Args:
        frames: (number, pts, frame) of each.
        tick: s.

    Yields:
        The same.
    """
    origin = None
    for item in frames:
        due, now = item[1] * tick, time.monotonic()
        if origin is None or abs(due + origin - now) > LEAP:
            origin = now - due
        time.sleep(max(0.0, due + origin - now))
        yield item


def held(
    stack: ExitStack, frames: Iterator[tuple[int, int, VideoFrame]]
) -> Generator[tuple[int, int, VideoFrame], None, None]:
    """Pass frames on, and leave `stack` when they end or are closed."""
    with stack:
        yield from frames


class Newest:
    """Items of a generator, made in a thread that never waits for its consumer.

    Iterate it once. An exception of the generator is raised after the items before it.

    Args:
        items: is used by the thread alone, which closes it.
        depth: how many items may wait; further ones push out the oldest.
    """

    def __init__(self, items: Generator[Any, None, None], depth: int = WAITING):
        self._items = items
        self._waiting: deque[Any] = deque(maxlen=depth)
        self._changed = threading.Condition()
        self._error: BaseException | None = None
        self._ended = self._stopped = False
        self._thread = threading.Thread(target=self._run, name="vidseg-live", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[Any]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._ended)
                if not self._waiting:
                    break
                item = self._waiting.popleft()
            yield item
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """End the thread. If it still waits for data, it drops what comes and closes its source by itself."""
        self._stopped = True
        self._thread.join(timeout=1)

    def _run(self) -> None:
        try:
            for item in self._items:
                with self._changed:
                    if self._stopped:
                        break
                    self._waiting.append(item)
                    self._changed.notify()
        except BaseException as error:  # raised in the consumer
            self._error = error
        finally:
            self._items.close()  # in this thread, which alone may use the file
            with self._changed:
                self._ended = True
                self._changed.notify()
