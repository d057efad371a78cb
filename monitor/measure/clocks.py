"""The clocks of a round: wall, commit, client CPU, the time of each batch; and the time of day."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from time import monotonic, perf_counter, thread_time

#: Below this many batches a first and a last quarter say nothing.
MIN_BATCHES_FOR_TREND = 4


@dataclass(slots=True)
class RoundClock:
    """Adds up the timed stretches of a round, in seconds.

    A stretch runs from just before a transaction's first insert to the return of its commit; what
    opens the transaction is not counted. Call ``start``, ``batch_done`` after every batch,
    ``committed`` after the commit; again for the next transaction.
    """

    insert_seconds: float = 0.0
    commit_seconds: float = 0.0
    client_seconds: float = 0.0
    batch_seconds: list[float] = field(default_factory=list)
    _started: float = 0.0
    _lap: float = 0.0
    _cpu: float = 0.0

    def start(self) -> None:
        self._cpu = thread_time()
        self._started = self._lap = perf_counter()

    def batch_done(self) -> None:
        now = perf_counter()
        self.batch_seconds.append(now - self._lap)
        self._lap = now

    def committed(self) -> None:
        now = perf_counter()
        self.commit_seconds += now - self._lap
        self.insert_seconds += now - self._started
        self.client_seconds += thread_time() - self._cpu


class SteadyClock:
    """What time it is, in UTC, as one process tells it: it never goes back.

    It follows the system's clock forward; where that is set back, it goes on by the monotonic
    clock, so that runs keep their order and their distances.
    """

    def __init__(
        self,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
        elapsed: Callable[[], float] = monotonic,
    ) -> None:
        self._wall = wall
        self._elapsed = elapsed
        self._at = wall()
        self._mark = elapsed()

    def now(self) -> datetime:
        mark = self._elapsed()
        self._at = max(self._wall(), self._at + timedelta(seconds=mark - self._mark))
        self._mark = mark
        return self._at

    def not_before(self, moment: datetime) -> None:
        """Go on from there if it is later: what was recorded before a restart stays before."""
        self._at = max(self.now(), moment)


def late_batch_ratio(batch_seconds: Sequence[float]) -> float | None:
    """Mean time of the last quarter of the batches over that of the first; None below 4 batches."""
    if len(batch_seconds) < MIN_BATCHES_FOR_TREND:
        return None
    quarter = len(batch_seconds) // 4
    return sum(batch_seconds[-quarter:]) / sum(batch_seconds[:quarter])


def exempt_from_collection() -> None:
    """Let the collector pass over all that lives now, for the rest of the process.

    Modules and mapped classes make a collection take 50 to 70 ms in which no other thread runs, so
    /metrics would wait; what comes later takes a few.
    """
    gc.collect()
    gc.freeze()


@contextmanager
def collector_held_off() -> Iterator[None]:
    """Collect garbage now, and not again before the block ends; enter it before making rows."""
    gc.collect()
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
