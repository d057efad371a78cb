"""Sessions opened like an application's: what its settings bring about on a real server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from monitor.canary.connection import Canary, Session
from monitor.canary.lock import exclusive
from monitor.measure.attempt import attempt
from monitor.model import Connect, Run, Target
from tests.conftest import Database
from tests.integration.helpers import (
    PLENTY,
    gone,
    locks_of_ours,
    make_runner,
    measured,
    sessions_of_ours,
    with_session,
)
from tests.servers import wait_until


def target(database: Database, **connect: Any) -> Target:
    return Target("t", database.dsn, connect=Connect(**connect))


def shown(name: str) -> Callable[[Session], Awaitable[str]]:
    async def show(session: Session) -> str:
        value: str = await session.driver.fetchval("SELECT current_setting($1)", name)
        return value

    return show


# --- settings of the server ----------------------------------------------------------------------


def test_server_settings_are_in_force_and_the_bounds_stay(database: Database) -> None:
    wanted = target(database, server_settings=(("jit", "off"), ("synchronous_commit", "off")))
    assert with_session(wanted, shown("synchronous_commit")) == "off"
    assert with_session(wanted, shown("jit")) == "off"
    assert with_session(wanted, shown("lock_timeout")) == "5s"
    assert with_session(wanted, shown("application_name")) == "ingest-canary"


def test_a_run_knows_how_its_sessions_were_opened(database: Database) -> None:
    plain = measured(target(database)).environment
    other = target(database, server_settings=(("jit", "off"),), statement_cache_size=0)
    changed = measured(other).environment
    assert plain and changed
    found = {each.name: each for each in plain.differences(changed)}
    assert found["connect.statement_cache_size"].after == "0"
    assert found["jit"].after == "off"
    assert found["connect.jit"].after != "off"  # an extension's setting might be a secret


# --- caches --------------------------------------------------------------------------------------


def caches(database: Database, **connect: Any) -> tuple[list[str], bool]:
    """What asyncpg's own cache holds after a run, and whether SQLAlchemy has one of its own."""

    async def go() -> tuple[list[str], bool]:
        canary = Canary(target(database, **connect))
        runner = make_runner(strategies=("core_executemany", "asyncpg_unnest"))
        try:
            async with canary.session() as session, exclusive(session):
                run = await runner.run(session, "manual", PLENTY)
                assert run.outcome == "ok", run.failures
                rows = await session.driver.fetch("SELECT statement FROM pg_prepared_statements")
                raw = await session.connection.get_raw_connection()
                adapted: Any = raw.dbapi_connection
                return (
                    [
                        row["statement"]
                        for row in rows
                        if row["statement"].startswith("INSERT") and "unnest" in row["statement"]
                    ],
                    adapted._prepared_statement_cache is not None,
                )
        finally:
            await canary.dispose()

    return asyncio.run(go())


def test_cache_sizes_reach_asyncpg_and_sqlalchemy(database: Database) -> None:
    kept, own = caches(database)
    assert (len(kept), own) == (1, True)
    kept, own = caches(database, statement_cache_size=0)
    assert (len(kept), own) == (0, True)
    kept, own = caches(database, prepared_statement_cache_size=0)
    assert (len(kept), own) == (1, False)


# --- a session that is kept ----------------------------------------------------------------------


async def runs_of(canary: Canary, count: int) -> list[Run]:
    runner = make_runner()
    return [await attempt(canary, runner, "manual", wal_allowance=PLENTY) for _ in range(count)]


def backends(database: Database) -> list[tuple[Any, ...]]:
    return database.sql(
        "SELECT pid FROM pg_stat_activity WHERE application_name = 'ingest-canary'"
        " AND datname = current_database()"
    )


def test_a_kept_session_serves_every_run_and_holds_no_lock_between(database: Database) -> None:
    async def go() -> None:
        canary = Canary(target(database, keep=True))
        try:
            await runs_of(canary, 1)
            wait_until(lambda: sessions_of_ours(database) == 1, "the guard's session to go")
            first = backends(database)
            assert locks_of_ours(database) == 0
            (run,) = await runs_of(canary, 1)
            assert run.outcome == "ok"
            wait_until(lambda: backends(database) == first, "only the same session to be there")
        finally:
            await canary.dispose()

    asyncio.run(go())
    gone(database)


def test_a_kept_session_that_ended_meanwhile_is_replaced(database: Database) -> None:
    async def go() -> None:
        canary = Canary(target(database, keep=True))
        try:
            await runs_of(canary, 1)
            database.sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'ingest-canary' AND datname = current_database()"
            )
            (run,) = await runs_of(canary, 1)
            assert run.outcome == "ok"
        finally:
            await canary.dispose()

    asyncio.run(go())
    gone(database)


def test_the_server_itself_ends_a_kept_session_that_was_idle_too_long(database: Database) -> None:
    async def go() -> None:
        canary = Canary(target(database, keep=True, recycle_seconds=0.5))
        try:
            async with canary.session() as session:
                pid = session.driver.get_server_pid()
                assert await shown("idle_session_timeout")(session) == "500ms"
            await asyncio.to_thread(gone, database)
            async with canary.session() as session:
                assert session.driver.get_server_pid() != pid
        finally:
            await canary.dispose()

    asyncio.run(go())


def test_a_session_that_a_run_was_cancelled_in_is_not_kept(database: Database) -> None:
    async def go() -> None:
        canary = Canary(target(database, keep=True))
        try:
            async with canary.session() as session:
                pid = session.driver.get_server_pid()
                raise RuntimeError
        except RuntimeError:
            async with canary.session() as session:
                assert session.driver.get_server_pid() != pid
        finally:
            await canary.dispose()

    asyncio.run(go())
    gone(database)
