"""The end of the process: by SIGTERM with time to finish, without it, and by the watchdog."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from tests.acceptance.fault_table import Fault
from tests.acceptance.process import Daemon, call
from tests.acceptance.runs import measured, runs_in_file
from tests.clock import settable_clock
from tests.conftest import Database
from tests.integration.helpers import all_empty, locks_of_ours, sessions_of_ours, slow_rows
from tests.servers import wait_until

ONE_CASE = {"INGEST_CANARY_SUITE__CASES": '[{"strategy": "asyncpg_copy"}]'}


def settings(database: Database, **more: str) -> dict[str, str]:
    return {"INGEST_CANARY_TARGETS__MAIN__DSN": database.dsn, **ONE_CASE, **more}


def nothing_left(database: Database) -> bool:
    return all_empty(database) and locks_of_ours(database) == 0 and sessions_of_ours(database) == 0


def test_sigterm_lets_a_run_end_and_it_is_kept(
    database: Database, data_dir: Path, fault: Fault
) -> None:
    extra = settings(database)
    assert call(data_dir, "measure", extra=extra).returncode == 0
    slow_rows(database, "ingest_canary.orders", 0.005)  # a second a round
    with Daemon(data_dir, extra=extra) as daemon:
        daemon.wait_for_metric("lock_held", 1, target="main")
        assert daemon.stop(signal.SIGTERM) == 0
        fault.told("exit 0, the run is kept")
        assert "has 24.7 s to end" in daemon.log
        assert "run ok" in daemon.log
    assert [run.outcome for run in measured(runs_in_file(data_dir))] == ["ok"]
    assert nothing_left(database)


def test_sigterm_gives_up_a_run_that_takes_too_long(
    database: Database, data_dir: Path, fault: Fault
) -> None:
    extra = settings(database, INGEST_CANARY_GRACE_PERIOD="7s")
    assert call(data_dir, "measure", extra=extra).returncode == 0
    slow_rows(database, "ingest_canary.orders", 1.0)
    with Daemon(data_dir, extra=extra) as daemon:
        daemon.wait_for_metric("lock_held", 1, target="main")
        assert daemon.stop(signal.SIGTERM) == 0
        fault.told("exit 0, the run is given up")
        assert "Traceback" not in daemon.log
    assert measured(runs_in_file(data_dir)) == []
    wait_until(lambda: nothing_left(database), "the canary to be clean")


# --- the watchdog ---------------------------------------------------------------------------------


@pytest.fixture
def hanging(database: Database, data_dir: Path) -> dict[str, str]:
    """Settings with which the loop hangs in the first run, and says so by a file."""
    plugin = data_dir / "hangs.py"
    plugin.write_text(
        "import pathlib, time\n"
        "from monitor.suite.strategies import strategy\n\n\n"
        "@strategy(rows='tuples')\n"
        "async def hangs(into, rows):\n"
        '    """Blocks the loop"""\n'
        f"    pathlib.Path({str(data_dir / 'hangs')!r}).touch()\n"
        "    while True:\n"
        "        time.sleep(0.1)\n"
    )
    return settings(database) | {
        "INGEST_CANARY_SUITE__CASES": '[{"strategy": "hangs"}]',
        "INGEST_CANARY_SUITE__PLUGINS": f'["{plugin}"]',
        "INGEST_CANARY_WATCHDOG": "10s",
    }


def assert_ended_by_the_watchdog(daemon: Daemon, fault: Fault) -> None:
    assert daemon.process.wait(60) == 70, daemon.log
    assert "the scheduler has stood still for 10 s" in daemon.log
    assert "in hangs" in daemon.log  # where it stood
    fault.told("exit 70 and where it stood")


@pytest.mark.slow
def test_the_watchdog_ends_a_process_whose_loop_hangs(
    hanging: dict[str, str], data_dir: Path, fault: Fault
) -> None:
    with Daemon(data_dir, extra=hanging) as daemon:
        assert_ended_by_the_watchdog(daemon, fault)


@pytest.mark.slow
def test_one_that_hangs_and_was_stopped_gets_a_cycle_of_grace(
    hanging: dict[str, str], data_dir: Path, fault: Fault
) -> None:
    """What it had not done while it was stopped is not held against it; that it hangs is."""
    with Daemon(data_dir, extra=hanging) as daemon:
        wait_until(lambda: (data_dir / "hangs").exists(), "the loop to hang", 60)
        daemon.stopped_for(15)
        time.sleep(4)  # looks of the watchdog's, some 1.25 s apart
        assert daemon.process.poll() is None, daemon.log
        assert_ended_by_the_watchdog(daemon, fault)


@pytest.mark.slow
@pytest.mark.parametrize("by", [3600, -3600])
def test_one_that_hangs_is_ended_though_the_clock_is_set(
    hanging: dict[str, str], data_dir: Path, tmp_path: Path, fault: Fault, by: int
) -> None:
    with (
        settable_clock(tmp_path) as clock,
        Daemon(data_dir, extra=hanging | dict(clock.environment)) as daemon,
    ):
        wait_until(lambda: (data_dir / "hangs").exists(), "the loop to hang", 60)
        clock.set_by(by)
        assert_ended_by_the_watchdog(daemon, fault)
