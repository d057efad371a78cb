"""What was found by hand: sweeps and explained statements, each kept as the JSON that was printed.

Two with one ``subject`` answer the same question and can be compared. Of statements the newest of
each environment is kept, so that a change has its evidence before and after.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any, Literal, NamedTuple

from sqlalchemy import delete, exists, select
from sqlalchemy.ext.asyncio import AsyncConnection

from monitor.environment import Environment
from monitor.store import tables
from monitor.store.database import Database
from monitor.store.names import (
    add_environment,
    insert_or_leave,
    number_of_target,
    read_environments,
)

Kind = Literal["sweep", "explain"]


class Exploration(NamedTuple):
    """One finding; ``id`` identifies it everywhere, ``result`` is its stable JSON."""

    id: str
    target: str
    started_at: datetime
    kind: Kind
    subject: str
    environment: Environment | None
    result: dict[str, Any]


async def keep(database: Database, found: Iterable[Exploration]) -> int:
    """Write findings down, each once however often it is tried; returns how many were new.

    Statements replace older ones of the same subject and environment. Raises StoreUnavailable.
    """
    added = 0
    async with database.writing() as connection:
        for each in found:
            added += await _keep(connection, each)
    return added


async def _keep(connection: AsyncConnection, each: Exploration) -> int:
    table = tables.exploration
    if each.environment is not None:
        await add_environment(connection, each.environment)
    fingerprint = each.environment.fingerprint if each.environment else None
    target_id = await number_of_target(connection, each.target)
    if each.kind == "explain":
        same = (
            (table.c.target_id == target_id)
            & (table.c.kind == "explain")
            & (table.c.subject == each.subject)
            & (table.c.fingerprint == fingerprint)
        )
        newer = select(table.c.id).where(same, table.c.started_at > each.started_at)
        if (await connection.execute(newer)).first():
            return 0
        await connection.execute(delete(table).where(same, table.c.id != each.id))
    done = await connection.execute(
        insert_or_leave(connection, table).values(
            id=each.id,
            target_id=target_id,
            started_at=each.started_at,
            kind=each.kind,
            subject=each.subject,
            fingerprint=fingerprint,
            result=each.result,
        )
    )
    return max(done.rowcount, 0)


async def listed(database: Database, kind: Kind) -> list[tuple[str, str]]:
    """Target and id of every finding of a kind, the newest first. Raises StoreUnavailable."""
    table, targets = tables.exploration, tables.target
    statement = (
        select(targets.c.name, table.c.id)
        .join(targets, targets.c.id == table.c.target_id)
        .where(table.c.kind == kind)
        .order_by(table.c.started_at.desc(), table.c.id)
    )
    async with database.reading() as connection:
        return [(name, each) for name, each in await connection.execute(statement)]


async def newest(
    database: Database,
    kind: Kind,
    *,
    target: str | None = None,
    subject: str | None = None,
    since: datetime | None = None,
    limit: int | None = None,
) -> list[Exploration]:
    """Findings of a kind, the newest first. Raises StoreUnavailable."""
    table, targets = tables.exploration, tables.target
    statement = (
        select(table, targets.c.name.label("target"))
        .join(targets, targets.c.id == table.c.target_id)
        .where(table.c.kind == kind)
        .order_by(table.c.started_at.desc(), table.c.id)
    )
    conditions = (
        (targets.c.name == target) if target is not None else None,
        (table.c.subject == subject) if subject is not None else None,
        (table.c.started_at >= since) if since is not None else None,
    )
    for condition in conditions:
        if condition is not None:
            statement = statement.where(condition)
    if limit is not None:
        statement = statement.limit(limit)
    async with database.reading() as connection:
        rows = (await connection.execute(statement)).all()
        environments = await read_environments(connection, {row.fingerprint for row in rows})
    return [
        Exploration(
            row.id,
            row.target,
            row.started_at,
            row.kind,
            row.subject,
            environments.get(row.fingerprint),
            row.result,
        )
        for row in rows
    ]


async def outlived(
    database: Database, sweeps_before: datetime | None, statements_before: datetime
) -> list[str]:
    """Ids of sweeps from before a moment (None: of none), and of statements from before another
    whose environment no run names any more. Raises StoreUnavailable.
    """
    table = tables.exploration
    named = exists().where(tables.run.c.fingerprint == table.c.fingerprint)
    old = (table.c.kind == "explain") & (table.c.started_at < statements_before) & ~named
    if sweeps_before is not None:
        old |= (table.c.kind == "sweep") & (table.c.started_at < sweeps_before)
    async with database.reading() as connection:
        return list(await connection.scalars(select(table.c.id).where(old)))


async def remove(connection: AsyncConnection, ids: Collection[str]) -> None:
    """Remove findings by their ids."""
    table = tables.exploration
    await connection.execute(delete(table).where(table.c.id.in_(ids)))
