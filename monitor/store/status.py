"""What a store holds and takes, told without changing or creating anything."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import func, select, text

from monitor.errors import StoreUnavailable
from monitor.store import tables
from monitor.store.database import Database, Kind
from monitor.store.read import series_list, target_ids
from monitor.store.schema import MIGRATIONS, Versions, kind_of, versions_of
from monitor.store.size import size_bytes


@dataclass(frozen=True, slots=True)
class Partition:
    """A time partition of the samples; ``bytes`` with its indexes."""

    name: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Content:
    """What is in a store of our version; moments are those of the first and last raw sample."""

    targets: tuple[str, ...]
    series: int
    runs: int
    samples: int
    first_sample_at: datetime | None
    last_sample_at: datetime | None
    hourly_rollups: int
    daily_rollups: int
    partitions: tuple[Partition, ...]


@dataclass(frozen=True, slots=True)
class Waiting:
    """Runs on disk that wait for the store, their bytes, and how many it refused for ever."""

    runs: int
    bytes: int
    rejected: int


@dataclass(frozen=True, slots=True)
class Status:
    """A store as it was found. ``versions`` None: it could not be asked, and ``problem`` says why.

    ``content`` is known of a store of our version only.
    """

    waiting: Waiting
    versions: Versions | None = None
    kind: Kind | None = None
    size_bytes: int | None = None
    content: Content | None = None
    problem: str | None = None


async def status_of(database: Database, spool: Path, migrations: Path = MIGRATIONS) -> Status:
    """How the store fares, and the spool in this directory. Raises StoreRefused: not our store."""
    waiting = _waiting(spool)
    try:
        versions = await versions_of(database, migrations)
        if versions.found is None:
            return Status(waiting, versions)
        size = await size_bytes(database)
        if not versions.known:  # a newer one may keep its kind elsewhere
            return Status(waiting, versions, size_bytes=size)
        kind = await kind_of(database)
        content = await _content(database) if versions.current else None
    except StoreUnavailable as error:
        return Status(waiting, problem=str(error))
    return Status(waiting, versions, kind, size, content)


async def _content(database: Database) -> Content:
    runs, rollups = tables.run, tables.rollup
    async with database.reading() as connection:
        run_count = await connection.scalar(select(func.count()).select_from(runs))
        statement = select(rollups.c.hours, func.count()).group_by(rollups.c.hours)
        by_hours = {row[0]: row[1] for row in await connection.execute(statement)}
    samples, first, last = await _samples(database)
    return Content(
        targets=tuple(sorted(await target_ids(database))),
        series=len(await series_list(database)),
        runs=run_count or 0,
        samples=samples,
        first_sample_at=first,
        last_sample_at=last,
        hourly_rollups=by_hours.get(1, 0),
        daily_rollups=by_hours.get(24, 0),
        partitions=await _partitions(database),
    )


async def _samples(database: Database) -> tuple[int, datetime | None, datetime | None]:
    """How many, from when, to when; series by series, so that no statement takes long."""
    statement = (
        "SELECT count(*), min(started_at), max(started_at)"  # noqa: S608
        f" FROM {database.name_of(tables.sample)} WHERE series_id = $1"
    )
    count, moments = 0, []
    for series in await series_list(database):
        async with database.reading() as connection:
            ((own, first, last),) = await database.fetch(connection, statement, series.id)
        if own:
            count += own
            moments += [database.moment(first), database.moment(last)]
    return count, min(moments, default=None), max(moments, default=None)


_PARTITIONS = text(
    "SELECT c.relname, pg_catalog.pg_total_relation_size(c.oid) FROM pg_catalog.pg_inherits AS i"
    " JOIN pg_catalog.pg_class AS c ON c.oid = i.inhrelid"
    " WHERE i.inhparent = pg_catalog.to_regclass(:parent) ORDER BY 1"
)


async def _partitions(database: Database) -> tuple[Partition, ...]:
    if database.schema is None:
        return ()
    async with database.reading() as connection:
        parent = {"parent": database.name_of(tables.sample)}
        rows = await connection.execute(_PARTITIONS, parent)
        return tuple(Partition(name, size) for name, size in rows)


def _waiting(spool: Path) -> Waiting:
    sizes = []
    for path in spool.glob("*.json.gz"):
        try:
            sizes.append(path.stat().st_size)
        except FileNotFoundError:
            continue  # just brought in
    return Waiting(len(sizes), sum(sizes), len(list((spool / "rejected").glob("*.json.gz"))))
