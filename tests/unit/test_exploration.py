"""Plans of sweeps and overheads: what is varied, what stays, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from monitor.config.suite import SuiteSettings
from monitor.errors import ConfigurationError
from monitor.suite import catalog
from monitor.suite.exploration import (
    DEFAULT_VALUES,
    OVERHEAD_STRATEGIES,
    Conditions,
    Sweep,
    explain_cases,
    overhead_plan,
    rebuild_plan,
    sweep,
)

CATALOG = catalog.load()
SIX = tuple(sorted(CATALOG.strategies))


def swept(over: str = "batch_size", *values: int, **conditions: Any) -> Sweep:
    return sweep(over, values, Conditions(**conditions), SuiteSettings(), CATALOG)


def refused(over: str, *values: int, **conditions: Any) -> str:
    with pytest.raises(ConfigurationError) as raised:
        swept(over, *values, **conditions)
    return str(raised.value)


def test_by_default_every_strategy_is_swept_over_seven_batch_sizes() -> None:
    found = swept()
    assert found.values == (100, 500, 1_000, 2_000, 5_000, 10_000, 25_000)
    assert {case.strategy.name for case in found.plan.cases} == set(SIX)
    assert len(found.plan.cases) == len(found.value_of) == 42
    assert {(case.rows, case.shape.name) for case in found.plan.cases} == {(100_000, "orders")}
    assert all(case.batch_size == found.value_of[case.key] for case in found.plan.cases)


def test_a_strategys_parameter_is_swept_where_a_strategy_has_it() -> None:
    found = swept("page_size")
    assert {case.strategy.name for case in found.plan.cases} == {"core_insertmanyvalues"}
    assert [case.parameters["page_size"] for case in found.plan.cases] == list(
        DEFAULT_VALUES["page_size"]
    )
    assert {case.batch_size for case in found.plan.cases} == {100_000}


def test_the_width_is_swept_on_the_shape_that_has_one_and_throughput_falls() -> None:
    found = swept("width", 20, 2_000, strategies=("asyncpg_copy",))
    assert (found.shape, found.trend, found.rows) == ("orders_wide", "falling", 20_000)
    assert [case.shape_parameters["width"] for case in found.plan.cases] == [20, 2_000]


def test_rows_are_swept_in_one_batch_each() -> None:
    found = swept("rows", 1_000, 5_000, strategies=("asyncpg_copy",))
    assert [(case.rows, case.batch_size) for case in found.plan.cases] == [(1_000,) * 2,
                                                                         (5_000,) * 2]  # fmt: skip


def test_default_batches_that_no_round_could_fill_are_left_out() -> None:
    assert swept(rows=2_000).values == (100, 500, 1_000, 2_000)


def test_what_is_common_is_common_to_all() -> None:
    found = swept("page_size", 10, 20, batch_size=50, transaction="batch", prefill=7, rows=100)
    for case in found.plan.cases:
        assert (case.batch_size, case.transaction, case.prefill, case.rows) == (50, "batch", 7, 100)


@pytest.mark.parametrize(
    ("over", "values", "conditions", "said"),
    [
        ("batch_size", (10, 500), {"rows": 100}, "batch_size 500 is more than 100 rows"),
        ("batch_size", (10,), {}, "give two values or more, each once"),
        ("batch_size", (10, 10), {}, "give two values or more, each once"),
        ("speed", (1, 2), {}, "known: batch_size, customers, page_size, rows, width."),
        ("customers", (), {}, "give the values, such as --values 1,10,100"),
        ("page_size", (), {"strategies": ("orm_bulk",)}, "no strategy chosen and not the shape"),
        ("batch_size", (), {"strategies": ("orm_bluk",)}, "did you mean 'orm_bulk'?"),
        ("batch_size", (), {"shape": "order"}, "did you mean 'orders'?"),
    ],
)
def test_what_cannot_be_swept_is_a_sentence(
    over: str, values: tuple[int, ...], conditions: dict[str, Any], said: str
) -> None:
    assert said in refused(over, *values, **conditions)


def test_overhead_measures_every_extra_beside_the_plain_shape() -> None:
    plan = overhead_plan((), Conditions(), SuiteSettings(), CATALOG)
    shapes = ["orders", *(f"orders_{extra.name}" for extra in CATALOG.shapes["orders"].extras)]
    for name in OVERHEAD_STRATEGIES:
        found = [case.shape.name for case in plan.cases if case.strategy.name == name]
        assert found == shapes


def test_overhead_of_one_is_two_cases_a_strategy() -> None:
    conditions = Conditions(strategies=("orm_bulk",), shape="orders_wide", prefill=3)
    plan = overhead_plan(("id_brin",), conditions, SuiteSettings(), CATALOG)
    assert [str(case.key) for case in plan.cases] == [
        "orm_bulk on orders_wide, batch 20,000 prefill=3",
        "orm_bulk on orders_wide_id_brin, batch 20,000 prefill=3",
    ]


def test_an_unknown_or_missing_extra_is_a_sentence() -> None:
    with pytest.raises(ConfigurationError, match=r"declares no 'idx'; its indexes or foreign keys"):
        overhead_plan(("idx",), Conditions(), SuiteSettings(), CATALOG)
    with pytest.raises(ConfigurationError, match="orders_id_brin declares no indexes or foreign"):
        overhead_plan((), Conditions(shape="orders_id_brin"), SuiteSettings(), CATALOG)


def test_a_rebuild_compares_both_ways_at_every_count_and_leaves_foreign_keys() -> None:
    conditions = Conditions(strategies=("asyncpg_copy",))
    plan = rebuild_plan(
        ("customer_idx",), (500, 100), ("plain", "concurrently"), conditions, SuiteSettings(),
        CATALOG,
    )  # fmt: skip
    assert [(case.shape.name, case.rows, case.build) for case in plan.cases] == [
        ("orders_customer_idx", 100, None),
        ("orders_customer_idx_rebuilt", 100, "plain"),
        ("orders_customer_idx_rebuilt", 100, "concurrently"),
        ("orders_customer_idx", 500, None),
        ("orders_customer_idx_rebuilt", 500, "plain"),
        ("orders_customer_idx_rebuilt", 500, "concurrently"),
    ]
    assert len({case.key for case in plan.cases}) == 6
    with pytest.raises(ConfigurationError, match="declares no 'customer_fk'; its indexes: "):
        rebuild_plan(("customer_fk",), (1,), ("plain",), conditions, SuiteSettings(), CATALOG)


def test_explain_takes_the_suites_cases_or_another_shape() -> None:
    plan = explain_cases(SuiteSettings(), CATALOG)
    assert [case.rows for case in plan.cases] == [2_000] * 8
    plan = explain_cases(SuiteSettings(), CATALOG, ("asyncpg_copy",), "orders_customer_fk", 7)
    assert [str(case.key) for case in plan.cases] == ["asyncpg_copy on orders_customer_fk, batch 7"]
