"""What a restarted daemon knows: its last values at once, and no run before it is due."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.acceptance.process import Daemon, call
from tests.conftest import Database


def target(dsn: str) -> dict[str, str]:
    return {"INGEST_CANARY_TARGETS__MAIN__DSN": dsn}


@pytest.mark.parametrize(
    ("store", "end"), [("sqlite", signal.SIGKILL), ("postgresql", signal.SIGTERM)]
)
def test_last_values_are_there_at_once_and_nothing_is_measured_before_it_is_due(
    database: Database, data_dir: Path, store: str, end: int
) -> None:
    extra = target(database.dsn)
    if store == "postgresql":
        extra["INGEST_CANARY_STORE__URL"] = database.dsn
    with Daemon(data_dir, "--interval", "1h", extra=extra) as daemon:
        daemon.wait_for_metric("store_samples_total", 14)
        rate = daemon.metric("rows_per_second", strategy="asyncpg_unnest")
        due = daemon.metric("next_run_timestamp_seconds")
        daemon.process.send_signal(end)
        daemon.process.wait(20)
    with Daemon(data_dir, "--interval", "1h", extra=extra) as daemon:
        daemon.wait_for_metric("next_run_timestamp_seconds", 1)
        assert daemon.metric("rows_per_second", strategy="asyncpg_unnest") == rate
        assert daemon.metric("runs_total") is None
        assert abs((daemon.metric("next_run_timestamp_seconds") or 0) - (due or 0)) < 5


def test_paused_by_a_row_in_the_store(database: Database, data_dir: Path) -> None:
    extra = target(database.dsn)
    assert call(data_dir, "pause", "--note", "test", extra=extra).returncode == 0
    with Daemon(data_dir, "--interval", "1s", extra=extra) as daemon:
        daemon.wait_for_metric("runs_skipped_total", 2, reason="paused")
        assert daemon.metric("paused", target="main") == 1
        assert daemon.metric("runs_total", outcome="ok") is None
        assert call(data_dir, "resume", "--target", "main", extra=extra).returncode == 0
        daemon.wait_for_metric("runs_total", 1, outcome="ok")
        assert daemon.metric("paused", target="main") == 0
    wrong = call(data_dir, "pause", "--target", "nosuch", extra=extra)
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)
