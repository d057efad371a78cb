"""ingest-canary doctor: is a target fit to be trusted, and is it like production?"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import click

from monitor.canary.checks.finding import Finding, info, worst_first
from monitor.canary.checks.like import differences
from monitor.canary.checks.like_table import table_differences
from monitor.canary.checks.prewarm import prewarm
from monitor.canary.checks.profile import Profile, profile
from monitor.canary.identifiers import qualified
from monitor.cli.common import other_target, read_settings, settings_options
from monitor.cli.doctor_text import examination_as_json, lines, profiles_as_json
from monitor.cli.workload import last_runs_of, workload_of
from monitor.config.settings import Settings
from monitor.config.suite import FromTableSettings, SuiteSettings
from monitor.daemon.assembly import resolve_plan, targets
from monitor.daemon.exploration import measure_by_hand
from monitor.errors import ConfigurationError, TargetError
from monitor.measure.examine import Examination, examine, unreachable
from monitor.measure.run_checks import check_runs
from monitor.measure.runner import no_progress
from monitor.model import Plan, Target

#: Seconds that --measure waits for another run to end.
_WAIT_SECONDS = 60.0


@click.command()
@click.option("--target", metavar="NAME", help="Only this target; default: each in turn.")
@click.option("--measure", "with_run", is_flag=True,
              help="Also measure once, in our own schema, and judge the run.")  # fmt: skip
@click.option("--prewarm", "with_prewarm", is_flag=True,
              help="First load those of our tables that keep rows, by pg_prewarm.")  # fmt: skip
@click.option("--like", metavar="DSN|NAME",
              help="Compare with this server instead, read-only; or a target by NAME.")  # fmt: skip
@click.option("--table", metavar="TABLE[=SHAPE]",
              help="With --like: compare this table there with a shape's here; default: every table"
              " that a shape of the suite is made like.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one object a target.")
@settings_options
def doctor(
    target: str | None,
    with_run: bool,
    with_prewarm: bool,
    like: str | None,
    table: str | None,
    as_json: bool,
    **options: Any,
) -> int:
    """Check targets before they are trusted, and name the fix for each finding.

    Reads only, unless --measure or --prewarm asks for more. Exit code 1: there is an error among
    the findings.
    """
    if table and not like:
        raise click.UsageError("--table goes with --like.")
    if like and (with_run or with_prewarm):
        raise click.UsageError("--like only compares: leave --measure and --prewarm out.")
    settings = read_settings(options, quiet=True, secret_in=(like,))
    if like:
        other = other_target(settings, like, "--like")
        return asyncio.run(_compare_all(settings, target, other, table, as_json))
    return asyncio.run(_examine_all(settings, target, with_run, with_prewarm, as_json))


# --- examining -----------------------------------------------------------------------------------


async def _examine_all(
    settings: Settings, name: str | None, with_run: bool, with_prewarm: bool, as_json: bool
) -> int:
    worst = 0
    async with targets(settings, name) as chosen:
        for each in chosen:
            plan = resolve_plan(settings, target=each.name)
            warmed = [await _prewarmed(each)] if with_prewarm else []
            found = await _examine(settings, plan, each, with_run)
            found = replace(found, findings=worst_first((*warmed, *found.findings)))
            _say(each.name, found, as_json)
            worst = max(worst, _exit_code(found.findings))
    return worst


async def _examine(settings: Settings, plan: Plan, target: Target, with_run: bool) -> Examination:
    """What is seen now, and what the last runs, or one now, say."""
    runs = await last_runs_of(settings, target.name)
    found = await examine(target, workload_of(settings, target.name, plan, runs))
    if with_run and found.facts is not None:
        run = await measure_by_hand(settings, plan, target, _WAIT_SECONDS, no_progress)
        judged = check_runs([run])
    else:
        judged = tuple(each for each in check_runs(runs) if each.severity != "ok")
    return replace(found, findings=worst_first((*found.findings, *judged)))


async def _prewarmed(target: Target) -> Finding:
    try:
        return await prewarm(target)
    except TargetError as error:
        return unreachable(error)


def _say(name: str, found: Examination, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(examination_as_json(name, found), ensure_ascii=False))
        return
    for line in lines(name, found.findings):
        click.echo(line)


def _exit_code(findings: Sequence[Finding]) -> int:
    return int(any(finding.severity == "error" for finding in findings))


# --- comparing -----------------------------------------------------------------------------------


async def _compare_all(
    settings: Settings, name: str | None, other: Target, table: str | None, as_json: bool
) -> int:
    async with targets(settings, name) as chosen:
        pairs = {each.name: _pairs(settings.suite_of(each.name), table) for each in chosen}
        wanted = {there: None for of_target in pairs.values() for there in of_target}
        there = await profile(other, wanted)
        for each in chosen:
            counterparts = _counterparts(each, pairs[each.name], there)
            here = await profile(each, counterparts.values())
            findings = worst_first([*differences(here, there),
                                    *_tables(counterparts, here, there, table)])  # fmt: skip
            if as_json:
                content = profiles_as_json(each.name, here, there, findings)
                click.echo(json.dumps(content, ensure_ascii=False))
            else:
                for line in lines(each.name, findings):
                    click.echo(line)
    return 0


def _pairs(suite: SuiteSettings, table: str | None) -> dict[str, str]:
    """Tables there and the shapes here that stand for them: those of --table, or all that are made
    like one. No shape: the one that is called as the table.
    """
    sources = (c.shape.source() for c in suite.cases if isinstance(c.shape, FromTableSettings))
    made = {source.table: source.name for source in sources}
    if table is None:
        return made
    there, _, shape = table.partition("=")
    return {there: shape or made.get(there, "")}


def _counterparts(target: Target, pairs: Mapping[str, str], there: Profile) -> dict[str, str]:
    """Our table for each of theirs, by its qualified name."""
    named_alike = {
        table: found.name.rpartition(".")[2] for table, found in there.definitions.items()
    }
    names = {table: shape or named_alike.get(table) for table, shape in pairs.items()}
    return {table: qualified(target.schema, name) for table, name in names.items() if name}


def _tables(
    counterparts: Mapping[str, str], here: Profile, there: Profile, asked: str | None
) -> Iterator[Finding]:
    missing = "there is no table {} on the other server that its role may name"
    if asked is not None and not there.definitions:
        name = asked.partition("=")[0]
        raise ConfigurationError(
            f"--table: {missing.format(name)}; write the schema too, as in public.orders."
        )
    for table, ours in counterparts.items():
        definition = there.definitions.get(table)
        if definition is None:
            yield info("like_table", missing.format(table))
        else:
            made_like = asked is None
            yield from table_differences(here.definitions.get(ours), definition, likeness=made_like)
