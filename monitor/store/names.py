"""Small numbers for targets, series and environments, looked up once per process.

What a transaction adds is remembered only after it was committed: one that was rolled back leaves
no number behind that nobody else has.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Table, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.environment import Environment
from monitor.store import tables
from monitor.store.records import RunRecord, SeriesKey

SeriesName = tuple[str, SeriesKey]


class Names:
    """Numbers by name, as known to this process."""

    def __init__(self) -> None:
        self.targets: dict[str, int] = {}
        self.series: dict[SeriesName, int] = {}
        self.fingerprints: set[str] = set()

    def with_added(self, found: Names) -> Names:
        """These and what was found beside them; these themselves stay as they are."""
        if not (found.targets or found.series or found.fingerprints):
            return self
        every = Names()
        every.targets = self.targets | found.targets
        every.series = self.series | found.series
        every.fingerprints = self.fingerprints | found.fingerprints
        return every


async def name_all(
    connection: AsyncConnection, known: Names, records: Iterable[RunRecord]
) -> Names:
    """Numbers for all that the records name, adding to the store what it does not know yet."""
    found, records = Names(), list(records)
    for record in records:
        await _name_target(connection, known, found, record.target)
        for key in record.samples:
            if (record.target, key) not in known.series:
                await _name_series(connection, known, found, (record.target, key))
        for row in record.failures:
            if row.series:
                await _name_series(connection, known, found, (record.target, row.series))
    for environment in {r.environment.fingerprint: r.environment for r in records if r.environment
                        }.values():  # fmt: skip
        if environment.fingerprint not in known.fingerprints:
            await add_environment(connection, environment)
            found.fingerprints.add(environment.fingerprint)
    return known.with_added(found)


async def _name_target(connection: AsyncConnection, known: Names, found: Names, name: str) -> None:
    if name in known.targets or name in found.targets:
        return
    found.targets[name] = await number_of_target(connection, name)


async def number_of_target(connection: AsyncConnection, name: str) -> int:
    """The number of a target, given to it now if it has none."""
    table = tables.target
    await connection.execute(insert_or_leave(connection, table).values(name=name))
    found = await connection.execute(select(table.c.id).where(table.c.name == name))
    number: int = found.scalar_one()
    return number


async def _name_series(
    connection: AsyncConnection, known: Names, found: Names, name: SeriesName
) -> None:
    if name in known.series or name in found.series:
        return
    table, (target, key) = tables.series, name
    target_id = known.targets.get(target) or found.targets[target]
    values = {"target_id": target_id, **key._asdict()}
    await connection.execute(insert_or_leave(connection, table).values(values))
    conditions = [table.c[column] == value for column, value in values.items()]
    number = await connection.execute(select(table.c.id).where(*conditions))
    found.series[name] = number.scalar_one()


async def add_environment(connection: AsyncConnection, environment: Environment) -> None:
    """Keep an environment, if it is not there."""
    await connection.execute(
        insert_or_leave(connection, tables.environment).values(environment.as_json())
    )


async def read_environments(
    connection: AsyncConnection, fingerprints: Iterable[str | None]
) -> dict[str | None, Environment]:
    """The environments that are stored of these fingerprints."""
    table = tables.environment
    known = [fingerprint for fingerprint in fingerprints if fingerprint]
    rows = await connection.execute(select(table).where(table.c.fingerprint.in_(known)))
    return {
        row.fingerprint: Environment(
            row.server_version, row.server, row.client, row.tables, row.fingerprint
        )
        for row in rows
    }


def insert_or_leave(connection: AsyncConnection, table: Table) -> postgresql.Insert | sqlite.Insert:
    """An INSERT that leaves a row alone whose key is there."""
    if connection.dialect.name == "postgresql":
        return postgresql.insert(table).on_conflict_do_nothing()
    return sqlite.insert(table).on_conflict_do_nothing()
