"""Many targets in one daemon: each with its own terms, and each its own failure domain."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from tests.acceptance.process import Daemon, call
from tests.acceptance.runs import measured, runs_in_file
from tests.conftest import Database
from tests.integration.helpers import slow_rows
from tests.servers import PASSWORD, Server
from tests.slow_network import SlowNetwork, slow_network


@pytest.fixture
def others(server: Server) -> Iterator[dict[str, Database]]:
    """More databases, by name."""
    names = ("many_one", "many_two")
    made = {name: Database(name, server.create_database(name), server) for name in names}
    for each in made.values():
        each.sql("CREATE EXTENSION pg_stat_statements")
    yield made
    for name in names:
        server.sql(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def network(server: Server, tmp_path: Path) -> Iterator[SlowNetwork]:
    with slow_network(server.port, tmp_path) as found:
        yield found


def config(data_dir: Path, text: str) -> str:
    path = data_dir / "canary.toml"
    path.write_text(text)
    return str(path)


def test_targets_have_their_own_interval_suite_pause_and_windows(
    database: Database, others: dict[str, Database], data_dir: Path
) -> None:
    now = datetime.now(UTC)
    first, last = now + timedelta(hours=2), now + timedelta(hours=4)
    path = config(
        data_dir,
        f"""
        interval = "1s"
        [targets.often]
        dsn = "{database.dsn}"
        [targets.seldom]
        dsn = "{others["many_one"].dsn}"
        interval = "1h"
        suite = "small"
        [targets.never]
        dsn = "{others["many_two"].dsn}"
        paused = true
        [targets.later]
        dsn = "{others["many_two"].dsn}"
        schema = "later"
        only_between = ["{first:%H:%M}-{last:%H:%M}"]
        [suites.small]
        rows = 100
        rounds = 3
        cases = [{{ strategy = "asyncpg_copy" }}]
        """,
    )
    with Daemon(data_dir, "--config", path) as daemon:
        daemon.wait_for_metric("runs_total", 1, target="seldom", outcome="ok")
        daemon.wait_for_metric("runs_total", 3, target="often", outcome="ok")
        daemon.wait_for_metric("runs_skipped_total", 2, target="never", reason="paused")
        daemon.wait_for_metric("runs_skipped_total", 2, target="later", reason="window")
        assert daemon.metric("runs_total", target="seldom") == 1
        assert daemon.metric("run_interval_seconds", target="seldom") == 3600
        assert daemon.metric("rows_per_second", target="seldom", strategy="orm_bulk") is None
        assert daemon.metric("rounds_total", target="seldom", strategy="asyncpg_copy") == 3
        assert daemon.metric("paused", target="never") == 1
        opening = first.replace(second=0, microsecond=0).timestamp()
        due = daemon.metric("next_run_timestamp_seconds", target="later")
        assert due is not None
        assert opening <= due < opening + 1.1
        assert (daemon.metric("schedule_utilisation_ratio") or 0) > 0
        assert daemon.stop() == 0
    assert {run.target for run in runs_in_file(data_dir)} == {"often", "seldom"}


@pytest.mark.slow
def test_a_target_that_is_down_or_hangs_holds_up_no_other(
    database: Database,
    others: dict[str, Database],
    server: Server,
    data_dir: Path,
    network: SlowNetwork,
) -> None:
    hung = others["many_one"]
    through = server.tcp_dsn(hung.name, password=PASSWORD).replace(
        f":{server.port}/", f":{network.port}/"
    )
    path = config(
        data_dir,
        f"""
        interval = "6s"
        [targets.hung]
        dsn = "{through}"
        connect_timeout = "30s"
        [targets.down]
        dsn = "postgresql://nobody@127.0.0.1:1/none"
        [targets.well]
        dsn = "{database.dsn}"
        """,
    )
    with Daemon(data_dir, "--config", path) as daemon:
        daemon.wait_for_metric("runs_total", 1, target="hung", outcome="ok")
        daemon.wait_for_metric("runs_total", 1, target="down", outcome="failed")
        daemon.wait_for_log("hung: the statements .* are explained")  # which would be slow as well
        slow_rows(hung, "ingest_canary.orders", 0.02)  # so that it is caught in a round
        daemon.wait_for_metric("lock_held", 1, target="hung")
        network.delay(100_000)
        before = daemon.metric("runs_total", target="well", outcome="ok") or 0
        daemon.wait_for_metric("runs_total", before + 4, target="well", outcome="ok")
        daemon.wait_for_metric("runs_skipped_total", 2, target="hung", reason="overlapping")
        assert daemon.metric("runs_total", target="hung", outcome="ok") == 1
        assert (daemon.metric("runs_skipped_total", target="well", reason="overlapping") or 0) <= 1
        daemon.stop()
    well = measured([run for run in runs_in_file(data_dir) if run.target == "well"])
    gaps = [(b.started_at - a.started_at).total_seconds() for a, b in pairwise(well)]
    # Only when it hangs in a round, its patience of 5 s is waited for, once.
    assert sum(gap > 8 for gap in gaps) <= 1, gaps
    assert max(gaps) < 12, gaps


def test_a_process_that_was_stopped_goes_on_where_it_was(
    database: Database, data_dir: Path
) -> None:
    extra = {"INGEST_CANARY_TARGETS__MAIN__DSN": database.dsn}
    assert call(data_dir, "measure", extra=extra).returncode == 0
    with Daemon(data_dir, "--interval", "2s", extra=extra) as daemon:
        daemon.wait_for_metric("runs_total", 2, outcome="ok")
        daemon.stopped_for(7)
        daemon.wait_for_metric("runs_skipped_total", 2, reason="missed")
        done = daemon.metric("runs_total", outcome="ok") or 0
        daemon.wait_for_metric("runs_total", done + 2, outcome="ok")
        assert daemon.stop() == 0
    kept = runs_in_file(data_dir)
    assert all(run.outcome in ("ok", "partial") for run in kept)


@pytest.mark.slow
def test_fifty_targets_on_one_daemon(database: Database, data_dir: Path) -> None:
    names = [f"t{number:02}" for number in range(50)]
    tables = "".join(
        f'[targets.{name}]\ndsn = "{database.dsn}"\nschema = "canary_{name}"\n' for name in names
    )
    path = config(data_dir, f'interval = "1h"\n{tables}')
    with Daemon(data_dir, "--config", path) as daemon:
        daemon.wait_for_metric("runs_total", 50, 300, outcome="ok")
        utilisation = daemon.metric("schedule_utilisation_ratio")
        before, since = cpu_seconds(daemon), time.monotonic()
        time.sleep(70)  # what goes on beside runs: pings every minute, the store, the pages
        cpu = (cpu_seconds(daemon) - before) / (time.monotonic() - since)
        memory = memory_bytes(daemon)
        due = [daemon.metric("next_run_timestamp_seconds", target=name) or 0 for name in names]
        size = len(daemon.get("/metrics")[1])
        assert daemon.stop() == 0
        assert "Traceback" not in daemon.log
    print(
        f"\n50 targets: {memory / 1e6:.0f} MB, {100 * cpu:.2f} % of a processor beside runs,"
        f" utilisation {utilisation}, /metrics {size / 1e3:.0f} kB"
    )
    gaps = [b - a for a, b in pairwise(sorted(due))]
    assert max(gaps) <= 2 * 3600 / 50 + 1, "they are spread over the interval"
    assert memory < 400e6


def cpu_seconds(daemon: Daemon) -> float:
    fields = Path(f"/proc/{daemon.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_bytes(daemon: Daemon) -> int:
    pages = int(Path(f"/proc/{daemon.process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
