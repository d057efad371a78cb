"""Two daemons on one canary and one store: one measures, the other takes over."""

from __future__ import annotations

import re
import shutil
import signal
import tempfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.acceptance.alarms import Alarms
from tests.acceptance.fault_table import Fault
from tests.acceptance.process import Daemon, call
from tests.acceptance.runs import (
    StoredRun,
    assert_none_is_measured_twice,
    assert_none_overlaps,
    measured,
    runs_in,
)
from tests.conftest import Database
from tests.integration.helpers import slow_rows
from tests.servers import PASSWORD, Server, wait_until
from tests.slow_network import slow_network

pytestmark = pytest.mark.slow
INTERVAL = 6.0
#: ``limits.round_timeout``: with the interval what the other may take at most.
ROUND_SECONDS = 60.0
ONE_CASE = {
    "INGEST_CANARY_SUITE__CASES": '[{"strategy": "asyncpg_copy"}, {"strategy": "orm_bulk"}]'
}


@pytest.fixture
def store(server: Server) -> Iterator[Database]:
    """A database for the store that both share."""
    name = "shared_store"
    yield Database(name, server.create_database(name), server)
    server.sql(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def homes() -> Iterator[dict[str, Path]]:
    """A data directory each."""
    found = {name: Path(tempfile.mkdtemp(prefix=f"canary-{name}-", dir="/tmp")) for name in "ab"}
    yield found
    for each in found.values():
        shutil.rmtree(each)


def settings(canary: str, store: Database, name: str) -> dict[str, str]:
    return {
        "INGEST_CANARY_TARGETS__MAIN__DSN": canary,
        "INGEST_CANARY_TARGETS__MAIN__CONNECT_TIMEOUT": "2s",
        "INGEST_CANARY_STORE__URL": store.dsn,
        "INGEST_CANARY_FINGERPRINT_KEY": "the same for all",
        "INGEST_CANARY_HOLDER": name,
        "INGEST_CANARY_NODE": f"node-{name}",
        **ONE_CASE,
    }


def replica(
    homes: dict[str, Path],
    store: Database,
    name: str,
    canary: str,
    interval: float = INTERVAL,
    more: Mapping[str, str] | None = None,
) -> Daemon:
    extra = settings(canary, store, name) | dict(more or {})
    return Daemon(homes[name], "--interval", f"{interval}s", extra=extra)


def holder(run: StoredRun) -> str:
    found = re.search(r"""['"]holder['"]: ['"](\w)['"]""", run.client)
    assert found, run.client
    return found[1]


def holders(store: Database) -> list[str]:
    return [holder(run) for run in measured(runs_in(store))]


def wait_for_runs(store: Database, count: int, of: str = "ab", seconds: float = 60) -> None:
    def there() -> bool:
        return sum(name in of for name in holders(store)) >= count

    try:
        wait_until(there, f"{count} runs by {of}", seconds)
    except AssertionError as error:
        raise AssertionError(f"{error}; sessions: {sessions(store)}") from error


def sessions(store: Database) -> list[tuple[object, ...]]:
    """Ours on the server, canary's and store's: who holds what up."""
    return store.sql(
        "SELECT datname, application_name, state, wait_event, state_change, left(query, 60)"
        " FROM pg_stat_activity WHERE application_name LIKE 'ingest-canary%'"
    )


def prepare(database: Database, store: Database, homes: dict[str, Path]) -> None:
    """A store that is there, so that both find it."""
    done = call(homes["a"], "store", "migrate", extra=settings(database.dsn, store, "a"))
    assert done.returncode == 0, done.stderr


def assert_proved(store: Database, interval: float = INTERVAL) -> None:
    runs = measured(runs_in(store))
    assert_none_overlaps(runs)
    assert_none_is_measured_twice(runs, interval)


def note_take_over(
    fault: Fault, store: Database, since: datetime, interval: float = INTERVAL
) -> None:
    """How long after the fault the other began a run, in time as promised."""
    runs = measured(runs_in(store))
    first = next(run for run in runs if holder(run) == "b" and run.started_at > since)
    taken = (first.started_at - since).total_seconds()
    fault.told(f"the other measures (interval {interval:g} s)")
    fault.back(taken)
    fault.kept(f"{len(runs)} runs, none overlapping, none twice")
    assert taken <= interval + ROUND_SECONDS


def gauges(daemon: Daemon) -> set[str]:
    """What both must agree on."""
    kept = (
        "rows_per_second", "seconds_per_row", "last_run_timestamp", "environment_info",
        "change_ratio", "verdict", "consecutive_failures", "baseline", "probe_seconds",
    )  # fmt: skip
    lines = daemon.get("/metrics")[1].splitlines()
    found = {line for line in lines if line.startswith(tuple(f"ingest_canary_{k}" for k in kept))}
    return {line for line in found if 'outcome="skipped"' not in line}  # each process's own


def wait_for_the_same(a: Daemon, b: Daemon, seconds: float) -> None:
    """Both show the same."""
    try:
        wait_until(lambda: gauges(a) == gauges(b), "both to show the same", seconds)
    except AssertionError as error:
        differing = sorted(gauges(a) ^ gauges(b))
        raise AssertionError(f"{error}: {differing}; a: {a.log}; b: {b.log}") from error


def test_one_of_two_measures_and_both_show_the_same(
    database: Database, store: Database, homes: dict[str, Path]
) -> None:
    prepare(database, store, homes)
    with (
        replica(homes, store, "a", database.dsn) as a,
        replica(homes, store, "b", database.dsn) as b,
    ):
        wait_for_runs(store, 6)
        b.wait_for_metric("rows_per_second", 1)
        wait_for_the_same(a, b, 30)
        due = [daemon.metric("next_run_timestamp_seconds") or 0 for daemon in (a, b)]
        assert abs(due[0] - due[1]) < INTERVAL + 1  # by a tick at most, between two runs
        assert a.stop() == b.stop() == 0
    assert len(set(holders(store))) == 1, holders(store)
    assert_proved(store)


@pytest.mark.parametrize("how", ["killed", "stopped politely"])
def test_the_other_takes_over_and_keeps_it(
    database: Database, store: Database, homes: dict[str, Path], how: str, fault: Fault
) -> None:
    prepare(database, store, homes)
    with replica(homes, store, "a", database.dsn) as a:
        wait_for_runs(store, 1)
        with replica(homes, store, "b", database.dsn) as b:
            wait_for_runs(store, 3)
            assert set(holders(store)) == {"a"}
            since = datetime.now(UTC)
            a.process.send_signal(signal.SIGKILL if how == "killed" else signal.SIGTERM)
            a.process.wait(30)
            wait_for_runs(store, 2, "b")
            with replica(homes, store, "a", database.dsn):
                wait_for_runs(store, 4, "b")
            assert b.stop() == 0
    assert re.fullmatch("a+b+", "".join(holders(store)))
    assert_proved(store)
    note_take_over(fault, store, since)


def test_the_other_takes_over_from_one_that_is_cut_off_from_the_canary(
    database: Database,
    store: Database,
    homes: dict[str, Path],
    server: Server,
    tmp_path: Path,
    fault: Fault,
) -> None:
    prepare(database, store, homes)
    with slow_network(server.port, tmp_path) as network:
        through = server.tcp_dsn(database.name, password=PASSWORD).replace(
            f":{server.port}/", f":{network.port}/"
        )
        with replica(homes, store, "a", through) as a:
            wait_for_runs(store, 1)
            with replica(homes, store, "b", database.dsn):
                wait_for_runs(store, 3)
                since = datetime.now(UTC)
                network.delay(100_000)
                wait_for_runs(store, 2, "b", 150)
                network.delay(0)
                wait_for_runs(store, 4, "b")
            assert a.metric("up", target="main") is not None
    assert re.fullmatch("a+b+", "".join(holders(store)))
    assert_proved(store)
    note_take_over(fault, store, since)


#: The server is at work on a row; and at one of a COPY that is no warm-up's, which has 100.
AT_A_ROW = (
    "SELECT 1 FROM pg_stat_activity WHERE datname = current_database()"
    " AND application_name = 'ingest-canary' AND wait_event = 'PgSleep'"
)
IN_A_COPY = "SELECT 1 FROM pg_stat_progress_copy WHERE tuples_processed > 150"


def stop_while_the_server_inserts(daemon: Daemon, database: Database, when: str) -> datetime:
    """SIGSTOP in a round; what of it has been sent the server then does at its usual pace."""
    slow_rows(database, "ingest_canary.orders", 0.005 if when == AT_A_ROW else 0.001)
    wait_until(lambda: database.sql(when), "a round", 90)
    since = datetime.now(UTC)
    daemon.process.send_signal(signal.SIGSTOP)
    database.sql(  # dropping it would wait for the stopped one's transaction
        "CREATE OR REPLACE FUNCTION public.before_row() RETURNS trigger LANGUAGE plpgsql"
        " AS 'BEGIN RETURN NEW; END'"
    )
    return since


def test_nobody_measures_beside_one_that_was_stopped_in_a_copy(
    database: Database,
    store: Database,
    homes: dict[str, Path],
    fault: Fault,
    rules: Alarms | None,
) -> None:
    """A server that waits for a COPY's data ends it by no timeout of its own (seen: 137 s). The
    other says so, and takes over when the stopped one is killed."""
    prepare(database, store, homes)
    many = {
        "INGEST_CANARY_SUITE__ROWS": "20000",  # more than the socket holds
        "INGEST_CANARY_SUITE__CASES": '[{"strategy": "asyncpg_copy"}]',
    }
    with replica(homes, store, "a", database.dsn, more=many) as a:
        wait_for_runs(store, 1)
        with replica(homes, store, "b", database.dsn, more=many) as b:
            b.wait_for_metric("rows_per_second", 1)
            stop_while_the_server_inserts(a, database, IN_A_COPY)
            b.wait_for_metric("runs_skipped_total", 3, 60, reason="locked")
            if rules is not None:
                rules.watch("stopped", b.wait_for_log(r"serving http://([\d.:]+)/")[1])
                wait_until(lambda: "IngestCanaryRunStale" in rules.of("stopped"), "an alert", 60)
            assert "b" not in holders(store)
            since = datetime.now(UTC)
            a.process.kill()
            wait_for_runs(store, 2, "b")
            assert b.stop() == 0
    assert_proved(store)
    note_take_over(fault, store, since)


def test_the_other_takes_over_from_one_that_was_stopped_in_a_round(
    database: Database, store: Database, homes: dict[str, Path], fault: Fault
) -> None:
    """For two intervals; the server ends the stopped one's session after a minute."""
    interval = 40.0
    prepare(database, store, homes)
    with replica(homes, store, "a", database.dsn, interval) as a:
        wait_for_runs(store, 1)
        with replica(homes, store, "b", database.dsn, interval) as b:
            b.wait_for_metric("rows_per_second", 1)
            since = stop_while_the_server_inserts(a, database, AT_A_ROW)
            try:
                wait_for_runs(store, 1, "b", 2 * interval + 60)
            except AssertionError as error:
                raise AssertionError(f"{error}; a: {a.log}; b: {b.log}") from error
            a.process.send_signal(signal.SIGCONT)
            wait_for_runs(store, 2, "b", 2 * interval)
            a.wait_for_metric("runs_total", 2, target="main")  # the one it was stopped in ended
            wait_for_the_same(a, b, 60)
            assert "Traceback" not in a.log + b.log
    assert_proved(store, interval)
    note_take_over(fault, store, since, interval)
