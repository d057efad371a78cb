"""Safety contract 7 and 8: one run at a time, on the session that holds the lock, and clean after.

Connection lost is lock lost is work lost.
"""

from __future__ import annotations

import asyncio
import itertools
import signal
import subprocess
import sys
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from monitor.canary.lock import lock_key
from monitor.errors import LockHeld
from monitor.model import Run
from tests.conftest import Database
from tests.integration.helpers import (
    ALL_SIX,
    SCHEMA,
    all_empty,
    gone,
    locked_session,
    locks_of_ours,
    make_runner,
    measure,
    measured,
    run_once,
    slow_rows,
    target_of,
)
from tests.servers import wait_until

ORDERS = f"{SCHEMA}.orders"
_LOCK_BACKEND = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted"


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


def together(*runs: Coroutine[object, object, Run]) -> list[Run]:
    async def go() -> list[Run]:
        return list(await asyncio.gather(*runs))

    return asyncio.run(go())


def test_two_runs_at_once_take_turns(database: Database) -> None:
    first, second = together(
        measure(database.dsn, wait_seconds=30, strategies=ALL_SIX, rounds=2),
        measure(database.dsn, wait_seconds=30, strategies=ALL_SIX, rounds=2),
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
    assert [run.outcome for run in together(*both)] == ["ok", "ok"]
    assert len(set(seen)) == 2, "one backend for each run"
    changes = sum(one != other for one, other in itertools.pairwise(seen))
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


def test_locks_are_neither_leaked_nor_stacked(database: Database) -> None:
    runner = make_runner(rows=20)
    for _ in range(5):
        assert run_once(database.dsn, runner).outcome == "ok"
        gone(database)

    def held(_done: int, _total: int, _what: str) -> None:
        assert locks_of_ours(database) == 1

    assert run_once(database.dsn, make_runner(progress=held)).outcome == "ok"
