"""Safety contract 7 and 8: a run that loses its session or is cancelled loses lock and work too."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from monitor.canary import tables
from monitor.errors import TargetError
from monitor.model import Run
from tests.conftest import Database
from tests.integration.helpers import (
    ALL_SIX,
    LIMITS,
    SCHEMA,
    all_empty,
    at,
    bystander,
    gone,
    locked_session,
    make_runner,
    measure,
    measured,
    run_once,
    sessions_of_ours,
    slow_rows,
    target_of,
)
from tests.servers import Server, wait_until
from tests.slow_network import slow_network

ORDERS = f"{SCHEMA}.orders"
_TERMINATE = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE application_name = 'ingest-canary' AND datname = current_database()"
)


async def until_inserting(database: Database) -> None:
    await asyncio.to_thread(
        wait_until,
        lambda: database.sql(
            "SELECT FROM pg_stat_activity WHERE state = 'active' AND application_name ="
            " 'ingest-canary' AND wait_event = 'PgSleep' AND datname = current_database()"
        ),
        "a row of ours to be on its way",
    )


def waiting(database: Database) -> list[tuple[object, ...]]:
    return database.sql(
        f"SELECT 1 FROM pg_locks WHERE NOT granted AND relation = '{ORDERS}'::regclass"
    )


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


def test_a_run_cancelled_while_it_waits_for_a_table_ends_all_the_same(database: Database) -> None:
    measured(database.dsn)

    async def go() -> None:
        async with bystander(database.dsn) as other, other.transaction():
            await other.execute(f"LOCK TABLE {ORDERS}")
            task = asyncio.create_task(measure(database.dsn))
            await asyncio.to_thread(wait_until, lambda: waiting(database), "us to wait")
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asyncio.wait_for(task, 5)
            await asyncio.to_thread(gone, database)
            assert await other.fetchval("SELECT 1") == 1

    asyncio.run(go())


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
            with pytest.raises(TargetError):
                await tables.empty(session, "orders")
            # asyncpg may see the socket's end a moment later.
            await asyncio.to_thread(wait_until, lambda: not session.alive, "the session's end")

    asyncio.run(go())
    gone(database)


@pytest.mark.slow
def test_a_session_that_a_proxy_holds_between_inserts_is_given_up(
    database: Database, tmp_path: Path
) -> None:
    """What it sent is acknowledged and never answered; new connections are as ever."""
    with slow_network(database.server.port, tmp_path) as network:
        address = f":{database.server.port}/"
        dsn = database.server.tcp_dsn(database.name).replace(address, f":{network.port}/")

        def hold() -> None:
            network.delay(100_000)
            threading.Timer(1, network.delay, (0,)).start()

        limits = replace(LIMITS, round_seconds=1)
        run = run_once(dsn, make_runner(limits, progress=at(1, hold), rounds=3))
    assert run.outcome == "partial"
    assert run.failure
    assert run.failure.reason == "timeout"
    assert "connection given up" in run.failure.message
    wait_until(lambda: sessions_of_ours(database) == 0, "the server ends the session", 90)
