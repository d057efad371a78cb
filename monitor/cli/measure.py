"""ingest-canary measure: one run now."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import click
from rich.console import Console

from monitor.cli.also import measure_both, print_both
from monitor.cli.common import other_target, read_settings, settings_options
from monitor.cli.run_json import run_as_json
from monitor.cli.table import console, print_run, progress_bar
from monitor.config.settings import Settings
from monitor.daemon.assembly import recorder, resolve_plan, targets
from monitor.daemon.exploration import measure_by_hand
from monitor.measure.run_checks import check_runs
from monitor.measure.runner import Progress, no_progress
from monitor.model import Plan, Run, Target


@click.command()
@click.option("--target", metavar="NAME", help="Only this target; default: each in turn.")
@click.option("--strategy", "strategies", multiple=True, metavar="NAME",
              help="Only this strategy; may be given several times.")  # fmt: skip
@click.option("--rows", type=int, help="Rows per round.")
@click.option("--rounds", type=int, help="Rounds per case.")
@click.option("--wait", "wait_seconds", type=click.FloatRange(min=0), default=60.0,
              show_default=True, help="Seconds to wait for another run to end.")  # fmt: skip
@click.option("--also", metavar="DSN|NAME",
              help="The same server by another way, such as TCP: measure both in turn and tell what"
              " the second one adds; NAME is a configured target.")  # fmt: skip
@click.option("--record", is_flag=True, help="Keep the run in the history.")
@click.option("--json", "as_json", is_flag=True, help="Print the whole result, one object a run.")
@settings_options
def measure(
    target: str | None,
    strategies: tuple[str, ...],
    rows: int | None,
    rounds: int | None,
    wait_seconds: float,
    also: str | None,
    record: bool,
    as_json: bool,
    **options: Any,
) -> int:
    """Measure once, now, and print the strategies' table."""
    if also and record:
        raise click.UsageError("--record keeps what the daemon would measure; leave --also out.")
    suite = {
        name: value for name, value in (("rows", rows), ("rounds", rounds)) if value is not None
    }
    overrides: dict[str, Any] = {"suite": suite} if suite else {}
    settings = read_settings(options, overrides, quiet=True, secret_in=(also,))
    if suite and settings.suites:
        overrides["suites"] = dict.fromkeys(settings.suites, suite)
        settings = read_settings(options, overrides, quiet=True, secret_in=(also,))
    if also:
        other = other_target(settings, also, "--also")
        plan = resolve_plan(settings, strategies, target)
        return asyncio.run(_both(settings, plan, target, other, wait_seconds, as_json))
    resolve_plan(settings, strategies)  # before a server is started for it
    with progress_bar() as progress:
        runs = asyncio.run(
            _measure(
                settings, strategies, target, wait_seconds, no_progress if as_json else progress
            )
        )
    if record:
        asyncio.run(_record(settings, runs))
    output = console()
    for run in runs:
        _print(run, as_json, output)
    return max(_exit_code(run) for run in runs)


async def _measure(
    settings: Settings,
    strategies: tuple[str, ...],
    name: str | None,
    wait_seconds: float,
    progress: Progress,
) -> list[Run]:
    async with targets(settings, name) as chosen:
        plans = [(each, resolve_plan(settings, strategies, each.name)) for each in chosen]
        return [
            await measure_by_hand(settings, plan, each, wait_seconds, progress)
            for each, plan in plans
        ]


async def _both(
    settings: Settings, plan: Plan, name: str | None, other: Target, wait: float, as_json: bool
) -> int:
    async with targets(settings, name) as chosen:
        if len(chosen) > 1:
            raise click.UsageError("--also goes with one target: name it by --target.")
        with progress_bar() as progress:
            report = no_progress if as_json else progress
            ways, runs = await measure_both(settings, plan, chosen[0], other, wait, report)
        print_both(ways, runs, as_json, console())
    return max(_exit_code(run) for run in runs)


async def _record(settings: Settings, runs: list[Run]) -> None:
    """Into the store; where it is down, into the spool, which whoever comes next empties."""
    keeper = recorder(settings)
    await keeper.start()
    for run in runs:
        await keeper.append(run)
    await keeper.flush()
    await keeper.close()


def _print(run: Run, as_json: bool, output: Console) -> None:
    if as_json:
        click.echo(json.dumps(run_as_json(run), ensure_ascii=False))
    else:
        print_run(run, output)
        for finding in check_runs([run]):
            if finding.severity == "warning":
                output.print(f"{finding.evidence}; {finding.remedy}", soft_wrap=True, markup=False)


def _exit_code(run: Run) -> int:
    if run.failure and run.failure.reason == "refused":
        return 2
    return 0 if run.outcome == "ok" else 1
