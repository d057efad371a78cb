"""ingest-canary history: what the store holds, for people and for programs."""

from __future__ import annotations

import asyncio
import csv
import json
import shutil
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import click
from pydantic import TypeAdapter
from rich.console import Console

from monitor.cli.common import read_settings, settings_options
from monitor.cli.environments import (
    differences_as_json,
    periods_as_json,
    print_between,
    print_periods,
    resolve,
)
from monitor.cli.history_table import print_target
from monitor.cli.outlook import outlook_as_json, print_outlook, read_states
from monitor.config.fields import Duration
from monitor.config.settings import Settings
from monitor.daemon.assembly import PRIVATE, detection_rules, store_location
from monitor.detect.target import TargetState
from monitor.errors import ConfigurationError
from monitor.store.database import Database
from monitor.store.history import (
    LastRun,
    SeriesHistory,
    TargetHistory,
    environment_periods,
    fingerprints,
    read_environment,
    read_history,
)
from monitor.store.points import Point
from monitor.store.read import series_list, target_ids
from monitor.store.records import SeriesKey
from monitor.store.schema import open_store, versions_of
from monitor.store.tables import EPOCH

#: Columns where there is no terminal, and those that a narrow terminal is taken to have at least.
_WIDTH = 100
_LEAST_WIDTH = 60

_DURATION: TypeAdapter[float] = TypeAdapter(Duration)


@click.command()
@click.option("--target", metavar="NAME", help="Only this target.")
@click.option("--strategy", metavar="NAME", help="Only this strategy.")
@click.option("--since", metavar="WHEN",
              help="How far back, such as 7d, or from when, such as 2026-11-22T14:10 (UTC);"
              " default: 7d, or with --environments all there is.")  # fmt: skip
@click.option("--environments", is_flag=True,
              help="Show what the runs were made with, and what changed in it.")  # fmt: skip
@click.option("--between", nargs=2, metavar="FP1 FP2",
              help="Show how two environments differ; four first digits do for each.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one object.")
@click.option("--csv", "as_csv", is_flag=True, help="Print a line for each run or rollup.")
@settings_options
def history(
    target: str | None,
    strategy: str | None,
    since: str | None,
    environments: bool,
    between: tuple[str, str] | None,
    as_json: bool,
    as_csv: bool,
    **options: Any,
) -> None:
    """Show every case's past: a line over time, last value, median, spread, runs, failures."""
    if as_csv and (as_json or environments or between):
        raise click.UsageError("--csv is for the history of cases, and without --json.")
    if strategy and (environments or between):
        raise click.UsageError("--strategy: an environment is that of whole runs.")
    if between and (target or since):
        raise click.UsageError("--between compares any two: leave out --target and --since.")
    now = datetime.now(UTC)
    settings = read_settings(options, quiet=True)
    if between:
        asyncio.run(_show_between(settings, between, as_json))
    elif environments:
        begin = since_when(since, now) if since else EPOCH
        asyncio.run(_show_environments(settings, target, begin, now, as_json))
    else:
        form = "json" if as_json else "csv" if as_csv else "table"
        begin = since_when(since or "7d", now)
        asyncio.run(_show_history(settings, target, strategy, begin, now, form))


def since_when(text: str, now: datetime) -> datetime:
    """The moment that ``--since`` names, not before 1970. Raises ConfigurationError."""
    try:
        return max(_moment(text, now), EPOCH)
    except OverflowError:
        return EPOCH
    except ValueError:
        raise ConfigurationError(
            f"--since {text}: write a duration such as 7d or 90min, or a date or time (UTC) such"
            " as 2026-11-22 or 2026-11-22T14:10."
        ) from None


def _moment(text: str, now: datetime) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return now - timedelta(seconds=_DURATION.validate_python(text))
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


# --- asking --------------------------------------------------------------------------------------


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[Database | None]:
    """The store while the block lasts; None if nothing has ever been stored."""
    database = Database(store_location(settings))
    try:
        empty = (await versions_of(database)).found is None
        if not empty:
            await open_store(database, create=False)
        yield None if empty else database
    finally:
        await database.dispose()


async def _check_target(database: Database | None, settings: Settings, target: str | None) -> None:
    """Raise ConfigurationError for a target that is neither stored nor configured."""
    stored = await target_ids(database) if database else {}
    known = {*stored, *(settings.targets or [PRIVATE])}
    if target is not None and target not in known:
        raise ConfigurationError(f"unknown target '{target}'; known: {', '.join(sorted(known))}.")


async def _check_strategy(database: Database, target: str | None, strategy: str | None) -> None:
    """Raise ConfigurationError for a strategy that nothing is stored of."""
    stored = {series.key.strategy for series in await series_list(database, target)}
    if strategy is not None and stored and strategy not in stored:
        raise ConfigurationError(
            f"nothing is stored of a strategy '{strategy}'; stored: {', '.join(sorted(stored))}."
        )


async def _show_history(
    settings: Settings,
    target: str | None,
    strategy: str | None,
    since: datetime,
    now: datetime,
    form: str,
) -> None:
    found: list[TargetHistory] = []
    states: dict[str, TargetState] = {}
    async with _opened(settings) as database:
        await _check_target(database, settings, target)
        if database:
            await _check_strategy(database, target, strategy)
            found = await read_history(database, since, target, strategy)
            states = await read_states(database)
    rules = detection_rules(settings)
    last = [each.last_run.started_at for each in found if each.last_run]
    until = max([now, *last])  # a target's time never goes back, even if the clock does
    if form == "json":
        whole = history_as_json(found, since, until)
        for each, of in zip(whole["series"], _all_series(found), strict=True):
            each["signals"] = outlook_as_json(of.key, states.get(of.target), rules)
        click.echo(json.dumps(whole, ensure_ascii=False))
    elif form == "csv":
        _write_csv(found)
    elif not found:
        _say_nothing_is_stored(settings, target)
    else:
        to = _console()
        for each in found:
            print_target(each, until, to, explained=each is found[0])
            if each.name in states:
                print_outlook(each, states[each.name], rules, to)


def _all_series(targets: Sequence[TargetHistory]) -> list[SeriesHistory]:
    return [series for target in targets for series in target.series]


async def _show_environments(
    settings: Settings, target: str | None, since: datetime, now: datetime, as_json: bool
) -> None:
    async with _opened(settings) as database:
        await _check_target(database, settings, target)
        found = await environment_periods(database, since, target) if database else {}
    if as_json:
        targets = [
            {"target": name, "periods": list(periods_as_json(periods))}
            for name, periods in found.items()
        ]
        span = {"since": since.isoformat(), "until": now.isoformat()}
        click.echo(json.dumps({**span, "targets": targets}, ensure_ascii=False))
    elif not found:
        _say_nothing_is_stored(settings, target)
    else:
        to = _console()
        for name, periods in found.items():
            print_periods(name, periods, to)


async def _show_between(settings: Settings, wanted: Sequence[str], as_json: bool) -> None:
    async with _opened(settings) as database:
        if database is None:
            raise ConfigurationError("no environment has been stored yet.")
        stored = await fingerprints(database)
        names = [resolve(each, stored) for each in wanted]
        before, after = [await read_environment(database, name) for name in names]
    if as_json:
        both = {"before": before.fingerprint, "after": after.fingerprint}
        found = {**both, "differences": differences_as_json(before, after)}
        click.echo(json.dumps(found, ensure_ascii=False))
    else:
        print_between(before, after, _console())


# --- answering -----------------------------------------------------------------------------------


def _console() -> Console:
    """Standard output as wide as it is."""
    columns = shutil.get_terminal_size((_WIDTH, 1)).columns
    width = max(columns, _LEAST_WIDTH)
    return Console(width=width, highlight=False, markup=False, emoji=False)


def _say_nothing_is_stored(settings: Settings, target: str | None) -> None:
    of = f" of {target}" if target else ""
    click.echo(f"Nothing has been stored{of} yet ({store_location(settings)}).")


def history_as_json(
    targets: Sequence[TargetHistory], since: datetime, until: datetime
) -> dict[str, Any]:
    """The stable form: units stand in the names, unknown is null."""
    return {
        "since": since.isoformat(),
        "until": until.isoformat(),
        "series": [_series_as_json(series) for series in _all_series(targets)],
        "targets": [_target_as_json(target) for target in targets],
    }


def _series_as_json(series: SeriesHistory) -> dict[str, Any]:
    return {
        "target": series.target,
        **series.key._asdict(),
        "runs": series.runs,
        "failures": series.failures,
        "last": series.last,
        "median": series.median,
        "spread_ratio": series.spread_ratio,
        "points": [_point_fields(point) for point in series.points],
    }


def _point_fields(point: Point) -> dict[str, Any]:
    return {**point._asdict(), "started_at": point.started_at.isoformat()}


def _target_as_json(target: TargetHistory) -> dict[str, Any]:
    return {
        "target": target.name,
        "begins_at": target.begins_at.isoformat(),
        "runs": target.runs,
        "outcomes": dict(target.outcomes),
        "run_failures": dict(target.run_failures),
        "last_run": _last_run_as_json(target.last_run) if target.last_run else None,
    }


def _last_run_as_json(last: LastRun) -> dict[str, Any]:
    failure = last.failure
    return {
        "started_at": last.started_at.isoformat(),
        "outcome": last.outcome,
        "failure": failure
        and {
            "reason": failure.reason,
            "message": failure.message,
            "case": failure.key and failure.key._asdict(),
        },
    }


def _write_csv(targets: Sequence[TargetHistory]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["target", *SeriesKey._fields, *Point._fields])
    for target in targets:
        for series in target.series:
            for point in series.points:
                writer.writerow([series.target, *series.key, *_point_fields(point).values()])
