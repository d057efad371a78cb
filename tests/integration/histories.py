"""What the tests of the history share: a store filled with made-up runs, and one series of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from monitor.store.database import Location
from monitor.store.history import SeriesHistory, read_history
from monitor.store.records import FailureRow, RunRecord, SeriesKey
from tests import builders
from tests.stores import COPY, Store, opened, record

Answer = TypeVar("Answer")

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
#: A Wednesday; on PostgreSQL samples go by weeks, which begin on Mondays.
NOW = datetime(2026, 11, 25, 10, 20, tzinfo=UTC)
FIRST = NOW - 20 * DAY
A = builders.environment("aaaa00000000")
B = replace(A, server_version="18.7", tables={"orders": "id bigint"}, fingerprint="bbbb00000000")


def run_in(location: Location, work: Callable[[Store], Awaitable[Answer]]) -> Answer:
    async def within() -> Answer:
        async with opened(location) as store:
            return await work(store)

    return asyncio.run(within())


def fill(location: Location, *records: RunRecord) -> None:
    run_in(location, lambda store: store.append(*records))


def one_series(location: Location, key: SeriesKey = COPY, since: datetime = FIRST) -> SeriesHistory:
    """A series of the only target."""

    async def read(store: Store) -> SeriesHistory:
        (target,) = await read_history(store.database, since)
        return next(each for each in target.series if each.key == key)

    return run_in(location, read)


def failure(record: RunRecord, key: SeriesKey | None = None, reason: str = "timeout") -> FailureRow:
    message = "refused" if key is None else "too late"
    return FailureRow(record.started_at, reason, message, key, key and 3, of_run=key is None)


def with_failures(of: RunRecord, *failures: FailureRow, **changes: Any) -> RunRecord:
    return replace(of, failures=failures, **changes)


def alternating() -> list[RunRecord]:
    """A for three hours, then B, A and B for two each; every other run knows none."""
    environments = [A, A, A, B, B, A, A, B, B]
    runs = []
    for n, environment in enumerate(environments):
        at = NOW - DAY + n * HOUR
        runs.append(record(at, environment=environment))
        runs.append(replace(record(at + 30 * MINUTE), environment=None, samples={}))
    return runs
