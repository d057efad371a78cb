"""Keeping the store small: old samples, runs and rollups go, in steps that nobody waits for."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import perf_counter
from typing import Any

from sqlalchemy import Column, ColumnElement, Table, delete, exists, func, literal, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.errors import StoreConflict
from monitor.store import tables
from monitor.store.append import day_of
from monitor.store.database import Database
from monitor.store.explorations import outlived, remove
from monitor.store.partitions import Dropped, Partitions, drop_chunks_before
from monitor.store.rollups import roll_up
from monitor.store.writes import ShortWrites

log = logging.getLogger(__name__)

#: Rows that one transaction deletes at most.
BATCH = 5_000
#: Pages of SQLite's file that one transaction gives back at most: 2 MiB.
_PAGES = 512


@dataclass(frozen=True, slots=True)
class Policy:
    """How long samples (with verdicts), hourly rollups (with runs and failures) and daily ones are
    kept; changes are for ever.

    ``daily`` None: for ever. What is older goes by whole UTC days.
    """

    raw: timedelta
    hourly: timedelta
    daily: timedelta | None = None

    def raw_since(self, now: datetime) -> datetime:
        """When the oldest day begins whose samples are all kept."""
        return day_of(now - self.raw)

    def hourly_since(self, now: datetime) -> datetime:
        """When the oldest day begins whose hourly rollups are kept."""
        return day_of(now - self.hourly)

    def daily_since(self, now: datetime) -> datetime | None:
        """When the oldest day begins whose rollup is kept; None: all are."""
        return None if self.daily is None else day_of(now - self.daily)


@dataclass(frozen=True, slots=True)
class Pruned:
    """What pruning removed.

    ``samples`` of dropped partitions are the server's estimate, see ``partitions.Dropped``.
    ``bytes_freed`` are those given back to the system: of SQLite's file, or of dropped partitions.
    ``longest_wait_seconds`` is how long its longest write transaction was open: the longest that a
    writer had to wait for it. ``foreign`` names partitions that are not ours and stayed.
    """

    samples: int = 0
    partitions: int = 0
    verdicts: int = 0
    runs: int = 0
    rollups: int = 0
    states: int = 0
    bytes_freed: int = 0
    longest_wait_seconds: float = 0.0
    foreign: tuple[str, ...] = ()


async def prune(
    database: Database, policy: Policy, now: datetime, *, partitioned: bool, timescale: bool
) -> Pruned:
    """Roll up, then remove what the policy no longer keeps; killed at any point, it can go on.

    No sample goes before it was rolled up. ``partitioned`` and ``timescale`` say how samples lie.
    Raises StoreUnavailable and StoreRefused; what was removed by then stays so.
    """
    writes = ShortWrites(database)
    await roll_up(database, now, policy, writes)
    raw_since = policy.raw_since(now)
    if timescale:
        dropped = await drop_chunks_before(database, raw_since, writes)
    elif partitioned:
        dropped = await Partitions(database).drop_before(raw_since, writes)
    else:
        old = _Old(tables.sample, tables.series, raw_since)
        dropped = Dropped(samples=await _remove(database, writes, old))
    for name in dropped.foreign:
        log.warning("%s is a partition of the store without our mark; it stays", name)
    # A run outlives its samples, whose times would mean nothing without it.
    verdicts = await _remove(database, writes, _Old(tables.verdict, tables.target, raw_since))
    runs = await _remove_runs(database, writes, min(raw_since, policy.hourly_since(now)))
    rollups = await _remove_rollups(database, writes, policy, now)
    states = await _remove_states(database, writes, raw_since)
    await _remove_explorations(database, writes, policy, now)
    freed = dropped.bytes if database.schema else await _give_back(database, writes)
    return Pruned(
        samples=dropped.samples,
        partitions=dropped.partitions,
        verdicts=verdicts,
        runs=runs,
        rollups=rollups,
        states=states,
        bytes_freed=freed,
        longest_wait_seconds=writes.longest_seconds,
        foreign=dropped.foreign,
    )


async def _remove_runs(database: Database, writes: ShortWrites, before: datetime) -> int:
    await _remove(database, writes, _Old(tables.failure, tables.target, before))
    runs = await _remove(database, writes, _Old(tables.run, tables.target, before))
    if runs:
        await _remove_environments(database, writes)
    return runs


async def _remove_rollups(
    database: Database, writes: ShortWrites, policy: Policy, now: datetime
) -> int:
    hourly = _Old(tables.rollup, tables.series, policy.hourly_since(now), hours=1)
    removed = await _remove(database, writes, hourly)
    if before := policy.daily_since(now):
        daily = _Old(tables.rollup, tables.series, before, hours=24)
        removed += await _remove(database, writes, daily)
    return removed


async def _remove_explorations(
    database: Database, writes: ShortWrites, policy: Policy, now: datetime
) -> None:
    """Sweeps are kept as long as daily rollups; a handful a month."""
    ids = await outlived(database, policy.daily_since(now), policy.hourly_since(now))
    for start in range(0, len(ids), BATCH):
        async with writes.transaction() as connection:
            await remove(connection, ids[start : start + BATCH])
    if ids:
        await _remove_environments(database, writes)


async def _remove_states(database: Database, writes: ShortWrites, before: datetime) -> int:
    """Remove states of old days but the last of them, with which a replay of the rest begins."""
    columns = tables.detector_state.c
    last = (
        select(columns.target_id, func.max(columns.day))
        .where(columns.day < before)
        .group_by(columns.target_id)
        .having(func.count() > 1)
    )
    async with database.reading() as connection:
        found = (await connection.execute(last)).all()
    removed = 0
    for target_id, day in found:
        old = _Old(tables.detector_state, tables.target, day)
        removed += await _remove_of(writes, old, target_id)
    return removed


async def _remove_environments(database: Database, writes: ShortWrites) -> None:
    """Remove environments that no run names."""
    fingerprint = tables.environment.c.fingerprint
    unnamed = select(fingerprint).except_(
        select(tables.run.c.fingerprint), select(tables.exploration.c.fingerprint)
    )
    async with database.reading() as connection:
        found = (await connection.scalars(unnamed)).all()
    for each in found:
        try:
            async with writes.transaction() as connection:
                await connection.execute(delete(tables.environment).where(fingerprint == each))
        except StoreConflict:
            continue  # a run that names it was appended just now


# --- ranges of keys ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Old:
    """Rows of a table from before a moment, which for each owner are one range of its key.

    The key is the owner's number, for rollups their ``hours``, then the time.
    """

    table: Table
    owner: Table
    before: datetime
    hours: int | None = None

    @property
    def ordering(self) -> list[Column[Any]]:
        """The key from the time on."""
        key = list(self.table.primary_key.columns)
        return key[1:] if self.hours is None else key[2:]

    def of(self, owner_id: int | ColumnElement[int]) -> ColumnElement[bool]:
        """What holds for all rows of an owner, whatever their time."""
        key = list(self.table.primary_key.columns)
        own = key[0] == owner_id
        return own if self.hours is None else own & (key[1] == self.hours)


async def _remove(database: Database, writes: ShortWrites, old: _Old) -> int:
    """Remove old rows of all owners; returns how many."""
    owner_id = old.owner.c.id
    some = exists().where(old.of(owner_id), old.ordering[0] < old.before)
    async with database.reading() as connection:
        owners = (await connection.scalars(select(owner_id).where(some).order_by(owner_id))).all()
    return sum([await _remove_of(writes, old, owner) for owner in owners])


async def _remove_of(writes: ShortWrites, old: _Old, owner_id: int) -> int:
    removed = 0
    while True:
        async with writes.transaction() as connection:
            batch = await _remove_batch(connection, old, owner_id)
        removed += batch
        if batch < BATCH:
            return removed


async def _remove_batch(connection: AsyncConnection, old: _Old, owner_id: int) -> int:
    """Delete the oldest rows of an owner up to a row's key, found by walking the key."""
    ordering, mine, before = old.ordering, old.of(owner_id), old.before
    if old.table is tables.sample:
        # Asked in the transaction that deletes: a late run may have come since rolling up.
        due = await _earliest_due(connection, owner_id)
        before = before if due is None else min(before, due)
    older = mine & (ordering[0] < before)
    walk = select(*ordering).where(older).order_by(*ordering).offset(BATCH).limit(1)
    end = (await connection.execute(walk)).one_or_none()
    if end is not None:
        key = [literal(value, column.type) for value, column in zip(end, ordering, strict=True)]
        older = mine & (tuple_(*ordering) < tuple_(*key))
    return (await connection.execute(delete(old.table).where(older))).rowcount


async def _earliest_due(connection: AsyncConnection, series_id: int) -> datetime | None:
    """The first hour of a series' target that is still to be rolled up."""
    target_id = select(tables.series.c.target_id).where(tables.series.c.id == series_id)
    due = tables.rollup_due.c
    statement = select(func.min(due.started_at)).where(due.target_id == target_id.scalar_subquery())
    found: datetime | None = await connection.scalar(statement)
    return found


# --- SQLite's file -------------------------------------------------------------------------------


async def _give_back(database: Database, writes: ShortWrites) -> int:
    """Cut free pages off SQLite's file and empty its log; returns the bytes of the file."""
    async with database.reading() as connection:
        pages = await _ask(database, connection, "page_count")
        await _vacuum(database, writes, connection)
        pages -= await _ask(database, connection, "page_count")
        await _checkpoint(database, writes, connection)
        return max(0, pages) * await _ask(database, connection, "page_size")


async def _vacuum(database: Database, writes: ShortWrites, connection: AsyncConnection) -> None:
    driver: Any = (await connection.get_raw_connection()).driver_connection
    free = await _ask(database, connection, "freelist_count")
    while free:
        started = perf_counter()
        # A page a step: of all that Python's sqlite3 offers, only a script takes every step.
        await driver.executescript(f"PRAGMA incremental_vacuum({_PAGES})")
        await writes.ended(started)
        last, free = free, await _ask(database, connection, "freelist_count")
        if free >= last:
            return  # others free pages as fast, or the file cannot be vacuumed


async def _ask(database: Database, connection: AsyncConnection, pragma: str) -> int:
    return int((await database.fetch(connection, f"PRAGMA {pragma}"))[0][0])


async def _checkpoint(database: Database, writes: ShortWrites, connection: AsyncConnection) -> None:
    """Bring the log into the file, which only then becomes smaller, and cut the log to nothing.

    The second of these holds up writers while it waits for readers: so it finds nothing left to
    copy, and does not wait. With a reader in the way, the next pruning does it.
    """
    await database.fetch(connection, "PRAGMA busy_timeout = 0")
    try:
        copied = await database.fetch(connection, "PRAGMA wal_checkpoint(PASSIVE)")
        _, frames, _ = copied[0]
        if frames > 0:
            started = perf_counter()
            await database.fetch(connection, "PRAGMA wal_checkpoint(TRUNCATE)")
            await writes.ended(started)
    finally:
        milliseconds = round(database.location.timeout_seconds * 1000)
        await database.fetch(connection, f"PRAGMA busy_timeout = {milliseconds}")
