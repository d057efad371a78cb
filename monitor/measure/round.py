"""One timed execution of one case: the only place where work runs against a clock."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from time import perf_counter

from monitor.canary import tables
from monitor.canary.connection import Session, translated
from monitor.canary.counters import Activity, Snapshot, StatementCounters, Work, activity
from monitor.errors import BudgetExceeded, RoundTimeout, RowsMissing, TargetError
from monitor.measure.binding import Bound, Rows, expected_rows, extra_indexes, make_batches
from monitor.measure.clocks import RoundClock, SteadyClock, collector_held_off, late_batch_ratio
from monitor.measure.disturbance import (
    HostActivity,
    disturbances,
    host_activity,
    other_sessions,
    pressure_ratio,
    steal_ratio,
)
from monitor.measure.fixtures import prefill
from monitor.measure.plugin_code import cancelled, plugin_code
from monitor.model import Case, Limits, Sample, rest_of
from monitor.workload import Destination

#: Seconds beyond a round's deadline after which we stop waiting for the server to end it.
GRACE_SECONDS = 5.0

#: Samples hold whole nanoseconds and millionths: finer than the clocks are true.
_SECONDS_DIGITS = 9
_RATIO_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Bench:
    """What rounds need: the session, the bound shapes' oids, the counters if any, the clock."""

    session: Session
    limits: Limits
    counters: StatementCounters | None
    oids: Sequence[int]
    clock: SteadyClock
    companions: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Round:
    """A sample, and the WAL positions between which it was taken."""

    sample: Sample
    wal_before: int
    wal_after: int
    redo_positions: frozenset[int]


@dataclass(frozen=True, slots=True)
class _Look:
    """Everything that is compared between the two ends of a round."""

    statements: Snapshot | None
    server: Activity
    host: HostActivity


async def measure_round(
    bench: Bench, case: Case, bound: Bound, number: int, round_trip_seconds: float
) -> Round:
    """Make the table ready, insert the case's rows against the clocks, verify, account for them.

    Raises TargetError: RoundTimeout, RowsMissing, BudgetExceeded, ServerError, TargetUnavailable.
    """
    await make_ready(bench, case, bound)
    with collector_held_off():
        batches = batches_of(bench, case, bound, case.rows)
        before = await _look(bench)
        started_at = bench.clock.now()
        clock = await insert_batches(bench, case, bound, batches)
        after = await _look(bench)
    with plugin_code(case.shape.name, bench.session.target):
        expected = expected_rows(case, bound, batches)
    await _verify(bench, bound.table.name, expected)
    work = await _work(bench, before, after, bound.names)
    sample = _sample(case, number, started_at, clock, work, before, after, round_trip_seconds)
    built = await _build_indexes(bench, case, bound)
    return Round(
        replace(sample, index_build_seconds=built),
        before.server.wal_position,
        after.server.wal_position,
        frozenset({before.server.redo_position, after.server.redo_position}),
    )


@contextmanager
def dropped_after(session: Session, seconds: float, grace: float = 0.0) -> Iterator[None]:
    """Drop the session's socket if what is done here takes ``grace`` longer than ``seconds``, and
    raise RoundTimeout.

    Dropping it is the one thing that ends a wait on a dead network, or on a proxy that acknowledges
    all and forwards nothing: neither cancelling nor the server's timeouts do.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.call_later(seconds + grace, session.driver.terminate)
    try:
        yield
    except TargetError as error:
        if cancelled():  # the dropped connection could not be rolled back, and said so instead
            raise asyncio.CancelledError from error
        if deadline.when() > loop.time():
            raise
        raise RoundTimeout(f"no end within {seconds:g} s; connection given up") from error
    finally:
        deadline.cancel()


async def make_ready(bench: Bench, case: Case, bound: Bound) -> None:
    """Leave in the case's tables what its round shall find there; not timed."""
    if case.build is not None:
        await tables.drop_indexes(bench.session, bound.table.name)
    for name in bound.names:
        await tables.empty(bench.session, name)
    with plugin_code(case.shape.name, bench.session.target):
        await prefill(bench.session, case, bound)


def batches_of(bench: Bench, case: Case, bound: Bound, count: int) -> list[Rows]:
    """``make_batches``; raises ServerError for what the shape's code raises."""
    with plugin_code(case.shape.name, bench.session.target):
        return make_batches(case, bound, count)


async def _build_indexes(bench: Bench, case: Case, bound: Bound) -> float | None:
    """Seconds that the shape's extra takes to be made on the loaded table, to commit returned."""
    if case.build is None or case.shape.extra is None:
        return None
    concurrently = case.build == "concurrently"
    statements = extra_indexes(bound.table, case.shape.extra, concurrently)
    name, started = bound.table.name, perf_counter()
    await tables.build_indexes(bench.session, name, statements, concurrently=concurrently)
    return round(perf_counter() - started, _SECONDS_DIGITS)


async def insert_batches(
    bench: Bench, case: Case, bound: Bound, batches: Sequence[Rows]
) -> RoundClock:
    """Send the batches, in one transaction or in one each, and return what the clocks say.

    Raises TargetError; RoundTimeout also where it is the strategy that never ends.
    """
    clock = RoundClock()
    groups = [batches] if case.transaction == "round" else [[batch] for batch in batches]
    session, seconds = bench.session, bench.limits.round_seconds
    with (
        dropped_after(session, seconds, GRACE_SECONDS),
        plugin_code(case.strategy.name, session.target),
    ):
        # A strategy that waits for something else is left alone once the socket is dropped.
        async with asyncio.timeout(seconds + 2 * GRACE_SECONDS):
            with translated(session.target):
                for group in groups:
                    await _transaction(bench, case, bound, group, clock)
    return clock


async def _transaction(
    bench: Bench, case: Case, bound: Bound, batches: Sequence[Rows], clock: RoundClock
) -> None:
    into = bound.destination(bench.session)
    async with into.connection.begin() as transaction:
        # Also opens the transaction: before a first statement, COPY through the driver would run
        # outside it and survive a rollback.
        milliseconds = int(bench.limits.round_seconds * 1000)
        await into.connection.exec_driver_sql(f"SET LOCAL statement_timeout = {milliseconds}")
        try:
            await _insert(into, case, batches, clock)
        except asyncio.CancelledError:
            if cancelled():
                into.driver.terminate()  # a polite rollback could hang; the server ends the backend
            raise
        await transaction.commit()
        clock.committed()


async def _insert(
    into: Destination, case: Case, batches: Sequence[Rows], clock: RoundClock
) -> None:
    insert, parameters = case.strategy.insert, case.parameters
    clock.start()
    for batch in batches:
        await insert(into, batch, **parameters)
        clock.batch_done()


async def _look(bench: Bench) -> _Look:
    statements = await bench.counters.snapshot() if bench.counters else None
    now = await activity(bench.session, bench.oids, bench.companions)
    return _Look(statements, now, host_activity())


async def _verify(bench: Bench, table: str, rows: int) -> None:
    found = await tables.count_rows(bench.session, table)
    if found != rows:
        raise RowsMissing(f"table {table} holds {found:,} rows after {rows:,} were sent")
    size = await tables.table_bytes(bench.session, table)
    if size > bench.limits.table_bytes:
        raise BudgetExceeded(
            f"table {table} grew to {size:,} bytes; max_table_bytes is {bench.limits.table_bytes:,}"
        )


async def _work(bench: Bench, before: _Look, after: _Look, names: Sequence[str]) -> Work | None:
    if bench.counters is None or before.statements is None or after.statements is None:
        return None
    return await bench.counters.work_between(before.statements, after.statements, *names)


def _sample(
    case: Case,
    number: int,
    started_at: datetime,
    clock: RoundClock,
    work: Work | None,
    before: _Look,
    after: _Look,
    round_trip_seconds: float,
) -> Sample:
    # No statement counted at all: the server does not count this kind (COPY without
    # track_utility). Fewer rows than sent: an entry was evicted meanwhile, what is left is a part.
    known = work if work is not None and work.calls > 0 else None
    # A strategy that stages its rows touches each more than once.
    evicted = known is not None and (
        known.rows < case.rows if case.strategy.staging else known.rows != case.rows
    )
    steal = steal_ratio(before.host, after.host)
    pressure = pressure_ratio(before.host, after.host, clock.insert_seconds)
    insert, commit, client = (
        round(seconds, _SECONDS_DIGITS)
        for seconds in (clock.insert_seconds, clock.commit_seconds, clock.client_seconds)
    )
    server = _rounded(known.seconds, _SECONDS_DIGITS) if known else None
    return Sample(
        round=number,
        started_at=started_at,
        rows=case.rows,
        insert_seconds=insert,
        commit_seconds=commit,
        client_seconds=client,
        server_seconds=server,
        rest_seconds=None if server is None else rest_of(insert, commit, client, server),
        calls=known.calls if known else None,
        rows_per_call=known.rows / known.calls if known else None,
        wal_bytes=known.wal_bytes if known else None,
        wal_records=known.wal_records if known else None,
        wal_fpi=known.wal_fpi if known else None,
        blocks_hit=known.shared_blks_hit if known else None,
        blocks_read=known.shared_blks_read if known else None,
        blocks_dirtied=known.shared_blks_dirtied if known else None,
        round_trip_seconds=round(round_trip_seconds, _SECONDS_DIGITS),
        late_batch_ratio=_rounded(late_batch_ratio(clock.batch_seconds), _RATIO_DIGITS),
        other_sessions=other_sessions(before.server, after.server),
        steal_ratio=_rounded(steal, _RATIO_DIGITS),
        pressure_ratio=_rounded(pressure, _RATIO_DIGITS),
        disturbed=disturbances(
            before.server, after.server, evicted=evicted, steal=steal, pressure=pressure
        ),
    )


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
