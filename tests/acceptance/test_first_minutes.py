"""What a new user does on a bare machine: no target, no settings."""

from __future__ import annotations

import json
import re
import signal
import socket
from pathlib import Path

from tests.acceptance.process import Daemon, call
from tests.servers import alive, wait_until

STRATEGIES = {
    "orm_add_all",
    "orm_bulk",
    "core_executemany",
    "core_insertmanyvalues",
    "asyncpg_copy",
    "asyncpg_unnest",
}


def postmaster_of(data_dir: Path) -> int:
    """Process id of the private server below the data directory."""
    return int((data_dir / "postgres/data/postmaster.pid").read_text().split()[0])


def test_run_needs_nothing_and_leaves_nothing(data_dir: Path) -> None:
    with Daemon(data_dir) as daemon:
        daemon.wait_for_metric("runs_total", 1, outcome="ok", target="private")
        server = postmaster_of(data_dir)
        assert alive(server)
        assert daemon.stop() == 0
    assert all(name in daemon.output for name in STRATEGIES)
    assert re.search(r"writes \d+ MB of WAL: [\d.]+ GB a day", daemon.log)
    assert "Traceback" not in daemon.log
    wait_until(lambda: not alive(server), "the end of the server")


def test_measure_joins_the_daemons_server_and_does_not_stop_it(data_dir: Path) -> None:
    with Daemon(data_dir) as daemon:
        daemon.wait_for_metric("runs_total", 1, outcome="ok", target="private")
        server = postmaster_of(data_dir)
        done = call(data_dir, "measure", "--strategy", "asyncpg_copy")
        assert done.returncode == 0, done.stderr
        assert postmaster_of(data_dir) == server
        assert alive(server)
        assert daemon.stop() == 0
    wait_until(lambda: not alive(server), "the end of the server")


def test_a_start_after_kill_9_adopts_the_server(data_dir: Path) -> None:
    with Daemon(data_dir) as daemon:
        daemon.wait_for_metric("runs_total", 1, outcome="ok", target="private")
        server = postmaster_of(data_dir)
        daemon.process.send_signal(signal.SIGKILL)
        daemon.process.wait()
    assert alive(server)
    done = call(data_dir, "measure", "--strategy", "asyncpg_copy", "--json")
    assert done.returncode == 0, done.stderr
    wait_until(lambda: not alive(server), "the adopted server to be stopped")


def test_measure_json_holds_every_round(data_dir: Path) -> None:
    done = call(data_dir, "measure", "--json", "--rows", "300", "--rounds", "2")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["run"]["target"] == "private"
    assert {case["strategy"] for case in result["cases"]} == STRATEGIES
    for case in result["cases"]:
        assert [sample["round"] for sample in case["rounds"]] == [1, 2]
        assert all(sample["rows"] == 300 for sample in case["rounds"])
        assert set(case["seconds_per_row"]) == {"client", "server", "commit", "rest"}
        assert case["failures"] == {}
    assert set(result["probes"]) == {"client_cpu", "round_trip", "server_insert", "commit"}


def test_measure_is_narrowed_by_strategy(data_dir: Path) -> None:
    done = call(data_dir, "measure", "--strategy", "orm_bulk", "--strategy", "core_executemany")
    assert done.returncode == 0, done.stderr
    assert "orm_bulk" in done.stdout
    assert "core_executemany" in done.stdout
    assert "asyncpg_copy" not in done.stdout


def test_a_port_in_use_is_one_line_and_exit_code_2(data_dir: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = call(data_dir, "run", "--port", str(port))
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(f"ingest-canary: cannot listen on 127.0.0.1:{port}: ")
    assert len(done.stderr.splitlines()) == 1


def test_cleanup_drops_what_measure_made(data_dir: Path) -> None:
    assert call(data_dir, "measure", "--strategy", "asyncpg_copy").returncode == 0
    done = call(data_dir, "cleanup")
    assert done.returncode == 0, done.stderr
    assert re.search(r"dropped tables: orders, .*; schema ingest_canary", done.stdout)
    again = call(data_dir, "cleanup")
    assert "nothing of ours" in again.stdout
