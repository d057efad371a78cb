"""Safety contract 5: time, space and WAL are bounded, and what passes a bound says so."""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import replace

import pytest

from monitor.canary import guard
from monitor.canary.connection import BOUNDS
from monitor.measure import round as round_module
from monitor.measure import runner as runner_module
from monitor.model import Run
from tests.conftest import Database
from tests.integration.helpers import (
    ALL_SIX,
    LIMITS,
    SCHEMA,
    all_empty,
    at,
    bystander,
    failures_by_shape,
    gone,
    make_runner,
    measure,
    measured,
    only_orders_fail,
    row_trigger,
    run_once,
    slow_rows,
)

ORDERS = f"{SCHEMA}.orders"
WIDE = f"{SCHEMA}.orders_wide"
BOTH = ("orders", "orders_wide")


# --- space ----------------------------------------------------------------------------------------


def test_a_table_that_would_grow_too_large_is_never_filled(database: Database) -> None:
    peaks: list[int] = []

    def watch(_done: int, _total: int, _what: str) -> None:
        sizes = (
            f"SELECT max(pg_total_relation_size(oid)) FROM pg_class WHERE oid = '{WIDE}'::regclass"
        )
        peaks.append(int(database.sql(sizes)[0][0]))

    limits = replace(LIMITS, table_bytes=400_000)
    runner = make_runner(limits, progress=watch, rows=2000, shapes=BOTH[::-1], strategies=ALL_SIX)
    run = run_once(database.dsn, runner)
    assert failures_by_shape(run) == {"orders": set(), "orders_wide": {"budget"}}
    assert all("max_table_bytes is 400,000" in failure.message for failure in run.failures)
    assert max(peaks) < 400_000
    assert all_empty(database)


def test_a_table_that_grew_too_large_unforeseen_is_a_failure_and_emptied(
    database: Database,
) -> None:
    """The trigger fattens rows only once there are more than the warm-up's."""
    measured(database.dsn)
    row_trigger(
        database,
        ORDERS,
        "IF NEW.id > 150 THEN NEW.status := repeat('x', 30); END IF; RETURN NEW;",
    )
    run = run_once(
        database.dsn, make_runner(replace(LIMITS, table_bytes=70_000), rows=800, shapes=BOTH[:1])
    )
    assert {failure.reason for failure in run.failures} == {"budget"}
    assert all_empty(database)


# --- WAL ------------------------------------------------------------------------------------------


def test_a_run_that_used_up_its_wal_ends_and_leaves_the_tables_empty(database: Database) -> None:
    run = run_once(database.dsn, rounds=3, allowance=100_000)
    assert run.failure is not None
    assert run.failure.reason == "budget"
    assert "max_wal_bytes_per_day" in run.failure.message
    assert len(run.cases[0].samples) == 1, "the first block's samples are kept"
    assert run.wal_bytes is not None
    assert run.wal_bytes >= 100_000
    assert all_empty(database)


def test_a_run_without_allowance_does_not_begin(database: Database) -> None:
    run = run_once(database.dsn, allowance=0)
    assert run.outcome == "failed"
    assert run.failure is not None
    assert run.failure.reason == "budget"
    assert not run.probes


def test_wal_counts_where_statements_are_not_counted(database: Database) -> None:
    database.sql("DROP EXTENSION pg_stat_statements")
    run = run_once(database.dsn, rounds=3, allowance=100_000)
    assert run.failure is not None
    assert run.failure.reason == "budget"


def test_a_run_that_loses_its_session_still_says_what_wal_it_wrote(database: Database) -> None:
    """Else a target where every run dies would be written to without any limit."""
    terminate = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'ingest-canary' AND datname = current_database()"
    )
    lose = at(2, lambda: database.sql(terminate))
    run = run_once(database.dsn, make_runner(progress=lose, rounds=3))
    assert run.failure is not None
    assert run.failure.reason == "lock_lost"
    assert run.wal_bytes is not None
    assert run.wal_bytes > sum(s.wal_bytes or 0 for s in run.cases[0].samples)


# --- time -----------------------------------------------------------------------------------------


async def beside_a_lock(database: Database, mode: str) -> Run:
    """A run of both shapes while somebody holds a lock on one, who must get away unharmed."""
    async with bystander(database.dsn) as other, other.transaction():
        await other.execute(f"LOCK TABLE {ORDERS} IN {mode} MODE")
        run = await measure(database.dsn, shapes=BOTH, strategies=ALL_SIX)
        assert await other.fetchval(f"SELECT count(*) FROM {ORDERS}") == 0
        return run


def test_a_table_locked_against_writing_fails_alone(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured(database.dsn, shapes=BOTH)
    monkeypatch.setitem(BOUNDS, "lock_timeout", "200ms")  # type: ignore[arg-type]
    run = asyncio.run(beside_a_lock(database, "SHARE"))
    for failure in only_orders_fail(run, "server_error"):
        assert "lock timeout" in failure.message


def test_a_table_locked_against_looking_ends_the_run_as_a_failure(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its definition is part of the environment, so nothing can be compared."""
    measured(database.dsn, shapes=BOTH)
    monkeypatch.setitem(BOUNDS, "lock_timeout", "200ms")  # type: ignore[arg-type]
    run = asyncio.run(beside_a_lock(database, "ACCESS EXCLUSIVE"))
    assert run.failure is not None
    assert "lock timeout" in run.failure.message
    assert all_empty(database)


@pytest.mark.parametrize("strategy", ALL_SIX)
def test_a_statement_that_takes_too_long_fails_alone(
    database: Database, strategy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured(database.dsn, shapes=BOTH)
    database.sql("CREATE SEQUENCE public.seen")
    row_trigger(
        database,
        ORDERS,
        "IF nextval('public.seen') % 10 = 0 THEN PERFORM pg_sleep(30); END IF; RETURN NEW;",
    )
    limits = replace(LIMITS, round_seconds=0.3)
    run = run_once(database.dsn, make_runner(limits, shapes=BOTH, strategies=[strategy]))
    for failure in only_orders_fail(run, "timeout"):
        assert "57014" in failure.message
    assert all_empty(database)


@pytest.mark.parametrize("strategy", ["core_executemany", "orm_bulk"])
def test_a_round_of_many_short_statements_ends_too(
    database: Database, strategy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No single statement passes the deadline, so the connection is given up, and the run ends."""
    monkeypatch.setattr(round_module, "GRACE_SECONDS", 0.3)
    measured(database.dsn)
    slow_rows(database, ORDERS, 0.01)
    limits = replace(LIMITS, round_seconds=0.3)
    run = run_once(database.dsn, make_runner(limits, rows=2000, strategies=[strategy]))
    assert run.failures[0].reason == "timeout"
    gone(database)


def test_a_run_that_takes_too_long_ends_and_leaves_the_tables_empty(database: Database) -> None:
    measured(database.dsn)
    slow_rows(database, ORDERS, 0.002)
    run = run_once(database.dsn, make_runner(replace(LIMITS, run_seconds=1.5), rounds=100))
    assert run.failure is not None
    assert run.failure.reason == "timeout"
    assert "longer than 1.5 s" in run.failure.message
    assert all_empty(database)


def test_the_warm_up_counts_as_part_of_the_run(database: Database) -> None:
    measured(database.dsn)
    slow_rows(database, ORDERS, 0.002)
    warmed: list[str] = []
    runner = make_runner(
        replace(LIMITS, run_seconds=0.5),
        strategies=ALL_SIX,
        progress=lambda _done, _total, what: warmed.append(what),
    )
    run = run_once(database.dsn, runner)
    assert run.failure is not None
    assert run.failure.reason == "timeout"
    assert len(warmed) < len(ALL_SIX), "warming up went on past the deadline"


def test_a_probe_that_hangs_ends_by_the_deadline_too(database: Database) -> None:
    measured(database.dsn)
    slow_rows(database, f"{SCHEMA}.probe_insert", 60)
    run = run_once(database.dsn, make_runner(replace(LIMITS, round_seconds=0.5)))
    assert run.failure is not None
    assert run.failure.reason == "timeout"
    assert all_empty(database)


def test_a_server_that_stops_answering_ends_the_run(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A frozen backend obeys no timeout of the server's."""
    monkeypatch.setattr(runner_module, "GRACE_SECONDS", 0.3)
    frozen: list[int] = []

    def freeze() -> None:
        query = "SELECT pid FROM pg_stat_activity WHERE application_name = 'ingest-canary'"
        ((pid,),) = database.sql(query + " AND datname = current_database()")
        frozen.append(pid)
        os.kill(pid, signal.SIGSTOP)

    runner = make_runner(replace(LIMITS, run_seconds=1), progress=at(1, freeze), rounds=2)
    try:
        run = run_once(database.dsn, runner)
    finally:
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)
    assert run.failure is not None
    assert run.failure.reason == "timeout"
    assert run.outcome == "partial"
    gone(database)


def test_the_guard_does_not_wait_for_ever_for_a_catalogue_that_is_locked(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "ADMIT_SECONDS", 0.5)

    async def go() -> Run:
        async with bystander(database.dsn) as other, other.transaction():
            await other.execute("LOCK TABLE pg_catalog.pg_publication")
            return await asyncio.wait_for(measure(database.dsn), 20)

    run = asyncio.run(go())
    assert run.failure is not None
    assert run.failure.reason == "unavailable"
