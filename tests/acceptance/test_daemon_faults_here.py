"""The fault matrix of the daemon: what befalls its own host, its store, its process."""

from __future__ import annotations

import random
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.acceptance.befallen import SECONDS, Befallen, Told
from tests.acceptance.process import Daemon
from tests.clock import SetClock, settable_clock
from tests.conftest import Database
from tests.faults import disk
from tests.servers import Server, wait_until

pytestmark = pytest.mark.slow
HOUR = 3600

STORE_GONE = Told(
    up=1,
    alerts=frozenset({"IngestCanaryStoreUnavailable"}),
    reach={"store_errors_total": 1, "store_spooled_samples": 28},
)


def test_store_gone(befallen: Befallen, pg_bin: Path, server_root: Path) -> None:
    with Server(pg_bin, server_root / "store-gone", preload=False) as own:
        befallen.store = Database("postgres", own.dsn(), own)
        befallen.survives(lambda _: own.kill(), lambda _: own.start(), STORE_GONE)


def test_disk_of_the_data_directory_full(befallen: Befallen) -> None:
    with disk(befallen.home / "disk", 16 << 20) as small:
        befallen.home = small.path
        befallen.survives(lambda _: small.fill(), lambda _: small.empty(), STORE_GONE)


@pytest.mark.parametrize("by", [HOUR, -HOUR], ids=["an hour on", "an hour back"])
def test_clock_stepped(befallen: Befallen, tmp_path: Path, by: int) -> None:
    """And stepped back again. The watchdog of 10 s ends nothing, and no run waits for an hour."""
    with settable_clock(tmp_path) as clock:
        befallen.extra |= clock.environment
        befallen.alarms = None  # Prometheus has the right time
        told = Told(up=1, log=rf"clock was set by {by} s")
        befallen.survives(
            lambda daemon: step(daemon, clock, by), lambda daemon: step(daemon, clock, 0), told
        )
        starts = [run.started_at for run in befallen.runs()]
        assert starts == sorted(starts)


def step(daemon: Daemon, clock: SetClock, by: int) -> None:
    """Set the clock; runs go on, the next is due soon by that clock, and none counts as missed."""
    clock.set_by(by)
    done = daemon.metric("runs_total", outcome="ok") or 0
    daemon.wait_for_metric("runs_total", done + 2, SECONDS, outcome="ok")
    due = daemon.metric("next_run_timestamp_seconds", target="main") or 0
    assert abs(due - (time.time() + by)) < 10
    assert (daemon.metric("runs_skipped_total", reason="missed") or 0) <= 2


def test_stopped_for_two_intervals(befallen: Befallen) -> None:
    befallen.survives(
        lambda daemon: daemon.stopped_for(4.5),
        lambda _: None,
        Told(reach={"runs_skipped_total": 1}),
    )


def test_stopped_for_longer_than_the_watchdogs_patience(befallen: Befallen) -> None:
    befallen.survives(
        lambda daemon: daemon.stopped_for(12), lambda _: None, Told(reach={"runs_skipped_total": 1})
    )


def test_kill_9_at_ten_random_moments(befallen: Befallen) -> None:
    """Whatever it had said by then is in the store, and the canary is clean in the end."""
    rng = random.Random(20261125)
    told = 0.0
    for _ in range(10):
        with befallen.daemon(interval=1) as daemon:
            daemon.wait_for_log("serving")
            moment, said = time.monotonic() + rng.uniform(0.2, 4.0), 0.0
            while time.monotonic() < moment:
                said = daemon.metric("rounds_total", outcome="ok") or 0
            daemon.process.kill()
            told += said
    assert told > 0
    befallen.survives(lambda _: None, lambda _: None, Told())
    found = befallen.samples()
    assert found >= told, f"{told - found} samples were lost"
    with closing(sqlite3.connect(befallen.home / "store.sqlite")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    befallen.fault.kept(f"{told:.0f} of {told:.0f} samples reported before a kill")
    wait_until(befallen.nothing_left, "the canary to be clean", SECONDS)
