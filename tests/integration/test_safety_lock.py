"""Safety contract 7 and 8: one run at a time, on the session that holds the lock, and clean after.

Connection lost is lock lost is work lost.
"""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from monitor.canary import connection, tables
from monitor.canary.lock import lock_key
from monitor.errors import LockHeld
from monitor.measure.attempt import leave_clean
from monitor.measure.runner import Progress
from monitor.model import Run
from tests.conftest import Database
from tests.integration.helpers import (
    ALL_SIX,
    SCHEMA,
    all_empty,
    bystander,
    count,
    locked_session,
    locks_of_ours,
    make_runner,
    measure,
    measured,
    remove_all,
    run_once,
    sessions_of_ours,
    slow_rows,
    target_of,
    with_session,
)
from tests.servers import Server, wait_until

ORDERS = f"{SCHEMA}.orders"
_LOCK_BACKEND = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted"
_TERMINATE = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE application_name = 'ingest-canary' AND datname = current_database()"
)


def at(count_: int, act: object) -> Progress:
    """Progress that acts once: when so many rounds are done and the next one begins."""
    acted: list[bool] = []

    def progress(done: int, _total: int, what: str) -> None:
        if done == count_ and not what.startswith("warming up") and not acted:
            acted.append(True)
            act()  # type: ignore[operator]

    return progress


def gone(database: Database) -> None:
    """Wait until nothing of ours is connected or locked any more; 3 s is the daemon's promise."""
    wait_until(
        lambda: not sessions_of_ours(database) and not locks_of_ours(database),
        "our sessions and locks to go",
        seconds=3,
    )


@contextmanager
def process(database: Database, rows: int, *options: str) -> Iterator[subprocess.Popen[str]]:
    """A run in another process that has come to its INSERT."""
    command = [sys.executable, "-m", "tests.integration.one_run", database.dsn, str(rows), *options]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as running:
        try:
            wait_until(lambda: inserting(database), "the other process to insert")
            yield running
        finally:
            running.kill()


def inserting(database: Database) -> list[tuple[int]]:
    """Backends that are in an INSERT of ours."""
    return database.sql(
        "SELECT pid FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'INSERT INTO%'"
        " AND application_name = 'ingest-canary' AND datname = current_database()"
    )


async def _together(*runs: object) -> list[Run]:
    return list(await asyncio.gather(*runs))  # type: ignore[call-overload]


def test_two_runs_at_once_take_turns(database: Database) -> None:
    first, second = asyncio.run(
        _together(
            measure(database.dsn, wait_seconds=30, strategies=ALL_SIX, rounds=2),
            measure(database.dsn, wait_seconds=30, strategies=ALL_SIX, rounds=2),
        )
    )
    assert (first.outcome, second.outcome) == ("ok", "ok")
    # Had they interleaved, one would have found the other's rows, or missed its own.
    assert first.finished_at <= second.started_at or second.finished_at <= first.started_at
    assert all_empty(database)


def test_only_the_holder_of_the_lock_is_at_work_in_our_tables(database: Database) -> None:
    seen: list[tuple[object, ...]] = []

    def look(_done: int, _total: int, _what: str) -> None:
        seen.extend(
            database.sql(
                "SELECT DISTINCT l.pid FROM pg_locks AS l"
                f" WHERE l.locktype = 'advisory' OR l.relation IN (SELECT oid FROM pg_class"
                f" WHERE relnamespace = '{SCHEMA}'::regnamespace)"
            )
        )

    runners = [make_runner(progress=look, rounds=2) for _ in range(2)]
    both = [measure(database.dsn, runner, wait_seconds=30) for runner in runners]
    assert [run.outcome for run in asyncio.run(_together(*both))] == ["ok", "ok"]
    assert len(set(seen)) == 2, "one backend for each run"
    assert len(seen) == sum(1 for _ in seen)
    changes = sum(one != other for one, other in zip(seen, seen[1:], strict=False))
    assert changes == 1, "the second begins when the first has ended"


def test_the_holder_of_the_lock_is_named(database: Database) -> None:
    database.sql(f"CREATE ROLE holder_{database.name} SUPERUSER LOGIN")
    dsn = database.server.dsn(database.name, f"holder_{database.name}")

    async def go() -> str:
        async with locked_session(target_of(dsn)) as session:
            pid = session.driver.get_server_pid()
            with pytest.raises(LockHeld) as caught:
                await measure(database.dsn)
            assert f"backend {pid}," in str(caught.value)
            return str(caught.value)

    try:
        message = asyncio.run(go())
    finally:
        database.sql(f"DROP ROLE holder_{database.name}")
    assert f"role holder_{database.name}" in message
    assert "ingest-canary (backend" in message


def test_another_schema_has_a_lock_of_its_own(database: Database) -> None:
    assert lock_key("one") != lock_key("two")

    async def go() -> Run:
        async with locked_session(target_of(database.dsn, schema="other")):
            return await measure(database.dsn)

    assert asyncio.run(go()).outcome == "ok"


@pytest.mark.parametrize("options", [(), ("unchecked",)], ids=["noticed", "unnoticed"])
def test_no_run_begins_while_the_insert_of_a_killed_process_goes_on(
    database: Database, options: tuple[str, ...]
) -> None:
    measured(database.dsn)
    slow_rows(database, ORDERS, 0.005)
    with process(database, 400, *options) as running:
        ((backend,),) = inserting(database)
        running.send_signal(signal.SIGKILL)
        running.wait()
        # Its server side works on, and so holds the lock.
        with pytest.raises(LockHeld, match=f"backend {backend},"):
            run_once(database.dsn)
        assert inserting(database) == [(backend,)]
        database.sql(f"DROP FUNCTION public.before_row CASCADE") if False else None
        run = asyncio.run(next_run(database))
    assert run.outcome == "ok"
    assert all_empty(database)
    gone(database)


async def next_run(database: Database) -> Run:
    """A run that begins when the lock is free, and sees to it that nobody else inserts then."""

    def look(_done: int, _total: int, _what: str) -> None:
        assert not inserting(database), "the dead run's statement goes on beside ours"

    return await measure(database.dsn, make_runner(progress=look, rows=20), wait_seconds=30)


def test_the_next_run_cleans_what_a_crash_left(database: Database) -> None:
    measured(database.dsn)
    database.sql(f"INSERT INTO {ORDERS} SELECT n, n, 1, 'x' FROM generate_series(1, 1000) AS n")
    measured(database.dsn, strategies=["asyncpg_copy"], shapes=["orders_wide"])
    assert all_empty(database)


@pytest.mark.parametrize("strategy", ALL_SIX)
def test_a_backend_terminated_in_mid_run_ends_the_run_as_lock_lost(
    database: Database, strategy: str
) -> None:
    measured(database.dsn)
    end = at(1, lambda: database.sql(_TERMINATE))
    run = run_once(database.dsn, make_runner(progress=end, rounds=3, strategies=[strategy]))
    assert run.outcome == "partial"
    assert run.failure is not None
    assert run.failure.reason == "lock_lost"
    assert run.failure.case == run.cases[0].case.key
    assert run.failure.round == 2
    gone(database)
    measured(database.dsn)


@pytest.mark.parametrize("strategy", ALL_SIX)
def test_a_backend_terminated_in_mid_insert_ends_the_run_as_lock_lost(
    database: Database, strategy: str
) -> None:
    measured(database.dsn)
    slow_rows(database, ORDERS, 0.002)

    async def go() -> Run:
        task = asyncio.create_task(measure(database.dsn, rows=1000, strategies=[strategy]))
        await until_inserting(database)
        await asyncio.to_thread(database.sql, _TERMINATE)
        return await task

    run = asyncio.run(go())
    assert run.outcome == "failed"
    assert run.failure is not None
    assert (run.failure.reason, run.failure.case) == ("lock_lost", run.cases[0].case.key)
    gone(database)


async def until_inserting(database: Database) -> None:
    await asyncio.to_thread(
        wait_until,
        lambda: database.sql(
            "SELECT FROM pg_stat_activity WHERE state = 'active' AND application_name ="
            " 'ingest-canary' AND wait_event = 'PgSleep' AND datname = current_database()"
        ),
        "a row of ours to be on its way",
    )


@pytest.mark.parametrize("strategy", ALL_SIX)
def test_a_cancelled_run_leaves_neither_rows_nor_lock_nor_session(
    database: Database, strategy: str
) -> None:
    measured(database.dsn)
    slow_rows(database, ORDERS, 0.002)

    async def go() -> None:
        task = asyncio.create_task(measure(database.dsn, rows=2000, strategies=[strategy]))
        await until_inserting(database)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 5)

    asyncio.run(go())
    gone(database)
    assert all_empty(database)


def test_a_server_that_stops_in_mid_run_is_unavailable(pg_bin: Path, server_root: Path) -> None:
    with Server(pg_bin, server_root / "stopping") as server:
        server.sql("CREATE EXTENSION pg_stat_statements")
        stop = at(1, lambda: server.stop("immediate"))
        run = run_once(server.dsn(), make_runner(progress=stop, rounds=3))
        assert run.outcome == "partial"
        assert run.failure is not None
        assert (run.failure.reason, run.failure.round) == ("unavailable", 2)
        server.start()
        measured(server.dsn())


def test_a_server_that_crashes_and_recovers_in_mid_run_loses_the_lock_not_the_truth(
    pg_bin: Path, server_root: Path
) -> None:
    with Server(pg_bin, server_root / "crashing") as server:

        def crash() -> None:
            server.kill()
            server.start()

        run = run_once(server.dsn(), make_runner(progress=at(1, crash), rounds=3))
        assert run.failure is not None
        assert run.failure.reason == "lock_lost"
        assert len(run.cases[0].samples) == 1
        measured(server.dsn())


def test_a_lost_session_is_never_replaced_behind_our_back(database: Database) -> None:
    """SQLAlchemy would open a new connection, without lock and bounds, if it were asked to."""
    measured(database.dsn)

    async def go() -> None:
        async with locked_session(target_of(database.dsn)) as session:
            await asyncio.to_thread(database.sql, _TERMINATE)
            with pytest.raises(Exception, match="terminat|closed|lost"):
                await tables.empty(session, "orders")
            assert not session.alive

    asyncio.run(go())
    gone(database)


def test_locks_are_neither_leaked_nor_stacked(database: Database) -> None:
    runner = make_runner(rows=20)
    for _ in range(5):
        assert run_once(database.dsn, runner).outcome == "ok"
        gone(database)

    def held(_done: int, _total: int, _what: str) -> None:
        assert locks_of_ours(database) == 1

    assert run_once(database.dsn, make_runner(progress=held)).outcome == "ok"
