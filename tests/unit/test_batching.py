"""Whether rows are batched, why not, and how statements are shown."""

from __future__ import annotations

from typing import Any

import pytest

from monitor.cli.explain_text import shortened
from monitor.measure.batching import Batching, batching
from monitor.measure.listening import Sent
from tests.builders import case

PLAIN = "INSERT INTO t (a) VALUES ($1::INTEGER)"
RETURNING = f"{PLAIN} RETURNING t.id"


def sent(text: str, through: str = "SQLAlchemy", many: bool = False, values: int = 3) -> Sent:
    return Sent(text, through, many, tuple(range(values)), executions=1)


def verdict(
    strategy: str, *statements: Sent, executions: int, rewrites: bool = True, **settings: Any
) -> Batching:
    return batching(case(strategy, **settings), statements, executions, rewrites)


def test_insertmanyvalues_names_its_page_size() -> None:
    found = verdict("core_insertmanyvalues", sent(RETURNING), executions=20)
    assert found == Batching(
        True, 1000.0, "insertmanyvalues, up to 1,000 rows a statement (page_size 1,000)"
    )


def test_the_limit_of_values_is_named_where_it_holds_a_page_back() -> None:
    found = verdict(
        "core_insertmanyvalues",
        sent(RETURNING, values=32_700),
        executions=2,
        parameters={"page_size": 20_000},
    )
    assert found.active
    assert "held to 10,000 rows a statement by its limit of 32,700 values" in found.why


def test_unnest_and_copy_say_how_rows_travel() -> None:
    found = verdict("asyncpg_unnest", sent("INSERT … SELECT FROM unnest($1)", "asyncpg"),
                    executions=1)  # fmt: skip
    assert found.why == "arrays carry 20,000 rows in one statement"
    found = verdict("asyncpg_copy", sent("COPY t FROM STDIN", "asyncpg"), executions=20,
                    batch_size=1000)  # fmt: skip
    assert (found.active, found.why) == (True, "COPY streams 1,000 rows without any statement")


@pytest.mark.parametrize(
    ("statement", "settings", "rewrites", "said"),
    [
        (sent(PLAIN, many=True), {}, True, "no RETURNING, and only with it"),
        (sent(PLAIN, many=True), {}, True, "asyncpg pipelines them"),
        (sent(RETURNING), {}, False, "use_insertmanyvalues=False: remove it"),
        (sent(RETURNING), {}, True, "hand them all to one execute()"),
        (sent(PLAIN), {"batch_size": 1}, True, "gets one row: raise batch_size"),
        (sent(PLAIN, "asyncpg"), {}, True, "use unnest, COPY or many rows in VALUES"),
    ],
)
def test_what_is_missing_is_said(
    statement: Sent, settings: dict[str, Any], rewrites: bool, said: str
) -> None:
    found = verdict("core_executemany", statement, executions=20_000, rewrites=rewrites, **settings)
    assert (found.active, found.rows_per_statement) == (False, 1.0)
    assert said in found.why


def test_a_page_of_one_is_named() -> None:
    found = verdict("core_insertmanyvalues", sent(RETURNING), executions=20_000,
                    parameters={"page_size": 1})  # fmt: skip
    assert found.why == "page_size is 1: raise it"


def test_of_many_rows_in_values_the_first_is_shown() -> None:
    rows = ", ".join(f"(${n}::INTEGER, ${n + 1}::NUMERIC(12, 4))" for n in range(1, 2001, 2))
    shown = shortened(f"INSERT INTO t (a, b)\nVALUES {rows} RETURNING t.id")
    assert shown == (
        "INSERT INTO t (a, b) VALUES ($1::INTEGER, $2::NUMERIC(12, 4)), … 999 more RETURNING t.id"
    )


def test_short_statements_are_shown_as_they_are_and_long_ones_cut() -> None:
    short = "INSERT INTO t (a, b, c) VALUES ($1, $2, $3), ($4, $5, $6)"
    assert shortened(short) == short
    assert shortened("x" * 5000).endswith(" … (5,000 characters)")
