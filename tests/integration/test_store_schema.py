"""Whose schema it is and of which version: made once, upgraded on request, else left as it was."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData

from monitor.errors import StoreRefused, StoreUnavailable
from monitor.store import tables
from monitor.store.database import Database, Location
from monitor.store.schema import MIGRATIONS, migrate, open_store, versions_of
from monitor.store.tables import MARK
from tests.acceptance.process import call
from tests.conftest import Database as CanaryDatabase
from tests.contents import assert_exactly, contents, contents_of
from tests.integration.helpers import inventory, unchanged
from tests.records import record
from tests.stores import location_fixture, opened

assert location_fixture
SCHEMA = "ingest_canary_store"
#: Indexes that the model has by ``ddl_if``, which the comparison does not heed.
POSTGRESQL_ONLY = ("sample_series", "sample_brin")
HEAD = ScriptDirectory(str(MIGRATIONS)).get_current_head()
Result = TypeVar("Result")


def with_database(location: Location, work: Callable[[Database], Awaitable[Result]]) -> Result:
    """What ``work`` makes of the store at a place."""

    async def go() -> Result:
        database = Database(location)
        try:
            return await work(database)
        finally:
            await database.dispose()

    return asyncio.run(go())


def execute(location: Location, statement: str) -> None:
    async def go(database: Database) -> None:
        async with database.writing() as connection:
            await connection.exec_driver_sql(statement)

    with_database(location, go)


def dump(location: Location) -> list[Any]:
    """All that there is at a place, to the row."""
    if location.url is None:
        with sqlite3.connect(location.path) as connection:
            lines = list(connection.iterdump())
        connection.close()
        return lines

    async def go(database: Database) -> list[Any]:
        async with database.reading() as connection:
            names = await connection.exec_driver_sql(
                "SELECT oid::regclass::text, obj_description(oid, 'pg_class') FROM pg_class"
                " WHERE relkind IN ('r', 'p') AND relnamespace::regnamespace::text"
                " NOT IN ('pg_catalog', 'information_schema') ORDER BY 1"
            )
            return [
                (*name, *(await connection.exec_driver_sql(f"TABLE {name[0]}")).all())
                for name in names.all()
            ]

    return with_database(location, go)


@contextmanager
def nothing_changes(location: Location) -> Iterator[None]:
    before = dump(location)
    yield
    assert dump(location) == before


# --- making it -----------------------------------------------------------------------------------


async def _open_at_once(location: Location, count: int) -> list[str]:
    databases = [Database(location) for _ in range(count)]
    try:
        return list(await asyncio.gather(*(open_store(each) for each in databases)))
    finally:
        for each in databases:
            await each.dispose()


def test_many_that_start_at_once_make_one_store(location: Location) -> None:
    assert asyncio.run(_open_at_once(location, 5)) == [location.dialect] * 5
    facts = [row for row in dump(location) if "created_by" in str(row)]
    assert len(facts) == 1
    assert str(facts).count("created_by") == 1


def test_opening_again_changes_nothing(location: Location) -> None:
    with_database(location, open_store)
    with nothing_changes(location):
        with_database(location, open_store)


def test_asking_for_an_empty_place_makes_nothing(location: Location) -> None:
    with pytest.raises(StoreUnavailable, match="nothing has been stored yet"):
        with_database(location, lambda database: open_store(database, create=False))
    assert not location.path.exists()


def test_migrations_make_what_the_model_says(location: Location) -> None:
    async def differences(database: Database) -> list[Any]:
        await open_store(database)
        async with database.writing() as connection:
            return await connection.run_sync(_differences, database.schema)

    assert with_database(location, differences) == []


def _differences(connection: Connection, schema: str | None) -> list[Any]:
    model = MetaData()
    for table in tables.metadata.tables.values():
        table.to_metadata(model, schema=schema)
    options = {
        "compare_type": True,
        "include_schemas": schema is not None,
        "include_name": lambda name, kind, _: kind != "schema" or name == schema,
        "include_object": lambda _, name, *__: schema or name not in POSTGRESQL_ONLY,
        "version_table_schema": schema,
    }
    context = MigrationContext.configure(connection, opts=options)
    return list(compare_metadata(context, model))


def test_a_column_that_the_migrations_lack_would_be_seen(location: Location) -> None:
    """That the test above can fail."""
    with_database(location, open_store)
    name = f'{SCHEMA}."control"' if location.url else '"control"'
    execute(location, f"ALTER TABLE {name} DROP COLUMN note")

    async def differences(database: Database) -> list[Any]:
        async with database.writing() as connection:
            return await connection.run_sync(_differences, database.schema)

    assert "note" in str(with_database(location, differences))


def test_all_that_is_ours_on_postgresql_is_marked(database: CanaryDatabase, tmp_path: Path) -> None:
    location = Location(tmp_path / "unused", database.dsn)

    async def fill() -> None:
        async with opened(location) as store:
            await store.append(record(1), record(20_000), record(40_000))

    asyncio.run(fill())
    relations = database.sql(
        "SELECT relname, obj_description(oid, 'pg_class') FROM pg_class"
        f" WHERE relnamespace = '{SCHEMA}'::regnamespace AND relkind IN ('r', 'p')"
    )
    assert len([name for name, _ in relations if name.startswith("sample_2")]) == 3
    assert {"sample", "run", "alembic_version"} <= {name for name, _ in relations}
    assert {mark for _, mark in relations} == {MARK}
    (found,) = database.sql(f"SELECT obj_description('{SCHEMA}'::regnamespace, 'pg_namespace')")
    assert found == (MARK,)


# --- other versions of ours ----------------------------------------------------------------------


@pytest.fixture
def next_migrations(tmp_path: Path) -> Path:
    """The chain with one more revision."""
    directory = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, directory, ignore=shutil.ignore_patterns("__pycache__"))
    (directory / "versions" / "r9999_next.py").write_text(
        "import sqlalchemy as sa\nfrom alembic import context, op\n"
        f"revision = '9999'\ndown_revision = '{HEAD}'\n"
        "def upgrade():\n"
        "    schema = context.config.attributes['schema']\n"
        "    op.add_column('control', sa.Column('reason', sa.Text), schema=schema)\n"
    )
    return directory


def test_an_older_store_is_refused_naming_the_command_that_upgrades_it(
    location: Location, next_migrations: Path
) -> None:
    async def fill() -> None:
        async with opened(location) as store:
            await store.append(record(1))

    asyncio.run(fill())
    with nothing_changes(location), pytest.raises(StoreRefused) as refused:
        with_database(location, lambda database: open_store(database, next_migrations))
    assert "run `ingest-canary store migrate`" in str(refused.value)
    assert f"schema {HEAD}" in str(refused.value)

    before = with_database(location, lambda database: migrate(database, next_migrations))
    assert (before.found, before.needed, before.current) == (HEAD, "9999", False)
    after = with_database(location, lambda database: versions_of(database, next_migrations))
    assert after.current
    with_database(location, lambda database: open_store(database, next_migrations))
    assert_exactly(contents_of(location), [record(1)])
    assert "reason" in str(with_database(location, _control_columns))

    # And now this program is the older one.
    with nothing_changes(location), pytest.raises(StoreRefused, match="newer version"):
        with_database(location, open_store)


async def _control_columns(database: Database) -> list[str]:
    async with database.reading() as connection:
        rows = await connection.exec_driver_sql(f"SELECT * FROM {database.name_of('control')}")
        return list(rows.keys())


def test_upgrading_twice_or_by_two_at_once_is_upgrading(
    location: Location, next_migrations: Path
) -> None:
    with_database(location, open_store)

    async def both() -> None:
        databases = [Database(location) for _ in range(3)]
        await asyncio.gather(*(migrate(each, next_migrations) for each in databases))
        for each in databases:
            await each.dispose()

    asyncio.run(both())
    again = with_database(location, lambda database: migrate(database, next_migrations))
    assert again.current


def settings_of(location: Location) -> dict[str, str]:
    return {"INGEST_CANARY_STORE__URL": location.url} if location.url else {}


def test_a_newer_store_is_refused_by_everything_and_stays_as_it_is(location: Location) -> None:
    with_database(location, open_store)
    name = f"{SCHEMA}.alembic_version" if location.url else "alembic_version"
    execute(location, f"UPDATE {name} SET version_num = 'zzzz'")
    with nothing_changes(location):
        with pytest.raises(StoreRefused, match=r"newer version of ingest-canary \(schema zzzz"):
            with_database(location, open_store)
        with pytest.raises(StoreRefused, match="newer version"):
            with_database(location, migrate)
        if location.url:
            done = call(location.path.parent, "run", "--port", "0", extra=settings_of(location))
            assert done.returncode == 2, done.stderr
            assert "newer version of ingest-canary" in done.stderr.splitlines()[-1]


# --- what is not ours ----------------------------------------------------------------------------


def _foreign_file(path: Path, application_id: int = 0) -> bytes:
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA application_id = {application_id}")
    connection.execute("CREATE TABLE theirs AS SELECT 1 AS precious")
    connection.commit()
    connection.close()
    return path.read_bytes()


@pytest.mark.parametrize("application_id", [0, 0x0F055112])
def test_a_sqlite_file_of_another_program_is_refused_and_untouched(
    tmp_path: Path, application_id: int
) -> None:
    location = Location(tmp_path / "store.sqlite")
    before = _foreign_file(location.path, application_id)
    for work in (open_store, migrate, versions_of):
        with pytest.raises(StoreRefused, match="of another program") as refused:
            with_database(location, work)  # type: ignore[arg-type]
        assert str(location.path) in str(refused.value)
    if not application_id:
        done = call(tmp_path, "pause")
        assert done.returncode == 2
        assert "store.sqlite is a SQLite database of another program" in done.stderr
    assert location.path.read_bytes() == before
    assert [path.name for path in tmp_path.glob("store.sqlite*")] == ["store.sqlite"]


def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path) -> None:
    location = Location(tmp_path / "store.sqlite")
    location.path.write_text("somebody's notes\n" * 1000)
    with pytest.raises((StoreUnavailable, StoreRefused), match="not a database"):
        with_database(location, open_store)
    assert location.path.read_text() == "somebody's notes\n" * 1000


def test_a_schema_that_somebody_else_made_is_refused(
    database: CanaryDatabase, tmp_path: Path
) -> None:
    database.sql(f"CREATE SCHEMA {SCHEMA}; CREATE TABLE {SCHEMA}.theirs AS SELECT 1 AS precious")
    location = Location(tmp_path / "unused", database.dsn)
    with unchanged(database):
        for work in (open_store, migrate):
            with pytest.raises(StoreRefused, match=f"schema {SCHEMA} is there") as refused:
                with_database(location, work)  # type: ignore[arg-type]
        assert f"COMMENT ON SCHEMA \"{SCHEMA}\" IS '{MARK}'" in str(refused.value)


def test_the_comment_that_the_refusal_names_makes_it_ours(
    database: CanaryDatabase, tmp_path: Path
) -> None:
    database.sql(f"CREATE SCHEMA {SCHEMA}; COMMENT ON SCHEMA \"{SCHEMA}\" IS '{MARK}'")
    location = Location(tmp_path / "unused", database.dsn)
    assert with_database(location, open_store) == "postgresql"


@pytest.mark.parametrize("kind", ["TABLE", "VIEW", "MATERIALIZED VIEW"])
def test_a_foreign_object_in_our_schema_is_refused_by_name(
    database: CanaryDatabase, tmp_path: Path, kind: str
) -> None:
    location = Location(tmp_path / "unused", database.dsn)
    with_database(location, open_store)
    database.sql(f"CREATE {kind} {SCHEMA}.theirs AS SELECT 1 AS precious")
    with unchanged(database), pytest.raises(StoreRefused, match="holds theirs, which"):
        with_database(location, open_store)
    assert inventory(database)


# --- what we may not -----------------------------------------------------------------------------


@pytest.fixture
def poor_role(database: CanaryDatabase) -> Iterator[str]:
    """A role that may connect and nothing else."""
    database.sql("CREATE ROLE poor LOGIN")
    yield "poor"
    database.sql("DROP OWNED BY poor CASCADE; DROP ROLE poor")


def test_a_role_that_may_not_create_a_schema_is_told_what_to_do(
    database: CanaryDatabase, poor_role: str, tmp_path: Path
) -> None:
    url = database.server.dsn(database.name, user=poor_role)
    location = Location(tmp_path / "unused", url)
    with unchanged(database), pytest.raises(StoreRefused) as refused:
        with_database(location, open_store)
    message = str(refused.value)
    assert "may not create" in message
    assert SCHEMA in message
    assert "\n" not in message
    done = call(tmp_path, "run", "--port", "0", extra=settings_of(location))
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == f"ingest-canary: {message}"


def test_in_a_schema_that_a_dba_made_for_it_the_role_needs_no_more(
    database: CanaryDatabase, poor_role: str, tmp_path: Path
) -> None:
    database.sql(
        f"CREATE SCHEMA {SCHEMA} AUTHORIZATION {poor_role}; COMMENT ON SCHEMA {SCHEMA} IS '{MARK}'"
    )
    url = database.server.dsn(database.name, user=poor_role)

    async def fill() -> None:
        async with opened(Location(tmp_path / "unused", url)) as store:
            await store.append(record(1))
            assert_exactly(await contents(store.database), [record(1)])

    asyncio.run(fill())


def test_a_place_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailable, match="store"):
        with_database(Location(tmp_path / "file" / "store.sqlite"), open_store)
