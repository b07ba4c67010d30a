"""Whose turn it is."""

import threading
import time

from vidseg.web.fair_lock import FairLock


def test_all_who_wait_go_before_the_next_frame():
    lock, order, ready = FairLock(), [], threading.Barrier(4)

    def click(name):
        ready.wait()
        with lock.hold():
            order.append(name)

    threads = [threading.Thread(target=click, args=(f"click {i}",)) for i in range(3)]
    with lock.hold():
        for thread in threads:
            thread.start()
        ready.wait()
        while len(lock._queue) < 4:
            time.sleep(0.001)
        order.append("frame 0")
        lock.yield_turn()
        order.append("frame 1")
    for thread in threads:
        thread.join()
    assert order[0] == "frame 0" and order[-1] == "frame 1" and len(order) == 5


def test_a_holder_that_fails_releases_it():
    lock = FairLock()
    try:
        with lock.hold():
            raise RuntimeError
    except RuntimeError:
        pass
    with lock.hold():
        lock.yield_turn()
