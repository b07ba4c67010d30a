"""Uploads that are no good: each gets a clear 4xx, and leaves nothing behind."""

import asyncio
import io
import struct
import zlib
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from fastapi import HTTPException, Request
from PIL import Image

from tests.web.conftest import beginning_of_park, cut
from vidseg.web import limits
from vidseg.web.uploads import receive


def png(width: int, height: int, data: bytes) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
        + chunk(b"IDAT", data)
        + chunk(b"IEND", b"")
    )


def files(client) -> list[Path]:
    return [path for path in client.app.state.server.sessions.folder.rglob("*") if path.is_file()]


BOMB = png(30_000, 30_000, zlib.compress(bytes(30_001) * 300, 9))
PLAYLIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"
CONCAT = b"ffconcat version 1.0\nfile /etc/passwd\n"
SDP = (
    b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n"
)


@pytest.mark.parametrize(
    "content, code",
    [
        (b"", 422),
        (b"hello, I am a text", 415),
        (BOMB, 413),
        (PLAYLIST, 415),
        (CONCAT, 415),
        (SDP, 415),
        (b"%PDF-1.4 x" * 99, 415),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415),
        (b"\x89PNG\r\n\x1a\n" + bytes(40), 415),
        (png(9, 9, b"broken"), 422),
    ],
    ids=["empty", "text", "bomb", "playlist", "concat", "sdp", "pdf", "svg", "header-of-a-png", "damaged-png"],
)
def test_wrong_files(client, visitor, content, code):
    answer = client.post(f"{visitor}/media?name=holiday.mp4", content=content)
    assert answer.status_code == code, answer.text
    assert isinstance(answer.json()["detail"], str) and "/tmp" not in answer.text and "input" not in answer.text
    assert not files(client)


def test_cut_off_clips(client, visitor):
    park = (Path(__file__).parents[2] / "samples/park.mp4").read_bytes()
    assert client.post(f"{visitor}/media?name=park.mp4", content=park[:2000]).status_code in (415, 422)
    assert not files(client)


@pytest.mark.parametrize(
    "name",
    ["../../../etc/passwd", "..\\..\\x.png", "/etc/shadow", "a\0b\n.png", "con", ".", "", "х" * 300, "<script>.png"],
)
def test_names_do_not_touch_the_file_system(client, visitor, name, tmp_path):
    picture = tmp_path / "x.png"
    Image.fromarray(np.zeros((8, 12, 3), np.uint8)).save(picture)
    answer = client.post(f"{visitor}/media", params={"name": name}, content=picture.read_bytes())
    assert answer.status_code == 201, answer.text
    assert not set(answer.json()["name"]) & set("/\\\0\n") and answer.json()["width"] == 12
    assert [path.name for path in files(client)] == ["input.png"]


@pytest.mark.parametrize(
    "path",
    [
        "/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/..%2f..%2fapp.py",
        "/api/sessions/..%2f..%2fetc/media",
        "/%5c..%5capp.py",
    ],
)
def test_paths_do_not_leave_the_page(client, path):
    assert client.get(path).status_code == 404


def test_too_many_bytes(client, visitor, monkeypatch):
    monkeypatch.setattr(limits, "UPLOAD_BYTES", 1000)
    assert client.post(f"{visitor}/media", content=bytes(1001)).status_code == 413

    def without_length():
        yield from (bytes(600), bytes(600))

    assert client.post(f"{visitor}/media", content=without_length()).status_code == 413
    assert not files(client)


def test_too_long_clips(client, visitor, monkeypatch):
    monkeypatch.setattr(limits, "SECONDS", 5)
    assert client.post(f"{visitor}/samples/park.mp4").status_code == 413


def recording(frames: int) -> bytes:
    """A WebM that does not say how long it is, as browsers record them."""
    import av

    class Pipe(io.RawIOBase):
        content = b""

        def writable(self):
            return True

        def write(self, data):
            Pipe.content += bytes(data)
            return len(data)

    with av.open(Pipe(), "w", format="webm") as container:
        stream = container.add_stream("libvpx", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(frames):
            container.mux(
                stream.encode(av.VideoFrame.from_ndarray(np.full((48, 64, 3), 4 * number, np.uint8), format="rgb24"))
            )
        container.mux(stream.encode())
    return Pipe.content


def test_recordings_that_do_not_say_how_long_they_are(client, visitor, monkeypatch):
    media = client.post(f"{visitor}/media?name=me.webm", content=recording(30)).json()
    assert media["frame_count"] == 30 and abs(media["duration"] - 1.2) < 0.1
    monkeypatch.setattr(limits, "SECONDS", 1)
    assert client.post(f"{visitor}/media?name=me.webm", content=recording(30)).status_code == 413


def test_what_was_cut_off_a_clip_does_not_count(client, visitor):
    """The header counts all frames that are in the file."""
    clip = cut(beginning_of_park(20), 6)
    media = client.post(f"{visitor}/media?name=a.mp4", content=clip).json()
    assert media["frame_count"] == 14
    codes = [client.get(f"{visitor}/media/{media['media']}/frames/{index}").status_code for index in (0, 13, 14)]
    assert codes == [200, 200, 416]


def test_uploads_at_the_same_time_share_the_bounds(client, visitor, monkeypatch):
    session = client.app.state.server.sessions.find(visitor.split("/")[-1])
    monkeypatch.setattr(limits, "SESSION_BYTES", limits.UPLOAD_BYTES + 500)
    with session.receiving() as first, session.receiving() as second:
        assert (first, second) == (limits.UPLOAD_BYTES, 500) and session.busy
    monkeypatch.setattr(limits, "MEDIA", 1)
    with session.receiving(), pytest.raises(HTTPException, match="files already"), session.receiving():
        pass
    assert not session.busy


def test_too_large_requests(client, visitor, monkeypatch):
    media = client.post(f"{visitor}/samples/desk.png").json()["media"]
    monkeypatch.setattr(limits, "REQUEST_BYTES", 1000)
    for place in (f"{visitor}/media/{media}/segment", "/api/sessions/nobody/media/none/track"):
        answer = client.post(place, json={"text": "x" * 2000})
        assert answer.status_code == 413, answer.text


def test_masks_larger_than_any_picture(client, visitor):
    media = client.post(f"{visitor}/samples/desk.png").json()["media"]
    mask = {"size": [60_000, 60_000], "counts": "PPYo10"}
    assert (
        client.post(f"{visitor}/media/{media}/segment", json={"prompts": [{"id": 1, "mask": mask}]}).status_code == 422
    )


class Slow:
    headers = {}

    def __init__(self, wait: float, chunk: bytes):
        self._wait, self._chunk = wait, chunk

    async def stream(self):
        while True:
            await asyncio.sleep(self._wait)
            yield self._chunk


@pytest.mark.parametrize("wait, what", [(60, "stopped"), (0.01, "too slow")])
def test_slow_uploads(tmp_path, monkeypatch, wait, what):
    monkeypatch.setattr(limits, "STALL_SECONDS", 0.2)
    monkeypatch.setattr(limits, "UPLOAD_RATE", 1 << 20)
    with pytest.raises(HTTPException, match=what) as error:
        asyncio.run(receive(cast(Request, Slow(wait, b"x")), tmp_path / "upload", 1 << 30))
    assert error.value.status_code == 408
