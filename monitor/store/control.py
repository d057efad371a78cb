"""What people asked for: pauses, resumptions, acceptances, as rows that are only ever added."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal, NamedTuple
from uuid import uuid4

from sqlalchemy import insert, or_, select

from monitor.store import tables
from monitor.store.database import Database

_MICROSECOND = timedelta(microseconds=1)

Action = Literal["pause", "resume", "accept"]


class Request(NamedTuple):
    """Something asked for by a person: of one target, or with None of all; ``subject`` is what an
    acceptance accepts."""

    at: datetime
    action: Action
    target: str | None
    subject: str | None
    by: str
    note: str


async def add(database: Database, request: Request) -> None:
    """Write a request down, after all others whatever the clock says. Raises StoreUnavailable."""
    table = tables.control
    async with database.writing() as connection:
        last = await connection.scalar(select(table.c.at).order_by(table.c.at.desc()).limit(1))
        moment = request.at if last is None else max(request.at, last + _MICROSECOND)
        values = request._replace(at=moment)._asdict()
        await connection.execute(insert(table).values(id=uuid4().hex, **values))


async def acceptances(database: Database, subjects: Sequence[str]) -> list[Request]:
    """Acceptances of these changes or stories, oldest first. Raises StoreUnavailable."""
    table = tables.control
    statement = (
        select(*(table.c[name] for name in Request._fields))
        .where(table.c.action == "accept", table.c.subject.in_(subjects))
        .order_by(table.c.at, table.c.id)
    )
    async with database.reading() as connection:
        return [Request(*row) for row in await connection.execute(statement)]


async def last_pause(database: Database, target: str) -> Request | None:
    """The pause that a target stands under, its own or that of all; None: it is not paused.

    The last word counts, whether it was said of the target or of all.
    """
    table = tables.control
    statement = (
        select(*(table.c[name] for name in Request._fields))
        .where(
            table.c.action.in_(("pause", "resume")),
            or_(table.c.target == target, table.c.target.is_(None)),
        )
        .order_by(table.c.at.desc(), table.c.id)
        .limit(1)
    )
    async with database.reading() as connection:
        row = (await connection.execute(statement)).one_or_none()
    return Request(*row) if row is not None and row.action == "pause" else None
