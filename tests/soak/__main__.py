"""Run the daemon for so many minutes under random faults and say what grew and what was lost."""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tests.acceptance.process import Daemon
from tests.acceptance.runs import measured, runs_in_file
from tests.conftest import Database
from tests.integration.helpers import all_empty
from tests.servers import PASSWORD, Server, available_versions
from tests.slow_network import slow_network
from tests.soak.faults import FAULTS, Scene

#: Part of the time after which a process should have all the memory that it needs.
WARM_UP = 0.25
#: Seconds after a fault in which a run may still fail for it: a round's deadline, and a look more.
AFTERMATH = 75.0


@dataclass
class Record:
    """What was seen: seconds since the start with memory in bytes, descriptors and sessions."""

    seconds: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    descriptors: list[float] = field(default_factory=list)
    sessions: list[float] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    unexplained: list[str] = field(default_factory=list)

    def look(self, daemon: Daemon, server: Server, since: float) -> None:
        process = Path("/proc") / str(daemon.process.pid)
        pages = int((process / "statm").read_text().split()[1])
        self.seconds.append(time.monotonic() - since)
        self.memory.append(pages * os.sysconf("SC_PAGE_SIZE"))
        self.descriptors.append(len(list((process / "fd").iterdir())))
        ((count,),) = server.sql(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'ingest-canary%'"
        )
        self.sessions.append(count)

    def slope_per_hour(self, values: list[float]) -> float:
        """By the median of the slopes of all pairs (Theil-Sen), after the warm-up."""
        first = next((n for n, at in enumerate(self.seconds) if at > WARM_UP * self.seconds[-1]), 0)
        points = list(zip(self.seconds[first:], values[first:], strict=True))
        step = max(1, len(points) // 200)
        points = points[::step]
        slopes = [
            (b[1] - a[1]) / (b[0] - a[0]) * 3600
            for n, a in enumerate(points)
            for b in points[n + 1 :]
        ]
        return statistics.median(slopes) if slopes else 0.0


def runs_by_outcome(daemon: Daemon) -> dict[str, int]:
    outcomes = ("ok", "partial", "failed", "skipped")
    return {each: int(daemon.metric("runs_total", outcome=each) or 0) for each in outcomes}


def soak(minutes: float, interval: float, seed: int, folder: Path) -> dict[str, object]:
    """The figures of a run of so many minutes with a tick every ``interval`` seconds."""
    rng, record = random.Random(seed), Record()
    server = Server(max(available_versions().values()), folder / "server").start()
    with ExitStack() as stack:
        stack.callback(server.remove)
        server.sql("CREATE EXTENSION pg_stat_statements")
        network = stack.enter_context(slow_network(server.port, folder))
        dsn = server.tcp_dsn(password=PASSWORD).replace(f":{server.port}/", f":{network.port}/")
        data_dir = folder / "data"
        data_dir.mkdir()
        extra = {
            "INGEST_CANARY_TARGETS__MAIN__DSN": dsn,
            "INGEST_CANARY_TARGETS__MAIN__CONNECT_TIMEOUT": "5s",
            "INGEST_CANARY_LIMITS__ROUND_TIMEOUT": "20s",
        }
        arguments = ("--interval", f"{interval}s")
        daemon = stack.enter_context(Daemon(data_dir, *arguments, extra=extra))
        daemon.wait_for_metric("runs_total", 1, outcome="ok")
        since, fault_until, before = time.monotonic(), 0.0, runs_by_outcome(daemon)
        fault_at = since + 3 * interval
        while time.monotonic() < since + 60 * minutes:
            now = time.monotonic()
            if now >= fault_at and now < since + 60 * minutes - 2 * AFTERMATH:
                name = rng.choice(sorted(FAULTS))
                FAULTS[name](Scene(daemon, server, network), rng.uniform(2, 2.5 * interval))
                record.faults[name] += 1
                fault_until = time.monotonic() + AFTERMATH
                fault_at = time.monotonic() + rng.uniform(3, 12) * interval
            time.sleep(interval)
            found = runs_by_outcome(daemon)
            for outcome in ("partial", "failed", "skipped"):
                if found[outcome] > before[outcome] and time.monotonic() > fault_until:
                    record.unexplained.append(f"{outcome} after {time.monotonic() - since:.0f} s")
            before = found
            record.look(daemon, server, since)
        elapsed = time.monotonic() - since
        found, samples = runs_by_outcome(daemon), daemon.metric("store_samples_total") or 0
        code = daemon.stop()
        kept = runs_in_file(data_dir)
        return {
            "minutes": round(elapsed / 60, 1),
            "interval_seconds": interval,
            "faults": dict(record.faults),
            "ticks_expected": round(elapsed / interval) + 1,
            "ticks_accounted_for": sum(found.values()),
            "runs": found,
            "unexplained": record.unexplained,
            "runs_in_store": len(kept),
            "runs_with_samples_in_store": len(measured(kept)),
            "samples_written": int(samples),
            "memory_mb": round(record.memory[-1] / 1e6, 1),
            "memory_slope_mb_per_hour": round(record.slope_per_hour(record.memory) / 1e6, 3),
            "descriptors": record.descriptors[-1],
            "descriptors_slope_per_hour": record.slope_per_hour(record.descriptors),
            "sessions_most": max(record.sessions),
            "sessions_slope_per_hour": record.slope_per_hour(record.sessions),
            "canary_clean": all_empty(Database("postgres", server.dsn(), server)),
            "exit_code": code,
            "tracebacks": daemon.log.count("Traceback"),
        }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=120.0)
    parser.add_argument("--interval", type=float, default=10.0, help="seconds from tick to tick")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="canary-soak-", dir="/tmp"))
    folder.chmod(0o755)
    try:
        figures = soak(options.minutes, options.interval, options.seed, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    json.dump(figures, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
