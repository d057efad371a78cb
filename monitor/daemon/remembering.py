"""What pages show of the time before the last runs: read from the store between runs.

A restart shows the newest runs at once, since the daemon reads them anyway; what is older follows
in small pages, newest first, so that no run waits for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from monitor.daemon.restore import run_of
from monitor.errors import StoreError
from monitor.export.curve import RAW_SECONDS, Point, by_hour
from monitor.export.past import (
    MAX_SWEEPS,
    EnvironmentChange,
    Past,
    environment_change,
    points_of,
)
from monitor.export.snapshot import TargetTally
from monitor.model import CaseKey
from monitor.store import points as stored
from monitor.store.database import Database
from monitor.store.explorations import listed, newest
from monitor.store.history import Period, environment_periods
from monitor.store.judgements import stored_changes
from monitor.store.read import Series, runs_between, series_list

log = logging.getLogger(__name__)

RAW = timedelta(seconds=RAW_SECONDS)
#: As far back as charts go.
SPAN = timedelta(days=35)
#: What is read at a time, and seconds after which the store is asked again.
_PAGE = timedelta(hours=6)
_RETRY_SECONDS = 60.0

#: Opens a block during which no run goes on.
BetweenRuns = Callable[[], AbstractAsyncContextManager[None]]


async def remember(
    database: Database,
    tallies: Mapping[str, TargetTally],
    between_runs: BetweenRuns,
) -> None:
    """Complete each target's past, then look for new sweeps; never returns, as the daemon's other
    loops."""
    waiting = list(tallies)
    while True:
        try:
            async with between_runs():
                await _note_sweeps(database, tallies)
        except StoreError as error:
            log.debug("sweeps are not to be had now: %s", error)
        for name in list(waiting):
            try:
                await _remember(database, tallies[name], between_runs)
            except StoreError as error:
                log.debug("%s: its past is not to be had now: %s", name, error)
                continue
            except Exception:
                # A bug of ours, but no reason to measure no more.
                log.exception("%s: its past cannot be shown", name)
            waiting.remove(name)
        await asyncio.sleep(_RETRY_SECONDS)


async def _note_sweeps(database: Database, tallies: Mapping[str, TargetTally]) -> None:
    """They are made by a command, which leaves them in the store."""
    known = await listed(database, "sweep")
    for name, tally in tallies.items():
        newest_ids = tuple(each for target, each in known if target == name)[:MAX_SWEEPS]
        if newest_ids != tally.past.sweep_ids:
            tally.past.set_sweeps(await newest(database, "sweep", target=name, limit=MAX_SWEEPS))


async def _remember(database: Database, tally: TargetTally, between_runs: BetweenRuns) -> None:
    now, target, past = datetime.now(UTC), tally.name, tally.past
    async with between_runs():
        found = await stored_changes(database, target, now - SPAN)
        past.note_changes((each.change for each in found), (e.end for e in found if e.end))
        periods = (await environment_periods(database, now - SPAN, target)).get(target, [])
        past.set_environments(_environment_changes(periods, now - SPAN))
    raw_since = now - RAW
    until = _before(past, now)
    while until > raw_since and not past.full:
        since = max(raw_since, until - _PAGE)
        async with between_runs():
            await _add_runs(database, tally, since, until)
        until = since
    if not past.full:
        for series in await series_list(database, target):
            async with between_runs():
                if series.key.case in tally.planned:
                    await _add_hours(database, past, series, now)


def _before(past: Past, now: datetime) -> datetime:
    first = past.first_seconds()
    return now if first is None else datetime.fromtimestamp(first, UTC)


def _environment_changes(periods: Sequence[Period], since: datetime) -> list[EnvironmentChange]:
    return [
        environment_change(later.first_run_at, earlier.environment, later.environment)
        for earlier, later in pairwise(periods)
        if later.first_run_at >= since
    ]


async def _add_runs(
    database: Database, tally: TargetTally, since: datetime, until: datetime
) -> None:
    """Every run that began in ``[since, until)``; one asked for by hand is no part of a trend."""
    found: dict[CaseKey, list[Point]] = {}
    for record in await runs_between(database, tally.name, since, until):
        if record.trigger != "manual":
            for key, point in points_of(run_of(record), record.judgement).items():
                found.setdefault(key, []).append(point)
        await asyncio.sleep(0)  # the loop has others to serve
    for key in found.keys() & tally.planned:
        tally.past.add_older(key, found[key])


async def _add_hours(database: Database, past: Past, series: Series, now: datetime) -> None:
    """Rates by the hour of the time before; of rollups the clocks' fast ends are not known."""
    async with database.reading() as connection:
        points = await stored.read_points(database, connection, series, now - SPAN, {})
    before = (now - RAW).timestamp()
    rates = [
        Point(
            point.started_at.timestamp(),
            point.runs,
            rows_per_second=point.rows_per_second,
            rows_per_second_fast=point.rows_per_second_fast,
        )
        for point in points
        if point.source != "day" and point.started_at.timestamp() < before
    ]
    past.add_older(series.key.case, by_hour(rates))
