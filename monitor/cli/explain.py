"""ingest-canary explain: the SQL that each strategy really sends, and the server's plan for it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

import click

from monitor.canary.connection import Canary
from monitor.cli.common import read_settings, settings_options
from monitor.cli.explain_past import print_changes
from monitor.cli.explain_text import explained_as_json, print_explained
from monitor.cli.table import console
from monitor.config.settings import Settings
from monitor.config.suite import SuiteSettings
from monitor.daemon.assembly import targets
from monitor.daemon.evidence import explain_target, to_keep
from monitor.daemon.exploration import recall, remember
from monitor.measure.explain import Explained
from monitor.model import Plan, Target
from monitor.suite import catalog
from monitor.suite.exploration import EXPLAIN_ROWS, explain_cases


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is to be explained of every target, each with its own suite."""

    strategies: tuple[str, ...]
    shape: str | None
    rows: int
    wait_seconds: float

    def plan(self, suite: SuiteSettings) -> Plan:
        return explain_cases(
            suite, catalog.load(suite.plugins), self.strategies, self.shape, self.rows
        )


@click.command()
@click.option(
    "--strategy",
    "strategies",
    multiple=True,
    metavar="NAME",
    help="Only this strategy; may be given several times.",
)
@click.option(
    "--shape",
    metavar="NAME",
    help="Explain on this table instead of the suite's, such as orders_customer_fk.",
)
@click.option(
    "--rows",
    type=click.IntRange(min=1),
    default=EXPLAIN_ROWS,
    show_default=True,
    help="Rows to insert.",
)
@click.option("--full", is_flag=True, help="Show statements in full, however many rows they hold.")
@click.option("--target", metavar="NAME", help="Only this target; default: each in turn.")
@click.option(
    "--wait",
    "wait_seconds",
    type=click.FloatRange(min=0),
    default=60.0,
    show_default=True,
    help="Seconds to wait for another run to end.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one object a target.")
@settings_options
def explain(
    strategies: tuple[str, ...],
    shape: str | None,
    rows: int,
    full: bool,
    target: str | None,
    wait_seconds: float,
    as_json: bool,
    **options: Any,
) -> int:
    """Show the statements in which each strategy's rows reach the server, and their plan.

    The SQL as sent and as recorded by pg_stat_statements, calls, rows per call, mean time, whether
    rows are batched and why not, and EXPLAIN (ANALYZE, BUFFERS, WAL) in a transaction that is
    rolled back. Kept in the store for each environment, and shown beside the one before.
    """
    settings = read_settings(options, quiet=True)
    asked = _Asked(strategies, shape, rows, wait_seconds)
    found = asyncio.run(_explain(settings, target, asked))
    asyncio.run(_report(settings, found, as_json, full))
    return 1 if any(case.failure for each in found for case in each.explanations) else 0


async def _report(settings: Settings, found: list[Explained], as_json: bool, full: bool) -> None:
    """Print it all, beside what an earlier environment sent, and keep it."""
    output = console()
    for each in found:
        if as_json:
            click.echo(json.dumps(explained_as_json(each), ensure_ascii=False))
        else:
            print_explained(each, output, full=full)
            print_changes(each, await recall(settings, "explain", each.target), output)
        await remember(settings, to_keep(each))


async def _explain(settings: Settings, name: str | None, asked: _Asked) -> list[Explained]:
    async with targets(settings, name) as chosen:
        plans = [asked.plan(settings.suite_of(each.name)) for each in chosen]
        return [
            await _one(settings, plan, each, asked)
            for plan, each in zip(plans, chosen, strict=True)
        ]


async def _one(settings: Settings, plan: Plan, target: Target, asked: _Asked) -> Explained:
    canary = Canary(target)
    try:
        return await explain_target(
            settings, plan, canary, asked.wait_seconds, passing=asked.shape is not None
        )
    finally:
        await canary.dispose()
