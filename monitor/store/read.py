"""Asking the store: the newest part of a series as columns, and runs as they were appended."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.model import Notice
from monitor.store import tables
from monitor.store.database import Database
from monitor.store.judgements import judgements_between
from monitor.store.names import read_environments
from monitor.store.records import FailureRow, RunRecord, SampleRow, SeriesKey

_MICROSECOND = timedelta(microseconds=1)


class Series(NamedTuple):
    """One case on one target, by its number in this store."""

    id: int
    target: str
    key: SeriesKey


#: What ``newest`` gives of a sample. ``started_at`` is the driver's (see ``Database.moment``), the
#: same for all rounds of a run.
COLUMNS = (
    "started_at",
    "round",
    "disturbed",
    "insert_ns",
    "commit_ns",
    "client_ns",
    "server_ns",
    "calls",
    "counted_rows",
    "wal_bytes",
    "wal_records",
    "wal_fpi",
    "blocks_hit",
)


async def series_list(
    database: Database, target: str | None = None, strategy: str | None = None
) -> list[Series]:
    """The series that there are, of one target or strategy or of all."""
    table, targets = tables.series, tables.target
    statement = (
        select(table, targets.c.name.label("target"))
        .join(targets)
        .order_by(targets.c.name, table.c.strategy, table.c.shape, table.c.batch_size, table.c.id)
    )
    if target is not None:
        statement = statement.where(targets.c.name == target)
    if strategy is not None:
        statement = statement.where(table.c.strategy == strategy)
    async with database.reading() as connection:
        rows = (await connection.execute(statement)).all()
    return [
        Series(r.id, r.target, SeriesKey(*(getattr(r, name) for name in SeriesKey._fields)))
        for r in rows
    ]


async def newest(database: Database, series_id: int, runs: int, rounds: int) -> list[Sequence[Any]]:
    """The last ``runs`` runs of a series, of at most ``rounds`` rounds each: one range read.

    Rows of ``COLUMNS``, oldest first. With fewer rounds in some runs, more runs come back; a run is
    never cut in two, but for the oldest, which is left out then.
    """
    limit = runs * rounds
    statement = (
        f"SELECT {', '.join(COLUMNS)} FROM {database.name_of(tables.sample)}"  # noqa: S608
        " WHERE series_id = $1 ORDER BY started_at DESC, round DESC LIMIT $2"
    )
    async with database.reading() as connection:
        rows = list(await database.fetch(connection, statement, series_id, limit))
    rows.reverse()
    if len(rows) == limit and rows[0][1] > 1:
        return rows[next((n for n, row in enumerate(rows) if row[0] != rows[0][0]), limit) :]
    return rows


# --- runs ----------------------------------------------------------------------------------------


async def target_ids(database: Database) -> dict[str, int]:
    """Numbers of the targets that have ever been measured, by name."""
    async with database.reading() as connection:
        rows = await connection.execute(select(tables.target.c.name, tables.target.c.id))
        return {row.name: row.id for row in rows}


async def newest_runs(
    database: Database, target: str, count: int, triggers: Iterable[str] = ()
) -> list[RunRecord]:
    """The last runs of a target, oldest first, of some triggers or of all."""
    table = tables.run
    conditions = [tables.target.c.name == target]
    if triggers:
        conditions.append(table.c.trigger.in_(list(triggers)))
    statement = (
        select(table)
        .join(tables.target)
        .where(*conditions)
        .order_by(table.c.started_at.desc())
        .limit(count)
    )
    return await _records(database, target, statement)


async def runs_between(
    database: Database, target: str, since: datetime, until: datetime
) -> list[RunRecord]:
    """All runs of a target that began in ``[since, until)``, oldest first."""
    started_at = tables.run.c.started_at
    statement = (
        select(tables.run)
        .join(tables.target)
        .where(tables.target.c.name == target, started_at >= since, started_at < until)
        .order_by(started_at)
    )
    return await _records(database, target, statement)


async def _records(database: Database, target: str, statement: Select[Any]) -> list[RunRecord]:
    async with database.reading() as connection:
        rows = (await connection.execute(statement)).all()
        if not rows:
            return []
        rows = sorted(rows, key=lambda row: row.started_at)
        first, last, target_id = rows[0].started_at, rows[-1].started_at, rows[0].target_id
        series = await _series_of(connection, target_id)
        environments = await read_environments(connection, {row.fingerprint for row in rows})
        failures = await _failures(connection, target_id, first, last, series)
        samples = await _samples(database, connection, first, last, series)
        states = await _states(connection, target_id, first, last)
        judged = await judgements_between(connection, target, target_id, first, last)
    return [
        RunRecord(
            id=row.id,
            target=target,
            trigger=row.trigger,
            started_at=row.started_at,
            finished_at=row.finished_at,
            outcome=row.outcome,
            rounds=row.rounds,
            wal_bytes=row.wal_bytes,
            environment=environments.get(row.fingerprint),
            probes={name: tuple(values) for name, values in row.probes.items()},
            notices=tuple(Notice(**notice) for notice in row.notices),
            failures=tuple(failures[row.started_at]),
            samples={key: tuple(found) for key, found in samples[row.started_at].items()},
            judgement=judged.get(row.started_at),
            state=states.get(row.started_at),
        )
        for row in rows
    ]


async def _series_of(connection: AsyncConnection, target_id: int) -> dict[int, SeriesKey]:
    table = tables.series
    rows = await connection.execute(select(table).where(table.c.target_id == target_id))
    return {row.id: SeriesKey(*(getattr(row, name) for name in SeriesKey._fields)) for row in rows}


async def _failures(
    connection: AsyncConnection,
    target_id: int,
    first: datetime,
    last: datetime,
    series: Mapping[int, SeriesKey],
) -> dict[datetime, list[FailureRow]]:
    table = tables.failure
    rows = await connection.execute(
        select(table)
        .where(table.c.target_id == target_id, _between(table.c.started_at, first, last))
        .order_by(table.c.started_at, table.c.number)
    )
    found: dict[datetime, list[FailureRow]] = defaultdict(list)
    for row in rows:
        key = series.get(row.series_id)
        found[row.started_at].append(
            FailureRow(row.at, row.reason, row.message, key, row.round, bool(row.of_run))
        )
    return found


async def _samples(
    database: Database,
    connection: AsyncConnection,
    first: datetime,
    last: datetime,
    series: Mapping[int, SeriesKey],
) -> dict[datetime, dict[SeriesKey, list[SampleRow]]]:
    statement = (
        f"SELECT started_at, {', '.join(SampleRow._fields)}"  # noqa: S608
        f" FROM {database.name_of(tables.sample)} WHERE series_id = $1 AND started_at >= $2"
        " AND started_at <= $3 ORDER BY started_at, round"
    )
    span = database.driver_time(first), database.driver_time(last)
    found: dict[datetime, dict[SeriesKey, list[SampleRow]]] = defaultdict(dict)
    for series_id, key in series.items():
        for started_at, *values in await database.fetch(connection, statement, series_id, *span):
            run = found[database.moment(started_at)]
            run.setdefault(key, []).append(SampleRow(*values))
    return found


async def _states(
    connection: AsyncConnection, target_id: int, first: datetime, last: datetime
) -> dict[datetime, bytes]:
    table = tables.detector_state
    rows = await connection.execute(
        select(table.c.started_at, table.c.state).where(
            table.c.target_id == target_id, _between(table.c.started_at, first, last)
        )
    )
    return {row.started_at: row.state for row in rows}


async def latest_states(database: Database) -> dict[str, bytes]:
    """The detector's last state of every target that has one."""
    table = tables.detector_state
    statement = (
        select(tables.target.c.name, table.c.state).join(tables.target).order_by(table.c.started_at)
    )
    async with database.reading() as connection:
        return {row.name: row.state for row in await connection.execute(statement)}


async def states_of(database: Database, target: str) -> list[bytes]:
    """The detector's state of a target after the last run of each day, oldest first.

    Raises StoreUnavailable.
    """
    table = tables.detector_state
    statement = (
        select(table.c.state)
        .join(tables.target)
        .where(tables.target.c.name == target)
        .order_by(table.c.started_at)
    )
    async with database.reading() as connection:
        return list(await connection.scalars(statement))


async def judged_pages(
    database: Database, target: str, runs: int = 50
) -> AsyncIterator[list[RunRecord]]:
    """Runs of a target that were judged, oldest first, so many at a time.

    Raises StoreUnavailable.
    """
    judged, after = tables.verdict.c.started_at, tables.EPOCH
    while True:
        page = (
            select(judged)
            .join(tables.target)
            .where(tables.target.c.name == target, judged > after)
            .order_by(judged)
            .limit(runs)
        )
        async with database.reading() as connection:
            moments = (await connection.scalars(page)).all()
        if not moments:
            return
        after = moments[-1]
        yield await runs_between(database, target, moments[0], after + _MICROSECOND)


async def state_after(database: Database, target: str, after: datetime | None) -> bytes | None:
    """The detector's newest state of a target, if it is of a run that began after a moment.

    Raises StoreUnavailable.
    """
    table = tables.detector_state
    statement = (
        select(table.c.state)
        .join(tables.target)
        .where(tables.target.c.name == target, table.c.started_at > (after or tables.EPOCH))
        .order_by(table.c.started_at.desc())
        .limit(1)
    )
    async with database.reading() as connection:
        found: bytes | None = await connection.scalar(statement)
        return found


def _between(column: ColumnElement[Any], first: datetime, last: datetime) -> ColumnElement[bool]:
    return (column >= first) & (column <= last)
