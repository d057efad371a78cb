"""ingest-canary overhead: what indexes and foreign keys cost, or building them afterwards."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import click

from monitor.cli.common import read_settings, settings_options
from monitor.cli.exploring import NUMBERS, exit_code, exploring_options
from monitor.cli.overhead_text import overhead_as_json, print_overheads
from monitor.cli.rebuild_text import print_rebuild, rebuild_as_json
from monitor.cli.table import console, progress_bar
from monitor.config.settings import Settings
from monitor.daemon.exploration import explore
from monitor.measure.runner import no_progress
from monitor.model import IndexBuild, Plan
from monitor.suite import catalog
from monitor.suite.exploration import REBUILD_ROWS, Conditions, overhead_plan, rebuild_plan

#: Columns that the tables take.
_WIDTH = 116


@click.command()
@click.option(
    "--of",
    "names",
    multiple=True,
    metavar="NAME",
    help="Only this index, set or foreign key of the shape; may be given several times.",
)
@click.option(
    "--rows",
    type=NUMBERS,
    default=(),
    metavar="N",
    help="Rows per round; default: the suite's. With --rebuild several, such as 1k,10k,100k.",
)
@click.option(
    "--rounds",
    type=click.IntRange(min=1),
    default=9,
    show_default=True,
    help="Blocks, each of which times every case with and without.",
)
@click.option(
    "--rebuild",
    is_flag=True,
    help="Compare loading with the indexes against loading without and CREATE INDEX"
    " afterwards; names the break-even row count.",
)
@click.option(
    "--concurrently", is_flag=True, help="With --rebuild: CREATE INDEX CONCURRENTLY as well."
)
@exploring_options
@settings_options
def overhead(
    names: tuple[str, ...],
    rows: tuple[int, ...],
    rounds: int,
    rebuild: bool,
    concurrently: bool,
    target: str | None,
    conditions: Conditions,
    wait_seconds: float,
    as_json: bool,
    **options: Any,
) -> int:
    """Measure what each index and foreign key of a shape costs, beside the same table without it.

    Median of the paired times with ÷ without, minus 1, and its interval. By default with
    core_executemany, core_insertmanyvalues and asyncpg_copy, on emptied tables: --prefill makes
    them large first.
    """
    if concurrently and not rebuild:
        raise click.UsageError("--concurrently belongs to --rebuild.")
    if len(rows) > 1 and not rebuild:
        raise click.UsageError("--rows: one number, or --rebuild with several.")
    settings = read_settings(options, quiet=True)
    only = rows[0] if len(rows) == 1 and not rebuild else None
    conditions = replace(conditions, rows=only, rounds=rounds)
    suite = settings.suite_of(target)
    known = catalog.load(suite.plugins)
    if rebuild:
        builds: tuple[IndexBuild, ...] = ("plain", "concurrently") if concurrently else ("plain",)
        counts = rows or REBUILD_ROWS
        plan = rebuild_plan(names, counts, builds, conditions, suite, known)
    else:
        plan = overhead_plan(names, conditions, suite, known)
    return _measure(settings, plan, target, wait_seconds, as_json, rebuild)


def _measure(
    settings: Settings,
    plan: Plan,
    target: str | None,
    wait_seconds: float,
    as_json: bool,
    rebuild: bool,
) -> int:
    with progress_bar() as progress:
        shown = no_progress if as_json else progress
        runs = asyncio.run(explore(settings, plan, target, wait_seconds, shown))
    output = console(_WIDTH)
    for run in runs:
        if as_json:
            found = rebuild_as_json(run) if rebuild else overhead_as_json(run)
            click.echo(json.dumps(found, ensure_ascii=False))
        elif rebuild:
            print_rebuild(run, output)
        else:
            print_overheads(run, output)
    return max(exit_code(run) for run in runs)
