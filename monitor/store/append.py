"""Appending runs: all of a run in one transaction, once however often it is tried."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.errors import StoreConflict
from monitor.model import Notice
from monitor.store import tables
from monitor.store.database import Database
from monitor.store.judgements import add_judgements
from monitor.store.names import Names, name_all
from monitor.store.partitions import WEEK, Partitions
from monitor.store.records import RunRecord, SampleRow, at

_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_MICROSECOND = timedelta(microseconds=1)

_COLUMNS = ("series_id", "started_at", *SampleRow._fields)

#: Two writers can meet at one key; who loses looks again.
_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Appended:
    """What an append added: runs and samples; those that were there already are not counted."""

    runs: int
    samples: int


class Appender:
    """Writes runs to one store, remembering names and partitions between calls."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._names = Names()
        self._partitions = Partitions(database) if database.schema else None

    async def append(self, records: Sequence[RunRecord], *, partitioned: bool) -> Appended:
        """Write the runs in one transaction, leaving out those that are there by their id.

        ``partitioned`` says whether partitions are ours to make. Raises StoreUnavailable (nothing
        of it was written, or all, and trying again is safe) or StoreRejected (never will be).
        """
        if partitioned and self._partitions:
            await self._partitions.cover(record.started_at for record in records)
        for _ in range(_ATTEMPTS - 1):
            try:
                return await self._append(records)
            except StoreConflict:
                self._names = Names()
        return await self._append(records)

    async def make_ahead(self, now: datetime, *, partitioned: bool) -> None:
        """Make the partitions of this and the next week. Raises StoreUnavailable."""
        if partitioned and self._partitions:
            await self._partitions.cover((now, now + WEEK))

    async def _append(self, records: Sequence[RunRecord]) -> Appended:
        database = self._database
        async with database.writing() as connection:
            names = await name_all(connection, self._names, records)
            new = await self._new(connection, names, records)
            await database.insert(connection, tables.run, [self._run(r, names) for r in new])
            await database.insert(connection, tables.failure, self._failures(new, names))
            await database.insert(connection, tables.sample, self._samples(new, names), _COLUMNS)
            await self._mark_due(connection, names, new)
            await add_judgements(connection, names, new)
            for record in new:
                if record.state is not None:
                    await _keep_state(connection, names.targets[record.target], record)
        self._names = names
        return Appended(len(new), sum(record.sample_count for record in new))

    async def _new(
        self, connection: AsyncConnection, names: Names, records: Sequence[RunRecord]
    ) -> list[RunRecord]:
        """The runs that are not there, moved on by microseconds where another has their key."""
        ids, taken = await self._present(connection, names, records)
        new = []
        for record in records:
            if record.id in ids:
                continue
            target, moment = names.targets[record.target], record.started_at
            while (target, moment) in taken:
                moment += _MICROSECOND
            ids.add(record.id)
            taken.add((target, moment))
            new.append(record if moment == record.started_at else at(record, moment))
        return new

    async def _present(
        self, connection: AsyncConnection, names: Names, records: Sequence[RunRecord]
    ) -> tuple[set[str], set[tuple[int, datetime]]]:
        """Ids and keys of the runs that are there about the time of these."""
        database = self._database
        statement = (
            f"SELECT id, started_at FROM {database.name_of(tables.run)}"  # noqa: S608
            " WHERE target_id = $1 AND started_at >= $2 AND started_at <= $3"
        )
        ids, taken = set(), set()
        for target in {record.target for record in records}:
            moments = [record.started_at for record in records if record.target == target]
            # A run that was moved on is found too.
            span = database.driver_time(min(moments)), database.driver_time(max(moments) + _SECOND)
            number = names.targets[target]
            for run_id, started_at in await database.fetch(connection, statement, number, *span):
                ids.add(run_id)
                taken.add((number, database.moment(started_at)))
        return ids, taken

    async def _mark_due(
        self, connection: AsyncConnection, names: Names, records: Iterable[RunRecord]
    ) -> None:
        database = self._database
        due = {(names.targets[r.target], hour_of(r.started_at)) for r in records if r.samples}
        statement = (
            f"INSERT INTO {database.name_of(tables.rollup_due)} (target_id, started_at, mark)"  # noqa: S608
            " VALUES ($1, $2, $3)"
        )
        mark = uuid4().hex
        rows = [(target, database.driver_time(hour), mark) for target, hour in sorted(due)]
        await database.execute_many(connection, statement, rows)

    def _run(self, record: RunRecord, names: Names) -> tuple[Any, ...]:
        moment = self._database.driver_time
        return (
            names.targets[record.target],
            moment(record.started_at),
            record.id,
            moment(record.finished_at),
            record.trigger,
            record.outcome,
            record.rounds,
            record.wal_bytes,
            record.environment.fingerprint if record.environment else None,
            json.dumps({name: list(values) for name, values in record.probes.items()}),
            json.dumps([_notice(notice) for notice in record.notices]),
        )

    def _failures(self, records: Iterable[RunRecord], names: Names) -> list[tuple[Any, ...]]:
        moment = self._database.driver_time
        return [
            (
                names.targets[record.target],
                moment(record.started_at),
                number,
                names.series[record.target, row.series] if row.series else None,
                row.round,
                int(row.of_run),
                moment(row.at),
                row.reason,
                _storable(row.message),
            )
            for record in records
            for number, row in enumerate(record.failures)
        ]

    def _samples(self, records: Iterable[RunRecord], names: Names) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = []
        for record in records:
            started_at = self._database.driver_time(record.started_at)
            for key, samples in record.samples.items():
                prefix = (names.series[record.target, key], started_at)
                rows += [prefix + sample for sample in samples]
        return rows


def hour_of(moment: datetime) -> datetime:
    """The beginning of the hour of a moment."""
    return moment.replace(minute=0, second=0, microsecond=0)


def day_of(moment: datetime) -> datetime:
    """The beginning of the UTC day of a moment."""
    return hour_of(moment).replace(hour=0)


def _notice(notice: Notice) -> dict[str, str]:
    return {name: _storable(text) for name, text in asdict(notice).items()}


def _storable(text: str) -> str:
    """Text of others' errors without what is no Unicode and without NUL, which no store holds."""
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text)


async def _keep_state(connection: AsyncConnection, target_id: int, record: RunRecord) -> None:
    """Make the state that of its day, unless a later run's is there."""
    table = tables.detector_state
    own = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = own.insert(table).values(
        target_id=target_id,
        day=day_of(record.started_at),
        started_at=record.started_at,
        state=record.state,
    )
    newer = statement.excluded.started_at > table.c.started_at
    await connection.execute(
        statement.on_conflict_do_update(
            index_elements=[table.c.target_id, table.c.day],
            set_={"started_at": statement.excluded.started_at, "state": statement.excluded.state},
            where=newer,
        )
    )
