"""``make bench``: every figure as a ratio against a hand-written baseline in the same run."""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from pathlib import Path

from monitor.canary.embedded import PrivateServer
from tests.benchmarks.detection.recordings import CHANGED, QUIET
from tests.benchmarks.detection.whole import show_changed, show_quiet
from tests.benchmarks.exposition import compare_exposition
from tests.benchmarks.runner_overhead import compare_runner
from tests.benchmarks.store import compare_store

CHOICES = ("runner", "store", "detection", "exposition")


def main() -> None:
    """Run all benchmarks on a private server of their own and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=40, help="rounds of each side (default 40)")
    parser.add_argument("--samples", type=int, default=10_000_000, help="in the large store")
    parser.add_argument("--only", choices=CHOICES, help="default: all")
    options = parser.parse_args()
    if options.only in (None, "detection"):
        show_quiet(QUIET, series=5)
        show_changed(CHANGED)
    if options.only in (None, "exposition"):
        compare_exposition(scrapes=500)
    if options.only in (None, "runner", "store"):
        _with_server(options)


def _with_server(options: argparse.Namespace) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="ingest-canary-bench-") as directory,
        PrivateServer(Path(directory)) as server,
    ):
        print(f"PostgreSQL {server.version}, private server, {options.rounds} rounds a side\n")
        if options.only != "store":
            asyncio.run(compare_runner(server.dsn, options.rounds))
        if options.only != "runner":
            asyncio.run(compare_store(server.dsn, Path(directory), options.samples))


if __name__ == "__main__":
    main()
