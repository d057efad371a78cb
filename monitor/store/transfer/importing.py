"""A file into a store: what is there already stays as it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.judgement import Closing, decode_change
from monitor.store import tables
from monitor.store.append import Appended, Appender, day_of
from monitor.store.database import Database
from monitor.store.explorations import Exploration, keep
from monitor.store.judgements import change_values, end_values
from monitor.store.names import insert_or_leave
from monitor.store.records import RunRecord, SeriesKey
from monitor.store.schema import kind_of
from monitor.store.transfer.archive import Archive
from monitor.store.transfer.layout import (
    CHANGE_ENDS,
    CHANGES,
    CONTROL,
    ENVIRONMENTS,
    EXPLORATIONS,
    FAILURES,
    ROLLUPS,
    RUNS,
    SAMPLES,
    STATES,
    VERDICTS,
)
from monitor.store.transfer.records import Row, environments_of, records_of

#: A transaction holds at most so many runs, and no more once it has so many samples.
_RUNS_AT_ONCE = 200
_SAMPLES_AT_ONCE = 10_000
_ROWS_AT_ONCE = 1000
_STATES_AT_ONCE = 10

_SeriesName = tuple[str, SeriesKey]


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import added, and what it left alone since it was there; rollups: in the file."""

    runs: int
    runs_skipped: int
    samples: int
    samples_skipped: int
    rollups: int


def verify(archive: Archive) -> None:
    """Read every row as an import would, touching no store. Raises StoreRejected."""
    for _ in _records(archive):
        pass
    for table in (CHANGE_ENDS, ROLLUPS, CONTROL):
        for _ in archive.rows(table):
            pass
    for row in archive.rows(CHANGES):
        with archive.damage():
            decode_change(row[-1])
    for _ in _explorations(archive):
        pass


async def import_archive(database: Database, archive: Archive) -> Imported:
    """Bring in what the store does not have; ``verify`` the archive first.

    Killed and repeated it ends as if it had never been killed. Raises StoreUnavailable, and
    StoreRejected for values that this store cannot hold.
    """
    # Rollups first: those computed from the samples that follow replace none of more samples, but
    # one that is there is left alone.
    rollups = await _add_rollups(database, archive.rows(ROLLUPS))
    await _add_control(database, archive.rows(CONTROL))
    partitioned = await kind_of(database) == "postgresql"
    appender = Appender(database)
    added, runs, samples = Appended(0, 0), 0, 0
    for batch in _batches(_records(archive)):
        new = await appender.append(batch, partitioned=partitioned)
        added = Appended(added.runs + new.runs, added.samples + new.samples)
        runs += len(batch)
        samples += sum(record.sample_count for record in batch)
    await _add_states(database, archive.rows(STATES))
    await _add_changes(database, archive.rows(CHANGES))
    await _add_ends(database, archive.rows(CHANGE_ENDS))
    await _add_explorations(database, archive)
    return Imported(added.runs, runs - added.runs, added.samples, samples - added.samples, rollups)


def _records(archive: Archive) -> Iterator[RunRecord]:
    parts = (archive.rows(table) for table in (RUNS, FAILURES, SAMPLES, VERDICTS, STATES))
    with archive.damage():
        yield from records_of(environments_of(archive.rows(ENVIRONMENTS)), *parts)


def _batches(records: Iterable[RunRecord]) -> Iterator[list[RunRecord]]:
    batch: list[RunRecord] = []
    samples = 0
    for record in records:
        batch.append(record)
        samples += record.sample_count
        if len(batch) >= _RUNS_AT_ONCE or samples >= _SAMPLES_AT_ONCE:
            yield batch
            batch, samples = [], 0
    if batch:
        yield batch


def _chunks(rows: Iterator[Row], size: int = _ROWS_AT_ONCE) -> Iterator[list[Row]]:
    while chunk := list(islice(rows, size)):
        yield chunk


def _explorations(archive: Archive) -> Iterator[Exploration]:
    environments = environments_of(archive.rows(ENVIRONMENTS))
    with archive.damage():
        for *own, fingerprint, result in archive.rows(EXPLORATIONS):
            if fingerprint is not None and fingerprint not in environments:
                raise ValueError(f"exploration {own[0]}: environment {fingerprint} is missing")
            run_id, target, at, kind, subject = own
            environment = environments.get(fingerprint)
            yield Exploration(run_id, target, at, kind, subject, environment, result)


async def _add_explorations(database: Database, archive: Archive) -> None:
    found = _explorations(archive)
    while chunk := list(islice(found, _STATES_AT_ONCE)):
        await keep(database, chunk)


async def _add_control(database: Database, rows: Iterator[Row]) -> None:
    for chunk in _chunks(rows):
        async with database.writing() as connection:
            values = [dict(zip(CONTROL.header, row, strict=True)) for row in chunk]
            await connection.execute(insert_or_leave(connection, tables.control), values)


async def _add_states(database: Database, rows: Iterator[Row]) -> None:
    """What no run brought along: the states whose runs are gone."""
    for chunk in _chunks(rows, _STATES_AT_ONCE):
        async with database.writing() as connection:
            numbers = await _target_numbers(connection, {row[0] for row in chunk})
            values = [
                {"target_id": numbers[name], "day": day_of(at), "started_at": at, "state": state}
                for name, at, state in chunk
            ]
            await connection.execute(insert_or_leave(connection, tables.detector_state), values)


async def _add_changes(database: Database, rows: Iterator[Row]) -> None:
    for chunk in _chunks(rows):
        async with database.writing() as connection:
            numbers = await _target_numbers(connection, {row[1] for row in chunk})
            values = [
                change_values(decode_change(plain), numbers[name], at)
                for _, name, at, plain in chunk
            ]
            await connection.execute(insert_or_leave(connection, tables.change), values)


async def _add_ends(database: Database, rows: Iterator[Row]) -> None:
    for chunk in _chunks(rows):
        async with database.writing() as connection:
            numbers = await _target_numbers(connection, {row[1] for row in chunk})
            values = [
                end_values(Closing(change_id, ending, at), numbers[name], started_at)
                for change_id, name, started_at, ending, at in chunk
            ]
            await connection.execute(insert_or_leave(connection, tables.change_end), values)


async def _add_rollups(database: Database, rows: Iterator[Row]) -> int:
    count = 0
    for chunk in _chunks(rows):
        async with database.writing() as connection:
            numbers = await _numbers(connection, {_series_of(row) for row in chunk})
            values = [_rollup(row, numbers[_series_of(row)]) for row in chunk]
            await connection.execute(insert_or_leave(connection, tables.rollup), values)
        count += len(chunk)
    return count


def _series_of(row: Row) -> _SeriesName:
    return row[0], SeriesKey(*row[1:6])


def _rollup(row: Row, series_id: int) -> dict[str, Any]:
    own = dict(zip(ROLLUPS.header[6:], row[6:], strict=True))
    return {"series_id": series_id, **own}


async def _numbers(
    connection: AsyncConnection, names: Iterable[_SeriesName]
) -> dict[_SeriesName, int]:
    """Numbers of series in this store, adding those that it does not know."""
    names, target, series = sorted(names), tables.target, tables.series
    numbers = await _target_numbers(connection, {name for name, _ in names})
    await connection.execute(
        insert_or_leave(connection, series),
        [{"target_id": numbers[name], **key._asdict()} for name, key in names],
    )
    columns = [series.c[name] for name in SeriesKey._fields]
    rows = await connection.execute(select(target.c.name, series.c.id, *columns).join(target))
    return {(name, SeriesKey(*key)): number for name, number, *key in rows}


async def _target_numbers(connection: AsyncConnection, names: Iterable[str]) -> dict[str, int]:
    """Numbers of targets in this store, adding those that it does not know."""
    target = tables.target
    values = [{"name": name} for name in sorted(names)]
    await connection.execute(insert_or_leave(connection, target), values)
    found = await connection.execute(select(target.c.name, target.c.id))
    return {row.name: row.id for row in found}
