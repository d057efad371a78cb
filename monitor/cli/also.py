"""measure --also: the same server by two ways, two tables and what the second way adds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

import click
from rich import box
from rich.console import Console
from rich.table import Table

from monitor.canary.checks.ways import Way, refuse_different, way_to
from monitor.cli.run_json import run_as_json
from monitor.cli.table import case_name, print_run
from monitor.config.settings import Settings
from monitor.daemon.assembly import station, wal_ledger
from monitor.daemon.ledger import Entry
from monitor.measure.clocks import SteadyClock
from monitor.measure.paired import CaseDifference, Side, attempt_both, differences
from monitor.measure.runner import Progress
from monitor.model import Estimate, Plan, Run, Target

_PARTS = ("wall", "client", "server", "commit", "rest")


async def measure_both(
    settings: Settings,
    plan: Plan,
    target: Target,
    other: Target,
    wait_seconds: float,
    progress: Progress,
) -> tuple[tuple[Way, Way], tuple[Run, Run]]:
    """Measure by both ways in turn. Raises TargetRefused if they do not lead to one server."""
    second = replace(target, dsn=other.dsn)
    ways = (await way_to(target), await way_to(second))
    refuse_different(*ways)
    ledger, limit = wal_ledger(settings), settings.limits.max_wal_bytes_per_day
    one_round, clock = replace(plan, rounds=1), SteadyClock()
    done = _Counted(progress, plan)
    async with AsyncExitStack() as stack:
        sides = []
        for each, way in zip((target, second), ways, strict=True):
            named = replace(each, name=f"{target.name} by {way.label}")
            place = station(named, one_round, settings, done.report, clock)
            found = await stack.enter_async_context(place)
            sides.append(Side(found.canary, found.runner))

        def keep(run: Run) -> None:
            done.add_block()
            if run.wal_bytes is not None:
                ledger.add(Entry(run.started_at, target.name, run.wal_bytes))

        runs = await attempt_both(
            (sides[0], sides[1]),
            plan.rounds,
            allowance=lambda: ledger.allowance(target.name, limit, datetime.now(UTC)),
            made=keep,
            wait_seconds=wait_seconds,
        )
    return ways, runs


class _Counted:
    """Progress over all blocks, from that of each."""

    def __init__(self, progress: Progress, plan: Plan) -> None:
        self._progress = progress
        self._total = 2 * plan.rounds * len(plan.cases)
        self._each = len(plan.cases)
        self._before = 0

    def report(self, done: int, _total: int, what: str) -> None:
        self._progress(min(self._before + done, self._total), self._total, what)

    def add_block(self) -> None:
        self._before += self._each


def print_both(ways: tuple[Way, Way], runs: tuple[Run, Run], as_json: bool, to: Console) -> None:
    """Both runs, then the difference; or three JSON objects, a line each."""
    found = differences(*runs)
    if as_json:
        for run in runs:
            click.echo(json.dumps(run_as_json(run), ensure_ascii=False))
        click.echo(json.dumps(_as_json(ways, found), ensure_ascii=False))
        return
    for run in runs:
        print_run(run, to)
    if found:
        to.print(_table(ways, found))


def _table(ways: tuple[Way, Way], found: tuple[CaseDifference, ...]) -> Table:
    table = Table(
        title=f"{ways[1].label} over {ways[0].label}: what it adds, µs per row",
        caption="medians of paired blocks with their interval, as a share of the first way's wall"
        " time, and the difference of the fast ends (steadier where others disturb); a round trip"
        " takes"
        f" {ways[0].path.round_trip_seconds * 1e6:,.0f} and"
        f" {ways[1].path.round_trip_seconds * 1e6:,.0f} µs",
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 0),
    )
    table.add_column("strategy", no_wrap=True)
    for name in ("wall", "interval", "share", "fast", "client", "server", "commit", "rest"):
        table.add_column(name, justify="right", no_wrap=True)
    for each in sorted(found, key=lambda each: -each.wall_ratio.median):
        table.add_row(*_row(each))
    return table


def _row(each: CaseDifference) -> Iterator[str]:
    wall = each.seconds_per_row["wall"]
    yield case_name(each.case)
    yield f"  {_microseconds(wall)}"
    yield f"  {_microseconds(wall, 'low')} … {_microseconds(wall, 'high')}"
    yield f"  {each.wall_ratio.median - 1:+.0%}"
    yield f"  {each.fast_seconds_per_row * 1e6:+.2f}"
    for part in _PARTS[1:]:
        yield f"  {_microseconds(each.seconds_per_row[part])}"


def _microseconds(estimate: Estimate | None, which: str = "median") -> str:
    return "–" if estimate is None else f"{getattr(estimate, which) * 1e6:+.2f}"


def _as_json(ways: tuple[Way, Way], found: tuple[CaseDifference, ...]) -> dict[str, Any]:
    return {
        "comparison": {
            "ways": [_way_as_json(way) for way in ways],
            "cases": [_case_as_json(each) for each in found],
        }
    }


def _way_as_json(way: Way) -> dict[str, Any]:
    path = way.path
    return {
        "label": way.label,
        "transport": path.transport,
        "peer": path.peer,
        "tls": path.tls,
        "pooler": path.pooler,
        "round_trip_seconds": path.round_trip_seconds,
        "connect_seconds": path.connect_seconds,
    }


def _case_as_json(each: CaseDifference) -> dict[str, Any]:
    key = each.case.key
    return {
        **asdict(key),
        "pairs": each.pairs,
        "seconds_per_row": {
            part: asdict(estimate) if estimate else None
            for part, estimate in each.seconds_per_row.items()
        },
        "wall_ratio": asdict(each.wall_ratio),
        "fast_seconds_per_row": each.fast_seconds_per_row,
    }
