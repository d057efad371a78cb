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

from monitor.model import Destination, InsertFunction, RowForm, Strategy
from monitor.suite.parameters import label_of, parameters_of

Dicts = Sequence[Mapping[str, Any]]
Tuples = Sequence[tuple[Any, ...]]

_DIALECT = PGDialect_asyncpg()  # type: ignore[no-untyped-call]


def strategy(*, rows: RowForm) -> Callable[[InsertFunction], Strategy]:
    """Turn an insert function into a ``Strategy``; registers nothing.

    Its name, first docstring line and keyword-only parameters become the strategy's.
    """

    def decorate(function: InsertFunction) -> Strategy:
        return Strategy(
            name=function.__name__,
            label=label_of(function),
            row_form=rows,
            insert=function,
            parameters=parameters_of(function),
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
    await into.driver.execute(_unnest_statement(into.table, into.columns), *zip(*rows, strict=True))


@cache
def _unnest_statement(table: Table, columns: tuple[str, ...]) -> str:
    quote = _DIALECT.identifier_preparer
    names = ", ".join(quote.quote_identifier(name) for name in columns)
    types = [table.c[name].type.compile(_DIALECT) for name in columns]
    arrays = ", ".join(f"${n}::{kind}[]" for n, kind in enumerate(types, start=1))
    return f"INSERT INTO {quote.format_table(table)} ({names}) SELECT * FROM unnest({arrays})"  # noqa: S608
