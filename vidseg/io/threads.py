"""Two kinds of thread that let reading, computing and writing overlap in bounded memory.

Decoding, drawing and encoding release Python's lock while they work, so threads are enough.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")


def prefetch(iterable: Iterable[T], depth: int = 4, patience: float | None = None) -> Generator[T, None, None]:
    """Make the items of an iterable in a thread that runs ahead of the consumer.

    An exception of the iterable is raised here, in its place. Closing this generator early ends the thread after the
    item it is making.

    Args:
        iterable: is used by the thread alone.
        depth: how many items it may be ahead.
        patience: seconds to wait for the thread's end, after which the iterable is left to it; None: no limit.

    Yields:
        The same items.
    """
    items: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
    # Counted before an item is made: a bounded queue would let the thread hold one more
    room = threading.Semaphore(depth)
    stop = threading.Event()
    iterator = iter(iterable)

    def produce() -> None:
        try:
            while room.acquire() and not stop.is_set():
                items.put(("item", next(iterator)))
        except StopIteration:
            items.put(("end", None))
        except BaseException as error:
            items.put(("error", error))

    thread = threading.Thread(target=produce, name="vidseg-prefetch", daemon=True)
    thread.start()
    try:
        while True:
            kind, value = items.get()
            if kind == "error":
                raise value
            if kind == "end":
                return
            room.release()
            yield value
    finally:
        stop.set()
        room.release()
        thread.join(patience)
        if isinstance(iterator, Generator) and not thread.is_alive():
            iterator.close()  # its files now, and not when it is collected


class Background:
    """Calls `work(item)` in one thread, in the order of `submit`.

        with Background(draw_and_encode) as background:
            for frame in frames:
                background.submit(frame)

    What `work` raises is raised by the next `submit` or by `close`, once; items after it are dropped. Leaving the
    `with` block by an exception drops the waiting items too.

    Args:
        work: what to do with each item.
        depth: how many items may wait.
    """

    def __init__(self, work: Callable[[Any], object], depth: int = 4):
        self._work = work
        self._items: queue.Queue[tuple[Any] | None] = queue.Queue(maxsize=depth)
        self._error: BaseException | None = None
        self._dropping = False
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="vidseg-background", daemon=True)
        self._thread.start()

    def submit(self, item: Any) -> None:
        """Hand over an item, as soon as there is room for it."""
        self._raise()
        self._items.put((item,))

    def close(self) -> None:
        """Wait until all items are done."""
        if not self._closed:
            self._closed = True
            self._items.put(None)
        self._thread.join()
        self._raise()

    def __enter__(self) -> Background:
        return self

    def __exit__(self, kind, error, trace) -> None:
        if kind is None:
            self.close()
            return
        self._dropping = True
        self._error = None  # the exception under way is the one to report
        with suppress(BaseException):
            self.close()

    def _run(self) -> None:
        while (entry := self._items.get()) is not None:
            if not self._dropping:  # else only empty the queue, so that nobody waits for room
                try:
                    self._work(entry[0])
                except BaseException as error:
                    self._error, self._dropping = error, True

    def _raise(self) -> None:
        if self._error is not None:
            error, self._error = self._error, None
            raise error
