"""What is in tables before a round: the rows that foreign keys refer to, and prefilled ones.

Never timed. Written by COPY, the cheapest way for the server too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Table

from monitor.canary import tables
from monitor.canary.connection import Session, translated
from monitor.canary.identifiers import qualified
from monitor.measure.binding import Bound, BoundParent, prefill_rows
from monitor.measure.plugin_code import plugin_code
from monitor.model import Case

#: Rows that are made and sent at a time, so that a large prefill needs little memory.
_CHUNK = 20_000


async def fill_parents(session: Session, parents: Iterable[BoundParent]) -> None:
    """Put into the tables what foreign keys refer to, and tell the planner: a check that believes
    the table empty reads all of it for every row.
    """
    for bound in parents:
        await tables.empty(session, bound.table.name)
        with plugin_code(bound.parent.name, session.target):
            columns = tuple(bound.parent.row(0))
            for start in range(0, bound.rows, _CHUNK):
                numbers = range(start, min(start + _CHUNK, bound.rows))
                rows = [tuple(bound.parent.row(n).values()) for n in numbers]
                await _copy(session, bound.table, columns, rows)
        with translated(session.target):
            name = qualified(session.target.schema, bound.table.name)
            await session.driver.execute(f"ANALYZE {name}")


async def prefill(session: Session, case: Case, bound: Bound) -> None:
    """Put the rows into the case's empty table that its rounds shall find there."""
    for rows in prefill_rows(case, bound, _CHUNK):
        await _copy(session, bound.table, bound.columns, rows)


async def _copy(
    session: Session, table: Table, columns: tuple[str, ...], rows: Sequence[tuple[Any, ...]]
) -> None:
    with translated(session.target):
        await session.driver.copy_records_to_table(
            table.name, schema_name=session.target.schema, columns=columns, records=rows
        )
