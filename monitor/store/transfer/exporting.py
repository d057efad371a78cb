"""A store, or part of it, into a file."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from operator import itemgetter
from pathlib import Path
from typing import Any, BinaryIO

from sqlalchemy import select

from monitor import __version__
from monitor.environment import Environment
from monitor.errors import ConfigurationError
from monitor.judgement import encode_change
from monitor.store import tables
from monitor.store.append import day_of
from monitor.store.database import Database
from monitor.store.explorations import Exploration, newest
from monitor.store.judgements import changes_told, ends_told
from monitor.store.read import Series, runs_between, series_list, target_ids
from monitor.store.records import RunRecord
from monitor.store.schema import kind_of, versions_of
from monitor.store.transfer.archive import Member, members, pack
from monitor.store.transfer.layout import (
    CHANGE_ENDS,
    CHANGES,
    CONTROL,
    ENVIRONMENTS,
    EXPLORATIONS,
    ROLLUPS,
    RUNS,
    SAMPLES,
    STATES,
    Table,
)
from monitor.store.transfer.lines import encoded, line_of, time_field
from monitor.store.transfer.records import environment_lines, lines_of

#: Runs that are in memory at once.
_PAGE = 50
#: States that are.
_STATES = 10
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Selection:
    """What to export: some targets, or with none named all, from the UTC day of ``since`` on.

    Whole days, since the rollups of a day are computed from all of its samples.
    """

    targets: tuple[str, ...] = ()
    since: datetime | None = None

    @property
    def begin(self) -> datetime | None:
        return None if self.since is None else day_of(self.since)


@dataclass(frozen=True, slots=True)
class Exported:
    """What a file holds."""

    runs: int
    samples: int
    rollups: int


@dataclass(slots=True)
class _Seen:
    """What was met while runs went by."""

    environments: dict[str, Environment] = field(default_factory=dict)
    first: datetime | None = None
    last: datetime | None = None

    def note(self, record: RunRecord) -> None:
        if record.environment:
            self.environments.setdefault(record.environment.fingerprint, record.environment)
        self.first = min(self.first or record.started_at, record.started_at)
        self.last = max(self.last or record.started_at, record.started_at)


async def export(
    database: Database,
    out: BinaryIO,
    selection: Selection,
    created_at: datetime,
    directory: Path | None = None,
) -> Exported:
    """Write a store's content as one archive; what others add meanwhile may or may not be in it.

    ``directory`` lends room for the members until they are packed. Raises ConfigurationError for a
    target that the store does not know, StoreUnavailable, and OSError from the files.
    """
    numbers = await target_ids(database)
    names = _chosen(selection, numbers)
    with members(directory) as parts:
        seen = _Seen()
        for name in names:
            async for record in _runs(database, name, numbers[name], selection.begin):
                seen.note(record)
                for table, lines in lines_of(record).items():
                    parts[table].add(lines)
            async for lines in _states(database, name, numbers[name], selection.begin):
                parts[STATES.name].add(lines)
        parts[CHANGES.name].add(await _changes(database, names, selection.begin))
        parts[CHANGE_ENDS.name].add(await _ends(database, names, selection.begin))
        found = await _explorations(database, names, selection.begin)
        for each in found:
            if each.environment:
                seen.environments.setdefault(each.environment.fingerprint, each.environment)
        parts[EXPLORATIONS.name].add([_exploration_line(each) for each in found])
        parts[ENVIRONMENTS.name].add(environment_lines(seen.environments))
        # After the samples: what retention takes meanwhile is in the rollups by now.
        await _add_rollups(database, names, selection.begin, parts[ROLLUPS.name])
        parts[CONTROL.name].add(await _control(database, selection.targets))
        pack(out, await _facts(database, selection, seen, created_at), parts, created_at)
        return Exported(*(parts[table.name].rows for table in (RUNS, SAMPLES, ROLLUPS)))


def _chosen(selection: Selection, known: Mapping[str, int]) -> list[str]:
    """The targets' names, in an order that no engine's collation touches."""
    for name in selection.targets:
        if name not in known:
            there = ", ".join(sorted(known)) or "none"
            raise ConfigurationError(f"unknown target '{name}'; the store holds: {there}.")
    return sorted(set(selection.targets) or known)


async def _runs(
    database: Database, name: str, target_id: int, begin: datetime | None
) -> AsyncIterator[RunRecord]:
    started_at = tables.run.c.started_at
    after = started_at >= (begin or tables.EPOCH)
    while True:
        page = select(started_at).where(tables.run.c.target_id == target_id, after)
        async with database.reading() as connection:
            found = await connection.scalars(page.order_by(started_at).limit(_PAGE))
        moments = found.all()
        if not moments:
            return
        last = moments[-1]
        for record in await runs_between(database, name, moments[0], last + _MICROSECOND):
            yield record
        after = started_at > last


async def _states(
    database: Database, name: str, target_id: int, begin: datetime | None
) -> AsyncIterator[list[str]]:
    """The detector's states on their own: the oldest may have outlived its run."""
    columns = tables.detector_state.c
    after = columns.day >= day_of(begin or tables.EPOCH)
    while True:
        page = select(columns.day, columns.started_at, columns.state)
        page = page.where(columns.target_id == target_id, after).order_by(columns.day)
        async with database.reading() as connection:
            found = (await connection.execute(page.limit(_STATES))).all()
        if not found:
            return
        yield [line_of(encoded(STATES, (name, row.started_at, row.state))) for row in found]
        after = columns.day > found[-1].day


async def _add_rollups(
    database: Database, names: Iterable[str], begin: datetime | None, part: Member
) -> None:
    """Series by series: each holds some ten thousand at most."""
    columns = [column for column in ROLLUPS.header if column in tables.rollup.c]
    own = columns[columns.index("hours") :]
    statement = (
        f"SELECT {', '.join(own)} FROM {database.name_of(tables.rollup)}"  # noqa: S608
        f" WHERE series_id = $1{'' if begin is None else ' AND started_at >= $2'}"
        " ORDER BY hours, started_at"
    )
    since = [] if begin is None else [database.driver_time(begin)]
    chosen = set(names)
    series = [each for each in await series_list(database) if each.target in chosen]
    for each in sorted(series, key=lambda each: (each.target, each.key)):
        async with database.reading() as connection:
            rows = await database.fetch(connection, statement, each.id, *since)
        part.add([_rollup_line(database, each, row) for row in rows])


def _rollup_line(database: Database, series: Series, row: Iterable[Any]) -> str:
    hours, started_at, *values = row
    whole = (series.target, *series.key, hours, database.moment(started_at), *values)
    return line_of(encoded(ROLLUPS, whole))


async def _changes(database: Database, names: Iterable[str], begin: datetime | None) -> list[str]:
    """Those of the targets that were told from then on; a handful a month."""
    found = await changes_told(database, begin or tables.EPOCH)
    rows = [
        (change.id, change.target, started_at, encode_change(change))
        for started_at, change in found
        if change.target in set(names)
    ]
    return [line_of(encoded(CHANGES, row)) for row in sorted(rows, key=itemgetter(1, 2, 0))]


async def _ends(database: Database, names: Iterable[str], begin: datetime | None) -> list[str]:
    found = await ends_told(database, begin or tables.EPOCH)
    rows = [
        (end.change_id, target, started_at, end.ending, end.at)
        for started_at, target, end in found
        if target in set(names)
    ]
    return [line_of(encoded(CHANGE_ENDS, row)) for row in sorted(rows, key=itemgetter(1, 2, 0))]


async def _explorations(
    database: Database, names: Iterable[str], begin: datetime | None
) -> list[Exploration]:
    """Those of the targets; a handful a month."""
    chosen = set(names)
    found = [
        *await newest(database, "sweep", since=begin),
        *await newest(database, "explain", since=begin),
    ]
    kept = [each for each in found if each.target in chosen]
    return sorted(kept, key=lambda each: (each.started_at, each.id))


def _exploration_line(each: Exploration) -> str:
    fingerprint = each.environment.fingerprint if each.environment else None
    return line_of(encoded(EXPLORATIONS, (*each[:5], fingerprint, each.result)))


async def _control(database: Database, names: tuple[str, ...]) -> list[str]:
    """Requests: all of them, or those that concern the targets; whatever their age, they last."""
    table: Table = CONTROL
    target = tables.control.c.target
    statement = select(*(tables.control.c[name] for name in table.header))
    if names:
        statement = statement.where(target.in_(names) | target.is_(None))
    async with database.reading() as connection:
        rows = (await connection.execute(statement)).all()
    return [line_of(encoded(table, row)) for row in sorted(rows, key=lambda row: (row.at, row.id))]


async def _facts(
    database: Database, selection: Selection, seen: _Seen, created_at: datetime
) -> dict[str, Any]:
    versions = await versions_of(database)
    return {
        "product_version": __version__,
        "created_at": time_field(created_at),
        "source": {"kind": await kind_of(database), "schema_revision": versions.found},
        "selection": {
            "targets": list(selection.targets) or None,
            "since": _field(selection.begin),
        },
        "span": {"first_run": _field(seen.first), "last_run": _field(seen.last)},
    }


def _field(at: datetime | None) -> str | None:
    return None if at is None else time_field(at)
