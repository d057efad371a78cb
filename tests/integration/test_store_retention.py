"""Pruning removes what the policy no longer keeps, and nothing else, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from monitor.errors import StoreRefused, StoreUnavailable
from monitor.store import append, partitions, retention, rollups, tables, writes
from monitor.store.database import Database, Location
from monitor.store.partitions import WEEK, week_of
from monitor.store.records import FailureRow, RunRecord
from monitor.store.retention import Policy, Pruned
from monitor.store.writes import ShortWrites
from tests import builders, conftest
from tests.stores import (
    COPY,
    Store,
    location_fixture,  # noqa: F401
    opened,
    record,
    records_every,
    sample_count,
)

HOUR, DAY, MINUTE = timedelta(hours=1), timedelta(days=1), timedelta(minutes=1)
MICROSECOND = timedelta(microseconds=1)
#: A Wednesday, and the Monday of its week.
NOW = datetime(2026, 11, 25, 10, 20, tzinfo=UTC)
TODAY, MONDAY = NOW.replace(hour=0, minute=0), datetime(2026, 11, 23, tzinfo=UTC)
POLICY = Policy(raw=10 * DAY, hourly=40 * DAY, daily=80 * DAY)
RAW_SINCE = TODAY - POLICY.raw
SCHEMA = "ingest_canary_store"
on_postgresql = pytest.mark.parametrize("location", ["postgresql"], indirect=True)
on_sqlite = pytest.mark.parametrize("location", ["sqlite"], indirect=True)


def gone_before(store: Store) -> datetime:
    """Samples before it go, those since it stay: partitions are whole weeks."""
    return week_of(RAW_SINCE) if store.database.schema else RAW_SINCE


def but_time(pruned: Pruned) -> Pruned:
    return replace(pruned, longest_wait_seconds=0.0, bytes_freed=0)


async def moments(store: Store) -> dict[str, set[datetime]]:
    """When what is kept began, by table and for rollups by length."""
    found = {table.name: await store.moments(table)
             for table in (tables.sample, tables.run, tables.failure)}  # fmt: skip
    for row in await store.rows(tables.rollup):
        found.setdefault(f"{row.hours} h", set()).add(row.started_at)
    return found


def file_bytes(location: Location) -> int:
    return location.path.stat().st_size


def log_bytes(location: Location) -> int:
    return Path(f"{location.path}-wal").stat().st_size


# --- what goes -----------------------------------------------------------------------------------


def test_samples_go_by_whole_days_and_not_before_they_are_rolled_up(location: Location) -> None:
    async def scenario() -> None:
        async with opened(location) as store:
            cut = gone_before(store)
            old = [record(cut - 3 * WEEK), record(cut - WEEK), record(cut - MICROSECOND)]
            kept = [record(cut), record(cut + DAY), record(NOW - 2 * HOUR), record(NOW)]
            other = [record(cut - MICROSECOND, target="other"), record(cut, target="other")]
            await store.append(*old, *kept, *other)
            pruned = await store.prune(POLICY, NOW)
            assert await store.moments() == {each.started_at for each in kept}
            assert await store.count(tables.sample) == sample_count([*kept, other[1]])
            assert pruned.samples == sample_count([*old, other[0]])
            assert pruned.partitions == (2 if store.partitioned else 0)  # two in one week
            assert pruned.longest_wait_seconds > 0
            hours = {r.started_at for r in await store.rows(tables.rollup) if r.hours == 1}
            over = {each.started_at.replace(minute=0, second=0, microsecond=0)
                    for each in (*old, *kept[:-1])}  # fmt: skip
            assert hours == over

    asyncio.run(scenario())


def test_each_kind_of_row_goes_at_the_age_of_the_policy(location: Location) -> None:
    """A microsecond before its day and it is gone, at midnight and it is kept."""
    hourly, daily = TODAY - POLICY.hourly, TODAY - 80 * DAY
    edges = (daily - MICROSECOND, daily, hourly - MICROSECOND, hourly, TODAY)

    async def scenario() -> None:
        async with opened(location) as store:
            await store.append(*(record(at, failures=(failure(at),) * 2) for at in edges))
            pruned = await store.prune(POLICY, NOW)
            found = await moments(store)
            assert found["run"] == found["failure"] == {hourly, TODAY}
            assert found["sample"] == {TODAY}
            assert found["1 h"] == {hourly, TODAY}
            assert found["24 h"] == {daily, hourly - DAY, hourly, TODAY}
            # Of two cases each: three hours and a day.
            assert (pruned.runs, pruned.rollups) == (3, 8)

    asyncio.run(scenario())


def test_without_an_age_daily_rollups_stay_for_ever(location: Location) -> None:
    async def scenario() -> None:
        async with opened(location) as store:
            await store.append(record(NOW - 3000 * DAY), record(NOW - 2 * HOUR))
            await store.prune(replace(POLICY, daily=None), NOW)
            assert (await moments(store))["24 h"] == {TODAY - 3000 * DAY, TODAY}

    asyncio.run(scenario())


def test_runs_stay_as_long_as_their_samples_whatever_the_policy(location: Location) -> None:
    async def scenario() -> None:
        async with opened(location) as store:
            at = RAW_SINCE + HOUR
            await store.append(record(at))
            await store.prune(Policy(raw=POLICY.raw, hourly=DAY), NOW)
            found = await moments(store)
            assert found["run"] == found["sample"] == {at}
            assert "1 h" not in found

    asyncio.run(scenario())


def failure(at: datetime) -> FailureRow:
    return FailureRow(at, "timeout", "too long", COPY, 3, of_run=False)


def test_environments_go_with_their_last_run_and_may_come_back(location: Location) -> None:
    old, kept = builders.environment("old"), builders.environment("kept")

    async def scenario() -> None:
        async with opened(location) as store:
            ancient = NOW - 50 * DAY
            await store.append(
                record(ancient, environment=old),
                record(ancient + HOUR, environment=kept),
                record(NOW - DAY, environment=kept),
            )
            await store.prune(POLICY, NOW)
            assert await fingerprints(store) == {"kept"}
            await store.append(record(NOW - HOUR, environment=old))
            assert await fingerprints(store) == {"old", "kept"}

    asyncio.run(scenario())


def test_an_environment_that_a_run_names_meanwhile_stays(
    location: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, older = builders.environment("old"), builders.environment("older")
    transaction = ShortWrites.transaction

    async def scenario() -> None:
        async with opened(location) as store:
            ancient = NOW - 50 * DAY
            await store.append(record(ancient, environment=older))
            await store.append(record(ancient + HOUR, environment=old))
            remove = retention._remove_environments
            back = record(NOW - HOUR, environment=old)

            @asynccontextmanager
            async def overtaken(self: ShortWrites) -> AsyncIterator[Any]:
                await store.append(back)
                async with transaction(self) as connection:
                    yield connection

            async def removed(*arguments: Any) -> None:
                monkeypatch.setattr(ShortWrites, "transaction", overtaken)
                await remove(*arguments)
                monkeypatch.setattr(ShortWrites, "transaction", transaction)

            monkeypatch.setattr(retention, "_remove_environments", removed)
            await store.prune(POLICY, NOW)
            assert await fingerprints(store) == {"old"}
            assert {row.id for row in await store.rows(tables.run)} == {back.id}

    asyncio.run(scenario())


async def fingerprints(store: Store) -> set[str]:
    return {row.fingerprint for row in await store.rows(tables.environment)}


def test_states_stay_from_the_last_one_before_the_oldest_kept_day(location: Location) -> None:
    days = [RAW_SINCE + n * DAY for n in (-9, -4, -3, 0, 1, 9)]

    async def scenario() -> None:
        async with opened(location) as store:
            await store.append(*(record(day + HOUR, state=b"%d" % n) for n, day in enumerate(days)))
            await store.append(record(RAW_SINCE - 20 * DAY, target="gone", state=b"last"))
            pruned = await store.prune(POLICY, NOW)
            states = [row.state for row in await store.rows(tables.detector_state)]
            assert states == [b"2", b"3", b"4", b"5", b"last"]
            assert pruned.states == 2

    asyncio.run(scenario())


def test_nothing_is_removed_twice(location: Location) -> None:
    async def scenario() -> None:
        records = records_every(5 * HOUR, NOW - 100 * DAY, NOW)
        async with opened(location) as store:
            await store.append(*(replace(each, state=b"s", failures=(failure(each.started_at),))
                                 for each in records))  # fmt: skip
            first = await store.prune(POLICY, NOW)
            before = await contents(store)
            assert min(first.samples, first.runs, first.rollups, first.states) > 0
            assert await store.prune(POLICY, NOW) == Pruned()
            assert await contents(store) == before

    asyncio.run(scenario())


def test_an_empty_store_is_left_alone(location: Location) -> None:
    async def scenario() -> None:
        async with opened(location) as store:
            assert but_time(await store.prune(POLICY, NOW)) == Pruned()

    asyncio.run(scenario())


async def contents(store: Store) -> dict[str, list[Any]]:
    names = ("run", "failure", "sample", "rollup", "rollup_due", "detector_state", "environment")
    return {name: await store.rows(tables.metadata.tables[name]) for name in names}


# --- what is still due ---------------------------------------------------------------------------


def after_rolling_up(monkeypatch: pytest.MonkeyPatch, event: Callable[[], Awaitable[Any]]) -> None:
    """Let something happen once between rolling up and removing."""

    async def rolled_up(*arguments: Any) -> int:
        found = await rollups.roll_up(*arguments)
        monkeypatch.setattr(retention, "roll_up", rollups.roll_up)
        await event()
        return found

    monkeypatch.setattr(retention, "roll_up", rolled_up)


def test_samples_that_came_since_rolling_up_stay_until_they_are_rolled_up(
    location: Location,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    late_hour = week_of(RAW_SINCE) - 2 * WEEK + 30 * HOUR

    async def scenario() -> None:
        async with opened(location) as store:
            earlier = [record(late_hour - 2 * DAY), record(late_hour - WEEK)]
            beside, later = record(late_hour, target="other"), record(late_hour + WEEK)
            await store.append(*earlier, beside, later, record(NOW))
            late = record(late_hour + MINUTE)
            after_rolling_up(monkeypatch, lambda: store.append(late))
            await store.prune(POLICY, NOW)
            found = await store.moments()
            assert {late.started_at, NOW} <= found
            assert earlier[1].started_at not in found
            if store.database.schema is None:
                # Nothing of the target that is newer goes before it.
                assert found == {late.started_at, later.started_at, NOW}
            elif store.partitioned:
                assert later.started_at not in found
            await store.prune(POLICY, NOW)
            assert await store.moments() == {NOW}
            hours = [(r.started_at, r.samples) for r in await store.rows(tables.rollup)
                     if r.hours == 1]  # fmt: skip
            # Two cases of each target.
            assert hours.count((late_hour, 5)) == 4

    asyncio.run(scenario())


def test_a_run_comes_while_old_ones_are_removed(location: Location) -> None:
    """A writer appends all the while, new runs and a few old ones; none is lost, none doubled."""

    async def scenario() -> None:
        old = records_every(10 * MINUTE, RAW_SINCE - 9 * DAY, RAW_SINCE - 7 * DAY)
        async with opened(location) as store, opened(location) as writer:
            await store.append(*old)
            numbers, done = itertools.count(1), asyncio.Event()
            new: list[RunRecord] = []

            async def write() -> None:
                while not done.is_set() or len(new) < 20:
                    each = record(NOW - DAY + next(numbers) * MINUTE)
                    assert (await writer.append(each)).samples == each.sample_count
                    new.append(each)

            writing = asyncio.create_task(write())
            pruned = await store.prune(POLICY, NOW)
            done.set()
            await writing
            assert pruned.samples == sample_count(old)
            assert await store.moments() == {each.started_at for each in new}
            assert await store.count(tables.sample) == sample_count(new)
            await rollups.roll_up(store.database, NOW, POLICY)
            days = [row.samples for row in await store.rows(tables.rollup)
                    if row.hours == 24 and row.started_at >= RAW_SINCE]  # fmt: skip
            over = [each for each in new
                    if each.started_at < NOW.replace(minute=0)]  # fmt: skip
            assert sum(days) == sample_count(over)

    asyncio.run(scenario())


# --- in steps ------------------------------------------------------------------------------------


def test_no_transaction_deletes_more_than_its_batch(
    location: Location,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(retention, "BATCH", 12)
    sizes: list[int] = []
    remove = retention._remove_batch

    async def removed(*arguments: Any) -> int:
        sizes.append(await remove(*arguments))
        return sizes[-1]

    monkeypatch.setattr(retention, "_remove_batch", removed)

    async def scenario() -> None:
        records = records_every(19 * HOUR, NOW - 100 * DAY, NOW)
        async with opened(location) as store:
            await store.append(*records)
            pruned = await store.prune(POLICY, NOW)
            assert max(sizes) == 12
            dropped = pruned.samples if store.database.schema else 0
            assert sum(sizes) == pruned.samples + pruned.runs + pruned.rollups - dropped
            kept = [each.started_at for each in records
                    if each.started_at >= gone_before(store)]  # fmt: skip
            assert await store.moments() == set(kept)

    asyncio.run(scenario())


@pytest.mark.parametrize("survived", [0, 1, 2, 3, 10, 30])
def test_killed_at_any_point_it_goes_on(
    location: Location, monkeypatch: pytest.MonkeyPatch, survived: int
) -> None:
    """Killed within any of its transactions, the next one ends as one that was not killed does."""

    class Killed(Exception):
        pass

    transaction = ShortWrites.transaction
    left = iter(range(survived))

    @asynccontextmanager
    async def killing(self: ShortWrites) -> AsyncIterator[Any]:
        async with transaction(self) as connection:
            yield connection
            if next(left, None) is None:
                raise Killed

    monkeypatch.setattr(retention, "BATCH", 50)

    async def scenario() -> None:
        records = records_every(13 * HOUR, NOW - 50 * DAY, NOW)
        records = [replace(each, state=b"s", failures=(failure(each.started_at),))
                   for each in records]  # fmt: skip
        async with opened(location) as store:
            await store.append(*records)
            with monkeypatch.context() as patch:
                patch.setattr(ShortWrites, "transaction", killing)
                with pytest.raises(Killed):
                    await store.prune(POLICY, NOW)
            await store.prune(POLICY, NOW)
            found = await moments(store)
            starts = [each.started_at for each in records]
            assert found["sample"] == {at for at in starts if at >= gone_before(store)}
            runs = {at for at in starts if at >= TODAY - POLICY.hourly}
            assert found["run"] == found["failure"] == runs
            rolled = {at.replace(minute=0) for at in starts if at < NOW.replace(minute=0)}
            assert found["1 h"] == {at for at in rolled if at >= TODAY - POLICY.hourly}
            assert found["24 h"] == {at.replace(hour=0) for at in rolled}

    asyncio.run(scenario())


def test_writes_are_timed_and_on_sqlite_apart(
    location: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings = iter([100.0, 100.5, 200.0, 200.25])
    pauses: list[float] = []

    async def slept(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(writes, "perf_counter", lambda: next(readings))

    async def scenario() -> None:
        async with opened(location) as store:
            monkeypatch.setattr(asyncio, "sleep", slept)
            short = ShortWrites(store.database)
            for _ in range(2):
                async with short.transaction():
                    pass
            assert short.longest_seconds == 0.5
            assert pauses == ([] if store.database.schema else [0.5, 0.25])

    asyncio.run(scenario())


# --- SQLite's file -------------------------------------------------------------------------------


@on_sqlite
def test_sqlite_gives_the_bytes_back_to_the_system(
    location: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "_PAGES", 20)  # so that it takes some steps

    async def scenario() -> None:
        old = records_every(5 * MINUTE, RAW_SINCE - 4 * DAY, RAW_SINCE)
        async with opened(location) as store:
            await store.append(record(NOW))
            await store.append(*old)
            await store.database.dispose()  # the last one out brings the log into the file
            before = file_bytes(location)
            pruned = await store.prune(POLICY, NOW)
            # Rollups are few where samples were many.
            assert file_bytes(location) < before / 2
            assert log_bytes(location) == 0
            async with store.database.reading() as connection:
                assert await store.database.fetch(connection, "PRAGMA freelist_count") == [(0,)]
                check = await store.database.fetch(connection, "PRAGMA integrity_check")
                timeout = await store.database.fetch(connection, "PRAGMA busy_timeout")
            assert check == [("ok",)]
            assert timeout == [(location.timeout_seconds * 1000,)]
            # Rolling up had made the file larger before.
            assert pruned.bytes_freed >= before - file_bytes(location)
            assert pruned.bytes_freed % 4096 == 0

    asyncio.run(scenario())


@on_sqlite
def test_a_reader_of_sqlite_is_not_waited_for_and_keeps_the_bytes_only_while_it_reads(
    location: Location,
) -> None:
    patient = replace(location, timeout_seconds=600)

    async def scenario() -> None:
        old = records_every(5 * MINUTE, RAW_SINCE - 4 * DAY, RAW_SINCE)
        async with opened(patient) as store:
            reader = Database(patient)
            await store.append(*old)
            await store.database.dispose()
            before = file_bytes(location)
            async with reader.reading() as connection:
                await connection.execute(tables.sample.select().limit(1))
                async with asyncio.timeout(60):
                    await store.prune(POLICY, NOW)
                assert file_bytes(location) >= before
                assert log_bytes(location) > 0
            await store.prune(POLICY, NOW)
            assert file_bytes(location) < before / 2
            assert log_bytes(location) == 0
            await reader.dispose()

    asyncio.run(scenario())


# --- PostgreSQL's partitions ---------------------------------------------------------------------


@on_postgresql
def test_a_partition_goes_when_its_whole_week_is_old(location: Location) -> None:
    """Its last day still within the policy, it stays; a day later it goes."""
    week = MONDAY - 3 * WEEK

    async def scenario() -> None:
        async with opened(location) as store:
            await store.append(record(week), record(NOW))
            policy = Policy(raw=30 * DAY, hourly=40 * DAY)
            day_before = week + WEEK + policy.raw - MICROSECOND
            assert (await store.prune(policy, day_before)).partitions == 0
            assert week in await store.moments()
            pruned = await store.prune(policy, day_before + MICROSECOND)
            assert (pruned.partitions, pruned.samples) == (1, 10)
            assert pruned.bytes_freed > 0

    asyncio.run(scenario())


@on_postgresql
def test_samples_of_a_partition_are_the_servers_estimate_once_it_has_one(
    location: Location, database: conftest.Database
) -> None:
    async def scenario() -> None:
        async with opened(location) as store:
            first, second = (record(MONDAY - 5 * WEEK + n * HOUR) for n in range(2))
            await store.append(first)
            database.sql(f"ANALYZE {SCHEMA}.sample")
            await store.append(second)
            assert (await store.prune(POLICY, NOW)).samples == first.sample_count

    asyncio.run(scenario())


@on_postgresql
def test_what_is_not_ours_stays_and_is_named(
    location: Location, database: conftest.Database, caplog: pytest.LogCaptureFixture
) -> None:
    theirs = MONDAY - 9 * WEEK

    async def scenario() -> None:
        async with opened(location) as store:
            await store.append(record(MONDAY - 8 * WEEK), record(MONDAY - 7 * WEEK), record(NOW))
            parent = f"{SCHEMA}.sample"
            bounds = "FOR VALUES FROM ('{:%Y-%m-%d}Z') TO ('{:%Y-%m-%d}Z')"
            named_as_ours = f"{SCHEMA}.sample_{theirs:%Y%m%d}"
            away = f"public.sample_{theirs - 2 * WEEK:%Y%m%d}"
            for name, week in (
                (named_as_ours, theirs),
                ("elsewhere", theirs - WEEK),
                (away, theirs - 2 * WEEK),
            ):
                span = bounds.format(week, week + WEEK)
                database.sql(f"CREATE TABLE {name} PARTITION OF {parent} {span}")
            database.sql(f"CREATE TABLE {SCHEMA}.sample_20200106 (theirs int)")
            database.sql(f"COMMENT ON TABLE {away} IS '{tables.MARK}'")
            unmarked = f"{SCHEMA}.sample_{MONDAY - 7 * WEEK:%Y%m%d}"
            database.sql(f"COMMENT ON TABLE {unmarked} IS 'mine now'")
            with caplog.at_level(logging.WARNING):
                pruned = await store.prune(POLICY, NOW)
            foreign = ("public.elsewhere", away, unmarked, named_as_ours)
            assert sorted(pruned.foreign) == sorted(foreign)
            assert all(name in caplog.text for name in foreign)
            assert pruned.partitions == 1
            assert MONDAY - 8 * WEEK not in await store.moments()
            for name in (*foreign, f"{SCHEMA}.sample_20200106"):
                assert database.sql(f"SELECT 1 FROM to_regclass('{name}') AS t WHERE t IS NOT NULL")

    asyncio.run(scenario())


@on_postgresql
def test_the_mark_is_looked_at_again_under_the_lock(
    location: Location, database: conftest.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with opened(location) as store:
            week = MONDAY - 8 * WEEK
            await store.append(record(week), record(NOW))
            lock = partitions.lock_definitions

            async def locked(*arguments: Any) -> None:
                await lock(*arguments)
                database.sql(f"COMMENT ON TABLE {SCHEMA}.sample_{week:%Y%m%d} IS 'mine now'")

            monkeypatch.setattr(partitions, "lock_definitions", locked)
            assert (await store.prune(POLICY, NOW)).partitions == 0
            assert week in await store.moments()

    asyncio.run(scenario())


@on_postgresql
def test_what_depends_on_a_partition_keeps_it(
    location: Location, database: conftest.Database
) -> None:
    async def scenario() -> None:
        async with opened(location) as store:
            week = MONDAY - 8 * WEEK
            await store.append(record(week))
            database.sql(f"CREATE VIEW theirs AS SELECT * FROM {SCHEMA}.sample_{week:%Y%m%d}")
            with pytest.raises(StoreUnavailable, match="other objects depend on it"):
                await store.prune(POLICY, NOW)
            assert database.sql("SELECT count(*) FROM theirs") == [(10,)]

    asyncio.run(scenario())


@on_postgresql
def test_a_late_run_finds_a_partition_that_another_process_dropped(location: Location) -> None:
    async def scenario() -> None:
        async with opened(location) as store, opened(location) as other:
            week = MONDAY - 8 * WEEK
            await store.append(record(week))
            await store.append(record(NOW))
            await other.prune(POLICY, NOW)
            late = record(week + HOUR)
            assert (await store.append(late)).samples == late.sample_count
            assert await store.moments() == {week + HOUR, NOW}

    asyncio.run(scenario())


@on_postgresql
def test_a_table_that_has_the_name_of_a_partition_does_not_become_ours(
    location: Location, database: conftest.Database
) -> None:
    async def scenario() -> None:
        async with opened(location) as store:
            name = f"{SCHEMA}.sample_{MONDAY:%Y%m%d}"
            database.sql(f"CREATE TABLE {name} (theirs int)")
            with pytest.raises(StoreUnavailable, match="already exists"):
                await store.append(record(NOW))
            comment = f"SELECT obj_description('{name}'::regclass)"
            assert database.sql(comment) == [(None,)]

    asyncio.run(scenario())


@on_postgresql
def test_a_run_that_is_being_appended_to_an_old_partition_keeps_it(
    location: Location, database: conftest.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not to be seen when dropping begins, and is there when the table's lock is had."""
    written, go_on = asyncio.Event(), asyncio.Event()
    keep_state = append._keep_state
    waits = "SELECT 1 FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'"

    async def stopped(*arguments: Any) -> None:
        written.set()
        await go_on.wait()
        await keep_state(*arguments)

    async def scenario() -> None:
        async with opened(location) as store, opened(location) as writer:
            week = MONDAY - 8 * WEEK
            await store.append(record(week))
            monkeypatch.setattr(append, "_keep_state", stopped)
            late = record(week + HOUR, state=b"s")
            appending = asyncio.create_task(writer.append(late))
            await written.wait()
            pruning = asyncio.create_task(store.prune(POLICY, NOW))
            while not pruning.done() and not await asyncio.to_thread(database.sql, waits):
                pass
            go_on.set()
            await appending
            assert (await pruning).partitions == 0
            assert late.started_at in await store.moments()
            assert (await store.prune(POLICY, NOW)).partitions == 1

    asyncio.run(scenario())


# --- TimescaleDB, by what its documentation says -------------------------------------------------

#: Functions with the documented arguments that do to partitions what TimescaleDB does to chunks.
_STAND_IN = """
CREATE SCHEMA "Time scale";
CREATE FUNCTION "Time scale".show_chunks(relation regclass, older_than timestamptz)
RETURNS SETOF regclass LANGUAGE sql AS $$
    SELECT inhrelid::regclass FROM pg_inherits JOIN pg_class ON oid = inhrelid
    WHERE inhparent = relation AND to_date(right(relname, 8), 'YYYYMMDD') + 7 <= older_than $$;
CREATE FUNCTION "Time scale".drop_chunks(relation regclass, older_than timestamptz)
RETURNS SETOF text LANGUAGE plpgsql AS $$
    DECLARE chunk regclass;
    BEGIN
        FOR chunk IN SELECT "Time scale".show_chunks(relation, older_than) LOOP
            EXECUTE format('DROP TABLE %s', chunk);
            RETURN NEXT chunk::text;
        END LOOP;
    END $$;
SET allow_system_table_mods = on;
INSERT INTO pg_extension (oid, extname, extowner, extnamespace, extrelocatable, extversion)
SELECT 1, 'timescaledb', 10, '"Time scale"'::regnamespace, true, '2.18.0';
"""


async def prune_chunks(store: Store) -> Pruned:
    return await retention.prune(store.database, POLICY, NOW, partitioned=False, timescale=True)


@on_postgresql
def test_chunks_are_dropped_before_the_oldest_kept_day_and_before_all_that_is_due(
    location: Location, database: conftest.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with opened(location) as store:
            weeks = [MONDAY - n * WEEK for n in (8, 6, 5)]
            await store.append(*(record(week) for week in weeks), record(NOW))
            database.sql(_STAND_IN)
            database.sql(f"ANALYZE {SCHEMA}.sample")
            late = record(weeks[1] + HOUR)
            after_rolling_up(monkeypatch, lambda: store.append(late))
            first = await prune_chunks(store)
            assert (first.partitions, first.samples) == (1, 10)
            assert first.bytes_freed > 0
            assert await store.moments() == {weeks[1], late.started_at, weeks[2], NOW}
            assert (await prune_chunks(store)).partitions == 2
            assert await store.moments() == {NOW}
            assert but_time(await prune_chunks(store)) == Pruned()

    asyncio.run(scenario())


@on_postgresql
def test_chunks_of_what_does_not_carry_our_mark_stay(
    location: Location, database: conftest.Database
) -> None:
    async def scenario() -> None:
        async with opened(location) as store:
            await store.append(record(MONDAY - 8 * WEEK))
            database.sql(_STAND_IN)
            database.sql(f"COMMENT ON TABLE {SCHEMA}.sample IS 'mine now'")
            with pytest.raises(StoreRefused, match="our mark"):
                await prune_chunks(store)
            assert await store.moments() == {MONDAY - 8 * WEEK}

    asyncio.run(scenario())
