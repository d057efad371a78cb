"""The daemon as a process on a server that it does not own: what it does when that server fails."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.process import Daemon, call
from tests.conftest import Database
from tests.integration.helpers import (
    all_empty,
    locks_of_ours,
    sessions_of_ours,
    slow_rows,
)
from tests.servers import PASSWORD, Server, wait_until


def target(dsn: str) -> dict[str, str]:
    return {"INGEST_CANARY_TARGETS__MAIN__DSN": dsn}


@pytest.fixture
def own_server(pg_bin: Path, server_root: Path) -> Iterator[Server]:
    """A server that a test may stop."""
    server = Server(pg_bin, server_root / "own").start()
    server.sql("CREATE EXTENSION pg_stat_statements")
    yield server
    server.remove()


def nothing_left(database: Database) -> bool:
    return all_empty(database) and locks_of_ours(database) == 0 and sessions_of_ours(database) == 0


def test_it_measures_at_once_and_again_and_a_signal_ends_it_cleanly(
    database: Database, data_dir: Path
) -> None:
    with Daemon(data_dir, "--interval", "1s", extra=target(database.dsn)) as daemon:
        daemon.wait_for_metric("runs_total", 2, outcome="ok", target="main")
        assert daemon.metric("up", target="main") == 1
        assert daemon.metric("rows_per_call", strategy="core_executemany") == 1
        assert daemon.metric("rows_per_call", strategy="core_insertmanyvalues") == 200
        assert daemon.get("/-/healthy")[0] == daemon.get("/-/ready")[0] == 200
        assert daemon.stop(signal.SIGTERM) == 0
    assert "asyncpg_unnest" in daemon.output
    assert nothing_left(database)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_the_middle_of_a_round_leaves_nothing_behind(
    database: Database, data_dir: Path, number: int
) -> None:
    assert call(data_dir, "measure", extra=target(database.dsn)).returncode == 0
    slow_rows(database, "ingest_canary.orders", 0.05)
    extra = target(database.dsn) | {"INGEST_CANARY_GRACE_PERIOD": "5s"}  # no time for the run
    with Daemon(data_dir, extra=extra) as daemon:
        wait_until(lambda: in_a_round(database), "a round to be under way", 60)
        assert daemon.metric("lock_held", target="main") == 1
        assert daemon.stop(number) == 0
        assert "Traceback" not in daemon.log
    wait_until(lambda: nothing_left(database), "the canary to be clean")


def in_a_round(database: Database) -> bool:
    """Whether a session of ours waits in the slow trigger."""
    return bool(
        database.sql(
            "SELECT FROM pg_stat_activity WHERE application_name = 'ingest-canary'"
            " AND datname = current_database() AND wait_event = 'PgSleep'"
        )
    )


def test_after_kill_9_the_next_start_cleans_up_and_measures(
    database: Database, data_dir: Path
) -> None:
    assert call(data_dir, "measure", extra=target(database.dsn)).returncode == 0
    slow_rows(database, "ingest_canary.orders", 0.02)
    with Daemon(data_dir, extra=target(database.dsn)) as daemon:
        wait_until(lambda: in_a_round(database), "a round to be under way", 60)
        daemon.process.kill()
        daemon.process.wait()
    database.sql("DROP FUNCTION public.before_row CASCADE")
    with Daemon(data_dir, "--interval", "1s", extra=target(database.dsn)) as daemon:
        daemon.wait_for_metric("runs_total", 1, outcome="ok", target="main")
        assert daemon.stop() == 0
    assert nothing_left(database)


def test_metrics_are_answered_while_a_round_runs(database: Database, data_dir: Path) -> None:
    assert call(data_dir, "measure", extra=target(database.dsn)).returncode == 0
    slow_rows(database, "ingest_canary.orders", 0.02)
    with Daemon(data_dir, extra=target(database.dsn)) as daemon:
        wait_until(lambda: in_a_round(database), "a round to be under way", 60)
        assert daemon.get("/metrics")[0] == 200
        assert in_a_round(database)


def test_a_canary_that_is_down_is_told_counted_and_tried_again(
    own_server: Server, data_dir: Path
) -> None:
    own_server.stop()
    with Daemon(data_dir, "--interval", "1s", extra=target(own_server.dsn())) as daemon:
        daemon.wait_for_metric("round_failures_total", 1, reason="unavailable", target="main")
        assert daemon.metric("up", target="main") == 0
        assert (daemon.metric("consecutive_failures", target="main") or 0) >= 1
        assert daemon.metric("last_run_timestamp_seconds", outcome="failed") is not None
        own_server.start()
        daemon.wait_for_metric("runs_total", 1, outcome="ok", target="main")
        assert daemon.metric("up", target="main") == 1
        assert daemon.metric("consecutive_failures", target="main") == 0
        assert daemon.stop() == 0
        assert "Traceback" not in daemon.log


def test_a_canary_that_vanishes_in_mid_run_is_a_failure_with_its_reason(
    own_server: Server, data_dir: Path
) -> None:
    assert call(data_dir, "measure", extra=target(own_server.dsn())).returncode == 0
    own = Database("postgres", own_server.dsn(), own_server)
    slow_rows(own, "ingest_canary.orders", 0.02)
    with Daemon(data_dir, "--interval", "1s", extra=target(own_server.dsn())) as daemon:
        wait_until(lambda: in_a_round(own), "a round to be under way", 60)
        own_server.kill()
        daemon.wait_for_metric("round_failures_total", 1, reason="unavailable", target="main")
        assert daemon.metric("up", target="main") == 0
        own_server.start()
        own.sql("DROP FUNCTION public.before_row CASCADE")
        daemon.wait_for_metric("runs_total", 1, outcome="ok", target="main")
        assert daemon.stop() == 0


def test_a_wrong_password_is_authentication_and_never_shown(server: Server, data_dir: Path) -> None:
    secret = "s3cr3t-canary%"
    dsn = server.tcp_dsn(password=secret)
    for extra in (target(dsn), {**target(dsn), "INGEST_CANARY_LOG__FORMAT": "json"}):
        with Daemon(
            data_dir, "--interval", "1s", "--debug", "--log-level", "debug", extra=extra
        ) as daemon:
            daemon.wait_for_metric("round_failures_total", 1, reason="authentication")
            assert daemon.metric("up", target="main") == 0
            everything = daemon.get("/metrics")[1] + daemon.get("/")[1]
            assert daemon.stop() == 0
            everything += daemon.log + daemon.output
        assert "s3cr3t-canary" not in everything
        shown = call(data_dir, "config", "show", extra=extra)
        failed = call(data_dir, "measure", "--debug", extra=extra)
        assert failed.returncode == 1
        assert "s3cr3t-canary" not in shown.stdout + shown.stderr + failed.stdout + failed.stderr


def test_the_right_password_over_tcp_measures(server: Server, data_dir: Path) -> None:
    name = "over_tcp"
    server.create_database(name)
    dsn_file = data_dir / "dsn"
    dsn_file.write_text(server.tcp_dsn(name, password=PASSWORD) + "\n")
    extra = {"INGEST_CANARY_TARGETS__MAIN__DSN_FILE": str(dsn_file)}
    done = call(data_dir, "measure", "--json", extra=extra)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["run"]["outcome"] == "ok"
    server.sql(f"DROP DATABASE {name} WITH (FORCE)")


def test_a_pause_file_stops_new_runs_and_says_so(database: Database, data_dir: Path) -> None:
    (data_dir / "pause").touch()
    with Daemon(data_dir, "--interval", "1s", extra=target(database.dsn)) as daemon:
        daemon.wait_for_metric("runs_skipped_total", 2, reason="paused", target="main")
        assert daemon.metric("paused", target="main") == 1
        assert daemon.metric("runs_total", outcome="ok") is None
        (data_dir / "pause").unlink()
        daemon.wait_for_metric("runs_total", 1, outcome="ok", target="main")
        assert daemon.metric("paused", target="main") == 0


def test_a_condition_of_the_target_stops_new_runs(database: Database, data_dir: Path) -> None:
    database.sql("CREATE TABLE public.busy AS SELECT true AS yes")
    extra = target(database.dsn) | {
        "INGEST_CANARY_TARGETS__MAIN__SKIP_WHILE": "SELECT yes FROM public.busy"
    }
    with Daemon(data_dir, "--interval", "1s", extra=extra) as daemon:
        daemon.wait_for_metric("runs_skipped_total", 1, reason="condition", target="main")
        database.sql("UPDATE public.busy SET yes = false")
        daemon.wait_for_metric("runs_total", 1, outcome="ok", target="main")


def test_a_run_longer_than_the_interval_skips_ticks_and_warns(
    database: Database, data_dir: Path
) -> None:
    assert call(data_dir, "measure", extra=target(database.dsn)).returncode == 0
    slow_rows(database, "ingest_canary.orders", 0.001)
    with Daemon(data_dir, "--interval", "0.5s", extra=target(database.dsn)) as daemon:
        daemon.wait_for_metric("runs_skipped_total", 1, reason="overlapping", target="main")
        daemon.wait_for_log("longer than the interval")
        assert (daemon.metric("schedule_utilisation_ratio") or 0) > 1
        assert daemon.stop() == 0


def test_two_runs_of_one_target_take_turns(database: Database, data_dir: Path) -> None:
    assert call(data_dir, "measure", extra=target(database.dsn)).returncode == 0
    slow_rows(database, "ingest_canary.orders", 0.01)
    with Daemon(data_dir, extra=target(database.dsn)):
        wait_until(lambda: in_a_round(database), "a round to be under way", 60)
        refused = call(data_dir, "measure", "--wait", "0", extra=target(database.dsn))
    assert refused.returncode == 2
    assert refused.stdout == ""
    assert "another run holds the lock of schema ingest_canary: ingest-canary" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
