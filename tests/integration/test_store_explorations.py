"""Sweeps and explained statements in the store: kept once, found again, pruned, moved."""

from __future__ import annotations

import io
from typing import Any

import pytest

from monitor.errors import StoreRejected
from monitor.store import tables
from monitor.store.database import Location
from monitor.store.explorations import Exploration, Kind, keep, newest
from monitor.store.retention import Policy
from monitor.store.transfer.archive import members, pack
from monitor.store.transfer.layout import EXPLORATIONS
from monitor.store.transfer.lines import encoded, line_of
from tests import builders
from tests.integration.transfers import (
    DAY,
    HOUR,
    NOW,
    exported,
    imported,
    in_a_loop,
    other_fixture,
    rows,
    tables_of,
)
from tests.stores import location_fixture, opened, record

assert location_fixture
assert other_fixture

POLICY = Policy(raw=2 * DAY, hourly=10 * DAY)


def found(
    number: int,
    kind: Kind = "sweep",
    *,
    days_ago: float = 0,
    fingerprint: str | None = "0123456789ab",
    **changes: Any,
) -> Exploration:
    made = Exploration(
        f"{number:032x}",
        "main",
        NOW - days_ago * DAY,
        kind,
        "batch_size on orders",
        builders.environment(fingerprint) if fingerprint else None,
        {"curves": [{"elbow": 1_000, "rate": 1.5e16, "☃": None}], "number": number},
    )
    return made._replace(**changes)


@in_a_loop
async def test_findings_come_back_as_they_were_newest_first(location: Location) -> None:
    one, two = found(1, days_ago=30), found(2, days_ago=1, fingerprint=None)
    other = found(3, subject="width on orders_wide")
    spare = found(4, target="spare")
    async with opened(location) as store:
        assert await keep(store.database, [one, two, other, spare]) == 4
        assert await newest(store.database, "sweep") == [other, spare, two, one]
        assert await newest(store.database, "sweep", target="main", subject=one.subject) == [
            two, one,
        ]  # fmt: skip
        assert await newest(store.database, "sweep", target="main", limit=1) == [other]
        assert await newest(store.database, "sweep", since=NOW - 2 * DAY) == [other, spare, two]
        assert await newest(store.database, "explain") == []


@in_a_loop
async def test_a_finding_is_kept_once_and_stays_as_it_was(location: Location) -> None:
    async with opened(location) as store:
        await keep(store.database, [found(1)])
        assert await keep(store.database, [found(1, result={})]) == 0
        assert await newest(store.database, "sweep") == [found(1)]


@in_a_loop
async def test_of_statements_the_newest_of_an_environment_is_kept(location: Location) -> None:
    old, new = found(1, "explain", days_ago=2), found(2, "explain")
    elsewhere = found(3, "explain", days_ago=3, fingerprint="another")
    async with opened(location) as store:
        for each in (old, elsewhere, new):
            await keep(store.database, [each])
        assert await newest(store.database, "explain") == [new, elsewhere]
        assert await keep(store.database, [old]) == 0  # as an import of an older file
        assert await newest(store.database, "explain") == [new, elsewhere]


@in_a_loop
async def test_sweeps_last_as_long_as_daily_rollups_and_their_environments_with_them(
    location: Location,
) -> None:
    async with opened(location) as store:
        await store.append(record(NOW - 90 * DAY, environment=builders.environment("of a run")))
        await keep(store.database, [found(1, days_ago=80, fingerprint="of a sweep"), found(2)])
        await store.prune(POLICY, NOW)
        assert len(await newest(store.database, "sweep")) == 2
        await store.prune(Policy(2 * DAY, 10 * DAY, 30 * DAY), NOW)
        assert await newest(store.database, "sweep") == [found(2)]
        kept = {row.fingerprint for row in await store.rows(tables.environment)}
        assert kept == {"0123456789ab"}


@in_a_loop
async def test_statements_last_as_long_as_a_run_of_their_environment(location: Location) -> None:
    gone = found(1, "explain", days_ago=20, fingerprint="gone")
    named = found(2, "explain", days_ago=20, fingerprint="named")
    fresh = found(3, "explain", fingerprint="fresh")
    async with opened(location) as store:
        await store.append(record(NOW - HOUR, environment=builders.environment("named")))
        await keep(store.database, [gone, named, fresh])
        await store.prune(POLICY, NOW)
        assert await newest(store.database, "explain") == [fresh, named]


@in_a_loop
async def test_they_move_with_the_rest_and_twice_adds_nothing(
    location: Location, other: Location
) -> None:
    everything = [
        found(1, days_ago=5),
        found(2, fingerprint="of no run"),
        found(3, "explain", fingerprint=None),
        found(4, "explain", subject='a "subject"\n☃', target="zweite"),
    ]
    async with opened(location) as store, opened(other) as copy:
        await store.append(record(NOW - HOUR))
        await keep(store.database, everything)
        data = await exported(store)
        assert len(rows(data, EXPLORATIONS)) == 4
        for _ in range(2):
            await imported(copy, data)
            for kind in ("sweep", "explain"):
                there = await newest(store.database, kind)
                assert await newest(copy.database, kind) == there
        assert tables_of(await exported(copy)) == tables_of(data)


@in_a_loop
async def test_a_file_without_the_environment_of_a_finding_is_damaged(location: Location) -> None:
    out = io.BytesIO()
    row = ("1", "main", NOW, "sweep", "s", "missing", {})
    with members(None) as parts:
        parts[EXPLORATIONS.name].add([line_of(encoded(EXPLORATIONS, row))])
        pack(out, {"product_version": "0.1.0"}, parts, NOW)
    async with opened(location) as store:
        with pytest.raises(StoreRejected, match="environment missing is missing"):
            await imported(store, out.getvalue())
        assert await newest(store.database, "sweep") == []
