"""The six built-in ways to insert a batch of rows, side by side.

A strategy is the code that a good application would write for one batch, and nothing else: no
timing, no commit, no chunking. The differences to look for are who builds the statement (ORM unit
of work, Core, driver), in what form the rows travel (one row per execution, many rows in one
statement, arrays, COPY's binary stream), and what comes back (nothing, or the new keys).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Table, insert
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.ext.asyncio import AsyncSession

from monitor.suite.array_literal import array_literal
from monitor.suite.parameters import label_of, parameters_of
from monitor.workload import Destination, InsertFunction, RowForm, Strategy

Dicts = Sequence[Mapping[str, Any]]
Tuples = Sequence[tuple[Any, ...]]

_DIALECT = PGDialect_asyncpg()  # type: ignore[no-untyped-call]


def strategy(
    *, rows: RowForm, staging: bool = False, merges: bool = False
) -> Callable[[InsertFunction], Strategy]:
    """Turn an insert function into a ``Strategy``; registers nothing.

    Its name, first docstring line and keyword-only parameters become the strategy's. ``staging``:
    it gets a staging table as ``into.staging``. ``merges``: rows with a key that is there already
    replace the old ones, so that the table holds fewer than were sent.
    """

    def decorate(function: InsertFunction) -> Strategy:
        return Strategy(
            name=function.__name__,
            label=label_of(function),
            row_form=rows,
            insert=function,
            parameters=parameters_of(function),
            staging=staging,
            merges=merges,
        )

    return decorate


@strategy(rows="objects")
async def orm_add_all(into: Destination, rows: Sequence[object]) -> None:
    """ORM unit of work: session.add_all(objects)"""
    async with AsyncSession(into.connection) as session:
        session.add_all(rows)
        await session.flush()


@strategy(rows="dicts")
async def orm_bulk(into: Destination, rows: Dicts) -> None:
    """ORM bulk execute: session.execute(insert(Entity), dicts)"""
    async with AsyncSession(into.connection) as session:
        await session.execute(insert(into.entity), rows)


@strategy(rows="dicts")
async def core_executemany(into: Destination, rows: Dicts) -> None:
    """Core executemany: connection.execute(insert(table), dicts)"""
    await into.connection.execute(insert(into.table), rows)


@strategy(rows="dicts")
async def core_insertmanyvalues(into: Destination, rows: Dicts, *, page_size: int = 1000) -> None:
    """Core insertmanyvalues: multi-row VALUES with RETURNING, fetched"""
    statement = insert(into.table).returning(*into.table.primary_key)
    options = {"insertmanyvalues_page_size": page_size}
    result = await into.connection.execute(statement, rows, execution_options=options)
    result.all()


@strategy(rows="tuples")
async def asyncpg_copy(into: Destination, rows: Tuples) -> None:
    """asyncpg COPY: copy_records_to_table, binary"""
    name, schema = into.table.name, into.table.schema
    await into.driver.copy_records_to_table(
        name, schema_name=schema, columns=into.columns, records=rows
    )


@strategy(rows="tuples")
async def asyncpg_unnest(into: Destination, rows: Tuples) -> None:
    """asyncpg unnest: one INSERT … SELECT FROM unnest(array per column)"""
    columns: list[Sequence[Any]] = list(zip(*rows, strict=True))
    for number in _array_columns(into.table, into.columns):
        columns[number] = [array_literal(values) for values in columns[number]]
    await into.driver.execute(_unnest_statement(into.table, into.columns), *columns)


@cache
def _unnest_statement(table: Table, columns: tuple[str, ...]) -> str:
    """unnest takes arrays of arrays apart to the last element, so these travel as literals."""
    quote = _DIALECT.identifier_preparer
    names = ", ".join(quote.quote_identifier(name) for name in columns)
    types = _types(table, columns)
    nested = _array_columns(table, columns)
    sent = ["TEXT" if n in nested else kind for n, kind in enumerate(types)]
    arrays = ", ".join(f"${n}::{kind}[]" for n, kind in enumerate(sent, start=1))
    head = f"INSERT INTO {quote.format_table(table)} ({names})"
    if not nested:
        return f"{head} SELECT * FROM unnest({arrays})"  # noqa: S608
    cells = [f"c{n}::{kind}" if n in nested else f"c{n}" for n, kind in enumerate(types)]
    aliases = ", ".join(f"c{n}" for n in range(len(types)))
    return f"{head} SELECT {', '.join(cells)} FROM unnest({arrays}) AS u ({aliases})"  # noqa: S608


def _types(table: Table, columns: Sequence[str]) -> list[str]:
    return [table.c[name].type.compile(_DIALECT) for name in columns]


@cache
def _array_columns(table: Table, columns: tuple[str, ...]) -> tuple[int, ...]:
    return tuple(n for n, kind in enumerate(_types(table, columns)) if kind.endswith("[]"))
