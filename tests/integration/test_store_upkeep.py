"""``ingest-canary store migrate`` and ``prune`` as a user, or a DBA, runs them."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from monitor.store.database import Database
from monitor.store.schema import migration_sql, open_store
from tests.acceptance.process import COMMAND
from tests.conftest import Database as PostgreSQL
from tests.conftest import missing
from tests.integration.places import (
    DAY,
    HEAD,
    NOW,
    RUNS,
    Place,
    file_place_fixture,  # noqa: F401
    made,
    names,
    newer_fixture,  # noqa: F401
    other_fixture,  # noqa: F401
    place_fixture,  # noqa: F401
    refused,
)
from tests.stores import record, records_every, sample_count

# --- migrate and prune ---------------------------------------------------------------------------


def test_migrate_creates_the_store_once(place: Place) -> None:
    where = str(place.location)
    assert place.call("migrate").stdout == f"{where}: created with schema {HEAD}\n"
    assert place.call("migrate").stdout == f"{where}: schema {HEAD} is there already\n"
    place.fill()


@pytest.fixture
def psql(database: PostgreSQL) -> Callable[[str], str]:
    """Runs SQL as a DBA does: by psql, in ``database``, as superuser."""
    program = database.server.binaries.program("psql")
    if not Path(program).exists():
        missing(f"{program} is not there")

    def run(script: str) -> str:
        done = subprocess.run(
            [program, "-X", "-v", "ON_ERROR_STOP=1", "-d", database.dsn],
            input=script,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stderr

    return run


def test_the_sql_of_migrate_makes_a_store(
    database: PostgreSQL, tmp_path: Path, psql: Callable[[str], str]
) -> None:
    """By a superuser for a role that may create nothing itself."""
    role = 'store "owner"'
    plain = Place(made(tmp_path / "plain"), None)
    script = plain.call("migrate", "--sql", "--role", role)
    assert (script.returncode, script.stderr) == (0, "")
    assert names(plain.data_dir) == []
    database.sql('DROP ROLE IF EXISTS "store ""owner"""')
    database.sql('CREATE ROLE "store ""owner""" LOGIN')
    assert psql(script.stdout) == ""
    url = database.server.dsn(database.name, quote(role, safe=""))
    place = Place(made(tmp_path / "data"), url)
    assert place.call("migrate").stdout.endswith(f": schema {HEAD} is there already\n")
    place.fill()
    assert place.json("status")["content"]["samples"] == sample_count(RUNS)
    assert place.json("status")["kind"] == "postgresql"
    assert place.call("migrate", "--sql").stdout == (
        f"-- The store has schema {HEAD}, which is needed: nothing to do.\n"
    )
    owners = database.sql(
        "SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class WHERE relnamespace ="
        " 'ingest_canary_store'::regnamespace AND relkind IN ('r', 'p')"
    )
    assert owners == [(role,)]
    database.sql('DROP OWNED BY "store ""owner"""')
    database.sql('DROP ROLE "store ""owner"""')


def definitions(database: PostgreSQL) -> list[tuple[Any, ...]]:
    """Everything in the store's schema, as the server describes it."""
    return database.sql(
        "SELECT relname, relkind, obj_description(c.oid, 'pg_class'), attname,"
        " format_type(atttypid, atttypmod), attnotnull, pg_get_expr(adbin, adrelid),"
        " pg_get_partkeydef(c.oid), CASE WHEN relkind IN ('i', 'I') THEN pg_get_indexdef(c.oid) END"
        " FROM pg_class AS c LEFT JOIN pg_attribute AS a ON attrelid = c.oid AND attnum > 0"
        " LEFT JOIN pg_attrdef ON adrelid = c.oid AND adnum = attnum"
        " WHERE relnamespace = 'ingest_canary_store'::regnamespace ORDER BY 1, 2, attnum"
    ) + database.sql(
        "SELECT obj_description(oid), (SELECT string_agg(name || value, ',' ORDER BY name)"
        " FROM ingest_canary_store.store) FROM pg_namespace WHERE nspname = 'ingest_canary_store'"
    )


def test_the_sql_of_migrate_makes_what_migrate_makes(
    database: PostgreSQL, tmp_path: Path, psql: Callable[[str], str]
) -> None:
    place = Place(made(tmp_path / "data"), database.dsn)
    script = place.call("migrate", "--sql").stdout
    assert "SET LOCAL ROLE" not in script
    assert database.sql("SELECT 1 FROM pg_namespace WHERE nspname = 'ingest_canary_store'") == []
    place.call("migrate")
    expected = definitions(database)
    database.sql("DROP SCHEMA ingest_canary_store CASCADE")
    psql(script)
    assert len(expected) > 100
    assert definitions(database) == expected


def test_the_sql_of_an_upgrade_is_that_of_what_is_missing(
    database: PostgreSQL, tmp_path: Path, newer: Path, psql: Callable[[str], str]
) -> None:
    place = Place(made(tmp_path / "data"), database.dsn)
    place.fill()

    async def upgrade() -> None:
        store = Database(place.location)
        script = await migration_sql(store, migrations=newer)
        assert "CREATE" not in script
        psql(script)
        assert await open_store(store, newer, create=False) == "postgresql"
        await store.dispose()

    asyncio.run(upgrade())


def test_what_is_half_made_stays_undone(
    database: PostgreSQL, tmp_path: Path, psql: Callable[[str], str]
) -> None:
    """The SQL is one transaction: where the schema is another's, nothing of it happens."""
    script = Place(made(tmp_path / "data"), None).call("migrate", "--sql").stdout
    database.sql("CREATE SCHEMA ingest_canary_store")
    with pytest.raises(AssertionError, match='schema "ingest_canary_store" already exists'):
        psql(script)
    assert database.sql("SELECT 1 FROM pg_tables WHERE schemaname = 'ingest_canary_store'") == []


def test_a_role_without_sql_is_bad_input(file_place: Place) -> None:
    refused(file_place.call("migrate", "--role", "x"), "--role goes with --sql.")


def test_prune_removes_what_retention_no_longer_keeps(place: Place) -> None:
    # Weeks, so that on PostgreSQL a whole partition is old.
    old = records_every(timedelta(hours=12), NOW - 60 * DAY, NOW - 50 * DAY)
    place.do(lambda store: store.append(*old, *RUNS))
    found = place.json("prune")
    assert found["samples"] > 0
    assert found["longest_wait_seconds"] > 0
    assert (found["partitions"] > 0) == (place.location.dialect == "postgresql")
    content = place.json("status")["content"]
    assert content["samples"] == sample_count(old) + sample_count(RUNS) - found["samples"]
    assert content["runs"] == len(old) + len(RUNS)
    assert content["daily_rollups"] >= 2 * 10
    again = place.call("prune")
    assert again.stdout.startswith(
        "removed 0 samples (0 partitions), 0 runs, 0 rollups, 0 detector states; 0 bytes freed;"
        " nobody waited longer than "
    )


def test_prune_heeds_the_settings(file_place: Place) -> None:
    file_place.do(lambda store: store.append(*RUNS, record(NOW - 5 * DAY)))
    done = file_place.call(
        "prune", "--json", INGEST_CANARY_STORE__RAW_RETENTION="3d",
        INGEST_CANARY_STORE__HOURLY_RETENTION="4d",
    )  # fmt: skip
    found = json.loads(done.stdout)
    assert (found["samples"], found["runs"], found["rollups"]) == (10, 1, 2)


def test_every_command_explains_itself() -> None:
    for command in ("export", "import", "status", "migrate", "prune"):
        done = subprocess.run(
            [*COMMAND, "store", command, "--help"], capture_output=True, text=True, check=True
        )
        assert f"store {command}" in done.stdout
