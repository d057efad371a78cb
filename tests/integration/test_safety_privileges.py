"""Safety contract 3, 4 and 5: least privilege is enough, nothing is granted, nobody is harmed."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from monitor.canary import tables
from monitor.canary.connection import BOUNDS, Session
from monitor.canary.role import role_statements
from monitor.errors import TargetRefused
from monitor.model import Target
from tests.conftest import Database
from tests.integration.helpers import (
    ALL_SIX,
    SCHEMA,
    all_empty,
    bystander,
    inventory,
    measure,
    measured,
    refusal,
    remove_all,
    unchanged,
    with_session,
)

#: Everything in a server that somebody could be granted, or that could be set for everybody.
_SHARED = {
    "roles": "SELECT * FROM pg_roles ORDER BY oid",
    "memberships": "SELECT * FROM pg_auth_members ORDER BY 1, 2, 3",
    "databases": "SELECT datname, datacl, datdba FROM pg_database ORDER BY 1",
    "settings of roles": "SELECT * FROM pg_db_role_setting ORDER BY 1, 2",
    "settings": "SELECT name, setting, source, reset_val, pending_restart FROM pg_settings"
    " WHERE name NOT LIKE 'transaction%' ORDER BY 1",
    "settings of files": "SELECT name, setting FROM pg_file_settings ORDER BY 1, 2",
    "resets": "SELECT stats_reset FROM pg_stat_statements_info",
    "database resets": "SELECT datname, stats_reset FROM pg_stat_database ORDER BY 1",
    "extensions": "SELECT extname, extversion, extnamespace FROM pg_extension ORDER BY 1",
}


@pytest.fixture
def role(database: Database) -> Iterator[str]:
    """The name of a role of the test's own; what it owns goes with the test."""
    name = f"Least {database.name}"
    yield name
    database.sql(f'DROP OWNED BY "{name}"')
    database.sql(f'DROP ROLE "{name}"')


def psql(database: Database, script: str) -> None:
    """Run it as a DBA would."""
    server = database.server
    subprocess.run(
        [
            *(server.binaries.program("psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1"),
            *("-h", server.socket, "-p", str(server.port), "-U", "postgres", database.name),
        ],
        input=script,
        text=True,
        check=True,
        capture_output=True,
    )


def dsn_of(database: Database, role: str) -> str:
    return database.server.dsn(database.name, role.replace(" ", "%20"))


def let_in(database: Database, role: str) -> str:
    """The DSN of a role made by the SQL that role-sql prints, with no CREATE on the database."""
    psql(database, role_statements(role, SCHEMA))
    return dsn_of(database, role)


def test_the_role_of_role_sql_can_do_everything_and_is_nobody(
    database: Database, role: str
) -> None:
    dsn = let_in(database, role)
    ((superuser, create_role, create_database, bypass),) = database.sql(
        "SELECT rolsuper, rolcreaterole, rolcreatedb, rolbypassrls FROM pg_roles"
        f" WHERE rolname = '{role}'"
    )
    assert not any((superuser, create_role, create_database, bypass))
    may_create = f"SELECT has_database_privilege('{role}', '{database.name}', 'CREATE')"
    assert database.sql(may_create) == [(False,)]
    run = measured(dsn, strategies=ALL_SIX)
    assert all(s.calls and s.wal_bytes for case in run.cases for s in case.samples)
    assert all(s.other_sessions is not None for case in run.cases for s in case.samples)
    assert all_empty(database)
    removal = remove_all(dsn)
    assert removal.tables == ("orders", "probe_commit", "probe_insert")
    assert not removal.schema
    measured(dsn)


def test_without_pg_read_all_stats_other_sessions_are_unknown(
    database: Database, role: str
) -> None:
    dsn = let_in(database, role)
    database.sql(f'REVOKE pg_read_all_stats FROM "{role}"')
    samples = [s for case in measured(dsn, strategies=ALL_SIX).cases for s in case.samples]
    assert [s.other_sessions for s in samples] == [None] * len(samples)
    assert all(s.server_seconds for s in samples), "our own statements we may always see"


def test_a_role_that_may_not_create_the_schema_is_sent_to_role_sql(
    database: Database, role: str
) -> None:
    database.sql(f'CREATE ROLE "{role}" LOGIN')
    with unchanged(database):
        message = refusal(dsn_of(database, role))
    assert f"role {role} may not create schema {SCHEMA}" in message
    assert "role-sql" in message


@pytest.mark.parametrize("privilege", ["USAGE", "CREATE"])
def test_a_role_without_a_privilege_on_the_schema_is_sent_to_role_sql(
    database: Database, role: str, privilege: str
) -> None:
    dsn = let_in(database, role)
    database.sql(f'REVOKE {privilege} ON SCHEMA {SCHEMA} FROM "{role}"')
    with unchanged(database):
        message = refusal(dsn)
    assert f"lacks USAGE or CREATE on schema {SCHEMA}" in message
    assert "role-sql" in message


def test_tables_of_another_role_are_refused_and_named(database: Database, role: str) -> None:
    dsn = let_in(database, role)
    measured(database.dsn)  # as postgres
    with unchanged(database):
        assert f"role {role} does not own {SCHEMA}.orders" in refusal(dsn)
        with pytest.raises(TargetRefused, match=f"does not own {SCHEMA}.orders"):
            remove_all(dsn)


def test_privileges_on_somebody_elses_marked_table_are_not_enough(
    database: Database, role: str
) -> None:
    """A role that may truncate what another made must still not do it."""
    dsn = let_in(database, role)
    measured(database.dsn)
    database.sql(f'GRANT ALL ON ALL TABLES IN SCHEMA {SCHEMA} TO "{role}"')
    with unchanged(database):
        assert "does not own" in refusal(dsn)


def shared_state(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    return {name: database.sql(query) for name, query in _SHARED.items()}


def test_a_run_and_a_cleanup_change_nothing_outside_our_schema(
    database: Database, role: str
) -> None:
    dsn = let_in(database, role)
    database.sql("CREATE TABLE public.theirs (n int); GRANT SELECT ON public.theirs TO public;")
    shared, objects = shared_state(database), inventory(database)
    measured(dsn, strategies=ALL_SIX)
    remove_all(dsn)
    assert inventory(database) == objects
    after = shared_state(database)
    for name, rows in shared.items():
        assert after[name] == rows, name


def test_what_we_make_is_granted_to_nobody(database: Database) -> None:
    measured(database.dsn)
    query = f"SELECT relacl FROM pg_class WHERE relnamespace = '{SCHEMA}'::regnamespace"
    assert {acl for (acl,) in database.sql(query)} == {None}


def test_statistics_of_other_statements_survive(database: Database) -> None:
    entries = (
        "SELECT queryid, calls FROM pg_stat_statements WHERE query ~ 'AS theirs FROM pg_class$'"
        " AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    for _ in range(3):
        database.sql("SELECT count(*) AS theirs FROM pg_class")
    before = database.sql(entries)
    assert [calls for _, calls in before] == [3]
    measured(database.dsn, strategies=ALL_SIX)
    remove_all(database.dsn)
    assert database.sql(entries) == before


def test_other_sessions_and_their_queries_go_on(database: Database) -> None:
    async def go() -> None:
        async with bystander(database.dsn) as idle, bystander(database.dsn) as busy:
            pid = await idle.fetchval("SELECT pg_backend_pid()")
            await idle.execute("BEGIN; CREATE TABLE public.uncommitted (n int)")
            query = asyncio.create_task(busy.fetchval("SELECT 'done' FROM pg_sleep(2)"))
            assert (await measure(database.dsn, strategies=ALL_SIX)).outcome == "ok"
            assert not query.done(), "the run was to end before the query"
            assert await idle.fetchval("SELECT pg_backend_pid()") == pid
            await idle.execute("COMMIT")
            assert await query == "done"

    asyncio.run(go())
    remove_all(database.dsn)
    assert database.sql("SELECT count(*) FROM public.uncommitted") == [(0,)]


async def settings_of(session: Session) -> dict[str, str]:
    query = "SELECT name, setting || coalesce(unit, '') FROM pg_settings WHERE name = ANY ($1)"
    return dict(await session.driver.fetch(query, [*BOUNDS, "application_name"]))


BOUNDED = {
    "application_name": "ingest-canary",
    "lock_timeout": "5000ms",
    "idle_in_transaction_session_timeout": "60000ms",
    "idle_session_timeout": "60000ms",
    "client_connection_check_interval": "1000ms",
}
BOUNDED_BY_TCP = {
    "tcp_keepalives_idle": "15s",
    "tcp_keepalives_interval": "5s",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "30000ms",
}


def test_our_session_is_bounded(database: Database) -> None:
    found = with_session(database.dsn, settings_of)
    assert {name: found[name] for name in BOUNDED} == BOUNDED


def test_our_session_over_tcp_is_bounded_there_too(database: Database) -> None:
    found = with_session(database.server.tcp_dsn(database.name), settings_of)
    assert found == BOUNDED | BOUNDED_BY_TCP


def test_bounds_of_the_role_do_not_loosen_ours(database: Database) -> None:
    for name in ("lock_timeout", "idle_session_timeout", "client_connection_check_interval"):
        database.sql(f'ALTER DATABASE "{database.name}" SET {name} = 0')
    found = with_session(database.dsn, settings_of)
    assert {name: found[name] for name in BOUNDED} == BOUNDED


def test_waiting_for_somebodys_lock_ends_by_our_lock_timeout(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured(database.dsn)
    monkeypatch.setitem(BOUNDS, "lock_timeout", "200ms")  # type: ignore[arg-type]

    async def go() -> str:
        async with bystander(database.dsn) as other, other.transaction():
            await other.execute(f"LOCK TABLE {SCHEMA}.orders IN SHARE MODE")
            with pytest.raises(Exception, match="lock timeout") as caught:
                await asyncio.to_thread(
                    with_session, database.dsn, lambda s: tables.empty(s, "orders")
                )
            assert await other.fetchval("SELECT 1") == 1
            return str(caught.value)

    assert "55P03" in asyncio.run(go())


def test_a_target_s_dsn_is_never_shown() -> None:
    assert "secret" not in repr(Target("t", "postgresql://u:secret@h/d"))
