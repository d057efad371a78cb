"""The clocks of a round: wall, commit, client CPU, and the time of each batch."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter, thread_time

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
