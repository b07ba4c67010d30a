"""Interlaced video as whole pictures: one frame out for each frame in, by FFmpeg's bwdif filter."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av.filter import Graph
    from av.video.frame import VideoFrame


def deinterlaced(frames: Iterator[VideoFrame]) -> Iterator[VideoFrame]:
    """Weave the two fields of frames that are flagged as interlaced into one; all keep their pts.

    The filter looks at the frame before and the one after, so it comes in with the first flagged frame and stays. Until
    then frames pass as they are, and so do unflagged ones after it.
    """
    graph, kind, times = None, None, deque()
    for frame in frames:
        # A filter keeps to one kind of frame
        if graph is not None and kind != (frame.width, frame.height, frame.format.name):
            yield from _filtered(graph, None, times)
            graph = None
        if graph is None:
            if not frame.interlaced_frame:
                yield frame
                continue
            graph, kind = _graph(frame), (frame.width, frame.height, frame.format.name)
        times.append((frame.pts, frame.time_base, frame.duration))
        yield from _filtered(graph, frame, times)
    if graph is not None:
        yield from _filtered(graph, None, times)


def _filtered(graph: Graph, frame: VideoFrame | None, times: deque) -> Iterator[VideoFrame]:
    """What comes out for a frame that goes in; for None, all that is left.

    The filter counts time in its own way: `times` has (pts, time base, duration) of the frames that are in it.
    """
    graph.vpush(frame)
    while True:
        try:
            done = graph.vpull()
        except (BlockingIOError, EOFError):
            return
        done.pts, done.time_base, done.duration = times.popleft()
        yield done


def _graph(frame: VideoFrame) -> Graph:
    """A filter graph for frames like this one."""
    from av.filter import Graph

    graph = Graph()
    source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base)
    graph.link_nodes(
        source, graph.add("bwdif", "mode=send_frame:parity=auto:deint=interlaced"), graph.add("buffersink")
    ).configure()
    return graph
