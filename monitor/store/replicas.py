"""What replicas tell each other by the store: who measured a target last, and when."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import select

from monitor.store import tables
from monitor.store.database import Database


class Measured(NamedTuple):
    """A run that came to measuring; ``holder`` is the replica that made it, if that is known."""

    run_id: str
    started_at: datetime
    holder: str | None


async def last_measured(database: Database, target: str, fact: str) -> Measured | None:
    """A target's newest scheduled run that reached the canary; ``fact`` of its client is the
    replica's name. Raises StoreUnavailable."""
    run, environment = tables.run, tables.environment
    statement = (
        select(run.c.id, run.c.started_at, environment.c.client)
        .join(tables.target, tables.target.c.id == run.c.target_id)
        .join(environment, environment.c.fingerprint == run.c.fingerprint)
        .where(tables.target.c.name == target, run.c.trigger == "scheduled")
        .order_by(run.c.started_at.desc())
        .limit(1)
    )
    async with database.reading() as connection:
        row = (await connection.execute(statement)).one_or_none()
    return Measured(row.id, row.started_at, row.client.get(fact)) if row is not None else None
