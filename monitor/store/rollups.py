"""Hours and days of series, from raw samples: when an hour is over, and again for late runs.

Whoever appends or rolls up at the same time, no sample is missed and no older rollup stays:

- A mark is committed with the samples that it stands for, and is one append's alone. So samples
  that are read after the marks hold all that these stand for, and only these are removed; what
  arrives meanwhile brings a mark of its own.
- Samples are only added, until retention removes them. So of two rollups of one hour that of more
  samples is the newer one, and none replaces one of more samples.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from operator import attrgetter
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import bindparam, delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.model import EXCLUDING, MIN_CLEAN_ROUNDS
from monitor.store.append import day_of, hour_of
from monitor.store.database import Database
from monitor.store.records import disturbances_of
from monitor.store.tables import rollup, rollup_due, sample, series
from monitor.store.writes import ShortWrites

if TYPE_CHECKING:
    from monitor.store.retention import Policy

_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)
#: Marks that are read at once.
_MARKS = 10_000
#: Rollups that one transaction writes, unless a single hour has more.
_ROWS = 1_000

Row = dict[str, Any]
Hours = dict[datetime, list[Row]]


class Round(NamedTuple):
    """What a rollup needs of a sample: columns of it, ``started_at`` as the driver gives it."""

    started_at: Any
    disturbed: int
    insert_ns: int
    commit_ns: int
    client_ns: int
    server_ns: int | None
    wal_bytes: int | None
    calls: int | None


class Mark(NamedTuple):
    """That an append brought samples of a target's hour; see ``tables.rollup_due``."""

    target_id: int
    started_at: datetime
    mark: str


async def roll_up(
    database: Database, now: datetime, policy: Policy, writes: ShortWrites | None = None
) -> int:
    """Roll up what arrived for hours that are over, and their days so far; returns how many hours.

    A rollup that is there stays as it is where samples of its day may have been removed already.
    Memory is bounded by a target's day. Raises StoreUnavailable; what was rolled up by then stays
    so, and the rest is due.
    """
    writes, rolled = writes or ShortWrites(database), 0
    while marks := await _due(database, now - _HOUR):
        for (target_id, day), due in groupby(marks, lambda m: (m.target_id, day_of(m.started_at))):
            work = _Day(database, writes, target_id, day, final=day < policy.raw_since(now))
            rolled += await work.roll_up(list(due))
        if len(marks) < _MARKS:
            break
    return rolled


async def _due(database: Database, until: datetime) -> list[Mark]:
    """Marks of hours that began no later, those of one target's day together."""
    columns = rollup_due.c
    statement = (
        select(columns.target_id, columns.started_at, columns.mark)
        .where(columns.started_at <= until)
        .order_by(columns.target_id, columns.started_at)
        .limit(_MARKS)
    )
    async with database.reading() as connection:
        return [Mark(*row) for row in await connection.execute(statement)]


class _Day:
    """A target's day: computed from reads, then written hour by hour or some hours at once."""

    def __init__(
        self, database: Database, writes: ShortWrites, target_id: int, day: datetime, *, final: bool
    ) -> None:
        self._database = database
        self._writes = writes
        self._target_id = target_id
        self._day = day
        self._final = final

    async def roll_up(self, marks: Sequence[Mark]) -> int:
        of_day, of_hours = await self._compute({mark.started_at for mark in marks})
        rows = of_day  # with the first hours: who is killed then finds the others still due
        for hours in _portions(of_hours):
            rows = rows + [row for hour in hours for row in of_hours[hour]]
            done = [mark for mark in marks if mark.started_at in hours]
            async with self._writes.transaction() as connection:
                await self._put(connection, rows)
                await _remove(connection, done)
            rows = []
        return len(of_hours)

    async def _compute(
        self, hours: Iterable[datetime]
    ) -> tuple[list[Row], dict[datetime, list[Row]]]:
        """Rollups of the day, and by hour those of the hours."""
        of_day: list[Row] = []
        of_hours: Hours = {hour: [] for hour in sorted(hours)}
        async with self._database.reading() as connection:
            ids = select(series.c.id).where(series.c.target_id == self._target_id)
            for series_id in (await connection.scalars(ids.order_by(series.c.id))).all():
                rounds = await self._rounds(connection, series_id)
                touched = False
                for hour, part in groupby(rounds, self._hour):
                    if hour in of_hours:
                        of_hours[hour].append(_row(series_id, 1, hour, list(part)))
                        touched = True
                if touched:
                    of_day.append(_row(series_id, 24, self._day, rounds))
        return of_day, of_hours

    async def _rounds(self, connection: AsyncConnection, series_id: int) -> list[Round]:
        database = self._database
        statement = (
            f"SELECT {', '.join(Round._fields)} FROM {database.name_of(sample)}"  # noqa: S608
            " WHERE series_id = $1 AND started_at >= $2 AND started_at < $3"
            " ORDER BY started_at, round"
        )
        span = database.driver_time(self._day), database.driver_time(self._day + _DAY)
        return [
            Round(*row) for row in await database.fetch(connection, statement, series_id, *span)
        ]

    def _hour(self, each: Round) -> datetime:
        return hour_of(self._database.moment(each.started_at))

    async def _put(self, connection: AsyncConnection, rows: Sequence[Row]) -> None:
        if not rows:
            return
        own = postgresql if connection.dialect.name == "postgresql" else sqlite
        statement = own.insert(rollup)
        if self._final:
            await connection.execute(statement.on_conflict_do_nothing(), rows)
            return
        key, new = rollup.primary_key.columns, statement.excluded
        figures = {column.name: new[column.name] for column in rollup.c if column not in set(key)}
        newer = new.samples >= rollup.c.samples
        await connection.execute(
            statement.on_conflict_do_update(index_elements=list(key), set_=figures, where=newer),
            rows,
        )


def _portions(of_hours: Hours) -> Iterator[list[datetime]]:
    """The hours in portions for a transaction each."""
    portion: list[datetime] = []
    rows = 0
    for hour, found in of_hours.items():
        if portion and rows + len(found) > _ROWS:
            yield portion
            portion, rows = [], 0
        portion.append(hour)
        rows += len(found)
    if portion:
        yield portion


async def _remove(connection: AsyncConnection, marks: Sequence[Mark]) -> None:
    conditions = [rollup_due.c[name] == bindparam(f"its_{name}") for name in Mark._fields]
    rows = [{f"its_{name}": value for name, value in mark._asdict().items()} for mark in marks]
    await connection.execute(delete(rollup_due).where(*conditions), rows)


# --- figures -------------------------------------------------------------------------------------


def _row(series_id: int, hours: int, started_at: datetime, rounds: Sequence[Round]) -> Row:
    key = {"series_id": series_id, "hours": hours, "started_at": started_at}
    return {**key, **figures_of(rounds)}


def figures_of(rounds: Sequence[Round]) -> dict[str, int | None]:
    """A rollup's columns from at least one round, those of a run together.

    ``runs`` and ``samples`` count them all. Times, in nanoseconds, and counters are medians and
    quartiles of the rounds that count, chosen run by run as ``model.CaseResult.counted`` does;
    ``fast_ns`` is the median over the runs of their fastest round. None where no round knows.
    """
    runs = [list(run) for _, run in groupby(rounds, attrgetter("started_at"))]
    counted = [_counted(run) for run in runs]
    every = [each for run in counted for each in run]
    figures: dict[str, int | None] = {
        "runs": len(runs),
        "samples": len(rounds),
        "fast_ns": round(median(min(each.insert_ns for each in run) for run in counted)),
    }
    for signal in ("insert_ns", "commit_ns", "client_ns", "server_ns"):
        low, middle, high = _quartiles([getattr(each, signal) for each in every])
        figures |= {signal: middle, f"{signal}_low": low, f"{signal}_high": high}
    for counter in ("wal_bytes", "calls"):
        figures[counter] = _quartiles([getattr(each, counter) for each in every])[1]
    return figures


def _counted(run: Sequence[Round]) -> Sequence[Round]:
    clean = [each for each in run if EXCLUDING.isdisjoint(disturbances_of(each.disturbed))]
    return clean if len(clean) >= MIN_CLEAN_ROUNDS else run


def _quartiles(values: Iterable[int | None]) -> Sequence[int | None]:
    """Lower quartile, median and upper quartile of what is known, rounded."""
    known = [value for value in values if value is not None]
    if not known:
        return (None, None, None)
    if len(known) == 1:
        return known * 3
    return [round(quartile) for quartile in quantiles(known, n=4, method="inclusive")]
