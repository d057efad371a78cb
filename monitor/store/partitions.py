"""Time partitions of ``sample`` on PostgreSQL: made ahead, made when needed, dropped when old.

A partition is one week from Monday, so a month of samples lies in five or six: few enough to plan
over, and dropping one gives back a week at once. TimescaleDB makes its own, and drops them here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.errors import StoreRefused
from monitor.store.database import Database, quoted
from monitor.store.schema import lock_definitions
from monitor.store.tables import EPOCH, MARK, rollup_due, sample
from monitor.store.writes import ShortWrites

WEEK = timedelta(days=7)
_MONDAY = EPOCH - timedelta(days=3)
_NAME = re.compile(r"sample_(\d{8})")

#: While we wait for a table, all others that want it wait behind us.
_SHORT_WAIT = text("SET LOCAL lock_timeout = '2s'")


def week_of(at: datetime) -> datetime:
    """The Monday, 00:00 UTC, that begins the week of a moment."""
    return at - (at - _MONDAY) % WEEK


def _name(week: datetime) -> str:
    return f"sample_{week:%Y%m%d}"


@dataclass(frozen=True, slots=True)
class Dropped:
    """What dropping gave back; ``foreign`` names what is not ours and stays.

    ``samples`` is the server's estimate, or a count where it has none yet.
    """

    partitions: int = 0
    samples: int = 0
    bytes: int = 0
    foreign: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Partition:
    schema: str
    name: str
    marked: bool
    samples: int
    bytes: int

    @property
    def week(self) -> datetime | None:
        """When its week begins; None if its name is none that we give."""
        match = _NAME.fullmatch(self.name)
        return datetime.strptime(match[1], "%Y%m%d").replace(tzinfo=UTC) if match else None


_ATTACHED = text(
    "SELECT n.nspname, c.relname, c.reltuples::bigint, pg_catalog.pg_total_relation_size(c.oid),"
    " pg_catalog.obj_description(c.oid, 'pg_class') IS NOT DISTINCT FROM :mark"
    " FROM pg_catalog.pg_inherits AS i"
    " JOIN pg_catalog.pg_class AS c ON c.oid = i.inhrelid"
    " JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace"
    " WHERE i.inhparent = pg_catalog.to_regclass(:parent) ORDER BY 1, 2"
)
_COMMENT = text("SELECT pg_catalog.obj_description(pg_catalog.to_regclass(:name), 'pg_class')")


class Partitions:
    """The partitions of one PostgreSQL store, remembered so that asking costs nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: set[datetime] = set()

    async def cover(self, moments: Iterable[datetime]) -> None:
        """Make the partitions that samples of these moments need, in a transaction of its own."""
        wanted = {week_of(at) for at in moments}
        if wanted <= self._sure():
            return
        async with self._database.reading() as connection:
            missing = wanted - await self._weeks(connection)
        if missing:
            await self._make(missing)
        self._known |= wanted

    def _sure(self) -> set[datetime]:
        """Weeks that are there for certain: retention, of any process, drops older ones."""
        newest = max(self._known, default=EPOCH)
        return {week for week in self._known if week >= newest - WEEK}

    async def _make(self, missing: set[datetime]) -> None:
        database = self._database
        async with database.writing() as connection:
            await lock_definitions(database, connection)
            for week in sorted(missing - await self._weeks(connection)):
                name = database.name_of(_name(week))
                await connection.execute(
                    text(
                        f"CREATE TABLE {name} PARTITION OF"
                        f" {database.name_of(sample)} FOR VALUES FROM ('{week.isoformat()}')"
                        f" TO ('{(week + WEEK).isoformat()}')"
                    )
                )
                await connection.execute(text(f"COMMENT ON TABLE {name} IS '{MARK}'"))

    async def drop_before(self, moment: datetime, writes: ShortWrites) -> Dropped:
        """Drop partitions that end before a moment, each in a transaction of its own.

        Only those of ours: what does not carry our mark stays and is named. One that holds an hour
        which is still to be rolled up stays too.
        """
        async with self._database.reading() as connection:
            attached = await self._attached(connection)
        dropped, foreign = [], []
        for partition in attached:
            if not partition.marked or partition.schema != self._database.schema:
                foreign.append(f"{partition.schema}.{partition.name}")
            elif partition.week and partition.week + WEEK <= moment:
                samples = await self._samples(partition)
                if await self._drop(partition.week, writes):
                    dropped.append((samples, partition.bytes))
        samples, size = (
            (sum(column) for column in zip(*dropped, strict=True)) if dropped else (0, 0)
        )
        return Dropped(len(dropped), samples, size, tuple(foreign))

    async def _weeks(self, connection: AsyncConnection) -> set[datetime]:
        return {each.week for each in await self._attached(connection) if each.week}

    async def _attached(self, connection: AsyncConnection) -> Sequence[_Partition]:
        parameters = {"parent": self._database.name_of(sample), "mark": MARK}
        return [
            _Partition(schema, name, marked, samples, size)
            for schema, name, samples, size, marked in await connection.execute(
                _ATTACHED, parameters
            )
        ]

    async def _samples(self, partition: _Partition) -> int:
        """How many samples it holds; counted only until the server has looked at it once."""
        if partition.samples >= 0:
            return partition.samples
        count = text(f"SELECT count(*) FROM {self._database.name_of(partition.name)}")  # noqa: S608
        async with self._database.reading() as connection:
            return int(await connection.scalar(count) or 0)

    async def _drop(self, week: datetime, writes: ShortWrites) -> bool:
        database, name = self._database, self._database.name_of(_name(week))
        async with writes.transaction() as connection:
            await connection.execute(_SHORT_WAIT)
            await lock_definitions(database, connection)
            # First the parent, as whoever appends does. With its lock, all that was appended is
            # committed and so are its marks, and nothing is being appended.
            parent = database.name_of(sample)
            await connection.execute(text(f"LOCK TABLE ONLY {parent} IN ACCESS EXCLUSIVE MODE"))
            due = await _earliest_due(connection, week)
            if due is not None and due < week + WEEK:
                return False
            if await connection.scalar(_COMMENT, {"name": name}) != MARK:
                return False  # another process dropped it just now
            await connection.execute(text(f"DROP TABLE {name}"))
        self._known.discard(week)
        return True


async def _earliest_due(
    connection: AsyncConnection, since: datetime | None = None
) -> datetime | None:
    """The first hour, since a moment, that is still to be rolled up."""
    statement = select(func.min(rollup_due.c.started_at))
    if since is not None:
        statement = statement.where(rollup_due.c.started_at >= since)
    found: datetime | None = await connection.scalar(statement)
    return found


# --- TimescaleDB ---------------------------------------------------------------------------------

_EXTENSION_SCHEMA = text(
    "SELECT n.nspname FROM pg_catalog.pg_extension AS e"
    " JOIN pg_catalog.pg_namespace AS n ON n.oid = e.extnamespace WHERE e.extname = 'timescaledb'"
)
#: Arguments of show_chunks and drop_chunks, whose ``older_than`` has no type of its own.
_OLDER = "(pg_catalog.to_regclass(:name), older_than => CAST(:moment AS timestamptz))"
_SIZES = (
    "SELECT count(*), coalesce(sum(greatest(c.reltuples, 0)), 0)::bigint,"
    " coalesce(sum(pg_catalog.pg_total_relation_size(c.oid)), 0)::bigint"
)
_AS_CLASSES = "AS chunk(id) JOIN pg_catalog.pg_class AS c ON c.oid = chunk.id"


async def drop_chunks_before(database: Database, moment: datetime, writes: ShortWrites) -> Dropped:
    """Drop a hypertable's chunks that end before a moment and before all that is still due.

    Raises StoreRefused for a hypertable that does not carry our mark.
    """
    name = database.name_of(sample)
    async with writes.transaction() as connection:
        await connection.execute(_SHORT_WAIT)
        # With this lock, all that was appended is committed and so are its marks, and nothing is
        # being appended.
        await connection.execute(text(f"LOCK TABLE ONLY {name} IN SHARE MODE"))
        extension = await connection.scalar(_EXTENSION_SCHEMA)
        if extension is None or await connection.scalar(_COMMENT, {"name": name}) != MARK:
            raise StoreRefused(f"{name} is not a hypertable with our mark; it stays as it is.")
        due = await _earliest_due(connection)
        values = {"name": name, "moment": moment if due is None else min(moment, due)}
        sizes = text(f"{_SIZES} FROM {quoted(extension)}.show_chunks{_OLDER} {_AS_CLASSES}")
        chunks, samples, size = (await connection.execute(sizes, values)).one()
        if chunks:
            drop = text(f"SELECT {quoted(extension)}.drop_chunks{_OLDER}")
            await connection.execute(drop, values)
    return Dropped(chunks, samples, size)
