"""Appending to real stores: a run is there once and whole, or not at all, whoever else writes."""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from monitor.errors import StoreConflict, StoreRejected, StoreUnavailable
from monitor.judgement import Judgement
from monitor.model import Notice
from monitor.store import tables
from monitor.store.database import Location
from monitor.store.read import latest_states, newest_runs
from monitor.store.records import RunRecord, SampleRow
from tests import records
from tests.acceptance.process import ROOT
from tests.acceptance.writer import Orders
from tests.contents import assert_exactly, contents, contents_of
from tests.records import record
from tests.stores import Store, location_fixture, opened

assert location_fixture
MICROSECOND = timedelta(microseconds=1)


async def runs_of(store: Store, target: str = "main") -> list[RunRecord]:
    return await newest_runs(store.database, target, 100_000)


# --- one writer ----------------------------------------------------------------------------------


def told_of(target: str, judgement: Judgement) -> Judgement:
    """With the target's name in all changes, and ids that nobody else has."""
    changes = [replace(each, id=f"{target} {n}", target=target)
               for n, each in enumerate(judgement.changes)]  # fmt: skip
    ends = [replace(each, change_id=f"{target} {n}") for n, each in enumerate(judgement.closings)]
    return replace(judgement, changes=tuple(changes), closings=tuple(ends))


@settings(
    max_examples=25,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # shrinking would take minutes
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(drawn=records.run_records)
def test_back_comes_what_was_appended(location: Location, drawn: RunRecord) -> None:
    """Every field, as wide as its column; a target and an environment of its own each time."""
    name = uuid4().hex  # drawn ones repeat
    environment = drawn.environment and replace(drawn.environment, fingerprint=name)
    judgement = drawn.judgement and told_of(name, drawn.judgement)
    own = replace(drawn, id=name, target=name, environment=environment, judgement=judgement)

    async def go() -> list[RunRecord]:
        async with opened(location) as store:
            await store.append(own)
            return await runs_of(store, own.target)

    assert asyncio.run(go()) == [own]


async def _twice(location: Location) -> None:
    first, second = record(1, failures=1), record(2)
    async with opened(location) as store:
        assert (await store.append(first)).samples == first.sample_count == 6
        assert await store.append(first) == await store.append(first, first)
        added = await store.append(first, second, second)
        assert (added.runs, added.samples) == (1, second.sample_count)
    async with opened(location) as store:  # nothing is remembered
        assert (await store.append(first, second)).runs == 0
        assert_exactly(await contents(store.database), [first, second])
        assert await store.count(tables.failure) == 3


def test_the_same_run_is_there_once_however_often_it_is_appended(location: Location) -> None:
    asyncio.run(_twice(location))


async def _one_moment(location: Location) -> None:
    same = [record(number, started_at=record(1).started_at) for number in range(1, 7)]
    async with opened(location) as store:
        await store.append(same[0])
        await store.append(same[1])
        await store.append(*same[2:4])
    async with opened(location) as store:
        await store.append(same[4])
        await store.append(*same)  # all but the last are there, if not at their own moment
        assert_exactly(await contents(store.database), same)
        found = {each.id: each.started_at - same[0].started_at for each in await runs_of(store)}
    assert found == {each.id: n * MICROSECOND for n, each in enumerate(same)}


def test_runs_of_one_target_and_moment_are_all_kept_side_by_side(location: Location) -> None:
    asyncio.run(_one_moment(location))


async def _two_targets(location: Location) -> None:
    moment = record(1).started_at
    one, other = record(1, started_at=moment), record(2, target="other", started_at=moment)
    async with opened(location) as store:
        await store.append(one)
        await store.append(other)
        assert await runs_of(store) == [one]
        assert await runs_of(store, "other") == [other]


def test_two_targets_share_a_moment_and_keep_their_runs_apart(location: Location) -> None:
    asyncio.run(_two_targets(location))


async def _out_of_order(location: Location) -> None:
    rng = random.Random(3)
    made = [record(number, rng, failures=number % 2) for number in range(150)]
    shuffled = rng.sample(made, len(made))
    async with opened(location) as store:
        await store.append(*shuffled[:5])
        await store.append(*shuffled[5:120])
        for each in shuffled[110:]:
            await store.append(each)
        assert await runs_of(store) == made
        assert_exactly(await contents(store.database), made)


def test_runs_in_any_order_and_in_any_batches_are_in_order_then(location: Location) -> None:
    asyncio.run(_out_of_order(location))


async def _weeks_apart(location: Location) -> None:
    started_at = record(1).started_at
    made = [record(n, started_at=started_at + n * timedelta(days=9)) for n in range(-10, 10)]
    async with opened(location) as store:
        await store.append(*made[::2])
        await store.append(*made)
        assert_exactly(await contents(store.database), made)


def test_a_batch_may_span_months(location: Location) -> None:
    asyncio.run(_weeks_apart(location))


async def _without_samples(location: Location) -> None:
    failed = record(1, strategies=(), outcome="failed", environment=None, probes={})
    async with opened(location) as store:
        await store.append(failed)
        assert await runs_of(store) == [failed]


def test_a_run_that_gave_nothing_is_a_run(location: Location) -> None:
    asyncio.run(_without_samples(location))


async def _late_state(location: Location) -> None:
    async with opened(location) as store:
        await store.append(replace(record(2), state=b"later"))
        await store.append(replace(record(1), state=b"earlier"))
        assert await latest_states(store.database) == {"main": b"later"}
        await store.append(replace(record(3), state=b"last"), record(4))
        assert await latest_states(store.database) == {"main": b"last"}


def test_a_run_that_comes_late_does_not_bring_an_old_state_back(location: Location) -> None:
    asyncio.run(_late_state(location))


# --- what the store does not take ----------------------------------------------------------------


def broken(good: RunRecord, **changes: Any) -> RunRecord:
    """The run with its very last sample changed to what no store takes."""
    series = list(good.samples)[-1]
    rows = good.samples[series]
    changed = (*rows[:-1], rows[-1]._replace(**changes))
    return replace(good, samples={**good.samples, series: changed})


async def _half_run(location: Location, changes: dict[str, Any]) -> None:
    async with opened(location) as store:
        await store.append(record(1, strategies=["orm_bulk"]))
        bad = broken(record(2, target="new", failures=1), **changes)
        for batch in ([bad], [record(3, target="third"), bad, record(4)]):
            with pytest.raises(StoreRejected):
                await store.append(*batch)
        assert_exactly(await contents(store.database), [record(1, strategies=["orm_bulk"])])
        assert [row.name for row in await store.rows(tables.target)] == ["main"]
        assert await store.count(tables.failure) == 0
        # Numbers that were rolled back are not remembered: the same names get new ones.
        good = [record(2, target="new", failures=1), record(3, target="third"), record(4)]
        for each in good:
            await store.append(each)
        assert_exactly(await contents(store.database), [record(1, strategies=["orm_bulk"]), *good])
        assert await runs_of(store, "new") == good[:1]


@pytest.mark.parametrize("changes", [{"insert_ns": None}, {"insert_ns": 2**63}], ids=str)
def test_a_sample_that_is_not_taken_leaves_nothing_of_its_run(
    location: Location, changes: dict[str, Any]
) -> None:
    asyncio.run(_half_run(location, changes))


async def _odd_text(location: Location) -> None:
    odd = "cannot open a\udcffb\0c"
    good = record(1, failures=1)
    failures = tuple(replace(row, message=odd) for row in good.failures)
    own = replace(good, failures=failures, notices=(Notice("x", odd, odd),))
    async with opened(location) as store:
        await store.append(own)
        assert_exactly(await contents(store.database), [own])
        (found,) = await runs_of(store)
        assert {
            row.message.replace("?", "\N{REPLACEMENT CHARACTER}") for row in found.failures
        } == {"cannot open a�b�c"}


def test_text_that_no_store_holds_costs_no_run(location: Location) -> None:
    """A plug-in's error may quote a file's name or a NUL."""
    asyncio.run(_odd_text(location))


async def _table_gone(location: Location) -> None:
    async with opened(location) as store:
        await store.append(record(1))
        name = store.database.name_of(tables.sample)
        async with store.database.writing() as connection:
            await connection.exec_driver_sql(f"ALTER TABLE {name} RENAME TO away")
        with pytest.raises(StoreUnavailable):
            await store.append(record(2, target="new"))
        away = store.database.name_of("away")
        async with store.database.writing() as connection:
            await connection.exec_driver_sql(f"ALTER TABLE {away} RENAME TO sample")
        assert_exactly(await contents(store.database), [record(1)])
        await store.append(record(2, target="new"))
        assert_exactly(await contents(store.database), [record(1), record(2, target="new")])


def test_an_append_that_fails_half_way_can_be_tried_again(location: Location) -> None:
    asyncio.run(_table_gone(location))


# --- several writers -----------------------------------------------------------------------------


def overlapping(rng: random.Random, writers: int) -> list[list[RunRecord]]:
    """For each writer some of the same 300 runs, in its own order; every run with somebody."""
    made = [
        record(number, target=rng.choice(("main", "other")), failures=number % 2)
        for number in range(300)
    ]
    shares = [rng.sample(made, 220) for _ in range(writers - 1)]
    left = [each for each in made if not any(each in share for share in shares)]
    shares.append(left + rng.sample(made, 150))
    return shares


async def _append_all(store: Store, share: Sequence[RunRecord], rng: random.Random) -> int:
    """All of them in batches; returns how many it added. Who meets another's row tries again."""
    added, position = 0, 0
    while position < len(share):
        size = rng.choice((1, 1, 1, 5, 40))
        try:
            added += (await store.append(*share[position : position + size])).runs
        except (StoreConflict, StoreUnavailable):
            continue  # it met others three times, or in a deadlock; the recorder tries again too
        position += size
    return added


async def _gathered(location: Location, seed: int) -> None:
    rng = random.Random(seed)
    shares = overlapping(rng, 2)
    async with AsyncExitStack() as stack:
        stores = [await stack.enter_async_context(opened(location)) for _ in shares]
        added = await asyncio.gather(
            *(_append_all(*each, rng) for each in zip(stores, shares, strict=True))
        )
        assert sum(added) == 300
        every = {each.id: each for share in shares for each in share}
        assert_exactly(await contents(stores[0].database), every.values())


@pytest.mark.parametrize("seed", [1, 2])
def test_two_writers_lose_and_double_nothing(location: Location, seed: int) -> None:
    asyncio.run(_gathered(location, seed))


async def _same_keys(location: Location) -> None:
    """Runs of one target at one moment, from four writers at once."""
    moment = record(1).started_at
    made = [record(number, started_at=moment) for number in range(80)]
    async with AsyncExitStack() as stack:
        stores = [await stack.enter_async_context(opened(location)) for _ in range(4)]
        rng = random.Random(1)
        await asyncio.gather(
            *(_append_all(store, made[n::4], rng) for n, store in enumerate(stores))
        )
        assert_exactly(await contents(stores[0].database), made)


def test_writers_that_meet_at_one_moment_all_get_their_runs_in(location: Location) -> None:
    asyncio.run(_same_keys(location))


async def _processes(location: Location) -> None:
    """Two processes write the same 200 runs and 100 of their own each."""
    shares = [Orders.of(location, first=0, count=300), Orders.of(location, first=100, count=300)]
    running = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.acceptance.writer", orders.as_json(), cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
        )
        for orders in shares
    ]  # fmt: skip
    outputs = await asyncio.gather(*(process.communicate() for process in running))
    assert [process.returncode for process in running] == [0, 0]
    assert [len(output.split()) for output, _ in outputs] == [300, 300]


def test_two_processes_lose_and_double_nothing(location: Location) -> None:
    asyncio.run(_processes(location))
    assert_exactly(contents_of(location), [record(number) for number in range(400)])


def test_a_sample_row_with_every_part_unknown_is_kept(location: Location) -> None:
    unknown = {
        name: None
        for name in SampleRow._fields
        if tables.sample.c[name].nullable and not tables.sample.c[name].primary_key
    }
    own = broken(record(1), **unknown)

    async def go() -> list[RunRecord]:
        async with opened(location) as store:
            await store.append(own)
            return await runs_of(store)

    assert asyncio.run(go()) == [own]
