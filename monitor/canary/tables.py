"""The only module that creates, empties or drops: our schema and our tables, nothing else.

Each change locks the table and checks its mark in the same transaction. Nothing is ever issued with
CASCADE, and TRUNCATE and LOCK say ONLY, so that a table of somebody else's that inherits from ours
stays as it is. What goes with a table, its partitions and those of ours that refer to it, is locked
and its mark checked like the table's own. Tables stay between runs, emptied: a new table would be a
new statistics entry.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from asyncpg import Record
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
    """What ``remove_all`` dropped: tables by name, whether the schema went with them, and types."""

    tables: tuple[str, ...]
    schema: bool
    types: tuple[str, ...] = ()


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
    with translated(session.target):
        async with driver.transaction():
            await _prepare_schema(session)
            await _drop_passing(driver, schema)
            await _make(driver, schema, sort_tables(tables), passing)
        await _empty_used(driver, schema)


async def add(session: Session, tables: Iterable[Table], *, passing: bool = False) -> None:
    """Make more tables like ``prepare``, after it, where their columns need what came between."""
    schema, driver = session.target.schema, session.driver
    with translated(session.target):
        async with driver.transaction():
            await _make(driver, schema, sort_tables(tables), passing)


async def _prepare_schema(session: Session) -> None:
    driver, schema = session.driver, session.target.schema
    server = await driver.fetchrow(sql.load("server"))
    assert server is not None  # noqa: S101 - for mypy; the query always gives a row
    await refuse_foreign_schema(driver, session.target, server["may_create_schema"], server["role"])
    if await driver.fetchrow(sql.load("schema"), schema) is None:
        await driver.execute(f"CREATE SCHEMA {quote(schema)}")
        await driver.execute(f"COMMENT ON SCHEMA {quote(schema)} IS {literal(schema_mark())}")


async def _make(driver: Driver, schema: str, ordered: Sequence[Table], passing: bool) -> None:
    outdated = []
    for table in ordered:
        mark = await _mark_of(driver, schema, table.name)
        if mark is not None and definition_in(mark) != definition_hash(table):
            outdated.append(table.name)
    await _drop_tables(driver, schema, outdated)
    for table in ordered:
        await _make_missing(driver, schema, table, passing)


async def _make_missing(driver: Driver, schema: str, table: Table, passing: bool) -> None:
    """Make the table with its indexes and mark, if it is not there."""
    if await _mark_of(driver, schema, table.name) is not None:
        return
    for statement in create_statements(table):
        await driver.execute(statement)
    mark = literal(table_mark(definition_hash(table), passing=passing))
    await driver.execute(f"COMMENT ON TABLE {qualified(schema, table.name)} IS {mark}")


async def _drop_passing(driver: Driver, schema: str) -> None:
    rows = await marked(driver, schema)
    await _drop_tables(driver, schema, [row["name"] for row in rows if is_passing(row["mark"])])


async def _drop_tables(driver: Driver, schema: str, names: Sequence[str]) -> None:
    """Drop tables of ours and those of ours that refer to them; call in a transaction."""
    if names:
        family = await _lock_family(driver, schema, names)
        listed = ", ".join(qualified(schema, name) for name in family)
        await driver.execute(f"DROP TABLE {listed}")


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
        await _empty(session.driver, session.target.schema, [name])


async def _empty(driver: Driver, schema: str, names: Sequence[str]) -> Collection[str]:
    """Empty tables, and with them, since it goes only so, those that refer to them; all by name."""
    async with driver.transaction():
        family = await _lock_family(driver, schema, names)
        words = [
            # Of a partitioned table ONLY would empty nothing; under the lock it gets no other
            # partition.
            qualified(schema, name) if partitioned else f"ONLY {qualified(schema, name)}"
            for name, partitioned in family.items()
        ]
        await driver.execute(f"TRUNCATE TABLE {', '.join(words)} RESTART IDENTITY")
    return family.keys()


async def _lock_family(driver: Driver, schema: str, names: Iterable[str]) -> dict[str, bool]:
    """Lock tables and what goes with them when they are emptied or dropped; all of it is ours.

    That is their partitions and the tables that refer to them by foreign keys, each looked for
    under the lock of what it hangs on. Returns by name whether a table is partitioned, without the
    partitions, which need no name of their own.
    """
    family: dict[str, bool] = {}
    waiting = [(schema, name) for name in names]
    seen = set(waiting)
    within: set[tuple[str, str]] = set()
    for place in waiting:
        await _lock_marked(driver, *place)
        rows = await driver.fetch(sql.load("family"), qualified(*place))
        partitions = {(row["schema"], row["name"]) for row in rows if row["partition"]}
        within |= partitions
        if place not in within:
            family[place[1]] = bool(partitions)
        fresh = dict.fromkeys((row["schema"], row["name"]) for row in rows)
        waiting += [other for other in fresh if other not in seen]
        seen.update(fresh)
    return family


async def empty_all(session: Session) -> None:
    """Empty every table of ours that holds anything."""
    with translated(session.target):
        await _empty_used(session.driver, session.target.schema)


async def empty_together(driver: Driver, schema: str, names: Sequence[str]) -> None:
    """Empty tables of ours within the caller's transaction, errors untranslated."""
    await _empty(driver, schema, names)


async def _empty_used(driver: Driver, schema: str) -> None:
    ours = set(await our_tables(driver, schema))
    rows = [row for row in await driver.fetch(sql.load("storage"), schema) if row["name"] in ours]
    # Not "is there a visible row": an aborted round leaves dead rows, and those take space.
    waiting = list(dict.fromkeys(row["root"] for row in rows if row["used"]))
    while waiting:
        emptied = await _empty(driver, schema, waiting[:1])
        waiting = [name for name in waiting if name not in emptied]


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
    await _drop_tables(driver, schema, tables)
    for kind, names in (
        ("SEQUENCE", [row["name"] for row in found if row["relkind"] == "S"]),
        ("TYPE", [row["name"] for row in found if row["typtype"]]),
    ):
        if names:
            listed = ", ".join(qualified(schema, name) for name in names)
            await driver.execute(f"DROP {kind} {listed}")
