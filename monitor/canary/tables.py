"""The only module that creates, empties or drops: our schema and our tables, nothing else.

Each change locks the table and checks its mark in the same transaction. Nothing is ever issued with
CASCADE, and TRUNCATE and LOCK say ONLY, so that a table of somebody else's that inherits from ours
stays as it is. Tables stay between runs, emptied: a new table would be a new statistics entry.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

from sqlalchemy import MetaData, Table
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.schema import CreateTable
from sqlalchemy.sql import quoted_name

from monitor.canary import sql
from monitor.canary.connection import Driver, Session, translated
from monitor.canary.guard import refuse_foreign_schema
from monitor.canary.identifiers import (
    definition_in,
    is_marked,
    literal,
    qualified,
    quote,
    schema_mark,
    table_mark,
)
from monitor.errors import TargetRefused

#: Autovacuum would run into rounds; what it does is done by us, outside the clock.
_STORAGE = "autovacuum_enabled = false, toast.autovacuum_enabled = false"


#: Bytes that a row takes besides its values: line pointer and alignment; and an index entry.
_TUPLE_OVERHEAD = 8
_INDEX_ENTRY = 24


@dataclass(frozen=True, slots=True)
class Removal:
    """What ``remove_all`` dropped: tables by name, and whether the schema went with them."""

    tables: tuple[str, ...]
    schema: bool


def metadata_for(schema: str) -> MetaData:
    """Metadata whose tables live in our schema, its name always quoted."""
    return MetaData(schema=quoted_name(schema, quote=True))


async def prepare(session: Session, tables: Iterable[Table]) -> None:
    """Make schema and tables where they are missing, and empty what a crash left behind.

    A table of ours that was made from another definition is made anew. Call with the lock held.
    Raises TargetRefused if anything in the way is not ours.
    """
    schema, driver = session.target.schema, session.driver
    with translated(session.target):
        async with driver.transaction():
            await _prepare_schema(session)
            for table in tables:
                await _prepare_table(driver, schema, table)
        await _empty_used(driver, schema)


async def _prepare_schema(session: Session) -> None:
    driver, schema = session.driver, session.target.schema
    server = await driver.fetchrow(sql.load("server"))
    assert server is not None  # noqa: S101 - for mypy; the query always gives a row
    await refuse_foreign_schema(driver, session.target, server["may_create_schema"], server["role"])
    if await driver.fetchrow(sql.load("schema"), schema) is None:
        await driver.execute(f"CREATE SCHEMA {quote(schema)}")
        await driver.execute(f"COMMENT ON SCHEMA {quote(schema)} IS {literal(schema_mark())}")


async def _prepare_table(driver: Driver, schema: str, table: Table) -> None:
    definition = definition_hash(table)
    mark = await _mark_of(driver, schema, table.name)
    if mark is not None:
        if definition_in(mark) == definition:
            return
        await _lock_marked(driver, schema, table.name)
        await driver.execute(f"DROP TABLE {qualified(schema, table.name)}")
    name = qualified(schema, table.name)
    await driver.execute(f"{_create_statement(table)} WITH ({_STORAGE})")
    await driver.execute(f"COMMENT ON TABLE {name} IS {literal(table_mark(definition))}")


def definition_hash(table: Table) -> str:
    """Twelve hex digits of what the table is created from."""
    return sha256(f"{_create_statement(table)} {_STORAGE}".encode()).hexdigest()[:12]


def _create_statement(table: Table) -> str:
    dialect = PGDialect_asyncpg()  # type: ignore[no-untyped-call]
    return str(CreateTable(table).compile(dialect=dialect)).strip()


async def _mark_of(driver: Driver, schema: str, name: str) -> str | None:
    mark: str | None = await driver.fetchval(
        "SELECT pg_catalog.obj_description(pg_catalog.to_regclass($1)::oid, 'pg_class')",
        qualified(schema, name),
    )
    return mark


async def _lock_marked(driver: Driver, schema: str, name: str) -> None:
    """Lock the table, then make sure that what is locked carries our mark."""
    await driver.execute(f"LOCK TABLE ONLY {qualified(schema, name)} IN ACCESS EXCLUSIVE MODE")
    if not is_marked(await _mark_of(driver, schema, name)):
        raise TargetRefused(
            f"table {schema}.{name} does not carry ingest-canary's mark (any more); it is left as"
            " it is."
        )


async def empty(session: Session, name: str) -> None:
    """Empty one of our tables and restart its sequences, outside every clock."""
    with translated(session.target):
        await _empty(session.driver, session.target.schema, name)


async def _empty(driver: Driver, schema: str, name: str) -> None:
    async with driver.transaction():
        await _lock_marked(driver, schema, name)
        await driver.execute(f"TRUNCATE TABLE ONLY {qualified(schema, name)} RESTART IDENTITY")


async def empty_all(session: Session) -> None:
    """Empty every table of ours that holds anything."""
    with translated(session.target):
        await _empty_used(session.driver, session.target.schema)


async def _empty_used(driver: Driver, schema: str) -> None:
    for name in await our_tables(driver, schema):
        # Not "is there a visible row": an aborted round leaves dead rows, and those take space.
        if await driver.fetchval(
            "SELECT pg_catalog.pg_relation_size($1::regclass) > 0", qualified(schema, name)
        ):
            await _empty(driver, schema, name)


async def our_tables(driver: Driver, schema: str) -> list[str]:
    """Names of the marked tables in our schema."""
    oid = await driver.fetchval(
        "SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = $1", schema
    )
    rows = await driver.fetch(sql.load("objects"), oid) if oid is not None else []
    return [row["name"] for row in rows if row["relkind"] == "r" and is_marked(row["mark"])]


async def table_bytes(session: Session, name: str) -> int:
    """Size of a table with indexes and toast, in bytes."""
    with translated(session.target):
        size: int = await session.driver.fetchval(
            "SELECT pg_catalog.pg_total_relation_size($1::regclass)",
            qualified(session.target.schema, name),
        )
    return size


async def expected_bytes(session: Session, name: str, rows: int) -> int:
    """Size that a table would have with ``rows`` rows like those it holds now, indexes included."""
    table = qualified(session.target.schema, name)
    row_bytes = f"(SELECT avg(pg_catalog.pg_column_size(t)) FROM ONLY {table} AS t)"  # noqa: S608
    with translated(session.target):
        mean, indexes = await session.driver.fetchrow(  # type: ignore[misc]
            f"SELECT {row_bytes}, (SELECT count(*) FROM pg_catalog.pg_index WHERE indrelid = $1)",  # noqa: S608
            await session.driver.fetchval("SELECT $1::regclass::oid", table),
        )
    return int(rows * (float(mean or 0) + _TUPLE_OVERHEAD + indexes * _INDEX_ENTRY))


async def count_rows(session: Session, name: str) -> int:
    """How many rows a table of ours holds."""
    table = qualified(session.target.schema, name)
    with translated(session.target):
        count: int = await session.driver.fetchval(f"SELECT count(*) FROM ONLY {table}")  # noqa: S608
    return count


async def remove_all(session: Session) -> Removal:
    """Drop everything that is ours, in one transaction; call with the lock held.

    The schema goes too where the role owns it. Raises TargetRefused, having changed nothing, if
    something in it or on it is not ours.
    """
    driver, schema = session.driver, session.target.schema
    with translated(session.target):
        found = await driver.fetchrow(sql.load("schema"), schema)
        if found is None:
            return Removal((), schema=False)
        async with driver.transaction():
            await refuse_foreign_schema(driver, session.target, may_create=False, role="ours")
            names = await our_tables(driver, schema)
            for name in names:
                await _lock_marked(driver, schema, name)
            if names:  # all at once: a foreign key may tie one to another
                listed = ", ".join(qualified(schema, name) for name in names)
                await driver.execute(f"DROP TABLE {listed}")
            role = await driver.fetchval("SELECT current_user::text")
            owned = found["owner"] == role
            if owned:
                await driver.execute(f"DROP SCHEMA {quote(schema)}")
    return Removal(tuple(names), schema=owned)
