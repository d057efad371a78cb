"""Rollups: always those of the raw samples, whoever appends or rolls up meanwhile."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from statistics import median
from typing import Any

import pytest
from sqlalchemy import select

from monitor.store import append, rollups, tables
from monitor.store.database import Database, Location
from monitor.store.records import RunRecord, SampleRow, SeriesKey
from monitor.store.retention import Policy
from monitor.store.rollups import roll_up
from tests.stores import (
    BULK,
    COPY,
    Store,
    location_fixture,  # noqa: F401
    opened,
    record,
    records_every,
)

HOUR, DAY, MINUTE = timedelta(hours=1), timedelta(days=1), timedelta(minutes=1)
START = datetime(2026, 11, 20, tzinfo=UTC)
POLICY = Policy(raw=30 * DAY, hourly=365 * DAY)
#: Checkpoint, autovacuum, evicted.
EXCLUDING = 0b111

Key = tuple[str, SeriesKey, int, datetime]


# --- the same figures, in another way ------------------------------------------------------------


def quantile(values: Iterable[int | None], share: Fraction) -> int | None:
    """Of what is known, on the straight line between neighbours, rounded."""
    known = sorted(value for value in values if value is not None)
    if not known:
        return None
    place = share * (len(known) - 1)
    below = int(place)
    above = min(below + 1, len(known) - 1)
    return round(known[below] + (place - below) * (known[above] - known[below]))


def counted(rows: Iterable[SampleRow]) -> list[SampleRow]:
    rows = list(rows)
    clean = [row for row in rows if not row.disturbed & EXCLUDING]
    return clean if len(clean) >= 3 or len(clean) == len(rows) else rows


def figures(runs: list[tuple[SampleRow, ...]]) -> dict[str, Any]:
    rows = [row for run in runs for row in counted(run)]
    found: dict[str, Any] = {
        "runs": len(runs),
        "samples": sum(map(len, runs)),
        "fast_ns": round(median(min(row.insert_ns for row in counted(run)) for run in runs)),
    }
    for signal in ("insert_ns", "commit_ns", "client_ns", "server_ns"):
        for end, share in (
            ("_low", Fraction(1, 4)),
            ("", Fraction(1, 2)),
            ("_high", Fraction(3, 4)),
        ):
            found[signal + end] = quantile([getattr(row, signal) for row in rows], share)
    for counter in ("wal_bytes", "calls"):
        found[counter] = quantile([getattr(row, counter) for row in rows], Fraction(1, 2))
    return found


def expected(records: Iterable[RunRecord]) -> dict[Key, dict[str, Any]]:
    """All rollups of these runs, hours and days."""
    runs: dict[Key, list[tuple[SampleRow, ...]]] = {}
    for each in records:
        hour = START + (each.started_at - START) // HOUR * HOUR
        day = START + (each.started_at - START) // DAY * DAY
        for key, rows in each.samples.items():
            runs.setdefault((each.target, key, 1, hour), []).append(rows)
            runs.setdefault((each.target, key, 24, day), []).append(rows)
    return {key: figures(found) for key, found in runs.items()}


async def stored(store: Store) -> dict[Key, dict[str, Any]]:
    """All rollups that the store has."""
    targets = {row.id: row.name for row in await store.rows(tables.target)}
    series = {row.id: (targets[row.target_id], SeriesKey(*row[2:]))
              for row in await store.rows(tables.series)}  # fmt: skip
    found = {}
    for row in await store.rows(tables.rollup):
        values = dict(row._mapping)
        key = (*series[values.pop("series_id")], values.pop("hours"), values.pop("started_at"))
        found[key] = values
    return found


async def due(store: Store) -> set[datetime]:
    async with store.database.reading() as connection:
        return set(await connection.scalars(select(tables.rollup_due.c.started_at)))


def shuffled(records: Iterable[RunRecord]) -> list[RunRecord]:
    found = list(records)
    random.Random(7).shuffle(found)
    return found


def after_compute(monkeypatch: pytest.MonkeyPatch, event: Any) -> None:
    """Let something happen once between the reads and the writes of rolling up."""
    compute = rollups._Day._compute

    async def computed(self: Any, hours: Any) -> Any:
        found = await compute(self, hours)
        monkeypatch.setattr(rollups._Day, "_compute", compute)
        await event()
        return found

    monkeypatch.setattr(rollups._Day, "_compute", computed)


# --- what is computed ----------------------------------------------------------------------------


def test_hours_and_days_of_two_targets_are_those_of_their_raw_samples(
    location: Location,
) -> None:
    """Brought in like an import: many runs a transaction, in no order, some of one case only."""

    async def scenario() -> None:
        main = records_every(17 * MINUTE, START, START + 3 * DAY)
        other = records_every(
            53 * MINUTE, START + 5 * HOUR, START + 2 * DAY, target="other", rounds=3
        )
        single = records_every(
            7 * HOUR, START + MINUTE / 2, START + 3 * DAY, keys=(BULK,), rounds=1
        )
        records = shuffled([*main, *other, *single])
        async with opened(location) as store:
            for first in range(0, len(records), 50):
                await store.append(*records[first : first + 50])
            hours = len({(r.target, (r.started_at - START) // HOUR) for r in records})
            assert await roll_up(store.database, START + 3 * DAY, POLICY) == hours
            assert await stored(store) == expected(records)
            assert await store.count(tables.rollup_due) == 0

    asyncio.run(scenario())


def test_an_hour_is_rolled_up_when_it_is_over_and_its_day_so_far(
    location: Location,
) -> None:
    async def scenario() -> None:
        records = [record(START + 13 * HOUR), record(START + 13 * HOUR + 59 * MINUTE)]
        running = record(START + 14 * HOUR)
        async with opened(location) as store:
            await store.append(*records, running)
            before = START + 14 * HOUR - timedelta(microseconds=1)
            assert await roll_up(store.database, before, POLICY) == 0
            assert await stored(store) == {}
            assert await roll_up(store.database, START + 14 * HOUR, POLICY) == 1
            assert await due(store) == {START + 14 * HOUR}
            found, all_hours = await stored(store), expected([*records, running])
            assert found == {key: value for key, value in all_hours.items()
                             if key[3] != START + 14 * HOUR}  # fmt: skip
            await roll_up(store.database, START + 15 * HOUR, POLICY)
            assert await stored(store) == all_hours

    asyncio.run(scenario())


def test_a_late_run_is_rolled_up_with_the_others_of_its_hour_and_day(
    location: Location,
) -> None:
    async def scenario() -> None:
        records = records_every(20 * MINUTE, START, START + 2 * DAY)
        late = [
            record(START + 5 * HOUR + MINUTE),
            record(START + 5 * HOUR + 2 * MINUTE, keys=[COPY]),
        ]
        async with opened(location) as store:
            await store.append(*records)
            await roll_up(store.database, START + 2 * DAY, POLICY)
            await store.append(*late)
            assert await due(store) == {START + 5 * HOUR}
            assert await roll_up(store.database, START + 2 * DAY, POLICY) == 1
            assert await stored(store) == expected([*records, *late])
            assert await due(store) == set()

    asyncio.run(scenario())


def test_a_run_without_samples_leaves_nothing_due(location: Location) -> None:
    async def scenario() -> None:
        async with opened(location) as store:
            await store.append(record(START, samples={}))
            assert await roll_up(store.database, START + DAY, POLICY) == 0

    asyncio.run(scenario())


# --- days that may have lost samples -------------------------------------------------------------


def test_where_samples_may_be_gone_a_rollup_stays_and_a_missing_one_is_made(
    location: Location,
) -> None:
    async def scenario() -> None:
        first = record(START + DAY - HOUR)
        more = [record(START + DAY - 59 * MINUTE), record(START + DAY - 58 * MINUTE)]
        unseen = record(START + DAY - 57 * MINUTE, keys=(replaced(COPY),))
        elsewhere = record(START + 3 * HOUR)
        async with opened(location) as store:
            await store.append(first)
            await roll_up(store.database, START + DAY, POLICY)
            await store.append(*more, unseen, elsewhere)
            await roll_up(store.database, START + DAY + POLICY.raw, POLICY)
            found = await stored(store)
            assert await due(store) == set()
        all_runs = expected([first, *more, unseen, elsewhere])
        stays = expected([first])
        assert found == all_runs | stays
        assert len(stays) == 4
        assert len(all_runs) == 8

    asyncio.run(scenario())


def replaced(key: SeriesKey) -> SeriesKey:
    return key._replace(rows=key.rows + 1)


@pytest.mark.parametrize(("late_by", "again"), [(timedelta(), False), (-MINUTE, True)])
def test_a_day_is_recomputed_until_the_policy_lets_its_samples_go(
    location: Location,
    late_by: timedelta,
    again: bool,
) -> None:
    async def scenario() -> None:
        first, second = record(START + DAY - HOUR), record(START + DAY - MINUTE)
        async with opened(location) as store:
            await store.append(first)
            await roll_up(store.database, START + DAY, POLICY)
            await store.append(second)
            await roll_up(store.database, START + DAY + POLICY.raw + late_by, POLICY)
            assert await stored(store) == expected([first, second] if again else [first])
            assert await due(store) == set()

    asyncio.run(scenario())


# --- meanwhile -----------------------------------------------------------------------------------


def test_a_run_that_comes_while_its_hour_is_rolled_up_stays_due(
    location: Location,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario() -> None:
        first, second = record(START), record(START + MINUTE)
        async with opened(location) as store:
            await store.append(first)
            after_compute(monkeypatch, lambda: store.append(second))
            await roll_up(store.database, START + DAY, POLICY)
            assert await stored(store) == expected([first])
            assert await due(store) == {START}
            await roll_up(store.database, START + DAY, POLICY)
            assert await stored(store) == expected([first, second])
            assert await due(store) == set()

    asyncio.run(scenario())


@pytest.mark.parametrize("location", ["postgresql"], indirect=True)
def test_a_run_that_is_being_committed_meanwhile_stays_due(
    location: Location,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its mark is written, and not yet to be seen, when the hour's other mark is removed."""
    marked, go_on = asyncio.Event(), asyncio.Event()
    keep_state = append._keep_state

    async def stopped(*arguments: Any) -> None:
        marked.set()
        await go_on.wait()
        await keep_state(*arguments)

    async def scenario() -> None:
        first, second = record(START), record(START + MINUTE, state=b"state")
        async with opened(location) as store:
            await store.append(first)
            monkeypatch.setattr(append, "_keep_state", stopped)
            appending = asyncio.create_task(store.append(second))
            await marked.wait()
            await roll_up(store.database, START + DAY, POLICY)
            go_on.set()
            await appending
            assert await due(store) == {START}
            await roll_up(store.database, START + DAY, POLICY)
            assert await stored(store) == expected([first, second])

    asyncio.run(scenario())


def test_one_who_read_before_does_not_overwrite_one_who_read_after(
    location: Location,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario() -> None:
        first, second = record(START), record(START + MINUTE)
        async with opened(location) as store:
            other = Database(location)

            async def overtaken() -> None:
                await store.append(second)
                await roll_up(other, START + DAY, POLICY)

            await store.append(first)
            after_compute(monkeypatch, overtaken)
            await roll_up(store.database, START + DAY, POLICY)
            await other.dispose()
            assert await stored(store) == expected([first, second])
            assert await due(store) == set()

    asyncio.run(scenario())


def test_many_at_once_roll_up_the_same(location: Location) -> None:
    async def scenario() -> None:
        records = shuffled(records_every(9 * MINUTE, START, START + DAY))
        half = len(records) // 2
        async with opened(location) as store:
            others = [Database(location) for _ in range(3)]
            await store.append(*records[:half])

            async def append_the_rest() -> None:
                for each in records[half:]:
                    await store.append(each)

            work = [roll_up(other, START + 2 * DAY, POLICY) for other in others]
            await asyncio.gather(append_the_rest(), *work)
            await roll_up(store.database, START + 2 * DAY, POLICY)
            for other in others:
                await other.dispose()
            assert await stored(store) == expected(records)
            assert await due(store) == set()

    asyncio.run(scenario())


# --- in portions, and killed between them --------------------------------------------------------


def test_small_portions_and_pages_give_the_same(
    location: Location,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rollups, "_ROWS", 3)
    monkeypatch.setattr(rollups, "_MARKS", 7)

    async def scenario() -> None:
        records = records_every(31 * MINUTE, START, START + 2 * DAY)
        async with opened(location) as store:
            for each in records:
                await store.append(each)
            await roll_up(store.database, START + 2 * DAY, POLICY)
            assert await stored(store) == expected(records)
            assert await due(store) == set()

    asyncio.run(scenario())


@pytest.mark.parametrize("survived", [0, 1, 5])
def test_killed_between_two_portions_it_goes_on_where_it_was(
    location: Location,
    monkeypatch: pytest.MonkeyPatch,
    survived: int,
) -> None:
    class Killed(Exception):
        pass

    remove, calls = rollups._remove, iter(range(survived))

    async def removed(*arguments: Any) -> None:
        await remove(*arguments)
        if next(calls, None) is None:
            raise Killed

    async def scenario() -> None:
        records = records_every(40 * MINUTE, START, START + DAY)
        late = records_every(HOUR, START + 3 * HOUR + MINUTE, START + 23 * HOUR)
        async with opened(location) as store:
            await store.append(*records)
            await roll_up(store.database, START + DAY, POLICY)
            await store.append(*late)
            monkeypatch.setattr(rollups, "_ROWS", 3)
            with monkeypatch.context() as patch:
                patch.setattr(rollups, "_remove", removed)
                with pytest.raises(Killed):
                    await roll_up(store.database, START + DAY, POLICY)
            assert len(await due(store)) == len(late) - survived
            await roll_up(store.database, START + DAY, POLICY)
            assert await stored(store) == expected([*records, *late])
            assert await due(store) == set()

    asyncio.run(scenario())
