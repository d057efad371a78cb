"""After a restart: what pages show of the time before the last runs comes from the store."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest

from monitor.daemon import remembering
from monitor.daemon.remembering import remember
from monitor.daemon.turns import Turns
from monitor.export.curve import Point
from monitor.export.snapshot import TargetTally
from monitor.judgement import Closing
from monitor.store.database import Database, Location
from monitor.store.explorations import keep, remove
from monitor.store.records import RunRecord
from tests import builders
from tests.integration.histories import A, B
from tests.stores import BULK, COPY, Store, location_fixture, opened, record
from tests.sweeps import several

__all__ = ["location_fixture"]

HOUR = timedelta(hours=1)
NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
PLANNED = frozenset({COPY.case, BULK.case})


def past_runs() -> list[RunRecord]:
    """Every six hours of ten days; another environment since two days ago, when a change was told
    that ended a day ago."""
    runs = []
    for number in range(40, 0, -1):
        at = NOW - number * 6 * HOUR
        told = (builders.change(COPY.case),) if number == 8 else ()
        ended = (Closing("c0ffee000001", "recovered", at),) if number == 4 else ()
        judged = builders.judgement(*told, number=41 - number, closings=ended)
        made_with = B if number <= 8 else A
        runs.append(record(at, environment=made_with, judgement=judged))
    return runs


async def completed(database: Database, tally: TargetTally) -> None:
    """Let the daemon's loop work until the past is complete."""
    loop = asyncio.create_task(remember(database, {tally.name: tally}, Turns(1).quiet))
    async with asyncio.timeout(60):
        while len(read(tally)) < 40:
            assert not loop.done() or loop.result()
            await asyncio.sleep(0.01)
    loop.cancel()
    await asyncio.wait({loop})  # it gives its connection back


def read(tally: TargetTally) -> list[Point]:
    parts = tally.past.view().points.get(COPY.case, ())
    return [Point(*values) for values in json.loads(b"[" + b",".join(parts) + b"]")]


def test_points_changes_and_environments_are_restored(location: Location) -> None:
    async def within() -> None:
        async with opened(location) as store:
            await store.append(*past_runs())
            tally = TargetTally("main", 600.0, PLANNED)
            await completed(store.database, tally)
            _complete(tally)

    asyncio.run(within())


def _complete(tally: TargetTally) -> None:
    points, view = read(tally), tally.past.view()
    assert [point.at_seconds for point in points] == [
        (NOW - number * 6 * HOUR).timestamp() for number in range(40, 0, -1)
    ]
    recent = [point for point in points if point.at_seconds > (NOW - 6 * 24 * HOUR).timestamp()]
    assert all(point.rows_per_second_low is not None for point in recent)
    assert {point.baseline_rows_per_second for point in recent} == {200_000}
    assert all(point.rows_per_second for point in points)
    assert [change.id for change in view.changes] == ["c0ffee000001"]
    assert [end.ending for end in view.ends] == ["recovered"]
    (changed,) = view.environments
    assert (changed.at, changed.before, changed.after) == (
        NOW - 48 * HOUR, A.fingerprint, B.fingerprint,
    )  # fmt: skip


def test_what_is_known_already_is_not_doubled_and_others_cases_are_left_out(
    location: Location,
) -> None:
    async def within() -> None:
        async with opened(location) as store:
            await store.append(*past_runs())
            tally = TargetTally("main", 600.0, frozenset({COPY.case}))
            await _note_last(store, tally)
            await completed(store.database, tally)
            assert len({point.at_seconds for point in read(tally)}) == len(read(tally)) == 40
            assert BULK.case not in tally.past.view().points

    asyncio.run(within())


async def _note_last(store: Store, tally: TargetTally) -> None:
    """The last two runs as the daemon restores them at its start."""
    found = await remembering.runs_between(store.database, "main", NOW - 13 * HOUR, NOW)
    assert len(found) == 2
    for each in found:
        run = remembering.run_of(each)
        own = tuple(result for result in run.cases if result.case.key == COPY.case)
        tally.make_last(builders.run(*own, started_at=run.started_at, environment=B), None)


def test_a_store_that_is_down_is_asked_again(
    location: Location, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(remembering, "_RETRY_SECONDS", 0.05)
    tries = []

    async def within() -> None:
        async with opened(location) as store:
            await store.append(*past_runs())
            tally = TargetTally("main", 600.0, PLANNED)
            ask = remembering.stored_changes

            async def fails_once(*arguments: object) -> object:
                tries.append(1)
                if len(tries) == 1:
                    raise remembering.StoreError("gone")
                return await ask(*arguments)  # type: ignore[arg-type]

            monkeypatch.setattr(remembering, "stored_changes", fails_once)
            await completed(store.database, tally)
            _complete(tally)

    asyncio.run(within())
    assert len(tries) == 2
    assert "cannot be shown" not in caplog.text


def test_sweeps_are_found_when_they_are_made_and_forgotten_with_the_store(
    location: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remembering, "_RETRY_SECONDS", 0.02)

    async def within() -> None:
        async with opened(location) as store:
            tallies = {name: TargetTally(name, 600.0, PLANNED) for name in ("main", "other")}
            loop = asyncio.create_task(remember(store.database, tallies, Turns(1).quiet))

            async def shown(*ids: str) -> None:
                async with asyncio.timeout(30):
                    while tallies["main"].past.sweep_ids != ids:
                        assert not loop.done() or loop.result()
                        await asyncio.sleep(0.01)

            newest, width, oldest = several()
            await keep(store.database, [oldest])
            await shown(oldest.id)
            await keep(store.database, [newest, width])
            await shown(newest.id, width.id, oldest.id)
            assert [each.id for each in tallies["main"].past.view().sweeps] == [
                newest.id, width.id, oldest.id,
            ]  # fmt: skip
            async with store.database.writing() as connection:
                await remove(connection, [oldest.id])
            await shown(newest.id, width.id)
            assert tallies["other"].past.sweep_ids == ()
            loop.cancel()
            await asyncio.wait({loop})

    asyncio.run(within())
