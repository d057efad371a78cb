"""Strategies, shapes, plans and rows: what is inserted, without a database."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from monitor.config.suite import CaseSettings, SuiteSettings
from monitor.errors import ConfigurationError
from monitor.measure.binding import bind, make_batches
from monitor.model import Plan
from monitor.suite import catalog, plan, shapes, strategies
from monitor.workload import Destination

SIX = {
    "orm_add_all",
    "orm_bulk",
    "core_executemany",
    "core_insertmanyvalues",
    "asyncpg_copy",
    "asyncpg_unnest",
}
UNKNOWN: Any = None


def resolve(*cases: CaseSettings, rows: int = 20_000) -> Plan:
    return plan.resolve(SuiteSettings(rows=rows, cases=cases), catalog.load())


def test_the_built_in_strategies_are_six_with_their_labels_and_parameters() -> None:
    known = catalog.load().strategies
    assert set(known) == SIX
    assert all(": " in strategy.label for strategy in known.values())
    taking = {name: dict(s.parameters) for name, s in known.items() if s.parameters}
    assert taking == {"core_insertmanyvalues": {"page_size": 1000}}


def test_the_default_suite_is_the_six_copy_with_commits_and_copy_with_an_index() -> None:
    cases = plan.resolve(SuiteSettings(), catalog.load()).cases
    assert {case.strategy.name for case in cases} == SIX
    assert len(cases) == 8
    (indexed,) = [case for case in cases if case.shape.plain]
    assert str(indexed.key) == "asyncpg_copy on orders_customer_idx, batch 20,000"
    (committing,) = [case for case in cases if case.transaction == "batch"]
    assert str(committing.key) == "asyncpg_copy on orders, batch 1,000 transaction=batch"


def test_a_variant_names_every_difference_sorted_and_nothing_else() -> None:
    case = resolve(
        CaseSettings(
            strategy="core_insertmanyvalues",
            parameters={"page_size": 50},
            shape="orders_wide",
            shape_parameters={"width": 9, "customers": 10_000},
            rows=500,
            batch_size=100,
            transaction="batch",
        )
    ).cases[0]
    assert case.variant == "page_size=50,rows=500,transaction=batch,width=9"
    assert case.parameters == {"page_size": 50}
    assert case.shape_parameters == {"customers": 10_000, "width": 9}


def test_values_equal_to_the_defaults_are_no_variant() -> None:
    settings = CaseSettings(
        strategy="core_insertmanyvalues", parameters={"page_size": 1000}, rows=20_000
    )
    assert resolve(settings).cases[0].variant == ""


def test_fewer_rows_than_a_batch_are_one_batch() -> None:
    case = resolve(CaseSettings(strategy="asyncpg_copy", batch_size=1000), rows=200).cases[0]
    assert case.batch_size == 200


def test_only_narrows_the_suite_and_adds_what_it_lacks() -> None:
    suite = SuiteSettings(cases=(CaseSettings(strategy="orm_bulk", batch_size=10),))
    narrowed = plan.resolve(suite, catalog.load(), ["orm_bulk", "asyncpg_copy"])
    assert [(c.strategy.name, c.batch_size) for c in narrowed.cases] == [
        ("orm_bulk", 10),
        ("asyncpg_copy", 20_000),
    ]


def plugin(folder: Path, text: str) -> Path:
    path = folder / "plugin.py"
    path.write_text(text)
    return path


def test_a_plug_in_file_adds_a_strategy(tmp_path: Path) -> None:
    path = plugin(
        tmp_path,
        "from monitor.suite.strategies import strategy\n"
        "@strategy(rows='tuples')\n"
        "async def mine(into, rows, *, depth: int = 3):\n    'Mine: my own way'\n",
    )
    mine = catalog.load([path]).strategies["mine"]
    assert (mine.label, mine.parameters, mine.row_form) == ("Mine: my own way", {"depth": 3},
                                                            "tuples")  # fmt: skip


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1 / 0", "cannot be loaded: ZeroDivisionError: division by zero"),
        (
            "from monitor.suite.strategies import strategy\n"
            "@strategy(rows='dicts')\nasync def orm_bulk(into, rows):\n    'Again'\n",
            "strategy 'orm_bulk' is defined twice",
        ),
    ],
)
def test_a_bad_plug_in_is_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        catalog.load([plugin(tmp_path, text)])


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("{'custmer_id': 1, 'amount': 1, 'status': ''}", "'custmer_id', which is no column"),
        ("{'customer_id': 1, 'amount': 1}", "lack 'status', which the table requires"),
    ],
)
def test_rows_that_do_not_fit_the_table_are_a_sentence(tmp_path: Path, row: str, said: str) -> None:
    path = plugin(
        tmp_path,
        "from monitor.suite.shapes import _orders_table, shape\n"
        f"@shape(table=_orders_table)\ndef odd(n):\n    'Odd'\n    return {row}\n",
    )
    suite = SuiteSettings(cases=(CaseSettings(strategy="asyncpg_copy", shape="odd"),))
    with pytest.raises(ConfigurationError, match=said):
        plan.resolve(suite, catalog.load([path]))


def test_rows_are_a_function_of_their_number() -> None:
    assert shapes.orders.row(7) == shapes.orders.row(7)
    assert len({shapes.orders.row(n, customers=5)["customer_id"] for n in range(100)}) == 5
    assert [len(shapes.orders_wide.row(3, width=w)["payload"]) for w in (1, 200, 333)] == [
        1,
        200,
        333,
    ]


def test_batches_hold_every_row_once_in_the_strategys_form() -> None:
    resolved = resolve(*(CaseSettings(strategy=name, batch_size=30) for name in sorted(SIX)),
                       rows=100)  # fmt: skip
    bound = bind(resolved, "ingest_canary").shapes["orders"]
    for case in resolved.cases:
        batches = make_batches(case, bound, 100)
        assert [len(batch) for batch in batches] == [30, 30, 30, 10]
        first = batches[0][0]
        kind = {"dicts": dict, "objects": bound.entity, "tuples": tuple}[case.strategy.row_form]
        assert type(first) is kind


def test_python_side_defaults_are_left_to_sqlalchemy_and_made_for_the_driver() -> None:
    resolved = resolve(
        CaseSettings(strategy="core_executemany", shape="orders_wide"),
        CaseSettings(strategy="asyncpg_copy", shape="orders_wide"),
    )
    bound = bind(resolved, "ingest_canary").shapes["orders_wide"]
    by_core, by_driver = (make_batches(case, bound, 3)[0] for case in resolved.cases)
    assert "reference" not in by_core[0]
    assert bound.columns[-1] == "reference"
    assert len({row[-1] for row in by_driver}) == 3


def test_names_are_quoted_and_qualified_in_what_is_sent() -> None:
    bound = bind(resolve(CaseSettings(strategy="asyncpg_unnest")), "select").shapes["orders"]
    into = Destination(UNKNOWN, UNKNOWN, bound.table, bound.entity, bound.columns)
    assert strategies._unnest_statement(into.table, into.columns) == (
        'INSERT INTO "select"."orders" ("customer_id", "amount", "status")'
        " SELECT * FROM unnest($1::INTEGER[], $2::NUMERIC(12, 4)[], $3::VARCHAR(32)[])"
    )
    assert 'INSERT INTO "select"."orders" ' in str(insert(bound.table))
