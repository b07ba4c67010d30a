import itertools
import os
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from fractions import Fraction
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.support.clips import CONSTANT, COUNT, make_clip, noise, number_of, picture
from vidseg.errors import InputError
from vidseg.io import live, stream
from vidseg.io.clip import Clip
from vidseg.io.live import Newest, paced, source_of

MS = Fraction(1, 1000)
READ = """
from tests.support.clips import number_of
from vidseg.io.clip import Clip
with Clip("-") as clip:
    numbers = [(f.index, number_of(f.image)) for f in clip.frames()]
    print(clip.once, clip.info.width, clip.info.has_audio, numbers == [(i, i) for i in range(40)], clip.warning)
"""


def busy(index, width, height):
    """`picture` with noise around its middle."""
    image = noise(index, width, height)
    middle = slice(height // 3, height * 2 // 3), slice(width // 3, width * 2 // 3)
    image[middle] = picture(index, width, height)[middle]
    return image


# More than a pipe has room for
BIG = {"size": (320, 240), "options": {"qp": "4", "g": "1"}, "paint": busy}


def numbers(frames):
    return [(f.index, number_of(f.image)) for f in frames]


def fifo(path, data):
    """A named pipe that `data` is written into as soon as somebody reads it."""
    os.mkfifo(path)

    def write():
        try:
            with open(path, "wb") as out:
                out.write(data)
        except BrokenPipeError:  # the reader had enough
            pass

    threading.Thread(target=write, daemon=True).start()
    return path


def serve(data):
    """tcp://…, where everybody who connects gets `data` at once."""
    server = socket.create_server(("127.0.0.1", 0))

    def answer():
        with server:
            while True:
                with server.accept()[0] as connection, suppress(OSError):  # the reader had enough
                    connection.sendall(data)

    threading.Thread(target=answer, daemon=True).start()
    return f"tcp://somebody:secret@127.0.0.1:{server.getsockname()[1]}"


def read_bytes(path):
    with open(path, "rb") as data:
        return data.read()


# --- pipes ---


@pytest.mark.parametrize(
    "name, how",
    [
        ("a.mkv", {"pts": [40 * i for i in range(COUNT)], "base": MS, "container": {"live": "1"}, "audio": "aac"}),
        ("a.ts", {}),
        ("a.mp4", {"container": {"movflags": "+faststart"}, "audio": "aac"}),
        ("a.mp4", {"container": {"movflags": "frag_keyframe+empty_moov"}}),
    ],
)
def test_standard_input_is_read_to_its_end(tmp_path, name, how):
    data = read_bytes(make_clip(tmp_path / name, **how))
    result = subprocess.run([sys.executable, "-c", READ], input=data, capture_output=True, check=False)
    assert result.stdout.decode() == "True 64 False True None\n", result.stderr.decode()


def test_a_file_as_standard_input(tmp_path):
    """An MP4 with its index at the end must be seeked in, and a redirected file can be."""
    path = make_clip(tmp_path / "a.mp4", **BIG)
    with open(path, "rb") as data:
        result = subprocess.run([sys.executable, "-c", READ], stdin=data, capture_output=True, check=False)
    assert result.stdout.decode() == "True 320 False True None\n", result.stderr.decode()
    # As a pipe it cannot
    result = subprocess.run([sys.executable, "-c", READ], input=read_bytes(path), capture_output=True, check=False)
    assert b"InputError: -: " in result.stderr and b"movflags faststart" in result.stderr


@pytest.mark.parametrize("data", [b"", b"hello\n" * 100, b"\x00" * 5000])
def test_nonsense_as_standard_input(data):
    result = subprocess.run([sys.executable, "-c", READ], input=data, capture_output=True, check=False)
    assert b"InputError: -: " in result.stderr and result.stdout == b""


def test_a_terminal_is_no_clip(monkeypatch):
    monkeypatch.setattr(sys, "stdin", type("Terminal", (), {"isatty": lambda self: True})())
    with pytest.raises(InputError, match="nothing is piped"):
        Clip("-")


def test_a_pipe_can_be_read_once(tmp_path):
    data = read_bytes(make_clip(tmp_path / "a.mkv", [40 * i for i in range(COUNT)], MS, audio="aac"))
    clip = Clip(fifo(tmp_path / "pipe", data))
    assert clip.once and not clip.info.has_audio and clip.info.frame_count == COUNT
    frames = clip.frames(start=0.1, end=0.3)
    with pytest.raises(InputError, match="once only"):  # also before the first reading has begun
        clip.frames()
    first = next(frames)
    with pytest.raises(InputError, match="forwards only"):
        clip.backwards(first)
    assert numbers([first, *frames]) == [(3, 3), (4, 4), (5, 5), (6, 6), (7, 7)] and clip.warning is None


def test_an_impossible_range_takes_nothing_from_a_pipe(tmp_path):
    clip = Clip(fifo(tmp_path / "pipe", read_bytes(make_clip(tmp_path / "a.ts"))))
    with pytest.raises(InputError, match="is empty"):
        clip.frames(start=2, end=1)
    assert numbers(clip.frames()) == [(i, i) for i in range(COUNT)]


def test_a_pipe_waits_for_its_reader(tmp_path):
    path = make_clip(tmp_path / "a.mkv", [40 * i for i in range(COUNT)], MS, **BIG)
    data = read_bytes(path)
    clip = Clip(fifo(tmp_path / "pipe", data))
    frames = clip.frames()
    first = next(frames)
    threading.Event().wait(0.2)
    assert numbers([first, *frames]) == [(i, i) for i in range(COUNT)] and len(data) > 3 * 65536


def test_a_pipe_that_breaks_off(tmp_path):
    data = read_bytes(
        make_clip(tmp_path / "a.mkv", [40 * i for i in range(COUNT)], MS, options={"g": "4", "bf": "0", "crf": "4"})
    )
    clip = Clip(fifo(tmp_path / "pipe", data[: len(data) // 2]))
    got = numbers(clip.frames())
    assert 5 < len(got) < COUNT - 5 and got == [(i, i) for i in range(len(got))]
    assert f"pipe broke off after frame {len(got) - 1} " in (clip.warning or "")


def test_leaving_a_pipe_lets_its_writer_go(tmp_path):
    data = read_bytes(make_clip(tmp_path / "a.mkv", [40 * i for i in range(COUNT)], MS, **BIG))
    path, before = tmp_path / "pipe", set(threading.enumerate())
    with Clip(fifo(path, data)) as clip:
        (writer,) = set(threading.enumerate()) - before
        next(clip.frames())
    writer.join(10)
    assert not writer.is_alive()


# --- network ---


def test_a_recording_on_the_network_is_read_in_full(tmp_path):
    make_clip(tmp_path / "a.mp4", container={"movflags": "+faststart"}, audio="aac")

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *words):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with Clip(f"http://127.0.0.1:{server.server_port}/a.mp4") as clip:
            assert clip.once and clip.info.duration == 1.6 and not clip.info.has_audio and not reading()
            assert numbers(clip.frames()) == [(i, i) for i in range(COUNT)] and clip.warning is None
        with pytest.raises(InputError, match="not found.*check the address"):
            Clip(f"http://127.0.0.1:{server.server_port}/b.mp4")
        server.shutdown()


# --- live sources ---


@pytest.fixture
def roomy(monkeypatch):
    """A slow machine is no reason to lose frames."""
    monkeypatch.setattr(stream, "Newest", partial(Newest, depth=COUNT))


def test_a_live_source_that_is_followed_loses_nothing(tmp_path, roomy):
    url = serve(read_bytes(make_clip(tmp_path / "a.ts", CONSTANT[:12])))
    with Clip(url) as clip:
        assert clip.once and clip.info.duration is None and "secret" not in clip.path + clip.info.path
        frames = list(clip.frames())  # all was sent at once, and is taken as it is due
    assert numbers(frames) == [(i, i) for i in range(12)] and clip.warning is None
    assert [f.time - clip.first_time for f in frames] == pytest.approx([i / 25 for i in range(12)], abs=1e-4)


def test_a_slow_consumer_gets_what_is_new_under_its_number_and_time(tmp_path):
    url = serve(read_bytes(make_clip(tmp_path / "a.ts", CONSTANT[:12])))
    with Clip(url) as clip:
        reader: Any = clip._reader
        reader._pictures._thread.join(10)  # all has come while nobody looked
        frames = list(clip.frames())
    assert numbers(frames) == [(i, i) for i in range(12 - live.WAITING, 12)]
    assert [f.time - clip.first_time for f in frames] == pytest.approx([f.index / 25 for f in frames], abs=1e-4)


def test_silence_is_the_end(tmp_path, monkeypatch, roomy):
    monkeypatch.setattr(live, "SILENCE", 0.3)
    data, connections = read_bytes(make_clip(tmp_path / "a.ts", CONSTANT[:12])), []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            connections.append(server.accept()[0])
            connections[0].sendall(data)  # and the connection stays open
            connections.append(server.accept()[0])

        threading.Thread(target=answer, daemon=True).start()
        url = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        with Clip(url) as clip:
            assert numbers(clip.frames()) == [(i, i) for i in range(12)]
        assert "broke off after frame 11 (0.4 s)" in (clip.warning or "")
        with pytest.raises(InputError, match="no answer"):
            Clip(url)
    for connection in connections:
        connection.close()


def reading():
    return [thread for thread in threading.enumerate() if thread.name == "vidseg-live"]


def test_a_live_source_is_let_go(tmp_path, roomy):
    url = serve(read_bytes(make_clip(tmp_path / "a.ts")))
    with Clip(url) as clip:
        frames = clip.frames()
        next(frames)
        assert reading()
    assert not reading()
    clip = Clip(url)
    assert reading()
    del clip  # nobody closed it
    assert not reading()
    assert numbers(Clip(url).frames(end=0.12)) == [(0, 0), (1, 1), (2, 2)] and not reading()


def test_newest_drops_the_oldest():
    gate, closed_in = threading.Event(), []

    def count():
        try:
            yield from range(20)
            gate.wait(10)
            yield from range(20, 23)
        finally:
            closed_in.append(threading.current_thread().name)

    newest = Newest(count(), depth=5)
    items = iter(newest)
    first = next(items)
    while first != 19:
        first = next(items)
    gate.set()
    assert list(items) == [20, 21, 22] and closed_in == ["vidseg-live"]


def test_newest_raises_what_its_items_raise():
    def fail():
        yield 1
        raise InputError("broken")

    items = iter(Newest(fail()))
    assert next(items) == 1
    with pytest.raises(InputError, match="broken"):
        next(items)


def test_newest_ends_when_it_is_closed():
    newest = Newest(i for i in itertools.count())
    next(iter(newest))
    newest.close()
    assert not reading()


def test_paced_waits_for_the_time_of_a_frame_and_makes_up_for_a_pause(monkeypatch):
    now, slept = [100.0], []

    def sleep(seconds):
        slept.append(round(seconds, 6))
        now[0] += seconds

    monkeypatch.setattr(live.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(live.time, "sleep", sleep)

    def come() -> Any:
        for pts in (50, 51, 52, 53, 54, 5000, 5001):  # tenths of a second; a leap before the last two
            if pts == 53:
                now[0] += 0.15  # it comes late
            yield 0, pts, None

    assert [pts for _, pts, _ in paced(come(), 0.1)] == [50, 51, 52, 53, 54, 5000, 5001]
    assert slept == [0, 0.1, 0.1, 0, 0.05, 0, 0.1]


# --- what is a source ---


def found(path):
    source = source_of(path)
    assert source is not None
    return source


def test_sources(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "7").mkdir()
    assert source_of("clip.mp4") is None and source_of("7") is None and source_of("missing/clip.mp4") is None
    assert source_of(r"C:\clips\a.mp4") is None
    camera = found("rtsp://user:pass@camera/stream?a=b@c")
    assert camera.name == "rtsp://camera/stream?a=b@c" and "user:pass" in camera.url and not camera.patient
    assert found("http://host/a@b.mp4").name == "http://host/a@b.mp4"


def test_cameras(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    assert found("3").url == "/dev/video3" and found("3").how["format"] == "v4l2"
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr("av.formats_available", {"mp4", "x,avfoundation"})
    assert found("3").url == "3" and found("3").how["format"] == "avfoundation"
    monkeypatch.setattr("av.formats_available", {"mp4"})
    with pytest.raises(InputError, match="cannot read cameras"):
        source_of("3")


@pytest.mark.parametrize(
    "path, says",
    [
        ("tcp://127.0.0.1:1", "connection refused.*check the address"),
        ("rtsp://me:secret@127.0.0.1:1/x", "connection refused.*check the address"),
        ("nonsense://host/x", "protocol not found"),
        (987, "987: cannot be read.*check that it is connected"),
    ],
)
def test_sources_that_are_not_there(path, says):
    with pytest.raises(InputError, match=says) as caught:
        Clip(path)
    assert "secret" not in str(caught.value) and "\n" not in str(caught.value)
