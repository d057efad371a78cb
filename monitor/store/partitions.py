"""Time partitions of ``sample`` on PostgreSQL: made ahead, made when needed, dropped when old.

A partition is one week from Monday, so a month of samples lies in five or six: few enough to plan
over, and dropping one gives back a week at once. TimescaleDB makes its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from monitor.errors import StoreRefused
from monitor.store.database import Database
from monitor.store.schema import lock_definitions
from monitor.store.tables import EPOCH, MARK, sample

WEEK = timedelta(days=7)
_MONDAY = EPOCH - timedelta(days=3)
_NAME = re.compile(r"sample_(\d{8})")


def week_of(at: datetime) -> datetime:
    """The Monday, 00:00 UTC, that begins the week of a moment."""
    return at - (at - _MONDAY) % WEEK


def _name(week: datetime) -> str:
    return f"sample_{week:%Y%m%d}"


class Partitions:
    """The partitions of one PostgreSQL store, remembered so that asking costs nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: set[datetime] = set()

    async def cover(self, moments: Iterable[datetime]) -> None:
        """Make the partitions that samples of these moments need, in a transaction of its own."""
        missing = {week_of(at) for at in moments} - self._known
        if not missing:
            return
        database = self._database
        async with database.writing() as connection:
            await lock_definitions(database, connection)
            for week in sorted(missing):
                name = database.name_of(_name(week))
                await connection.execute(
                    text(
                        f"CREATE TABLE IF NOT EXISTS {name} PARTITION OF"
                        f" {database.name_of(sample)} FOR VALUES FROM ('{week.isoformat()}')"
                        f" TO ('{(week + WEEK).isoformat()}')"
                    )
                )
                await connection.execute(text(f"COMMENT ON TABLE {name} IS '{MARK}'"))
        self._known |= missing

    async def drop_before(self, moment: datetime) -> int:
        """Drop partitions that end before a moment; returns how many. Only marked ones of ours."""
        old = [week for week in await self._existing() if week + WEEK <= moment]
        for week in old:
            await self._drop(week)
        return len(old)

    async def _existing(self) -> list[datetime]:
        found = text(
            "SELECT c.relname FROM pg_catalog.pg_inherits AS i"
            " JOIN pg_catalog.pg_class AS c ON c.oid = i.inhrelid"
            " WHERE i.inhparent = pg_catalog.to_regclass(:parent) ORDER BY 1"
        )
        async with self._database.reading() as connection:
            names = await connection.scalars(found, {"parent": self._database.name_of(sample)})
        matches = [_NAME.fullmatch(name) for name in names]
        return [datetime.strptime(m[1], "%Y%m%d").replace(tzinfo=UTC) for m in matches if m]

    async def _drop(self, week: datetime) -> None:
        database, name = self._database, self._database.name_of(_name(week))
        mark = text("SELECT pg_catalog.obj_description(pg_catalog.to_regclass(:name), 'pg_class')")
        async with database.writing() as connection:
            await lock_definitions(database, connection)
            await connection.execute(text("SET LOCAL lock_timeout = '2s'"))
            if await connection.scalar(mark, {"name": name}) != MARK:
                raise StoreRefused(f"partition {name} does not carry our mark; it stays.")
            await connection.execute(text(f"DROP TABLE {name}"))
        self._known.discard(week)
