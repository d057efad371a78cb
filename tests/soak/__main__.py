"""Run the daemon for so many minutes under random faults and say what grew and what was lost."""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.acceptance.process import Daemon
from tests.acceptance.runs import assert_none_overlaps, measured, runs_in_file
from tests.conftest import Database
from tests.integration.helpers import all_empty
from tests.servers import PASSWORD, Server, available_versions
from tests.slow_network import slow_network
from tests.soak.faults import FAULTS, Scene
from tests.soak.record import Record, look_at

#: Seconds after a fault in which a run may still fail for it: a round's deadline (20), what
#: cleaning and connecting then wait for, and the tick in between.
AFTERMATH = 45.0
#: Quiet seconds at the end, in which all must be well again.
CALM = 120.0

_SETTINGS = {
    "INGEST_CANARY_SUITE__ROWS": "100",
    "INGEST_CANARY_SUITE__ROUNDS": "5",
    "INGEST_CANARY_TARGETS__MAIN__CONNECT_TIMEOUT": "5s",
    "INGEST_CANARY_LIMITS__ROUND_TIMEOUT": "20s",
}


@contextmanager
def scene(folder: Path, interval: float) -> Iterator[Scene]:
    """A server, a network to it that can be made worse, and a daemon that measures through it."""
    server = Server(max(available_versions().values()), folder / "server").start()
    with ExitStack() as stack:
        stack.callback(server.remove)
        server.sql("CREATE EXTENSION pg_stat_statements")
        network = stack.enter_context(slow_network(server.port, folder))
        dsn = server.tcp_dsn(password=PASSWORD).replace(f":{server.port}/", f":{network.port}/")
        data_dir = folder / "data"
        data_dir.mkdir()
        extra = {"INGEST_CANARY_TARGETS__MAIN__DSN": dsn, **_SETTINGS}
        daemon = stack.enter_context(Daemon(data_dir, "--interval", f"{interval}s", extra=extra))
        daemon.wait_for_metric("runs_total", 1, outcome="ok")
        yield Scene(daemon, data_dir, server, network)


def disturb(at: Scene, record: Record, name: str, seconds: float, since: float) -> None:
    """Let a fault happen and note when; what goes wrong in making it is told, and ends nothing."""
    begin = time.monotonic() - since
    say(f"{begin:7.0f} s  {name}, {seconds:.0f} s")
    try:
        FAULTS[name](at, seconds)
        record.faults[name] += 1
    except Exception:
        record.faults[f"not made: {name}"] += 1
        traceback.print_exc()
    record.disturbed.append((begin, time.monotonic() - since + AFTERMATH))


def endure(at: Scene, record: Record, minutes: float, interval: float, rng: random.Random) -> None:
    """Faults at random and a look at every tick, until the time is over or the daemon is gone."""
    since = time.monotonic()
    end, fault_at = since + 60 * minutes, since + 6 * interval
    while time.monotonic() < end and at.daemon.process.poll() is None:
        if fault_at <= time.monotonic() < end - CALM:
            name = rng.choice(sorted(FAULTS))
            disturb(at, record, name, rng.uniform(2, 2.5 * interval), since)
            fault_at = time.monotonic() + rng.uniform(3, 15) * interval
        time.sleep(interval)
        try:
            look = look_at(at.daemon, at.server, time.monotonic() - since)
        except Exception as error:  # whatever the faults did to the server that is asked
            say(f"no look was had: {type(error).__name__}: {error}")
            continue
        record.add(look)
        say(
            f"{look.seconds:7.0f} s  {look.memory / 1e6:6.1f} MB  {look.descriptors} descriptors"
            f"  {look.sessions} sessions  {look.threads} threads  {dict(+look.counts)}"
        )


def figures(at: Scene, record: Record, interval: float) -> dict[str, object]:
    """What is reported; stops the daemon."""
    elapsed, last = record.looks[-1].seconds, record.looks[-1].counts
    samples = at.daemon.metric("store_samples_total") or 0
    dropped = at.daemon.metric("store_dropped_samples_total") or 0
    spooled = at.daemon.metric("store_spooled_samples") or 0
    code = at.daemon.stop()
    kept = runs_in_file(at.data_dir)
    with_samples = measured(kept)
    assert_none_overlaps(with_samples)
    ticks = [kind for kind in last if not kind.endswith("/confirmation")]
    held = sum(last[kind] for kind in ticks if not kind.startswith("skipped"))
    return {
        "minutes": round(elapsed / 60, 1),
        "interval_seconds": interval,
        "faults_tried": dict(record.faults),
        "faults_survived": sum(record.faults.values()),
        "disturbed_minutes": round(sum(b - a for a, b in record.disturbed) / 60, 1),
        "ticks_due": int(elapsed / interval) + 1,  # the first was before the clock began
        "ticks_held": held,
        "ticks_skipped_and_said": sum(last[kind] for kind in ticks) - held,
        "runs": dict(+last),
        "not_well_explained_by_faults": dict(record.explained),
        "not_well_unexplained": record.unexplained,
        "runs_in_store": len(kept),
        "runs_with_samples_in_store": len(with_samples),
        "samples_written": int(samples),
        "samples_dropped": int(dropped),
        "samples_spooled_at_the_end": int(spooled),
        "memory_mb_first_last_most": [
            round(value / 1e6, 1)
            for value in (record.looks[0].memory, record.last("memory"), record.most("memory"))
        ],
        "memory_slope_mb_per_hour": round(record.per_hour("memory") / 1e6, 3),
        "memory_slope_mb_per_hour_second_half": round(record.per_hour("memory", 0.5) / 1e6, 3),
        "descriptors_last_most": [record.last("descriptors"), record.most("descriptors")],
        "descriptors_slope_per_hour": round(record.per_hour("descriptors"), 3),
        "sessions_last_most": [record.last("sessions"), record.most("sessions")],
        "sessions_slope_per_hour": round(record.per_hour("sessions"), 3),
        "threads_last_most": [record.last("threads"), record.most("threads")],
        "canary_clean": all_empty(Database("postgres", at.server.dsn(), at.server)),
        "exit_code": code,
        "tracebacks": at.daemon.log.count("Traceback"),
    }


def _keep_log(log: Path) -> None:
    if log.exists():
        shutil.copy(log, Path(tempfile.gettempdir()) / "soak-daemon.log")


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=120.0)
    parser.add_argument("--interval", type=float, default=10.0, help="seconds from tick to tick")
    parser.add_argument("--seed", type=int, default=7, help="of the faults")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="canary-soak-", dir="/tmp"))
    folder.chmod(0o755)
    record = Record()
    try:
        with scene(folder, options.interval) as at:
            endure(at, record, options.minutes, options.interval, random.Random(options.seed))
            if at.daemon.process.poll() is not None:
                sys.exit(f"the daemon ended by itself: {at.daemon.log[-5000:]}")
            found = figures(at, record, options.interval)
    finally:
        _keep_log(folder / "data" / "daemon.log")
        shutil.rmtree(folder, ignore_errors=True)
    json.dump(found, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
