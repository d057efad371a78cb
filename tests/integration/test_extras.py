"""Indexes and foreign keys on a real server: made, filled, emptied, made anew and dropped."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from monitor.canary import tables
from monitor.config.suite import CaseSettings, FromTableSettings, SuiteSettings
from monitor.errors import TargetError
from monitor.measure.runner import Runner
from monitor.model import Plan, Run
from monitor.suite import catalog, plan
from monitor.suite.exploration import Conditions, overhead_plan, rebuild_plan
from monitor.suite.extras import index
from tests.conftest import Database
from tests.integration.helpers import (
    ALL_SIX,
    LIMITS,
    SCHEMA,
    all_empty,
    at,
    count,
    measured,
    remove_all,
    run_once,
    unchanged,
    with_session,
)

CATALOG = catalog.load()
EXTRAS = [extra.name for extra in CATALOG.shapes["orders"].extras]


def resolved(*cases: CaseSettings, rows: int = 200, rounds: int = 2) -> Plan:
    return plan.resolve(SuiteSettings(rows=rows, rounds=rounds, cases=cases), CATALOG)


def run_plan(dsn: str, of: Plan, **options: Any) -> Run:
    """A run that must be fine."""
    run = run_once(dsn, Runner(of, LIMITS, SCHEMA, **options))
    assert run.outcome == "ok", run.failures
    return run


def names(database: Database) -> set[str]:
    found = database.sql(
        f"SELECT relname::text FROM pg_class WHERE relkind = 'r'"
        f" AND relnamespace = '{SCHEMA}'::regnamespace"
    )
    return {name for (name,) in found}


@pytest.mark.parametrize("extra", EXTRAS)
def test_every_strategy_inserts_into_a_table_with_each_extra(
    database: Database, extra: str
) -> None:
    cases = [CaseSettings(strategy=name, shape=f"orders_wide_{extra}") for name in ALL_SIX]
    run = run_plan(database.dsn, resolved(*cases, rounds=1))
    (definition,) = [
        text for name, text in (run.environment.tables if run.environment else {}).items()
        if name == f"orders_wide_{extra}"
    ]  # fmt: skip
    kind = "FOREIGN KEY" if extra.endswith("fk") else "INDEX orders_wide"
    assert kind in definition
    assert all_empty(database)


def test_the_default_suite_says_what_the_index_costs(database: Database) -> None:
    run = run_plan(database.dsn, plan.resolve(SuiteSettings(rows=500, rounds=3), CATALOG))
    found = [result.overhead for result in run.cases if result.overhead]
    assert [(each.name, each.kind, each.pairs) for each in found] == [("customer_idx", "index", 3)]
    assert found[0].server
    indexed, plain = (
        next(r for r in run.cases if str(r.case.key).startswith(f"asyncpg_copy on {shape},"))
        for shape in ("orders_customer_idx", "orders")
    )
    for one, other in zip(indexed.samples, plain.samples, strict=True):
        assert (one.wal_records or 0) > (other.wal_records or 0)


def test_a_foreign_keys_parent_is_filled_analysed_and_emptied_with_its_child(
    database: Database,
) -> None:
    case = CaseSettings(
        strategy="asyncpg_copy", shape="orders_customer_fk", shape_parameters={"customers": 25_000}
    )
    seen: list[tuple[Any, ...]] = []
    look = (
        f"SELECT (SELECT count(*) FROM {SCHEMA}.orders_customers),"
        f" (SELECT reltuples::int FROM pg_class WHERE oid = '{SCHEMA}.orders_customers'::regclass)"
    )
    progress = at(1, lambda: seen.extend(database.sql(look)))
    run_plan(database.dsn, resolved(case), progress=progress)
    assert seen == [(25_000, 25_000)]
    assert all_empty(database)


def test_what_a_crash_left_in_parent_and_child_is_emptied_by_the_next_run(
    database: Database,
) -> None:
    shapes = [CaseSettings(strategy="asyncpg_copy", shape="orders_customer_fk")]
    run_plan(database.dsn, resolved(*shapes))
    database.sql(
        f"INSERT INTO {SCHEMA}.orders_customers SELECT n, 'x' FROM generate_series(0, 99) AS n;"
        f" INSERT INTO {SCHEMA}.orders_customer_fk (customer_id, amount, status)"
        " SELECT n, 1, 'x' FROM generate_series(0, 99) AS n;"
    )
    measured(database.dsn)  # of a plan that knows neither of the two
    assert all_empty(database)


def test_a_parent_of_another_definition_is_made_anew_with_what_refers_to_it(
    database: Database,
) -> None:
    case = CaseSettings(strategy="asyncpg_copy", shape="orders_customer_fk")
    run_plan(database.dsn, resolved(case))
    (before,) = database.sql(f"SELECT '{SCHEMA}.orders_customer_fk'::regclass::oid")
    mark = database.sql(f"SELECT obj_description('{SCHEMA}.orders_customers'::regclass)")[0][0]
    other = mark.replace(mark.split("definition ")[1][:12], "0" * 12)
    database.sql(f"COMMENT ON TABLE {SCHEMA}.orders_customers IS '{other}'")
    run_plan(database.dsn, resolved(case))
    assert database.sql(f"SELECT '{SCHEMA}.orders_customer_fk'::regclass::oid") != [before]


def test_what_refers_to_a_parent_and_is_not_ours_keeps_its_rows(database: Database) -> None:
    """Made after the guard looked: what is not ours is neither emptied nor dropped with ours."""
    case = CaseSettings(strategy="asyncpg_copy", shape="orders_customer_fk")
    run_plan(database.dsn, resolved(case))
    database.sql(f"INSERT INTO {SCHEMA}.orders_customers VALUES (1, 'x')")
    for theirs, message in (
        (f"{SCHEMA}.theirs", "table ingest_canary.theirs does not carry"),
        ("public.theirs", "cannot truncate a table referenced in a foreign key"),
    ):
        database.sql(
            f"CREATE TABLE {theirs} (customer int REFERENCES {SCHEMA}.orders_customers);"
            f" INSERT INTO {theirs} VALUES (1)"
        )
        with unchanged(database), pytest.raises(TargetError, match=message):
            with_session(database.dsn, lambda session: tables.empty(session, "orders_customers"))
        assert count(database, theirs) == 1
        database.sql(f"DROP TABLE {theirs}")
    with_session(database.dsn, tables.empty_all)
    assert all_empty(database)


def test_cleanup_drops_parents_and_children(database: Database) -> None:
    run_plan(
        database.dsn, resolved(CaseSettings(strategy="asyncpg_copy", shape="orders_customer_fk"))
    )
    removed = remove_all(database.dsn)
    assert {"orders_customer_fk", "orders_customers"} <= set(removed.tables)
    assert removed.schema


@pytest.mark.parametrize("strategy", ALL_SIX)
def test_prefilled_rows_are_there_before_and_not_counted(database: Database, strategy: str) -> None:
    case = CaseSettings(strategy=strategy, shape="orders_customer_uq", prefill=25_000)
    (result,) = run_plan(database.dsn, resolved(case)).cases
    assert [sample.rows for sample in result.samples] == [200, 200]
    assert all((sample.calls or 0) <= 200 for sample in result.samples)
    assert all(sample.clean for sample in result.samples)  # no entry seemed to be evicted
    assert all_empty(database)


def test_prefilled_rows_of_a_likeness_find_their_parents(database: Database) -> None:
    database.sql(
        "CREATE TABLE public.parents (id int PRIMARY KEY);"
        " CREATE TABLE public.t (id bigint PRIMARY KEY, parent int NOT NULL"
        " UNIQUE REFERENCES public.parents)"
    )
    like = FromTableSettings(from_table="public.t")
    case = CaseSettings(strategy="asyncpg_copy", shape=like, prefill=1000)
    run_plan(database.dsn, resolved(case))
    assert all_empty(database)


def test_an_exploration_leaves_no_table_that_was_not_there(database: Database) -> None:
    run_plan(database.dsn, resolved(CaseSettings(strategy="asyncpg_copy")))
    before = names(database)
    explored = overhead_plan(("customer_idx",), Conditions(rounds=1), SuiteSettings(), CATALOG)
    run = run_plan(database.dsn, explored, exploring=True)
    assert names(database) == before
    assert run.environment
    assert set(run.environment.tables) == {
        "orders", "orders_customer_idx", "probe_insert", "probe_commit",
    }  # fmt: skip


def test_what_a_killed_exploration_left_goes_with_the_next_run_of_any_kind(
    database: Database,
) -> None:
    explored = resolved(CaseSettings(strategy="asyncpg_copy", shape="orders_customer_fk"))
    binding = Runner(explored, LIMITS, SCHEMA)._binding
    with_session(
        database.dsn, lambda session: tables.prepare(session, binding.tables, passing=True)
    )
    assert {"orders_customer_fk", "orders_customers"} <= names(database)
    run_plan(database.dsn, resolved(CaseSettings(strategy="asyncpg_copy")))
    assert names(database) == {"orders", "probe_insert", "probe_commit"}


def test_a_killed_explorations_table_that_a_suite_wants_is_made_to_stay(
    database: Database,
) -> None:
    settled = resolved(CaseSettings(strategy="asyncpg_copy", shape="orders_customer_idx"))
    binding = Runner(settled, LIMITS, SCHEMA)._binding
    with_session(
        database.dsn, lambda session: tables.prepare(session, binding.tables, passing=True)
    )
    run_plan(database.dsn, settled)
    explored = resolved(CaseSettings(strategy="asyncpg_copy"))
    run_plan(database.dsn, explored, exploring=True)
    assert "orders_customer_idx" in names(database)


@pytest.mark.parametrize("prefill", [0, 300])
def test_a_rebuild_times_both_ways_and_leaves_no_index_in_the_way(
    database: Database, prefill: int
) -> None:
    conditions = Conditions(strategies=("asyncpg_copy",), rounds=2, prefill=prefill)
    explored = rebuild_plan(
        ("five_idx", "status_gin"), (200, 400), ("plain", "concurrently"), conditions,
        SuiteSettings(), CATALOG,
    )  # fmt: skip
    seen: list[tuple[Any, ...]] = []
    look = (
        "SELECT count(*) FROM pg_index WHERE indrelid ="
        f" '{SCHEMA}.orders_five_idx_rebuilt'::regclass AND NOT indisprimary"
    )
    progress = at(12, lambda: seen.extend(database.sql(look)))
    run = run_plan(database.dsn, explored, exploring=True, progress=progress)
    for result in run.cases:
        built = [sample.index_build_seconds for sample in result.samples]
        if result.case.build is None:
            assert built == [None, None]
        else:
            assert all(seconds and seconds > 0 for seconds in built), result.case.key
    assert seen == [(5,)]
    assert names(database) == set()


def test_an_index_build_that_fails_is_a_failure_of_its_case(database: Database) -> None:
    """A unique index that its rows do not allow."""
    shape = CATALOG.shapes["orders"]
    broken = replace(shape, extras=(index("customer_idx", "", "status", unique=True),))
    known = replace(CATALOG, shapes={**CATALOG.shapes, "orders": broken})
    explored = rebuild_plan(
        ("customer_idx",), (200,), ("plain",), Conditions(("asyncpg_copy",), rounds=1),
        SuiteSettings(), known,
    )  # fmt: skip
    run = run_once(database.dsn, Runner(explored, LIMITS, SCHEMA, exploring=True))
    assert run.outcome == "partial"
    (failure,) = run.failures
    assert failure.reason == "server_error"
    assert "could not create unique index" in failure.message
    assert names(database) == set()
    assert count(database, "pg_locks WHERE locktype = 'advisory'") == 0
