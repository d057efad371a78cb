"""The daemon tells what was done to its canary, remembers it through a kill, and sees it undone."""

from __future__ import annotations

import json
from pathlib import Path

from tests.acceptance.process import Daemon, call
from tests.conftest import Database
from tests.judging import TABLE

#: Runs that work counters learn from.
LEARNING = 7


def settings(database: Database) -> dict[str, str]:
    return {
        "INGEST_CANARY_TARGETS__MAIN__DSN": database.dsn,
        "INGEST_CANARY_INTERVAL": "500ms",
        "INGEST_CANARY_SUITE__ROUNDS": "5",
        "INGEST_CANARY_SUITE__CASES": '[{"strategy": "asyncpg_copy"}]',
    }


def test_a_regression_is_told_kept_and_ended(database: Database, data_dir: Path) -> None:
    extra = settings(database)
    with Daemon(data_dir, extra=extra) as daemon:
        daemon.wait_for_metric("runs_total", LEARNING, outcome="ok")
        assert daemon.metric("regressed", signal="work") == 0
        assert daemon.metric("verdict", state="learning") == 1
        database.sql(f"CREATE INDEX added ON {TABLE} (customer_id)")
        daemon.wait_for_metric("regressed", 1, signal="work")
        assert daemon.metric("regression_info", cause="index", component="server") == 1
        assert daemon.metric("verdict", state="regressed") == 1
        since = daemon.metric("change_point_timestamp_seconds", signal="work")
        daemon.wait_for_log(rf"WARNING .*index added on {TABLE}\(customer_id\) \[[0-9a-f]{{12}}\]")
        daemon.process.kill()
        daemon.process.wait()
    # With an hour until the next run, all that is shown was remembered.
    with Daemon(data_dir, extra=extra | {"INGEST_CANARY_INTERVAL": "1h"}) as daemon:
        daemon.wait_for_metric("regressed", 1, signal="work")
        assert daemon.metric("runs_total", target="main") is None
        assert daemon.metric("change_point_timestamp_seconds", signal="work") == since
        assert daemon.stop() == 0
    (story,) = json.loads(call(data_dir, "changes", "--open", "--json", extra=extra).stdout)
    assert (story["cause"], story["target"], story["alarming"]) == ("index", "main", True)
    assert call(data_dir, "changes", "--check", extra=extra).returncode == 1
    database.sql("DROP INDEX ingest_canary.added")
    with Daemon(data_dir, extra=extra) as daemon:
        daemon.wait_for_log(r"INFO .*index added .* recovered \d{4}-")
        assert daemon.metric("regressed", signal="work") == 0
        assert daemon.metric("regression_info", target="main") is None
        # The next run is made when this one has been stored.
        made = daemon.metric("runs_total", outcome="ok") or 0
        daemon.wait_for_metric("runs_total", made + 1, outcome="ok")
        assert daemon.stop() == 0
        assert "Traceback" not in daemon.log
    assert call(data_dir, "changes", "--check", extra=extra).returncode == 0
    done = call(data_dir, "replay", extra=extra)
    assert done.stdout.endswith(": identical\n"), done.stdout
