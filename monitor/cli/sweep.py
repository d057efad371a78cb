"""ingest-canary sweep: throughput over batch size, page size, row width or rows."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import click

from monitor.cli.common import read_settings, settings_options
from monitor.cli.exploring import NUMBERS, exit_code, exploring_options
from monitor.cli.sweep_past import print_comparison, print_stored
from monitor.cli.sweep_text import print_sweep, sweep_as_json
from monitor.cli.table import console, progress_bar
from monitor.config.settings import Settings
from monitor.daemon.exploration import explore, recall, remember
from monitor.measure.runner import no_progress
from monitor.measure.sweep import curves
from monitor.model import Run
from monitor.store.explorations import Exploration
from monitor.suite import catalog
from monitor.suite.exploration import Conditions, Sweep
from monitor.suite.exploration import sweep as sweep_plan

#: Columns that the list of stored sweeps takes.
_WIDTH = 128


@click.command()
@click.option("--over", default="batch_size", show_default=True, metavar="NAME",
              help="What is varied: batch_size, rows, or a parameter of a strategy (page_size) or"
              " of a shape (width, customers).")  # fmt: skip
@click.option("--values", type=NUMBERS, default=(), metavar="N,N,…",
              help="Its values; default for batch_size: 100,500,1k,2k,5k,10k,25k.")  # fmt: skip
@click.option(
    "--rows",
    type=click.IntRange(min=1),
    help="Rows per round; default: 100,000, over a shape's parameter 20,000.",
)
@click.option("--rounds", type=click.IntRange(min=1), default=5, show_default=True,
              help="Rounds per value; each is one of a block in random order.")  # fmt: skip
@click.option(
    "--stored",
    is_flag=True,
    help="Measure nothing: show the sweeps that the store holds, newest first.",
)
@exploring_options
@settings_options
def sweep(
    over: str,
    values: tuple[int, ...],
    rows: int | None,
    rounds: int,
    stored: bool,
    target: str | None,
    conditions: Conditions,
    wait_seconds: float,
    as_json: bool,
    **options: Any,
) -> int:
    """Find the batch size (or page size, width, rows) from which on more gains nothing.

    The elbow is the smallest value whose interval reaches the plateau to within 10 %; the plateau
    is the median of the better half of the values, each by its fastest round. Each sweep is kept in
    the store and shown beside the last one of the same kind.
    """
    settings = read_settings(options, quiet=True)
    if stored:
        return _show_stored(settings, target, as_json)
    conditions = replace(conditions, rows=rows, rounds=rounds)
    suite = settings.suite_of(target)
    plan = sweep_plan(over, values, conditions, suite, catalog.load(suite.plugins))
    with progress_bar() as progress:
        runs = asyncio.run(
            explore(settings, plan.plan, target, wait_seconds, no_progress if as_json else progress)
        )
    asyncio.run(_report(settings, plan, runs, as_json))
    return max(exit_code(run) for run in runs)


async def _report(settings: Settings, plan: Sweep, runs: Sequence[Run], as_json: bool) -> None:
    """Print every run's curves, beside the last sweep of the kind, and keep them."""
    output = console()
    for run in runs:
        found = curves(run, plan.value_of, plan.trend)
        result = sweep_as_json(run, plan, found)
        before = await recall(settings, "sweep", run.target, plan.subject, limit=1)
        if as_json:
            click.echo(json.dumps(result, ensure_ascii=False))
        else:
            print_sweep(run, plan, found, output)
            for earlier in before:
                print_comparison(earlier, result, run.environment, output)
        if any(point.rate for curve in found for point in curve.points):
            environment = run.environment
            kept = Exploration(
                run.id, run.target, run.started_at, "sweep", plan.subject, environment, result
            )
            await remember(settings, [kept])


def _show_stored(settings: Settings, target: str | None, as_json: bool) -> int:
    found = asyncio.run(recall(settings, "sweep", target))
    if as_json:
        click.echo(json.dumps([each.result for each in found], ensure_ascii=False))
    else:
        print_stored(found, console(_WIDTH))
    return 0
