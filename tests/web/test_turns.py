"""Who comes next."""

import threading
import time

from vidseg.web.turns import Turns


def test_all_who_wait_go_before_the_next_frame():
    turns, order, ready = Turns(), [], threading.Barrier(4)

    def click(name):
        ready.wait()
        with turns.turn():
            order.append(name)

    threads = [threading.Thread(target=click, args=(f"click {i}",)) for i in range(3)]
    with turns.turn():
        for thread in threads:
            thread.start()
        ready.wait()
        while len(turns._queue) < 4:
            time.sleep(0.001)
        order.append("frame 0")
        turns.between()
        order.append("frame 1")
    for thread in threads:
        thread.join()
    assert order[0] == "frame 0" and order[-1] == "frame 1" and len(order) == 5


def test_a_turn_that_fails_is_over():
    turns = Turns()
    try:
        with turns.turn():
            raise RuntimeError
    except RuntimeError:
        pass
    with turns.turn():
        turns.between()
