"""The only module that creates, empties or drops: our schema and our tables, nothing else.

Each change locks the table and checks its mark in the same transaction. Nothing is ever issued with
CASCADE, and TRUNCATE and LOCK say ONLY, so that a table of somebody else's that inherits from ours
stays as it is; of a partitioned table, where ONLY means nothing, every partition is locked and its
mark checked. Tables stay between runs, emptied: a new table would be a new statistics entry.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

from asyncpg import Record
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
STORAGE = "autovacuum_enabled = false, toast.autovacuum_enabled = false"


#: Bytes that a row takes besides its values: line pointer and alignment; and an index entry.
_TUPLE_OVERHEAD = 8
_INDEX_ENTRY = 24


@dataclass(frozen=True, slots=True)
class Removal:
    """What ``remove_all`` dropped: tables by name, whether the schema went with them, and types."""

    tables: tuple[str, ...]
    schema: bool
    types: tuple[str, ...] = ()


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
    await driver.execute(f"{_create_statement(table)} WITH ({STORAGE})")
    await driver.execute(f"COMMENT ON TABLE {name} IS {literal(table_mark(definition))}")


def definition_hash(table: Table) -> str:
    """Twelve hex digits of what the table is created from."""
    return sha256(f"{_create_statement(table)} {STORAGE}".encode()).hexdigest()[:12]


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


async def _empty(driver: Driver, schema: str, *names: str) -> None:
    async with driver.transaction():
        words = [await _lock_whole(driver, schema, name) for name in names]
        await driver.execute(f"TRUNCATE TABLE {', '.join(words)} RESTART IDENTITY")


async def _lock_whole(driver: Driver, schema: str, name: str) -> str:
    """Lock a table and its partitions, all of them ours; returns how TRUNCATE is to name it.

    Of a partitioned table ONLY would empty nothing: under the lock it can get no other partition.
    """
    await _lock_marked(driver, schema, name)
    partitions = await driver.fetch(
        "SELECT n.nspname::text AS schema, c.relname::text AS name"
        " FROM pg_catalog.pg_partition_tree($1::regclass) AS t"
        " JOIN pg_catalog.pg_class AS c ON c.oid = t.relid"
        " JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace WHERE t.level > 0",
        qualified(schema, name),
    )
    for partition in partitions:
        await _lock_marked(driver, partition["schema"], partition["name"])
    return qualified(schema, name) if partitions else f"ONLY {qualified(schema, name)}"


async def empty_all(session: Session) -> None:
    """Empty every table of ours that holds anything."""
    with translated(session.target):
        await _empty_used(session.driver, session.target.schema)


async def empty_together(driver: Driver, schema: str, names: Iterable[str]) -> None:
    """Empty tables of ours that foreign keys tie together; partitions with their tables."""
    partitions = await driver.fetch(
        "SELECT c.relname::text AS name FROM pg_catalog.pg_class AS c"
        " JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace"
        " WHERE n.nspname = $1 AND c.relispartition",
        schema,
    )
    within = {row["name"] for row in partitions}
    await _empty(driver, schema, *(name for name in names if name not in within))


async def _empty_used(driver: Driver, schema: str) -> None:
    """Tables that a foreign key points to go together with those that point to them."""
    ours = set(await our_tables(driver, schema))
    rows = [row for row in await driver.fetch(sql.load("storage"), schema) if row["name"] in ours]
    referring = {row["root"]: row["referring"] for row in rows}
    # Not "is there a visible row": an aborted round leaves dead rows, and those take space.
    waiting = list(dict.fromkeys(row["root"] for row in rows if row["used"]))
    while waiting:
        group = [waiting[0]]
        for name in group:
            group += [other for other in referring.get(name, ()) if other not in group]
        await _empty(driver, schema, *group)
        waiting = [name for name in waiting if name not in group]


async def our_tables(driver: Driver, schema: str) -> list[str]:
    """Names of the marked tables in our schema, partitioned ones and partitions included."""
    return [row["name"] for row in await marked(driver, schema) if row["relkind"] in ("r", "p")]


async def marked(driver: Driver, schema: str) -> list[Record]:
    """Everything in our schema that carries our mark: tables, types and sequences."""
    oid = await driver.fetchval(
        "SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = $1", schema
    )
    rows = await driver.fetch(sql.load("objects"), oid) if oid is not None else []
    return [row for row in rows if is_marked(row["mark"])]


async def leaves(driver: Driver, schema: str, name: str) -> list[str]:
    """The tables that hold the rows of a table of ours: itself, or its partitions."""
    rows = await driver.fetch(sql.load("storage"), schema)
    return [row["name"] for row in rows if row["root"] == name]


async def table_bytes(session: Session, name: str) -> int:
    """Size of a table with indexes, toast and partitions, in bytes."""
    with translated(session.target):
        return await bytes_of(session.driver, session.target.schema, name)


async def bytes_of(driver: Driver, schema: str, name: str) -> int:
    """The same within a transaction of the caller's, errors untranslated."""
    names = [qualified(schema, leaf) for leaf in await leaves(driver, schema, name)]
    size: int = await driver.fetchval(
        "SELECT coalesce(sum(pg_catalog.pg_total_relation_size(name::regclass)), 0)::bigint"
        " FROM pg_catalog.unnest($1::text[]) AS name",
        names,
    )
    return size


async def expected_bytes(session: Session, name: str, rows: int) -> int:
    """Size that a table would have with ``rows`` rows like those it holds now, indexes included."""
    driver, schema = session.driver, session.target.schema
    table = qualified(schema, name)
    with translated(session.target):
        sizes = [
            await driver.fetchrow(
                "SELECT coalesce(sum(pg_catalog.pg_column_size(t)), 0)::bigint, count(*)"  # noqa: S608
                f" FROM ONLY {qualified(schema, leaf)} AS t"
            )
            for leaf in await leaves(driver, schema, name)
        ]
        indexes = await driver.fetchval(
            "SELECT count(*) FROM pg_catalog.pg_index WHERE indrelid = $1",
            await driver.fetchval("SELECT $1::regclass::oid", table),
        )
    held = sum(size[1] for size in sizes if size)
    mean = sum(size[0] for size in sizes if size) / held if held else 0.0
    return int(rows * (mean + _TUPLE_OVERHEAD + indexes * _INDEX_ENTRY))


async def count_rows(session: Session, name: str) -> int:
    """How many rows a table of ours holds."""
    driver, schema = session.driver, session.target.schema
    with translated(session.target):
        counts: list[int] = [
            await driver.fetchval(f"SELECT count(*) FROM ONLY {qualified(schema, leaf)}")  # noqa: S608
            for leaf in await leaves(driver, schema, name)
        ]
    return sum(counts)


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
            rows = await marked(driver, schema)
            await drop(driver, schema, rows)
            role = await driver.fetchval("SELECT current_user::text")
            owned = found["owner"] == role
            if owned:
                await driver.execute(f"DROP SCHEMA {quote(schema)}")
    names = tuple(row["name"] for row in rows if row["relkind"] in ("r", "p"))
    types = tuple(row["name"] for row in rows if row["typtype"])
    return Removal(names, schema=owned, types=types)


async def drop(driver: Driver, schema: str, rows: Iterable[Record]) -> None:
    """Drop what ``marked`` found, or some of it, within the caller's transaction.

    All of a kind at once, since one may hold another: a foreign key, a domain over an enum.
    """
    found = list(rows)
    tables = [row["name"] for row in found if row["relkind"] in ("r", "p")]
    for name in tables:
        await _lock_marked(driver, schema, name)
    for kind, names in (
        ("TABLE", tables),
        ("SEQUENCE", [row["name"] for row in found if row["relkind"] == "S"]),
        ("TYPE", [row["name"] for row in found if row["typtype"]]),
    ):
        if names:
            listed = ", ".join(qualified(schema, name) for name in names)
            await driver.execute(f"DROP {kind} {listed}")
