"""Safety contract 6: where we would do harm we refuse with a reason, having changed nothing."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from monitor.canary import guard
from monitor.canary.guard import logging_reason
from monitor.model import Target
from tests.conftest import Database
from tests.integration.helpers import SCHEMA, measured, refusal, unchanged
from tests.servers import Server, wait_until

_numbers = itertools.count(1)


# --- servers that are not meant to be written to -------------------------------------------------


def test_a_standby_is_refused(pg_bin: Path, server_root: Path) -> None:
    with Server(pg_bin, server_root / "standby", {"hot_standby": "on"}) as server:
        server.stop()
        (server.data / "standby.signal").touch()
        server.start()
        assert server.sql("SELECT pg_is_in_recovery()") == [(True,)]
        assert "in recovery (a standby); point the target at the primary" in refusal(server.dsn())


@pytest.mark.parametrize("scope", ["ROLE postgres IN DATABASE", "DATABASE"])
def test_a_database_that_is_read_only_by_default_is_refused(database: Database, scope: str) -> None:
    database.sql(f'ALTER {scope} "{database.name}" SET default_transaction_read_only = on')
    message = refusal(database.dsn)
    assert "read-only by default" in message
    assert "default_transaction_read_only" in message
    assert schemas(database) == []


def schemas(database: Database) -> list[tuple[object, ...]]:
    return database.sql(f"SELECT nspname FROM pg_namespace WHERE nspname = '{SCHEMA}'")


# --- versions; the only place where the server's side is not real --------------------------------


def test_a_server_older_than_the_oldest_supported_is_refused(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "OLDEST_VERSION", 99)
    with unchanged(database):
        assert "is older than 99, the oldest supported" in refusal(database.dsn)


def test_a_server_newer_than_tested_is_measured_with_a_notice(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "NEWEST_TESTED_VERSION", 13)
    run = measured(database.dsn)
    notices = [str(notice) for notice in run.notices if notice.subject == "version"]
    assert len(notices) == 1
    assert "newer than 13, the newest tested" in notices[0]


# --- publications ---------------------------------------------------------------------------------


@contextmanager
def subscriber(database: Database, publication: str) -> Iterator[Database]:
    """Another database of the same server that subscribes; ``public.ledger`` is replicated."""
    server, name = database.server, f"subscriber_{next(_numbers)}"
    other = Database(name, server.create_database(name), server)
    for each in (database, other):
        each.sql("CREATE TABLE public.ledger (n int PRIMARY KEY)")
    place = f"host={server.socket} port={server.port} user=postgres dbname={database.name}"
    # Within one server the slot must exist before: CREATE SUBSCRIPTION would wait for itself.
    database.sql(f"SELECT pg_create_logical_replication_slot('{name}', 'pgoutput')")
    other.sql(
        f"CREATE SUBSCRIPTION {name} CONNECTION '{place}' PUBLICATION {publication}"
        " WITH (create_slot = false)"
    )
    try:
        yield other
    finally:
        other.sql(f"ALTER SUBSCRIPTION {name} DISABLE")
        other.sql(f"ALTER SUBSCRIPTION {name} SET (slot_name = NONE)")
        other.sql(f"DROP SUBSCRIPTION {name}")
        free = f"SELECT 1 FROM pg_replication_slots WHERE slot_name = '{name}' AND NOT active"
        wait_until(lambda: database.sql(free), "the slot to be free")
        database.sql(f"SELECT pg_drop_replication_slot('{name}')")
        server.sql(f'DROP DATABASE "{name}" WITH (FORCE)')


def replicated(publisher: Database, other: Database, n: int) -> None:
    """A row written at the publisher comes through."""
    publisher.sql(f"INSERT INTO public.ledger VALUES ({n})")
    query = f"SELECT n FROM public.ledger WHERE n = {n}"
    wait_until(lambda: other.sql(query) == [(n,)], f"row {n} to be replicated", seconds=20)


def test_a_publication_of_all_tables_is_refused_and_its_subscriber_goes_on(
    database: Database,
) -> None:
    database.sql("CREATE PUBLICATION everything FOR ALL TABLES")
    with subscriber(database, "everything") as other:
        replicated(database, other, 1)
        with unchanged(database):
            message = refusal(database.dsn)
        assert "publication everything covers schema" in message
        assert "allow_publication" in message
        replicated(database, other, 2)


def test_a_publication_of_another_table_is_no_reason_to_refuse(database: Database) -> None:
    database.sql("CREATE TABLE public.other (n int); CREATE PUBLICATION one FOR TABLE public.other")
    database.sql("ALTER PUBLICATION one DROP TABLE public.other")
    with subscriber(database, "one") as other:
        database.sql("ALTER PUBLICATION one ADD TABLE public.ledger")
        name = other.name
        other.sql(f"ALTER SUBSCRIPTION {name} REFRESH PUBLICATION")
        replicated(database, other, 1)
        measured(database.dsn)
        replicated(database, other, 2)


def test_a_publication_of_all_tables_may_be_allowed(database: Database) -> None:
    database.sql("CREATE PUBLICATION everything FOR ALL TABLES")
    measured(Target("t", database.dsn, allow_publication=True))


def test_a_publication_of_our_schema_is_refused(database: Database) -> None:
    if database.server.version < 15:
        pytest.skip("schemas can be published from PostgreSQL 15 on")
    measured(database.dsn)
    database.sql(f"CREATE PUBLICATION ours FOR TABLES IN SCHEMA {SCHEMA}")
    with unchanged(database):
        assert "publication ours covers" in refusal(database.dsn)
    measured(Target("t", database.dsn, allow_publication=True))


def test_a_publication_of_a_table_of_ours_is_refused(database: Database) -> None:
    measured(database.dsn)
    database.sql(f"CREATE PUBLICATION ours FOR TABLE {SCHEMA}.orders")
    with unchanged(database):
        assert "publication ours covers" in refusal(database.dsn)
    measured(Target("t", database.dsn, allow_publication=True))


# --- statement logging ----------------------------------------------------------------------------


LOGGING = [
    ("log_statement = 'mod'", "log_statement = mod"),
    ("log_statement = 'all'", "log_statement = all"),
    ("log_duration = on", "log_duration = on"),
    ("log_min_duration_statement = 0", "log_min_duration_statement = 0"),
    ("log_min_duration_sample = 0", "log_min_duration_sample = 0"),
    ("log_transaction_sample_rate = 0.5", "log_transaction_sample_rate = 0.5"),
    ("auto_explain.log_min_duration = 0", "auto_explain.log_min_duration = 0"),
]


@pytest.mark.parametrize("scope", ["ROLE postgres IN DATABASE", "DATABASE"])
@pytest.mark.parametrize(("setting", "named"), LOGGING, ids=[named for _, named in LOGGING])
def test_logging_of_every_statement_is_refused_unless_allowed(
    database: Database, scope: str, setting: str, named: str
) -> None:
    alter = f'ALTER {scope} "{database.name}" SET'
    if setting.startswith("auto_explain"):
        database.sql(f"{alter} session_preload_libraries = 'auto_explain'")
    database.sql(f"{alter} {setting}")
    before = len(database.server.log_text())
    with unchanged(database):
        message = refusal(database.dsn)
    assert named in message
    assert "allow_statement_logging" in message
    assert "INSERT" not in database.server.log_text()[before:]
    measured(Target("t", database.dsn, allow_statement_logging=True), rows=20)


@pytest.mark.parametrize(
    "setting", ["log_statement = 'ddl'", "log_min_duration_statement = '1s'", "log_duration = off"]
)
def test_logging_of_few_statements_is_no_reason_to_refuse(database: Database, setting: str) -> None:
    database.sql(f'ALTER DATABASE "{database.name}" SET {setting}')
    measured(database.dsn)


QUIET = {
    "log_statement": "none",
    "log_duration": "off",
    "log_min_duration_statement": "-1",
    "log_min_duration_sample": "-1",
    "log_statement_sample_rate": "1",
    "log_transaction_sample_rate": "0",
}


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({}, None),
        ({"log_statement": "ddl"}, None),
        ({"log_statement": "mod"}, "log_statement = mod"),
        ({"log_statement": "all"}, "log_statement = all"),
        ({"log_min_duration_statement": "250ms"}, None),
        ({"log_min_duration_statement": "10ms"}, None),
        ({"log_min_duration_statement": "0"}, "log_min_duration_statement = 0"),
        ({"log_min_duration_statement": "0ms"}, "log_min_duration_statement = 0ms"),
        ({"log_min_duration_sample": "0"}, "log_min_duration_sample = 0"),
        ({"log_min_duration_sample": "0", "log_statement_sample_rate": "0"}, None),
        ({"log_transaction_sample_rate": "0.01"}, "log_transaction_sample_rate = 0.01"),
        ({"pgaudit.log": "none"}, None),
        ({"pgaudit.log": "ddl, role"}, None),
        ({"pgaudit.log": "read, write"}, "pgaudit.log = read, write"),
        ({"pgaudit.log": "WRITE"}, "pgaudit.log = WRITE"),
        ({"pgaudit.log": "all"}, "pgaudit.log = all"),
        ({"pgaudit.log": "all, -write"}, None),
        ({"pgaudit.log": "all, -read"}, "pgaudit.log = all, -read"),
        ({"auto_explain.log_min_duration": "-1"}, None),
        ({"auto_explain.log_min_duration": "1s"}, None),
        ({"auto_explain.log_min_duration": "0"}, "auto_explain.log_min_duration = 0"),
        ({"auto_explain.log_min_duration": "0", "auto_explain.sample_rate": "0"}, None),
    ],
)
def test_what_counts_as_logging_every_statement(
    settings: dict[str, str], reason: str | None
) -> None:
    assert logging_reason(QUIET | settings) == reason
