"""``python -m tests.benchmarks.detection.record``: runs on a private server, to a file.

One JSON object a run, as ``measure --json`` prints it, with ``injected`` naming the changes that
were in force. Changes are made between runs and undone by their counterpart.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import asyncpg

from monitor.canary.embedded import PrivateServer
from monitor.cli.run_json import run_as_json
from monitor.config.load import load
from monitor.config.settings import Settings
from monitor.daemon.assembly import resolve_plan, station
from monitor.measure.attempt import attempt
from monitor.measure.clocks import SteadyClock
from monitor.measure.runner import no_progress
from monitor.model import Target

TABLE = "ingest_canary.orders"

#: What can be done to the canary, and how it is undone.
CHANGES = {
    "index": (
        (f"CREATE INDEX recorded_idx ON {TABLE} (customer_id)",),
        ("DROP INDEX ingest_canary.recorded_idx",),
    ),
    "constraint": (
        (f"ALTER TABLE {TABLE} ADD CONSTRAINT recorded_check CHECK (status ~ '^[a-z]+$')",),
        (f"ALTER TABLE {TABLE} DROP CONSTRAINT recorded_check",),
    ),
    "fillfactor": (
        (f"ALTER TABLE {TABLE} SET (fillfactor = 30)",),
        (f"ALTER TABLE {TABLE} RESET (fillfactor)",),
    ),
    "trigger": (
        (
            "CREATE FUNCTION public.recorded_trigger() RETURNS trigger LANGUAGE plpgsql"
            " AS 'BEGIN RETURN NEW; END'",
            f"CREATE TRIGGER recorded_trigger BEFORE INSERT ON {TABLE} FOR EACH ROW"
            " EXECUTE FUNCTION public.recorded_trigger()",
        ),
        (
            f"DROP TRIGGER recorded_trigger ON {TABLE}",
            "DROP FUNCTION public.recorded_trigger()",
        ),
    ),
}


def main() -> None:
    """Record, a line on the terminal per run."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.detection.record")
    parser.add_argument("file", type=Path, help="gzip JSON-lines file to write")
    parser.add_argument("--runs", type=int, default=300)
    parser.add_argument("--pause", type=float, default=0.0, help="seconds between runs")
    parser.add_argument("--rows", type=int, help="rows per round; default: the suite's")
    parser.add_argument("--rounds", type=int, help="rounds per case; default: the suite's")
    parser.add_argument(
        "--inject",
        action="append",
        default=[],
        metavar="CHANGE:FROM:TO",
        help=f"in force from run FROM to before run TO: {', '.join(CHANGES)}",
    )
    options = parser.parse_args()
    injections = [_injection(text, parser) for text in options.inject]
    suite = {name: getattr(options, name) for name in ("rows", "rounds") if getattr(options, name)}
    with (
        tempfile.TemporaryDirectory(prefix="ingest-canary-record-") as directory,
        PrivateServer(Path(directory)) as server,
        closing(gzip.open(options.file, "wt")) as file,
    ):
        settings = load(None, {"data_dir": directory, "suite": suite})
        asyncio.run(_record(settings, server.dsn, file, options.runs, options.pause, injections))


def _injection(text: str, parser: argparse.ArgumentParser) -> tuple[str, int, int]:
    name, _, span = text.partition(":")
    first, _, end = span.partition(":")
    if name not in CHANGES or not (first.isdecimal() and end.isdecimal()):
        parser.error(f"'{text}' is not of the form CHANGE:FROM:TO")
    return name, int(first), int(end)


async def _record(
    settings: Settings,
    dsn: str,
    file: Any,
    runs: int,
    pause: float,
    injections: list[tuple[str, int, int]],
) -> None:
    target = Target("private", dsn)
    plan = resolve_plan(settings)
    async with station(target, plan, settings, no_progress, SteadyClock()) as place:
        for number in range(runs):
            await _inject(dsn, number, injections)
            run = await attempt(
                place.canary, place.runner, "scheduled", wal_allowance=1 << 40, wait_seconds=60
            )
            injected = [name for name, first, end in injections if first <= number < end]
            file.write(json.dumps({**run_as_json(run), "injected": injected}) + "\n")
            print(
                f"run {number}: {run.outcome}, {run.duration_seconds:.1f} s, {injected}", flush=True
            )
            await asyncio.sleep(pause)


async def _inject(dsn: str, number: int, injections: list[tuple[str, int, int]]) -> None:
    """Make the changes that begin with this run, undo those that end."""
    statements = [
        statement
        for name, first, end in injections
        for statement in (
            CHANGES[name][0] if number == first else CHANGES[name][1] if number == end else ()
        )
    ]
    if not statements:
        return
    connection = await asyncpg.connect(dsn)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


if __name__ == "__main__":
    main()
