"""The loops that an engineer would write by hand, one per strategy: the baseline of the runner.

Written without anything of ours but the table, as in the SQLAlchemy documentation and in the text
that this product comes from: the clock around the transaction, the rows made before it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Any

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from monitor.measure.binding import Bound

Loop = Callable[[AsyncConnection, Bound, list[Any]], Awaitable[float]]


async def orm_add_all(connection: AsyncConnection, to: Bound, rows: list[Any]) -> float:
    started = perf_counter()
    async with connection.begin(), AsyncSession(connection) as session:
        session.add_all(rows)
        await session.flush()
    return perf_counter() - started


async def orm_bulk(connection: AsyncConnection, to: Bound, rows: list[Any]) -> float:
    started = perf_counter()
    async with connection.begin(), AsyncSession(connection) as session:
        await session.execute(insert(to.entity), rows)
    return perf_counter() - started


async def core_executemany(connection: AsyncConnection, to: Bound, rows: list[Any]) -> float:
    started = perf_counter()
    async with connection.begin():
        await connection.execute(insert(to.table), rows)
    return perf_counter() - started


async def core_insertmanyvalues(connection: AsyncConnection, to: Bound, rows: list[Any]) -> float:
    started = perf_counter()
    async with connection.begin():
        result = await connection.execute(insert(to.table).returning(to.table.c.id), rows)
        result.fetchall()
    return perf_counter() - started


async def asyncpg_copy(connection: AsyncConnection, to: Bound, rows: list[Any]) -> float:
    driver: Any = (await connection.get_raw_connection()).driver_connection
    started = perf_counter()
    async with driver.transaction():
        await driver.copy_records_to_table(
            to.table.name, schema_name=to.table.schema, columns=to.columns, records=rows
        )
    return perf_counter() - started


async def asyncpg_unnest(connection: AsyncConnection, to: Bound, rows: list[Any]) -> float:
    driver: Any = (await connection.get_raw_connection()).driver_connection
    statement = (
        'INSERT INTO "ingest_canary"."orders" (customer_id, amount, status)'
        " SELECT * FROM unnest($1::int[], $2::numeric[], $3::varchar[])"
    )
    started = perf_counter()
    async with driver.transaction():
        await driver.execute(statement, *zip(*rows, strict=True))
    return perf_counter() - started


LOOPS: dict[str, Loop] = {
    loop.__name__: loop
    for loop in (
        orm_add_all,
        orm_bulk,
        core_executemany,
        core_insertmanyvalues,
        asyncpg_unnest,
        asyncpg_copy,
    )
}
