"""Reads what a table is made of from the catalogue of a database, and not one of its rows.

Everything is asked in one READ ONLY transaction under a statement timeout, with functions of the
catalogue only, so that neither rows nor sequences are touched and no privilege on the table is
needed. Without SELECT on it the server hides its statistics; that is said, not refused.
"""

from __future__ import annotations

import asyncio
import difflib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import asyncpg

from monitor.canary import sql
from monitor.canary.connection import Driver, connect, translated
from monitor.canary.guard import OLDEST_VERSION
from monitor.errors import TargetRefused
from monitor.model import Target
from monitor.source import (
    Counting,
    Need,
    Source,
    SourceColumn,
    SourceConstraint,
    SourceIndex,
    SourceParent,
    SourcePartition,
    SourceTable,
    SourceType,
    Statistics,
)

#: Seconds that the whole reading may take before its connection is given up.
READ_SECONDS = 60.0

_SESSION = (
    "SET LOCAL search_path = pg_catalog; SET LOCAL lock_timeout = '5s';"
    " SET LOCAL statement_timeout = '30s'; SET LOCAL standard_conforming_strings = on;"
    " SET LOCAL quote_all_identifiers = off; SET LOCAL TimeZone = 'UTC';"
    " SET LOCAL DateStyle = 'ISO, YMD'"
)
_KINDS: Mapping[str, str] = {
    "v": "a view",
    "m": "a materialised view",
    "f": "a foreign table",
    "S": "a sequence",
    "c": "a composite type",
    "i": "an index",
    "I": "an index",
}

Record = asyncpg.Record
Needs = Mapping[int, tuple[Need, ...]]


async def read_table(source: Source, target: Target) -> SourceTable:
    """What the source's table is made of.

    ``target`` is asked where the source names no database of its own. Raises TargetRefused where
    there is no such table or it is of a kind that nothing can be made like, else TargetError.
    """
    place = target if source.dsn is None else Target("source", source.dsn)
    with translated(place):
        driver = await connect(place, statement_cache=False)
        deadline = asyncio.get_running_loop().call_later(READ_SECONDS, driver.terminate)
        try:
            async with driver.transaction(readonly=True):
                await driver.execute(_SESSION)
                return await _read(driver, source)
        finally:
            deadline.cancel()
            driver.terminate()


async def _read(driver: Driver, source: Source) -> SourceTable:
    version = driver.get_server_version().major
    if version < OLDEST_VERSION:
        raise TargetRefused(
            f"from_table {source.table}: its server, PostgreSQL {version}, is older than"
            f" {OLDEST_VERSION}, the oldest supported."
        )
    relation = await _relation(driver, source)
    oid = relation["oid"]
    constraints, parents = await _constraints(driver, oid)
    types = _types(await driver.fetch(sql.load("source_types"), [oid, *parents]))
    domains = [number for number, kind in types.items() if kind.kind == "d"]
    needs = _needs(await driver.fetch(sql.load("source_needs"), oid, domains))
    columns = _columns(await driver.fetch(sql.load("source_columns"), [oid, *parents]), needs)
    of_domains = await driver.fetch(sql.load("source_constraints"), 0, domains)
    indexes = await driver.fetch(sql.load("source_indexes"), oid)
    partitions = await driver.fetch(sql.load("source_partitions"), oid)
    return SourceTable(
        schema=relation["schema"],
        name=relation["name"],
        row_count=relation["row_count"],
        columns=tuple(columns[oid]),
        types=types,
        constraints=tuple(_constraint(row, needs, columns) for row in (*constraints, *of_domains)),
        indexes=tuple(_index(row, needs) for row in indexes),
        options=tuple(relation["options"]),
        unlogged=relation["unlogged"],
        access_method=relation["access_method"],
        strategy=relation["partition_strategy"],
        partition_columns=tuple(relation["partition_columns"] or ()),
        partitions=tuple(_partition(row) for row in partitions),
        extras=tuple(relation["extras"]),
    )


async def _relation(driver: Driver, source: Source) -> Record:
    relation = None
    with suppress(asyncpg.InvalidParameterValueError):
        async with driver.transaction():  # a savepoint: a name may be no name at all
            parts = await driver.fetchval("SELECT pg_catalog.parse_ident($1)", source.table)
            if len(parts) == 2:
                relation = await driver.fetchrow(sql.load("source_relation"), *parts)
    if relation is None:
        raise TargetRefused(f"from_table {source.table}: {await _not_there(driver, source.table)}")
    kind = _KINDS.get(relation["relkind"])
    if kind is None and relation["temporary"]:
        kind = "a temporary table"
    if kind is not None:
        raise TargetRefused(f"from_table {source.table}: it is {kind}; name a table.")
    return relation


async def _not_there(driver: Driver, name: str) -> str:
    database = await driver.fetchval("SELECT pg_catalog.current_database()")
    known = [row["name"] for row in await driver.fetch(sql.load("source_names"))]
    text = f"there is no such table in database {database}"
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    if nearest:
        return f"{text}; did you mean {nearest[0]}?"
    return f"{text}; write it with its schema as in SQL, for example public.orders."


async def _constraints(driver: Driver, oid: int) -> tuple[list[Record], list[int]]:
    rows = await driver.fetch(sql.load("source_constraints"), oid, [])
    return rows, sorted({row["parent"] for row in rows if row["kind"] == "f"})


def _types(rows: Sequence[Record]) -> dict[int, SourceType]:
    return {
        row["oid"]: SourceType(
            schema=row["schema"],
            name=row["name"],
            kind=row["kind"],
            element=row["element"],
            base=row["base"],
            base_typmod=row["base_typmod"],
            base_text=row["base_text"],
            not_null=row["not_null"],
            labels=tuple(row["labels"]),
            extension=row["extension"],
        )
        for row in rows
    }


def _needs(rows: Sequence[Record]) -> Needs:
    found: dict[int, list[Need]] = defaultdict(list)
    for row in rows:
        found[row["oid"]].append(
            Need(
                catalog=row["catalog"],
                oid=row["needed"],
                description=row["description"],
                schema=row["schema"],
                volatility=row["volatility"],
            )
        )
    return {oid: tuple(needs) for oid, needs in found.items()}


def _columns(rows: Sequence[Record], needs: Needs) -> dict[int, list[SourceColumn]]:
    found: dict[int, list[SourceColumn]] = defaultdict(list)
    for row in rows:
        found[row["relation"]].append(
            SourceColumn(
                number=row["number"],
                name=row["name"],
                type=row["type"],
                typmod=row["typmod"],
                text=row["text"],
                not_null=row["not_null"],
                identity=row["identity"],
                generated=row["generated"],
                storage=row["storage"],
                compression=row["compression"],
                collation=row["collation"],
                collation_built_in=bool(row["collation_built_in"]),
                expression=row["expression"],
                needs=needs.get(row["default_oid"], ()),
                sequence=_counting(row),
                statistics=_statistics(row),
            )
        )
    return found


def _counting(row: Record) -> Counting | None:
    if row["sequence"] is None:
        return None
    return Counting(
        type=row["sequence_type"],
        increment=row["seqincrement"],
        minimum=row["seqmin"],
        maximum=row["seqmax"],
        start=row["seqstart"],
        cache=row["seqcache"],
        cycle=row["seqcycle"],
    )


def _statistics(row: Record) -> Statistics | None:
    if row["n_distinct"] is None:
        return None
    return Statistics(row["n_distinct"], row["null_frac"], row["avg_width"])


def _constraint(
    row: Record, needs: Needs, columns: Mapping[int, list[SourceColumn]]
) -> SourceConstraint:
    by_number: Mapping[int, Any] = {c.number: c for c in columns.get(row["parent"], ())}
    keys = tuple(by_number[number] for number in row["parent_columns"])
    return SourceConstraint(
        name=row["name"],
        kind=row["kind"],
        columns=tuple(row["columns"]),
        definition=row["definition"],
        needs=needs.get(row["oid"], ()),
        options=tuple(row["options"]),
        domain=row["domain"],
        parent=SourceParent(row["parent_schema"], row["parent_name"], keys) if keys else None,
        match_full=row["match_full"],
        deferrable=row["deferrable"],
        deferred=row["deferred"],
    )


def _index(row: Record, needs: Needs) -> SourceIndex:
    return SourceIndex(
        name=row["name"],
        unique=row["is_unique"],
        valid=row["valid"],
        columns=tuple(row["columns"]),
        uses=tuple(row["uses"]),
        definition=row["definition"],
        needs=needs.get(row["oid"], ()),
    )


def _partition(row: Record) -> SourcePartition:
    partitioned = row["relkind"] != "r"
    return SourcePartition(row["name"], row["bound"], tuple(row["options"]), partitioned)
