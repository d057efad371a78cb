"""Appending runs: all of a run in one transaction, once however often it is tried."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import insert, or_, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.errors import StoreRejected
from monitor.store import tables
from monitor.store.database import Database
from monitor.store.names import Names, insert_or_leave, name_all
from monitor.store.partitions import Partitions
from monitor.store.records import RunRecord, at

_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)
_MICROSECOND = timedelta(microseconds=1)

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
        for _ in range(_ATTEMPTS):
            try:
                return await self._append(records)
            except IntegrityError as error:
                conflict = error
                self._names = Names()
        raise StoreRejected(f"the store does not take a run: {conflict.orig}") from conflict

    async def _append(self, records: Sequence[RunRecord]) -> Appended:
        async with self._database.writing() as connection:
            names = await name_all(connection, self._names, records)
            new = await _new(connection, names, records)
            if new:
                await connection.execute(insert(tables.run), [_run_row(r, names) for r in new])
                await self._append_parts(connection, names, new)
        self._names = names
        return Appended(len(new), sum(record.sample_count for record in new))

    async def _append_parts(
        self, connection: AsyncConnection, names: Names, records: Sequence[RunRecord]
    ) -> None:
        failures = [row for record in records for row in _failure_rows(record, names)]
        if failures:
            await connection.execute(insert(tables.failure), failures)
        await self._database.insert(connection, tables.sample, self._samples(records, names))
        due = {(names.targets[r.target], hour_of(r.started_at)) for r in records if r.samples}
        if due:
            rows = [{"target_id": target, "started_at": hour} for target, hour in sorted(due)]
            await connection.execute(insert_or_leave(connection, tables.rollup_due), rows)
        for record in records:
            if record.state is not None:
                await _keep_state(connection, names.targets[record.target], record)

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


async def _new(
    connection: AsyncConnection, names: Names, records: Sequence[RunRecord]
) -> list[RunRecord]:
    """The runs that are not there yet, moved on by microseconds where another has their key."""
    table = tables.run
    keys = [(names.targets[record.target], record.started_at) for record in records]
    rows = await connection.execute(
        select(table.c.id, table.c.target_id, table.c.started_at).where(
            or_(
                table.c.id.in_([record.id for record in records]),
                tuple_(table.c.target_id, table.c.started_at).in_(keys),
            )
        )
    )
    ids, taken = set(), set()
    for row in rows:
        ids.add(row.id)
        taken.add((row.target_id, row.started_at))
    new = []
    for record in records:
        if record.id in ids:
            continue
        target, moment = names.targets[record.target], record.started_at
        while (target, moment) in taken:
            moment += _MICROSECOND
        ids.add(record.id)
        taken.add((target, moment))
        new.append(at(record, moment))
    return new


def _run_row(record: RunRecord, names: Names) -> dict[str, Any]:
    return {
        "target_id": names.targets[record.target],
        "started_at": record.started_at,
        "id": record.id,
        "finished_at": record.finished_at,
        "trigger": record.trigger,
        "outcome": record.outcome,
        "rounds": record.rounds,
        "wal_bytes": record.wal_bytes,
        "fingerprint": record.environment.fingerprint if record.environment else None,
        "probes": {name: list(values) for name, values in record.probes.items()},
        "notices": [asdict(notice) for notice in record.notices],
    }


def _failure_rows(record: RunRecord, names: Names) -> list[dict[str, Any]]:
    return [
        {
            "target_id": names.targets[record.target],
            "started_at": record.started_at,
            "number": number,
            "series_id": names.series[record.target, row.series] if row.series else None,
            "round": row.round,
            "of_run": int(row.of_run),
            "at": row.at,
            "reason": row.reason,
            "message": row.message,
        }
        for number, row in enumerate(record.failures)
    ]


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
