"""Figures that depend on the machine: the order of the strategies, memory, idle CPU, first metrics.

Slow: run by ``make acceptance``, which prints what was measured.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from tests.acceptance.process import Daemon, call

pytestmark = pytest.mark.slow

DEFAULT_SUITE = {"INGEST_CANARY_SUITE__ROWS": "20000", "INGEST_CANARY_SUITE__ROUNDS": "5"}


def cpu_seconds(pid: int) -> float:
    """CPU time that the process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_megabytes(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def test_the_strategies_come_in_their_known_order(data_dir: Path) -> None:
    done = call(data_dir, "measure", "--json", "--rounds", "9", extra=DEFAULT_SUITE)
    assert done.returncode == 0, done.stderr
    fast = {
        case["strategy"]: case["rows_per_second_fast"]
        for case in json.loads(done.stdout)["cases"]
        if not case["variant"] and case["shape"] == "orders"
    }
    print({name: f"{rate:,.0f}" for name, rate in fast.items()})
    order = ["asyncpg_copy", "asyncpg_unnest", "core_insertmanyvalues", "core_executemany",
             "orm_bulk", "orm_add_all"]  # fmt: skip
    assert sorted(fast, key=fast.__getitem__, reverse=True) == order


def test_the_daemon_is_quick_to_start_and_small_and_quiet(data_dir: Path) -> None:
    started = time.monotonic()
    with Daemon(data_dir, "--interval", "20s", extra=DEFAULT_SUITE) as daemon:
        daemon.wait_for_metric("rows_per_second", 1, strategy="asyncpg_copy")
        first = time.monotonic() - started
        daemon.wait_for_metric("runs_total", 3, outcome="ok", seconds=120)
        memory = resident_megabytes(daemon.process.pid)
        assert daemon.stop() == 0
    with Daemon(data_dir, extra=DEFAULT_SUITE) as daemon:
        daemon.wait_for_metric("runs_total", 1, outcome="ok")
        before = cpu_seconds(daemon.process.pid)
        time.sleep(90)  # idle time is what is measured
        idle = (cpu_seconds(daemon.process.pid) - before) / 90
        assert daemon.stop() == 0
    print(f"first metrics {first:.1f} s, {memory:.0f} MB resident, idle CPU {idle:.2%} of a core")
    assert first <= 30
    assert memory <= 160
    assert idle <= 0.005
