"""The daemon as a process: its page and its API tell what it measured, after a restart too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.acceptance.process import Daemon, call
from tests.conftest import Database
from tests.servers import wait_until

API = "/api/v1"
SWEEPS = f"{API}/targets/main/sweeps"
COPY = f"{API}/targets/main/cases/asyncpg_copy.orders.200/points"


def asked(daemon: Daemon, path: str) -> dict[str, Any]:
    status, body = daemon.get(path)
    assert status == 200, body
    found: dict[str, Any] = json.loads(body)
    return found


def points(daemon: Daemon) -> list[list[float | None]]:
    found: list[list[float | None]] = asked(daemon, COPY)["points"]
    return found


def test_page_and_api_tell_what_was_measured_and_do_after_a_restart(
    database: Database, data_dir: Path
) -> None:
    extra = {"INGEST_CANARY_TARGETS__MAIN__DSN": database.dsn}
    with Daemon(data_dir, "--interval", "1s", extra=extra) as daemon:
        daemon.wait_for_metric("runs_total", 2, outcome="ok", target="main")
        wait_until(lambda: len(points(daemon)) >= 2, "two runs to be published", 60)
        target = asked(daemon, f"{API}/targets/main")
        assert {case["strategy"] for case in target["cases"]} >= {"asyncpg_copy", "orm_bulk"}
        assert all(case["rows_per_second"] > 0 for case in target["cases"])
        assert asked(daemon, f"{API}/status")["targets"][0]["name"] == "main"
        assert len(asked(daemon, f"{API}/targets/main/runs")["runs"]) >= 2
        made_with = asked(daemon, f"{API}/targets/main/environments")["environment"]
        assert made_with["server"]["fsync"]
        status, page = daemon.get("/")
        assert status == 200
        assert "asyncpg_copy" in page
        assert database.dsn not in page
        assert daemon.get("/targets/none")[0] == daemon.get(f"{API}/targets/none")[0] == 404
        assert daemon.stop() == 0
    with Daemon(data_dir, "--interval", "1h", extra=extra) as daemon:
        daemon.wait_for_metric("build_info", 1)
        wait_until(lambda: len(points(daemon)) >= 2, "the points to be restored", 60)
        assert len(asked(daemon, f"{API}/targets/main/runs")["runs"]) >= 2
        assert daemon.stop() == 0
        assert "Traceback" not in daemon.log


def test_a_sweep_made_beside_the_daemon_is_shown(database: Database, data_dir: Path) -> None:
    extra = {"INGEST_CANARY_TARGETS__MAIN__DSN": database.dsn}
    swept = ("sweep", "--values", "50,100", "--rows", "200", "--rounds", "2", "--json",
             "--strategy", "asyncpg_copy")  # fmt: skip
    first = json.loads(call(data_dir, *swept, extra=extra).stdout)
    second = json.loads(call(data_dir, *swept, extra=extra).stdout)
    with Daemon(data_dir, "--interval", "1s", extra=extra) as daemon:
        daemon.wait_for_metric("sweep_elbow", 50, strategy="asyncpg_copy", parameter="batch_size")
        wait_until(lambda: asked(daemon, SWEEPS)["sweeps"] != [], "the sweeps to be shown", 60)
        found = asked(daemon, SWEEPS)["sweeps"]
        assert [each["id"] for each in found] == [second["run"]["id"], first["run"]["id"]]
        (now,), (then,) = second["curves"], first["curves"]
        change = now["plateau_rows_per_second"] / then["plateau_rows_per_second"] - 1
        (curve,) = found[0]["curves"]
        assert (curve["elbow"], curve["elbow_before"]) == (now["elbow"], then["elbow"])
        assert curve["plateau_change_ratio"] == change
        assert "Rows/s over batch_size on orders, rows 200" in daemon.get("/targets/main")[1]
        assert daemon.stop() == 0
