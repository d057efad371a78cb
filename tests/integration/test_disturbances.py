"""What disturbs a round is seen: each disturbance is brought about in the middle of one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from monitor.config.suite import CaseSettings, SuiteSettings
from monitor.measure.runner import Runner
from monitor.model import Run, Sample
from monitor.suite import catalog, plan
from tests.conftest import Database
from tests.integration.helpers import LIMITS, SCHEMA, measured, run_once, slow_rows
from tests.servers import Server, wait_until


def sleeping(database: Database) -> bool:
    """Whether a session of ours is in the slow trigger."""
    return bool(
        database.sql(
            "SELECT FROM pg_stat_activity WHERE application_name = 'ingest-canary'"
            " AND datname = current_database() AND wait_event = 'PgSleep'"
        )
    )


def disturbed_run(
    database: Database, act: Callable[[], object], strategy: str = "asyncpg_copy"
) -> Sample:
    """The sample of a slow round in the middle of which something is done."""
    round_begins = threading.Event()

    def progress(_done: int, _total: int, what: str) -> None:
        if what.startswith(f"{strategy} on"):
            round_begins.set()

    cases = (CaseSettings(strategy=strategy),)
    resolved = plan.resolve(SuiteSettings(rows=100, rounds=1, cases=cases), catalog.load())
    runner = Runner(resolved, LIMITS, SCHEMA, progress)
    assert run_once(database.dsn, runner).outcome == "ok"
    slow_rows(database, f"{SCHEMA}.orders", 0.02)
    round_begins.clear()

    def wait_and_act() -> None:
        assert round_begins.wait(30)
        wait_until(lambda: sleeping(database), "the round to be under way", 30)
        act()

    thread = threading.Thread(target=wait_and_act)
    thread.start()
    sample = only_sample(run_once(database.dsn, runner))
    thread.join()
    return sample


def only_sample(run: Run) -> Sample:
    assert run.outcome == "ok", run.failures
    ((sample,),) = [result.samples for result in run.cases]
    return sample


def test_an_undisturbed_round_says_so(database: Database) -> None:
    sample = only_sample(measured(database.dsn))
    assert {"checkpoint", "autovacuum", "evicted"}.isdisjoint(sample.disturbed)


def test_a_checkpoint_that_begins_in_a_round_excludes_it(database: Database) -> None:
    sample = disturbed_run(database, lambda: database.sql("CHECKPOINT"))
    assert "checkpoint" in sample.disturbed
    assert not sample.clean


def test_statistics_that_vanish_in_a_round_exclude_it(database: Database) -> None:
    calls = "SELECT calls FROM pg_stat_statements WHERE toplevel AND query LIKE 'INSERT%orders%'"
    calls += " AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())"

    def forget() -> None:
        # Somebody else's doing, to our entries as well; once some of the round's are counted.
        before = database.sql(calls)[0][0]
        wait_until(lambda: database.sql(calls)[0][0] > before + 5, "some statements to end")
        database.sql(
            "SELECT pg_stat_statements_reset(0,"
            " (SELECT oid FROM pg_database WHERE datname = current_database()), 0)"
        )

    sample = disturbed_run(database, forget, "core_executemany")
    assert "evicted" in sample.disturbed
    assert not sample.clean


def test_another_active_session_is_recorded_and_does_not_exclude(database: Database) -> None:
    thread = threading.Thread(target=database.sql, args=("SELECT pg_sleep(3)",))
    thread.start()
    wait_until(
        lambda: database.sql(
            "SELECT FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(3)' AND state = 'active'"
        ),
        "the other session",
    )
    sample = only_sample(measured(database.dsn))
    thread.join()
    assert (sample.other_sessions or 0) >= 1
    assert "other_sessions" in sample.disturbed
    assert sample.clean


def test_autovacuum_on_our_table_excludes_the_round(pg_bin: Path, server_root: Path) -> None:
    eager = {"autovacuum_naptime": "1s"}
    with Server(pg_bin, server_root / "eager", eager) as server:
        server.sql("CREATE EXTENSION pg_stat_statements")
        database = Database("postgres", server.dsn(), server)
        measured(database.dsn)
        database.sql(
            f"ALTER TABLE {SCHEMA}.orders SET (autovacuum_enabled = true,"
            " autovacuum_vacuum_insert_threshold = 0, autovacuum_vacuum_insert_scale_factor = 0,"
            " autovacuum_analyze_threshold = 0, autovacuum_analyze_scale_factor = 0)"
        )
        slow_rows(database, f"{SCHEMA}.orders", 0.04)
        case = CaseSettings(strategy="asyncpg_copy", batch_size=5, transaction="batch")
        suite = SuiteSettings(rows=80, rounds=1, cases=(case,))
        run = run_once(database.dsn, Runner(plan.resolve(suite, catalog.load()), LIMITS, SCHEMA))
        assert "autovacuum" in only_sample(run).disturbed
    server.remove()
