"""What a store holds, counted row by row, past the code that wrote it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import select

from monitor.store import tables
from monitor.store.database import Database, Location
from monitor.store.records import RunRecord


@dataclass(frozen=True)
class Contents:
    """Samples by the id of their run; ``doubled`` are rows of one round more than once, and
    ``orphans`` those that no run and series of one target explain."""

    samples: dict[str, int]
    doubled: int
    orphans: int

    @property
    def total(self) -> int:
        return sum(self.samples.values())


async def contents(database: Database) -> Contents:
    """Everything in the store."""
    run, series, sample = tables.run, tables.series, tables.sample
    async with database.reading() as connection:
        runs = (await connection.execute(select(run.c.id, run.c.target_id, run.c.started_at))).all()
        targets = dict(
            tuple(row) for row in await connection.execute(select(series.c.id, series.c.target_id))
        )
        rows = await connection.execute(
            select(sample.c.series_id, sample.c.started_at, sample.c.round)
        )
        rounds = Counter(tuple(row) for row in rows)
    ids = {(row.target_id, row.started_at): row.id for row in runs}
    assert len(ids) == len(runs) == len({row.id for row in runs}), "a run is there twice"
    found, orphans = dict.fromkeys(ids.values(), 0), 0
    for (number, started_at, _), count in rounds.items():
        run_id = ids.get((targets.get(number), started_at))
        if run_id is None:
            orphans += count
        else:
            found[run_id] += 1
    return Contents(found, sum(rounds.values()) - len(rounds), orphans)


async def look(location: Location) -> Contents:
    """Everything in the store at a place."""
    database = Database(location)
    try:
        return await contents(database)
    finally:
        await database.dispose()


def contents_of(location: Location) -> Contents:
    """The same for those who run no event loop."""
    return asyncio.run(look(location))


def assert_exactly(found: Contents, records: Iterable[RunRecord]) -> None:
    """The store holds these runs, whole and once each, and nothing else."""
    expected = {record.id: record.sample_count for record in records}
    missing = expected.keys() - found.samples.keys()
    assert not missing, f"{len(missing)} of {len(expected)} runs are lost: {sorted(missing)[:5]}"
    assert found.samples == expected
    assert (found.doubled, found.orphans) == (0, 0)
