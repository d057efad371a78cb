"""``make bench``: every figure as a ratio against a hand-written baseline in the same run."""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from pathlib import Path

from monitor.canary.embedded import PrivateServer
from tests.benchmarks.runner_overhead import compare_runner


def main() -> None:
    """Run all benchmarks on a private server of their own and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=40, help="rounds of each side (default 40)")
    rounds = parser.parse_args().rounds
    with (
        tempfile.TemporaryDirectory(prefix="ingest-canary-bench-") as directory,
        PrivateServer(Path(directory)) as server,
    ):
        print(f"PostgreSQL {server.version}, private server, {rounds} rounds a side\n")
        asyncio.run(compare_runner(server.dsn, rounds))


if __name__ == "__main__":
    main()
