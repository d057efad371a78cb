"""Other clients' work during a run: counted, no stranger, in our schema only, off by default."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from monitor.config.suite import CaseSettings, LoadSettings, SuiteSettings
from monitor.measure.runner import Progress, Runner, no_progress
from monitor.model import Run
from monitor.suite import catalog, plan
from tests.conftest import Database
from tests.integration.helpers import (
    ALL_SIX,
    COPY,
    LIMITS,
    SCHEMA,
    all_empty,
    at,
    bystander,
    gone,
    measure,
    measured,
    refusal,
    run_once,
    sessions_of_ours,
    unchanged,
)
from tests.servers import wait_until


def loaded(
    strategies: tuple[str, ...] = COPY,
    rounds: int = 2,
    rows: int = 2000,
    progress: Progress = no_progress,
    **load: Any,
) -> Runner:
    suite = SuiteSettings(
        rows=rows,
        rounds=rounds,
        cases=tuple(CaseSettings(strategy=name) for name in strategies),
        load=LoadSettings(**load),
    )
    return Runner(plan.resolve(suite, catalog.load()), LIMITS, SCHEMA, progress)


def report(run: Run) -> str:
    (notice,) = [notice for notice in run.notices if notice.subject == "load"]
    return notice.message


def test_off_there_is_nothing_of_it(database: Database) -> None:
    seen: list[int] = []
    look = at(1, lambda: seen.append(sessions_of_ours(database)))
    run = run_once(database.dsn, loaded(progress=look))
    assert seen == [1]
    assert not [notice for notice in run.notices if notice.subject == "load"]
    assert run.environment
    assert "concurrent load" not in run.environment.client


def test_point_reads_go_on_during_a_run_and_end_with_it(database: Database) -> None:
    seen: list[Any] = []
    look = at(
        3,
        lambda: seen.append(
            database.sql(
                "SELECT count(*), count(*) FILTER (WHERE query LIKE 'SELECT * FROM"
                f' "{SCHEMA}"."orders" WHERE "id" = %\') FROM pg_stat_activity'
                " WHERE application_name = 'ingest-canary' AND datname = current_database()"
            )
        ),
    )
    run = run_once(database.dsn, loaded(ALL_SIX, rows=500, clients=3, progress=look))
    assert run.outcome == "ok", run.failures
    assert seen == [[(4, 3)]]
    gone(database)
    assert all_empty(database)
    text = report(run)
    assert text.startswith("Concurrent load (3 clients, as fast as they can: point reads on the")
    assert ": 0 statements" not in text
    assert "errors" not in text
    assert run.environment
    assert run.environment.client["concurrent load"].startswith("3 clients")


def test_it_is_no_stranger_and_a_stranger_still_is_one(database: Database) -> None:
    run = run_once(database.dsn, loaded(clients=3))
    samples = [sample for case in run.cases for sample in case.samples]
    assert [sample.other_sessions for sample in samples] == [0, 0]

    async def busy() -> Run:
        async with bystander(database.dsn) as other:
            task = asyncio.create_task(other.execute("SELECT pg_sleep(20)"))
            try:
                return await measure(database.dsn, loaded(clients=3))
            finally:
                other.terminate()
                await asyncio.gather(task, return_exceptions=True)

    run = asyncio.run(busy())
    samples = [sample for case in run.cases for sample in case.samples]
    assert [sample.other_sessions for sample in samples] == [1, 1]


def test_the_rate_is_never_exceeded(database: Database) -> None:
    run = run_once(database.dsn, loaded(clients=2, rate=50))
    text = report(run)
    assert text.startswith("Concurrent load (2 clients, 50/s in all: point reads on the shapes)")
    before, _, after = text.partition(" statements, ")
    statements = int(before.rpartition(" ")[2].replace(",", ""))
    seconds = statements / float(after.partition("/s")[0].replace(",", ""))
    # Each client may begin one at the start and have one under way at the end.
    assert 0 < statements <= 50 * seconds + 2 * 2, text


def test_a_write_load_has_a_table_of_its_own(database: Database) -> None:
    sql = "UPDATE {load} SET payload = 'n ' || {n} WHERE id = 1 + {n} % 10000"
    run = run_once(database.dsn, loaded(clients=2, sql=sql))
    assert run.outcome == "ok", run.failures
    assert "errors" not in report(run)
    # The strategies' own work is told from it.
    assert {
        s.rows_per_call for c in run.cases for s in c.samples if c.case.strategy.name in COPY
    } == {2000}
    assert all_empty(database)
    (updates,) = database.sql(
        f"SELECT n_tup_upd > 0 FROM pg_stat_user_tables WHERE schemaname = '{SCHEMA}'"
        " AND relname = 'load'"
    )
    assert updates == (True,)
    inserts = loaded(clients=1, sql="INSERT INTO {load} (payload) VALUES ('x')")
    assert "errors" not in report(run_once(database.dsn, inserts))


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELECT * FROM public.theirs", "it uses table public.theirs"),
        ("INSERT INTO public.theirs VALUES (1)", "it uses table public.theirs"),
        ("SELECT public.f(1)", "it uses function public.f(integer)"),
        ("SELECT * FROM theirs", 'relation "theirs" does not exist'),
        ("SELECT pg_catalog.pg_terminate_backend(1)", "it uses function pg_terminate_backend"),
        ("SELECT pg_catalog.pg_reload_conf()", "it uses function pg_reload_conf"),
        ("SELECT pg_catalog.nextval('public.numbers')", "it uses function nextval"),
        ("TRUNCATE {table}", "it is no SELECT, INSERT, UPDATE, DELETE or MERGE"),
        ("DROP TABLE public.theirs", "it is no SELECT"),
        ("SELECT 1; END; DROP TABLE public.theirs; --", "multiple commands"),
        ("DELETE FROM {table}", "it writes to orders, which is measured"),
        ("WITH d AS (DELETE FROM {table} RETURNING id) SELECT * FROM d", "it writes to orders"),
        ("SELECT FROM WHERE", "syntax error"),
        ("COPY {table} TO PROGRAM 'true'", "it is no SELECT"),
    ],
)
def test_what_would_leave_our_schema_or_spoil_the_measurement_is_refused(
    database: Database, sql: str, said: str
) -> None:
    measured(database.dsn)
    database.sql(
        "CREATE TABLE public.theirs (n int); CREATE SEQUENCE public.numbers;"
        " CREATE FUNCTION public.f(int) RETURNS int LANGUAGE sql AS 'SELECT $1'"
    )
    with unchanged(database):
        message = refusal(database.dsn, runner=loaded(clients=1, sql=sql))
    assert message.startswith("suite.load.sql: ")
    assert said in message


def test_clients_that_cannot_connect_fail_the_run(database: Database) -> None:
    database.sql("CREATE ROLE few LOGIN CONNECTION LIMIT 3")
    database.sql(f'GRANT CREATE ON DATABASE "{database.name}" TO few')
    try:
        dsn = database.server.dsn(database.name, user="few")
        run = run_once(dsn, loaded(clients=5))
        assert run.outcome == "failed"
        assert run.failure
        assert run.failure.message.startswith("concurrent load: too many connections for role")
        gone(database)
    finally:
        database.sql("DROP OWNED BY few; DROP ROLE few")


def test_sessions_that_are_lost_are_counted_and_errors_named(database: Database) -> None:
    def end_one() -> None:
        database.sql(
            "SELECT pg_terminate_backend(min(pid)) FROM pg_stat_activity WHERE"
            f" application_name = 'ingest-canary' AND query LIKE 'SELECT * FROM \"{SCHEMA}\"%'"
        )

    runner = loaded(ALL_SIX, rows=500, clients=2, progress=at(1, end_one))
    run = run_once(database.dsn, runner)
    assert run.outcome == "ok", run.failures
    assert "1 of 2 clients lost their session" in report(run)
    assert "errors: 1 × " in report(run)


KILLED = """
import asyncio, sys
sys.path.insert(0, {root!r})
from tests.integration.helpers import run_once
from tests.integration.test_concurrent_load import loaded
if __name__ == "__main__":
    run_once({dsn!r}, loaded(rounds=1000, clients=3))
"""


def test_its_sessions_go_when_our_process_is_killed(database: Database, tmp_path: Path) -> None:
    script = tmp_path / "killed.py"
    script.write_text(KILLED.format(root=str(Path(__file__).parents[2]), dsn=database.dsn))
    process = subprocess.Popen([sys.executable, str(script)], stderr=subprocess.PIPE)
    wait_until(lambda: sessions_of_ours(database) >= 4, "the clients to connect", seconds=20)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    gone(database)
