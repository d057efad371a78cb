"""Plans: keys tell cases apart, and what cannot be measured is refused with a sentence."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.config.suite import CaseSettings, SuiteSettings
from monitor.errors import ConfigurationError
from monitor.model import Case, Plan
from monitor.suite import catalog, plan

CATALOG = catalog.load()

SETTINGS = st.builds(
    CaseSettings,
    strategy=st.just("core_insertmanyvalues"),
    parameters=st.sampled_from([{}, {"page_size": 1000}, {"page_size": 7}]),
    shape=st.just("orders_wide"),
    shape_parameters=st.dictionaries(
        st.sampled_from(["customers", "width"]), st.sampled_from([1, 200, 10_000])
    ),
    rows=st.sampled_from([None, 1000, 500]),
    batch_size=st.sampled_from([None, 100, 500]),
    transaction=st.sampled_from(["round", "batch"]),
)


def resolve(*cases: CaseSettings, rows: int = 1000, only: tuple[str, ...] = ()) -> Plan:
    return plan.resolve(SuiteSettings(rows=rows, cases=cases), CATALOG, only)


def said(*cases: CaseSettings, only: tuple[str, ...] = ()) -> str:
    with pytest.raises(ConfigurationError) as raised:
        resolve(*cases, only=only)
    return str(raised.value)


def work_of(case: Case) -> tuple[object, ...]:
    """Everything that makes a difference to what is inserted, and how."""
    parameters = sorted(case.parameters.items()), sorted(case.shape_parameters.items())
    return (*map(str, parameters), case.rows, case.batch_size, case.transaction)


@given(st.lists(SETTINGS, min_size=2, max_size=6))
def test_two_cases_have_one_key_exactly_if_they_do_the_same_work(cases: list[CaseSettings]) -> None:
    resolved = [resolve(settings).cases[0] for settings in cases]
    for one, other in pairwise(resolved):
        assert (one.key == other.key) is (work_of(one) == work_of(other))


@given(SETTINGS)
def test_a_variant_is_sorted_and_names_each_difference_once(settings: CaseSettings) -> None:
    parts = resolve(settings).cases[0].variant.split(",")
    names = [part.partition("=")[0] for part in parts]
    assert names == sorted(set(names))


def test_the_same_case_twice_is_refused_also_when_written_differently() -> None:
    plain = CaseSettings(strategy="orm_bulk")
    assert said(plain, CaseSettings(strategy="orm_bulk", rows=1000, batch_size=1000)) == (
        "the suite has orm_bulk on orders, batch 1,000 2 times; remove one."
    )


def test_a_batch_may_be_as_large_as_its_case_and_no_larger() -> None:
    fits = CaseSettings(strategy="orm_bulk", rows=100, batch_size=100)
    assert resolve(fits).cases[0].batch_size == 100
    assert said(fits.model_copy(update={"batch_size": 101})) == (
        "orm_bulk: batch_size 101 is more than the case's 100 rows; lower it or raise rows."
    )


@pytest.mark.parametrize(
    ("value", "kind"), [("big", "str"), (1.5, "float"), (True, "bool")], ids=str
)
def test_a_parameter_of_another_type_is_refused(value: str | float, kind: str) -> None:
    case = CaseSettings(strategy="core_insertmanyvalues", parameters={"page_size": value})
    assert said(case) == (f"core_insertmanyvalues: parameter 'page_size' takes int, not {kind}.")


def test_an_unknown_name_to_narrow_to_is_refused() -> None:
    known = "asyncpg_copy, asyncpg_unnest, core_executemany, core_insertmanyvalues"
    assert said(CaseSettings(strategy="orm_bulk"), only=("zzz",)) == (
        f"unknown strategy 'zzz'; known: {known}, orm_add_all, orm_bulk."
    )


def test_cases_keep_their_order_and_shapes_come_once() -> None:
    names = ["orm_bulk", "asyncpg_copy", "core_executemany"]
    resolved = resolve(*(CaseSettings(strategy=name) for name in names))
    assert [case.strategy.name for case in resolved.cases] == names
    assert [shape.name for shape in resolved.shapes] == ["orders"]
