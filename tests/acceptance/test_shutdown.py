"""The end of the process: by SIGTERM with time to finish, without it, and by the watchdog."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.acceptance.process import Daemon, call
from tests.acceptance.runs import measured, runs_in_file
from tests.conftest import Database
from tests.integration.helpers import all_empty, locks_of_ours, sessions_of_ours, slow_rows
from tests.servers import wait_until

ONE_CASE = {"INGEST_CANARY_SUITE__CASES": '[{"strategy": "asyncpg_copy"}]'}


def settings(database: Database, **more: str) -> dict[str, str]:
    return {"INGEST_CANARY_TARGETS__MAIN__DSN": database.dsn, **ONE_CASE, **more}


def nothing_left(database: Database) -> bool:
    return all_empty(database) and locks_of_ours(database) == 0 and sessions_of_ours(database) == 0


def test_sigterm_lets_a_run_end_and_it_is_kept(database: Database, data_dir: Path) -> None:
    extra = settings(database)
    assert call(data_dir, "measure", extra=extra).returncode == 0
    slow_rows(database, "ingest_canary.orders", 0.005)  # a second a round
    with Daemon(data_dir, extra=extra) as daemon:
        daemon.wait_for_metric("lock_held", 1, target="main")
        assert daemon.stop(signal.SIGTERM) == 0
        assert "has 24.7 s to end" in daemon.log
        assert "run ok" in daemon.log
    assert [run.outcome for run in measured(runs_in_file(data_dir))] == ["ok"]
    assert nothing_left(database)


def test_sigterm_gives_up_a_run_that_takes_too_long(database: Database, data_dir: Path) -> None:
    extra = settings(database, INGEST_CANARY_GRACE_PERIOD="7s")
    assert call(data_dir, "measure", extra=extra).returncode == 0
    slow_rows(database, "ingest_canary.orders", 1.0)
    with Daemon(data_dir, extra=extra) as daemon:
        daemon.wait_for_metric("lock_held", 1, target="main")
        assert daemon.stop(signal.SIGTERM) == 0
        assert "Traceback" not in daemon.log
    assert measured(runs_in_file(data_dir)) == []
    wait_until(lambda: nothing_left(database), "the canary to be clean")


@pytest.mark.slow
def test_the_watchdog_ends_a_process_whose_loop_hangs(database: Database, data_dir: Path) -> None:
    plugin = data_dir / "hangs.py"
    plugin.write_text(
        "import time\n"
        "from monitor.suite.strategies import strategy\n\n\n"
        "@strategy(rows='tuples')\n"
        "async def hangs(into, rows):\n"
        '    """Blocks the loop"""\n'
        "    time.sleep(1000)\n"
    )
    extra = settings(database) | {
        "INGEST_CANARY_SUITE__CASES": '[{"strategy": "hangs"}]',
        "INGEST_CANARY_SUITE__PLUGINS": f'["{plugin}"]',
        "INGEST_CANARY_WATCHDOG": "10s",
    }
    with Daemon(data_dir, extra=extra) as daemon:
        assert daemon.process.wait(60) == 70, daemon.log
        assert "the scheduler has stood still for 10 s" in daemon.log
        assert "in hangs" in daemon.log  # where it stood
