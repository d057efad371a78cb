"""Parts of stores, portions of parts, and what is broken off: all ends up where it should."""

from __future__ import annotations

import asyncio
import io
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete

from monitor.errors import ConfigurationError
from monitor.store import tables
from monitor.store.append import Appended, Appender
from monitor.store.database import Location
from monitor.store.records import RunRecord
from monitor.store.transfer import exporting, importing
from monitor.store.transfer.exporting import Exported, Selection, export
from monitor.store.transfer.importing import Imported
from monitor.store.transfer.layout import CONTROL, FAILURES, ROLLUPS, RUNS, SAMPLES, STATES
from tests.integration.transfers import (
    DAY,
    HOUR,
    MINUTE,
    NOW,
    POLICY,
    SPARE,
    all_records,
    exported,
    fill,
    imported,
    in_a_loop,
    manifest_of,
    other_fixture,  # noqa: F401
    rows,
    tables_of,
)
from tests.stores import (
    COPY,
    Store,
    location_fixture,  # noqa: F401
    opened,
    record,
    records_every,
    sample_count,
)

# --- interrupted ---------------------------------------------------------------------------------


class _Interrupted(Exception):
    pass


@in_a_loop
async def test_an_import_that_was_killed_goes_on_where_it_was(
    location: Location,
    other: Location,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importing, "_RUNS_AT_ONCE", 4)
    append, batches = Appender.append, 0

    async def twice(self: Appender, records: Sequence[RunRecord], **options: Any) -> Appended:
        nonlocal batches
        if batches == 2:
            raise _Interrupted
        batches += 1
        return await append(self, records, **options)

    async with opened(location) as store, opened(other) as copy:
        await fill(store)
        data = await exported(store)
        with monkeypatch.context() as patch:
            patch.setattr(Appender, "append", twice)
            with pytest.raises(_Interrupted):
                await imported(copy, data)
        assert await copy.count(tables.run) == 8
        found = await imported(copy, data)
        assert found.runs_skipped == 8
        assert found.runs == await store.count(tables.run) - 8
        assert tables_of(await exported(copy)) == tables_of(data)


@in_a_loop
async def test_a_transaction_holds_no_more_than_it_should(
    location: Location,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither many runs nor runs of many samples make a long transaction."""
    records = records_every(MINUTE, NOW, NOW + 10 * MINUTE, keys=(COPY,), rounds=5)
    append: Any = Appender.append
    sizes: list[int] = []

    async def counted(self: Appender, records: Sequence[RunRecord], **options: Any) -> Appended:
        sizes.append(len(records))
        found: Appended = await append(self, records, **options)
        return found

    async with opened(location) as store:
        await store.append(*records)
        data = await exported(store)
        monkeypatch.setattr(Appender, "append", counted)
        monkeypatch.setattr(importing, "_RUNS_AT_ONCE", 4)
        await imported(store, data)
        monkeypatch.setattr(importing, "_SAMPLES_AT_ONCE", 11)
        await imported(store, data)
    assert sizes == [4, 4, 2, 3, 3, 3, 1]


@in_a_loop
async def test_small_portions_make_the_same_file(
    location: Location,
    other: Location,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where one portion of runs, states or rows ends and another begins is not to be seen."""
    async with opened(location) as store, opened(other) as copy:
        await fill(store)
        data = await exported(store)
        for module, name in ((exporting, "_PAGE"), (exporting, "_STATES"),
                             (importing, "_ROWS_AT_ONCE"), (importing, "_STATES_AT_ONCE"),
                             (importing, "_RUNS_AT_ONCE")):  # fmt: skip
            monkeypatch.setattr(module, name, 1)
        assert tables_of(await exported(store)) == tables_of(data)
        await imported(copy, data)
        assert tables_of(await exported(copy)) == tables_of(data)


@in_a_loop
async def test_an_export_beside_a_writer_holds_whole_runs(
    location: Location,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(exporting, "_PAGE", 2)
    async with opened(location) as store, opened(location) as writer:
        await store.append(*records_every(HOUR, NOW - 40 * HOUR, NOW))
        async with asyncio.timeout(60), _writing(writer):
            data = await exported(store)
    counts = {row["id"]: 0 for row in rows(data, RUNS)}
    for row in rows(data, SAMPLES):
        counts[row["run_id"]] += 1
    assert len(counts) >= 40
    assert set(counts.values()) == {10}


@asynccontextmanager
async def _writing(store: Store) -> AsyncIterator[None]:
    """Another writer that adds runs while the block lasts, before, within and after the others."""

    async def write() -> None:
        rng = random.Random(1)
        for number in range(1_000_000):
            at = NOW + timedelta(minutes=rng.randrange(-4000, 4000), microseconds=number)
            await store.append(record(at))

    task = asyncio.create_task(write())
    try:
        yield
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


# --- a part of it --------------------------------------------------------------------------------


@in_a_loop
async def test_a_target_can_be_moved_alone(location: Location) -> None:
    async with opened(location) as store:
        await fill(store)
        data = await exported(store, Selection((SPARE,)))
        assert {row["target"] for row in rows(data, RUNS)} == {SPARE}
        for table in (SAMPLES, FAILURES, STATES, ROLLUPS):
            own = rows(data, table)
            assert own == [row for row in rows(await exported(store), table)
                           if row["target"] == SPARE]  # fmt: skip
            assert own
        assert [row["target"] for row in rows(data, CONTROL)] == [None, SPARE]
        assert manifest_of(data)["selection"]["targets"] == [SPARE]


@in_a_loop
async def test_a_target_that_the_store_does_not_know_is_named(
    location: Location,
) -> None:
    async with opened(location) as store:
        await store.append(record(NOW))
        with pytest.raises(ConfigurationError, match="unknown target 'x'; the store holds: main"):
            await exported(store, Selection(("main", "x")))


@in_a_loop
async def test_since_takes_whole_days(location: Location) -> None:
    since = NOW - DAY
    midnight = since.replace(hour=0, minute=0)
    async with opened(location) as store:
        await fill(store)
        whole, data = await exported(store), await exported(store, Selection(since=since))
        for table in (RUNS, SAMPLES, STATES, ROLLUPS):
            found = [row for row in rows(whole, table) if row["started_at"] >= midnight]
            assert rows(data, table) == found
            assert 0 < len(found) < len(rows(whole, table))
        assert any(row["started_at"] < since for row in rows(data, SAMPLES))
        assert rows(data, CONTROL) == rows(whole, CONTROL)
        assert manifest_of(data)["selection"]["since"] == "2026-11-21T00:00:00.000000Z"


@in_a_loop
async def test_a_part_can_be_imported_before_the_whole(location: Location, other: Location) -> None:
    async with opened(location) as store, opened(other) as copy:
        await fill(store)
        whole = await exported(store)
        await imported(copy, await exported(store, Selection((SPARE,), NOW - DAY)))
        await imported(copy, whole)
        assert tables_of(await exported(copy)) == tables_of(whole)


@in_a_loop
async def test_an_empty_store_is_moved_too(location: Location, other: Location) -> None:
    async with opened(location) as store, opened(other) as copy:
        data = await exported(store)
        assert await imported(copy, data) == Imported(0, 0, 0, 0, 0)
        assert manifest_of(data)["span"] == {"first_run": None, "last_run": None}


@in_a_loop
async def test_a_state_whose_run_is_gone_comes_along(location: Location, other: Location) -> None:
    async with opened(location) as store, opened(other) as copy:
        await store.append(record(NOW - 3 * DAY, state=b"old"), record(NOW, state=b"new"))
        async with store.database.writing() as connection:
            gone = tables.run.c.started_at == NOW - 3 * DAY
            await connection.execute(delete(tables.run).where(gone))
        data = await exported(store)
        await imported(copy, data)
        assert [row["state"] for row in rows(await exported(copy), STATES)] == [b"old", b"new"]


@in_a_loop
async def test_targets_of_rollups_alone_come_along(location: Location, other: Location) -> None:
    """After a year of silence a target has its daily rollups and nothing else."""
    async with opened(location) as store, opened(other) as copy:
        await store.append(record(NOW - 20 * DAY, target="quiet"), record(NOW))
        await store.prune(POLICY, NOW)
        data = await exported(store)
        assert {row["target"] for row in rows(data, RUNS)} == {"main"}
        assert {row["target"] for row in rows(data, ROLLUPS)} == {"quiet"}
        await imported(copy, data)
        assert tables_of(await exported(copy)) == tables_of(data)


@in_a_loop
async def test_counts_are_of_the_file(location: Location) -> None:
    async with opened(location) as store:
        await fill(store)
        found = await export(store.database, io.BytesIO(), Selection(), NOW)
        kept = await all_records(store)
        count = await store.count(tables.rollup)
        assert found == Exported(len(kept), sample_count(kept), count)
