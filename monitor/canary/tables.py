"""The only module that creates, empties or drops: our schema and our tables, nothing else.

Each change locks the table and checks its mark in the same transaction. Nothing is ever issued with
CASCADE, and TRUNCATE and LOCK say ONLY, so that a table of somebody else's that inherits from ours
stays as it is. Tables stay between runs, emptied: a new table would be a new statistics entry.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import MetaData, Table
from sqlalchemy.schema import sort_tables
from sqlalchemy.sql import quoted_name

from monitor.canary import sql
from monitor.canary.connection import Driver, Session, translated
from monitor.canary.definition import create_statements, definition_hash
from monitor.canary.guard import refuse_foreign_schema
from monitor.canary.identifiers import (
    definition_in,
    is_marked,
    is_passing,
    literal,
    qualified,
    quote,
    schema_mark,
    table_mark,
)
from monitor.errors import TargetRefused

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


async def prepare(session: Session, tables: Iterable[Table], *, passing: bool = False) -> None:
    """Make schema and tables where they are missing, and remove what a crash left behind.

    A table of ours that was made from another definition is made anew, and with it those that refer
    to it. What is made ``passing`` goes by ``remove_passing`` or when the next run begins. Call
    with the lock held. Raises TargetRefused if anything in the way is not ours.
    """
    schema, driver = session.target.schema, session.driver
    ordered = sort_tables(tables)
    with translated(session.target):
        async with driver.transaction():
            await _prepare_schema(session)
            await _drop_passing(driver, schema)
            for table in ordered:
                await _drop_outdated(driver, schema, table)
            for table in ordered:
                await _make_missing(driver, schema, table, passing)
        await _empty_used(driver, schema)


async def _prepare_schema(session: Session) -> None:
    driver, schema = session.driver, session.target.schema
    server = await driver.fetchrow(sql.load("server"))
    assert server is not None  # noqa: S101 - for mypy; the query always gives a row
    await refuse_foreign_schema(driver, session.target, server["may_create_schema"], server["role"])
    if await driver.fetchrow(sql.load("schema"), schema) is None:
        await driver.execute(f"CREATE SCHEMA {quote(schema)}")
        await driver.execute(f"COMMENT ON SCHEMA {quote(schema)} IS {literal(schema_mark())}")


async def _drop_outdated(driver: Driver, schema: str, table: Table) -> None:
    mark = await _mark_of(driver, schema, table.name)
    if mark is not None and definition_in(mark) != definition_hash(table):
        await _drop(driver, schema, table.name)


async def _make_missing(driver: Driver, schema: str, table: Table, passing: bool) -> None:
    """Make the table with its indexes and mark, if it is not there."""
    if await _mark_of(driver, schema, table.name) is not None:
        return
    for statement in create_statements(table):
        await driver.execute(statement)
    mark = literal(table_mark(definition_hash(table), passing=passing))
    await driver.execute(f"COMMENT ON TABLE {qualified(schema, table.name)} IS {mark}")


async def _drop_passing(driver: Driver, schema: str) -> None:
    for name, mark in (await _marks(driver, schema)).items():
        # One may have gone already, with the table that it refers to.
        if is_passing(mark) and await _mark_of(driver, schema, name) is not None:
            await _drop(driver, schema, name)


async def _drop(driver: Driver, schema: str, name: str) -> None:
    """Drop a table of ours and those of ours that refer to it; call in a transaction."""
    family = await _locked_family(driver, schema, name)
    listed = ", ".join(qualified(schema, member) for member in family)
    await driver.execute(f"DROP TABLE {listed}")


async def _locked_family(driver: Driver, schema: str, name: str) -> list[str]:
    """The table and those of ours that refer to it, each locked and found to be marked."""
    await _lock_marked(driver, schema, name)
    oid = await driver.fetchval("SELECT $1::regclass::oid", qualified(schema, name))
    rows = await driver.fetch(sql.load("family"), oid)
    others = [row["name"] for row in rows if row["name"] != name]
    for other in others:
        await _lock_marked(driver, schema, other)
    return [name, *others]


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
        # A table that others refer to can be emptied only in one statement with them.
        family = await _locked_family(driver, schema, name)
        listed = ", ".join(f"ONLY {qualified(schema, member)}" for member in family)
        await driver.execute(f"TRUNCATE TABLE {listed} RESTART IDENTITY")


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
    return list(await _marks(driver, schema))


async def _marks(driver: Driver, schema: str) -> dict[str, str]:
    """The marked tables in our schema by name, with their marks."""
    oid = await driver.fetchval(
        "SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = $1", schema
    )
    rows = await driver.fetch(sql.load("objects"), oid) if oid is not None else []
    tables = (row for row in rows if row["relkind"] == "r" and is_marked(row["mark"]))
    return {row["name"]: row["mark"] for row in tables}


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


async def drop_indexes(session: Session, name: str) -> None:
    """Drop the indexes of a table of ours, but those that a constraint owns."""
    driver, schema = session.driver, session.target.schema
    with translated(session.target):
        async with driver.transaction():
            await _lock_marked(driver, schema, name)
            oid = await driver.fetchval("SELECT $1::regclass::oid", qualified(schema, name))
            for row in await driver.fetch(sql.load("plain_indexes"), oid):
                await driver.execute(f"DROP INDEX {qualified(schema, row['name'])}")


async def build_indexes(
    session: Session, name: str, statements: Sequence[str], *, concurrently: bool
) -> None:
    """Make indexes on a table of ours by CREATE INDEX statements.

    ``concurrently`` says that the statements do so, which no transaction may hold: the mark is then
    checked in one of its own just before. Raises TargetRefused if it is missing.
    """
    driver, schema = session.driver, session.target.schema
    with translated(session.target):
        async with driver.transaction():
            await _lock_marked(driver, schema, name)
            if not concurrently:
                for statement in statements:
                    await driver.execute(statement)
        if concurrently:
            for statement in statements:
                await driver.execute(statement)


async def remove_passing(session: Session) -> None:
    """Drop the tables that were made for one command alone; call with the lock held."""
    driver, schema = session.driver, session.target.schema
    with translated(session.target):
        async with driver.transaction():
            await _drop_passing(driver, schema)


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
