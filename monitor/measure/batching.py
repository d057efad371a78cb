"""Whether many rows go in a statement, and why not where they do not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from monitor.measure.listening import Sent
from monitor.model import Case

#: SQLAlchemy puts at most so many values into one statement: asyncpg's protocol knows 32,767.
MAX_VALUES = 32_700


@dataclass(frozen=True, slots=True)
class Batching:
    """``active``: several rows a statement; ``why`` says what does it, or what is missing."""

    active: bool
    rows_per_statement: float
    why: str


def batching(case: Case, sent: Sequence[Sent], executions: int, rewrites: bool) -> Batching:
    """The verdict on a case of which the server executed so many inserts.

    ``executions`` are the server's count, or where it does not count, those that were sent;
    ``rewrites`` says whether the engine's insertmanyvalues is switched on.
    """
    rows = case.rows / executions if executions else 0.0
    if any(each.text.startswith("COPY ") for each in sent):
        return Batching(True, rows, f"COPY streams {_count(case.batch_size)} without any statement")
    if rows > 1:
        return Batching(True, rows, _what_batches(case, sent, rows))
    return Batching(False, rows, _what_is_missing(case, sent, rewrites))


def _what_batches(case: Case, sent: Sequence[Sent], rows: float) -> str:
    page = case.parameters.get("page_size")
    if not isinstance(page, int):
        if any("unnest(" in each.text for each in sent):
            return f"arrays carry {_count(case.batch_size)} in one statement"
        return f"{rows:,.0f} rows a statement"
    most = min(page, case.batch_size)
    values = max((len(each.arguments) for each in sent), default=0)
    if rows < 0.75 * most and values > 0.9 * MAX_VALUES:
        return (
            f"insertmanyvalues, held to {rows:,.0f} rows a statement by its limit of"
            f" {MAX_VALUES:,} values (page_size asks for {page:,})"
        )
    return f"insertmanyvalues, up to {most:,} rows a statement (page_size {page:,})"


def _what_is_missing(case: Case, sent: Sequence[Sent], rewrites: bool) -> str:
    if case.batch_size == 1:
        return "each call of the strategy gets one row: raise batch_size"
    if case.parameters.get("page_size") == 1:
        return "page_size is 1: raise it"
    by_sqlalchemy = [each for each in sent if each.through == "SQLAlchemy"]
    if not by_sqlalchemy:
        return "the strategy sends one row a statement: use unnest, COPY or many rows in VALUES"
    if not any("RETURNING" in each.text for each in by_sqlalchemy):
        pipelined = any(each.many for each in by_sqlalchemy)
        saved = "; asyncpg pipelines them, which saves round trips only" if pipelined else ""
        return (
            "no RETURNING, and only with it does SQLAlchemy put many rows into one statement"
            f" (insertmanyvalues): one execution a row{saved}. Add .returning(…), or use unnest or"
            " COPY"
        )
    if not rewrites:
        return "the engine was made with use_insertmanyvalues=False: remove it"
    return (
        "RETURNING is there, but rows are executed one by one: hand them all to one execute(), with"
        " plain values and no SQL expression per row"
    )


def _count(rows: int) -> str:
    return f"{rows:,} rows" if rows != 1 else "1 row"
