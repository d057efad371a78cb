"""A store through a file into another one of any engine: nothing lost, doubled or changed."""

from __future__ import annotations

import asyncio
import gzip
import io
from datetime import datetime
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import delete, insert, select

from monitor.errors import StoreUnavailable
from monitor.store import tables
from monitor.store.database import Location
from monitor.store.read import latest_states
from monitor.store.rollups import roll_up
from monitor.store.transfer.exporting import Selection, export
from monitor.store.transfer.importing import Imported
from monitor.store.transfer.layout import CONTROL, FAILURES, ROLLUPS, RUNS, SAMPLES, STATES
from tests import builders
from tests.conftest import Database as PostgreSQL
from tests.integration.places import HEAD
from tests.integration.transfers import (
    HOUR,
    MINUTE,
    NOW,
    POLICY,
    SPARE,
    all_records,
    everything,
    exported,
    fill,
    imported,
    in_a_loop,
    manifest_of,
    other_fixture,  # noqa: F401
    parts,
    rows,
    tables_of,
)
from tests.stores import (
    COPY,
    location_fixture,  # noqa: F401
    opened,
    record,
    records_every,
    sample_count,
)


@in_a_loop
async def test_a_store_comes_out_of_another_engine_as_it_went_in(
    location: Location, other: Location
) -> None:
    async with opened(location) as store, opened(other) as copy:
        await fill(store)
        before = await exported(store)
        found = await imported(copy, before)
        after = await exported(copy)
        assert tables_of(after) == tables_of(before)
        assert await all_records(copy) == await all_records(store)
        assert await latest_states(copy.database) == await latest_states(store.database)
        kept = await all_records(store)
        assert found == Imported(
            len(kept), 0, sample_count(kept), 0, await store.count(tables.rollup)
        )
        # What the rollups are made anew from gives the same ones.
        assert await copy.count(tables.rollup_due)
        await roll_up(copy.database, NOW, POLICY)
        assert not await copy.count(tables.rollup_due)
        assert tables_of(await exported(copy)) == tables_of(before)


@in_a_loop
async def test_what_is_moved_is_all_there_is(location: Location) -> None:
    """The other tests compare files: here is that nothing was missing in both."""
    async with opened(location) as store:
        await fill(store)
        data = await exported(store)
        runs, samples = rows(data, RUNS), rows(data, SAMPLES)
        assert len(runs) == await store.count(tables.run) > 20
        assert len(samples) == await store.count(tables.sample) > 50
        assert len(rows(data, FAILURES)) == await store.count(tables.failure) == 3
        assert len(rows(data, STATES)) == await store.count(tables.detector_state) > 2
        assert len(rows(data, ROLLUPS)) == await store.count(tables.rollup) > 50
        assert len(rows(data, CONTROL)) == await store.count(tables.control) == 4
        # Runs whose samples are gone, and rollups whose runs are.
        rolled_up, run, sample = (
            min(row["started_at"] for row in each) for each in (rows(data, ROLLUPS), runs, samples)
        )
        assert rolled_up < run < sample


@in_a_loop
async def test_the_manifest_tells_what_the_file_is(location: Location) -> None:
    async with opened(location) as store:
        await fill(store)
        kept = await all_records(store)
        manifest = manifest_of(await exported(store))
        assert manifest["source"] == {"kind": store.kind, "schema_revision": HEAD}
        assert manifest["created_at"] == "2026-11-22T14:10:00.000000Z"
        assert manifest["selection"] == {"targets": None, "since": None}
        moments = [each.started_at for each in kept]
        assert {name: datetime.fromisoformat(at) for name, at in manifest["span"].items()} == {
            "first_run": min(moments),
            "last_run": max(moments),
        }
        counts = {entry["name"]: entry["rows"] for entry in manifest["tables"]}
        assert (counts["runs"], counts["samples"]) == (len(kept), sample_count(kept))
        assert counts["environments"] == 2


@in_a_loop
async def test_no_number_of_this_store_is_in_the_file(
    location: Location,
    tmp_path: Path,
) -> None:
    """Stores that numbered targets and series otherwise give the same file."""
    records = everything()
    async with opened(location) as store, opened(Location(tmp_path / "b.sqlite")) as again:
        await store.append(*records)
        for each in reversed(records):
            await again.append(each)
        assert await store.rows(tables.series) != await again.rows(tables.series)
        assert tables_of(await exported(store)) == tables_of(await exported(again))


@in_a_loop
async def test_importing_again_adds_nothing(location: Location) -> None:
    async with opened(location) as store:
        await fill(store)
        data = await exported(store)
        kept, due = await all_records(store), await store.count(tables.rollup_due)
        found = await imported(store, data)
        assert (found.runs, found.samples) == (0, 0)
        assert (found.runs_skipped, found.samples_skipped) == (len(kept), sample_count(kept))
        assert tables_of(await exported(store)) == tables_of(data)
        assert await store.count(tables.rollup_due) == due


@in_a_loop
async def test_a_newer_file_brings_what_came_since(location: Location, other: Location) -> None:
    first, second = (record(NOW + n * HOUR, state=bytes([n])) for n in (0, 1))
    async with opened(location) as store, opened(other) as copy:
        await store.append(first)
        await imported(copy, await exported(store))
        await store.append(second)
        data = await exported(store)
        assert await imported(copy, data) == Imported(1, 1, 10, 10, 0)
        assert await latest_states(copy.database) == {"main": b"\x01"}
        assert tables_of(await exported(copy)) == tables_of(data)


@in_a_loop
async def test_what_is_there_is_left_alone(location: Location, other: Location) -> None:
    async with opened(location) as store, opened(other) as copy:
        await fill(store)
        data = await exported(store)
        await imported(copy, data)
        changes = ((tables.rollup, {"runs": 77}), (tables.control, {"note": "mine"}),
                   (tables.detector_state, {"state": b"mine"}))  # fmt: skip
        async with copy.database.writing() as connection:
            for table, values in changes:
                await connection.execute(table.update().values(values))
        before = tables_of(await exported(copy))
        await imported(copy, data)
        assert tables_of(await exported(copy)) == before


@in_a_loop
async def test_rollups_of_more_samples_survive_the_import_of_fewer(
    location: Location, other: Location
) -> None:
    """An hour of which the file has a part of the samples only keeps its rollup of all of them."""
    since = NOW - 12 * HOUR
    async with opened(location) as store, opened(other) as copy:
        await store.append(*records_every(20 * MINUTE, since, NOW))
        await roll_up(store.database, NOW, POLICY)
        async with store.database.writing() as connection:
            first = tables.sample.c.started_at < since + 30 * MINUTE
            await connection.execute(delete(tables.sample).where(first))
        data = await exported(store)
        await imported(copy, data)
        await roll_up(copy.database, NOW, POLICY)
        assert rows(await exported(copy), ROLLUPS) == rows(data, ROLLUPS)


# --- what could go wrong -------------------------------------------------------------------------


@in_a_loop
async def test_a_store_that_goes_away_ends_the_export(tmp_path: Path) -> None:
    async with opened(Location(tmp_path / "store.sqlite")) as store:
        async with store.database.writing() as connection:
            await connection.execute(insert(tables.target).values(name="main"))
            await connection.exec_driver_sql("DROP TABLE run")
        out = io.BytesIO()
        with pytest.raises(StoreUnavailable, match="no such table"):
            await export(store.database, out, Selection(), NOW)
        assert out.getvalue() == b""


@in_a_loop
async def test_two_imports_at_once_double_nothing(location: Location, other: Location) -> None:
    async with opened(location) as store, opened(other) as one, opened(other) as two:
        await fill(store)
        data = await exported(store)
        found = await asyncio.gather(imported(one, data), imported(two, data))
        assert sum(each.runs for each in found) == await store.count(tables.run)
        assert sum(each.samples for each in found) == sample_count(await all_records(store))
        assert tables_of(await exported(one)) == tables_of(data)


@in_a_loop
async def test_two_stores_become_one(
    location: Location,
    other: Location,
    tmp_path: Path,
) -> None:
    """Runs of one target that began at the same moment in two stores are both kept."""
    key = {"keys": (COPY,), "rounds": 2}
    async with opened(location) as store, opened(other) as second:
        await store.append(record(NOW, id="1" * 32, **key), record(NOW + HOUR, id="2" * 32, **key))
        await second.append(record(NOW, id="3" * 32, **key), record(NOW, id="4" * 32, target=SPARE))
        found = await imported(second, await exported(store))
        assert (found.runs, found.runs_skipped) == (2, 0)
        data = await exported(second)
        assert {row["id"] for row in rows(data, RUNS)} == {n * 32 for n in "1234"}
        counts = [row["run_id"] for row in rows(data, SAMPLES)]
        assert sorted(counts.count(n * 32) for n in "123") == [2, 2, 2]


@in_a_loop
async def test_postgresql_reads_the_members_itself(database: PostgreSQL, tmp_path: Path) -> None:
    """NULL, empty text, quotes and line feeds mean there what they meant here."""
    async with opened(Location(tmp_path / "store.sqlite")) as store:
        await fill(store)
        data = await exported(store)
    connection = await asyncpg.connect(database.dsn)
    types = {"time": "timestamptz", "json": "jsonb", "integer": "bigint"}
    for table in (CONTROL, SAMPLES, RUNS):
        columns = [f'"{each.name}" {types.get(each.type, "text")}' for each in table.columns]
        await connection.execute(f"CREATE TABLE {table.name} ({', '.join(columns)})")
        plain = io.BytesIO(gzip.decompress(parts(data)[table.member]))
        await connection.copy_to_table(table.name, source=plain, format="csv", header=True)
        expected = rows(data, table)
        for found, row in zip(await connection.fetch(f"TABLE {table.name}"), expected, strict=True):
            for name, value in row.items():
                assert found[name] is None if value is None else found[name] is not None, name
                if isinstance(value, str | int | datetime):
                    assert found[name] == value, name
    await connection.close()


def test_the_made_up_store_is_odd_enough() -> None:
    """What the tests above rest on: each kind of thing occurs."""
    records = everything()
    rows_ = [row for each in records for found in each.samples.values() for row in found]
    optional = [name for name in rows_[0]._fields if any(getattr(r, name) is None for r in rows_)]
    nullable = {column.name for column in tables.sample.c if column.nullable}
    assert set(optional) >= nullable - {"counted_rows"}
    assert any(not each.samples for each in records)
    assert any(each.environment is None for each in records)
    assert {each.environment.fingerprint for each in records if each.environment} == {
        "☃",
        builders.environment().fingerprint,
    }
    weeks = {each.started_at.isocalendar().week for each in records}
    assert len(weeks) > 1


@in_a_loop
async def test_environments_are_those_of_the_runs(location: Location) -> None:
    async with opened(location) as store:
        await fill(store)
        data = await exported(store, Selection(("main",)))
        (entry,) = (e for e in manifest_of(data)["tables"] if e["name"] == "environments")
        assert entry["rows"] == 1
        async with store.database.reading() as connection:
            found = await connection.scalars(select(tables.environment.c.fingerprint))
            assert len(found.all()) == 2
