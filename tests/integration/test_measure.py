"""What a run measures: figures that do not depend on how fast the machine is."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from monitor.config.suite import CaseSettings, SuiteSettings
from monitor.measure.runner import Runner
from monitor.model import CaseResult, Run
from monitor.suite import catalog, plan
from tests.conftest import Database
from tests.integration.helpers import (
    ALL_SIX,
    LIMITS,
    SCHEMA,
    count,
    measure,
    measured,
    run_once,
    slow_rows,
    with_session,
)
from tests.servers import Server


def run_cases(dsn: str, *cases: CaseSettings, rows: int = 200, rounds: int = 2) -> Run:
    """A run of just these cases that must be fine."""
    resolved = plan.resolve(SuiteSettings(rows=rows, rounds=rounds, cases=cases), catalog.load())
    run = run_once(dsn, Runner(resolved, LIMITS, SCHEMA))
    assert run.outcome == "ok", run.failures
    return run


def by_strategy(run: Run) -> dict[str, CaseResult]:
    return {result.case.strategy.name: result for result in run.cases}


@pytest.fixture(scope="module")
def all_six(server: Server) -> Any:
    """One run of every strategy, 2,500 rows, two rounds."""
    dsn = server.create_database("all_six")
    server.sql("CREATE EXTENSION pg_stat_statements", database="all_six")
    yield measured(dsn, rows=2500, rounds=2, strategies=ALL_SIX)
    server.sql("DROP DATABASE all_six WITH (FORCE)")


def test_every_strategy_has_a_sample_per_round_in_order(all_six: Run) -> None:
    for result in all_six.cases:
        assert [sample.round for sample in result.samples] == [1, 2]
        assert all(sample.rows == 2500 for sample in result.samples)


def test_rows_per_call_tell_how_each_strategy_batches(all_six: Run) -> None:
    calls = {name: [s.calls for s in r.samples] for name, r in by_strategy(all_six).items()}
    assert calls["core_executemany"] == calls["orm_bulk"] == [2500, 2500]
    assert calls["core_insertmanyvalues"] == [3, 3]  # 1,000 + 1,000 + 500
    assert calls["orm_add_all"] == [3, 3]
    assert calls["asyncpg_copy"] == calls["asyncpg_unnest"] == [1, 1]


def test_the_clocks_add_up_to_the_wall(all_six: Run) -> None:
    for result in all_six.cases:
        for sample in result.samples:
            parts = (sample.commit_seconds, sample.client_seconds, sample.server_seconds)
            assert sample.rest_seconds is not None
            assert None not in parts
            total = sum(part or 0 for part in parts) + sample.rest_seconds
            assert total == pytest.approx(sample.insert_seconds)
            assert min(sample.commit_seconds, sample.client_seconds) > 0
            assert (sample.server_seconds or 0) > 0


def test_equal_rounds_do_equal_work(all_six: Run) -> None:
    """But for a few blocks, which other backends can make one look at twice."""
    for result in all_six.cases:
        undisturbed = [sample for sample in result.samples if sample.clean]
        work = {(sample.calls, sample.wal_records) for sample in undisturbed}
        assert len(work) <= 1, result.case.key
        blocks = [sample.blocks_hit or 0 for sample in undisturbed]
        assert max(blocks, default=0) <= 1.005 * min(blocks, default=0), result.case.key


def test_probes_are_taken_before_and_after_every_block(all_six: Run) -> None:
    assert set(all_six.probes) == {"client_cpu", "round_trip", "server_insert", "commit"}
    assert all(len(values) == 4 for values in all_six.probes.values())
    assert all(value > 0 for values in all_six.probes.values() for value in values)


def test_all_strategies_insert_the_same_rows(database: Database) -> None:
    contents = {}
    for name in ALL_SIX:
        measured(database.dsn, rows=50, strategies=(name,))
        table = f"{SCHEMA}.kept_{name}"
        # Keep what the next round inserts: a trigger of the test copies it out of our schema.
        database.sql(
            f"CREATE TABLE IF NOT EXISTS public.kept (LIKE {SCHEMA}.orders);"
            " CREATE OR REPLACE FUNCTION public.keep() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN INSERT INTO public.kept VALUES (NEW.*); RETURN NEW; END $$;"
            f" CREATE OR REPLACE TRIGGER keep AFTER INSERT ON {SCHEMA}.orders"
            " FOR EACH ROW EXECUTE FUNCTION public.keep();"
        )
        measured(database.dsn, rows=50, strategies=(name,))
        contents[table] = database.sql("SELECT DISTINCT * FROM public.kept ORDER BY id")
        database.sql("DROP FUNCTION public.keep() CASCADE; DROP TABLE public.kept")
    assert len({str(rows) for rows in contents.values()}) == 1
    assert len(next(iter(contents.values()))) == 50


def test_page_size_sets_the_rows_per_call(database: Database) -> None:
    case = CaseSettings(strategy="core_insertmanyvalues", parameters={"page_size": 50})
    (result,) = run_cases(database.dsn, case).cases
    assert result.case.variant == "page_size=50"
    assert [sample.rows_per_call for sample in result.samples] == [50, 50]


@pytest.mark.parametrize("name", ALL_SIX)
def test_batches_go_in_one_transaction_or_in_one_each(database: Database, name: str) -> None:
    one = CaseSettings(strategy=name, batch_size=50)
    each = CaseSettings(strategy=name, batch_size=50, transaction="batch")
    run = run_cases(database.dsn, one, each)
    for result in run.cases:
        assert result.case.variant == ("" if result.case.transaction == "round" else
                                       "transaction=batch")  # fmt: skip
        assert all(sample.late_batch_ratio is not None for sample in result.samples)
        assert all((sample.calls or 0) >= 4 for sample in result.samples)


def test_a_commit_per_batch_is_really_a_transaction_per_batch(database: Database) -> None:
    measured(database.dsn)
    slow_rows(database, f"{SCHEMA}.orders", 0)
    database.sql("CREATE SEQUENCE public.transactions")
    database.sql(
        "CREATE TABLE public.xids (xid xid8 UNIQUE);"
        " CREATE OR REPLACE FUNCTION public.before_row() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN INSERT INTO public.xids VALUES (pg_current_xact_id()) ON CONFLICT DO NOTHING;"
        " RETURN NEW; END $$;"
    )
    case = CaseSettings(strategy="asyncpg_copy", batch_size=20, transaction="batch")
    run_cases(database.dsn, case, rows=200, rounds=1)
    # Warm-up with 100 rows, discarded round, round: 5 + 10 + 10 batches.
    assert count(database, "public.xids") == 25


def test_wide_rows_and_python_side_defaults_reach_the_table(database: Database) -> None:
    cases = [
        CaseSettings(strategy=name, shape="orders_wide", shape_parameters={"width": 321})
        for name in ALL_SIX
    ]
    run_cases(database.dsn, *cases[:1], rounds=1)
    database.sql(
        f"ALTER TABLE {SCHEMA}.orders_wide ADD CONSTRAINT whole CHECK"
        " (length(payload) = 321 AND reference ~ '^[0-9a-f]{32}$')"
    )
    run_cases(database.dsn, *cases, rounds=1)


def test_without_the_extension_the_server_side_is_absent_and_the_remedy_said(
    server: Server,
) -> None:
    dsn = server.create_database("bare")
    run = measured(dsn, strategies=ALL_SIX)
    for result in run.cases:
        for sample in result.samples:
            assert (sample.server_seconds, sample.calls, sample.wal_bytes) == (None, None, None)
            assert (sample.rest_seconds, sample.blocks_hit) == (None, None)
        assert result.summary
        assert result.summary.server_seconds_per_row is None
    (notice,) = run.notices
    assert "CREATE EXTENSION pg_stat_statements" in notice.remedy
    assert (run.wal_bytes or 0) > 0  # the budget still counts, by the server's WAL position
    server.sql("DROP DATABASE bare WITH (FORCE)")


def test_without_preloading_the_run_goes_on(pg_bin: Path, server_root: Path) -> None:
    with Server(pg_bin, server_root / "plain", preload=False) as plain:
        plain.sql("CREATE EXTENSION pg_stat_statements")
        run = measured(plain.dsn())
        assert "not preloaded" in run.notices[0].message
    plain.remove()


def test_without_track_utility_only_copy_lacks_the_server_clock(database: Database) -> None:
    database.sql(f'ALTER DATABASE "{database.name}" SET pg_stat_statements.track_utility = off')
    run = measured(database.dsn, strategies=("asyncpg_copy", "asyncpg_unnest"))
    samples = {name: r.samples[0] for name, r in by_strategy(run).items()}
    assert samples["asyncpg_copy"].server_seconds is None
    assert samples["asyncpg_unnest"].server_seconds is not None
    assert "track_utility = on" in run.notices[0].remedy


def test_an_extension_in_another_schema_is_found(server: Server) -> None:
    dsn = server.create_database("elsewhere")
    server.sql('CREATE SCHEMA "Odd One"; CREATE EXTENSION pg_stat_statements SCHEMA "Odd One"',
               database="elsewhere")  # fmt: skip
    assert measured(dsn).cases[0].samples[0].calls == 1
    server.sql("DROP DATABASE elsewhere WITH (FORCE)")


def test_the_environment_names_versions_settings_and_definitions(database: Database) -> None:
    before = measured(database.dsn).environment
    again = measured(database.dsn).environment
    assert before and again
    assert before.fingerprint == again.fingerprint
    assert before.client["sqlalchemy"]
    assert before.server["synchronous_commit"] == "on"
    database.sql(f"CREATE INDEX by_customer ON {SCHEMA}.orders (customer_id)")
    after = measured(database.dsn).environment
    assert after
    assert after.fingerprint != before.fingerprint
    assert "by_customer" in after.tables["orders"]


def test_copy_is_inside_the_transaction(database: Database) -> None:
    """COPY through the driver runs outside SQLAlchemy's transaction until a statement opened it."""
    measured(database.dsn, rows=10)

    async def roll_back(session: Any) -> None:
        transaction = await session.connection.begin()
        await session.connection.exec_driver_sql("SET LOCAL statement_timeout = 1000")
        await session.driver.copy_records_to_table(
            "orders", schema_name=SCHEMA, records=[(1, 1, "x")],
            columns=("customer_id", "amount", "status"),
        )  # fmt: skip
        await transaction.rollback()

    with_session(database.dsn, roll_back)
    assert count(database, f"{SCHEMA}.orders") == 0


def test_a_warm_runner_does_not_repeat_the_discarded_round(database: Database) -> None:
    runner = Runner(
        plan.resolve(
            SuiteSettings(rows=200, rounds=1, cases=(CaseSettings(strategy="asyncpg_copy"),)),
            catalog.load(),
        ),
        LIMITS,
        SCHEMA,
    )
    first = run_once(database.dsn, runner)
    second = run_once(database.dsn, runner)
    assert first.outcome == second.outcome == "ok"
    assert (second.wal_bytes or 0) < (first.wal_bytes or 0)


def test_no_run_leaves_a_task_behind(database: Database) -> None:
    async def leftovers() -> set[str]:
        run = await measure(database.dsn)
        assert run.outcome == "ok"
        return {str(task) for task in asyncio.all_tasks() if task is not asyncio.current_task()}

    assert asyncio.run(leftovers()) == set()


def test_a_fault_of_a_strategy_is_its_own_failure_and_the_others_go_on(
    database: Database, tmp_path: Path
) -> None:
    plugin = tmp_path / "faulty.py"
    plugin.write_text(
        "from monitor.suite.strategies import strategy\n"
        "@strategy(rows='tuples')\n"
        "async def faulty(into, rows):\n    'Faulty: a bug'\n    raise TypeError('a bug')\n"
    )
    cases = tuple(CaseSettings(strategy=name) for name in ("faulty", "asyncpg_copy"))
    suite = SuiteSettings(rows=200, rounds=1, cases=cases)
    resolved = plan.resolve(suite, catalog.load([plugin]))
    run = run_once(database.dsn, Runner(resolved, LIMITS, SCHEMA))
    assert run.outcome == "partial"
    (failure,) = run.failures
    assert failure.reason == "server_error"
    assert failure.message == "faulty failed in the client: TypeError: a bug"
    assert len(by_strategy(run)["asyncpg_copy"].samples) == 1
