"""Rows as strategies get them: every form inserts the same values."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table, insert
from sqlalchemy.schema import CreateTable

from monitor.errors import ConfigurationError
from monitor.measure.binding import Bound, bind, expected_rows, make_batches
from monitor.model import Case, Plan
from monitor.suite import strategies
from monitor.workload import Destination, Shape
from tests.builders import case

UNKNOWN: Any = None


def _table(metadata: MetaData) -> Table:
    return Table(
        "defaults",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("n", Integer, nullable=False),
        Column("status", String, nullable=False, default="new"),
        Column("token", String, nullable=False, default=lambda: "made"),
        Column("note", String, server_default="by the server"),
    )


def bound_case(row: Any, form: str = "tuples", batch_size: int = 100) -> tuple[Case, Bound]:
    shape = Shape("defaults", "Defaults", _table, row, {})
    plain = case("asyncpg_copy")
    strategy = replace(plain.strategy, row_form=form)
    made = replace(
        plain, strategy=strategy, shape=shape, shape_parameters={}, batch_size=batch_size
    )
    return made, bind(Plan((made,), 1), "ingest_canary").shapes["defaults"]


def test_constant_and_computed_defaults_of_a_column_reach_the_driver() -> None:
    made, bound = bound_case(lambda n: {"n": n})
    assert bound.columns == ("n", "status", "token")
    assert make_batches(made, bound, 2) == [[(0, "new", "made"), (1, "new", "made")]]


def test_a_value_in_the_row_wins_over_the_columns_default() -> None:
    made, bound = bound_case(lambda n: {"status": "old", "n": n})
    assert bound.columns == ("status", "n", "token")
    assert make_batches(made, bound, 1) == [[("old", 0, "made")]]


def test_a_plug_ins_table_is_quoted_and_qualified_in_every_statement() -> None:
    """Counters know our statements by the quoted name; without it server time was unknown."""
    _, bound = bound_case(lambda n: {"n": n})
    name = '"ingest_canary"."defaults"'
    into = Destination(UNKNOWN, UNKNOWN, bound.table, bound.entity, bound.columns)
    for statement in (
        str(insert(bound.table)),
        str(insert(bound.entity)),
        str(CreateTable(bound.table)),
        strategies._unnest_statement(into.table, into.columns),
    ):
        assert name in statement


def test_dicts_leave_the_defaults_to_sqlalchemy() -> None:
    made, bound = bound_case(lambda n: {"n": n}, form="dicts")
    assert make_batches(made, bound, 1) == [[{"n": 0}]]


def test_objects_are_new_in_every_round() -> None:
    made, bound = bound_case(lambda n: {"n": n}, form="objects")
    first, second = (make_batches(made, bound, 1)[0][0] for _ in range(2))
    assert first is not second
    assert isinstance(first, bound.entity)


@pytest.mark.parametrize(
    ("later", "odd"),
    [
        ({"n": 1, "note": ""}, "note"),
        ({}, "n"),
        ({"n": 1, "note": "", "id": 3}, "id, note"),
    ],
)
def test_a_row_with_other_keys_than_the_first_is_named(later: dict[str, Any], odd: str) -> None:
    made, bound = bound_case(lambda n: {"n": n} if n < 1234 else later)
    said = f"shape defaults: row 1,234 has other keys than row 0 ({odd})."
    with pytest.raises(ConfigurationError) as raised:
        make_batches(made, bound, 1300)
    assert str(raised.value) == said


def test_keys_in_another_order_would_swap_values_and_are_refused() -> None:
    orders = ({"n": 1, "status": ""}, {"status": "", "n": 1})
    made, bound = bound_case(lambda n: orders[n])
    with pytest.raises(ConfigurationError, match=r"row 1 has other keys .*their order"):
        make_batches(made, bound, 2)


@pytest.mark.parametrize(
    ("count", "size", "lengths"), [(10, 4, [4, 4, 2]), (8, 4, [4, 4]), (3, 100, [3]), (0, 5, [])]
)
def test_batches_are_cut_at_the_batch_size(count: int, size: int, lengths: list[int]) -> None:
    made, bound = bound_case(lambda n: {"n": n}, batch_size=size)
    batches = make_batches(made, bound, count)
    assert [len(batch) for batch in batches] == lengths
    assert [row[0] for batch in batches for row in batch] == list(range(count))


@pytest.mark.parametrize(("merges", "rows"), [(False, 9), (True, 5)])
def test_prefilled_rows_are_expected_too_and_merged_ones_once(merges: bool, rows: int) -> None:
    made, bound = bound_case(lambda n: {"id": n % 5, "n": n})
    made = replace(made, prefill=3, strategy=replace(made.strategy, merges=merges))
    assert expected_rows(made, bound, make_batches(made, bound, 6)) == rows
