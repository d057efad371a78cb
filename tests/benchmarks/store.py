"""The store against the bare drivers: appending, reading the newest runs, bytes per sample.

Both sides write the same rows into the same tables and commit as often, taking turns; both read the
same rows by the same statement. The data is made up, not measured.
"""

from __future__ import annotations

import itertools
import random
import sqlite3
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter
from typing import Any

import asyncpg

from monitor.config.dsn import for_asyncpg
from monitor.measure.clocks import collector_held_off
from monitor.store import tables
from monitor.store.append import Appender
from monitor.store.database import Database, Location
from monitor.store.partitions import Partitions
from monitor.store.read import COLUMNS, newest, series_list
from monitor.store.records import RunRecord, SampleRow, SeriesKey
from monitor.store.schema import open_store
from monitor.store.size import size_bytes

START = datetime(2026, 8, 3, tzinfo=UTC)
INTERVAL = timedelta(minutes=10)
ROUNDS = 5
READ_RUNS = 500
#: Rows with other values than these would say the same; making ten million would take minutes.
_MADE_UP = 5000

Bare = Callable[[Sequence[tuple[Any, ...]]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Side:
    """One engine: our store, and the bare driver on a store of its own."""

    name: str
    ours: Database
    bare: Database


async def compare_store(dsn: str, directory: Path, samples: int) -> None:
    """Print the tables for SQLite in the directory and for PostgreSQL behind the DSN."""
    for side in (
        Side("SQLite", _sqlite(directory / "ours"), _sqlite(directory / "bare")),
        Side("PostgreSQL", _postgresql(dsn, "bench_ours"), _postgresql(dsn, "bench_bare")),
    ):
        await _compare_append(side)
        small, large = 500_000, samples
        await _compare_read(side, small, large)
        await side.ours.dispose()
        await side.bare.dispose()


def _sqlite(directory: Path) -> Database:
    directory.mkdir(exist_ok=True)
    return Database(Location(directory / "store.sqlite", timeout_seconds=60))


def _postgresql(dsn: str, schema: str) -> Database:
    return Database(Location(Path(), dsn, schema, timeout_seconds=60))


# --- data ----------------------------------------------------------------------------------------


def _rows() -> list[SampleRow]:
    rng = random.Random(20261124)
    return [
        SampleRow(
            round=0,
            other_sessions=rng.choice((0, 0, 0, 1)),
            disturbed=rng.choice((0, 0, 0, 0, 0, 8)),
            insert_ns=rng.randint(35_000_000, 500_000_000),
            commit_ns=rng.randint(800_000, 12_000_000),
            client_ns=rng.randint(20_000_000, 300_000_000),
            server_ns=rng.randint(20_000_000, 200_000_000),
            wal_bytes=rng.randint(2_900_000, 3_100_000),
            blocks_hit=rng.randint(60_000, 90_000),
            offset_us=rng.randint(100_000, 8_000_000),
            round_trip_ns=rng.randint(40_000, 400_000),
            calls=rng.choice((1, 20, 20_000)),
            counted_rows=None,
            wal_records=rng.randint(40_000, 40_500),
            wal_fpi=rng.choice((0, 0, 1, 2)),
            blocks_read=0,
            blocks_dirtied=rng.randint(190, 200),
            late_batch_ppm=rng.choice((None, None, None, 1_020_000)),
            steal_ppm=0,
            pressure_ppm=rng.choice((0, rng.randint(0, 60_000))),
        )
        for _ in range(_MADE_UP)
    ]


def _key(number: int) -> SeriesKey:
    return SeriesKey("asyncpg_copy", "orders", 20_000, f"width={number}", 20_000)


def _runs(cases: int, count: int, first: int = 0) -> Iterator[RunRecord]:
    rows = itertools.cycle(_rows())
    for number in range(first, first + count):
        at = START + number * INTERVAL
        yield RunRecord(
            id=f"{number:032x}",
            target="main",
            trigger="scheduled",
            started_at=at,
            finished_at=at + timedelta(seconds=8),
            outcome="ok",
            rounds=ROUNDS,
            wal_bytes=110_000_000,
            environment=None,
            probes={"round_trip": (0.00005,) * 10, "server_insert": (0.0123456,) * 10},
            notices=(),
            failures=(),
            samples={
                _key(case): tuple(next(rows)._replace(round=n) for n in range(1, ROUNDS + 1))
                for case in range(cases)
            },
        )


# --- appending -----------------------------------------------------------------------------------


async def _compare_append(side: Side) -> None:
    print(f"{side.name}: append, rows/s, ours ÷ bare driver (same rows, a commit each)")
    for title, cases, runs, times in (
        ("a run of 8 cases, 40 samples", 8, 1, 60),
        ("a run of 200 cases, 1,000 samples", 200, 1, 30),
        ("an import's 200 runs, 8,000 samples", 8, 200, 8),
    ):
        ours, bare = await _time_append(side, cases, runs, times)
        rows = cases * runs * ROUNDS
        print(
            f"  {title:38s} {rows / median(ours):9,.0f} ÷ {rows / median(bare):9,.0f}"
            f" = {median(bare) / median(ours):.2f}"
            f"   (fast ends {min(bare) / min(ours):.2f}; ours {median(ours) * 1000:.1f} ms)"
        )
    print()


async def _time_append(
    side: Side, cases: int, runs: int, times: int
) -> tuple[list[float], list[float]]:
    kind, write = await _fresh(side)
    appender = Appender(side.ours)
    ours, bare = [], []
    source = _runs(cases, runs * (times + 1))
    for turn in range(times + 1):
        records = list(itertools.islice(source, runs))
        rows = _with_numbers(side.bare, records)
        with collector_held_off():
            started = perf_counter()
            await appender.append(records, partitioned=kind == "postgresql")
            between = perf_counter()
            await write(rows)
            ended = perf_counter()
        if turn:  # the first makes series and partitions
            ours.append(between - started)
            bare.append(ended - between)
    return ours, bare


def _with_numbers(database: Database, records: Sequence[RunRecord]) -> list[tuple[Any, ...]]:
    return [
        (number, database.driver_time(record.started_at), *row)
        for record in records
        for number, samples in enumerate(record.samples.values(), start=1)
        for row in samples
    ]


async def _fresh(side: Side) -> tuple[str, Bare]:
    """Empty stores on both sides, and the bare driver's best bulk write."""
    for database in (side.ours, side.bare):
        await _remove(database)
        kind = await open_store(database)
    if side.bare.schema is None:
        return kind, _bare_sqlite(side.bare.location.path)
    weeks = [START + week * timedelta(days=7) for week in range(30)]
    await Partitions(side.bare).cover(weeks)
    return kind, await _bare_postgresql(side.bare)


async def _remove(database: Database) -> None:
    await database.dispose()
    if database.schema is None:
        _remove_files(database.location.path)
        return
    driver = await asyncpg.connect(for_asyncpg(database.location.url or ""))
    await driver.execute(f'DROP SCHEMA IF EXISTS "{database.schema}" CASCADE')
    await driver.close()


def _remove_files(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)


def _bare_sqlite(path: Path) -> Bare:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous = FULL")
    names = ("series_id", "started_at", *SampleRow._fields)
    insert = f"INSERT INTO sample ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"

    async def write(rows: Sequence[tuple[Any, ...]]) -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(insert, rows)
        connection.execute("COMMIT")

    return write


async def _bare_postgresql(database: Database) -> Bare:
    driver = await asyncpg.connect(for_asyncpg(database.location.url or ""))
    names = ("series_id", "started_at", *SampleRow._fields)

    async def write(rows: Sequence[tuple[Any, ...]]) -> None:
        await driver.copy_records_to_table(
            "sample", schema_name=database.schema, columns=names, records=rows
        )

    return write


# --- reading -------------------------------------------------------------------------------------


async def _compare_read(side: Side, small: int, large: int) -> None:
    print(f"{side.name}: newest {READ_RUNS} runs of one case in 200, 13 columns; p95 of 200 reads")
    found = {}
    for samples in (small, large):
        per_sample = await _fill(side.ours, samples)
        ours, bare = await _time_reads(side.ours)
        found[samples] = _p95(ours)
        print(
            f"  at {samples:>10,} samples: {_p95(ours) * 1000:6.2f} ms ÷ {_p95(bare) * 1000:6.2f}"
            f" ms = {_p95(ours) / _p95(bare):.2f}   medians {median(ours) / median(bare):.2f}"
            f"   {per_sample:.0f} bytes a sample with indexes"
        )
    print(f"  {large:,} ÷ {small:,} samples: {found[large] / found[small]:.2f}\n")


def _p95(seconds: Sequence[float]) -> float:
    return quantiles(seconds, n=20)[-1]


async def _fill(database: Database, samples: int) -> float:
    """An own store of that many samples in 200 cases, appended run by run; bytes per sample."""
    await _remove(database)
    kind = await open_store(database)
    empty = await size_bytes(database)
    appender = Appender(database)
    source = _runs(200, samples // (200 * ROUNDS))
    while records := list(itertools.islice(source, 10)):
        await appender.append(records, partitioned=kind == "postgresql")
    if database.schema is not None:
        driver = await asyncpg.connect(for_asyncpg(database.location.url or ""))
        await driver.execute(f"VACUUM ANALYZE {database.name_of(tables.sample)}")
        await driver.close()
    return (await size_bytes(database) - empty) / samples


async def _time_reads(database: Database) -> tuple[list[float], list[float]]:
    series = await series_list(database)
    statement = (
        f"SELECT {', '.join(COLUMNS)} FROM {database.name_of(tables.sample)}"
        " WHERE series_id = $1 ORDER BY started_at DESC, round DESC LIMIT $2"
    )
    fetch = await _bare_fetch(database, statement)
    rng = random.Random(20261124)
    ours, bare = [], []
    for _ in range(210):
        number = rng.choice(series).id
        with collector_held_off():
            started = perf_counter()
            ours_rows = await newest(database, number, READ_RUNS, ROUNDS)
            between = perf_counter()
            rows = await fetch(number, READ_RUNS * ROUNDS)
            ended = perf_counter()
        ours.append(between - started)
        bare.append(ended - between)
        assert len(ours_rows) == len(rows) == READ_RUNS * ROUNDS
    return ours[10:], bare[10:]


async def _bare_fetch(
    database: Database, statement: str
) -> Callable[..., Awaitable[Sequence[Any]]]:
    if database.schema is not None:
        driver = await asyncpg.connect(for_asyncpg(database.location.url or ""))

        async def fetch(*values: int) -> Sequence[Any]:
            return await driver.fetch(statement, *values)

        return fetch
    connection = sqlite3.connect(database.location.path)

    async def fetch_sqlite(*values: int) -> Sequence[Any]:
        return connection.execute(statement.replace("$", "?"), values).fetchall()

    return fetch_sqlite
