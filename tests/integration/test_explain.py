"""``explain`` on a real server: what is sent, what is recorded, whether it is batched, the plan."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from monitor.cli.explain_text import explained_as_json
from monitor.config.suite import CaseSettings, FromTableSettings, SuiteSettings
from monitor.errors import TargetRefused
from monitor.measure.explain import Explanation
from monitor.model import Plan
from monitor.suite import catalog
from monitor.suite.exploration import explain_cases
from tests.conftest import Database
from tests.integration.helpers import (
    ALL_SIX,
    SCHEMA,
    all_empty,
    explained,
    inventory,
    measured,
    row_trigger,
    sessions_of_ours,
    unchanged,
)
from tests.servers import Server

CATALOG = catalog.load()


def suite_of(*names: str, rows: int = 2500, **settings: Any) -> Plan:
    cases = tuple(CaseSettings(strategy=name, **settings) for name in names)
    return explain_cases(SuiteSettings(cases=cases), CATALOG, rows=rows)


@pytest.fixture(scope="module")
def six(server: Server) -> Any:
    """All six strategies, 2,500 rows each."""
    dsn = server.create_database("explained")
    server.sql("CREATE EXTENSION pg_stat_statements", database="explained")
    found = explained(dsn, suite_of(*ALL_SIX))
    yield {each.case.strategy.name: each for each in found.explanations}
    server.sql("DROP DATABASE explained WITH (FORCE)")


def test_every_strategy_is_recorded_as_it_was_sent(six: dict[str, Explanation]) -> None:
    assert set(six) == set(ALL_SIX)
    for name, found in six.items():
        assert found.failure is None, name
        assert sum(each.executions for each in found.sent) == sum(
            each.work.calls for each in found.recorded
        ), name
        assert sum(each.work.rows for each in found.recorded) == 2500, name
        for each in (*(s.text for s in found.sent), *(r.text for r in found.recorded)):
            assert '"ingest_canary"."orders"' in each


def test_calls_and_verdicts_tell_which_ways_batch(six: dict[str, Explanation]) -> None:
    calls = {name: sum(r.work.calls for r in found.recorded) for name, found in six.items()}
    assert calls == {
        "orm_add_all": 3, "orm_bulk": 2500, "core_executemany": 2500,
        "core_insertmanyvalues": 3, "asyncpg_unnest": 1, "asyncpg_copy": 1,
    }  # fmt: skip
    batched = {name for name, found in six.items() if found.batching and found.batching.active}
    assert batched == set(ALL_SIX) - {"orm_bulk", "core_executemany"}
    for name in ("orm_bulk", "core_executemany"):
        verdict = six[name].batching
        assert verdict
        assert "no RETURNING" in verdict.why
        assert "asyncpg pipelines" in verdict.why


def test_plans_show_work_that_was_carried_out(six: dict[str, Explanation]) -> None:
    for name, found in six.items():
        if name == "asyncpg_copy":
            continue
        assert found.plan[0].startswith("Insert on "), name
        text = "\n".join(found.plan)
        assert "actual" in text
        assert "Buffers: " in text
        assert "WAL: records=" in text
        assert "Execution Time" in text


def test_copy_has_its_tag_rows_wal_and_buffers_instead_of_a_plan(
    six: dict[str, Explanation],
) -> None:
    copy = six["asyncpg_copy"]
    assert copy.plan == ()
    (sent,), (recorded,) = copy.sent, copy.recorded
    assert sent.tag == "COPY 2500"
    assert sent.text == recorded.text
    assert recorded.work.wal_bytes > 0
    assert recorded.work.shared_blks_hit > 0


def test_the_tables_are_empty_and_nothing_else_changed(database: Database) -> None:
    measured(database.dsn, strategies=ALL_SIX)
    before = {row[:3] for row in inventory(database)}
    explained(database.dsn, suite_of(*ALL_SIX, rows=300))
    assert all_empty(database)
    assert {row[:3] for row in inventory(database)} == before
    assert sessions_of_ours(database) == 0


def test_a_shape_beside_the_suite_is_explained_with_its_foreign_key_and_goes(
    database: Database,
) -> None:
    plan = explain_cases(
        SuiteSettings(), CATALOG, ("core_insertmanyvalues",), "orders_customer_fk", 300
    )
    (found,) = explained(database.dsn, plan, passing=True).explanations
    text = "\n".join(found.plan)
    assert "Trigger for constraint orders_customer_fk_fkey" in text
    assert "calls=300" in text
    tables = database.sql(f"SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace ="
                          f" '{SCHEMA}'::regnamespace")  # fmt: skip
    assert tables == []


def test_page_size_and_batch_size_show_in_rows_per_call(database: Database) -> None:
    plan = suite_of("core_insertmanyvalues", rows=1000, batch_size=500,
                    parameters={"page_size": 100})  # fmt: skip
    (found,) = explained(database.dsn, plan).explanations
    assert sum(each.work.calls for each in found.recorded) == 10
    assert found.batching
    assert "up to 100 rows a statement" in found.batching.why


def test_a_page_too_large_for_the_protocol_is_explained(database: Database) -> None:
    plan = suite_of("core_insertmanyvalues", rows=25_000, parameters={"page_size": 25_000})
    (found,) = explained(database.dsn, plan).explanations
    assert found.batching
    assert "held to" in found.batching.why
    assert "32,700 values" in found.batching.why


def test_without_the_extension_what_was_sent_is_still_shown(server: Server) -> None:
    dsn = server.create_database("explained_bare")
    found = explained(dsn, suite_of("core_executemany", "asyncpg_unnest", rows=200))
    executemany, unnest = found.explanations
    assert executemany.recorded == ()
    assert executemany.batching
    assert not executemany.batching.active
    assert unnest.batching
    assert unnest.batching.active
    assert unnest.plan
    assert "CREATE EXTENSION" in found.notices[0].remedy
    server.sql("DROP DATABASE explained_bare WITH (FORCE)")


def test_a_case_that_fails_says_so_and_the_others_are_explained(database: Database) -> None:
    measured(database.dsn, shapes=("orders", "orders_wide"))
    row_trigger(database, f"{SCHEMA}.orders", "RAISE EXCEPTION 'not today';")
    cases = (
        CaseSettings(strategy="asyncpg_copy"),
        CaseSettings(strategy="asyncpg_copy", shape="orders_wide"),
    )
    plan = explain_cases(SuiteSettings(cases=cases), CATALOG, rows=100)
    broken, fine = explained(database.dsn, plan).explanations
    assert broken.failure
    assert "not today" in broken.failure
    assert fine.recorded


def test_a_table_that_a_shape_is_like_is_read_first(database: Database) -> None:
    database.sql(
        "CREATE TABLE public.parents (id int PRIMARY KEY);"
        " CREATE TABLE public.t (id bigint PRIMARY KEY, parent int REFERENCES public.parents)"
    )
    shapes = [FromTableSettings(from_table=f"public.{name}") for name in ("t", "gone")]
    cases = tuple(CaseSettings(strategy="core_insertmanyvalues", shape=shape) for shape in shapes)
    plan = explain_cases(SuiteSettings(cases=cases), CATALOG, rows=100)
    found, gone = explained(database.dsn, plan).explanations
    assert found.failure is None
    assert "Trigger for constraint" in "\n".join(found.plan)
    assert gone.failure
    assert gone.failure.startswith("from_table public.gone: ")
    assert all_empty(database)


def test_a_refused_target_is_left_as_it_is(database: Database) -> None:
    database.sql(f"CREATE SCHEMA {SCHEMA}")
    with unchanged(database), pytest.raises(TargetRefused):
        explained(database.dsn, suite_of("asyncpg_copy"))


def test_a_plug_in_that_goes_through_any_call_of_the_driver_is_heard(
    database: Database, tmp_path: Path
) -> None:
    path = tmp_path / "plugin.py"
    path.write_text(
        "from monitor.suite.strategies import strategy\n"
        "@strategy(rows='tuples')\n"
        "async def one_by_one(into, rows):\n"
        "    'One by one: the slow way'\n"
        '    sql = f\'INSERT INTO "{into.table.schema}"."{into.table.name}"\'\n'
        "    sql += ' (customer_id, amount, status) VALUES ($1, $2, $3)'\n"
        "    await into.driver.executemany(sql, rows[:50])\n"
        "    for row in rows[50:60]:\n"
        "        await into.driver.execute(sql, *row)\n"
        "    for row in rows[60:]:\n"
        "        await into.driver.fetchval(sql + ' RETURNING id', *row)\n"
    )
    suite = SuiteSettings(cases=(CaseSettings(strategy="one_by_one"),))
    plan = explain_cases(suite, catalog.load([path]), rows=70)
    found = explained(database.dsn, plan)
    (one,) = found.explanations
    assert [sent.executions for sent in one.sent] == [60, 10]
    assert one.plan
    assert one.batching
    assert "one row a statement" in one.batching.why
    whole = explained_as_json(found)
    assert whole["cases"][0]["batching"]["active"] is False
    assert sum(each["calls"] for each in whole["cases"][0]["recorded"]) == 70
