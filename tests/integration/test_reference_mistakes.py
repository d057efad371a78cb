"""The reference's list of warnings, errors and common mistakes: each is made, and our words read.

Where the reference is wrong (facts.md says where), the words say it right: executemany_mode was
never asyncpg's, a checkpoint's target spreads its writes and does not make it rarer, autovacuum is
known by its backend_type and not cancelled, a plain INSERT plans nothing that statistics could
spoil.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy import event

from monitor.canary.connection import Canary
from monitor.canary.lock import exclusive
from monitor.config.suite import CaseSettings, SuiteSettings
from monitor.measure.run_checks import check_runs
from monitor.measure.runner import Runner
from monitor.model import Run, Target
from monitor.suite import catalog, plan
from tests.conftest import Database
from tests.integration.commands import Command, command_fixture  # noqa: F401
from tests.integration.helpers import (
    ALL_SIX,
    LIMITS,
    PLENTY,
    SCHEMA,
    make_plan,
    measured,
    row_trigger,
    run_once,
    slow_rows,
)
from tests.integration.test_doctor import findings, parent
from tests.servers import Server


def words(run: Run, check: str) -> str:
    """What a run's finding says, evidence and remedy."""
    (finding,) = [each for each in check_runs([run]) if each.check == check]
    assert finding.severity == "warning"
    return f"{finding.evidence}; {finding.remedy}"


@pytest.fixture
def configured(database: Database, tmp_path: Path) -> Any:
    """Write a configuration for the test's database; returns the options that name it."""

    def write(text: str, target: str = "") -> tuple[str, str]:
        path = tmp_path / "canary.toml"
        path.write_text(f"{text}\n[targets.main]\ndsn = '{database.dsn}'\n{target}\n")
        return "--config", str(path)

    return write


# --- NotImplementedError: executemany_mode -------------------------------------------------------


@pytest.mark.parametrize(
    "target", ["connect = { executemany_mode = 'values' }",
               "connect = { server_settings = { executemany_mode = 'values' } }"],
)  # fmt: skip
def test_executemany_mode_is_answered_by_one_sentence(
    target: str, configured: Any, command: Command
) -> None:
    ended = command("config", "check", *configured("", target))
    assert ended.code == 2
    assert ended.err.count("\n") == 1
    assert "option of SQLAlchemy's psycopg2 dialect, never of asyncpg's" in ended.err
    assert "remove it" in ended.err


# --- no difference between strategies: the compilation cache is cold -----------------------------


def test_no_statement_is_compiled_in_a_timed_round(database: Database) -> None:
    """The warm-up compiles them all; the reference's first runs are inflated by that."""
    phases: dict[str, set[str]] = {"warm-up": set(), "rounds": set()}
    phase = "warm-up"

    def progress(_done: int, _total: int, what: str) -> None:
        nonlocal phase
        phase = "warm-up" if what.startswith("warming up") else "rounds"

    def note(_c: object, _cursor: object, _s: object, _p: object, context: Any, _m: object) -> None:
        if context.isinsert:
            phases[phase].add(context.cache_hit.name)

    async def go() -> Run:
        canary = Canary(Target("t", database.dsn))
        event.listen(canary._engine.sync_engine, "before_cursor_execute", note)
        runner = Runner(make_plan(strategies=ALL_SIX, rounds=2), LIMITS, SCHEMA, progress)
        try:
            async with canary.session() as session, exclusive(session):
                return await runner.run(session, "manual", PLENTY)
        finally:
            await canary.dispose()

    assert asyncio.run(go()).outcome == "ok"
    assert "CACHE_MISS" in phases["warm-up"]
    assert phases["rounds"] == {"CACHE_HIT"}


# --- missing batching ----------------------------------------------------------------------------

UNBATCHED = """
from sqlalchemy import insert
from monitor.suite.strategies import strategy

@strategy(rows="dicts")
async def no_returning(into, rows):
    "Meant for insertmanyvalues, but without RETURNING"
    await into.connection.execute(insert(into.table), rows)
"""


def test_an_insert_that_is_not_batched_is_told_why(
    configured: Any, command: Command, tmp_path: Path
) -> None:
    (tmp_path / "plugin.py").write_text(UNBATCHED)
    options = configured(
        f"[suite]\nrows = 200\nrounds = 1\nplugins = ['{tmp_path / 'plugin.py'}']\n"
        "cases = [{ strategy = 'no_returning' }, { strategy = 'core_insertmanyvalues' }]"
    )
    ended = command("measure", *options)
    assert ended.code == 0, ended.err
    (line,) = [line for line in ended.out.splitlines() if "batching is not active" in line]
    assert line.startswith("1 row per statement: no_returning on orders")
    assert "core_insertmanyvalues" not in line
    assert "give the insert a .returning()" in line


# --- EXPLAIN ANALYZE shows Seq Scan: stale statistics, through INSERT … SELECT -------------------


def estimated(database: Database) -> int:
    """Rows that the planner expects an INSERT … SELECT from the parent to insert."""
    plans = database.sql(
        f"EXPLAIN (FORMAT JSON) INSERT INTO {SCHEMA}.orders (customer_id, amount, status)"
        f" SELECT id, 1, name FROM {SCHEMA}.customers WHERE name = 'new'"
    )
    insert = json.loads(plans[0][0])[0]["Plan"]
    return int(insert["Plans"][0]["Plan Rows"])


def test_stale_statistics_are_told_where_they_matter(database: Database) -> None:
    measured(database.dsn)
    parent(database, 100)
    table = f'"{SCHEMA}"."customers"'
    database.sql(f"UPDATE {table} SET name = 'old'")
    database.sql(f"ANALYZE {table}")
    assert findings(database.dsn)["statistics"].severity == "ok"
    database.sql(f"INSERT INTO {table} SELECT n, 'new' FROM generate_series(101, 50000) n")
    assert estimated(database) < 100
    found = findings(database.dsn)["statistics"]
    assert found.severity == "warning"
    assert found.evidence.startswith("stale: customers holds 50,000 rows and changed 49,900")
    assert "INSERT … SELECT" in found.evidence
    assert f"ANALYZE {table} after loading" in found.remedy
    assert "autovacuum_analyze_threshold" in found.remedy
    database.sql(f"ANALYZE {table}")
    assert estimated(database) > 40_000
    assert findings(database.dsn)["statistics"].severity == "ok"


# --- PostgresSyntaxError: wrong column names -----------------------------------------------------

WRONG_COLUMN = """
from sqlalchemy import Column, Integer, MetaData, Table
from monitor.suite.shapes import shape

def table(metadata):
    return Table("things", metadata, Column("id", Integer, primary_key=True),
                 Column("customer_id", Integer, nullable=False))

@shape(table=table)
def things(n):
    "Things with a misspelt column"
    return {"custmer_id": n}
"""


def test_a_wrong_column_name_is_told_before_anything_is_sent(
    configured: Any, command: Command, tmp_path: Path
) -> None:
    (tmp_path / "plugin.py").write_text(WRONG_COLUMN)
    options = configured(
        f"[suite]\nplugins = ['{tmp_path / 'plugin.py'}']\n"
        "cases = [{ strategy = 'core_insertmanyvalues', shape = 'things' }]"
    )
    ended = command("measure", *options)
    assert ended.code == 2
    assert ended.err == (
        "ingest-canary: shape things: its rows have 'custmer_id', which is no column of the table;"
        " columns: customer_id, id.\n"
    )


# --- TimeoutError during long runs: command_timeout ----------------------------------------------


def test_what_a_short_command_timeout_does_to_a_long_insert(database: Database) -> None:
    """The mistake itself, as an application makes it."""
    measured(database.dsn)
    slow_rows(database, f"{SCHEMA}.orders", 0.01)

    async def insert() -> None:
        connection = await asyncpg.connect(database.dsn, command_timeout=0.2)
        try:
            await connection.execute(
                f"INSERT INTO {SCHEMA}.orders (customer_id, amount, status)"
                " SELECT n, 1, 'x' FROM generate_series(1, 1000) n"
            )
        finally:
            connection.terminate()

    with pytest.raises(TimeoutError):
        asyncio.run(insert())


def test_a_command_timeout_below_the_rounds_deadline_is_refused(
    configured: Any, command: Command
) -> None:
    ended = command("measure", *configured("", "connect = { command_timeout = '30s' }"))
    assert ended.code == 2
    assert ended.err.count("\n") == 1
    assert (
        "targets.main.connect.command_timeout, 30 s, must be longer than limits.round_timeout,"
        in (ended.err)
    )
    assert "TimeoutError" in ended.err
    fine = configured("[limits]\nround_timeout = '20s'", "connect = { command_timeout = '30s' }")
    assert command("config", "check", *fine).code == 0


def test_a_round_that_takes_too_long_is_a_timeout_of_ours(
    database: Database, configured: Any, command: Command
) -> None:
    measured(database.dsn)
    slow_rows(database, f"{SCHEMA}.orders", 0.01)
    options = configured(
        "[limits]\nround_timeout = '500ms'\n"
        "[suite]\nrows = 200\nrounds = 1\ncases = [{ strategy = 'asyncpg_copy' }]",
        "connect = { command_timeout = '30s' }",
    )
    ended = command("measure", *options)
    assert ended.code == 1
    assert "(timeout): canceling statement due to statement timeout" in ended.out


# --- throughput degrades after the first chunk: a checkpoint in mid-run --------------------------


def test_a_checkpoint_in_mid_run_is_told_with_its_remedy(
    database: Database, configured: Any, command: Command
) -> None:
    measured(database.dsn)
    table = f"{SCHEMA}.orders"
    row_trigger(database, table, "IF NEW.id = 150 THEN EXECUTE 'CHECKPOINT'; END IF; RETURN NEW;")
    options = configured(
        "[suite]\nrows = 200\nrounds = 2\ncases = [{ strategy = 'asyncpg_copy', batch_size = 20 }]"
    )
    ended = command("measure", *options)
    assert "disturbed rounds: checkpoint 2" in ended.out
    (line,) = [line for line in ended.out.splitlines() if line.startswith("a checkpoint began in")]
    assert "2 of 2 rounds of this run; they are not judged" in line
    assert "raise max_wal_size" in line
    assert "the server's, not a session's" in line


def test_throughput_that_sags_after_the_first_batches_is_told(database: Database) -> None:
    measured(database.dsn)
    body = "IF NEW.id > 150 THEN PERFORM pg_sleep(0.001); END IF; RETURN NEW;"
    row_trigger(database, f"{SCHEMA}.orders", body)
    case = CaseSettings(strategy="asyncpg_copy", batch_size=20)
    suite = SuiteSettings(rows=200, rounds=1, cases=(case,))
    run = run_once(database.dsn, Runner(plan.resolve(suite, catalog.load()), LIMITS, SCHEMA))
    said = words(run, "throughput_sags")
    assert "the last quarter of the batches takes" in said
    assert "no checkpoint was seen" in said


# --- numbers inconsistent between runs: autovacuum -----------------------------------------------


def test_autovacuum_in_rounds_is_told_and_never_cancelled(pg_bin: Path, server_root: Path) -> None:
    with Server(pg_bin, server_root / "vacuums", {"autovacuum_naptime": "1s"}) as server:
        server.sql("CREATE EXTENSION pg_stat_statements")
        database = Database("postgres", server.dsn(), server)
        measured(database.dsn)
        database.sql(
            f"ALTER TABLE {SCHEMA}.orders SET (autovacuum_enabled = true,"
            " autovacuum_vacuum_insert_threshold = 0, autovacuum_vacuum_insert_scale_factor = 0,"
            " autovacuum_analyze_threshold = 0, autovacuum_analyze_scale_factor = 0)"
        )
        assert (
            "orders: autovacuum may start" in findings(database.dsn)["autovacuum_on_ours"].evidence
        )
        case = CaseSettings(strategy="asyncpg_copy", batch_size=5, transaction="batch")
        suite = SuiteSettings(rows=80, rounds=1, cases=(case,))
        short = replace(plan.resolve(suite, catalog.load()), warm_up_rows=5)
        runner = Runner(short, LIMITS, SCHEMA)
        run_once(database.dsn, runner)
        slow_rows(database, f"{SCHEMA}.orders", 0.04)
        said = words(run_once(database.dsn, runner), "autovacuum_in_round")
        assert "autovacuum worked on our tables in 1 of 1 round of this run" in said
        assert "autovacuum_enabled = false" in said
        assert "never cancel it" in said
        assert "backend_type 'autovacuum worker'" in said
        assert "canceling autovacuum" not in server.log_text()
    server.remove()


# --- higher throughput on the second run: cold caches --------------------------------------------


def test_cold_foreign_key_parents_are_told_and_warmed_when_asked(
    pg_bin: Path, server_root: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Server(pg_bin, server_root / "cold") as server:
        database = Database("postgres", server.dsn(), server)
        for name in ("pg_stat_statements", "pg_buffercache", "pg_prewarm"):
            database.sql(f"CREATE EXTENSION {name}")
        measured(database.dsn)
        parent(database, 20_000)
        database.sql(f"ANALYZE {SCHEMA}.customers; CHECKPOINT")
        assert findings(database.dsn)["cold_cache"].severity == "ok"
        server.restart()
        found = findings(database.dsn)["cold_cache"]
        assert found.severity == "warning"
        assert found.evidence.startswith("cold: foreign-key parent customers: 0% of ")
        assert "doctor --prewarm" in found.remedy
        monkeypatch.setenv("INGEST_CANARY_TARGETS__MAIN__DSN", database.dsn)
        ended = command("doctor", "--prewarm")
        lines = {line.split()[1]: line for line in ended.out.splitlines()[:-1]}
        assert "loaded customers (" in lines["prewarm"]
        assert "customers_pkey (" in lines["prewarm"]
        assert lines["cold_cache"].startswith("ok")
    server.remove()


def test_parents_that_do_not_fit_into_shared_buffers_are_told(
    pg_bin: Path, server_root: Path
) -> None:
    with Server(pg_bin, server_root / "small", {"shared_buffers": "1MB"}) as server:
        database = Database("postgres", server.dsn(), server)
        database.sql("CREATE EXTENSION pg_stat_statements")
        measured(database.dsn)
        database.sql(
            "CREATE TABLE public.customers (id int PRIMARY KEY, filler char(1900));"
            " ALTER TABLE public.customers ALTER filler SET STORAGE PLAIN;"
            " INSERT INTO public.customers SELECT n, 'x' FROM generate_series(0, 9999) n;"
            f" ALTER TABLE {SCHEMA}.orders ADD FOREIGN KEY (customer_id)"
            " REFERENCES public.customers"
        )
        run = run_once(database.dsn, rows=4000, strategies=("asyncpg_copy",))
        said = words(run, "blocks_read")
        assert "came from outside shared buffers" in said
        assert "raise shared_buffers" in said
        assert findings(database.dsn)["shared_buffers"].severity == "warning"
    server.remove()
