"""When a process is ended: seconds are given, nothing waits for them."""

from __future__ import annotations

import threading
from datetime import timedelta

from monitor.daemon.watchdog import Vigil, Watchdog, clock_set_by

PATIENCE = 80.0  # a look every 10 s


def vigil() -> Vigil:
    return Vigil(PATIENCE, beat_at=0.0, looked_at=0.0, wall=1000.0)


def looks(over: Vigil, first: int, last: int) -> list[int]:
    """The seconds of the looks at which it was over."""
    return [now for now in range(first, last, 10) if over.is_over(now, 1000.0 + now)]


def test_without_a_sign_of_life_it_is_over_after_patience() -> None:
    assert looks(vigil(), 10, 101) == [90, 100]


def test_signs_of_life_keep_it_alive() -> None:
    watched = vigil()
    for now in range(10, 1000, 10):
        watched.beat(now - 1.0)
        assert not watched.is_over(now, 1000.0 + now)


def test_a_process_that_was_stopped_gets_a_whole_cycle_of_grace() -> None:
    watched = vigil()
    assert looks(watched, 10, 41) == []
    assert not watched.is_over(5000, 6000.0)  # SIGSTOP for over an hour
    assert looks(watched, 5010, 5101) == [5090, 5100]


def test_a_clock_that_is_set_gives_grace_once_and_no_more() -> None:
    for step in (3600.0, -3600.0):
        watched = vigil()
        assert not watched.is_over(70, 1070.0 + step)  # stopped as well, by its looks
        over = [now for now in range(80, 181, 10) if watched.is_over(now, 1000.0 + now + step)]
        assert over == [160, 170, 180]


def test_the_thread_ends_a_process_whose_loop_hangs_and_no_other() -> None:
    ended = threading.Event()
    hanging = Watchdog(0.2, ended.set)
    hanging.start()
    assert ended.wait(10)
    ended.clear()
    stopped = Watchdog(0.2, ended.set)
    stopped.start()
    stopped.stop()
    assert not ended.wait(0.5)


def test_how_far_a_clock_was_set() -> None:
    assert clock_set_by((10.0, 1000.0), (11.0, 1001.2)) is None
    assert clock_set_by((10.0, 1000.0), (11.0, 4601.0)) == timedelta(hours=1)
    assert clock_set_by((10.0, 1000.0), (11.0, -2599.0)) == timedelta(hours=-1)
    assert clock_set_by((10.0, 1000.0), (3610.0, 4600.0)) is None  # stopped, not set
