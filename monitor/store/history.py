"""What the store holds of the past: each target's runs, series and environments."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate, groupby
from operator import itemgetter

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.environment import Environment
from monitor.model import RunOutcome
from monitor.store import tables
from monitor.store.database import Database
from monitor.store.names import read_environments
from monitor.store.points import Point, read_points
from monitor.store.read import Series, series_list, target_ids
from monitor.store.records import SeriesKey

#: What makes the median absolute deviation of normal values their standard deviation.
MAD_TO_DEVIATION = 1.4826

#: Points below which a spread would say nothing.
_MIN_SPREAD_POINTS = 3


@dataclass(frozen=True, slots=True)
class SeriesHistory:
    """A series in the span: its points in order of time, and how many of its rounds failed."""

    target: str
    key: SeriesKey
    points: tuple[Point, ...]
    failures: int

    @property
    def runs(self) -> int:
        """Runs with at least one sample."""
        return sum(point.runs for point in self.points)

    @property
    def last(self) -> float | None:
        """Rows per second of the last point."""
        return self.points[-1].rows_per_second if self.points else None

    @property
    def median(self) -> float | None:
        """Median rows per second, each point counting as often as it has runs."""
        rates = [(point.rows_per_second, point.runs) for point in self.points]
        return weighted_median(rates) if rates else None

    @property
    def spread_ratio(self) -> float | None:
        """1.4826 × the median absolute deviation of rows per second, as a share of the median."""
        middle = self.median
        if middle is None or len(self.points) < _MIN_SPREAD_POINTS:
            return None
        deviations = [(abs(p.rows_per_second - middle), p.runs) for p in self.points]
        return MAD_TO_DEVIATION * weighted_median(deviations) / middle


@dataclass(frozen=True, slots=True)
class FirstFailure:
    """What failed first in a run: a round of a case, or without ``key`` the run."""

    reason: str
    message: str
    key: SeriesKey | None


@dataclass(frozen=True, slots=True)
class LastRun:
    """A target's newest run."""

    started_at: datetime
    outcome: RunOutcome
    failure: FirstFailure | None = None


@dataclass(frozen=True, slots=True)
class TargetHistory:
    """A target in the span: its series, its runs by outcome, failures of whole runs by reason.

    ``begins_at`` is where the span begins or, if later, what is stored; ``last_run`` is the newest
    of all, in the span or not.
    """

    name: str
    begins_at: datetime
    series: tuple[SeriesHistory, ...]
    outcomes: Mapping[str, int]
    run_failures: Mapping[str, int]
    last_run: LastRun | None

    @property
    def runs(self) -> int:
        return sum(self.outcomes.values())


@dataclass(frozen=True, slots=True)
class Period:
    """Consecutive runs of a target with one environment: when they began first and last."""

    environment: Environment
    first_run_at: datetime
    last_run_at: datetime
    runs: int


def weighted_median(values: Iterable[tuple[float, int]]) -> float:
    """The median of values that each stand for a number of equal ones; at least one is needed."""
    ordered = sorted(values)
    totals = list(accumulate(weight for _, weight in ordered))
    half = totals[-1] / 2
    index = bisect_left(totals, half)
    value = ordered[index][0]
    return (value + ordered[index + 1][0]) / 2 if totals[index] == half else value


# --- targets and their series --------------------------------------------------------------------


async def read_history(
    database: Database, since: datetime, target: str | None = None, strategy: str | None = None
) -> list[TargetHistory]:
    """Every target, or one, from ``since`` on; of its series those that did anything then.

    Memory holds the samples of one series at a time. Raises StoreUnavailable.
    """
    numbers = await target_ids(database)
    series = await series_list(database, target, strategy)
    found = []
    for name, number in sorted(numbers.items()):
        if target in (None, name):
            own = [each for each in series if each.target == name]
            found.append(await _target_history(database, name, number, own, since))
    return found


async def _target_history(
    database: Database, name: str, target_id: int, series: Sequence[Series], since: datetime
) -> TargetHistory:
    async with database.reading() as connection:
        runs = await _runs(connection, target_id, since)
        failures = await _failures(connection, target_id, since)
        last_run = await _last_run(connection, target_id)
        first = await _first_run_at(connection, target_id)
        planned = {started_at: rounds for started_at, rounds, _ in runs}
        histories = []
        for each in series:
            points = await read_points(database, connection, each, since, planned)
            failed = sum(n for (number, _), n in failures.items() if number == each.id)
            if points or failed:
                histories.append(SeriesHistory(name, each.key, tuple(points), failed))
    begun = [each.points[0].started_at for each in histories if each.points]
    begun += [first] if first else []
    return TargetHistory(
        name=name,
        begins_at=max(since, min(begun, default=since)),
        series=tuple(histories),
        outcomes=Counter(outcome for _, _, outcome in runs),
        run_failures={reason: n for (number, reason), n in failures.items() if number is None},
        last_run=last_run,
    )


async def _runs(
    connection: AsyncConnection, target_id: int, since: datetime
) -> list[tuple[datetime, int, str]]:
    """When each run began, its planned rounds, its outcome."""
    table = tables.run
    rows = await connection.execute(
        select(table.c.started_at, table.c.rounds, table.c.outcome).where(
            table.c.target_id == target_id, table.c.started_at >= since
        )
    )
    return [(row.started_at, row.rounds, row.outcome) for row in rows]


async def _failures(
    connection: AsyncConnection, target_id: int, since: datetime
) -> dict[tuple[int | None, str], int]:
    """How many failures there were of each series, None for whole runs, and reason."""
    table = tables.failure
    rows = await connection.execute(
        select(table.c.series_id, table.c.reason, func.count().label("failed"))
        .where(table.c.target_id == target_id, table.c.started_at >= since)
        .group_by(table.c.series_id, table.c.reason)
        .order_by(table.c.reason)
    )
    return {(row.series_id, row.reason): row.failed for row in rows}


async def _first_run_at(connection: AsyncConnection, target_id: int) -> datetime | None:
    table = tables.run
    first: datetime | None = await connection.scalar(
        select(func.min(table.c.started_at)).where(table.c.target_id == target_id)
    )
    return first


async def _last_run(connection: AsyncConnection, target_id: int) -> LastRun | None:
    run = tables.run
    newest = (
        select(run.c.started_at, run.c.outcome)
        .where(run.c.target_id == target_id)
        .order_by(run.c.started_at.desc())
        .limit(1)
    )
    last = (await connection.execute(newest)).one_or_none()
    if last is None:
        return None
    failure = await _first_failure(connection, target_id, last.started_at)
    return LastRun(last.started_at, last.outcome, failure)


async def _first_failure(
    connection: AsyncConnection, target_id: int, started_at: datetime
) -> FirstFailure | None:
    failure, key = tables.failure, [tables.series.c[name] for name in SeriesKey._fields]
    statement = (
        select(failure.c.reason, failure.c.message, *key)
        .select_from(failure.outerjoin(tables.series))
        .where(failure.c.target_id == target_id, failure.c.started_at == started_at)
        .order_by(failure.c.number)
        .limit(1)
    )
    found = (await connection.execute(statement)).one_or_none()
    if found is None:
        return None
    reason, message, *values = found
    return FirstFailure(reason, message, SeriesKey(*values) if values[0] is not None else None)


# --- environments --------------------------------------------------------------------------------


async def environment_periods(
    database: Database, since: datetime, target: str | None = None
) -> dict[str, list[Period]]:
    """Every target's environments, or one's, in order of time; runs without one are left out.

    Of what had ended before ``since`` there is nothing, and nothing of the rest is cut off. Raises
    StoreUnavailable.
    """
    numbers = await target_ids(database)
    found = {}
    for name, number in sorted(numbers.items()):
        if target in (None, name):
            found[name] = await _periods(database, number, since)
    return found


async def _periods(database: Database, target_id: int, since: datetime) -> list[Period]:
    statement = (
        f"SELECT fingerprint, started_at FROM {database.name_of(tables.run)}"  # noqa: S608
        " WHERE target_id = $1 AND fingerprint IS NOT NULL ORDER BY started_at"
    )
    async with database.reading() as connection:
        rows = await database.fetch(connection, statement, target_id)
        parts = [(key, [row[1] for row in part]) for key, part in groupby(rows, itemgetter(0))]
        first_kept = database.driver_time(since)
        parts = [(key, began) for key, began in parts if began[-1] >= first_kept]
        environments = await read_environments(connection, {key for key, _ in parts})
    return [
        Period(environments[key], database.moment(began[0]), database.moment(began[-1]), len(began))
        for key, began in parts
    ]


async def fingerprints(database: Database) -> list[str]:
    """Those of all environments that are stored, sorted. Raises StoreUnavailable."""
    column = tables.environment.c.fingerprint
    async with database.reading() as connection:
        return list(await connection.scalars(select(column).order_by(column)))


async def read_environment(database: Database, fingerprint: str) -> Environment:
    """The environment of a stored fingerprint. Raises StoreUnavailable."""
    async with database.reading() as connection:
        return (await read_environments(connection, [fingerprint]))[fingerprint]
