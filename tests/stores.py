"""Stores of every engine for tests: a place for one, and one opened in it with what fills it.

``location`` is a fixture: import ``location_fixture`` into the test's module. It runs a test on
SQLite and PostgreSQL, and on TimescaleDB where INGEST_CANARY_TEST_TIMESCALE_DSN names one.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy import Table, func, select

from monitor.environment import Environment
from monitor.store import tables
from monitor.store.append import Appended, Appender
from monitor.store.database import Database, Kind, Location
from monitor.store.records import RunRecord, SampleRow, SeriesKey
from monitor.store.retention import Policy, Pruned, prune
from monitor.store.schema import open_store
from tests import builders

TIMESCALE = "INGEST_CANARY_TEST_TIMESCALE_DSN"
ENGINES = ("sqlite", "postgresql", *(["timescaledb"] if os.environ.get(TIMESCALE) else []))
COPY = SeriesKey("asyncpg_copy", "orders", 20_000, "", 20_000)
BULK = SeriesKey("orm_bulk", "orders", 20_000, "", 20_000)
#: Bits of ``SampleRow.disturbed``: nothing, what takes a round out, and what does not.
DISTURBED = (0, 0, 0, 1, 2, 4, 8, 16, 32, 1 | 8, 63)

_numbers = itertools.count(1)


@pytest.fixture(name="location", params=ENGINES)
def location_fixture(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Location]:
    """Where a store can be made; nothing is there yet."""
    path = tmp_path / "store.sqlite"
    if request.param == "sqlite":
        yield Location(path)
    elif request.param == "postgresql":
        yield Location(path, request.getfixturevalue("database").dsn)
    else:
        schema = f"ingest_canary_test_{os.getpid()}_{next(_numbers)}"
        yield Location(path, os.environ[TIMESCALE], schema)
        asyncio.run(_execute(os.environ[TIMESCALE], f'DROP SCHEMA IF EXISTS "{schema}" CASCADE'))


async def _execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute(statement)
    await connection.close()


@dataclass(frozen=True)
class Store:
    """An opened store and one writer to it."""

    database: Database
    kind: Kind
    appender: Appender

    @property
    def partitioned(self) -> bool:
        return self.kind == "postgresql"

    async def append(self, *records: RunRecord) -> Appended:
        return await self.appender.append(records, partitioned=self.partitioned)

    async def prune(self, policy: Policy, now: datetime) -> Pruned:
        timescale = self.kind == "timescaledb"
        return await prune(
            self.database, policy, now, partitioned=self.partitioned, timescale=timescale
        )

    async def rows(self, table: Table) -> list[Any]:
        """All rows of a table by key."""
        async with self.database.reading() as connection:
            statement = select(table).order_by(*table.primary_key.columns)
            return list((await connection.execute(statement)).all())

    async def count(self, table: Table) -> int:
        async with self.database.reading() as connection:
            return int(await connection.scalar(select(func.count()).select_from(table)) or 0)

    async def moments(self, table: Table = tables.sample) -> set[datetime]:
        """When the rows of a table began."""
        async with self.database.reading() as connection:
            return set(await connection.scalars(select(table.c.started_at).distinct()))


@asynccontextmanager
async def opened(location: Location) -> AsyncIterator[Store]:
    """The store at a place, created where there is none."""
    database = Database(location)
    try:
        kind = await open_store(database)
        yield Store(database, kind, Appender(database))
    finally:
        await database.dispose()


# --- what to fill it with ------------------------------------------------------------------------


def record(
    at: datetime,
    *,
    target: str = "main",
    keys: Iterable[SeriesKey] = (COPY, BULK),
    rounds: int = 5,
    environment: Environment | None = None,
    rng: random.Random | None = None,
    **changes: Any,
) -> RunRecord:
    """A run with values of ``rng`` (else of its moment): unknown ones and disturbed rounds too."""
    rng = rng or random.Random(f"{target} {at}")
    values: dict[str, Any] = {
        "id": f"{rng.getrandbits(128):032x}",
        "target": target,
        "trigger": "scheduled",
        "started_at": at,
        "finished_at": at + timedelta(seconds=8),
        "outcome": "ok",
        "rounds": rounds,
        "wal_bytes": 140_000_000,
        "environment": environment or builders.environment(),
        "probes": {"round_trip": (0.0001, 0.0001)},
        "notices": (),
        "failures": (),
        "samples": {key: tuple(sample_row(rng, n + 1) for n in range(rounds)) for key in keys},
    }
    return RunRecord(**values | changes)


def sample_row(rng: random.Random, number: int) -> SampleRow:
    """A round with random values, every fifth without what the server counted."""
    known = rng.random() < 0.8
    return SampleRow(
        round=number,
        other_sessions=rng.choice((None, 0, 3)),
        disturbed=rng.choice(DISTURBED),
        insert_ns=rng.randrange(10**7, 10**10),
        commit_ns=rng.randrange(10**5, 10**8),
        client_ns=rng.randrange(10**6, 10**9),
        server_ns=rng.randrange(10**6, 10**9) if known else None,
        wal_bytes=rng.randrange(10**6, 10**7) if known else None,
        blocks_hit=rng.randrange(10**6) if known else None,
        offset_us=number * 1_000_000,
        round_trip_ns=rng.randrange(10**4, 10**6),
        calls=rng.randrange(1, 20_000) if known else None,
        counted_rows=None,
        wal_records=rng.randrange(10**6) if known else None,
        wal_fpi=rng.randrange(100) if known else None,
        blocks_read=rng.randrange(100) if known else None,
        blocks_dirtied=rng.randrange(1000) if known else None,
        late_batch_ppm=rng.choice((None, 1_010_000)),
        steal_ppm=rng.choice((None, 0)),
        pressure_ppm=rng.choice((None, 50_000)),
    )


def records_every(
    step: timedelta, since: datetime, until: datetime, **options: Any
) -> list[RunRecord]:
    """Runs from ``since`` on, before ``until``; options as of ``record``."""
    count = -((since - until) // step)
    return [record(since + number * step, **options) for number in range(count)]


def sample_count(records: Sequence[RunRecord]) -> int:
    """How many samples the runs have."""
    return sum(each.sample_count for each in records)
