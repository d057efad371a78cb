"""``ingest-canary history`` on real stores: right figures, nothing twice, nothing lost."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import groupby, pairwise
from statistics import median
from typing import Any

import pytest
from sqlalchemy import delete

from monitor.measure.summary import summarise
from monitor.model import CaseResult
from monitor.store import tables
from monitor.store.database import Location
from monitor.store.history import FirstFailure, LastRun, environment_periods, read_history
from monitor.store.points import Point
from monitor.store.records import RunRecord, SeriesKey, sample_of
from monitor.store.retention import Policy
from tests import builders
from tests.integration.histories import (
    DAY,
    FIRST,
    HOUR,
    MINUTE,
    NOW,
    A,
    B,
    alternating,
    failure,
    fill,
    one_series,
    run_in,
    with_failures,
)
from tests.stores import (
    BULK,
    COPY,
    Store,
    location_fixture,  # noqa: F401
    record,
    records_every,
)

UNMEASURED = SeriesKey("orm_add_all", "orders", 20_000, "", 20_000)


# --- figures -------------------------------------------------------------------------------------


def expected_point(of: RunRecord, key: SeriesKey) -> Point:
    """The point that a run must give, by the domain's own computation."""
    samples = tuple(sample_of(row, key, of.started_at) for row in of.samples[key])
    result = CaseResult(builders.case(), samples, ())
    summary = summarise(result.counted, of.rounds)
    assert summary is not None
    return Point(
        started_at=of.started_at,
        source="run",
        runs=1,
        rounds=len(samples),
        disturbed_rounds=sum(1 for sample in samples if sample.disturbed),
        rows_per_second=summary.rows_per_second.median,
        rows_per_second_fast=summary.rows_per_second_fast,
        client_seconds_per_row=summary.client_seconds_per_row,
        server_seconds_per_row=summary.server_seconds_per_row,
        commit_seconds_per_row=summary.commit_seconds_per_row,
        rows_per_call=summary.rows_per_call,
        wal_bytes_per_row=summary.wal_bytes_per_row,
    )


def assert_same(point: Point, wanted: Point, tolerance: float) -> None:
    """Floats to a relative tolerance, all else exactly."""
    for name, value in wanted._asdict().items():
        if isinstance(value, float):
            value = pytest.approx(value, rel=tolerance, abs=0)
        assert getattr(point, name) == value, name


def varied_runs() -> list[RunRecord]:
    """Runs of 1 to 6 rounds of 5 planned, with unknown values, lost calls and disturbances."""
    rng = random.Random(3)
    runs = [record(FIRST + n * HOUR, rounds=1 + n % 6, rng=rng) for n in range(120)]
    lost = [
        replace(run, samples={
            key: tuple(row._replace(counted_rows=rng.choice((None, 19_000))) for row in rows)
            for key, rows in run.samples.items()
        })
        for run in runs
    ]  # fmt: skip
    return [replace(run, rounds=5) for run in lost]


def test_a_run_is_the_point_that_the_summary_says(location: Location) -> None:
    runs = varied_runs()
    fill(location, *runs)
    for key in (COPY, BULK):
        found = one_series(location, key)
        expected = [expected_point(run, key) for run in runs]
        for point, wanted in zip(found.points, expected, strict=True):
            assert_same(point, wanted, 1e-12)
        assert found.last == pytest.approx(expected[-1].rows_per_second)
        assert found.median == pytest.approx(median(each.rows_per_second for each in expected))
    # Otherwise the comparison proves little.
    assert {point.rows_per_second_fast is None for point in found.points} == {True, False}
    assert {point.server_seconds_per_row is None for point in found.points} == {True, False}
    assert any(point.disturbed_rounds == 0 for point in found.points)
    assert any(point.disturbed_rounds == 5 for point in found.points)


# --- before raw samples --------------------------------------------------------------------------


def covered(points: tuple[Point, ...]) -> list[tuple[datetime, datetime]]:
    """What time each point speaks of."""
    lengths = {"run": timedelta(microseconds=1), "hour": HOUR, "day": DAY}
    return [(point.started_at, point.started_at + lengths[point.source]) for point in points]


def test_before_samples_come_hours_and_before_them_days(location: Location) -> None:
    runs = records_every(20 * MINUTE, FIRST, NOW)
    policy = Policy(raw=2 * DAY, hourly=6 * DAY)

    async def prune(store: Store) -> None:
        await store.append(*runs)
        await store.prune(policy, NOW)

    run_in(location, prune)
    points = one_series(location, since=FIRST - DAY).points
    assert [source for source, _ in groupby(points, lambda p: p.source)] == ["day", "hour", "run"]
    spans = covered(points)
    assert all(end <= begin for (_, end), (begin, _) in pairwise(spans))
    assert sum(point.runs for point in points) == len(runs)
    assert sum(point.rounds for point in points) == 5 * len(runs)
    hours = [point.started_at for point in points if point.source == "hour"]
    assert hours[0] == policy.hourly_since(NOW)
    raw = [point.started_at for point in points if point.source == "run"]
    assert raw[0] == hours[-1] + HOUR + raw[0].minute * MINUTE
    assert raw[-1] == runs[-1].started_at


def test_while_there_are_samples_rollups_add_nothing(location: Location) -> None:
    runs = records_every(20 * MINUTE, NOW - 3 * DAY, NOW)

    async def prune(store: Store) -> int:
        await store.append(*runs)
        await store.prune(Policy(raw=30 * DAY, hourly=30 * DAY), NOW)
        return await store.count(tables.rollup)

    assert run_in(location, prune) > 100
    points = one_series(location).points
    assert [point.started_at for point in points] == [run.started_at for run in runs]


def test_an_hour_that_lost_some_samples_is_one_point(location: Location) -> None:
    runs = records_every(20 * MINUTE, NOW - 2 * DAY, NOW - DAY)
    cut = runs[30].started_at  # the hour's second of three

    async def lose(store: Store) -> None:
        await store.append(*runs)
        await store.prune(Policy(raw=30 * DAY, hourly=30 * DAY), NOW)
        async with store.database.writing() as connection:
            column = tables.sample.c.started_at
            await connection.execute(delete(tables.sample).where(column <= cut))
            await connection.execute(delete(tables.rollup).where(tables.rollup.c.hours == 24))

    run_in(location, lose)
    points = one_series(location).points
    spans = covered(points)
    assert all(end <= begin for (_, end), (begin, _) in pairwise(spans))
    assert sum(point.runs for point in points) == len(runs)
    of_its_hour = [p for p in points if cut - HOUR < p.started_at < cut + HOUR]
    assert any(p.source == "hour" and p.started_at <= cut < p.started_at + HOUR
               for p in of_its_hour)  # fmt: skip


def test_an_hour_has_the_figures_of_its_rounds(location: Location) -> None:
    begin = (NOW - 2 * DAY).replace(minute=0)
    runs = records_every(20 * MINUTE, begin, begin + HOUR)

    async def lose(store: Store) -> None:
        await store.append(*runs)
        await store.prune(Policy(raw=30 * DAY, hourly=30 * DAY), NOW)
        async with store.database.writing() as connection:
            await connection.execute(delete(tables.sample))
            await connection.execute(delete(tables.rollup).where(tables.rollup.c.hours == 24))

    run_in(location, lose)
    (point,) = one_series(location).points
    per_run = [
        CaseResult(
            builders.case(),
            tuple(sample_of(row, COPY, run.started_at) for row in run.samples[COPY]),
            (),
        ).counted
        for run in runs
    ]
    rounds = [sample for run in per_run for sample in run]
    fastest = [min(sample.insert_seconds for sample in run) for run in per_run]
    known = [s.server_seconds for s in rounds if s.server_seconds is not None]
    calls = [s.calls for s in rounds if s.calls is not None]
    wal = [s.wal_bytes for s in rounds if s.wal_bytes is not None]
    wanted = Point(
        started_at=begin,
        source="hour",
        runs=3,
        rounds=15,
        disturbed_rounds=None,
        rows_per_second=20_000 / median(s.insert_seconds for s in rounds),
        rows_per_second_fast=20_000 / median(fastest),
        client_seconds_per_row=median(s.client_seconds for s in rounds) / 20_000,
        server_seconds_per_row=median(known) / 20_000,
        commit_seconds_per_row=median(s.commit_seconds for s in rounds) / 20_000,
        rows_per_call=20_000 / round(median(calls)),
        wal_bytes_per_row=round(median(wal)) / 20_000,
    )
    assert_same(point, wanted, 1e-6)


# --- what belongs to it --------------------------------------------------------------------------


def test_since_target_and_strategy_narrow(location: Location) -> None:
    runs = records_every(HOUR, NOW - DAY, NOW)
    others = records_every(HOUR, NOW - DAY, NOW - HOUR, target="other", keys=(COPY,))
    fill(location, *runs, *others)

    async def read(store: Store) -> Any:
        since = runs[10].started_at
        every = await read_history(store.database, since)
        of_target = await read_history(store.database, since, "other")
        of_strategy = await read_history(store.database, since, strategy="orm_bulk")
        later = await read_history(store.database, since + timedelta(microseconds=1), "main")
        return every, of_target, of_strategy, later

    every, of_target, of_strategy, later = run_in(location, read)
    assert [(each.name, [s.key for s in each.series], each.runs) for each in every] == [
        ("main", [COPY, BULK], 14),
        ("other", [COPY], 13),
    ]
    assert [len(series.points) for series in every[0].series] == [14, 14]
    assert every[0].begins_at == runs[10].started_at
    assert [each.name for each in of_target] == ["other"]
    assert [[s.key for s in each.series] for each in of_strategy] == [[BULK], []]
    assert later[0].runs == later[0].series[0].runs == 13


def test_a_span_begins_where_the_store_does(location: Location) -> None:
    fill(location, *records_every(HOUR, NOW - DAY, NOW))

    async def read(store: Store) -> Any:
        return await read_history(store.database, FIRST)

    assert run_in(location, read)[0].begins_at == NOW - DAY


def test_a_span_begins_with_runs_that_measured_nothing(location: Location) -> None:
    down = record(NOW - DAY)
    down = with_failures(down, failure(down), samples={}, outcome="failed")
    fill(location, down, record(NOW - HOUR))

    async def read(store: Store) -> Any:
        return await read_history(store.database, FIRST)

    assert run_in(location, read)[0].begins_at == NOW - DAY


def test_failures_are_counted_where_they_belong(location: Location) -> None:
    runs = records_every(HOUR, NOW - DAY, NOW)
    runs[0] = with_failures(runs[0], failure(runs[0], COPY))  # before the span
    runs[5] = with_failures(
        runs[5], failure(runs[5], COPY), failure(runs[5], COPY, "server_error"),
        failure(runs[5], UNMEASURED), outcome="partial",
    )  # fmt: skip
    for n in (7, 9):
        runs[n] = with_failures(
            runs[n], failure(runs[n], reason="unavailable"), samples={}, outcome="failed"
        )
    fill(location, *runs)

    async def read(store: Store) -> Any:
        return await read_history(store.database, runs[1].started_at)

    (target,) = run_in(location, read)
    assert {series.key: series.failures for series in target.series} == {
        COPY: 2, BULK: 0, UNMEASURED: 1,
    }  # fmt: skip
    assert {series.key: series.runs for series in target.series} == {
        COPY: 21, BULK: 21, UNMEASURED: 0,
    }  # fmt: skip
    assert target.outcomes == {"ok": 20, "partial": 1, "failed": 2}
    assert target.run_failures == {"unavailable": 2}
    assert target.last_run == LastRun(runs[-1].started_at, "ok")


@pytest.mark.parametrize("key", [COPY, None])
def test_the_last_run_is_told_with_its_first_failure(
    location: Location, key: SeriesKey | None
) -> None:
    last = record(NOW - 3 * DAY)
    failures = failure(last, key, "timeout"), failure(last, BULK, "server_error")
    fill(location, record(NOW - 4 * DAY), with_failures(last, *failures, outcome="partial"))

    async def read(store: Store) -> Any:
        return await read_history(store.database, NOW - DAY)

    (target,) = run_in(location, read)
    message = "too late" if key else "refused"
    assert target.last_run == LastRun(
        last.started_at, "partial", FirstFailure("timeout", message, key)
    )
    assert (target.series, target.runs) == ((), 0)


# --- environments --------------------------------------------------------------------------------


def test_environments_come_in_periods(location: Location) -> None:
    fill(location, *alternating())

    async def read(store: Store) -> Any:
        all_of_it = await environment_periods(store.database, FIRST)
        since = await environment_periods(store.database, NOW - DAY + 4 * HOUR, "main")
        none = await environment_periods(store.database, NOW)
        return all_of_it, since, none

    all_of_it, since, none = run_in(location, read)
    begin = NOW - DAY
    expected = [
        (A, begin, begin + 2 * HOUR, 3),
        (B, begin + 3 * HOUR, begin + 4 * HOUR, 2),
        (A, begin + 5 * HOUR, begin + 6 * HOUR, 2),
        (B, begin + 7 * HOUR, begin + 8 * HOUR, 2),
    ]
    found = [(p.environment, p.first_run_at, p.last_run_at, p.runs) for p in all_of_it["main"]]
    assert found == expected
    assert since == {"main": all_of_it["main"][1:]}
    assert none == {"main": []}
